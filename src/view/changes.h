// SPDX-License-Identifier: Apache-2.0
// Changes: every version that the commits of a window wrote to a table, in the order of commits and
// of keys within each, with what was there before it when asked for (docs/design/0009).
//
// Runs are sorted by key, so their versions are put in order here: the window is cut into smaller
// ones, by the number of versions that each commit has, which are read one at a time. Of a run the
// commits alone decide what else is read of it. A single commit that is too large for a window is
// in order as it comes out of the merge, and is streamed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "columns/commit_window.h"
#include "varve/error.h"
#include "varve/options.h"
#include "varve/snapshot.h"
#include "view/change_batch.h"
#include "view/change_set.h"
#include "view/change_windows.h"
#include "view/superversion.h"

namespace varve {

// Not thread-safe. Shares the superversion.
class ChangeStream {
 public:
  // The recipe is of this table. All commits of `all` are visible and in `table`.
  ChangeStream(std::shared_ptr<const Superversion> owner, const TableView& table,
               ChangeRecipe recipe, const CommitWindow& all, const ChangeLimits& limits = {});

  // The next changes, at least one; null at the end. Whole commits, as many as batch_rows_max
  // allows; a larger commit comes alone, in several batches. An error is final.
  Result<std::shared_ptr<arrow::RecordBatch>> Next();

  // Everything up to this commit was given.
  CommitNumber position() const { return {position_}; }

 private:
  Result<std::shared_ptr<arrow::RecordBatch>> Take();
  Result<std::vector<WindowSource>> OpenSources(const CommitWindow& window) const;
  Status Fill();
  Status Open(const CommitWindow& window);
  Result<bool> Collect(const CommitWindow& window);
  Status Stream(const CommitWindow& window);
  Status Continue();
  Status ReadOn();
  Status CheckStop() const;
  std::size_t EndOfBatch() const;
  void MovePosition();
  bool AllGiven() const { return given_ == set_.changes().size(); }
  bool HasMore() const { return rest_ != nullptr || !later_.changes().empty(); }  // of window_

  const std::shared_ptr<const Superversion> owner_;
  const TableView& table_;
  const ChangeRecipe recipe_;
  const ChangeLimits limits_;
  const std::uint64_t through_;
  ChangeWindows windows_;
  std::uint64_t position_;
  std::optional<Error> failed_;

  // What was read of a window and not yet given, in order, from given_ on.
  CommitWindow window_;
  ChangeSet set_;
  std::size_t given_ = 0;
  // The rest of window_, when it is streamed: changes of which is not yet known what was before
  // them, and what comes after these.
  ChangeSet later_;
  std::unique_ptr<VersionCursor> rest_;
  std::uint64_t collected_ = 0;     // versions of the window at hand, when it was too large
  std::size_t lookup_rows_ = 1024;  // adapts
};

// NotFound when versions after that commit were let go.
Status CheckChangesAfter(const TableView& table, CommitNumber after);

// Errors: as PrepareChanges.
Result<std::shared_ptr<arrow::RecordBatchReader>> NewChanges(
    std::shared_ptr<const Superversion> owner, const TableView& table, const CommitWindow& window,
    const ChangesOptions& options, const ChangeLimits& limits = {});

}  // namespace varve
