// SPDX-License-Identifier: Apache-2.0
// Filters as bound Arrow expressions: checking one that a caller made, and applying it to batches.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include <arrow/compute/expression.h>

#include "varve/error.h"

namespace arrow {
class BooleanArray;
class RecordBatch;
class Schema;
}  // namespace arrow

namespace varve {

// Invalid when the expression names a column that is not there, does not fit the types, holds
// anything but scalar functions, or does not give booleans.
Result<arrow::compute::Expression> BindFilter(const arrow::compute::Expression& expression,
                                              const arrow::Schema& schema);

// Evaluates a filter that was bound to a table's schema on batches that hold only some of its
// columns. Not thread-safe.
class FilterEvaluator {
 public:
  FilterEvaluator(arrow::compute::Expression bound, std::shared_ptr<arrow::Schema> table);

  const arrow::compute::Expression& bound() const { return bound_; }
  // Indices of the table's columns that the filter reads, ascending.
  const std::vector<int>& columns() const { return columns_; }

  // Which rows the filter accepts.
  struct Selection {
    std::int64_t accepted = 0;
    std::shared_ptr<arrow::BooleanArray> mask;  // null when all rows or none are accepted
  };
  // `positions`: for each of columns(), where it stands in `batch`.
  Result<Selection> Evaluate(const arrow::RecordBatch& batch, const std::vector<int>& positions);

  // The rows of `batch` that `selection` accepts.
  static Result<std::shared_ptr<arrow::RecordBatch>> Apply(
      const std::shared_ptr<arrow::RecordBatch>& batch, const Selection& selection);

 private:
  arrow::compute::Expression bound_;
  std::shared_ptr<arrow::Schema> table_;
  std::vector<int> columns_;
  arrow::compute::ExecBatch frame_;  // as wide as the table; null scalars but for columns_
};

}  // namespace varve
