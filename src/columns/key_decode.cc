// SPDX-License-Identifier: Apache-2.0
// KeyCodec::Decode: key bytes back to columns. The bytes may be anything: every length is checked
// before it is used, and only what Encode can have written is accepted.
#include <arrow/array.h>
#include <arrow/array/array_dict.h>
#include <arrow/array/builder_binary.h>
#include <arrow/buffer.h>
#include <arrow/compute/api.h>
#include <arrow/record_batch.h>
#include <arrow/util/bit_util.h>
#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"
#include "base/check.h"
#include "base/result.h"
#include "columns/arrow_errors.h"
#include "columns/arrow_init.h"
#include "columns/arrow_pool.h"
#include "columns/key_codec.h"
#include "columns/key_component.h"

namespace varve {
namespace {

using Rest = std::vector<std::string_view>;

std::unexpected<Error> Damaged(const arrow::Field& field, std::size_t key, std::string_view rest,
                               std::string_view what) {
  constexpr std::size_t kShown = 32;
  return Fail(ErrorKind::kCorruption,
              fmt::format("key {}: column '{}' ({}): {}; found {}{}", key, field.name(),
                          field.type()->ToString(), what, ToHex(rest.substr(0, kShown)),
                          rest.size() > kShown ? "..." : ""));
}

Status CheckWidth(const arrow::Field& field, const Rest& rest, std::size_t width) {
  for (std::size_t i = 0; i < rest.size(); ++i) {
    if (rest[i].size() >= width) continue;
    return Damaged(field, i, rest[i], fmt::format("expected {} bytes", width));
  }
  return {};
}

template <typename U>
Status ReadNumbers(const arrow::Field& field, KeyForm form, Rest* rest, char* to) {
  for (std::size_t i = 0; i < rest->size(); ++i, to += sizeof(U)) {
    U value = LoadBig<U>((*rest)[i].data());
    if (form == KeyForm::kSigned) value = static_cast<U>(value ^ kSignBit<U>);
    if constexpr (sizeof(U) > 1) {
      if (form == KeyForm::kFloat) {
        const U bits = FloatBitsOfOrdered(value);
        if (OrderedFloatBits(bits) != value) {
          return Damaged(field, i, (*rest)[i], "expected no -0.0 and only the one NaN of keys");
        }
        value = bits;
      }
    }
    std::memcpy(to, &value, sizeof value);
  }
  return {};
}

Status ReadBools(const arrow::Field& field, Rest* rest, std::uint8_t* bits) {
  for (std::size_t i = 0; i < rest->size(); ++i) {
    const char byte = (*rest)[i].front();
    if (byte != 0 && byte != 1) return Damaged(field, i, (*rest)[i], "expected 00 or 01");
    arrow::bit_util::SetBitTo(bits, static_cast<std::int64_t>(i), byte == 1);
  }
  return {};
}

Status ReadFixed(const arrow::Field& field, KeyComponent component, Rest* rest, char* to) {
  const auto width = static_cast<std::size_t>(component.width);
  switch (component.form) {
    case KeyForm::kBytes:
      for (auto value : *rest) to = std::copy_n(value.data(), width, to);
      return {};
    case KeyForm::kDecimal:
      for (auto value : *rest) {
        to = std::reverse_copy(value.data(), value.data() + width, to);
        to[-1] = static_cast<char>(to[-1] ^ '\x80');
      }
      return {};
    default: break;
  }
  switch (width) {
    case 1: return ReadNumbers<std::uint8_t>(field, component.form, rest, to);
    case 2: return ReadNumbers<std::uint16_t>(field, component.form, rest, to);
    case 4: return ReadNumbers<std::uint32_t>(field, component.form, rest, to);
    default: return ReadNumbers<std::uint64_t>(field, component.form, rest, to);
  }
}

Result<std::shared_ptr<arrow::Array>> DecodeFixed(const arrow::Field& field,
                                                  std::shared_ptr<arrow::DataType> type,
                                                  KeyComponent component, Rest* rest) {
  const auto width = static_cast<std::size_t>(component.width);
  VARVE_TRY(CheckWidth(field, *rest, width));
  const auto rows = static_cast<std::int64_t>(rest->size());
  const bool bits = component.form == KeyForm::kBool;
  const std::int64_t size = bits ? arrow::bit_util::BytesForBits(rows) : rows * component.width;
  VARVE_ASSIGN(auto buffer, FromArrow(arrow::AllocateBuffer(size, ArrowPool())));
  if (bits) {
    std::fill_n(buffer->mutable_data(), size, std::uint8_t{0});
    VARVE_TRY(ReadBools(field, rest, buffer->mutable_data()));
  } else {
    VARVE_TRY(ReadFixed(field, component, rest, reinterpret_cast<char*>(buffer->mutable_data())));
  }
  for (auto& key : *rest) key.remove_prefix(width);
  return arrow::MakeArray(
      arrow::ArrayData::Make(std::move(type), rows, {nullptr, std::move(buffer)}, 0));
}

// Unescapes the text at the front of `*key` into `value`; false when it does not end properly.
bool TakeText(std::string_view* key, std::string* value) {
  value->clear();
  for (;;) {
    const std::size_t zero = key->find(kZero);
    if (zero == std::string_view::npos || zero + 1 == key->size()) return false;
    const char after = (*key)[zero + 1];
    value->append(*key, 0, zero);
    key->remove_prefix(zero + 2);
    if (after == kEnd) return true;
    if (after != kEscapedZero) return false;
    value->push_back(kZero);
  }
}

template <typename Builder>
Result<std::shared_ptr<arrow::Array>> DecodeText(const arrow::Field& field,
                                                 const std::shared_ptr<arrow::DataType>& type,
                                                 Rest* rest) {
  Builder builder;
  VARVE_TRY(FromArrow(builder.Reserve(static_cast<std::int64_t>(rest->size()))));
  std::string value;
  for (std::size_t i = 0; i < rest->size(); ++i) {
    const std::string_view key = (*rest)[i];
    if (!TakeText(&(*rest)[i], &value)) {
      return Damaged(field, i, key, "expected 00 ff for each zero byte and 00 00 at the end");
    }
    VARVE_TRY(FromArrow(builder.Append(value)));
  }
  std::shared_ptr<arrow::ArrayData> data;
  VARVE_TRY(FromArrow(builder.FinishInternal(&data)));
  data->type = type;  // the builders of binary know the layout; strings have the same one
  return arrow::MakeArray(std::move(data));
}

// Gives decoded values the column's own type again: dictionary or extension around them.
Result<std::shared_ptr<arrow::Array>> AsColumn(const std::shared_ptr<arrow::DataType>& type,
                                               std::shared_ptr<arrow::Array> values) {
  if (type->id() == arrow::Type::EXTENSION) {
    const auto& extension = static_cast<const arrow::ExtensionType&>(*type);
    VARVE_ASSIGN(auto storage, AsColumn(extension.storage_type(), std::move(values)));
    return arrow::ExtensionType::WrapArray(type, storage);
  }
  if (type->id() != arrow::Type::DICTIONARY) return values;
  const auto& dictionary = static_cast<const arrow::DictionaryType&>(*type);
  VARVE_ASSIGN(values, AsColumn(dictionary.value_type(), std::move(values)));
  InitializeArrow();
  VARVE_ASSIGN(auto encoded, FromArrow(arrow::compute::DictionaryEncode(values)));
  const arrow::DictionaryArray array(encoded.array());
  VARVE_ASSIGN(auto indices,
               FromArrow(arrow::compute::Cast(*array.indices(), dictionary.index_type())));
  return FromArrow(arrow::DictionaryArray::FromArrays(type, indices, array.dictionary()));
}

}  // namespace

Result<std::shared_ptr<arrow::Array>> DecodeKeyColumn(const arrow::Field& field, Rest* rest) {
  const auto type = KeyValueType(field.type());
  const auto component = KeyComponentOf(*type);
  VARVE_CHECK(component.has_value());
  if (component->form != KeyForm::kText) return DecodeFixed(field, type, *component, rest);
  switch (type->id()) {
    case arrow::Type::STRING:
    case arrow::Type::BINARY: return DecodeText<arrow::BinaryBuilder>(field, type, rest);
    case arrow::Type::LARGE_STRING:
    case arrow::Type::LARGE_BINARY: return DecodeText<arrow::LargeBinaryBuilder>(field, type, rest);
    default: return DecodeText<arrow::BinaryViewBuilder>(field, type, rest);
  }
}

Result<std::shared_ptr<arrow::RecordBatch>> KeyCodec::Decode(
    const std::vector<std::string_view>& keys) const {
  VARVE_CHECK(key_schema_ != nullptr);
  Rest rest = keys;
  arrow::ArrayVector columns;
  for (const auto& field : key_schema_->fields()) {
    VARVE_ASSIGN(auto values, DecodeKeyColumn(*field, &rest));
    if (const auto valid = values->ValidateFull(); !valid.ok()) {
      return Fail(ErrorKind::kCorruption, fmt::format("keys: column '{}' ({}): {}", field->name(),
                                                      field->type()->ToString(), valid.message()));
    }
    VARVE_ASSIGN(values, AsColumn(field->type(), std::move(values)));
    columns.push_back(std::move(values));
  }
  for (std::size_t i = 0; i < rest.size(); ++i) {
    if (rest[i].empty()) continue;
    return Fail(ErrorKind::kCorruption,
                fmt::format("key {}: expected no bytes after the last key column, found {}", i,
                            rest[i].size()));
  }
  return arrow::RecordBatch::Make(key_schema_, static_cast<std::int64_t>(keys.size()),
                                  std::move(columns));
}

}  // namespace varve
