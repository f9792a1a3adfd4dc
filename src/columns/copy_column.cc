// SPDX-License-Identifier: Apache-2.0
#include "columns/copy_column.h"

#include <arrow/array.h>
#include <arrow/buffer.h>
#include <arrow/extension_type.h>
#include <arrow/record_batch.h>
#include <arrow/util/bit_util.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <limits>
#include <optional>
#include <utility>

namespace varve {
namespace {

using BufferPtr = std::shared_ptr<arrow::Buffer>;

// A merge has many slices of few batches, a memtable one slice of each of many: the last ones are
// looked at, and a batch may be there twice.
constexpr std::ptrdiff_t kSourcesLookedAt = 8;

// A column of one batch.
struct Source {
  const arrow::RecordBatch* batch;
  std::shared_ptr<arrow::ArrayData> data;
  const std::uint8_t* buffers[3];  // the first is null when no value is
};

// A slice of one column.
struct Part {
  const std::uint8_t* const* buffers;  // of its source
  std::int64_t start;                  // in them
  std::int64_t length;
};

template <typename T>
const T* ValuesOf(const Part& part) {
  return reinterpret_cast<const T*>(part.buffers[1]) + part.start;
}

std::uint8_t* BytesOf(const BufferPtr& buffer) { return buffer->mutable_data(); }

arrow::Result<BufferPtr> Allocate(std::int64_t bytes) {
  ARROW_ASSIGN_OR_RAISE(auto buffer, arrow::AllocateBuffer(bytes));
  return BufferPtr(std::move(buffer));
}

arrow::Result<BufferPtr> CopyBits(const std::vector<Part>& parts, std::int64_t rows,
                                  std::size_t buffer, std::int64_t* unset) {
  ARROW_ASSIGN_OR_RAISE(auto bits, Allocate(arrow::bit_util::BytesForBits(rows)));
  std::memset(BytesOf(bits), 0, static_cast<std::size_t>(bits->size()));
  std::int64_t at = 0;
  for (const Part& part : parts) {
    const auto* from = part.buffers[buffer];
    if (from == nullptr) {
      arrow::bit_util::SetBitsTo(BytesOf(bits), at, part.length, true);
      at += part.length;
      continue;
    }
    for (std::int64_t i = 0; i < part.length; ++i, ++at) {
      const bool set = arrow::bit_util::GetBit(from, part.start + i);
      if (set) arrow::bit_util::SetBit(BytesOf(bits), at);
      *unset += set ? 0 : 1;
    }
  }
  return bits;
}

// With a constant width the copy of one row is a load and a store.
template <std::size_t Width>
void CopyFixed(const std::vector<Part>& parts, std::uint8_t* into) {
  for (const Part& part : parts) {
    const std::uint8_t* from = part.buffers[1] + part.start * static_cast<std::int64_t>(Width);
    for (std::int64_t i = 0; i < part.length; ++i, from += Width, into += Width) {
      std::memcpy(into, from, Width);
    }
  }
}

arrow::Result<BufferPtr> CopyValues(const std::vector<Part>& parts, std::int64_t rows,
                                    std::int64_t width) {
  ARROW_ASSIGN_OR_RAISE(auto values, Allocate(rows * width));
  std::uint8_t* into = BytesOf(values);
  switch (width) {
    case 1: CopyFixed<1>(parts, into); break;
    case 2: CopyFixed<2>(parts, into); break;
    case 4: CopyFixed<4>(parts, into); break;
    case 8: CopyFixed<8>(parts, into); break;
    case 16: CopyFixed<16>(parts, into); break;
    default:
      for (const Part& part : parts) {
        const auto bytes = static_cast<std::size_t>(part.length * width);
        if (bytes > 0) std::memcpy(into, part.buffers[1] + part.start * width, bytes);
        into += bytes;
      }
  }
  return values;
}

template <typename Offset>
arrow::Result<std::vector<BufferPtr>> CopyText(const std::vector<Part>& parts, std::int64_t rows) {
  ARROW_ASSIGN_OR_RAISE(auto offsets,
                        Allocate((rows + 1) * static_cast<std::int64_t>(sizeof(Offset))));
  auto* into = reinterpret_cast<Offset*>(BytesOf(offsets));
  std::int64_t bytes = 0;
  for (const Part& part : parts) {
    const auto* from = ValuesOf<Offset>(part);
    for (std::int64_t i = 0; i < part.length; ++i) {
      *into++ = static_cast<Offset>(bytes);
      bytes += from[i + 1] - from[i];
    }
  }
  if (bytes > std::numeric_limits<Offset>::max()) {
    return arrow::Status::CapacityError(bytes, " bytes do not fit one array");
  }
  *into = static_cast<Offset>(bytes);
  ARROW_ASSIGN_OR_RAISE(auto text, Allocate(bytes));
  std::uint8_t* at = BytesOf(text);
  for (const Part& part : parts) {
    const auto* from = ValuesOf<Offset>(part);
    const auto size = static_cast<std::size_t>(from[part.length] - from[0]);
    if (size > 0) std::memcpy(at, part.buffers[2] + from[0], size);
    at += size;
  }
  return std::vector<BufferPtr>{std::move(offsets), std::move(text)};
}

const arrow::DataType& StorageOf(const arrow::DataType& type) {
  if (type.id() != arrow::Type::EXTENSION) return type;
  return StorageOf(*static_cast<const arrow::ExtensionType&>(type).storage_type());
}

// The buffers after the validity bitmap; none for a type that is not copied here.
arrow::Result<std::vector<BufferPtr>> CopyBuffers(const arrow::DataType& type,
                                                  const std::vector<Part>& parts,
                                                  std::int64_t rows) {
  switch (type.id()) {
    case arrow::Type::STRING:
    case arrow::Type::BINARY: return CopyText<std::int32_t>(parts, rows);
    case arrow::Type::LARGE_STRING:
    case arrow::Type::LARGE_BINARY: return CopyText<std::int64_t>(parts, rows);
    case arrow::Type::BOOL: {
      std::int64_t unset = 0;
      ARROW_ASSIGN_OR_RAISE(auto bits, CopyBits(parts, rows, 1, &unset));
      return std::vector<BufferPtr>{std::move(bits)};
    }
    default: break;
  }
  const bool fixed = arrow::is_primitive(type.id()) || arrow::is_decimal(type.id()) ||
                     type.id() == arrow::Type::FIXED_SIZE_BINARY;
  if (!fixed) return std::vector<BufferPtr>();
  const int bits = static_cast<const arrow::FixedWidthType&>(type).bit_width();
  ARROW_ASSIGN_OR_RAISE(auto values, CopyValues(parts, rows, bits / 8));
  return std::vector<BufferPtr>{std::move(values)};
}

// Nothing for what has no buffer of values.
std::optional<Source> SourceOf(const arrow::RecordBatch& batch, int column) {
  Source source{&batch, batch.column_data(column), {}};
  const auto& buffers = source.data->buffers;
  if (buffers.size() < 2 || buffers[1] == nullptr) return {};
  for (std::size_t i = 0; i < std::min<std::size_t>(buffers.size(), 3); ++i) {
    if (buffers[i] != nullptr) source.buffers[i] = buffers[i]->data();
  }
  if (source.data->GetNullCount() == 0) source.buffers[0] = nullptr;
  return source;
}

}  // namespace

arrow::Result<std::shared_ptr<arrow::Array>> CopyColumn(const std::vector<RowSlice>& slices,
                                                        int column) {
  std::deque<Source> sources;  // parts point into them
  std::vector<Part> parts;
  parts.reserve(slices.size());
  std::int64_t rows = 0;
  bool nulls = false;
  for (const RowSlice& slice : slices) {
    if (slice.length == 0) continue;
    const auto end = sources.begin() + std::min(std::ssize(sources), kSourcesLookedAt);
    auto source = std::ranges::find(sources.begin(), end, slice.batch.get(), &Source::batch);
    if (source == end) {
      auto found = SourceOf(*slice.batch, column);
      if (!found) return nullptr;
      nulls = nulls || found->buffers[0] != nullptr;
      sources.push_front(*std::move(found));
      source = sources.begin();
    }
    rows += slice.length;
    parts.push_back({source->buffers, source->data->offset + slice.start, slice.length});
  }
  if (parts.empty()) return nullptr;
  const auto& type = sources.front().data->type;
  ARROW_ASSIGN_OR_RAISE(auto buffers, CopyBuffers(StorageOf(*type), parts, rows));
  if (buffers.empty()) return nullptr;
  std::int64_t null_count = 0;
  BufferPtr validity;
  if (nulls) {
    ARROW_ASSIGN_OR_RAISE(validity, CopyBits(parts, rows, 0, &null_count));
  }
  buffers.insert(buffers.begin(), null_count > 0 ? std::move(validity) : nullptr);
  return arrow::MakeArray(arrow::ArrayData::Make(type, rows, std::move(buffers), null_count));
}

}  // namespace varve
