// SPDX-License-Identifier: Apache-2.0
#include "columns/required_values.h"

#include <arrow/array.h>
#include <arrow/array/array_dict.h>
#include <arrow/array/builder_primitive.h>
#include <arrow/array/concatenate.h>
#include <arrow/extension_type.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <fmt/format.h>

#include <numeric>
#include <vector>

#include "base/result.h"
#include "columns/sample_values.h"
#include "columns/take_rows.h"

namespace varve {
namespace {

// For each element of an array the row of the batch it belongs to; kNobody inside a null.
using Owners = std::vector<std::int64_t>;
constexpr std::int64_t kNobody = -1;

bool IsNull(const arrow::Array& array, std::int64_t i) {
  if (array.IsNull(i)) return true;
  if (array.type_id() != arrow::Type::DICTIONARY) return false;
  const auto& dictionary = static_cast<const arrow::DictionaryArray&>(array);
  return dictionary.dictionary()->IsNull(dictionary.GetValueIndex(i));
}

bool MayHoldNulls(const arrow::Array& array) {
  if (array.null_count() > 0) return true;
  return array.type_id() == arrow::Type::DICTIONARY &&
         static_cast<const arrow::DictionaryArray&>(array).dictionary()->null_count() > 0;
}

std::shared_ptr<arrow::Array> Child(const arrow::Array& array, int i) {
  return arrow::MakeArray(array.data()->child_data[static_cast<std::size_t>(i)]);
}

// Cheap and on the safe side: is a "not null" field anywhere inside whose array has nulls at all?
bool NestedNullsPossible(const arrow::Array& array) {
  if (array.type_id() == arrow::Type::EXTENSION) {
    return NestedNullsPossible(*static_cast<const arrow::ExtensionArray&>(array).storage());
  }
  for (int i = 0; i < static_cast<int>(array.data()->child_data.size()); ++i) {
    const auto child = Child(array, i);
    if (!array.type()->field(i)->nullable() && MayHoldNulls(*child)) return true;
    if (NestedNullsPossible(*child)) return true;
  }
  return false;
}

template <typename List>
Owners ElementOwners(const List& lists, std::int64_t elements, const Owners& owners) {
  Owners inside(static_cast<std::size_t>(elements), kNobody);
  for (std::int64_t i = 0; i < lists.length(); ++i) {
    if (lists.IsNull(i)) continue;
    for (std::int64_t k = 0; k < lists.value_length(i); ++k) {
      inside[static_cast<std::size_t>(lists.value_offset(i) + k)] =
          owners[static_cast<std::size_t>(i)];
    }
  }
  return inside;
}

Owners ChildOwners(const arrow::Array& array, const arrow::Array& child, const Owners& owners) {
  switch (array.type_id()) {
    case arrow::Type::LIST:
    case arrow::Type::MAP:
      return ElementOwners(static_cast<const arrow::ListArray&>(array), child.length(), owners);
    case arrow::Type::LARGE_LIST:
      return ElementOwners(static_cast<const arrow::LargeListArray&>(array), child.length(),
                           owners);
    case arrow::Type::FIXED_SIZE_LIST:
      return ElementOwners(static_cast<const arrow::FixedSizeListArray&>(array), child.length(),
                           owners);
    default: break;
  }
  Owners inside(static_cast<std::size_t>(child.length()), kNobody);
  for (std::int64_t i = 0; i < array.length(); ++i) {
    if (array.IsNull(i)) continue;
    inside[static_cast<std::size_t>(array.offset() + i)] = owners[static_cast<std::size_t>(i)];
  }
  return inside;
}

Status CheckNested(const arrow::Array& array, const std::string& path, const Owners& owners) {
  if (array.type_id() == arrow::Type::EXTENSION) {
    return CheckNested(*static_cast<const arrow::ExtensionArray&>(array).storage(), path, owners);
  }
  for (int i = 0; i < static_cast<int>(array.data()->child_data.size()); ++i) {
    const auto& field = *array.type()->field(i);
    const auto child = Child(array, i);
    const Owners inside = ChildOwners(array, *child, owners);
    const std::string name = path + "." + field.name();
    for (std::int64_t k = 0; !field.nullable() && k < child->length(); ++k) {
      const auto row = inside[static_cast<std::size_t>(k)];
      if (row == kNobody || !IsNull(*child, k)) continue;
      return Fail(ErrorKind::kInvalid,
                  fmt::format("row {}: '{}' is null, but the table requires a value", row, name));
    }
    VARVE_TRY(CheckNested(*child, name, inside));
  }
  return {};
}

// Some value in the place of each null.
arrow::Result<std::shared_ptr<arrow::ArrayData>> FillNulls(
    const std::shared_ptr<arrow::ArrayData>& data) {
  const auto array = arrow::MakeArray(data);
  ARROW_ASSIGN_OR_RAISE(auto filler, SampleValues(data->type, 1));
  ARROW_ASSIGN_OR_RAISE(auto padded, arrow::Concatenate({array, arrow::MakeArray(filler)}));
  arrow::Int64Builder indices;
  ARROW_RETURN_NOT_OK(indices.Reserve(array->length()));
  for (std::int64_t i = 0; i < array->length(); ++i) {
    indices.UnsafeAppend(IsNull(*array, i) ? array->length() : i);
  }
  std::shared_ptr<arrow::Int64Array> index;
  ARROW_RETURN_NOT_OK(indices.Finish(&index));
  ARROW_ASSIGN_OR_RAISE(auto filled, TakeRows(padded, *index));
  return filled->data();
}

}  // namespace

arrow::Result<std::shared_ptr<arrow::ArrayData>> FillRequiredFields(
    std::shared_ptr<arrow::ArrayData> data) {
  const arrow::DataType* type = data->type.get();
  if (type->id() == arrow::Type::EXTENSION) {
    type = static_cast<const arrow::ExtensionType&>(*type).storage_type().get();
  }
  auto filled = data;
  for (std::size_t i = 0; i < data->child_data.size(); ++i) {
    auto child = data->child_data[i];
    if (!type->field(static_cast<int>(i))->nullable() && MayHoldNulls(*arrow::MakeArray(child))) {
      ARROW_ASSIGN_OR_RAISE(child, FillNulls(child));
    }
    ARROW_ASSIGN_OR_RAISE(child, FillRequiredFields(std::move(child)));
    if (child == data->child_data[i]) continue;
    if (filled == data) filled = data->Copy();
    filled->child_data[i] = std::move(child);
  }
  return filled;
}

std::optional<std::int64_t> FirstNull(const arrow::Array& array) {
  if (array.type_id() == arrow::Type::EXTENSION) {
    return FirstNull(*static_cast<const arrow::ExtensionArray&>(array).storage());
  }
  if (!MayHoldNulls(array)) return std::nullopt;
  for (std::int64_t i = 0; i < array.length(); ++i) {
    if (IsNull(array, i)) return i;
  }
  return std::nullopt;
}

Status CheckRequiredValues(const arrow::RecordBatch& batch) {
  for (int i = 0; i < batch.num_columns(); ++i) {
    const auto& field = *batch.schema()->field(i);
    const auto& column = *batch.column(i);
    const auto row = field.nullable() ? std::nullopt : FirstNull(column);
    if (row) {
      return Fail(ErrorKind::kInvalid,
                  fmt::format("row {}: column '{}' is null, but the table requires a value", *row,
                              field.name()));
    }
    if (!NestedNullsPossible(column)) continue;
    Owners rows(static_cast<std::size_t>(column.length()));
    std::iota(rows.begin(), rows.end(), 0);
    VARVE_TRY(CheckNested(column, field.name(), rows));
  }
  return {};
}

}  // namespace varve
