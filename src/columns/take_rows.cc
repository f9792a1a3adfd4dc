// SPDX-License-Identifier: Apache-2.0
#include "columns/take_rows.h"

#include <arrow/array.h>
#include <arrow/buffer.h>
#include <arrow/compute/api.h>
#include <arrow/extension_type.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <arrow/util/bit_util.h>

#include "columns/array_cast.h"
#include "columns/arrow_init.h"
#include "columns/arrow_pool.h"

namespace varve {
namespace {

using Type = std::shared_ptr<arrow::DataType>;

// The type with offsets in the place of views at any depth. A dictionary's values stay: taking
// rows does not touch them.
Type WithoutViews(const Type& type) {
  switch (type->id()) {
    case arrow::Type::STRING_VIEW: return arrow::large_utf8();
    case arrow::Type::BINARY_VIEW: return arrow::large_binary();
    case arrow::Type::EXTENSION: {
      const auto& storage = static_cast<const arrow::ExtensionType&>(*type).storage_type();
      const auto plain = WithoutViews(storage);
      return plain == storage ? type : plain;
    }
    default: break;
  }
  arrow::FieldVector fields;
  for (const auto& field : type->fields()) {
    fields.push_back(field->WithType(WithoutViews(field->type())));
  }
  return WithFields(type, fields);
}

arrow::Result<std::shared_ptr<arrow::Array>> TakeViews(const arrow::ArrayData& data,
                                                       const arrow::Int64Array& indices) {
  using View = arrow::BinaryViewType::c_type;
  const auto rows = indices.length();
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Buffer> values,
                        arrow::AllocateBuffer(rows * static_cast<std::int64_t>(sizeof(View)),
                                             ArrowPool()));
  std::shared_ptr<arrow::Buffer> validity;
  if (data.GetNullCount() > 0) {
    ARROW_ASSIGN_OR_RAISE(validity, arrow::AllocateEmptyBitmap(rows, ArrowPool()));
  }
  const View* from = data.GetValues<View>(1);
  View* to = reinterpret_cast<View*>(values->mutable_data());
  for (std::int64_t i = 0; i < rows; ++i) {
    const auto row = indices.Value(i);
    const bool null = validity && data.IsNull(row);
    to[i] = null ? View{} : from[row];
    if (validity && !null) arrow::bit_util::SetBit(validity->mutable_data(), i);
  }
  auto buffers = data.buffers;
  buffers[0] = std::move(validity);
  buffers[1] = std::move(values);
  return arrow::MakeArray(arrow::ArrayData::Make(data.type, rows, std::move(buffers)));
}

}  // namespace

arrow::Result<std::shared_ptr<arrow::Array>> TakeRows(const std::shared_ptr<arrow::Array>& array,
                                                      const arrow::Int64Array& indices) {
  InitializeArrow();
  if (arrow::is_binary_view_like(array->type_id())) return TakeViews(*array->data(), indices);
  const auto options = arrow::compute::TakeOptions::NoBoundsCheck();
  const auto plain = WithoutViews(array->type());
  if (plain == array->type()) return arrow::compute::Take(*array, indices, options);
  ARROW_ASSIGN_OR_RAISE(auto data, CastArray(array->data(), plain));
  ARROW_ASSIGN_OR_RAISE(auto taken,
                        arrow::compute::Take(*arrow::MakeArray(data), indices, options));
  ARROW_ASSIGN_OR_RAISE(data, CastArray(taken->data(), array->type()));
  return arrow::MakeArray(data);
}

arrow::Result<std::shared_ptr<arrow::RecordBatch>> TakeRows(const arrow::RecordBatch& batch,
                                                            const arrow::Int64Array& indices) {
  arrow::ArrayVector columns;
  for (const auto& column : batch.columns()) {
    ARROW_ASSIGN_OR_RAISE(auto taken, TakeRows(column, indices));
    columns.push_back(std::move(taken));
  }
  return arrow::RecordBatch::Make(batch.schema(), indices.length(), std::move(columns));
}

}  // namespace varve
