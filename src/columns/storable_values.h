// SPDX-License-Identifier: Apache-2.0
// Values that Arrow has and Parquet has not. Found before a commit: a row that the log took and no
// run can hold would be in the way of every later flush.
#pragma once

#include <arrow/type_fwd.h>

#include "varve/error.h"

namespace varve {

// Parquet counts timestamps and times in milliseconds at the coarsest, and dates in days of 32
// bits. Invalid, with row (of the column, or of the nested array) and column, for a timestamp or
// time in seconds, or a date in milliseconds, that is out of that range.
Status CheckStorable(const arrow::RecordBatch& batch);

}  // namespace varve
