// SPDX-License-Identifier: Apache-2.0
// Between the rows of the reference and Arrow's batches.
#pragma once

#include <arrow/api.h>

#include <memory>
#include <stdexcept>
#include <string>

#include "test/model/reference.h"
#include "varve/error.h"

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

std::shared_ptr<arrow::Schema> SchemaOf(const std::string& table);
std::vector<std::string> KeyOf(const std::string& table);

std::shared_ptr<arrow::RecordBatch> MakeBatch(const std::string& table, const RowList& rows);
// Columns by name; those that are not there are null.
RowList ReadBatch(const std::string& table, const arrow::RecordBatch& batch);
RowList ReadAll(const std::string& table, arrow::RecordBatchReader* reader);

}  // namespace varve::testing
