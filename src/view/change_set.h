// SPDX-License-Identifier: Apache-2.0
// ChangeSet: versions read out of a table's sources, to be put in the order of commits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "columns/version_cursor.h"
#include "varve/error.h"
#include "view/superversion.h"

namespace varve {

struct Change {
  std::uint64_t commit = 0;
  RowKind kind = RowKind::kUpsert;
  std::size_t key_begin = 0;  // in the set's keys
  std::size_t key_end = 0;
  std::shared_ptr<arrow::RecordBatch> batch;  // null for a delete
  std::int64_t row = 0;
  std::shared_ptr<arrow::RecordBatch> before;  // null when nothing was there, or nobody asks
  std::int64_t before_row = 0;
};

class ChangeSet {
 public:
  const std::vector<Change>& changes() const { return changes_; }
  std::string_view key(const Change& change) const {
    return std::string_view(keys_).substr(change.key_begin, change.key_end - change.key_begin);
  }

  // Adds the current version of the cursor.
  void Add(const VersionCursor& cursor);
  void SortByKey();     // then commit, the oldest first
  void SortByCommit();  // then key

  // Bytes of the batches that are held for this set alone: of runs, and what was before.
  std::uint64_t bytes() const { return bytes_; }
  void CountBytes(std::uint64_t bytes) { bytes_ += bytes; }

  // Sets what was before each change: the version before it in the set, or else in `table` as of
  // `as_of`, a commit from which on the set has every version of its keys. Drops the deletes of
  // keys that were not there. The set is sorted by key, before and after.
  // Looks *lookup_rows keys up at a time, and fewer when their rows take more than a part of
  // `bytes_max`, to which it adapts.
  // False when bytes() passed `bytes_max` before all were looked up; the set is then useless.
  Result<bool> FindBefore(const TableView& table, std::uint64_t as_of,
                          const std::vector<int>& columns, std::uint64_t bytes_max,
                          std::size_t* lookup_rows);

  // The same for changes of one commit, so each of another key: of as many as are looked up at
  // once. The others are returned, as a set of their own.
  Result<ChangeSet> FindFirstBefore(const TableView& table, std::uint64_t as_of,
                                    const std::vector<int>& columns, std::uint64_t bytes_max,
                                    std::size_t* lookup_rows);

 private:
  // Of some of `changes`, from `begin` on; returns where it ended.
  Result<std::size_t> LookUp(const TableView& table, std::uint64_t as_of,
                             const std::vector<int>& columns, std::uint64_t bytes_max,
                             const std::vector<Change*>& changes, std::size_t begin,
                             std::size_t* lookup_rows);
  void DropDeletesOfNothing();

  std::string keys_;
  std::vector<Change> changes_;
  std::uint64_t bytes_ = 0;
};

}  // namespace varve
