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
#include <type_traits>
#include <utility>

#include "base/check.h"
#include "columns/arrow_pool.h"

namespace varve {
namespace {

using BufferPtr = std::shared_ptr<arrow::Buffer>;

constexpr std::int64_t kFewRowsMax = 16;

// Rows that a merge chose come in parts of a few, and where each ends no processor foresees. To
// copy a whole block, of which the next part writes over what was too much, is cheaper than a loop
// that ends with the part; where a block would leave its memory the part alone is copied.
constexpr std::int64_t kBlockValues = 8;
// So many parts before their turn values are asked for: parts of many batches lie anywhere.
constexpr std::size_t kPartsAhead = 12;
// Of a merge of so few batches the processor itself sees where each goes on.
constexpr std::size_t kSourcesInOrderMax = 32;
constexpr std::size_t kBlockBytes = 64;

using Part = ColumnCopier::Part;

// A column of one batch. Plain pointers: counting references to many columns, each elsewhere in
// memory, would wait for one after the other.
struct Source {
  const arrow::ArrayData* data = nullptr;
  std::int64_t offset = 0;
  std::int64_t rows = 0;
  const std::uint8_t* buffers[3] = {};  // the first is null when no value is
  const std::uint8_t* text_end = nullptr;
};

// Memory that all columns of one copy share: buffers and their bytes.
class SharedBytes {
 public:
  SharedBytes(std::size_t buffers, std::size_t bytes)
      : buffers_(buffers), bytes_(std::make_unique_for_overwrite<std::uint8_t[]>(bytes)),
        size_(bytes) {}

  // Null when there is no room.
  static BufferPtr Take(const std::shared_ptr<SharedBytes>& from, std::int64_t bytes) {
    const auto room = static_cast<std::size_t>(arrow::bit_util::RoundUp(bytes, kAlignment));
    if (from->size_ - from->used_ < room || from->taken_ == from->buffers_.size()) return nullptr;
    auto& buffer = from->buffers_[from->taken_++];
    buffer.emplace(from->bytes_.get() + from->used_, bytes);
    from->used_ += room;
    return {from, &*buffer};
  }

 private:
  static constexpr std::int64_t kAlignment = 16;  // of the widest values

  std::vector<std::optional<arrow::MutableBuffer>> buffers_;
  std::size_t taken_ = 0;
  const std::unique_ptr<std::uint8_t[]> bytes_;
  const std::size_t size_;
  std::size_t used_ = 0;
};

// The rows of one column, wherever they are.
struct Rows {
  const std::vector<Part>& parts;
  const std::vector<Source>& sources;
  std::int64_t count;
  const std::shared_ptr<SharedBytes>& shared;  // null: each buffer has memory of its own
  bool scattered = sources.size() > kSourcesInOrderMax;

  arrow::Result<BufferPtr> Allocate(std::int64_t bytes) const {
    if (shared != nullptr) {
      if (auto buffer = SharedBytes::Take(shared, bytes)) return buffer;
    }
    ARROW_ASSIGN_OR_RAISE(auto buffer, arrow::AllocateBuffer(bytes, ArrowPool()));
    return BufferPtr(std::move(buffer));
  }

  const Source& of(const Part& part) const { return sources[part.source]; }
  // Whether a block of values can take the part's place when `room` values fit in there.
  bool FillsABlock(const Part& part, std::int64_t room) const {
    return part.length <= kBlockValues && kBlockValues <= room &&
           part.start + kBlockValues <= of(part).rows;
  }
  // The same of text, whose offsets are asked for twice as early.
  template <typename Offset>
  void PrefetchText(const Part& part) const {
    if (!scattered) return;
    const auto at = static_cast<std::size_t>(&part - parts.data());
    if (at + 2 * kPartsAhead < parts.size()) {
      __builtin_prefetch(Values<sizeof(Offset)>(parts[at + 2 * kPartsAhead]));
    }
    if (at + kPartsAhead >= parts.size()) return;
    const Part& ahead = parts[at + kPartsAhead];
    __builtin_prefetch(of(ahead).buffers[2] + *Offsets<Offset>(ahead));
  }
  // The first of the part's values, which are of `Width` bytes.
  template <std::size_t Width>
  const std::uint8_t* Values(const Part& part) const {
    const Source& source = of(part);
    return source.buffers[1] + (source.offset + part.start) * static_cast<std::int64_t>(Width);
  }
  // Asks for what is copied some parts after this one.
  template <std::size_t Width>
  void PrefetchAfter(const Part& part) const {
    if (!scattered) return;
    const auto ahead = static_cast<std::size_t>(&part - parts.data()) + kPartsAhead;
    if (ahead < parts.size()) __builtin_prefetch(Values<Width>(parts[ahead]));
  }
  template <typename Offset>
  const Offset* Offsets(const Part& part) const {
    return reinterpret_cast<const Offset*>(Values<sizeof(Offset)>(part));
  }
};

std::uint8_t* BytesOf(const BufferPtr& buffer) { return buffer->mutable_data(); }

arrow::Result<BufferPtr> CopyBits(const Rows& rows, std::size_t buffer, std::int64_t* unset) {
  ARROW_ASSIGN_OR_RAISE(auto bits, rows.Allocate(arrow::bit_util::BytesForBits(rows.count)));
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

template <std::size_t Width>
void CopyFixed(const Rows& rows, std::uint8_t* into) {
  std::int64_t room = rows.count;
  for (const Part& part : rows.parts) {
    rows.PrefetchAfter<Width>(part);
    const std::uint8_t* from = rows.Values<Width>(part);
    const auto bytes = static_cast<std::size_t>(part.length) * Width;
    if (rows.FillsABlock(part, room)) {
      std::memcpy(into, from, kBlockValues * Width);
    } else {
      std::memcpy(into, from, bytes);
    }
    into += bytes;
    room -= part.length;
  }
}

arrow::Result<BufferPtr> CopyValues(const Rows& rows, std::int64_t width) {
  ARROW_ASSIGN_OR_RAISE(auto values, rows.Allocate(rows.count * width));
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

using Buffers = std::vector<BufferPtr>;

// Gives the bytes of all values; where they do not fit `Offset` the offsets are worth nothing.
template <typename Offset>
std::int64_t CopyOffsets(const Rows& rows, Offset* into) {
  using Bits = std::make_unsigned_t<Offset>;
  std::int64_t bytes = 0;
  std::int64_t room = rows.count;
  for (const Part& part : rows.parts) {
    rows.PrefetchAfter<sizeof(Offset)>(part);
    const auto* from = rows.Offsets<Offset>(part);
    const auto shift = static_cast<Bits>(bytes) - static_cast<Bits>(from[0]);
    const auto copy = [&](std::int64_t count) {
      for (std::int64_t i = 0; i < count; ++i) {
        into[i] = static_cast<Offset>(static_cast<Bits>(from[i]) + shift);
      }
    };
    rows.FillsABlock(part, room) ? copy(kBlockValues) : copy(part.length);
    bytes += from[part.length] - from[0];
    into += part.length;
    room -= part.length;
  }
  *into = static_cast<Offset>(bytes);
  return bytes;
}

template <typename Offset>
arrow::Status CopyText(const Rows& rows, Buffers* buffers) {
  constexpr auto kWidth = static_cast<std::int64_t>(sizeof(Offset));
  ARROW_ASSIGN_OR_RAISE(auto offsets, rows.Allocate((rows.count + 1) * kWidth));
  const auto bytes = CopyOffsets(rows, reinterpret_cast<Offset*>(BytesOf(offsets)));
  if (bytes > std::numeric_limits<Offset>::max()) {
    return arrow::Status::CapacityError(bytes, " bytes do not fit one array");
  }
  ARROW_ASSIGN_OR_RAISE(auto text, rows.Allocate(bytes));
  auto room = static_cast<std::size_t>(bytes);
  std::uint8_t* at = BytesOf(text);
  for (const Part& part : rows.parts) {
    rows.PrefetchText<Offset>(part);
    const auto* offset = rows.Offsets<Offset>(part);
    const Source& source = rows.of(part);
    const auto* from = source.buffers[2] + offset[0];
    const auto size = static_cast<std::size_t>(offset[part.length] - offset[0]);
    if (size <= kBlockBytes && kBlockBytes <= room &&
        source.text_end - from >= static_cast<std::ptrdiff_t>(kBlockBytes)) {
      std::memcpy(at, from, kBlockBytes);
    } else if (size > 0) {
      std::memcpy(at, from, size);
    }
    at += size;
    room -= size;
  }
  buffers->push_back(std::move(offsets));
  buffers->push_back(std::move(text));
  return arrow::Status::OK();
}

const arrow::DataType& StorageOf(const arrow::DataType& type) {
  if (type.id() != arrow::Type::EXTENSION) return type;
  return StorageOf(*static_cast<const arrow::ExtensionType&>(type).storage_type());
}

// Adds the buffers after the validity bitmap; none for a type that is not copied here.
arrow::Status CopyBuffers(const arrow::DataType& type, const Rows& rows, Buffers* buffers) {
  switch (type.id()) {
    case arrow::Type::STRING:
    case arrow::Type::BINARY: return CopyText<std::int32_t>(rows, buffers);
    case arrow::Type::LARGE_STRING:
    case arrow::Type::LARGE_BINARY: return CopyText<std::int64_t>(rows, buffers);
    case arrow::Type::BOOL: {
      std::int64_t unset = 0;
      ARROW_ASSIGN_OR_RAISE(auto bits, CopyBits(rows, 1, &unset));
      buffers->push_back(std::move(bits));
      return arrow::Status::OK();
    }
    default: break;
  }
  const bool fixed = arrow::is_primitive(type.id()) || arrow::is_decimal(type.id()) ||
                     type.id() == arrow::Type::FIXED_SIZE_BINARY;
  if (!fixed) return arrow::Status::OK();
  const int bits = static_cast<const arrow::FixedWidthType&>(type).bit_width();
  ARROW_ASSIGN_OR_RAISE(auto values, CopyValues(rows, bits / 8));
  buffers->push_back(std::move(values));
  return arrow::Status::OK();
}

// Nothing for what has no buffer of values.
std::optional<Source> SourceOf(const arrow::RecordBatch& batch, int column) {
  Source source{batch.column_data()[static_cast<std::size_t>(column)].get()};
  source.offset = source.data->offset;
  source.rows = source.data->length;
  const auto& buffers = source.data->buffers;
  if (buffers.size() < 2 || buffers[1] == nullptr) return {};
  for (std::size_t i = 0; i < std::min<std::size_t>(buffers.size(), 3); ++i) {
    if (buffers[i] != nullptr) source.buffers[i] = buffers[i]->data();
  }
  if (source.buffers[2] != nullptr) source.text_end = source.buffers[2] + buffers[2]->size();
  if (source.data->GetNullCount() == 0) source.buffers[0] = nullptr;
  return source;
}

// What the copies will read, level by level, so that all columns wait for memory at once and not
// one after the other: arrays, their lists of buffers, buffers, values.
void FetchColumns(const std::vector<const arrow::RecordBatch*>& batches,
                  const std::vector<Part>& parts) {
  for (const auto* batch : batches) {
    const auto& columns = batch->column_data();
    for (const auto& column : columns) __builtin_prefetch(column.get());
    for (const auto& column : columns) __builtin_prefetch(column->buffers.data());
    for (const auto& column : columns) {
      for (const auto& buffer : column->buffers) __builtin_prefetch(buffer.get());
    }
  }
  for (const Part& part : parts) {
    for (const auto& column : batches[part.source]->column_data()) {
      const auto& buffers = column->buffers;
      if (buffers.size() < 2 || buffers[1] == nullptr) continue;
      const int bits = std::max(arrow::bit_width(column->type->storage_id()), 0);
      const auto row = column->offset + part.start;
      __builtin_prefetch(buffers[1]->data() + row * (buffers.size() > 2 ? 4 : bits / 8));
    }
  }
}

}  // namespace

SliceSources::Known* SliceSources::Find(const arrow::RecordBatch* batch) {
  Known* const table = many_.empty() ? few_.data() : many_.data();
  const std::size_t last = (std::size_t{1} << bits_) - 1;
  const auto address = reinterpret_cast<std::uintptr_t>(batch);
  std::size_t at = (address * 0x9E3779B97F4A7C15u) >> (64 - bits_);
  while (table[at].batch != batch && table[at].batch != nullptr) at = (at + 1) & last;
  return &table[at];
}

void SliceSources::Grow() {
  many_.assign(std::size_t{1} << ++bits_, {});
  for (std::uint32_t number = 0; number < batches_.size(); ++number) {
    *Find(batches_[number]) = {batches_[number], number};
  }
}

std::uint32_t SliceSources::NumberOf(const arrow::RecordBatch* batch) {
  Known* const known = Find(batch);
  if (known->batch == batch) return known->number;
  const auto number = static_cast<std::uint32_t>(batches_.size());
  *known = {batch, number};
  batches_.push_back(batch);
  if (2 * batches_.size() > (std::size_t{1} << bits_)) Grow();
  return number;
}

// What all columns of a copy of few rows share. The arrays have memory apart from their buffers:
// they keep those.
class ColumnCopier::FewRows {
 public:
  FewRows(int columns, std::int64_t rows)
      : bytes_(std::make_shared<SharedBytes>(Places(columns) * kBuffersMost,
                                             Places(columns) * BytesOfColumn(rows))),
        arrays_(std::make_shared<Arrays>()) {
    arrays_->reserve(Places(columns));
  }

  const std::shared_ptr<SharedBytes>& bytes() const { return bytes_; }

  std::shared_ptr<arrow::ArrayData> Make(std::shared_ptr<arrow::DataType> type, std::int64_t rows,
                                         Buffers buffers, std::int64_t nulls) {
    VARVE_CHECK(arrays_->size() < arrays_->capacity());
    auto& made = arrays_->emplace_back(std::move(type), rows, std::move(buffers), nulls);
    return {arrays_, &made};
  }

 private:
  using Arrays = std::vector<arrow::ArrayData>;

  static constexpr std::size_t kBuffersMost = 3;
  static std::size_t Places(int columns) { return static_cast<std::size_t>(columns); }
  // Enough for numbers and short text; what is longer gets memory of its own.
  static std::size_t BytesOfColumn(std::int64_t rows) {
    return 32 + static_cast<std::size_t>(rows) * 16;
  }

  const std::shared_ptr<SharedBytes> bytes_;
  const std::shared_ptr<Arrays> arrays_;
};

ColumnCopier::ColumnCopier(const std::vector<RowSlice>& slices, int columns) {
  parts_.reserve(slices.size());
  for (const RowSlice& slice : slices) {
    if (slice.length == 0) continue;
    parts_.push_back({slice.start, slice.length, sources_.NumberOf(slice.batch.get())});
    rows_ += slice.length;
  }
  if (rows_ > kFewRowsMax) return;
  few_ = std::make_unique<FewRows>(columns, rows_);
  FetchColumns(sources_.batches(), parts_);
}

ColumnCopier::~ColumnCopier() = default;

arrow::Result<std::shared_ptr<arrow::ArrayData>> ColumnCopier::Copy(int column) {
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
  static const std::shared_ptr<SharedBytes> kNone;
  const Rows rows{parts_, sources, rows_, few_ ? few_->bytes() : kNone};
  const auto& type = sources.front().data->type;
  Buffers buffers;
  buffers.reserve(3);
  buffers.emplace_back();
  ARROW_RETURN_NOT_OK(CopyBuffers(StorageOf(*type), rows, &buffers));
  if (buffers.size() == 1) return nullptr;
  std::int64_t null_count = 0;
  if (nulls) {
    ARROW_ASSIGN_OR_RAISE(auto validity, CopyBits(rows, 0, &null_count));
    if (null_count > 0) buffers[0] = std::move(validity);
  }
  if (few_) return few_->Make(type, rows_, std::move(buffers), null_count);
  return arrow::ArrayData::Make(type, rows_, std::move(buffers), null_count);
}

}  // namespace varve
