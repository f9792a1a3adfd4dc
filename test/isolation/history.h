// SPDX-License-Identifier: Apache-2.0
// What transactions read and wrote, as their callers saw it, and whether an isolation level allows
// it. The check knows nothing of the engine: no log, no memtables, no runs.
//
// Every key holds a list. Most writes append a value, never used before, to a list that the
// transaction has read. So a list tells which values were there before, and who wrote them: the
// order of the versions of a key can be read off, and from it who depends on whom (Adya, "Weak
// Consistency", 1999; the lists are those of Kingsbury and Alvaro, "Elle", 2020):
//
//   ww  wrote the version after another's      wr  read another's version
//   rw  read the version before another's      rt  began after another had ended
//
// Snapshot isolation allows cycles of those only where two rw follow each other (Cerone and
// Gotsman, "Analysing Snapshot Isolation", 2016); a serializable history has none at all. With rt
// among them what began later also sees no older snapshot.
//
// A put, of a list of one new value, and a delete do not look at what was there: each begins a new
// chapter of its key. The order of chapters is that of the numbers that their commits were given
// (no list tells it), and which of several deletes it was that left nothing to read is told by the
// reader's snapshot. CheckNumbers (numbers.h) sees whether those numbers are right.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace varve::testing {

using Value = std::uint64_t;

struct Operation {
  enum class Kind : std::uint8_t { kRead, kAppend, kPut, kDelete, kSavepoint, kRollback };
  Kind kind = Kind::kRead;
  std::int64_t key = 0;
  std::vector<Value> list;  // of a read: what it found, own values included; empty: no such key
  Value value = 0;          // of an append or a put
};

struct RecordedTransaction {
  std::uint64_t began = 0;  // before its begin; times count events of the whole history
  std::uint64_t ended = 0;  // once what it wrote is there for all who begin
  bool committed = false;
  std::vector<Operation> operations = {};
  // What it was told.
  std::uint64_t snapshot = 0;
  std::uint64_t commit = 0;  // 0: it wrote nothing, or was not committed
  bool plain = false;        // a write without a transaction: it has no snapshot
  bool refused = false;      // with Conflict
};

using History = std::vector<RecordedTransaction>;

// What is wrong with a history, by the names in the literature.
struct Anomalies {
  void Add(const std::string& name, const std::string& example);

  std::map<std::string, std::uint64_t> counts;
  std::vector<std::string> examples;  // the first few, in words
  // Cycles with two rw in a row only: write skew. Allowed by snapshot isolation.
  bool write_skew = false;
};

// "internal": a transaction does not see what itself did, or reads a key twice and differently;
// "G1a": reads what was never committed; "G1b": reads a value between two of one transaction;
// "lost update": two append to the same list; "order": lists of a key that cannot both have been;
// "G0", "G1c", "G-single": a cycle of ww; of ww, wr, rt; with rw, but never two in a row.
Anomalies Check(const History& history);

}  // namespace varve::testing
