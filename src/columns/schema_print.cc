// SPDX-License-Identifier: Apache-2.0
#include "columns/schema_text.h"

#include <arrow/type.h>
#include <fmt/format.h>

#include <algorithm>
#include <sstream>
#include <vector>

namespace varve {
namespace {

std::string NameToText(const std::string& name) {
  const bool plain = !name.empty() && IsWordStart(name[0]) && std::ranges::all_of(name, IsWordPart);
  if (plain) return name;
  std::string quoted = "\"";
  for (const char c : name) quoted.append(c == '"' ? 2 : 1, c);
  return quoted + "\"";
}

std::string FieldToText(const arrow::Field& field) {
  return TypeToText(*field.type()) + (field.nullable() ? "" : " not null");
}

}  // namespace

std::string TypeToText(const arrow::DataType& type) {
  const auto element = [&] { return FieldToText(*type.field(0)); };
  switch (type.id()) {
    case arrow::Type::HALF_FLOAT: return "float16";
    case arrow::Type::FLOAT: return "float32";
    case arrow::Type::DOUBLE: return "float64";
    case arrow::Type::STRING: return "utf8";
    case arrow::Type::LARGE_STRING: return "large_utf8";
    case arrow::Type::STRING_VIEW: return "utf8_view";
    case arrow::Type::DATE32: return "date32";
    case arrow::Type::DATE64: return "date64";
    case arrow::Type::TIMESTAMP: {
      const auto& timestamp = static_cast<const arrow::TimestampType&>(type);
      const auto zone = timestamp.timezone().empty() ? "" : ", " + timestamp.timezone();
      std::ostringstream unit;
      unit << timestamp.unit();
      return fmt::format("timestamp[{}{}]", unit.str(), zone);
    }
    case arrow::Type::LIST: return fmt::format("list<{}>", element());
    case arrow::Type::LARGE_LIST: return fmt::format("large_list<{}>", element());
    case arrow::Type::LIST_VIEW: return fmt::format("list_view<{}>", element());
    case arrow::Type::LARGE_LIST_VIEW: return fmt::format("large_list_view<{}>", element());
    case arrow::Type::FIXED_SIZE_LIST:
      return fmt::format("fixed_size_list<{}>[{}]", element(),
                         static_cast<const arrow::FixedSizeListType&>(type).list_size());
    case arrow::Type::STRUCT: {
      std::vector<std::string> fields;
      for (const auto& field : type.fields()) {
        fields.push_back(NameToText(field->name()) + ": " + FieldToText(*field));
      }
      return fmt::format("struct<{}>", fmt::join(fields, ", "));
    }
    case arrow::Type::MAP: {
      const auto& map = static_cast<const arrow::MapType&>(type);
      return fmt::format("map<{}, {}>", TypeToText(*map.key_type()),
                         FieldToText(*map.item_field()));
    }
    case arrow::Type::DICTIONARY: {
      const auto& dictionary = static_cast<const arrow::DictionaryType&>(type);
      return fmt::format("dictionary<values={}, indices={}{}>",
                         TypeToText(*dictionary.value_type()), TypeToText(*dictionary.index_type()),
                         dictionary.ordered() ? ", ordered=1" : "");
    }
    default: return type.ToString();
  }
}

std::string SchemaToText(const arrow::Schema& schema) {
  std::vector<std::string> fields;
  for (const auto& field : schema.fields()) {
    fields.push_back(NameToText(field->name()) + " " + FieldToText(*field));
  }
  return fmt::format("{}", fmt::join(fields, ", "));
}

}  // namespace varve
