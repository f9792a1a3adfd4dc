// SPDX-License-Identifier: Apache-2.0
#include "columns/packed_rows.h"

#include <typeinfo>

namespace varve {

PackedRows::PackedRows(std::shared_ptr<arrow::Schema> schema,
                       std::shared_ptr<const PlainLayout> layout,
                       std::shared_ptr<arrow::Buffer> bytes)
    : arrow::RecordBatch(std::move(schema), layout->Rows(*bytes)),
      layout_(std::move(layout)),
      bytes_(std::move(bytes)) {}

const PackedRows* PackedRows::Of(const arrow::RecordBatch& batch) {
  if (typeid(batch) != typeid(PackedRows)) return nullptr;
  return static_cast<const PackedRows*>(&batch);
}

const PackedRows::BatchPtr& PackedRows::unpacked() const {
  std::call_once(made_, [this] { unpacked_ = layout_->View(bytes_, schema_); });
  return unpacked_;
}

}  // namespace varve
