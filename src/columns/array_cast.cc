// SPDX-License-Identifier: Apache-2.0
#include "columns/array_cast.h"

#include <arrow/array.h>
#include <arrow/array/array_dict.h>
#include <arrow/array/builder_primitive.h>
#include <arrow/array/concatenate.h>
#include <arrow/array/util.h>
#include <arrow/buffer.h>
#include <arrow/compute/api.h>
#include <arrow/extension_type.h>
#include <arrow/util/bit_util.h>

#include <limits>

#include "columns/arrow_init.h"
#include "columns/arrow_pool.h"
#include "columns/take_rows.h"

namespace varve {
namespace {

using Data = std::shared_ptr<arrow::ArrayData>;
using Type = std::shared_ptr<arrow::DataType>;
using DataResult = arrow::Result<Data>;

Data Retyped(const Data& data, Type type) {
  auto copy = data->Copy();
  copy->type = std::move(type);
  return copy;
}

arrow::Result<Data> Leaf(const Data& data, const Type& type) {
  InitializeArrow();
  ARROW_ASSIGN_OR_RAISE(auto cast, arrow::compute::Cast(arrow::Datum(data), type));
  return cast.array();
}

// The validity of the array's own rows, from bit 0 on.
arrow::Result<std::shared_ptr<arrow::Buffer>> OwnValidity(const arrow::ArrayData& data) {
  if (data.GetNullCount() == 0) return nullptr;
  ARROW_ASSIGN_OR_RAISE(auto bitmap, arrow::AllocateEmptyBitmap(data.length, ArrowPool()));
  for (std::int64_t i = 0; i < data.length; ++i) {
    arrow::bit_util::SetBitTo(bitmap->mutable_data(), i, data.IsValid(i));
  }
  return bitmap;
}

// Fixed-size list to list: offsets that count on by the list's size.
DataResult ListOfFixedSize(const Data& data, const Type& type) {
  const std::int64_t size = static_cast<const arrow::FixedSizeListType&>(*data->type).list_size();
  const std::int64_t rows = data->offset + data->length;
  if (rows * size > std::numeric_limits<std::int32_t>::max()) {
    return arrow::Status::CapacityError("more than 2^31 elements in the lists of one batch");
  }
  ARROW_ASSIGN_OR_RAISE(auto offsets, arrow::AllocateBuffer((rows + 1) * sizeof(std::int32_t),
                                                            ArrowPool()));
  auto* offset = reinterpret_cast<std::int32_t*>(offsets->mutable_data());
  for (std::int64_t i = 0; i <= rows; ++i) offset[i] = static_cast<std::int32_t>(i * size);
  ARROW_ASSIGN_OR_RAISE(auto values, CastArray(data->child_data[0], type->field(0)->type()));
  return arrow::ArrayData::Make(type, data->length, {data->buffers[0], std::move(offsets)},
                                {std::move(values)}, data->null_count, data->offset);
}

// List to fixed-size list. The place of a null list is filled with null elements.
DataResult FixedSizeOfList(const Data& data, const Type& type) {
  const std::int64_t size = static_cast<const arrow::FixedSizeListType&>(*type).list_size();
  const arrow::ListArray lists(data);
  const std::int64_t padding = lists.values()->length();  // index of the one null element
  arrow::Int64Builder indices;
  ARROW_RETURN_NOT_OK(indices.Reserve(data->length * size));
  for (std::int64_t i = 0; i < data->length; ++i) {
    const bool null = lists.IsNull(i);
    if (!null && lists.value_length(i) != size) {
      return arrow::Status::Invalid("expected lists of ", size, " elements, found one of ",
                                    lists.value_length(i));
    }
    for (std::int64_t k = 0; k < size; ++k) {
      indices.UnsafeAppend(null ? padding : lists.value_offset(i) + k);
    }
  }
  ARROW_ASSIGN_OR_RAISE(auto null, arrow::MakeArrayOfNull(lists.value_type(), 1));
  ARROW_ASSIGN_OR_RAISE(auto padded, arrow::Concatenate({lists.values(), null}));
  std::shared_ptr<arrow::Int64Array> index;
  ARROW_RETURN_NOT_OK(indices.Finish(&index));
  ARROW_ASSIGN_OR_RAISE(auto taken, TakeRows(padded, *index));
  ARROW_ASSIGN_OR_RAISE(auto values, CastArray(taken->data(), type->field(0)->type()));
  ARROW_ASSIGN_OR_RAISE(auto validity, OwnValidity(*data));
  return arrow::ArrayData::Make(type, data->length, {std::move(validity)}, {std::move(values)});
}

// Same layout, other children.
DataResult SameShape(const Data& data, const Type& type) {
  if (data->child_data.size() != static_cast<std::size_t>(type->num_fields())) {
    return arrow::Status::TypeError("expected ", type->ToString(), ", found ",
                                    data->type->ToString());
  }
  auto result = Retyped(data, type);
  for (std::size_t i = 0; i < result->child_data.size(); ++i) {
    ARROW_ASSIGN_OR_RAISE(
        result->child_data[i],
        CastArray(result->child_data[i], type->field(static_cast<int>(i))->type()));
  }
  return result;
}

DataResult ToDictionary(Data data, const Type& type) {
  const auto& target = static_cast<const arrow::DictionaryType&>(*type);
  if (data->type->id() != arrow::Type::DICTIONARY) {
    Type plain = target.value_type();
    while (plain->id() == arrow::Type::EXTENSION) {
      plain = static_cast<const arrow::ExtensionType&>(*plain).storage_type();
    }
    ARROW_ASSIGN_OR_RAISE(data, CastArray(std::move(data), plain));
    InitializeArrow();
    ARROW_ASSIGN_OR_RAISE(auto encoded, arrow::compute::DictionaryEncode(arrow::Datum(data)));
    data = encoded.array();
  }
  const arrow::DictionaryArray array(data);
  ARROW_ASSIGN_OR_RAISE(auto indices, Leaf(array.indices()->data(), target.index_type()));
  ARROW_ASSIGN_OR_RAISE(auto values, CastArray(array.dictionary()->data(), target.value_type()));
  auto result = Retyped(indices, type);
  result->dictionary = std::move(values);
  return result;
}

// Arrow's Take would do, but not for dictionaries of views. A null index, and an index of a null
// value, is null: both are sent to a null put behind the dictionary.
DataResult FromDictionary(const Data& data, const Type& type) {
  const arrow::DictionaryArray array(data);
  const auto& values = array.dictionary();
  ARROW_ASSIGN_OR_RAISE(auto null, arrow::MakeArrayOfNull(values->type(), 1));
  ARROW_ASSIGN_OR_RAISE(auto padded, arrow::Concatenate({values, null}));
  arrow::Int64Builder builder;
  ARROW_RETURN_NOT_OK(builder.Reserve(array.length()));
  for (std::int64_t i = 0; i < array.length(); ++i) {
    const auto index = array.IsNull(i) ? values->length() : array.GetValueIndex(i);
    if (index < 0 || index > values->length()) {
      return arrow::Status::IndexError("index ", index, " of a dictionary with ", values->length(),
                                       " values");
    }
    builder.UnsafeAppend(index);
  }
  std::shared_ptr<arrow::Int64Array> indices;
  ARROW_RETURN_NOT_OK(builder.Finish(&indices));
  ARROW_ASSIGN_OR_RAISE(auto taken, TakeRows(padded, *indices));
  return CastArray(taken->data(), type);
}

}  // namespace

DataResult CastArray(Data data, Type type) {
  if (data->type.get() == type.get()) return data;
  if (data->type->Equals(*type)) return Retyped(data, std::move(type));
  if (data->type->id() == arrow::Type::EXTENSION) {
    const auto& extension = static_cast<const arrow::ExtensionType&>(*data->type);
    return CastArray(Retyped(data, extension.storage_type()), std::move(type));
  }
  if (type->id() == arrow::Type::EXTENSION) {
    const auto& extension = static_cast<const arrow::ExtensionType&>(*type);
    ARROW_ASSIGN_OR_RAISE(auto storage, CastArray(std::move(data), extension.storage_type()));
    return Retyped(storage, std::move(type));
  }
  if (type->id() == arrow::Type::DICTIONARY) return ToDictionary(std::move(data), type);
  if (data->type->id() == arrow::Type::DICTIONARY) return FromDictionary(data, type);
  const bool from_fixed = data->type->id() == arrow::Type::FIXED_SIZE_LIST;
  const bool to_fixed = type->id() == arrow::Type::FIXED_SIZE_LIST;
  if (from_fixed && type->id() == arrow::Type::LIST) return ListOfFixedSize(data, type);
  if (to_fixed && data->type->id() == arrow::Type::LIST) return FixedSizeOfList(data, type);
  if (data->type->id() == type->id() && type->num_fields() > 0) return SameShape(data, type);
  return Leaf(data, type);
}

Type WithFields(const Type& type, const arrow::FieldVector& fields) {
  bool changed = false;
  for (int i = 0; i < type->num_fields(); ++i) {
    const auto& field = *fields[static_cast<std::size_t>(i)];
    changed |= field.type() != type->field(i)->type();
    changed |= field.nullable() != type->field(i)->nullable();
  }
  if (!changed) return type;
  switch (type->id()) {
    case arrow::Type::LIST: return arrow::list(fields[0]);
    case arrow::Type::LARGE_LIST: return arrow::large_list(fields[0]);
    case arrow::Type::FIXED_SIZE_LIST:
      return arrow::fixed_size_list(
          fields[0], static_cast<const arrow::FixedSizeListType&>(*type).list_size());
    case arrow::Type::STRUCT: return arrow::struct_(fields);
    case arrow::Type::MAP:
      return std::make_shared<arrow::MapType>(
          fields[0], static_cast<const arrow::MapType&>(*type).keys_sorted());
    default: return type;  // unions, run ends, list views: no table has them
  }
}

Type WithoutDictionaries(const Type& type) {
  if (type->id() == arrow::Type::DICTIONARY) {
    return WithoutDictionaries(static_cast<const arrow::DictionaryType&>(*type).value_type());
  }
  if (type->id() == arrow::Type::EXTENSION) {
    const auto& storage = static_cast<const arrow::ExtensionType&>(*type).storage_type();
    const auto plain = WithoutDictionaries(storage);
    return plain == storage ? type : plain;
  }
  arrow::FieldVector fields;
  for (const auto& field : type->fields()) {
    fields.push_back(field->WithType(WithoutDictionaries(field->type())));
  }
  return WithFields(type, fields);
}

DataResult WithoutNullsInDictionaries(Data data) {
  if (data->type->id() == arrow::Type::EXTENSION) {
    const auto type = data->type;
    const auto& storage = static_cast<const arrow::ExtensionType&>(*type).storage_type();
    ARROW_ASSIGN_OR_RAISE(auto plain, WithoutNullsInDictionaries(Retyped(data, storage)));
    return Retyped(plain, type);
  }
  if (data->type->id() == arrow::Type::DICTIONARY) {
    if (data->dictionary->GetNullCount() == 0) return data;
    const auto& values = static_cast<const arrow::DictionaryType&>(*data->type).value_type();
    ARROW_ASSIGN_OR_RAISE(auto plain, CastArray(data, values));
    return CastArray(std::move(plain), data->type);
  }
  auto result = data;
  for (std::size_t i = 0; i < data->child_data.size(); ++i) {
    ARROW_ASSIGN_OR_RAISE(auto child, WithoutNullsInDictionaries(data->child_data[i]));
    if (child == data->child_data[i]) continue;
    if (result == data) result = data->Copy();
    result->child_data[i] = std::move(child);
  }
  return result;
}

}  // namespace varve
