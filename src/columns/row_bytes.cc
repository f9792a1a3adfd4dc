// SPDX-License-Identifier: Apache-2.0
#include "columns/row_bytes.h"

#include <arrow/array/data.h>
#include <arrow/extension_type.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "columns/copy_column.h"

namespace varve {
namespace {

const arrow::DataType& Storage(const arrow::DataType& type) {
  if (type.id() != arrow::Type::EXTENSION) return type;
  return Storage(*static_cast<const arrow::ExtensionType&>(type).storage_type());
}

// Bytes of an element besides its validity; 0 when elements differ.
std::uint64_t FixedBytes(const arrow::DataType& type) {
  const int bits = type.id() == arrow::Type::NA ? 1 : type.bit_width();
  return bits < 0 ? 0 : static_cast<std::uint64_t>(bits + 7) / 8;
}

std::uint64_t RangeBytes(const arrow::ArrayData& data, std::int64_t begin, std::int64_t end);

template <typename Offset>
std::uint64_t TextBytes(const arrow::ArrayData& data, std::int64_t begin, std::int64_t end) {
  const auto* const offsets = data.GetValues<Offset>(1);
  return static_cast<std::uint64_t>(offsets[end] - offsets[begin]) +
         static_cast<std::uint64_t>(end - begin) * sizeof(Offset);
}

template <typename Offset>
std::uint64_t ListBytes(const arrow::ArrayData& data, std::int64_t begin, std::int64_t end) {
  const auto* const offsets = data.GetValues<Offset>(1);
  return RangeBytes(*data.child_data[0], offsets[begin], offsets[end]) +
         static_cast<std::uint64_t>(end - begin) * sizeof(Offset);
}

std::uint64_t ViewBytes(const arrow::ArrayData& data, std::int64_t begin, std::int64_t end) {
  const auto* const views = data.GetValues<arrow::BinaryViewType::c_type>(1);
  std::uint64_t bytes = 0;
  for (std::int64_t i = begin; i < end; ++i) {
    bytes += sizeof(views[i]) + (data.IsValid(i) ? static_cast<std::uint64_t>(views[i].size()) : 0);
  }
  return bytes;
}

// Bytes of the elements [begin, end) of an array.
std::uint64_t RangeBytes(const arrow::ArrayData& data, std::int64_t begin, std::int64_t end) {
  const arrow::DataType& type = Storage(*data.type);
  std::uint64_t bytes = 0;
  switch (type.id()) {
    case arrow::Type::STRING:
    case arrow::Type::BINARY: return TextBytes<std::int32_t>(data, begin, end);
    case arrow::Type::LARGE_STRING:
    case arrow::Type::LARGE_BINARY: return TextBytes<std::int64_t>(data, begin, end);
    case arrow::Type::STRING_VIEW:
    case arrow::Type::BINARY_VIEW: return ViewBytes(data, begin, end);
    case arrow::Type::LIST:
    case arrow::Type::MAP: return ListBytes<std::int32_t>(data, begin, end);
    case arrow::Type::LARGE_LIST: return ListBytes<std::int64_t>(data, begin, end);
    case arrow::Type::FIXED_SIZE_LIST: {
      const std::int64_t size = static_cast<const arrow::FixedSizeListType&>(type).list_size();
      return RangeBytes(*data.child_data[0], (data.offset + begin) * size,
                        (data.offset + end) * size);
    }
    case arrow::Type::STRUCT:
      for (const auto& child : data.child_data) {
        bytes += RangeBytes(*child, data.offset + begin, data.offset + end);
      }
      return bytes;
    default: return static_cast<std::uint64_t>(end - begin) * FixedBytes(type);
  }
}

}  // namespace

RowBytes::RowBytes(std::shared_ptr<arrow::RecordBatch> batch) : batch_(std::move(batch)) {
  for (const auto& column : batch_->column_data()) {
    const std::uint64_t bytes = FixedBytes(Storage(*column->type));
    fixed_ += bytes;
    if (bytes == 0) variable_.push_back(column);
  }
}

std::uint64_t RowBytes::operator()(std::int64_t begin, std::int64_t end) const {
  std::uint64_t bytes = static_cast<std::uint64_t>(end - begin) * fixed_;
  for (const auto& column : variable_) bytes += RangeBytes(*column, begin, end);
  return bytes;
}

namespace {

// Whether even all rows of the slices' batches take no more; a question for each batch, where the
// slices may be thousands.
bool AllFit(const std::vector<RowSlice>& slices, std::uint64_t bytes_max) {
  SliceSources sources;
  std::uint64_t bytes = 0;
  for (const RowSlice& slice : slices) {
    if (slice.length == 0) continue;
    const std::size_t known = sources.batches().size();
    if (sources.NumberOf(slice.batch.get()) < known) continue;
    bytes += RowBytes(slice.batch)(0, slice.batch->num_rows());
    if (bytes > bytes_max) return false;
  }
  return true;
}

}  // namespace

std::vector<std::vector<RowSlice>> SplitByBytes(std::vector<RowSlice> slices,
                                                std::uint64_t bytes_max) {
  std::vector<std::vector<RowSlice>> parts(1);
  if (AllFit(slices, bytes_max)) {
    parts[0] = std::move(slices);
    return parts;
  }
  std::unordered_map<const arrow::RecordBatch*, RowBytes> sizes;
  std::uint64_t bytes = 0;  // of the last part
  for (const RowSlice& slice : slices) {
    const RowBytes& size_of = sizes.try_emplace(slice.batch.get(), slice.batch).first->second;
    RowSlice rest = slice;
    while (rest.length > 0) {
      std::int64_t rows = rest.length;
      // Few slices are cut, and these by halves until the rest fits.
      while (rows > 0 && bytes + size_of(rest.start, rest.start + rows) > bytes_max) rows /= 2;
      if (rows == 0 && !parts.back().empty()) {
        parts.emplace_back();
        bytes = 0;
        continue;
      }
      rows = std::max<std::int64_t>(rows, 1);
      bytes += size_of(rest.start, rest.start + rows);
      parts.back().push_back({rest.batch, rest.start, rows});
      rest.start += rows;
      rest.length -= rows;
    }
  }
  return parts;
}

}  // namespace varve
