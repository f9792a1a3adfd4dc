// SPDX-License-Identifier: Apache-2.0
// Merge: k sorted cursors become one.
//
// The simple version: keep the cursors in a heap by (key, commit descending) and take the smallest.
// What it adds: while the smallest cursor alone covers the keys up to the next cursor's, whole
// slices of it are taken at once (VersionCursor::PlainRows), so runs that do not overlap are
// passed through and not compared row by row.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <vector>

#include "columns/gather.h"
#include "columns/version_cursor.h"
#include "varve/error.h"

namespace varve {

// All versions of all cursors, as a cursor again: what flush and compaction write. Once `stop` was
// requested it starts no further one of them: Invalid.
std::unique_ptr<VersionCursor> MergeVersions(std::vector<std::unique_ptr<VersionCursor>> cursors,
                                             std::stop_token stop = {});

// Rows that a merge has chosen, in order.
struct ChosenRows {
  // What the slices are of. They alone keep the batches: of rows in no order each slice is a few
  // rows long, and counting references for each would cost as much as choosing it.
  std::vector<std::shared_ptr<arrow::RecordBatch>> batches;
  std::vector<RowSlice> slices;
};

// The rows of a snapshot: for each key the newest version with commit <= as_of, if it is no delete.
class VisibleRows {
 public:
  VisibleRows(std::vector<std::unique_ptr<VersionCursor>> cursors, std::uint64_t as_of,
              std::stop_token stop = {});
  ~VisibleRows();
  // Up to `rows_max` rows as slices, in key order; empty at the end. It may give fewer so that a
  // long slice comes alone, which needs no copy. An error is final: later calls repeat it. One is
  // Invalid, once `stop` was requested: much may have to be passed before the first row; another
  // that memory was refused.
  Result<ChosenRows> Next(std::int64_t rows_max);

 private:
  struct Heap;
  std::unique_ptr<Heap> heap_;  // all versions, merged
  std::uint64_t as_of_;
};

}  // namespace varve
