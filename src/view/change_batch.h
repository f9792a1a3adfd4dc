// SPDX-License-Identifier: Apache-2.0
// What changes look like to the caller: columns settled before the first read, and batches of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <stop_token>
#include <string_view>
#include <vector>

#include "columns/table_schema.h"
#include "varve/error.h"
#include "varve/options.h"
#include "view/change_set.h"
#include "view/key_range.h"

namespace varve {

struct ChangeRecipe {
  std::shared_ptr<arrow::Schema> output;
  std::shared_ptr<arrow::Schema> read;  // the table's columns that are asked for
  std::vector<int> columns;             // the same, as indices into the table's schema
  bool before_images = false;
  std::vector<int> before;  // places in `read` of the columns whose value before is given
  PlannedRange range;
  std::stop_token stop;
  std::int64_t batch_rows_max = 0;
};

// Errors: Invalid (a column asked for twice, one that has the name of a column of changes, a range
// that does not fit, a batch size below one), NotFound (column).
Result<ChangeRecipe> PrepareChanges(const TableSchema& schema, const ChangesOptions& options);

// The changes [begin, end) of the set, at least one, or so many of the first of them as one batch
// can hold. The rows of the batch say how many.
Result<std::shared_ptr<arrow::RecordBatch>> MakeChangeBatch(const ChangeRecipe& recipe,
                                                            const TableSchema& schema,
                                                            const ChangeSet& set, std::size_t begin,
                                                            std::size_t end);

}  // namespace varve
