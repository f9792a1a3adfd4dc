// SPDX-License-Identifier: Apache-2.0
// OwnWrites: what a transaction wrote, by table and statement, before it is a commit.
//
// Each table that it writes has a memtable of its own, in which the statements have the place of
// commit numbers: so the newest version of a key is the transaction's last word on it, and a
// savepoint is a number. Not thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "columns/write_batch.h"
#include "memtable/memtable.h"
#include "varve/error.h"

namespace varve {

class OwnWrites {
 public:
  // The next statement. `schema` is that of the table, the same in each call for it.
  void Add(std::uint32_t table, const std::shared_ptr<const TableSchema>& schema, WriteBatch batch);

  std::uint64_t statements() const { return statements_; }
  // Forgets all statements after the first `statements`.
  Status GoBackTo(std::uint64_t statements);

  bool empty() const { return tables_.empty(); }
  std::uint64_t bytes() const;
  std::shared_ptr<const Memtable> Find(std::uint32_t table) const;  // null: nothing was written

  // The last word on each key of `table`, in key order: upserts, deletes, or one of each. Together
  // no key comes twice.
  Result<std::vector<WriteBatch>> Newest(std::uint32_t table) const;

 private:
  std::map<std::uint32_t, std::shared_ptr<Memtable>> tables_;
  std::uint64_t statements_ = 0;
};

}  // namespace varve
