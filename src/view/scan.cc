// SPDX-License-Identifier: Apache-2.0
#include "view/scan.h"

#include <arrow/record_batch.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include "base/clock.h"
#include "base/out_of_memory.h"
#include "base/result.h"
#include "base/telemetry.h"
#include "columns/arrow_errors.h"
#include "run/open_run.h"
#include "view/parallel_rows.h"
#include "view/scan_plan.h"
#include "view/scan_source.h"

namespace varve {
namespace {

// Adds the time until its end to one of a profile's; of none it asks for no time either.
class Stopwatch {
 public:
  Stopwatch(const Superversion& owner, ScanProfile* profile, std::int64_t ScanProfile::*sum)
      : clock_(owner.clock != nullptr ? owner.clock : SystemClock()),
        sum_(profile != nullptr ? &(profile->*sum) : nullptr),
        since_(sum_ != nullptr ? clock_->SteadyMicros() : 0) {}
  ~Stopwatch() {
    if (sum_ != nullptr) *sum_ += clock_->SteadyMicros() - since_;
  }
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;

 private:
  Clock* const clock_;
  std::int64_t* const sum_;
  const std::int64_t since_;
};

class ScanReader final : public arrow::RecordBatchReader {
 public:
  ScanReader(std::shared_ptr<const Superversion> owner, ScanRecipe recipe,
             const ScanOptions& options)
      : schema_(recipe.output),
        profile_(options.profile),
        owner_(std::move(owner)),
        recipe_(std::move(recipe)) {
    constexpr std::uint64_t kMost = std::numeric_limits<std::int64_t>::max();
    rows_left_ = static_cast<std::int64_t>(std::min(options.limit.value_or(kMost), kMost));
  }
  ~ScanReader() override { Release(); }

  // Opens the cursors; apart from the constructor because they refer to recipe_.
  Status Start(const TableView& table, CommitNumber as_of, const ScanOptions& options) {
    if (rows_left_ == 0 || recipe_.range.Empty()) return {};
    // Threads are made when they are first asked for: a scan of one source has no use for them.
    const bool merges = table.runs.size() + table.sealed.size() > 0 &&
                        table.runs.size() + table.sealed.size() + (table.active ? 1 : 0) > 1;
    Executor* const executor =
        owner_->executor && (options.unordered || merges) ? owner_->executor() : nullptr;
    if (options.unordered) {
      VARVE_ASSIGN(source_, ParallelRows::Open(table, recipe_, as_of.value, options.batch_rows_max,
                                               executor));
    } else if (options.reverse) {
      VARVE_ASSIGN(source_,
                   ReverseRows::Open(table, &recipe_, as_of.value, options.batch_rows_max));
    } else {
      VARVE_ASSIGN(source_, ForwardRows::Open(table, &recipe_, recipe_.range.bounds, as_of.value,
                                              options.batch_rows_max, executor));
    }
    return {};
  }

  std::shared_ptr<arrow::Schema> schema() const override { return schema_; }

  arrow::Status ReadNext(std::shared_ptr<arrow::RecordBatch>* out) override {
    *out = nullptr;
    if (cancelled_ || failed_) return Failed();
    if (source_ == nullptr) return arrow::Status::OK();
    auto batch = OrOutOfMemory([this] { return NextBatch(); });
    cancelled_ = recipe_.stop.stop_requested();
    if (!batch) failed_ = CopyOf(batch.error());
    if (cancelled_ || failed_) {
      Release();
      return Failed();
    }
    if (*batch == nullptr) {
      Release();
      return arrow::Status::OK();
    }
    *out = (*batch)->num_rows() > rows_left_ ? (*batch)->Slice(0, rows_left_) : *batch;
    rows_left_ -= (*out)->num_rows();
    if (owner_->telemetry != nullptr) {
      owner_->telemetry->metrics.Add("scan_rows_total",
                                     static_cast<std::uint64_t>((*out)->num_rows()));
    }
    if (profile_ != nullptr) {
      profile_->rows += static_cast<std::uint64_t>((*out)->num_rows());
      ++profile_->batches;
    }
    if (rows_left_ == 0) Release();
    return arrow::Status::OK();
  }

  arrow::Status Close() override {
    Release();
    if (!cancelled_ && !failed_) {
      failed_.emplace(ErrorKind::kInvalid, "this scan's reader was closed; scan again to read",
                      ErrorReason::kClosed);
    }
    return arrow::Status::OK();
  }

 private:
  // The same at every later call.
  arrow::Status Failed() const {
    if (!cancelled_) return ToArrow(*failed_);
    return arrow::Status::Cancelled(
        "the scan was cancelled through ScanOptions::stop; start another one to read on");
  }

  Result<std::shared_ptr<arrow::RecordBatch>> NextBatch() {
    const Stopwatch all(*owner_, profile_.get(), &ScanProfile::read_micros);
    const bool first = !std::exchange(begun_, true);
    const Stopwatch begin(*owner_, first ? profile_.get() : nullptr, &ScanProfile::first_micros);
    return source_->Next(rows_left_);
  }

  void Release() {
    source_.reset();  // before what it refers to
    owner_.reset();
  }

  const std::shared_ptr<arrow::Schema> schema_;
  const std::shared_ptr<ScanProfile> profile_;  // null: nobody wants it
  bool begun_ = false;
  std::shared_ptr<const Superversion> owner_;
  ScanRecipe recipe_;
  std::unique_ptr<ScanSourceRows> source_;  // null at the end
  std::int64_t rows_left_ = 0;
  bool cancelled_ = false;
  std::optional<Error> failed_;  // the first failure, or that it was closed
};

}  // namespace

namespace {

// How many runs, and row groups of others, the plan of a whole scan passes over, and why. Of parts
// of one nobody counts: each passes over the others.
Status CountSkipped(const TableView& table, const ScanRecipe& recipe, CommitNumber as_of,
                    Metrics* metrics) {
  std::uint64_t runs = 0, by_key = 0, by_values = 0;
  const KeyBounds& bounds = recipe.range.bounds;
  const bool all_groups = bounds.lower.empty() && !bounds.upper && recipe.pruned.empty();
  for (const auto& run : table.runs) {
    if (recipe.range.Empty() || SkipOf(*run, bounds, as_of.value) != Skip::kNo) {
      ++runs;
      continue;
    }
    if (all_groups) continue;  // and no run is opened for nothing
    VARVE_ASSIGN(const OpenRun open, run->Open());
    const auto at = recipe.pruned.find(run.get());
    const auto groups = open.CountGroups(
        bounds, at == recipe.pruned.end() ? nullptr : &at->second);
    by_key += groups.all - groups.within;
    by_values += groups.left_out;
  }
  if (runs > 0) metrics->Add("runs_skipped_total", runs);
  if (by_key > 0) metrics->Add("row_groups_skipped_total/key_range", by_key);
  if (by_values > 0) metrics->Add("row_groups_skipped_total/values", by_values);
  return {};
}

Result<std::shared_ptr<arrow::RecordBatchReader>> StartScan(
    std::shared_ptr<const Superversion> owner, const TableView& table, CommitNumber as_of,
    const ScanOptions& options, ScanRecipe recipe, Metrics* metrics) {
  if (recipe.filter && !recipe.range.Empty()) {
    VARVE_ASSIGN(recipe.pruned, PruneByValues(table, recipe.range.bounds, as_of.value,
                                              recipe.filter->bound()));
  }
  if (metrics != nullptr) VARVE_TRY(CountSkipped(table, recipe, as_of, metrics));
  auto reader = std::make_shared<ScanReader>(std::move(owner), std::move(recipe), options);
  VARVE_TRY(reader->Start(table, as_of, options));
  return reader;
}

}  // namespace

Result<std::shared_ptr<arrow::RecordBatchReader>> NewScan(std::shared_ptr<const Superversion> owner,
                                                          const TableView& table,
                                                          CommitNumber as_of,
                                                          const ScanOptions& options) {
  const Stopwatch plan(*owner, options.profile.get(), &ScanProfile::plan_micros);
  VARVE_ASSIGN(ScanRecipe recipe, PrepareScan(table, options));
  Metrics* const metrics = owner->telemetry != nullptr ? &owner->telemetry->metrics : nullptr;
  return StartScan(std::move(owner), table, as_of, options, std::move(recipe), metrics);
}

Result<std::shared_ptr<arrow::RecordBatchReader>> NewScanWithin(
    std::shared_ptr<const Superversion> owner, const TableView& table, CommitNumber as_of,
    const ScanOptions& options, const KeyBounds& bounds) {
  const Stopwatch plan(*owner, options.profile.get(), &ScanProfile::plan_micros);
  VARVE_ASSIGN(ScanRecipe recipe, PrepareScan(table, options));
  recipe.range.bounds = bounds;
  return StartScan(std::move(owner), table, as_of, options, std::move(recipe), nullptr);
}

}  // namespace varve
