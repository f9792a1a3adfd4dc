// SPDX-License-Identifier: Apache-2.0
// Memtable: the recent rows of one table, readable while written, immutable once sealed.
//
// It keeps the batches as they came, and beside them sorted layers of references to their rows.
// An insert sorts its own rows into a new layer and then merges small layers of similar size (as
// an LSM tree does), up to kLayerRowsMax rows; so inserting costs O(log n) a row, no insert pays
// for the whole, and there are few layers to read. With an executor large merges are its tasks
// (tiers.h): who inserts does not wait for them. The list of layers is immutable and swapped
// whole: readers take it and hold no lock. All versions are kept. Very small batches are gathered
// into larger ones on the way (layer.h), so committing row by row does not cost memory.
//
// Rows are prepared first (PrepareRows), which takes all the memory that they must have; inserting
// them then cannot fail. A layer for which the list has no memory waits beside it, where readers
// find it, until a later insert has some.
//
// Thread safety: Insert from any thread; cursors and Get from any thread at any time. A cursor
// shows what was inserted when it was made; filter by commit to get a snapshot.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "base/memory_budget.h"
#include "columns/commit_window.h"
#include "columns/table_schema.h"
#include "columns/version_cursor.h"
#include "columns/write_batch.h"
#include "memtable/layer.h"

namespace varve {

class Executor;
class Tiers;

class Memtable : public std::enable_shared_from_this<Memtable> {
 public:
  // `executor`, when there is one, must live as long as rows are inserted, and a std::shared_ptr
  // must own the memtable: a task that comes later finds it gone.
  // `budget`: what it holds is booked there; null: nowhere.
  explicit Memtable(std::shared_ptr<const TableSchema> schema, Executor* executor = nullptr,
                    std::shared_ptr<MemoryBudget> budget = nullptr);
  ~Memtable();

  // Inserts a batch under `commit`. Commits may arrive out of order; (key, commit) must be new.
  // What PrepareRows gave needs no memory any more.
  void Insert(NewRows rows, std::uint64_t commit) noexcept;
  void Insert(WriteBatch batch, std::uint64_t commit) {
    Insert(PrepareRows(std::move(batch)), commit);
  }

  // A cursor over the versions within `bounds`; it may outlive the memtable. `columns` are indices
  // into the table's schema; batch() of the cursor has these columns, in this order.
  std::unique_ptr<VersionCursor> NewCursor(const std::vector<int>& columns,
                                           const KeyBounds& bounds) const;

  // Only versions whose commits lie in `window`, which are all inserted. Costs as much as these,
  // not as the memtable (layer_window.h).
  std::unique_ptr<VersionCursor> NewCursor(const std::vector<int>& columns, const KeyBounds& bounds,
                                           const CommitWindow& window) const;
  // Tells how many versions the commits of the window have.
  void CountCommits(const CommitWindow& window, const CountCommit& count) const;

  struct Hit {
    std::uint64_t commit = 0;
    RowKind kind = RowKind::kUpsert;
    std::shared_ptr<arrow::RecordBatch> batch;  // all columns; null for a delete
    std::int64_t row = 0;
  };
  // The newest version of `key` with commit <= `as_of`.
  std::optional<Hit> Get(std::string_view key, std::uint64_t as_of) const;

  std::uint64_t rows() const { return rows_.load(std::memory_order_relaxed); }  // all versions
  std::uint64_t delete_rows() const { return delete_rows_.load(std::memory_order_relaxed); }
  std::uint64_t min_commit() const { return min_commit_.load(std::memory_order_relaxed); }
  std::uint64_t bytes() const { return bytes_.load(std::memory_order_relaxed); }
  // As whose it is booked from now on; at first as one that receives rows.
  void BookAs(MemoryHolder holder);
  const std::shared_ptr<const TableSchema>& schema() const { return schema_; }

 private:
  struct Layers;
  std::shared_ptr<const Layers> layers() const;
  // These require insert_mutex_.
  template <typename Change>
  void Show(const Change& change, const LayerPtr& waited = nullptr);
  void ShowWaiting();
  void Wait(const LayerPtr& layer) noexcept;
  std::uint64_t WaitingBytes() const;
  bool NeedsMergeTask();

  void SubmitMergeTask() noexcept;
  void RunMerge() noexcept;

  const std::shared_ptr<const TableSchema> schema_;
  Executor* const executor_;
  std::atomic<std::uint64_t> rows_ = 0;
  std::atomic<std::uint64_t> delete_rows_ = 0;
  std::atomic<std::uint64_t> bytes_ = 0;
  std::atomic<std::uint64_t> min_commit_ = UINT64_MAX;  // no commit inserted is smaller
  std::mutex insert_mutex_;               // serializes writers
  Booking booking_;                       // of bytes_; guarded by insert_mutex_
  std::unique_ptr<Tiers> tiers_;          // guarded by insert_mutex_
  bool merging_ = false;                  // guarded by insert_mutex_: a task is asked for, or runs
  mutable std::mutex layers_mutex_;       // held for a pointer copy only
  std::shared_ptr<const Layers> layers_;  // guarded by layers_mutex_
  LayerPtr waiting_;                      // beside layers_, newest first; guarded by both mutexes
};

}  // namespace varve
