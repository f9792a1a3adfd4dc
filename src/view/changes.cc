// SPDX-License-Identifier: Apache-2.0
#include "view/changes.h"

#include <arrow/record_batch.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/out_of_memory.h"
#include "base/result.h"
#include "columns/arrow_errors.h"
#include "columns/gather.h"
#include "run/merge.h"

namespace varve {

ChangeStream::ChangeStream(std::shared_ptr<const Superversion> owner, const TableView& table,
                           ChangeRecipe recipe, const CommitWindow& all, const ChangeLimits& limits)
    : owner_(std::move(owner)),
      table_(table),
      recipe_(std::move(recipe)),
      limits_(limits),
      through_(all.through),
      windows_(table, all, limits),
      position_(all.after) {}

Status ChangeStream::CheckStop() const {
  if (!recipe_.stop.stop_requested()) return {};
  return Fail(ErrorKind::kInvalid,
              "the changes were cancelled through ChangesOptions::stop; ask for them again to read "
              "on",
              ErrorReason::kClosed);
}

Result<std::shared_ptr<arrow::RecordBatch>> ChangeStream::Next() {
  if (failed_) return std::unexpected(CopyOf(*failed_));
  auto batch = OrOutOfMemory([this] { return Take(); });
  if (!batch) failed_ = CopyOf(batch.error());
  return batch;
}

Result<std::shared_ptr<arrow::RecordBatch>> ChangeStream::Take() {
  VARVE_TRY(CheckStop());
  if (AllGiven()) VARVE_TRY(Fill());
  if (AllGiven()) {
    position_ = through_;
    return nullptr;
  }
  VARVE_ASSIGN(auto batch, MakeChangeBatch(recipe_, *table_.schema, set_, given_, EndOfBatch()));
  given_ += static_cast<std::size_t>(batch->num_rows());
  // Whether a streamed commit ends here shows only when there is no more of it.
  while (AllGiven() && HasMore()) VARVE_TRY(Continue());
  MovePosition();
  return batch;
}

// Reads until there are changes to give, or no more windows.
Status ChangeStream::Fill() {
  while (AllGiven()) {
    if (HasMore()) {
      VARVE_TRY(Continue());
      continue;
    }
    VARVE_ASSIGN(const auto window, windows_.Next());
    if (!window) return {};
    VARVE_TRY(Open(*window));
  }
  return {};
}

Status ChangeStream::Open(const CommitWindow& window) {
  window_ = window;
  if (window.commits() == 1) return Stream(window);
  VARVE_ASSIGN(const bool fits, Collect(window));
  if (fits) {
    set_.SortByCommit();
    return {};
  }
  windows_.GiveBack(window, collected_);
  set_ = {};
  return {};
}

// A row that has expired is not shown any more: whoever had an older one is told of a delete.
Result<std::vector<WindowSource>> ChangeStream::OpenSources(const CommitWindow& window) const {
  std::vector<int> columns = recipe_.columns;
  if (!table_.expiry) return OpenWindow(table_, columns, recipe_.range.bounds, window);
  const auto at = std::ranges::find(columns, table_.expiry->column());
  const auto place = static_cast<int>(at - columns.begin());
  const bool hide = at == columns.end();
  if (hide) columns.push_back(table_.expiry->column());
  VARVE_ASSIGN(auto sources, OpenWindow(table_, columns, recipe_.range.bounds, window));
  for (WindowSource& source : sources) {
    source.cursor = ExpireVersions(std::move(source.cursor), *table_.expiry, place, hide);
  }
  return sources;
}

// All of the window into the set. False when it is too large.
Result<bool> ChangeStream::Collect(const CommitWindow& window) {
  set_ = {};
  given_ = 0;
  // What cannot be cut any smaller is taken as it is.
  const std::uint64_t bytes_max = windows_.smallest() ? UINT64_MAX : limits_.bytes_max;
  VARVE_ASSIGN(auto sources, OpenSources(window));
  for (auto& source : sources) {
    const arrow::RecordBatch* counted = nullptr;
    VARVE_TRY(source.cursor->Next());
    while (source.cursor->valid()) {
      const arrow::RecordBatch* const batch = source.cursor->batch().get();
      if (source.copies && batch != nullptr && batch != counted) {
        set_.CountBytes(BatchBytes(*batch));
        counted = batch;
        VARVE_TRY(CheckStop());
        if (set_.bytes() > bytes_max) {
          collected_ = set_.changes().size() + static_cast<std::uint64_t>(batch->num_rows());
          return false;
        }
      }
      set_.Add(*source.cursor);
      VARVE_TRY(source.cursor->Next());
    }
  }
  if (!recipe_.before_images) return true;
  set_.SortByKey();
  collected_ = set_.changes().size();
  return set_.FindBefore(table_, window.after, recipe_.columns, bytes_max, &lookup_rows_);
}

Status ChangeStream::Stream(const CommitWindow& window) {
  std::vector<std::unique_ptr<VersionCursor>> cursors;
  VARVE_ASSIGN(auto sources, OpenSources(window));
  for (auto& source : sources) {
    cursors.push_back(std::move(source.cursor));
  }
  if (cursors.empty()) return {};
  rest_ = MergeVersions(std::move(cursors));
  VARVE_TRY(rest_->Next());
  return Continue();
}

// The next part of a commit that is streamed: of versions that were read and not yet looked up, or
// of those to read.
Status ChangeStream::Continue() {
  given_ = 0;
  if (!later_.changes().empty()) {
    set_ = std::exchange(later_, {});
  } else {
    VARVE_TRY(ReadOn());
  }
  if (!recipe_.before_images) return {};
  VARVE_ASSIGN(later_, set_.FindFirstBefore(table_, window_.after, recipe_.columns,
                                            limits_.bytes_max, &lookup_rows_));
  return {};
}

// The next of its versions, which come in the order of their keys: a batch of them, or as many as
// their bytes allow, or as are looked up together.
Status ChangeStream::ReadOn() {
  set_ = {};
  auto rows_max = static_cast<std::size_t>(recipe_.batch_rows_max);
  if (recipe_.before_images) rows_max = std::min(rows_max, lookup_rows_);
  const arrow::RecordBatch* counted = nullptr;
  while (rest_->valid() && set_.changes().size() < rows_max && set_.bytes() < limits_.bytes_max) {
    set_.Add(*rest_);
    const arrow::RecordBatch* const batch = rest_->batch().get();
    if (batch != nullptr && batch != counted) {
      set_.CountBytes(BatchBytes(*batch));
      counted = batch;
    }
    VARVE_TRY(rest_->Next());
  }
  if (!rest_->valid()) rest_.reset();
  return {};
}

// Whole commits as far as they go; or the rest, or a part, of one that is too large for a batch.
std::size_t ChangeStream::EndOfBatch() const {
  const auto& changes = set_.changes();
  const auto same_commit = [&](std::size_t a, std::size_t b) {
    return changes[a].commit == changes[b].commit;
  };
  const bool rest_of_commit = given_ > 0 && same_commit(given_ - 1, given_);
  std::size_t end = given_;
  std::size_t whole = given_;  // where the last commit that fits ends
  while (end < changes.size() && std::cmp_less(end - given_, recipe_.batch_rows_max)) {
    ++end;
    if (end == changes.size() || !same_commit(end - 1, end)) {
      whole = end;
      if (rest_of_commit) break;
    }
  }
  return whole > given_ ? whole : end;
}

void ChangeStream::MovePosition() {
  if (!AllGiven()) {
    position_ = set_.changes()[given_].commit - 1;
  } else if (!HasMore()) {
    position_ = window_.through;
  }
}

namespace {

class ChangesReader final : public arrow::RecordBatchReader {
 public:
  ChangesReader(std::shared_ptr<arrow::Schema> schema, std::unique_ptr<ChangeStream> stream)
      : schema_(std::move(schema)), stream_(std::move(stream)) {}

  std::shared_ptr<arrow::Schema> schema() const override { return schema_; }

  arrow::Status ReadNext(std::shared_ptr<arrow::RecordBatch>* out) override {
    *out = nullptr;
    if (!status_.ok() || stream_ == nullptr) return status_;
    auto batch = stream_->Next();
    if (!batch) {
      status_ = ToArrow(batch.error());  // given again at every later call
    } else {
      *out = *batch;
    }
    if (*out == nullptr) stream_.reset();
    return status_;
  }

  arrow::Status Close() override {
    stream_.reset();
    if (status_.ok()) {
      status_ = ToArrow(Error(ErrorKind::kInvalid,
                              "this reader of changes was closed; ask for the changes again",
                              ErrorReason::kClosed));
    }
    return arrow::Status::OK();
  }

 private:
  const std::shared_ptr<arrow::Schema> schema_;
  std::unique_ptr<ChangeStream> stream_;  // null at the end
  arrow::Status status_;                  // of the first failure, or of Close
};

}  // namespace

Status CheckChangesAfter(const TableView& table, CommitNumber after) {
  if (after >= table.oldest) return {};
  return Fail(ErrorKind::kNotFound,
              fmt::format("the changes after commit {} cannot all be told any more: older versions "
                          "were let go, and the oldest that is left is commit {}; read the table "
                          "as of that, and its changes from there on",
                          after.value, table.oldest.value));
}

Result<std::shared_ptr<arrow::RecordBatchReader>> NewChanges(
    std::shared_ptr<const Superversion> owner, const TableView& table, const CommitWindow& window,
    const ChangesOptions& options, const ChangeLimits& limits) {
  VARVE_TRY(CheckChangesAfter(table, {window.after}));
  VARVE_ASSIGN(ChangeRecipe recipe, PrepareChanges(*table.schema, options));
  const auto schema = recipe.output;
  auto stream =
      std::make_unique<ChangeStream>(std::move(owner), table, std::move(recipe), window, limits);
  return std::make_shared<ChangesReader>(schema, std::move(stream));
}

}  // namespace varve
