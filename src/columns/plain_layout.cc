// SPDX-License-Identifier: Apache-2.0
#include "columns/plain_layout.h"

#include <arrow/array.h>
#include <arrow/buffer.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <arrow/util/bit_util.h>
#include <arrow/util/bitmap_ops.h>
#include <arrow/util/utf8.h>

#include <cstring>
#include <limits>
#include <map>
#include <mutex>
#include <optional>
#include <utility>

#include "base/bytes.h"
#include "columns/batch_codec.h"
#include "columns/sample_values.h"

namespace varve {
namespace {

constexpr std::int64_t kRowsMost = std::numeric_limits<std::int32_t>::max();
constexpr std::int64_t kWidthMax = 65536;  // a schema is not believed further, for it costs a row
constexpr std::size_t kAlignment = 8;      // of the buffers in the body
constexpr std::size_t kPrefixBytes = 8;    // of an IPC message: a mark, the size of the flatbuffer
constexpr std::size_t kPairBytes = 16;     // of a FieldNode and of a Buffer: two numbers

// Field ids of Arrow's Message.fbs and RecordBatch.
constexpr std::size_t kMessageHeader = 2, kMessageBodySize = 3;
constexpr std::size_t kBatchRows = 0, kBatchNodes = 1, kBatchBuffers = 2;

// Places in a flatbuffer that Arrow has just made; no other is walked through here.
struct Flat {
  const char* bytes;

  std::size_t Follow(std::size_t at) const { return at + LoadLittle<std::uint32_t>(bytes + at); }
  // Where the field of the table is; nothing when it has its default.
  std::optional<std::size_t> Field(std::size_t table, std::size_t id) const {
    const char* const vtable = bytes + table - LoadLittle<std::int32_t>(bytes + table);
    const std::size_t slot = sizeof(std::uint16_t) * (2 + id);
    if (slot >= LoadLittle<std::uint16_t>(vtable)) return std::nullopt;
    const auto field = LoadLittle<std::uint16_t>(vtable + slot);
    return field == 0 ? std::nullopt : std::optional(table + field);
  }
};

bool IsAscii(const std::uint8_t* text, std::int64_t size) {
  std::uint64_t seen = 0;
  for (; size >= 8; size -= 8, text += 8) {
    std::uint64_t word;
    std::memcpy(&word, text, sizeof word);
    seen |= word;
  }
  for (; size > 0; --size) seen |= *text++;
  return (seen & 0x8080808080808080u) == 0;
}

template <typename Offset>
bool AreSoundTexts(const arrow::ArrayData& data, bool utf8) {
  const auto& offsets = *data.buffers[1];
  const auto& texts = *data.buffers[2];
  const auto end = static_cast<std::int64_t>(sizeof(Offset)) * (data.offset + data.length + 1);
  if (offsets.size() < end || offsets.address() % sizeof(Offset) != 0) return false;
  const Offset* const at = data.GetValues<Offset>(1);
  if (at[0] < 0 || at[data.length] > texts.size()) return false;
  for (std::int64_t i = 0; i < data.length; ++i) {
    if (at[i] > at[i + 1]) return false;
  }
  if (!utf8 || IsAscii(texts.data() + at[0], at[data.length] - at[0])) return true;
  for (std::int64_t i = 0; i < data.length; ++i) {
    if (!arrow::util::ValidateUTF8(texts.data() + at[i], at[i + 1] - at[i])) return false;
  }
  return true;
}

bool SameType(const arrow::DataType& a, const arrow::DataType& b, bool has_parameters) {
  if (&a == &b) return true;
  if (a.id() != b.id()) return false;
  if (!has_parameters) return true;
  if (a.id() != arrow::Type::TIMESTAMP) return a.Equals(b);
  const auto& left = static_cast<const arrow::TimestampType&>(a);
  const auto& right = static_cast<const arrow::TimestampType&>(b);
  return left.unit() == right.unit() && left.timezone() == right.timezone();
}

bool IsHere(const arrow::Buffer* buffer) { return buffer != nullptr && buffer->is_cpu(); }

template <typename Offset>
void CopyOffsets(const std::uint8_t* from, std::int64_t base, std::size_t size, char* to) {
  if (base == 0) {
    std::memcpy(to, from, size);
    return;
  }
  for (std::size_t i = 0; i < size; i += sizeof(Offset)) {
    Offset offset;
    std::memcpy(&offset, from + i, sizeof offset);
    StoreLittle<Offset>(to + i, static_cast<Offset>(offset - base));
  }
}

}  // namespace

// One buffer of the body, as it lies in the batch.
struct PlainLayout::Piece {
  enum class Kind : std::uint8_t { kBytes, kBits, kOffsets, kLargeOffsets };
  Kind kind = Kind::kBytes;
  const std::uint8_t* from = nullptr;
  std::int64_t first = 0;  // kBits: of the bits; offsets: what is taken from each
  std::int64_t bits = 0;
  std::size_t size = 0;

  std::size_t padded() const { return RoundUp(size, kAlignment); }
  void CopyTo(char* to) const {
    if (size == 0) return;
    StoreLittle<std::uint64_t>(to + padded() - kAlignment, 0);
    switch (kind) {
      case Kind::kBytes:
        std::memcpy(to, from, size);
        return;
      case Kind::kBits:
        arrow::internal::CopyBitmap(from, first, bits, reinterpret_cast<std::uint8_t*>(to), 0);
        return;
      case Kind::kOffsets:
        return CopyOffsets<std::int32_t>(from, first, size, to);
      case Kind::kLargeOffsets:
        return CopyOffsets<std::int64_t>(from, first, size, to);
    }
  }
  static Piece Bits(const std::uint8_t* from, const arrow::ArrayData& data) {
    return {.kind = Kind::kBits,
            .from = from,
            .first = data.offset,
            .bits = data.length,
            .size = static_cast<std::size_t>(arrow::bit_util::BytesForBits(data.length))};
  }
  template <typename Offset>
  static void AddText(Kind kind, const arrow::ArrayData& data, std::vector<Piece>* pieces) {
    const Offset* const at = data.GetValues<Offset>(1);
    pieces->push_back({.kind = kind,
                       .from = reinterpret_cast<const std::uint8_t*>(at),
                       .first = at[0],
                       .size = static_cast<std::size_t>(data.length + 1) * sizeof(Offset)});
    const auto size = static_cast<std::size_t>(at[data.length] - at[0]);
    pieces->push_back(
        {.from = size == 0 ? nullptr : data.buffers[2]->data() + at[0], .size = size});
  }
};

std::shared_ptr<const PlainLayout> PlainLayout::Make(
    const std::shared_ptr<arrow::Schema>& schema) {
  auto layout = std::shared_ptr<PlainLayout>(new PlainLayout());
  for (const auto& field : schema->fields()) {
    Column column{.required = !field->nullable(), .first_buffer = layout->buffers_};
    if (!Describe(*field->type(), &column)) return nullptr;
    layout->buffers_ += column.form == Form::kText || column.form == Form::kLargeText ? 3 : 2;
    layout->columns_.push_back(column);
  }
  layout->fields_ = schema->fields();
  arrow::util::InitializeUTF8();
  return layout->TakeHead(schema) ? layout : nullptr;
}

namespace {

struct Remembered {
  std::mutex mutex;
  std::map<std::weak_ptr<arrow::Schema>, std::shared_ptr<const PlainLayout>, std::owner_less<>>
      layouts;  // guarded by mutex
};

Remembered& AllRemembered() {
  static Remembered* const remembered = new Remembered;  // threads may outlive what is static
  return *remembered;
}

}  // namespace

void PlainLayout::Remember(const std::shared_ptr<arrow::Schema>& schema) {
  auto layout = Make(schema);
  auto& remembered = AllRemembered();
  const std::lock_guard lock(remembered.mutex);
  std::erase_if(remembered.layouts, [](const auto& entry) { return entry.first.expired(); });
  if (layout != nullptr) remembered.layouts[schema] = std::move(layout);
}

std::shared_ptr<const PlainLayout> PlainLayout::Of(const std::shared_ptr<arrow::Schema>& schema) {
  // A thread mostly asks for the one table that it writes into.
  struct Last {
    std::weak_ptr<arrow::Schema> schema;
    std::shared_ptr<const PlainLayout> layout;
  };
  thread_local Last last;
  constexpr std::owner_less<> kBefore;
  if (last.layout && !kBefore(last.schema, schema) && !kBefore(schema, last.schema)) {
    return last.layout;
  }
  auto& remembered = AllRemembered();
  const std::lock_guard lock(remembered.mutex);
  const auto at = remembered.layouts.find(schema);
  if (at == remembered.layouts.end()) return nullptr;
  last = {schema, at->second};
  return at->second;
}

bool PlainLayout::Describe(const arrow::DataType& type, Column* column) {
  using arrow::TimeUnit;
  using arrow::Type;
  column->width = type.byte_width();
  switch (type.id()) {
    case Type::BOOL:
      column->form = Form::kBits;
      return true;
    case Type::INT8:
    case Type::INT16:
    case Type::INT32:
    case Type::INT64:
    case Type::UINT8:
    case Type::UINT16:
    case Type::UINT32:
    case Type::UINT64:
    case Type::HALF_FLOAT:
    case Type::FLOAT:
    case Type::DOUBLE:
    case Type::DATE32:
      return true;
    case Type::TIMESTAMP:
      column->has_parameters = true;
      return static_cast<const arrow::TimestampType&>(type).unit() != TimeUnit::SECOND;
    case Type::TIME32:
      column->has_parameters = column->arrow_checks = true;
      return static_cast<const arrow::Time32Type&>(type).unit() != TimeUnit::SECOND;
    case Type::DURATION:
      column->has_parameters = true;
      return true;
    case Type::FIXED_SIZE_BINARY:
      column->has_parameters = true;
      return column->width > 0 && column->width <= kWidthMax;
    case Type::TIME64:
    case Type::DECIMAL32:
    case Type::DECIMAL64:
    case Type::DECIMAL128:
    case Type::DECIMAL256:
      column->has_parameters = column->arrow_checks = true;
      return true;
    case Type::STRING:
      column->utf8 = true;
      [[fallthrough]];
    case Type::BINARY:
      column->form = Form::kText;
      return true;
    case Type::LARGE_STRING:
      column->utf8 = true;
      [[fallthrough]];
    case Type::LARGE_BINARY:
      column->form = Form::kLargeText;
      return true;
    default:
      return false;
  }
}

// Arrow's head of one row; a layout of which Arrow does not read back what it was given is none.
bool PlainLayout::TakeHead(const std::shared_ptr<arrow::Schema>& schema) {
  std::vector<std::shared_ptr<arrow::ArrayData>> columns;
  for (const auto& field : fields_) {
    auto column = SampleValues(field->type(), 1);
    if (!column.ok()) return false;
    columns.push_back(*std::move(column));
  }
  const auto sample = arrow::RecordBatch::Make(schema, 1, std::move(columns));
  const auto bytes = EncodeBatch(*sample);
  if (!bytes) return false;
  const char* const message = reinterpret_cast<const char*>((*bytes)->data());
  const Flat flat{message};
  const auto root = flat.Follow(kPrefixBytes);
  const auto header = flat.Field(root, kMessageHeader);
  const auto body_size = flat.Field(root, kMessageBodySize);
  if (!header || !body_size) return false;
  const auto batch = flat.Follow(*header);
  const auto rows = flat.Field(batch, kBatchRows);
  const auto nodes = flat.Field(batch, kBatchNodes);
  const auto buffers = flat.Field(batch, kBatchBuffers);
  if (!rows || !nodes || !buffers) return false;
  rows_at_ = *rows;
  body_size_at_ = *body_size;
  nodes_at_ = flat.Follow(*nodes) + sizeof(std::uint32_t);  // behind the number of elements
  buffers_at_ = flat.Follow(*buffers) + sizeof(std::uint32_t);
  head_.assign(message, kPrefixBytes + LoadLittle<std::uint32_t>(message + 4));
  const auto back = DecodeBatch(std::string_view(*Encode(*sample)), schema);
  return back && (*back)->Equals(*sample);
}

bool PlainLayout::Fits(const arrow::RecordBatch& batch) const {
  const auto& fields = batch.schema()->fields();
  const auto& columns = batch.column_data();
  const auto rows = batch.num_rows();
  if (rows < 1 || rows > kRowsMost) return false;
  if (fields.size() != columns_.size() || columns.size() != columns_.size()) return false;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    const Column& column = columns_[i];
    const arrow::Field& wanted = *fields_[i];
    const arrow::ArrayData& data = *columns[i];
    if (data.length != rows || fields[i]->name() != wanted.name() ||
        !SameType(*fields[i]->type(), *wanted.type(), column.has_parameters) ||
        !SameType(*data.type, *wanted.type(), column.has_parameters) || !IsSound(column, data)) {
      return false;
    }
    if (column.arrow_checks && !arrow::MakeArray(columns[i])->ValidateFull().ok()) return false;
  }
  return true;
}

// In the place of Arrow's ValidateFull and of CheckRequiredValues.
bool PlainLayout::IsSound(const Column& column, const arrow::ArrayData& data) {
  const bool text = column.form == Form::kText || column.form == Form::kLargeText;
  if (data.buffers.size() != (text ? 3u : 2u) || !data.child_data.empty() || data.dictionary ||
      data.offset < 0 || data.offset > kRowsMost || !IsHere(data.buffers[1].get())) {
    return false;
  }
  const auto end = data.offset + data.length;
  const auto said = data.null_count.load();
  if (const auto* const validity = data.buffers[0].get()) {
    if (!IsHere(validity) || validity->size() < arrow::bit_util::BytesForBits(end)) return false;
    const auto nulls =
        data.length - arrow::internal::CountSetBits(validity->data(), data.offset, data.length);
    if (said != arrow::kUnknownNullCount && said != nulls) return false;
    if (nulls > 0 && column.required) return false;
  } else if (said != arrow::kUnknownNullCount && said != 0) {
    return false;
  }
  const auto values = data.buffers[1]->size();
  switch (column.form) {
    case Form::kBits:
      return values >= arrow::bit_util::BytesForBits(end);
    case Form::kFixed:
      return values / column.width >= end;
    case Form::kText:
      return IsHere(data.buffers[2].get()) && AreSoundTexts<std::int32_t>(data, column.utf8);
    case Form::kLargeText:
      return IsHere(data.buffers[2].get()) && AreSoundTexts<std::int64_t>(data, column.utf8);
  }
  return false;
}

void PlainLayout::AddPieces(const Column& column, const arrow::ArrayData& data,
                            std::vector<Piece>* pieces) {
  pieces->push_back(data.GetNullCount() > 0 ? Piece::Bits(data.buffers[0]->data(), data) : Piece());
  switch (column.form) {
    case Form::kBits:
      pieces->push_back(Piece::Bits(data.buffers[1]->data(), data));
      return;
    case Form::kFixed:
      pieces->push_back({.from = data.buffers[1]->data() + data.offset * column.width,
                         .size = static_cast<std::size_t>(data.length * column.width)});
      return;
    case Form::kText:
      return Piece::AddText<std::int32_t>(Piece::Kind::kOffsets, data, pieces);
    case Form::kLargeText:
      return Piece::AddText<std::int64_t>(Piece::Kind::kLargeOffsets, data, pieces);
  }
}

std::shared_ptr<arrow::Buffer> PlainLayout::Encode(const arrow::RecordBatch& batch) const {
  const auto& columns = batch.column_data();
  std::vector<Piece> pieces;
  pieces.reserve(buffers_);
  for (std::size_t i = 0; i < columns_.size(); ++i) AddPieces(columns_[i], *columns[i], &pieces);
  std::size_t body = 0;
  for (const Piece& piece : pieces) body += piece.padded();
  const auto rows = batch.num_rows();
  std::string bytes;
  bytes.resize_and_overwrite(head_.size() + body, [&](char* to, std::size_t size) {
    std::memcpy(to, head_.data(), head_.size());
    StoreLittle<std::int64_t>(to + rows_at_, rows);
    StoreLittle<std::uint64_t>(to + body_size_at_, body);
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      StoreLittle<std::int64_t>(to + nodes_at_ + i * kPairBytes, rows);
      StoreLittle<std::int64_t>(to + nodes_at_ + i * kPairBytes + 8, columns[i]->GetNullCount());
    }
    std::size_t offset = 0;
    for (std::size_t i = 0; i < pieces.size(); ++i) {
      StoreLittle<std::uint64_t>(to + buffers_at_ + i * kPairBytes, offset);
      StoreLittle<std::uint64_t>(to + buffers_at_ + i * kPairBytes + 8, pieces[i].size);
      pieces[i].CopyTo(to + head_.size() + offset);
      offset += pieces[i].padded();
    }
    return size;
  });
  return arrow::Buffer::FromString(std::move(bytes));
}

std::shared_ptr<arrow::RecordBatch> PlainLayout::View(
    const std::shared_ptr<arrow::Buffer>& bytes,
    const std::shared_ptr<arrow::Schema>& schema) const {
  const char* const head = reinterpret_cast<const char*>(bytes->data());
  const auto rows = Rows(*bytes);
  const auto slice = [&](std::size_t buffer) {
    const char* const pair = head + buffers_at_ + buffer * kPairBytes;
    return arrow::SliceBuffer(
        bytes, static_cast<std::int64_t>(head_.size()) + LoadLittle<std::int64_t>(pair),
        LoadLittle<std::int64_t>(pair + 8));
  };
  std::vector<std::shared_ptr<arrow::ArrayData>> columns;
  columns.reserve(columns_.size());
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    const auto nulls = LoadLittle<std::int64_t>(head + nodes_at_ + i * kPairBytes + 8);
    const auto first = columns_[i].first_buffer;
    const auto end = i + 1 < columns_.size() ? columns_[i + 1].first_buffer : buffers_;
    std::vector<std::shared_ptr<arrow::Buffer>> buffers(end - first);
    if (nulls > 0) buffers[0] = slice(first);
    for (std::size_t b = first + 1; b < end; ++b) buffers[b - first] = slice(b);
    columns.push_back(arrow::ArrayData::Make(fields_[i]->type(), rows,
                                             std::move(buffers), nulls));
  }
  return arrow::RecordBatch::Make(schema, rows, std::move(columns));
}

// A head that lacks a number, or has one more, begins with another size.
bool PlainLayout::Made(const arrow::Buffer& bytes) const {
  const char* const head = reinterpret_cast<const char*>(bytes.data());
  return static_cast<std::size_t>(bytes.size()) >= head_.size() &&
         std::memcmp(head, head_.data(), kPrefixBytes) == 0 && Rows(bytes) > 0 &&
         LoadLittle<std::uint64_t>(head + body_size_at_) == BodyBytes(bytes);
}

std::int64_t PlainLayout::Rows(const arrow::Buffer& bytes) const {
  return LoadLittle<std::int64_t>(reinterpret_cast<const char*>(bytes.data()) + rows_at_);
}

std::uint64_t PlainLayout::BodyBytes(const arrow::Buffer& bytes) const {
  return static_cast<std::uint64_t>(bytes.size()) - head_.size();
}

}  // namespace varve
