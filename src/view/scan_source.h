// SPDX-License-Identifier: Apache-2.0
// Where a scan's rows come from: forward, one merge over the whole range; in reverse, one merge for
// each of many small intervals, the last one first.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/ahead.h"
#include "columns/gather.h"
#include "run/merge.h"
#include "run/run_memory.h"
#include "varve/error.h"
#include "view/scan_plan.h"

namespace arrow {
class RecordBatch;
}  // namespace arrow

namespace varve {

// Below this average length, slices of the merge are copied together; above it each becomes a batch
// of its own, without a copy.
inline constexpr std::int64_t kSliceRowsMin = 1024;

// At most so many parts of `bounds`, ascending and without gaps, cut at first keys of row groups so
// that each has about as many of them.
Result<std::vector<KeyBounds>> CutIntoParts(const TableView& table, const KeyBounds& bounds,
                                            std::uint64_t as_of, std::size_t parts_max);

class ScanSourceRows {
 public:
  virtual ~ScanSourceRows() = default;
  // The next filtered and projected rows, at least one; null at the end. `rows_wanted` is how many
  // the caller can still use: a hint that keeps a limited scan from reading ahead.
  virtual Result<std::shared_ptr<arrow::RecordBatch>> Next(std::int64_t rows_wanted) = 0;
};

// The rows of `bounds` in key order. `recipe` and `table` must outlive it. `executor`: reads row
// groups ahead, and chooses the rows of the next batch while those of one are copied together;
// null: nobody does.
class ForwardRows final : public ScanSourceRows {
 public:
  static Result<std::unique_ptr<ForwardRows>> Open(const TableView& table, ScanRecipe* recipe,
                                                   const KeyBounds& bounds, std::uint64_t as_of,
                                                   std::int64_t batch_rows_max,
                                                   Executor* executor = nullptr);
  Result<std::shared_ptr<arrow::RecordBatch>> Next(std::int64_t rows_wanted) override;

 private:
  ForwardRows(const TableView& table, Cursors cursors, ScanRecipe* recipe, std::uint64_t as_of,
              std::int64_t batch_rows_max, Executor* executor);
  Status Refill(std::int64_t rows_wanted);
  void NoteGathered(std::int64_t rows);
  Result<ChosenRows> Choose(std::int64_t rows_wanted);
  Result<std::shared_ptr<arrow::RecordBatch>> Finish(
      const std::shared_ptr<arrow::RecordBatch>& batch);

  ScanRecipe* const recipe_;
  const std::int64_t batch_rows_max_;
  const std::shared_ptr<const RunMemory> memory_;  // null: nobody counts
  std::int64_t rows_max_;                          // of a batch, so that it is not too large
  Booking gathered_;                               // what was gathered last, given out or not
  VisibleRows rows_;                        // of the task while it works
  std::optional<Ahead<ChosenRows>> ahead_;  // batch_rows_max_ rows, or the last ones
  std::deque<std::shared_ptr<arrow::RecordBatch>> pending_;  // merged, not yet filtered
};

// The same rows from the last to the first. The range is cut at first keys of row groups; memory is
// bounded by what the scan gives of one interval: about one row group of each run, and the
// memtables' part.
class ReverseRows final : public ScanSourceRows {
 public:
  static Result<std::unique_ptr<ReverseRows>> Open(const TableView& table, ScanRecipe* recipe,
                                                   std::uint64_t as_of,
                                                   std::int64_t batch_rows_max);
  Result<std::shared_ptr<arrow::RecordBatch>> Next(std::int64_t rows_wanted) override;

 private:
  ReverseRows(const TableView& table, ScanRecipe* recipe, std::vector<KeyBounds> intervals,
              std::uint64_t as_of, std::int64_t batch_rows_max);
  Status CollectInterval();

  const TableView& table_;
  ScanRecipe* const recipe_;
  const std::uint64_t as_of_;
  const std::int64_t batch_rows_max_;
  std::vector<KeyBounds> intervals_;                            // ascending; taken from the back
  std::vector<std::shared_ptr<arrow::RecordBatch>> collected_;  // of one interval, forward
};

}  // namespace varve
