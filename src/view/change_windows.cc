// SPDX-License-Identifier: Apache-2.0
#include "view/change_windows.h"

#include <algorithm>

#include "base/check.h"
#include "base/result.h"
#include "run/open_run.h"

namespace varve {
namespace {

// The memtables and runs that can have versions of the window.
struct Sources {
  std::vector<const Memtable*> memtables;
  std::vector<const Run*> runs;
};

Sources SourcesOf(const TableView& table, const CommitWindow& window) {
  Sources sources;
  const auto add = [&](const Memtable& memtable) {
    if (memtable.rows() > 0 && memtable.min_commit() <= window.through) {
      sources.memtables.push_back(&memtable);
    }
  };
  for (const auto& run : table.runs) {
    const RunMeta& meta = run->meta();
    if (meta.HoldsAllVersions() && window.Overlaps(meta.min_commit, meta.max_commit)) {
      sources.runs.push_back(run.get());
    }
  }
  for (const auto& sealed : table.sealed) add(*sealed);
  if (table.active != nullptr) add(*table.active);
  return sources;
}

std::uint64_t RowsAtMost(const TableView& table, const CommitWindow& window) {
  const Sources sources = SourcesOf(table, window);
  std::uint64_t rows = 0;
  for (const Memtable* memtable : sources.memtables) rows += memtable->rows();
  for (const Run* run : sources.runs) rows += run->meta().data.rows + run->meta().deletes.rows;
  return rows;
}

}  // namespace

Result<std::vector<WindowSource>> OpenWindow(const TableView& table,
                                             const std::vector<int>& columns,
                                             const KeyBounds& bounds, const CommitWindow& window) {
  const Sources sources = SourcesOf(table, window);
  std::vector<WindowSource> opened;
  for (const Run* run : sources.runs) {
    if (run->meta().max_key < bounds.lower) continue;
    if (bounds.upper && run->meta().min_key >= *bounds.upper) continue;
    VARVE_ASSIGN(const OpenRun open, run->Open());
    opened.push_back({open.NewCursor(columns, bounds, window), true});
  }
  for (const Memtable* memtable : sources.memtables) {
    opened.push_back({memtable->NewCursor(columns, bounds, window), false});
  }
  return opened;
}

ChangeWindows::ChangeWindows(const TableView& table, const CommitWindow& all,
                             const ChangeLimits& limits)
    : table_(table), bins_max_(limits.bins_max), rows_max_(limits.rows_max) {
  VARVE_CHECK(bins_max_ >= 2 && rows_max_ >= 1);
  parts_.push_back({all, RowsAtMost(table, all)});
}

Result<std::optional<CommitWindow>> ChangeWindows::Next() {
  while (!parts_.empty()) {
    const Part part = parts_.back();
    parts_.pop_back();
    if (part.rows == 0 || part.window.commits() == 0) continue;
    if (part.rows <= rows_max_ || part.window.commits() == 1) return part.window;
    VARVE_TRY(Cut(part.window));
  }
  return std::optional<CommitWindow>();
}

void ChangeWindows::GiveBack(const CommitWindow& window, std::uint64_t rows) {
  VARVE_CHECK(window.commits() > 1);
  rows_max_ = std::max<std::uint64_t>(std::min(rows, rows_max_) / 2, 1);
  parts_.push_back({window, UINT64_MAX});
}

// A bin that holds too many is a part by itself: it has fewer commits than the window, so cutting
// ends.
Status ChangeWindows::Cut(const CommitWindow& window) {
  VARVE_CHECK(window.commits() > 1);
  const std::uint64_t bins = std::min(bins_max_, window.commits());
  const std::uint64_t width = (window.commits() - 1) / bins + 1;
  std::vector<std::uint64_t> rows((window.commits() - 1) / width + 1);
  const auto count = [&](std::uint64_t commit, std::uint64_t more) {
    rows[(commit - window.after - 1) / width] += more;
  };
  const Sources sources = SourcesOf(table_, window);
  for (const Memtable* memtable : sources.memtables) memtable->CountCommits(window, count);
  for (const Run* run : sources.runs) {
    VARVE_ASSIGN(const OpenRun open, run->Open());
    VARVE_TRY(open.CountCommits(window, count));
  }

  std::vector<Part> parts = {{{window.after, window.after}, 0}};
  for (const std::uint64_t more : rows) {
    Part& last = parts.back();
    const std::uint64_t end = std::min(window.through - last.window.through, width);
    if (last.window.commits() > 0 && last.rows + more > rows_max_) {
      parts.push_back({{last.window.through, last.window.through + end}, more});
    } else {
      last.window.through += end;
      last.rows += more;
    }
  }
  parts_.insert(parts_.end(), parts.rbegin(), parts.rend());
  return {};
}

}  // namespace varve
