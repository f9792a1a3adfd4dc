// SPDX-License-Identifier: Apache-2.0
// Casts that arrow::compute::Cast lacks: through nested types, into dictionaries of any value,
// between lists of fixed and of varying size. Values never change, only their representation.
#pragma once

#include <memory>
#include <vector>

#include <arrow/type_fwd.h>

namespace varve {

// The array as `type`. Types must be alike: the same shape of lists (of any kind), structs and
// maps, whose leaves Arrow can cast without loss, each perhaps in a dictionary or an extension.
// The result is as long as the array. An arrow::Status says what does not fit.
arrow::Result<std::shared_ptr<arrow::ArrayData>> CastArray(std::shared_ptr<arrow::ArrayData> data,
                                                           std::shared_ptr<arrow::DataType> type);

// The nested type with other types in its fields, one for each; the same object when none differs.
std::shared_ptr<arrow::DataType> WithFieldTypes(
    const std::shared_ptr<arrow::DataType>& type,
    const std::vector<std::shared_ptr<arrow::DataType>>& types);

// The type with every dictionary, at any depth, replaced by its values, and extensions around one
// by their storage. Arrays that hold equal values are equal as this, whatever their dictionaries.
std::shared_ptr<arrow::DataType> WithoutDictionaries(const std::shared_ptr<arrow::DataType>& type);

}  // namespace varve
