// SPDX-License-Identifier: Apache-2.0
// KeyCodec::Encode: two passes over each column. The first adds up the size of every key, the
// second writes the column's component into all keys. Types are dispatched once per column.
#include <arrow/array.h>
#include <arrow/record_batch.h>
#include <arrow/util/binary_view_util.h>
#include <arrow/util/bit_util.h>
#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "base/result.h"
#include "columns/array_cast.h"
#include "columns/key_codec.h"
#include "columns/key_component.h"

namespace varve {
namespace {

using Data = std::shared_ptr<arrow::ArrayData>;

// Where the next component of each key goes. Strided: all keys are of one size. Scattered: each
// key has its own place, kept in an array.
struct Strided {
  char* first;
  std::size_t stride;
  char* Take(std::int64_t row, std::size_t) {
    return first + static_cast<std::size_t>(row) * stride;
  }
};
struct Scattered {
  char** next;
  char* Take(std::int64_t row, std::size_t size) {
    char* const at = next[row];
    next[row] += size;
    return at;
  }
};

// The column's values as its KeyValueType: extensions opened, dictionaries looked up.
Result<Data> PlainValues(const Data& data) {
  auto plain = CastArray(data, KeyValueType(data->type));
  if (!plain.ok()) return Fail(ErrorKind::kInvalid, "key column: " + plain.status().message());
  return *std::move(plain);
}

Status CheckNoNull(const arrow::ArrayData& data, const std::string& name, std::int64_t offset) {
  if (data.GetNullCount() == 0) return {};
  std::int64_t row = 0;
  while (row < data.length && !data.IsNull(row)) ++row;
  return Fail(ErrorKind::kInvalid,
              fmt::format("row {}: key column '{}' is null; every key column needs a value",
                          offset + row, name));
}

// Calls use(view of value i) for each row of any string or binary type.
template <typename Use>
void ForEachText(const arrow::ArrayData& data, Use use) {
  const auto views = [&](const auto* offsets) {
    const char* bytes =
        data.buffers[2] ? reinterpret_cast<const char*>(data.buffers[2]->data()) : "";
    for (std::int64_t i = 0; i < data.length; ++i) {
      use(i, std::string_view(bytes + offsets[i],
                              static_cast<std::size_t>(offsets[i + 1] - offsets[i])));
    }
  };
  switch (data.type->id()) {
    case arrow::Type::STRING:
    case arrow::Type::BINARY:
      if (data.length > 0) views(data.GetValues<std::int32_t>(1));
      break;
    case arrow::Type::LARGE_STRING:
    case arrow::Type::LARGE_BINARY:
      if (data.length > 0) views(data.GetValues<std::int64_t>(1));
      break;
    default: {
      const auto* values = data.GetValues<arrow::BinaryViewType::c_type>(1);
      const auto* buffers = data.buffers.data() + 2;
      for (std::int64_t i = 0; i < data.length; ++i) {
        use(i, arrow::util::FromBinaryView(values[i], buffers));
      }
    }
  }
}

std::size_t Zeros(std::string_view value) {
  return static_cast<std::size_t>(std::ranges::count(value, kZero));
}

char* PutText(char* to, std::string_view value) {
  if (value.empty() || std::memchr(value.data(), kZero, value.size()) == nullptr) {
    if (!value.empty()) std::memcpy(to, value.data(), value.size());
    to += value.size();
  } else {
    for (const char byte : value) {
      *to++ = byte;
      if (byte == kZero) *to++ = kEscapedZero;
    }
  }
  *to++ = kZero;
  *to++ = kEnd;
  return to;
}

template <typename U, typename Place, typename Order>
void WriteWords(const arrow::ArrayData& data, Place place, Order order) {
  const U* values = data.GetValues<U>(1);
  for (std::int64_t i = 0; i < data.length; ++i) {
    StoreBig(place.Take(i, sizeof(U)), static_cast<U>(order(values[i])));
  }
}

template <typename U, typename Place>
void WriteNumbers(const arrow::ArrayData& data, KeyForm form, Place place) {
  if (form == KeyForm::kSigned) {
    WriteWords<U>(data, place, [](U value) { return value ^ kSignBit<U>; });
  } else if (form == KeyForm::kUnsigned) {
    WriteWords<U>(data, place, [](U value) { return value; });
  } else {
    if constexpr (sizeof(U) > 1) {
      WriteWords<U>(data, place, [](U value) { return OrderedFloatBits(value); });
    }
  }
}

template <typename Place>
void WriteFixed(const arrow::ArrayData& data, KeyComponent component, Place place) {
  const auto width = static_cast<std::size_t>(component.width);
  const char* values = reinterpret_cast<const char*>(data.buffers[1]->data());
  switch (component.form) {
    case KeyForm::kBool:
      for (std::int64_t i = 0; i < data.length; ++i) {
        *place.Take(i, 1) = arrow::bit_util::GetBit(data.buffers[1]->data(), data.offset + i);
      }
      return;
    case KeyForm::kBytes:
      values += static_cast<std::size_t>(data.offset) * width;
      for (std::int64_t i = 0; i < data.length; ++i, values += width) {
        std::memcpy(place.Take(i, width), values, width);
      }
      return;
    case KeyForm::kDecimal:
      values += static_cast<std::size_t>(data.offset) * width;
      for (std::int64_t i = 0; i < data.length; ++i, values += width) {
        char* to = place.Take(i, width);
        std::reverse_copy(values, values + width, to);
        *to = static_cast<char>(*to ^ '\x80');
      }
      return;
    default: break;
  }
  switch (width) {
    case 1: return WriteNumbers<std::uint8_t>(data, component.form, place);
    case 2: return WriteNumbers<std::uint16_t>(data, component.form, place);
    case 4: return WriteNumbers<std::uint32_t>(data, component.form, place);
    default: return WriteNumbers<std::uint64_t>(data, component.form, place);
  }
}

std::string Uninitialized(std::size_t size) {
  std::string bytes;
  bytes.resize_and_overwrite(size, [](char*, std::size_t n) { return n; });
  return bytes;
}

EncodedKeys EncodeFixed(const std::vector<Data>& values, const std::vector<KeyComponent>& parts,
                        std::int64_t rows) {
  std::size_t stride = 0;
  for (const auto& part : parts) stride += static_cast<std::size_t>(part.width);
  std::vector<std::uint64_t> offsets(static_cast<std::size_t>(rows) + 1);
  for (std::size_t i = 0; i < offsets.size(); ++i) offsets[i] = i * stride;
  std::string bytes = Uninitialized(offsets.back());
  char* first = bytes.data();
  for (std::size_t c = 0; c < values.size(); first += parts[c++].width) {
    WriteFixed(*values[c], parts[c], Strided{first, stride});
  }
  return EncodedKeys(std::move(bytes), std::move(offsets));
}

EncodedKeys EncodeMixed(const std::vector<Data>& values, const std::vector<KeyComponent>& parts,
                        std::int64_t rows) {
  std::size_t fixed = 0;
  for (const auto& part : parts) fixed += static_cast<std::size_t>(part.width);
  std::vector<std::uint64_t> offsets(static_cast<std::size_t>(rows) + 1, fixed);
  offsets[0] = 0;
  for (std::size_t c = 0; c < values.size(); ++c) {
    if (parts[c].width != 0) continue;
    ForEachText(*values[c], [&](std::int64_t i, std::string_view value) {
      offsets[static_cast<std::size_t>(i) + 1] += value.size() + Zeros(value) + kEndBytes;
    });
  }
  for (std::size_t i = 1; i < offsets.size(); ++i) offsets[i] += offsets[i - 1];

  std::string bytes = Uninitialized(offsets.back());
  std::vector<char*> next(static_cast<std::size_t>(rows));
  for (std::size_t i = 0; i < next.size(); ++i) next[i] = bytes.data() + offsets[i];
  for (std::size_t c = 0; c < values.size(); ++c) {
    if (parts[c].width != 0) {
      WriteFixed(*values[c], parts[c], Scattered{next.data()});
    } else {
      ForEachText(*values[c], [&](std::int64_t i, std::string_view value) {
        char*& at = next[static_cast<std::size_t>(i)];
        at = PutText(at, value);
      });
    }
  }
  return EncodedKeys(std::move(bytes), std::move(offsets));
}

}  // namespace

Result<EncodedKeys> KeyCodec::Encode(const arrow::RecordBatch& batch,
                                     const std::vector<int>& columns, std::int64_t offset,
                                     std::int64_t length) const {
  VARVE_CHECK(key_schema_ && columns.size() <= static_cast<std::size_t>(key_schema_->num_fields()));
  VARVE_CHECK(offset >= 0 && length >= 0 && offset + length <= batch.num_rows());
  if (length == 0) return EncodedKeys(std::string(), {0});
  const bool whole = length == batch.num_rows();  // a slice costs more than the key of a row
  std::vector<Data> values;
  std::vector<KeyComponent> parts;
  for (std::size_t c = 0; c < columns.size(); ++c) {
    const auto& field = *key_schema_->field(static_cast<int>(c));
    const auto& column = batch.column_data(columns[c]);
    VARVE_CHECK(column->type->Equals(*field.type()));
    VARVE_ASSIGN(auto plain, PlainValues(whole ? column : column->Slice(offset, length)));
    VARVE_TRY(CheckNoNull(*plain, field.name(), offset));
    parts.push_back(*KeyComponentOf(*plain->type));
    values.push_back(std::move(plain));
  }
  const bool fixed = std::ranges::all_of(parts, [](const auto& part) { return part.width != 0; });
  return fixed ? EncodeFixed(values, parts, length) : EncodeMixed(values, parts, length);
}

}  // namespace varve
