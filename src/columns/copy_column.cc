// SPDX-License-Identifier: Apache-2.0
#include "columns/copy_column.h"

#include <arrow/array.h>
#include <arrow/buffer.h>
#include <arrow/extension_type.h>
#include <arrow/record_batch.h>
#include <arrow/util/bit_util.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <optional>
#include <utility>

namespace varve {
namespace {

using BufferPtr = std::shared_ptr<arrow::Buffer>;

constexpr std::ptrdiff_t kSourcesLookedAt = 8;

using Part = ColumnCopier::Part;

// A column of one batch. Plain pointers: counting references to many columns, each elsewhere in
// memory, would wait for one after the other.
struct Source {
  const arrow::ArrayData* data = nullptr;
  std::int64_t offset = 0;
  const std::uint8_t* buffers[3] = {};  // the first is null when no value is
};

// The rows of one column, wherever they are.
struct Rows {
  const std::vector<Part>& parts;
  const std::vector<Source>& sources;
  std::int64_t count;

  const Source& of(const Part& part) const { return sources[part.source]; }
  // The first of the part's values, which are of `Width` bytes.
  template <std::size_t Width>
  const std::uint8_t* Values(const Part& part) const {
    const Source& source = of(part);
    return source.buffers[1] + (source.offset + part.start) * static_cast<std::int64_t>(Width);
  }
  template <typename Offset>
  const Offset* Offsets(const Part& part) const {
    return reinterpret_cast<const Offset*>(Values<sizeof(Offset)>(part));
  }
};

std::uint8_t* BytesOf(const BufferPtr& buffer) { return buffer->mutable_data(); }

arrow::Result<BufferPtr> Allocate(std::int64_t bytes) {
  ARROW_ASSIGN_OR_RAISE(auto buffer, arrow::AllocateBuffer(bytes));
  return BufferPtr(std::move(buffer));
}

arrow::Result<BufferPtr> CopyBits(const Rows& rows, std::size_t buffer, std::int64_t* unset) {
  ARROW_ASSIGN_OR_RAISE(auto bits, Allocate(arrow::bit_util::BytesForBits(rows.count)));
  std::memset(BytesOf(bits), 0, static_cast<std::size_t>(bits->size()));
  std::int64_t at = 0;
  for (const Part& part : rows.parts) {
    const Source& source = rows.of(part);
    const auto* from = source.buffers[buffer];
    if (from == nullptr) {
      arrow::bit_util::SetBitsTo(BytesOf(bits), at, part.length, true);
      at += part.length;
      continue;
    }
    const std::int64_t start = source.offset + part.start;
    for (std::int64_t i = 0; i < part.length; ++i, ++at) {
      const bool set = arrow::bit_util::GetBit(from, start + i);
      if (set) arrow::bit_util::SetBit(BytesOf(bits), at);
      *unset += set ? 0 : 1;
    }
  }
  return bits;
}

// With a constant width the copy of one row is a load and a store.
template <std::size_t Width>
void CopyFixed(const Rows& rows, std::uint8_t* into) {
  for (const Part& part : rows.parts) {
    const std::uint8_t* from = rows.Values<Width>(part);
    for (std::int64_t i = 0; i < part.length; ++i, from += Width, into += Width) {
      std::memcpy(into, from, Width);
    }
  }
}

arrow::Result<BufferPtr> CopyValues(const Rows& rows, std::int64_t width) {
  ARROW_ASSIGN_OR_RAISE(auto values, Allocate(rows.count * width));
  std::uint8_t* into = BytesOf(values);
  switch (width) {
    case 1: CopyFixed<1>(rows, into); break;
    case 2: CopyFixed<2>(rows, into); break;
    case 4: CopyFixed<4>(rows, into); break;
    case 8: CopyFixed<8>(rows, into); break;
    case 16: CopyFixed<16>(rows, into); break;
    default:
      for (const Part& part : rows.parts) {
        const Source& source = rows.of(part);
        const auto bytes = static_cast<std::size_t>(part.length * width);
        const auto* from = source.buffers[1] + (source.offset + part.start) * width;
        if (bytes > 0) std::memcpy(into, from, bytes);
        into += bytes;
      }
  }
  return values;
}

template <typename Offset>
arrow::Result<std::vector<BufferPtr>> CopyText(const Rows& rows) {
  ARROW_ASSIGN_OR_RAISE(auto offsets,
                        Allocate((rows.count + 1) * static_cast<std::int64_t>(sizeof(Offset))));
  auto* into = reinterpret_cast<Offset*>(BytesOf(offsets));
  std::int64_t bytes = 0;
  for (const Part& part : rows.parts) {
    const auto* from = rows.Offsets<Offset>(part);
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
  for (const Part& part : rows.parts) {
    const auto* from = rows.Offsets<Offset>(part);
    const auto size = static_cast<std::size_t>(from[part.length] - from[0]);
    if (size > 0) std::memcpy(at, rows.of(part).buffers[2] + from[0], size);
    at += size;
  }
  return std::vector<BufferPtr>{std::move(offsets), std::move(text)};
}

const arrow::DataType& StorageOf(const arrow::DataType& type) {
  if (type.id() != arrow::Type::EXTENSION) return type;
  return StorageOf(*static_cast<const arrow::ExtensionType&>(type).storage_type());
}

// The buffers after the validity bitmap; none for a type that is not copied here.
arrow::Result<std::vector<BufferPtr>> CopyBuffers(const arrow::DataType& type, const Rows& rows) {
  switch (type.id()) {
    case arrow::Type::STRING:
    case arrow::Type::BINARY: return CopyText<std::int32_t>(rows);
    case arrow::Type::LARGE_STRING:
    case arrow::Type::LARGE_BINARY: return CopyText<std::int64_t>(rows);
    case arrow::Type::BOOL: {
      std::int64_t unset = 0;
      ARROW_ASSIGN_OR_RAISE(auto bits, CopyBits(rows, 1, &unset));
      return std::vector<BufferPtr>{std::move(bits)};
    }
    default: break;
  }
  const bool fixed = arrow::is_primitive(type.id()) || arrow::is_decimal(type.id()) ||
                     type.id() == arrow::Type::FIXED_SIZE_BINARY;
  if (!fixed) return std::vector<BufferPtr>();
  const int bits = static_cast<const arrow::FixedWidthType&>(type).bit_width();
  ARROW_ASSIGN_OR_RAISE(auto values, CopyValues(rows, bits / 8));
  return std::vector<BufferPtr>{std::move(values)};
}

// Nothing for what has no buffer of values.
std::optional<Source> SourceOf(const arrow::RecordBatch& batch, int column) {
  Source source{batch.column_data()[static_cast<std::size_t>(column)].get()};
  source.offset = source.data->offset;
  const auto& buffers = source.data->buffers;
  if (buffers.size() < 2 || buffers[1] == nullptr) return {};
  for (std::size_t i = 0; i < std::min<std::size_t>(buffers.size(), 3); ++i) {
    if (buffers[i] != nullptr) source.buffers[i] = buffers[i]->data();
  }
  if (source.data->GetNullCount() == 0) source.buffers[0] = nullptr;
  return source;
}

}  // namespace

std::uint32_t SliceSources::NumberOf(const arrow::RecordBatch* batch) {
  if (!batches_.empty() && batches_[last_] == batch) return static_cast<std::uint32_t>(last_);
  const auto begin = batches_.end() - std::min(std::ssize(batches_), kSourcesLookedAt);
  const auto found = std::find(begin, batches_.end(), batch);
  last_ = static_cast<std::size_t>(found - batches_.begin());
  if (found == batches_.end()) batches_.push_back(batch);
  return static_cast<std::uint32_t>(last_);
}

ColumnCopier::ColumnCopier(const std::vector<RowSlice>& slices) {
  parts_.reserve(slices.size());
  for (const RowSlice& slice : slices) {
    if (slice.length == 0) continue;
    parts_.push_back({slice.start, slice.length, sources_.NumberOf(slice.batch.get())});
    rows_ += slice.length;
  }
}

arrow::Result<std::shared_ptr<arrow::ArrayData>> ColumnCopier::Copy(int column) const {
  if (parts_.empty()) return nullptr;
  std::vector<Source> sources;
  sources.reserve(sources_.batches().size());
  bool nulls = false;
  for (const auto* batch : sources_.batches()) {
    auto source = SourceOf(*batch, column);
    if (!source) return nullptr;
    nulls = nulls || source->buffers[0] != nullptr;
    sources.push_back(*source);
  }
  const Rows rows{parts_, sources, rows_};
  const auto& type = sources.front().data->type;
  ARROW_ASSIGN_OR_RAISE(auto buffers, CopyBuffers(StorageOf(*type), rows));
  if (buffers.empty()) return nullptr;
  std::int64_t null_count = 0;
  BufferPtr validity;
  if (nulls) {
    ARROW_ASSIGN_OR_RAISE(validity, CopyBits(rows, 0, &null_count));
  }
  buffers.insert(buffers.begin(), null_count > 0 ? std::move(validity) : nullptr);
  return arrow::ArrayData::Make(type, rows_, std::move(buffers), null_count);
}

}  // namespace varve
