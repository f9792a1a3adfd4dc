// SPDX-License-Identifier: Apache-2.0
// Between the rows of the reference and Arrow's batches.
#pragma once

#include <arrow/api.h>

#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

#include "test/model/reference.h"
#include "varve/error.h"
#include "varve/options.h"
#include "varve/snapshot.h"

namespace varve::testing {

// The database did what the reference says it must not.
struct Broken : std::runtime_error {
  using std::runtime_error::runtime_error;
};

inline void Require(bool holds, const std::string& what) {
  if (!holds) throw Broken(what);
}
template <typename T>
T Must(Result<T> result, const std::string& what) {
  if (!result) throw Broken(what + ": " + result.error().message());
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}
template <typename T>
T Take(arrow::Result<T> result, const std::string& what) {
  if (!result.ok()) throw Broken(what + ": " + result.status().ToString());
  return *std::move(result);
}

std::shared_ptr<arrow::Schema> SchemaOf(const Shape& shape);
std::vector<std::string> KeyOf(const Shape& shape);
ColumnChange ChangeOf(const ColumnStep& step);
std::vector<ColumnChange> ChangesOf(const std::vector<ColumnStep>& steps);

KeyRange KeyRangeOf(const Shape& shape, const Range& range);
// Null when there is none.
std::shared_ptr<const arrow::compute::Expression> FilterOf(
    const Shape& shape, const std::optional<Condition>& condition);
// Of the column's type; null is no value.
Value ValueOf(const Column& column, const std::shared_ptr<arrow::Scalar>& scalar);

std::shared_ptr<arrow::RecordBatch> MakeBatch(const Shape& shape, const RowList& rows);
// Columns by name; those of values are named with the prefix before. Each must be there, and of
// its type.
RowList ReadBatch(const Shape& shape, const arrow::RecordBatch& batch,
                  const std::string& prefix = "");
// Calls `between` before each batch.
RowList ReadAll(const Shape& shape, arrow::RecordBatchReader* reader,
                const std::function<void()>& between = [] {});

}  // namespace varve::testing
