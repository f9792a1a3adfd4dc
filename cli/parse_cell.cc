// SPDX-License-Identifier: Apache-2.0
#include "parse_cell.h"

#include <arrow/compute/api.h>
#include <arrow/extension_type.h>
#include <arrow/util/checked_cast.h>
#include <arrow/util/decimal.h>
#include <arrow/util/utf8.h>
#include <arrow/util/value_parsing.h>
#include <fmt/format.h>

#include <charconv>
#include <limits>
#include <nlohmann/json.hpp>

#include "format_cell.h"

namespace varve::cli {
namespace {

using arrow::ArrayBuilder;
using arrow::DataType;
using arrow::Type;
using arrow::internal::checked_cast;
using nlohmann::json;
using Problem = std::optional<std::string>;

template <typename T>
bool AppendAs(const DataType& type, std::string_view text, ArrayBuilder* builder) {
  typename arrow::internal::StringConverter<T>::value_type value{};
  if (!arrow::internal::ParseValue<T>(checked_cast<const T&>(type), text.data(), text.size(),
                                      &value)) {
    return false;
  }
  using Builder = typename arrow::TypeTraits<T>::BuilderType;
  return checked_cast<Builder*>(builder)->Append(value).ok();
}

// "@123": a moment too far for a calendar, as a count of the type's unit since 1970.
template <typename T>
bool AppendCount(std::string_view text, ArrayBuilder* builder) {
  typename T::c_type value{};
  const auto [end, error] = std::from_chars(text.data() + 1, text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return false;
  using Builder = typename arrow::TypeTraits<T>::BuilderType;
  return checked_cast<Builder*>(builder)->Append(value).ok();
}

template <typename T>
bool AppendDate(const DataType& type, std::string_view text, ArrayBuilder* builder) {
  return text.starts_with('@') ? AppendCount<T>(text, builder) : AppendAs<T>(type, text, builder);
}

bool AppendTimestamp(const DataType& type, std::string_view text, ArrayBuilder* builder) {
  if (text.starts_with('@')) return AppendCount<arrow::TimestampType>(text, builder);
  const auto& timestamp = checked_cast<const arrow::TimestampType&>(type);
  std::int64_t value = 0;
  bool has_zone = false;
  if (!arrow::internal::ParseTimestampISO8601(text.data(), text.size(), timestamp.unit(), &value,
                                              &has_zone)) {
    return false;
  }
  // Text without a zone is a moment only in UTC; text with one is no wall-clock time.
  const std::string& zone = timestamp.timezone();
  if (has_zone ? zone.empty() : (!zone.empty() && zone != "UTC")) return false;
  return checked_cast<arrow::TimestampBuilder*>(builder)->Append(value).ok();
}

template <typename Decimal, typename Builder>
bool AppendDecimal(const DataType& type, std::string_view text, ArrayBuilder* builder) {
  const auto& decimal = checked_cast<const arrow::DecimalType&>(type);
  Decimal value;
  std::int32_t precision = 0;
  std::int32_t scale = 0;
  if (!Decimal::FromString(text, &value, &precision, &scale).ok()) return false;
  auto scaled = value.Rescale(scale, decimal.scale());
  if (!scaled.ok() || !scaled->FitsInPrecision(decimal.precision())) return false;
  return checked_cast<Builder*>(builder)->Append(*scaled).ok();
}

template <typename Builder>
bool AppendString(std::string_view text, ArrayBuilder* builder) {
  return arrow::util::ValidateUTF8(text) && checked_cast<Builder*>(builder)->Append(text).ok();
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool FromHex(std::string_view text, std::string* bytes) {
  if (text.size() % 2 != 0) return false;
  bytes->clear();
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const int high = HexDigit(text[i]);
    const int low = HexDigit(text[i + 1]);
    if (high < 0 || low < 0) return false;
    *bytes += static_cast<char>(high * 16 + low);
  }
  return true;
}

template <typename Builder>
bool AppendBinary(std::string_view text, ArrayBuilder* builder) {
  std::string bytes;
  return FromHex(text, &bytes) && checked_cast<Builder*>(builder)->Append(bytes).ok();
}

bool AppendFixedBinary(const DataType& type, std::string_view text, ArrayBuilder* builder) {
  std::string bytes;
  const int width = checked_cast<const arrow::FixedSizeBinaryType&>(type).byte_width();
  return FromHex(text, &bytes) && bytes.size() == static_cast<std::size_t>(width) &&
         checked_cast<arrow::FixedSizeBinaryBuilder*>(builder)->Append(bytes).ok();
}

bool AppendNumberText(const DataType& type, std::string_view text, ArrayBuilder* builder) {
  switch (type.id()) {
    case Type::BOOL: return AppendAs<arrow::BooleanType>(type, text, builder);
    case Type::INT8: return AppendAs<arrow::Int8Type>(type, text, builder);
    case Type::INT16: return AppendAs<arrow::Int16Type>(type, text, builder);
    case Type::INT32: return AppendAs<arrow::Int32Type>(type, text, builder);
    case Type::INT64: return AppendAs<arrow::Int64Type>(type, text, builder);
    case Type::UINT8: return AppendAs<arrow::UInt8Type>(type, text, builder);
    case Type::UINT16: return AppendAs<arrow::UInt16Type>(type, text, builder);
    case Type::UINT32: return AppendAs<arrow::UInt32Type>(type, text, builder);
    case Type::UINT64: return AppendAs<arrow::UInt64Type>(type, text, builder);
    case Type::HALF_FLOAT: return AppendAs<arrow::HalfFloatType>(type, text, builder);
    case Type::FLOAT: return AppendAs<arrow::FloatType>(type, text, builder);
    case Type::DOUBLE: return AppendAs<arrow::DoubleType>(type, text, builder);
    case Type::DECIMAL32:
      return AppendDecimal<arrow::Decimal32, arrow::Decimal32Builder>(type, text, builder);
    case Type::DECIMAL64:
      return AppendDecimal<arrow::Decimal64, arrow::Decimal64Builder>(type, text, builder);
    case Type::DECIMAL128:
      return AppendDecimal<arrow::Decimal128, arrow::Decimal128Builder>(type, text, builder);
    case Type::DECIMAL256:
      return AppendDecimal<arrow::Decimal256, arrow::Decimal256Builder>(type, text, builder);
    default: return false;
  }
}

// Takes a JSON integer exactly or not at all.
template <typename T>
Problem AppendInteger(const DataType& type, const json& value, ArrayBuilder* builder) {
  using C = typename T::c_type;
  const bool fits =
      value.is_number_unsigned()
          ? value.get<std::uint64_t>() <=
                static_cast<std::uint64_t>(std::numeric_limits<C>::max())
          : value.is_number_integer() && std::in_range<C>(value.get<std::int64_t>());
  if (!fits) return fmt::format("expected {}, found {}", type.ToString(), Quoted(value.dump()));
  const C number = value.is_number_unsigned() ? static_cast<C>(value.get<std::uint64_t>())
                                              : static_cast<C>(value.get<std::int64_t>());
  using Builder = typename arrow::TypeTraits<T>::BuilderType;
  if (auto s = checked_cast<Builder*>(builder)->Append(number); !s.ok()) return s.message();
  return {};
}

Problem AppendJsonNumber(const DataType& type, const json& value, ArrayBuilder* builder) {
  switch (type.id()) {
    case Type::INT8: return AppendInteger<arrow::Int8Type>(type, value, builder);
    case Type::INT16: return AppendInteger<arrow::Int16Type>(type, value, builder);
    case Type::INT32: return AppendInteger<arrow::Int32Type>(type, value, builder);
    case Type::INT64: return AppendInteger<arrow::Int64Type>(type, value, builder);
    case Type::UINT8: return AppendInteger<arrow::UInt8Type>(type, value, builder);
    case Type::UINT16: return AppendInteger<arrow::UInt16Type>(type, value, builder);
    case Type::UINT32: return AppendInteger<arrow::UInt32Type>(type, value, builder);
    case Type::UINT64: return AppendInteger<arrow::UInt64Type>(type, value, builder);
    case Type::DURATION: return AppendInteger<arrow::DurationType>(type, value, builder);
    case Type::HALF_FLOAT:
    case Type::FLOAT:
    case Type::DOUBLE:
    case Type::DECIMAL32:
    case Type::DECIMAL64:
    case Type::DECIMAL128:
    case Type::DECIMAL256:
      // The text of a JSON number has the digits that matter.
      if (AppendNumberText(type, value.dump(), builder)) return {};
      break;
    default: break;
  }
  return fmt::format("expected {}, found {}", type.ToString(), Quoted(value.dump()));
}

Problem AppendListItems(const DataType& item, const json& value, ArrayBuilder* items) {
  for (std::size_t i = 0; i < value.size(); ++i) {
    if (auto problem = AppendParsedJson(item, value[i], items)) {
      return fmt::format("item {}: {}", i + 1, *problem);
    }
  }
  return {};
}

template <typename ListType>
Problem AppendList(const DataType& type, const json& value, ArrayBuilder* builder) {
  auto* list = checked_cast<typename arrow::TypeTraits<ListType>::BuilderType*>(builder);
  if (auto s = list->Append(true, static_cast<std::int64_t>(value.size())); !s.ok()) {
    return s.message();
  }
  return AppendListItems(*checked_cast<const ListType&>(type).value_type(), value,
                         list->value_builder());
}

Problem AppendFixedList(const DataType& type, const json& value, ArrayBuilder* builder) {
  const auto& list = checked_cast<const arrow::FixedSizeListType&>(type);
  if (value.size() != static_cast<std::size_t>(list.list_size())) {
    return fmt::format("expected {} items, found {}", list.list_size(), value.size());
  }
  auto* fixed = checked_cast<arrow::FixedSizeListBuilder*>(builder);
  if (auto s = fixed->Append(); !s.ok()) return s.message();
  return AppendListItems(*list.value_type(), value, fixed->value_builder());
}

Problem AppendMap(const DataType& type, const json& value, ArrayBuilder* builder) {
  const auto& map = checked_cast<const arrow::MapType&>(type);
  auto* entries = checked_cast<arrow::MapBuilder*>(builder);
  if (auto s = entries->Append(); !s.ok()) return s.message();
  for (const json& entry : value) {
    if (!entry.is_object() || entry.size() != 2 || !entry.contains("key") ||
        !entry.contains("value")) {
      return "expected {\"key\":..,\"value\":..}, found " + Quoted(entry.dump());
    }
    if (entry["key"].is_null()) return "a map's key is null";
    if (auto p = AppendParsedJson(*map.key_type(), entry["key"], entries->key_builder())) return p;
    if (auto p = AppendParsedJson(*map.item_type(), entry["value"], entries->item_builder())) {
      return p;
    }
  }
  return {};
}

Problem AppendStruct(const DataType& type, const json& value, ArrayBuilder* builder) {
  auto* fields = checked_cast<arrow::StructBuilder*>(builder);
  if (auto s = fields->Append(); !s.ok()) return s.message();
  std::size_t known = 0;
  for (int i = 0; i < type.num_fields(); ++i) {
    const arrow::Field& field = *type.field(i);
    const auto member = value.find(field.name());
    known += member != value.end() ? 1 : 0;
    const json& item = member != value.end() ? *member : json();
    if (auto problem = AppendParsedJson(*field.type(), item, fields->field_builder(i))) {
      return fmt::format("field {}: {}", field.name(), *problem);
    }
  }
  if (known == value.size()) return {};
  for (const auto& [name, unused] : value.items()) {
    if (checked_cast<const arrow::StructType&>(type).GetFieldByName(name) == nullptr) {
      return fmt::format("{} has no field {}", type.ToString(), Quoted(name));
    }
  }
  return fmt::format("{} has two fields of one name", type.ToString());
}

Problem AppendNestedJson(const DataType& type, const json& value, ArrayBuilder* builder) {
  const bool is_struct = type.id() == Type::STRUCT;
  if (is_struct ? !value.is_object() : !value.is_array()) {
    return fmt::format("expected {} for {}, found {}", is_struct ? "an object" : "an array",
                       type.ToString(), Quoted(value.dump()));
  }
  switch (type.id()) {
    case Type::STRUCT: return AppendStruct(type, value, builder);
    case Type::LIST: return AppendList<arrow::ListType>(type, value, builder);
    case Type::LARGE_LIST: return AppendList<arrow::LargeListType>(type, value, builder);
    case Type::LIST_VIEW: return AppendList<arrow::ListViewType>(type, value, builder);
    case Type::LARGE_LIST_VIEW: return AppendList<arrow::LargeListViewType>(type, value, builder);
    case Type::FIXED_SIZE_LIST: return AppendFixedList(type, value, builder);
    case Type::MAP: return AppendMap(type, value, builder);
    default: return type.ToString() + " cannot be read from text";
  }
}

arrow::Result<std::shared_ptr<arrow::Array>> RestoreDictionary(
    const std::shared_ptr<arrow::Array>& plain, const std::shared_ptr<DataType>& type) {
  const auto& dictionary = checked_cast<const arrow::DictionaryType&>(*type);
  ARROW_ASSIGN_OR_RAISE(auto encoded, arrow::compute::DictionaryEncode(plain));
  const std::shared_ptr<arrow::Array> held = encoded.make_array();
  const auto& array = checked_cast<const arrow::DictionaryArray&>(*held);
  ARROW_ASSIGN_OR_RAISE(auto indices,
                        arrow::compute::Cast(*array.indices(), dictionary.index_type()));
  ARROW_ASSIGN_OR_RAISE(auto values, RestoreColumn(array.dictionary(), dictionary.value_type()));
  return arrow::DictionaryArray::FromArrays(type, indices, values);
}

}  // namespace

std::shared_ptr<DataType> PlainType(const std::shared_ptr<DataType>& type) {
  const auto plain_field = [&type](int i) {
    return type->field(i)->WithType(PlainType(type->field(i)->type()));
  };
  switch (type->id()) {
    case Type::DICTIONARY:
      return PlainType(checked_cast<const arrow::DictionaryType&>(*type).value_type());
    case Type::EXTENSION:
      return PlainType(checked_cast<const arrow::ExtensionType&>(*type).storage_type());
    case Type::LIST: return arrow::list(plain_field(0));
    case Type::LARGE_LIST: return arrow::large_list(plain_field(0));
    case Type::LIST_VIEW: return arrow::list_view(plain_field(0));
    case Type::LARGE_LIST_VIEW: return arrow::large_list_view(plain_field(0));
    case Type::FIXED_SIZE_LIST:
      return arrow::fixed_size_list(
          plain_field(0), checked_cast<const arrow::FixedSizeListType&>(*type).list_size());
    case Type::MAP: return std::make_shared<arrow::MapType>(plain_field(0));
    case Type::STRUCT: {
      std::vector<std::shared_ptr<arrow::Field>> fields;
      for (int i = 0; i < type->num_fields(); ++i) fields.push_back(plain_field(i));
      return arrow::struct_(std::move(fields));
    }
    default: return type;
  }
}

arrow::Result<std::shared_ptr<arrow::Array>> RestoreColumn(
    const std::shared_ptr<arrow::Array>& plain, const std::shared_ptr<DataType>& type) {
  if (plain->type()->Equals(*type)) return plain;
  if (type->id() == Type::EXTENSION) {
    const auto& storage = checked_cast<const arrow::ExtensionType&>(*type).storage_type();
    ARROW_ASSIGN_OR_RAISE(auto stored, RestoreColumn(plain, storage));
    return arrow::ExtensionType::WrapArray(type, stored);
  }
  if (type->id() == Type::DICTIONARY) return RestoreDictionary(plain, type);
  auto data = plain->data()->Copy();
  data->type = type;
  for (int i = 0; i < type->num_fields(); ++i) {
    auto& child = data->child_data[static_cast<std::size_t>(i)];
    ARROW_ASSIGN_OR_RAISE(auto restored,
                          RestoreColumn(arrow::MakeArray(child), type->field(i)->type()));
    child = restored->data();
  }
  return arrow::MakeArray(data);
}

bool AppendParsed(const DataType& type, std::string_view text, ArrayBuilder* builder) {
  switch (type.id()) {
    case Type::STRING: return AppendString<arrow::StringBuilder>(text, builder);
    case Type::LARGE_STRING: return AppendString<arrow::LargeStringBuilder>(text, builder);
    case Type::STRING_VIEW: return AppendString<arrow::StringViewBuilder>(text, builder);
    case Type::DATE32: return AppendDate<arrow::Date32Type>(type, text, builder);
    case Type::DATE64: return AppendDate<arrow::Date64Type>(type, text, builder);
    case Type::TIME32: return AppendAs<arrow::Time32Type>(type, text, builder);
    case Type::TIME64: return AppendAs<arrow::Time64Type>(type, text, builder);
    case Type::TIMESTAMP: return AppendTimestamp(type, text, builder);
    case Type::DURATION: return AppendAs<arrow::DurationType>(type, text, builder);
    case Type::BINARY: return AppendBinary<arrow::BinaryBuilder>(text, builder);
    case Type::LARGE_BINARY: return AppendBinary<arrow::LargeBinaryBuilder>(text, builder);
    case Type::BINARY_VIEW: return AppendBinary<arrow::BinaryViewBuilder>(text, builder);
    case Type::FIXED_SIZE_BINARY: return AppendFixedBinary(type, text, builder);
    default: return AppendNumberText(type, text, builder);
  }
}

Problem AppendParsedJson(const DataType& type, const json& value, ArrayBuilder* builder) {
  if (value.is_null() || type.id() == Type::NA) {
    if (!value.is_null()) return "expected null, found " + Quoted(value.dump());
    if (auto s = builder->AppendNull(); !s.ok()) return s.message();
    return {};
  }
  if (IsNested(type)) return AppendNestedJson(type, value, builder);
  if (value.is_number()) return AppendJsonNumber(type, value, builder);
  if (value.is_boolean() && type.id() == Type::BOOL) {
    if (auto s = checked_cast<arrow::BooleanBuilder*>(builder)->Append(value.get<bool>());
        !s.ok()) {
      return s.message();
    }
    return {};
  }
  if (value.is_string() && AppendParsed(type, value.get_ref<const std::string&>(), builder)) {
    return {};
  }
  return fmt::format("expected {}, found {}", type.ToString(), Quoted(value.dump()));
}

bool IsNested(const DataType& type) { return arrow::is_nested(type.id()); }

bool IsString(const DataType& type) {
  return type.id() == Type::STRING || type.id() == Type::LARGE_STRING ||
         type.id() == Type::STRING_VIEW;
}

}  // namespace varve::cli
