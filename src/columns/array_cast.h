// SPDX-License-Identifier: Apache-2.0
// Casts that arrow::compute::Cast lacks: through nested types, into dictionaries of any value,
// between lists of fixed and of varying size. Values never change, only their representation.
#pragma once

#include <memory>

#include <arrow/type_fwd.h>

namespace varve {

// The array as `type`. Types must be alike: the same shape of lists (of any kind), structs and
// maps, whose leaves Arrow can cast without loss, each perhaps in a dictionary or an extension.
// The result is as long as the array. An arrow::Status says what does not fit.
arrow::Result<std::shared_ptr<arrow::ArrayData>> CastArray(std::shared_ptr<arrow::ArrayData> data,
                                                           std::shared_ptr<arrow::DataType> type);

// The nested type with other fields, one for each of its own; the same object when none has
// another type or nullability.
std::shared_ptr<arrow::DataType> WithFields(const std::shared_ptr<arrow::DataType>& type,
                                            const arrow::FieldVector& fields);

// The type with every dictionary, at any depth, replaced by its values, and extensions around one
// by their storage. Arrays that hold equal values are equal as this, whatever their dictionaries.
std::shared_ptr<arrow::DataType> WithoutDictionaries(const std::shared_ptr<arrow::DataType>& type);

// The same values, but no dictionary, at any depth, has a null among its values: the index is null
// instead. Arrow can neither unify dictionaries with nulls nor write them to Parquet. The array
// itself when there is none.
arrow::Result<std::shared_ptr<arrow::ArrayData>> WithoutNullsInDictionaries(
    std::shared_ptr<arrow::ArrayData> data);

}  // namespace varve
