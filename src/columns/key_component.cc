// SPDX-License-Identifier: Apache-2.0
#include "columns/key_component.h"

#include <arrow/extension_type.h>
#include <arrow/type.h>

namespace varve {

std::shared_ptr<arrow::DataType> KeyValueType(std::shared_ptr<arrow::DataType> type) {
  for (;;) {
    if (type->id() == arrow::Type::EXTENSION) {
      type = static_cast<const arrow::ExtensionType&>(*type).storage_type();
    } else if (type->id() == arrow::Type::DICTIONARY) {
      type = static_cast<const arrow::DictionaryType&>(*type).value_type();
    } else {
      return type;
    }
  }
}

std::optional<KeyComponent> KeyComponentOf(const arrow::DataType& value_type) {
  using arrow::Type;
  const std::int32_t width = value_type.byte_width();
  switch (value_type.id()) {
    case Type::BOOL: return KeyComponent{KeyForm::kBool, 1};
    case Type::INT8:
    case Type::INT16:
    case Type::INT32:
    case Type::INT64:
    case Type::DATE32:
    case Type::DATE64:
    case Type::TIME32:
    case Type::TIME64:
    case Type::TIMESTAMP:
    case Type::DURATION: return KeyComponent{KeyForm::kSigned, width};
    case Type::UINT8:
    case Type::UINT16:
    case Type::UINT32:
    case Type::UINT64: return KeyComponent{KeyForm::kUnsigned, width};
    case Type::HALF_FLOAT:
    case Type::FLOAT:
    case Type::DOUBLE: return KeyComponent{KeyForm::kFloat, width};
    case Type::DECIMAL32:
    case Type::DECIMAL64:
    case Type::DECIMAL128:
    case Type::DECIMAL256: return KeyComponent{KeyForm::kDecimal, width};
    case Type::FIXED_SIZE_BINARY:
      if (width == 0) return std::nullopt;  // all its values are equal
      return KeyComponent{KeyForm::kBytes, width};
    case Type::STRING:
    case Type::BINARY:
    case Type::LARGE_STRING:
    case Type::LARGE_BINARY:
    case Type::STRING_VIEW:
    case Type::BINARY_VIEW: return KeyComponent{KeyForm::kText, 0};
    default: return std::nullopt;
  }
}

}  // namespace varve
