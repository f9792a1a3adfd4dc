// SPDX-License-Identifier: Apache-2.0
// Does one transaction after the other on lists in two tables, step by step, and records what it
// saw and was told. A commit need not be waited for: the next transaction begins while it is on
// its way.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "base/random.h"
#include "test/isolation/history.h"
#include "varve/database.h"

namespace varve::testing {

// What all actors of a life share.
struct World {
  Database* db = nullptr;
  Isolation isolation = Isolation::kSnapshot;
  std::atomic<std::uint64_t> events = 0;
  std::atomic<Value> values = 0;
  std::atomic<std::int64_t> appended = 0;  // for which keys are hot
  std::atomic<std::int64_t> in_flight = 0;  // commits that were not told yet
  // Of all lives.
  std::atomic<std::uint64_t> conflicts = 0;
  std::atomic<std::uint64_t> beside_others = 0;  // commits decided while others were in flight
};

// The two tables: of even and of odd keys.
void MakeTables(Database* db);

class Actor {
 public:
  // A slow one takes its time amid a transaction, so that much is committed meanwhile.
  Actor(World* world, std::uint64_t seed, bool slow)
      : world_(world), chance_(seed), slow_(slow) {}

  void Step();
  void Abandon();
  // What was told before a sync, or a close, is there for all after it, whatever its ack level.
  void Settle();
  // Once the database is closed, and all commits are told.
  History TakeHistory();
  std::size_t done() const { return history_.size(); }

 private:
  std::int64_t PickKey();
  void Begin();
  std::vector<Value> Read(std::int64_t key);
  void ReadRange();
  void AppendTo(std::int64_t key);
  void Replace(std::int64_t key);
  void Save();
  void GoBack();
  void End();
  void WritePlainly();
  AckLevel PickAck();
  // Records the transaction; what is to be called with its outcome.
  CommitCallback Told(AckLevel ack);
  void Note(RecordedTransaction* transaction, const Result<CommitInfo>& info, AckLevel ack);
  RecordedTransaction* Record();

  World* const world_;
  SeededRandom chance_;
  const bool slow_;
  std::uint64_t pace_ = 1;       // steps that it lets pass for one, about
  std::int64_t first_key_ = 0;   // of those that were hot at its begin
  std::unique_ptr<Transaction> open_;
  std::optional<std::uint64_t> savepoint_;
  std::uint64_t steps_left_ = 0;
  RecordedTransaction now_;
  // A deque: whoever tells an outcome has a pointer into it.
  std::deque<RecordedTransaction> history_;
  std::vector<RecordedTransaction*> unsettled_;
};

}  // namespace varve::testing
