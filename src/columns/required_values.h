// SPDX-License-Identifier: Apache-2.0
// Nulls where there may be none. Arrow does not check a field's "not null" against the values.
#pragma once

#include <cstdint>
#include <optional>

#include <arrow/type_fwd.h>

#include "varve/error.h"

namespace varve {

// The first row that is null, a dictionary's null values counted as null.
std::optional<std::int64_t> FirstNull(const arrow::Array& array);

// Invalid, with row and column, when a column or nested field that is "not null" holds a null. A
// field inside of something that is null itself has no value and may be anything.
Status CheckRequiredValues(const arrow::RecordBatch& batch);

// The same array, but where a required field is null because something around it is, it gets some
// value: Parquet's writer takes such a null for a missing value. The array itself when none is.
arrow::Result<std::shared_ptr<arrow::ArrayData>> FillRequiredFields(
    std::shared_ptr<arrow::ArrayData> data);

}  // namespace varve
