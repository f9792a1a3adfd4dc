// SPDX-License-Identifier: Apache-2.0
// Key ranges out of filters: which keys a filter can accept at all.
//
// Each key column gets an interval of component bytes [lower, upper): `=` makes a point, `<`,
// `between`, `in`, `like 'abc%'` an interval; `and` intersects, `or` takes the hull. The intervals
// of the leading points and of the first column that is no point make the range of whole keys.
//
// The range never excludes a row that the filter accepts. It may be too wide: the whole filter runs
// after the merge in any case. A literal takes part only if it casts exactly to the key column's
// type; a cast of the column only if it is without loss; NaN and -0.0 follow the key encoding, in
// which -0.0 = 0.0 and NaN comes last, and no comparison accepts NaN.
#pragma once

#include <string>

#include <arrow/compute/expression.h>

#include "columns/table_schema.h"
#include "columns/version_cursor.h"
#include "varve/error.h"
#include "varve/options.h"

namespace varve {

struct PlannedRange {
  KeyBounds bounds;
  std::string text = "all";  // for people

  bool Empty() const { return bounds.upper && *bounds.upper <= bounds.lower; }
};

// `filter` is bound to the table's schema; null when there is none. Invalid when a bound of `range`
// is not one row of the leading key columns, or has a null.
Result<PlannedRange> PlanKeyRange(const TableSchema& schema, const KeyRange& range,
                                  const arrow::compute::Expression* filter);

}  // namespace varve
