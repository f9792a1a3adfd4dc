// SPDX-License-Identifier: Apache-2.0
// PackedRows: a small batch that is the bytes of its PlainLayout until somebody reads it. Then
// columns are made of them, once. A commit of one row is mostly never read as a batch: the memtable
// gathers it with others straight from these bytes.
#pragma once

#include <arrow/record_batch.h>

#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "columns/plain_layout.h"

namespace varve {

// Batches of more rows become columns at once.
inline constexpr std::int64_t kPackedRowsMax = 255;

// Thread-safe.
class PackedRows final : public arrow::RecordBatch {
 public:
  using BatchPtr = std::shared_ptr<arrow::RecordBatch>;
  using ArrayPtr = std::shared_ptr<arrow::Array>;
  using FieldPtr = std::shared_ptr<arrow::Field>;

  // `bytes` are of a batch of `schema`, whose layout this is.
  PackedRows(std::shared_ptr<arrow::Schema> schema, std::shared_ptr<const PlainLayout> layout,
             std::shared_ptr<arrow::Buffer> bytes);
  // Null when the batch is none.
  static const PackedRows* Of(const arrow::RecordBatch& batch);

  const PlainLayout& layout() const { return *layout_; }
  const arrow::Buffer& bytes() const { return *bytes_; }

  const std::vector<ArrayPtr>& columns() const override { return unpacked()->columns(); }
  ArrayPtr column(int i) const override { return unpacked()->column(i); }
  std::shared_ptr<arrow::ArrayData> column_data(int i) const override {
    return unpacked()->column_data(i);
  }
  const arrow::ArrayDataVector& column_data() const override { return unpacked()->column_data(); }
  arrow::Result<BatchPtr> AddColumn(int i, const FieldPtr& field,
                                    const ArrayPtr& column) const override {
    return unpacked()->AddColumn(i, field, column);
  }
  arrow::Result<BatchPtr> SetColumn(int i, const FieldPtr& field,
                                    const ArrayPtr& column) const override {
    return unpacked()->SetColumn(i, field, column);
  }
  arrow::Result<BatchPtr> RemoveColumn(int i) const override { return unpacked()->RemoveColumn(i); }
  BatchPtr ReplaceSchemaMetadata(
      const std::shared_ptr<const arrow::KeyValueMetadata>& metadata) const override {
    return unpacked()->ReplaceSchemaMetadata(metadata);
  }
  using arrow::RecordBatch::AddColumn;
  using arrow::RecordBatch::Slice;
  BatchPtr Slice(std::int64_t offset, std::int64_t length) const override {
    return unpacked()->Slice(offset, length);
  }
  const std::shared_ptr<arrow::Device::SyncEvent>& GetSyncEvent() const override {
    return unpacked()->GetSyncEvent();
  }
  arrow::DeviceAllocationType device_type() const override {
    return arrow::DeviceAllocationType::kCPU;
  }

 private:
  const BatchPtr& unpacked() const;

  const std::shared_ptr<const PlainLayout> layout_;
  const std::shared_ptr<arrow::Buffer> bytes_;
  mutable std::once_flag made_;
  mutable BatchPtr unpacked_;  // once made_
};

}  // namespace varve
