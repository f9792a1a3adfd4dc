// SPDX-License-Identifier: Apache-2.0
#include "view/scan_source.h"

#include <arrow/api.h>

#include <algorithm>

#include "base/check.h"
#include "base/result.h"
#include "columns/arrow_errors.h"
#include "columns/gather.h"
#include "columns/row_bytes.h"
#include "columns/take_rows.h"
#include "run/open_run.h"

namespace varve {
namespace {

constexpr std::uint64_t kFirstBatchBytes = 4 << 20;  // of a budget of 256 MiB
constexpr std::int64_t kFirstRowsMax = 4096;
constexpr std::int64_t kRowsMin = 256;

// First keys of row groups within `bounds`, ascending, and of how many runs.
struct Cuts {
  std::vector<std::string> keys;
  std::size_t runs = 0;
};
Result<Cuts> FindCuts(const TableView& table, const KeyBounds& bounds, std::uint64_t as_of) {
  Cuts cuts;
  for (const auto& run : table.runs) {
    if (SkipOf(*run, bounds, as_of) != Skip::kNo) continue;
    ++cuts.runs;
    VARVE_ASSIGN(const OpenRun open, run->Open());
    for (const std::string& key : open.row_group_keys()) {
      if (key > bounds.lower && bounds.Contains(key)) cuts.keys.push_back(key);
    }
  }
  std::ranges::sort(cuts.keys);
  const auto doubled = std::ranges::unique(cuts.keys);
  cuts.keys.erase(doubled.begin(), doubled.end());
  return cuts;
}

std::vector<KeyBounds> CutAtEvery(std::size_t step, const std::vector<std::string>& keys,
                                  std::size_t first, const KeyBounds& bounds) {
  std::vector<KeyBounds> intervals;
  std::string lower = bounds.lower;
  for (std::size_t i = first; i < keys.size(); i += step) {
    intervals.push_back({lower, keys[i]});
    lower = keys[i];
  }
  intervals.push_back({lower, bounds.upper});
  return intervals;
}

// With k runs only every k-th first key is a cut: each interval then holds about k row groups in
// all, instead of a part of each again and again.
Result<std::vector<KeyBounds>> CutIntoIntervals(const TableView& table, const KeyBounds& bounds,
                                                std::uint64_t as_of) {
  VARVE_ASSIGN(const Cuts cuts, FindCuts(table, bounds, as_of));
  return CutAtEvery(cuts.runs, cuts.keys, 0, bounds);
}

Result<std::shared_ptr<arrow::RecordBatch>> Reversed(
    const std::shared_ptr<arrow::RecordBatch>& batch) {
  arrow::Int64Builder indices;
  VARVE_TRY(FromArrow(indices.Reserve(batch->num_rows())));
  for (std::int64_t row = batch->num_rows(); row-- > 0;) indices.UnsafeAppend(row);
  VARVE_ASSIGN(const auto order, FromArrow(indices.Finish()));
  return FromArrow(TakeRows(*batch, static_cast<const arrow::Int64Array&>(*order)));
}

}  // namespace

Result<std::vector<KeyBounds>> CutIntoParts(const TableView& table, const KeyBounds& bounds,
                                            std::uint64_t as_of, std::size_t parts_max) {
  VARVE_ASSIGN(const Cuts cuts, FindCuts(table, bounds, as_of));
  const std::size_t step = (cuts.keys.size() + parts_max) / parts_max;
  return CutAtEvery(step, cuts.keys, step - 1, bounds);
}

Result<std::unique_ptr<ForwardRows>> ForwardRows::Open(const TableView& table, ScanRecipe* recipe,
                                                       const KeyBounds& bounds,
                                                       std::uint64_t as_of,
                                                       std::int64_t batch_rows_max,
                                                       Executor* executor) {
  VARVE_ASSIGN(auto cursors, OpenCursors(table, recipe->read_columns, bounds, as_of,
                                         recipe->pruned, executor));
  return std::unique_ptr<ForwardRows>(
      new ForwardRows(table, std::move(cursors), recipe, as_of, batch_rows_max, executor));
}

ForwardRows::ForwardRows(const TableView& table, Cursors cursors, ScanRecipe* recipe,
                         std::uint64_t as_of, std::int64_t batch_rows_max, Executor* executor)
    : recipe_(recipe),
      batch_rows_max_(batch_rows_max),
      memory_(table.memory),
      rows_max_(batch_rows_max),
      rows_(std::move(cursors), MergeAsOf(table, as_of), recipe->stop) {
  // A transaction may write to its own rows while it scans.
  if (executor != nullptr && table.own == nullptr) ahead_.emplace(executor);
  if (memory_ == nullptr) return;
  gathered_ = Booking(memory_->budget(), MemoryHolder::kReads);
  // Nothing is known yet of how large rows are.
  if (memory_->BatchBytesMax() < kFirstBatchBytes) rows_max_ = std::min(rows_max_, kFirstRowsMax);
}

Result<ChosenRows> ForwardRows::Choose(std::int64_t rows_wanted) {
  if (ahead_) {
    if (auto chosen = ahead_->Take()) return *std::move(chosen);
  }
  // A filter may drop most rows, so only an unfiltered scan knows how many to merge.
  const std::int64_t rows_max =
      recipe_->filter ? rows_max_ : std::clamp<std::int64_t>(rows_wanted, 1, rows_max_);
  return rows_.Next(rows_max);
}

// Of these rows as many as are not too much at once are gathered the next time.
void ForwardRows::NoteGathered(std::int64_t rows) {
  if (memory_ == nullptr) return;
  std::uint64_t bytes = 1;
  for (const auto& batch : pending_) bytes += BatchBytes(*batch);
  gathered_.Set(bytes);
  const std::uint64_t most = memory_->BatchBytesMax() * static_cast<std::uint64_t>(rows) / bytes;
  rows_max_ = std::clamp<std::int64_t>(
      static_cast<std::int64_t>(std::min(most, std::uint64_t{INT64_MAX})),
      std::min(kRowsMin, batch_rows_max_), batch_rows_max_);
}

Status ForwardRows::Refill(std::int64_t rows_wanted) {
  gathered_.Set(0);
  VARVE_ASSIGN(ChosenRows chosen, Choose(rows_wanted));
  auto& slices = chosen.slices;
  std::int64_t rows = 0;
  for (const RowSlice& slice : slices) rows += slice.length;
  VARVE_CHECK(rows <= batch_rows_max_);
  if (slices.size() > 1 && rows / static_cast<std::int64_t>(slices.size()) < kSliceRowsMin) {
    const bool goes_on = rows_wanted >= batch_rows_max_ && rows_wanted - rows >= batch_rows_max_;
    if (ahead_ && goes_on) {
      ahead_->Ask([this, most = rows_max_] { return rows_.Next(most); });
    }
    for (const auto& part : SplitByBytes(std::move(slices), kGatherBytesMax)) {
      VARVE_ASSIGN(auto gathered, Gather(recipe_->read, part));
      pending_.push_back(std::move(gathered));
    }
    NoteGathered(rows);
    return {};
  }
  for (const RowSlice& slice : slices) {
    pending_.push_back(slice.batch->Slice(slice.start, slice.length));
  }
  return {};
}

Result<std::shared_ptr<arrow::RecordBatch>> ForwardRows::Finish(
    const std::shared_ptr<arrow::RecordBatch>& batch) {
  FilterEvaluator::Selection selection{batch->num_rows(), nullptr};
  if (recipe_->filter) {
    VARVE_ASSIGN(selection, recipe_->filter->Evaluate(*batch, recipe_->filter_places));
  }
  if (selection.accepted == 0) return nullptr;
  std::vector<std::shared_ptr<arrow::Array>> columns;
  for (int place : recipe_->output_places) columns.push_back(batch->column(place));
  auto projected = arrow::RecordBatch::Make(recipe_->output, batch->num_rows(), std::move(columns));
  return FilterEvaluator::Apply(projected, selection);
}

Result<std::shared_ptr<arrow::RecordBatch>> ForwardRows::Next(std::int64_t rows_wanted) {
  while (true) {
    if (pending_.empty()) VARVE_TRY(Refill(rows_wanted));
    if (pending_.empty()) return nullptr;
    const auto batch = std::move(pending_.front());
    pending_.pop_front();
    VARVE_ASSIGN(auto finished, Finish(batch));
    if (finished != nullptr) return finished;
  }
}

Result<std::unique_ptr<ReverseRows>> ReverseRows::Open(const TableView& table, ScanRecipe* recipe,
                                                       std::uint64_t as_of,
                                                       std::int64_t batch_rows_max) {
  VARVE_ASSIGN(auto intervals, CutIntoIntervals(table, recipe->range.bounds, as_of));
  return std::unique_ptr<ReverseRows>(
      new ReverseRows(table, recipe, std::move(intervals), as_of, batch_rows_max));
}

ReverseRows::ReverseRows(const TableView& table, ScanRecipe* recipe,
                         std::vector<KeyBounds> intervals, std::uint64_t as_of,
                         std::int64_t batch_rows_max)
    : table_(table),
      recipe_(recipe),
      as_of_(as_of),
      batch_rows_max_(batch_rows_max),
      intervals_(std::move(intervals)) {}

Status ReverseRows::CollectInterval() {
  const KeyBounds bounds = std::move(intervals_.back());
  intervals_.pop_back();
  VARVE_ASSIGN(const auto rows,
               ForwardRows::Open(table_, recipe_, bounds, as_of_, batch_rows_max_));
  while (true) {
    VARVE_ASSIGN(auto batch, rows->Next(batch_rows_max_));
    if (batch == nullptr) return {};
    collected_.push_back(std::move(batch));
  }
}

Result<std::shared_ptr<arrow::RecordBatch>> ReverseRows::Next(std::int64_t) {
  while (collected_.empty()) {
    if (intervals_.empty()) return nullptr;
    VARVE_TRY(CollectInterval());
  }
  const auto batch = std::move(collected_.back());
  collected_.pop_back();
  return Reversed(batch);
}

}  // namespace varve
