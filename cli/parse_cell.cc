// SPDX-License-Identifier: Apache-2.0
#include "parse_cell.h"

#include <arrow/compute/api.h>
#include <arrow/extension_type.h>
#include <arrow/util/checked_cast.h>
#include <arrow/util/decimal.h>
#include <arrow/util/float16.h>
#include <arrow/util/utf8.h>
#include <arrow/util/value_parsing.h>
#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "format_cell.h"

namespace varve::cli {
namespace {

using arrow::ArrayBuilder;
using arrow::DataType;
using arrow::Type;
using arrow::internal::checked_cast;
using Problem = std::optional<std::string>;
using TypePtr = std::shared_ptr<DataType>;

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

bool SaysInfinity(std::string_view text) { return text.find_first_of("iI") != text.npos; }

// Whether `text` is an integer and `value`, which was parsed from it, another one.
bool IsRoundedInteger(double value, std::string_view text) {
  constexpr double kExactBelow = 9007199254740992;  // 2^53
  if (!(std::abs(value) >= kExactBelow)) return false;
  return text.find_first_not_of("-0123456789") == text.npos &&
         fmt::format("{:.0f}", value) != text;
}

// Fractions are rounded, and any number on its way into a narrow float; none becomes infinite.
template <typename T>
bool AppendFloat(const DataType&, std::string_view text, ArrayBuilder* builder) {
  typename arrow::internal::StringConverter<T>::value_type value{};
  if (!arrow::internal::ParseValue<T>(text.data(), text.size(), &value)) return false;
  const double wide = static_cast<double>(value);
  if (std::isinf(wide) && !SaysInfinity(text)) return false;
  if (std::is_same_v<T, arrow::DoubleType> && IsRoundedInteger(wide, text)) return false;
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
  // Arrow wraps around where the digits do not fit.
  if (precision > Decimal::kMaxPrecision || scale > Decimal::kMaxScale) return false;
  auto scaled = value.Rescale(scale, decimal.scale());
  if (!scaled.ok() || !scaled->FitsInPrecision(decimal.precision())) return false;
  return checked_cast<Builder*>(builder)->Append(*scaled).ok();
}

template <typename Builder>
bool AppendString(const DataType&, std::string_view text, ArrayBuilder* builder) {
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
bool AppendBinary(const DataType&, std::string_view text, ArrayBuilder* builder) {
  std::string bytes;
  return FromHex(text, &bytes) && checked_cast<Builder*>(builder)->Append(bytes).ok();
}

bool AppendFixedBinary(const DataType& type, std::string_view text, ArrayBuilder* builder) {
  std::string bytes;
  const int width = checked_cast<const arrow::FixedSizeBinaryType&>(type).byte_width();
  return FromHex(text, &bytes) && bytes.size() == static_cast<std::size_t>(width) &&
         checked_cast<arrow::FixedSizeBinaryBuilder*>(builder)->Append(bytes).ok();
}

TextAppender NumberAppenderOf(const DataType& type) {
  switch (type.id()) {
    case Type::INT8: return AppendAs<arrow::Int8Type>;
    case Type::INT16: return AppendAs<arrow::Int16Type>;
    case Type::INT32: return AppendAs<arrow::Int32Type>;
    case Type::INT64: return AppendAs<arrow::Int64Type>;
    case Type::UINT8: return AppendAs<arrow::UInt8Type>;
    case Type::UINT16: return AppendAs<arrow::UInt16Type>;
    case Type::UINT32: return AppendAs<arrow::UInt32Type>;
    case Type::UINT64: return AppendAs<arrow::UInt64Type>;
    case Type::DURATION: return AppendAs<arrow::DurationType>;
    case Type::HALF_FLOAT: return AppendFloat<arrow::HalfFloatType>;
    case Type::FLOAT: return AppendFloat<arrow::FloatType>;
    case Type::DOUBLE: return AppendFloat<arrow::DoubleType>;
    case Type::DECIMAL32: return AppendDecimal<arrow::Decimal32, arrow::Decimal32Builder>;
    case Type::DECIMAL64: return AppendDecimal<arrow::Decimal64, arrow::Decimal64Builder>;
    case Type::DECIMAL128: return AppendDecimal<arrow::Decimal128, arrow::Decimal128Builder>;
    case Type::DECIMAL256: return AppendDecimal<arrow::Decimal256, arrow::Decimal256Builder>;
    default: return nullptr;
  }
}

std::string Mismatch(const DataType& type, const JsonValue& value) {
  const bool is_text = value.kind == JsonKind::kString;
  return fmt::format("expected {}, found {}", type.ToString(),
                     Quoted(is_text ? value.text : ToText(value)));
}

Problem AppendListItems(const DataType& item, const JsonValue& value, ArrayBuilder* items) {
  for (std::size_t i = 0; i < value.items.size(); ++i) {
    if (auto problem = AppendParsedJson(item, value.items[i], items)) {
      return fmt::format("item {}: {}", i + 1, *problem);
    }
  }
  return {};
}

template <typename ListType>
Problem AppendList(const DataType& type, const JsonValue& value, ArrayBuilder* builder) {
  auto* list = checked_cast<typename arrow::TypeTraits<ListType>::BuilderType*>(builder);
  if (auto s = list->Append(true, static_cast<std::int64_t>(value.items.size())); !s.ok()) {
    return s.message();
  }
  return AppendListItems(*checked_cast<const ListType&>(type).value_type(), value,
                         list->value_builder());
}

Problem AppendFixedList(const DataType& type, const JsonValue& value, ArrayBuilder* builder) {
  const auto& list = checked_cast<const arrow::FixedSizeListType&>(type);
  if (value.items.size() != static_cast<std::size_t>(list.list_size())) {
    return fmt::format("expected {} items, found {}", list.list_size(), value.items.size());
  }
  auto* fixed = checked_cast<arrow::FixedSizeListBuilder*>(builder);
  if (auto s = fixed->Append(); !s.ok()) return s.message();
  return AppendListItems(*list.value_type(), value, fixed->value_builder());
}

Problem AppendMap(const DataType& type, const JsonValue& value, ArrayBuilder* builder) {
  const auto& map = checked_cast<const arrow::MapType&>(type);
  auto* entries = checked_cast<arrow::MapBuilder*>(builder);
  if (auto s = entries->Append(); !s.ok()) return s.message();
  for (const JsonValue& entry : value.items) {
    const auto key = entry.members.find("key");
    const auto item = entry.members.find("value");
    const auto end = entry.members.end();
    if (key == end || item == end || entry.members.size() != 2) {
      return "expected {\"key\":..,\"value\":..}, found " + Quoted(ToText(entry));
    }
    if (key->second.kind == JsonKind::kNull) return "a map's key is null";
    if (auto p = AppendParsedJson(*map.key_type(), key->second, entries->key_builder())) return p;
    if (auto p = AppendParsedJson(*map.item_type(), item->second, entries->item_builder())) {
      return p;
    }
  }
  return {};
}

Problem AppendStruct(const DataType& type, const JsonValue& value, ArrayBuilder* builder) {
  static const JsonValue kNull;
  auto* fields = checked_cast<arrow::StructBuilder*>(builder);
  if (auto s = fields->Append(); !s.ok()) return s.message();
  std::size_t known = 0;
  for (int i = 0; i < type.num_fields(); ++i) {
    const arrow::Field& field = *type.field(i);
    const auto member = value.members.find(field.name());
    const bool found = member != value.members.end();
    known += found ? 1 : 0;
    if (auto problem = AppendParsedJson(*field.type(), found ? member->second : kNull,
                                        fields->field_builder(i))) {
      return fmt::format("field {}: {}", field.name(), *problem);
    }
  }
  if (known == value.members.size()) return {};
  for (const auto& [name, unused] : value.members) {
    if (checked_cast<const arrow::StructType&>(type).GetFieldByName(name) == nullptr) {
      return fmt::format("{} has no field {}", type.ToString(), Quoted(name));
    }
  }
  return fmt::format("{} has two fields of one name", type.ToString());
}

Problem AppendNestedJson(const DataType& type, const JsonValue& value, ArrayBuilder* builder) {
  const bool is_struct = type.id() == Type::STRUCT;
  if (value.kind != (is_struct ? JsonKind::kObject : JsonKind::kArray)) {
    return fmt::format("expected {} for {}, found {}", is_struct ? "an object" : "an array",
                       type.ToString(), Quoted(ToText(value)));
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

// The type with `leaf` applied to every type inside it that is not nested.
TypePtr MapLeaves(const TypePtr& type, TypePtr (*leaf)(const TypePtr&)) {
  const auto field = [&](int i) {
    return type->field(i)->WithType(MapLeaves(type->field(i)->type(), leaf));
  };
  switch (type->id()) {
    case Type::LIST: return arrow::list(field(0));
    case Type::LARGE_LIST: return arrow::large_list(field(0));
    case Type::LIST_VIEW: return arrow::list_view(field(0));
    case Type::LARGE_LIST_VIEW: return arrow::large_list_view(field(0));
    case Type::FIXED_SIZE_LIST:
      return arrow::fixed_size_list(
          field(0), checked_cast<const arrow::FixedSizeListType&>(*type).list_size());
    case Type::MAP: return std::make_shared<arrow::MapType>(field(0));
    case Type::STRUCT: {
      arrow::FieldVector fields;
      for (int i = 0; i < type->num_fields(); ++i) fields.push_back(field(i));
      return arrow::struct_(std::move(fields));
    }
    default: return leaf(type);
  }
}

}  // namespace

TypePtr PlainType(const TypePtr& type) {
  return MapLeaves(type, [](const TypePtr& leaf) {
    if (leaf->id() == Type::DICTIONARY) {
      return PlainType(checked_cast<const arrow::DictionaryType&>(*leaf).value_type());
    }
    if (leaf->id() != Type::EXTENSION) return leaf;
    return PlainType(checked_cast<const arrow::ExtensionType&>(*leaf).storage_type());
  });
}

TypePtr WithoutNullType(const TypePtr& type) {
  return MapLeaves(type, [](const TypePtr& leaf) {
    return leaf->id() == Type::NA ? arrow::utf8() : leaf;
  });
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

TextAppender TextAppenderOf(const DataType& type) {
  switch (type.id()) {
    case Type::BOOL: return AppendAs<arrow::BooleanType>;
    case Type::STRING: return AppendString<arrow::StringBuilder>;
    case Type::LARGE_STRING: return AppendString<arrow::LargeStringBuilder>;
    case Type::STRING_VIEW: return AppendString<arrow::StringViewBuilder>;
    case Type::DATE32: return AppendDate<arrow::Date32Type>;
    case Type::DATE64: return AppendDate<arrow::Date64Type>;
    case Type::TIME32: return AppendAs<arrow::Time32Type>;
    case Type::TIME64: return AppendAs<arrow::Time64Type>;
    case Type::TIMESTAMP: return AppendTimestamp;
    case Type::BINARY: return AppendBinary<arrow::BinaryBuilder>;
    case Type::LARGE_BINARY: return AppendBinary<arrow::LargeBinaryBuilder>;
    case Type::BINARY_VIEW: return AppendBinary<arrow::BinaryViewBuilder>;
    case Type::FIXED_SIZE_BINARY: return AppendFixedBinary;
    default: return NumberAppenderOf(type);
  }
}

Problem AppendParsedJson(const DataType& type, const JsonValue& value, ArrayBuilder* builder) {
  if (value.kind == JsonKind::kNull) {
    if (auto s = builder->AppendNull(); !s.ok()) return s.message();
    return {};
  }
  if (IsNested(type)) return AppendNestedJson(type, value, builder);
  TextAppender append = nullptr;
  switch (value.kind) {
    case JsonKind::kString: append = TextAppenderOf(type); break;
    case JsonKind::kNumber: append = NumberAppenderOf(type); break;
    case JsonKind::kBool:
      if (type.id() == Type::BOOL) append = TextAppenderOf(type);
      break;
    default: break;
  }
  if (append != nullptr && append(type, value.text, builder)) return {};
  return Mismatch(type, value);
}

bool IsNested(const DataType& type) { return arrow::is_nested(type.id()); }

bool IsString(const DataType& type) {
  return type.id() == Type::STRING || type.id() == Type::LARGE_STRING ||
         type.id() == Type::STRING_VIEW;
}

}  // namespace varve::cli
