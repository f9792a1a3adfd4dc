// SPDX-License-Identifier: Apache-2.0
// What transactions read and wrote, as their callers saw it, and whether an isolation level allows
// it. The check knows nothing of the engine: no commit numbers, no snapshots.
//
// Every key holds a list, and the only write is to append a value, never used before, to a list
// that the transaction has read. So a list tells which values were there before, and who wrote
// them: the order of the versions of a key can be read off, and from it who depends on whom
// (Adya, "Weak Consistency", 1999; the lists are those of Kingsbury and Alvaro, "Elle", 2020):
//
//   ww  wrote the version after another's      wr  read another's version
//   rw  read the version before another's      rt  began after another had ended
//
// Snapshot isolation allows cycles of those only where two rw follow each other (Cerone and
// Gotsman, "Analysing Snapshot Isolation", 2016); a serializable history has none at all. With rt
// among them what began later also sees no older snapshot.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace varve::testing {

using Value = std::uint64_t;

struct Operation {
  enum class Kind : std::uint8_t { kRead, kAppend, kSavepoint, kRollback };
  Kind kind = Kind::kRead;
  std::int64_t key = 0;
  std::vector<Value> list;  // of a read: what it found, own values included; empty: no such key
  Value value = 0;          // of an append
};

struct RecordedTransaction {
  std::uint64_t began = 0;  // before its begin; times count events of the whole history
  std::uint64_t ended = 0;  // after its end
  bool committed = false;
  std::vector<Operation> operations;
};

using History = std::vector<RecordedTransaction>;

// What is wrong with a history, by the names in the literature.
struct Anomalies {
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
