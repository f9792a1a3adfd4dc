// SPDX-License-Identifier: Apache-2.0
// Superversion: everything a read needs, swapped whole.
//
// (memtables, sealed memtables, runs) of every table at one moment. The engine makes a new one when
// a table is created, a memtable sealed, or a flush published; it is immutable, except that its
// active memtables go on receiving rows whose commit is newer than any snapshot taken from it
// before. A snapshot pins one: so it can never lose rows to a flush.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "columns/expiry.h"
#include "columns/table_schema.h"
#include "memtable/memtable.h"
#include "run/run.h"
#include "varve/error.h"
#include "varve/types.h"

namespace varve {

class Clock;
class RunMemory;
class Executor;
struct Telemetry;

struct TableView {
  std::uint32_t id = 0;
  std::string name;
  std::uint32_t schema_id = 0;
  std::shared_ptr<const TableSchema> schema;
  std::shared_ptr<Memtable> active;
  std::vector<std::shared_ptr<const Memtable>> sealed;  // oldest first
  RunList runs;
  std::shared_ptr<const RunMemory> memory;  // null: nobody counts what reads take
  CommitNumber oldest;  // the runs have every version of the commits after it
  // What the reading transaction wrote: newer than every version that it sees of the others. Its
  // commit numbers are those of the transaction's statements, of which scans show the first
  // `own_statements`. Null outside of transactions.
  std::shared_ptr<const Memtable> own;
  std::uint64_t own_statements = 0;
  // Rows that have expired, at the moment of who reads, are not there (expiring.h).
  std::optional<Expiry> expiry = {};
};

class Superversion {
 public:
  // Gives the threads that a read may use beside its own; null: none.
  std::function<Executor*()> executor;
  // The one that it was made of, of which readers in other processes know what it reads; or null.
  std::shared_ptr<const void> origin;
  Clock* clock = nullptr;  // for profiles; null: the system's
  std::shared_ptr<Telemetry> telemetry;  // null: nobody counts
  bool expires = false;  // rows of some table do
  std::map<std::string, std::shared_ptr<const TableView>, std::less<>> tables;
  // Those that a commit dropped, by id; for reading as of a commit before it.
  std::map<std::uint32_t, std::shared_ptr<const TableView>> dropped;

  const TableView* Find(std::string_view name) const {
    auto at = tables.find(name);
    return at == tables.end() ? nullptr : at->second.get();
  }
};

}  // namespace varve
