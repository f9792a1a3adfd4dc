// SPDX-License-Identifier: Apache-2.0
// Cutting a batch down to what its rows need. Arrow's IPC writes only the slice of most columns,
// but of views and dictionaries all that the slice was cut from.
#pragma once

#include <memory>

#include <arrow/type_fwd.h>

namespace varve {

// The same rows; views without unused text, dictionaries without unused values where they are
// longer than the column, at any depth. Columns that have nothing to lose are shared.
arrow::Result<std::shared_ptr<arrow::RecordBatch>> CompactBatch(const arrow::RecordBatch& batch);

}  // namespace varve
