// SPDX-License-Identifier: Apache-2.0
// Units that are put together over time. Their records are copied and stay in memory until the
// transaction ends: nothing of one that is open is in the log, so any number may interleave, none
// holds truncation back, and recovery never has one to undo.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <string>

#include "varve/error.h"
#include "varve/log.h"

namespace varve {

// Thread-safe; one transaction is used by one thread at a time.
class Transactions {
 public:
  struct Record {
    std::string bytes;
    LogKind kind;
  };
  struct Open {
    std::deque<Record> records;
    std::uint64_t bytes = 0;  // of the unit it would be
  };

  LogTransaction Begin();
  // NotFound; Invalid when the unit would be larger than a unit may be. Adds all or nothing, also
  // when there is no memory (std::bad_alloc).
  Status Add(LogTransaction transaction, LogRecords records);
  using Map = std::map<LogTransaction, Open>;
  // Ends it and gives what it holds. NotFound; Invalid when it is empty (then it stays).
  Result<Map::node_type> Take(LogTransaction transaction);
  // What Take gave was not appended: the transaction goes on.
  void PutBack(Map::node_type open);
  Status Forget(LogTransaction transaction);
  void ForgetAll();
  std::uint64_t count() const;

 private:
  Result<Map::iterator> Find(LogTransaction transaction);

  mutable std::mutex mutex_;
  std::uint64_t next_ = 1;  // guarded by mutex_
  Map open_;                // guarded by mutex_
};

}  // namespace varve
