// SPDX-License-Identifier: Apache-2.0
// OpenRun: a run with its tails at hand, for reading. Holds the run and them for as long as it
// lives: take it for one read, not for keeps.
//
// Every byte that is read is checked (RunObject), so damage is Corruption with file and offset.
// Thread safety: immutable; use it from any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/memory_budget.h"
#include "columns/commit_window.h"
#include "columns/version_cursor.h"
#include "memtable/memtable.h"
#include "run/run.h"
#include "run/run_meta.h"
#include "run/tail_cache.h"
#include "varve/error.h"

namespace arrow {
struct Scalar;
}  // namespace arrow

namespace varve {

class Executor;
class RunFile;

class OpenRun {
 public:
  const RunMeta& meta() const { return run_->meta(); }
  const std::shared_ptr<const Run>& run() const { return run_; }

  // As Memtable::NewCursor. Reads only the row groups that can hold keys within `bounds`.
  // `left_out`: data row groups that it passes over, or null. `executor`: reads the next row group
  // ahead in a merge, so that two of each cursor are in memory; null: nobody does. `holder`: books
  // what is decoded.
  std::unique_ptr<VersionCursor> NewCursor(const std::vector<int>& columns, const KeyBounds& bounds,
                                           const std::vector<bool>* left_out = nullptr,
                                           Executor* executor = nullptr,
                                           MemoryHolder holder = MemoryHolder::kReads) const;

  // Only versions whose commits lie in `window`; its batches hold nothing else (window_cursor.h).
  // Reads the commits of those row groups that may hold some, and the rest where there are any.
  std::unique_ptr<VersionCursor> NewCursor(const std::vector<int>& columns, const KeyBounds& bounds,
                                           const CommitWindow& window) const;
  // Tells how many versions the commits of the window have. Reads commits only.
  Status CountCommits(const CommitWindow& window, const CountCommit& count) const;

  // For each of `keys` (ascending) the newest version with commit <= `as_of`, if there is one. Asks
  // bounds, then the bloom filters, then reads the pieces of row groups that may hold a key (for a
  // key whose versions straddle two, both), or finds them in the cache. Beside what the cache keeps
  // one piece is in memory at a time, and of the values only the rows found: hits in one piece
  // share a batch. `columns` as in NewCursor.
  // The bytes of the rows found are taken off *bytes_left, when it is given; at zero it ends, after
  // the rows of one piece at least, and the hits are those of the first keys only.
  Result<std::vector<std::optional<Memtable::Hit>>> Get(const std::vector<std::string_view>& keys,
                                                        std::uint64_t as_of,
                                                        const std::vector<int>& columns,
                                                        std::uint64_t* bytes_left = nullptr) const;

  // Between which values a column (an index as in NewCursor) of a data row group lies, by the
  // file's statistics; nothing when they do not say. Without `min` all values are null.
  struct ValueRange {
    std::shared_ptr<arrow::Scalar> min;
    std::shared_ptr<arrow::Scalar> max;
    bool has_nulls = false;
  };
  std::optional<ValueRange> ValuesOf(int group, int column) const;

  // What a cursor with these arguments would read.
  struct Plan {
    std::uint32_t row_groups = 0;
    std::uint32_t row_groups_read = 0;
    std::uint32_t row_groups_left_out = 0;  // of those within the bounds
    std::uint64_t bytes_read = 0;
  };
  Plan Explain(const std::vector<int>& columns, const KeyBounds& bounds,
               const std::vector<bool>* left_out = nullptr) const;

  // Of its row groups: all, those that can hold keys within `bounds`, and of these those left out.
  struct Groups {
    std::uint64_t all = 0;
    std::uint64_t within = 0;
    std::uint64_t left_out = 0;
  };
  Groups CountGroups(const KeyBounds& bounds, const std::vector<bool>* left_out = nullptr) const;

  // Encoded first keys of the data row groups: places where a scan may be cut into parts.
  const std::vector<std::string>& row_group_keys() const;

  // Checks every byte against its checksum; deep: also decodes every row and checks order, bounds,
  // counts, commits and null keys. Calls `damage` for each finding, with object name and offset.
  using DamageSink = void (*)(void* context, const std::string& object, std::uint64_t offset,
                              const std::string& message);
  Status Verify(bool deep, void* context, DamageSink damage) const;

  // Gives all bytes of one of its objects, which there must be, in order, each piece after it was
  // checked. Corruption names the object and where.
  enum class ObjectKind : std::uint8_t { kData, kDeletes };
  using ByteSink = std::function<Status(std::string_view bytes)>;
  Status CopyObject(ObjectKind kind, const ByteSink& to) const;

 private:
  friend class Run;
  OpenRun(std::shared_ptr<const Run> run, TailsPtr tails)
      : run_(std::move(run)), tails_(std::move(tails)) {}
  const RunFile* data() const { return tails_->data.get(); }        // null: no such object
  const RunFile* deletes() const { return tails_->deletes.get(); }  // null: no such object
  const ColumnMap* map() const { return run_->map_.get(); }         // null: none is needed
  template <typename Make>
  std::unique_ptr<VersionCursor> Shown(const std::vector<int>& columns, const Make& make) const;
  using Hits = std::vector<std::optional<Memtable::Hit>>;
  // Of the columns that the file has; and the same hits as the map shows them.
  Result<Hits> GetOwn(const std::vector<std::string_view>& keys, std::uint64_t as_of,
                      const std::vector<int>& columns, std::uint64_t* bytes_left) const;
  Result<Hits> GetShown(const std::vector<std::string_view>& keys, std::uint64_t as_of,
                        const std::vector<int>& columns, std::uint64_t* bytes_left) const;

  std::shared_ptr<const Run> run_;
  TailsPtr tails_;
};

}  // namespace varve
