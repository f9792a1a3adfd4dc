// SPDX-License-Identifier: Apache-2.0
// Types without a dictionary are Arrow's to compare; of others, one step towards it at a time.
#include "columns/same_value.h"

#include <arrow/api.h>
#include <arrow/extension_type.h>

#include <algorithm>

namespace varve {
namespace {

using Place = std::int64_t;

bool HasDictionary(const arrow::DataType& type) {
  if (type.id() == arrow::Type::DICTIONARY) return true;
  if (type.id() == arrow::Type::EXTENSION) {
    return HasDictionary(*static_cast<const arrow::ExtensionType&>(type).storage_type());
  }
  return std::ranges::any_of(type.fields(),
                             [](const auto& field) { return HasDictionary(*field->type()); });
}

// Both are not null, or this is not asked.
template <typename List>
bool SameList(const arrow::Array& a, Place at, const arrow::Array& b, Place other) {
  const auto& list_a = static_cast<const List&>(a);
  const auto& list_b = static_cast<const List&>(b);
  const auto length = list_a.value_length(at);
  if (length != list_b.value_length(other)) return false;
  const Place first_a = list_a.value_offset(at), first_b = list_b.value_offset(other);
  for (Place i = 0; i < length; ++i) {
    if (!SameValue(*list_a.values(), first_a + i, *list_b.values(), first_b + i)) return false;
  }
  return true;
}

bool SameStruct(const arrow::Array& a, Place at, const arrow::Array& b, Place other) {
  const auto& struct_a = static_cast<const arrow::StructArray&>(a);
  const auto& struct_b = static_cast<const arrow::StructArray&>(b);
  for (int i = 0; i < struct_a.num_fields(); ++i) {
    if (!SameValue(*struct_a.field(i), at, *struct_b.field(i), other)) return false;
  }
  return true;
}

// The array that holds the value, and where: of a dictionary the one of its values. Null: it has
// none.
struct Held {
  const arrow::Array* array;
  Place at;
};
Held HolderOf(const arrow::Array* array, Place at) {
  while (!array->IsNull(at)) {
    if (array->type_id() == arrow::Type::EXTENSION) {
      array = static_cast<const arrow::ExtensionArray*>(array)->storage().get();
    } else if (array->type_id() == arrow::Type::DICTIONARY) {
      const auto* const coded = static_cast<const arrow::DictionaryArray*>(array);
      at = coded->GetValueIndex(at);
      array = coded->dictionary().get();
    } else {
      return {array, at};
    }
  }
  return {nullptr, 0};
}

bool SameForArrow(const arrow::Array& a, Place at, const arrow::Array& b, Place other) {
  const auto exactly = arrow::EqualOptions().nans_equal(true).signed_zeros_equal(false);
  return a.RangeEquals(b, at, at + 1, other, exactly);
}

}  // namespace

bool SameValue(const arrow::Array& a, std::int64_t at, const arrow::Array& b, std::int64_t other) {
  if (!HasDictionary(*a.type())) return SameForArrow(a, at, b, other);
  const Held x = HolderOf(&a, at), y = HolderOf(&b, other);
  if (x.array == nullptr || y.array == nullptr) return x.array == y.array;
  switch (x.array->type_id()) {
    case arrow::Type::STRUCT:
      return SameStruct(*x.array, x.at, *y.array, y.at);
    case arrow::Type::LIST:
    case arrow::Type::MAP:
      return SameList<arrow::ListArray>(*x.array, x.at, *y.array, y.at);
    case arrow::Type::LARGE_LIST:
      return SameList<arrow::LargeListArray>(*x.array, x.at, *y.array, y.at);
    case arrow::Type::FIXED_SIZE_LIST:
      return SameList<arrow::FixedSizeListArray>(*x.array, x.at, *y.array, y.at);
    default:
      return SameForArrow(*x.array, x.at, *y.array, y.at);
  }
}

}  // namespace varve
