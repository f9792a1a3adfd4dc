// SPDX-License-Identifier: Apache-2.0
// arrow::compute::Take for every type that a table can have: Arrow has no kernel for views.
#pragma once

#include <memory>

#include <arrow/type_fwd.h>

namespace varve {

// The elements at `indices` (no nulls, each within the array), in that order. Views share the text
// of the array they come from.
arrow::Result<std::shared_ptr<arrow::Array>> TakeRows(const std::shared_ptr<arrow::Array>& array,
                                                      const arrow::Int64Array& indices);

// The same of each column of a batch.
arrow::Result<std::shared_ptr<arrow::RecordBatch>> TakeRows(const arrow::RecordBatch& batch,
                                                            const arrow::Int64Array& indices);

}  // namespace varve
