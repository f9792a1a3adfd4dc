// SPDX-License-Identifier: Apache-2.0
// Whether a column type survives: tried out, not listed.
#pragma once

#include <arrow/type_fwd.h>

#include "varve/error.h"

namespace varve {

// Writes no rows, then a few rows (null where the field may be, and not) of the field to Parquet in
// memory, reads them back as runs do and compares. Invalid/kUnsupportedFormat names the column, the
// type, what went wrong and what to use instead.
Status CheckFieldSurvivesParquet(const std::shared_ptr<arrow::Field>& field);

}  // namespace varve
