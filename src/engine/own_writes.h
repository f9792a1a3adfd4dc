// SPDX-License-Identifier: Apache-2.0
// OwnWrites: what a transaction wrote, by table and statement, before it is a commit.
//
// Each table that it writes has a memtable of its own, in which the statements have the place of
// commit numbers: so the newest version of a key is the transaction's last word on it, and a
// savepoint is a number. Not thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "columns/write_batch.h"
#include "memtable/memtable.h"
#include "varve/error.h"

namespace varve {

class OwnWrites {
 public:
  // `memory`: where its rows are booked; null: nowhere.
  explicit OwnWrites(std::shared_ptr<MemoryBudget> memory = nullptr)
      : memory_(std::move(memory)) {}

  // The next statement. `schema` is that of the table, the same in each call for it.
  void Add(std::uint32_t table, const std::shared_ptr<const TableSchema>& schema, WriteBatch batch);

  std::uint64_t statements() const { return statements_; }
  // Forgets all statements after the first `statements`.
  Status GoBackTo(std::uint64_t statements);

  bool empty() const { return tables_.empty(); }
  std::uint64_t rows() const;   // of all statements
  std::uint64_t bytes() const;  // of memory
  // What Add of it will take, but for some hundred bytes a statement.
  static std::uint64_t BytesOf(const WriteBatch& batch);
  std::shared_ptr<const Memtable> Find(std::uint32_t table) const;  // null: nothing was written

  // Gives the last word on each key of `table`, in key order, in batches of at most kBatchRowsMax
  // rows and some kBatchBytes, so that they need not be in memory all at once. Upserts and deletes
  // are cut at the same keys: one batch of a kind overlaps at most one of the other.
  using TakeBatch = std::function<Status(WriteBatch)>;
  Status GiveNewest(std::uint32_t table, const TakeBatch& take) const;
  static constexpr std::uint64_t kBatchRowsMax = 65536;
  static constexpr std::uint64_t kBatchBytes = 16 << 20;  // if rows are of like size

 private:
  std::shared_ptr<Memtable> NewMemtable(const std::shared_ptr<const TableSchema>& schema) const;

  std::shared_ptr<MemoryBudget> memory_;
  std::map<std::uint32_t, std::shared_ptr<Memtable>> tables_;
  std::uint64_t statements_ = 0;
};

}  // namespace varve
