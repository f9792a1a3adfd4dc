// SPDX-License-Identifier: Apache-2.0
// Copying rows out of many batches, value by value, for the types that most columns have: what
// single rows want. Arrow's Concatenate and Take cost some hundred nanoseconds a piece.
#pragma once

#include <memory>
#include <vector>

#include <arrow/type_fwd.h>

#include "columns/gather.h"

namespace varve {

// Column `column` of the slices' rows, in order, in memory of its own. Null when it is of a type
// that is not copied here: nested, dictionaries, views.
arrow::Result<std::shared_ptr<arrow::Array>> CopyColumn(const std::vector<RowSlice>& slices,
                                                        int column);

}  // namespace varve
