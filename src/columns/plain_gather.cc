// SPDX-License-Identifier: Apache-2.0
// PlainLayout::Gather: the rows of many small batches, copied out of their bytes column by column.
#include <arrow/array/data.h>
#include <arrow/buffer.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <arrow/util/bit_util.h>
#include <arrow/util/bitmap_ops.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "base/bytes.h"
#include "base/result.h"
#include "columns/arrow_errors.h"
#include "columns/arrow_pool.h"
#include "columns/plain_layout.h"

namespace varve {
namespace {

constexpr std::size_t kNodeBytes = 16;

using BufferPtr = std::shared_ptr<arrow::Buffer>;

}  // namespace

class PlainLayout::Gatherer {
 public:
  Gatherer(const PlainLayout& layout, const std::vector<PlainSlice>& slices)
      : layout_(layout), slices_(slices) {
    for (const PlainSlice& slice : slices) rows_ += slice.length;
  }
  std::int64_t rows() const { return rows_; }

  arrow::Result<std::shared_ptr<arrow::ArrayData>> Gathered(std::size_t i) const {
    const Column& column = layout_.columns_[i];
    std::vector<BufferPtr> buffers(1);
    std::int64_t nulls = 0;
    if (HasNulls(i)) {
      ARROW_ASSIGN_OR_RAISE(buffers[0], Validity(i));
      nulls = rows_ - arrow::internal::CountSetBits(buffers[0]->data(), 0, rows_);
    }
    switch (column.form) {
      case Form::kBits:
        ARROW_RETURN_NOT_OK(AddBits(column, &buffers));
        break;
      case Form::kFixed:
        ARROW_RETURN_NOT_OK(AddFixed(column, &buffers));
        break;
      case Form::kText:
        ARROW_RETURN_NOT_OK(AddText<std::int32_t>(column, &buffers));
        break;
      case Form::kLargeText:
        ARROW_RETURN_NOT_OK(AddText<std::int64_t>(column, &buffers));
        break;
    }
    return arrow::ArrayData::Make(layout_.fields_[i]->type(), rows_,
                                  std::move(buffers), nulls);
  }

 private:
  const std::uint8_t* BufferOf(const PlainSlice& slice, std::size_t buffer) const {
    const char* const head = reinterpret_cast<const char*>(slice.bytes->data());
    return slice.bytes->data() + layout_.head_.size() +
           LoadLittle<std::int64_t>(head + layout_.buffers_at_ + buffer * kNodeBytes);
  }
  bool HasNulls(const PlainSlice& slice, std::size_t i) const {
    const char* const head = reinterpret_cast<const char*>(slice.bytes->data());
    return LoadLittle<std::int64_t>(head + layout_.nodes_at_ + i * kNodeBytes + 8) > 0;
  }
  bool HasNulls(std::size_t i) const {
    return std::ranges::any_of(slices_, [&](const auto& slice) { return HasNulls(slice, i); });
  }

  arrow::Result<BufferPtr> Validity(std::size_t i) const {
    ARROW_ASSIGN_OR_RAISE(auto bits, arrow::AllocateEmptyBitmap(rows_, ArrowPool()));
    std::int64_t at = 0;
    for (const PlainSlice& slice : slices_) {
      if (HasNulls(slice, i)) {
        arrow::internal::CopyBitmap(BufferOf(slice, layout_.columns_[i].first_buffer), slice.start,
                                    slice.length, bits->mutable_data(), at);
      } else {
        arrow::bit_util::SetBitsTo(bits->mutable_data(), at, slice.length, true);
      }
      at += slice.length;
    }
    return bits;
  }

  arrow::Status AddBits(const Column& column, std::vector<BufferPtr>* buffers) const {
    ARROW_ASSIGN_OR_RAISE(auto bits, arrow::AllocateEmptyBitmap(rows_, ArrowPool()));
    std::int64_t at = 0;
    for (const PlainSlice& slice : slices_) {
      arrow::internal::CopyBitmap(BufferOf(slice, column.first_buffer + 1), slice.start,
                                  slice.length, bits->mutable_data(), at);
      at += slice.length;
    }
    buffers->push_back(std::move(bits));
    return {};
  }

  // Of single rows, which most slices are, a copy of known size is a load and a store.
  template <std::int64_t kWidth>
  void CopyFixed(std::size_t buffer, std::int64_t width, std::uint8_t* to) const {
    if constexpr (kWidth > 0) width = kWidth;
    for (const PlainSlice& slice : slices_) {
      const auto* const from = BufferOf(slice, buffer) + slice.start * width;
      if (slice.length == 1) {
        std::memcpy(to, from, static_cast<std::size_t>(kWidth > 0 ? kWidth : width));
      } else {
        std::memcpy(to, from, static_cast<std::size_t>(slice.length * width));
      }
      to += slice.length * width;
    }
  }

  arrow::Status AddFixed(const Column& column, std::vector<BufferPtr>* buffers) const {
    ARROW_ASSIGN_OR_RAISE(BufferPtr values,
                          arrow::AllocateBuffer(rows_ * column.width, ArrowPool()));
    const auto buffer = column.first_buffer + 1;
    switch (column.width) {
      case 4:
        CopyFixed<4>(buffer, 4, values->mutable_data());
        break;
      case 8:
        CopyFixed<8>(buffer, 8, values->mutable_data());
        break;
      default:
        CopyFixed<0>(buffer, column.width, values->mutable_data());
    }
    buffers->push_back(std::move(values));
    return {};
  }

  template <typename Offset>
  arrow::Status AddText(const Column& column, std::vector<BufferPtr>* buffers) const {
    constexpr auto kOffset = static_cast<std::int64_t>(sizeof(Offset));
    ARROW_ASSIGN_OR_RAISE(BufferPtr offsets,
                          arrow::AllocateBuffer((rows_ + 1) * kOffset, ArrowPool()));
    auto* to = reinterpret_cast<Offset*>(offsets->mutable_data());
    std::int64_t size = 0;
    *to++ = 0;
    for (const PlainSlice& slice : slices_) {
      const auto* const from = OffsetsOf<Offset>(slice, column);
      for (std::int64_t row = 0; row < slice.length; ++row) {
        size += from[row + 1] - from[row];
        *to++ = static_cast<Offset>(size);
      }
      if (size > std::numeric_limits<Offset>::max()) {
        return arrow::Status::CapacityError("text of one column passes 2 GiB");
      }
    }
    ARROW_ASSIGN_OR_RAISE(BufferPtr texts, arrow::AllocateBuffer(size, ArrowPool()));
    auto* text = texts->mutable_data();
    for (const PlainSlice& slice : slices_) {
      const auto* const from = OffsetsOf<Offset>(slice, column);
      const auto bytes = from[slice.length] - from[0];
      if (bytes == 0) continue;
      std::memcpy(text, BufferOf(slice, column.first_buffer + 2) + from[0],
                  static_cast<std::size_t>(bytes));
      text += bytes;
    }
    buffers->push_back(std::move(offsets));
    buffers->push_back(std::move(texts));
    return {};
  }

  template <typename Offset>
  const Offset* OffsetsOf(const PlainSlice& slice, const Column& column) const {
    return reinterpret_cast<const Offset*>(BufferOf(slice, column.first_buffer + 1)) + slice.start;
  }

  const PlainLayout& layout_;
  const std::vector<PlainSlice>& slices_;
  std::int64_t rows_ = 0;
};

Result<std::shared_ptr<arrow::RecordBatch>> PlainLayout::Gather(
    const std::vector<PlainSlice>& slices, const std::shared_ptr<arrow::Schema>& schema) const {
  const Gatherer gatherer(*this, slices);
  std::vector<std::shared_ptr<arrow::ArrayData>> columns;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    VARVE_ASSIGN(auto column, FromArrow(gatherer.Gathered(i)));
    columns.push_back(std::move(column));
  }
  return arrow::RecordBatch::Make(schema, gatherer.rows(), std::move(columns));
}

}  // namespace varve
