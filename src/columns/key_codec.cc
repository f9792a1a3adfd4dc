// SPDX-License-Identifier: Apache-2.0
#include "columns/key_codec.h"

#include <arrow/array.h>
#include <arrow/scalar.h>
#include <arrow/type.h>
#include <fmt/format.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/result.h"
#include "columns/key_component.h"

namespace varve {
namespace {

std::string ValueText(const arrow::Array& array) {
  switch (array.type_id()) {
    case arrow::Type::BINARY:
    case arrow::Type::LARGE_BINARY:
    case arrow::Type::BINARY_VIEW:
    case arrow::Type::FIXED_SIZE_BINARY: {
      const auto scalar = array.GetScalar(0);
      if (!scalar.ok()) return "?";
      return "0x" + ToHex(static_cast<const arrow::BaseBinaryScalar&>(**scalar).view());
    }
    default: {
      const auto scalar = array.GetScalar(0);
      return scalar.ok() ? (*scalar)->ToString() : "?";
    }
  }
}

}  // namespace

Result<KeyCodec> KeyCodec::Make(const arrow::Schema& key_schema) {
  KeyCodec codec;
  codec.key_schema_ = std::make_shared<arrow::Schema>(key_schema.fields());
  codec.parquet_order_ = true;
  for (const auto& field : key_schema.fields()) {
    const auto component = KeyComponentOf(*KeyValueType(field->type()));
    if (!component) {
      return Fail(ErrorKind::kInvalid,
                  fmt::format("column '{}' of type {} cannot be part of a key: it has no order; "
                              "use numbers, booleans, decimals, dates and times, strings or binary",
                              field->name(), field->type()->ToString()));
    }
    // Parquet leaves the place of NaN in the order open.
    if (component->form == KeyForm::kFloat) codec.parquet_order_ = false;
  }
  return codec;
}

std::string KeyCodec::ToText(std::string_view key) const {
  if (!key_schema_) return "0x" + ToHex(key);
  std::vector<std::string_view> rest = {key};
  std::string text;
  for (const auto& field : key_schema_->fields()) {
    if (rest.front().empty()) break;  // a prefix of the key columns
    const auto value = DecodeKeyColumn(*field, &rest);
    if (!value || !(*value)->ValidateFull().ok()) return "0x" + ToHex(key);
    if (!text.empty()) text += ", ";
    text += ValueText(**value);
  }
  return rest.front().empty() ? text : "0x" + ToHex(key);
}

std::optional<std::string> PrefixEnd(std::string_view prefix) {
  while (!prefix.empty() && prefix.back() == '\xff') prefix.remove_suffix(1);
  if (prefix.empty()) return std::nullopt;
  std::string end(prefix);
  end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
  return end;
}

}  // namespace varve
