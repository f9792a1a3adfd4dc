// SPDX-License-Identifier: Apache-2.0
// ChangeWindows: cuts the commits whose changes are asked for into windows that fit in memory.
//
// What is counted is how many versions each commit has, in a bounded number of bins of equally many
// commits; a bin that holds too many is counted again by itself when its turn comes. Counting reads
// the commit column of runs and nothing else, and is left out where a table's sources together hold
// few enough.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "columns/commit_window.h"
#include "columns/version_cursor.h"
#include "varve/error.h"
#include "view/superversion.h"

namespace varve {

// Of what is held in memory at a time; smaller in tests.
struct ChangeLimits {
  std::uint64_t rows_max = 262144;
  std::uint64_t bytes_max = 64ull << 20;
  std::uint64_t bins_max = 65536;
};

class ChangeWindows {
 public:
  // `table` outlives it.
  ChangeWindows(const TableView& table, const CommitWindow& all, const ChangeLimits& limits);

  // The next commits: of at most as many versions as the limits say, or one commit. Nothing at the
  // end. Together they are all commits that have versions, in order.
  Result<std::optional<CommitWindow>> Next();
  // Whether windows hold one version or one commit by now: there are no smaller ones.
  bool smallest() const { return rows_max_ == 1; }
  // The window of several commits, the last one given, was too large after `rows` versions: Next
  // gives smaller ones in its place, and from now on.
  void GiveBack(const CommitWindow& window, std::uint64_t rows);

 private:
  struct Part {
    CommitWindow window;
    std::uint64_t rows = 0;  // or more than it has
  };
  Status Cut(const CommitWindow& window);

  const TableView& table_;
  const std::uint64_t bins_max_;
  std::uint64_t rows_max_;
  std::vector<Part> parts_;  // the next one at the back
};

// The versions of a window in one source, and whether they are copies held for the reader alone.
struct WindowSource {
  std::unique_ptr<VersionCursor> cursor;
  bool copies = false;
};
// Every source that can have versions of the window. Nothing is read of runs that have none.
Result<std::vector<WindowSource>> OpenWindow(const TableView& table,
                                             const std::vector<int>& columns,
                                             const KeyBounds& bounds, const CommitWindow& window);

}  // namespace varve
