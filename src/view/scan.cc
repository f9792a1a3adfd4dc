// SPDX-License-Identifier: Apache-2.0
#include "view/scan.h"

#include <arrow/record_batch.h>

#include <algorithm>
#include <limits>

#include "base/result.h"
#include "columns/arrow_errors.h"
#include "view/parallel_rows.h"
#include "view/scan_plan.h"
#include "view/scan_source.h"

namespace varve {
namespace {

class ScanReader final : public arrow::RecordBatchReader {
 public:
  ScanReader(std::shared_ptr<const Superversion> owner, ScanRecipe recipe,
             std::optional<std::uint64_t> limit)
      : schema_(recipe.output), owner_(std::move(owner)), recipe_(std::move(recipe)) {
    constexpr std::uint64_t kMost = std::numeric_limits<std::int64_t>::max();
    rows_left_ = static_cast<std::int64_t>(std::min(limit.value_or(kMost), kMost));
  }
  ~ScanReader() override { Release(); }

  // Opens the cursors; apart from the constructor because they refer to recipe_.
  void Start(const TableView& table, CommitNumber as_of, const ScanOptions& options) {
    if (rows_left_ == 0 || recipe_.range.Empty()) return;
    // Threads are made when they are first asked for: a scan of one source has no use for them.
    const bool merges = table.runs.size() + table.sealed.size() > 0 &&
                        table.runs.size() + table.sealed.size() + (table.active ? 1 : 0) > 1;
    Executor* const executor =
        owner_->executor && (options.unordered || merges) ? owner_->executor() : nullptr;
    if (options.unordered) {
      source_ = std::make_unique<ParallelRows>(table, recipe_, as_of.value, options.batch_rows_max,
                                               executor);
    } else if (options.reverse) {
      source_ = std::make_unique<ReverseRows>(table, &recipe_, as_of.value, options.batch_rows_max);
    } else {
      source_ = std::make_unique<ForwardRows>(table, &recipe_, recipe_.range.bounds, as_of.value,
                                              options.batch_rows_max, executor);
    }
  }

  std::shared_ptr<arrow::Schema> schema() const override { return schema_; }

  arrow::Status ReadNext(std::shared_ptr<arrow::RecordBatch>* out) override {
    *out = nullptr;
    if (!status_.ok()) return status_;
    if (source_ == nullptr) return arrow::Status::OK();
    auto batch = source_->Next(rows_left_);
    if (recipe_.stop.stop_requested()) {
      status_ = arrow::Status::Cancelled(
          "the scan was cancelled through ScanOptions::stop; start another one to read on");
      Release();
      return status_;
    }
    if (!batch) {
      status_ = ToArrow(batch.error());  // given again at every later call
      Release();
      return status_;
    }
    if (*batch == nullptr) {
      Release();
      return arrow::Status::OK();
    }
    *out = (*batch)->num_rows() > rows_left_ ? (*batch)->Slice(0, rows_left_) : *batch;
    rows_left_ -= (*out)->num_rows();
    if (rows_left_ == 0) Release();
    return arrow::Status::OK();
  }

  arrow::Status Close() override {
    Release();
    if (status_.ok()) {
      status_ =
          ToArrow(Error(ErrorKind::kInvalid, "this scan's reader was closed; scan again to read",
                        ErrorReason::kClosed));
    }
    return arrow::Status::OK();
  }

 private:
  void Release() {
    source_.reset();  // before what it refers to
    owner_.reset();
  }

  const std::shared_ptr<arrow::Schema> schema_;
  std::shared_ptr<const Superversion> owner_;
  ScanRecipe recipe_;
  std::unique_ptr<ScanSourceRows> source_;  // null at the end
  std::int64_t rows_left_ = 0;
  arrow::Status status_;  // of the first failure, or of Close
};

}  // namespace

namespace {

std::shared_ptr<arrow::RecordBatchReader> StartScan(std::shared_ptr<const Superversion> owner,
                                                    const TableView& table, CommitNumber as_of,
                                                    const ScanOptions& options, ScanRecipe recipe) {
  if (recipe.filter) recipe.pruned = PruneByValues(table, as_of.value, recipe.filter->bound());
  auto reader = std::make_shared<ScanReader>(std::move(owner), std::move(recipe), options.limit);
  reader->Start(table, as_of, options);
  return reader;
}

}  // namespace

Result<std::shared_ptr<arrow::RecordBatchReader>> NewScan(std::shared_ptr<const Superversion> owner,
                                                          const TableView& table,
                                                          CommitNumber as_of,
                                                          const ScanOptions& options) {
  VARVE_ASSIGN(ScanRecipe recipe, PrepareScan(*table.schema, options));
  return StartScan(std::move(owner), table, as_of, options, std::move(recipe));
}

Result<std::shared_ptr<arrow::RecordBatchReader>> NewScanWithin(
    std::shared_ptr<const Superversion> owner, const TableView& table, CommitNumber as_of,
    const ScanOptions& options, const KeyBounds& bounds) {
  VARVE_ASSIGN(ScanRecipe recipe, PrepareScan(*table.schema, options));
  recipe.range.bounds = bounds;
  return StartScan(std::move(owner), table, as_of, options, std::move(recipe));
}

}  // namespace varve
