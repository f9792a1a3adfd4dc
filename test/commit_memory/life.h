// SPDX-License-Identifier: Apache-2.0
// A database on a simulated disk whose commits may be refused memory, and what it told of them.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/executor.h"
#include "base/random.h"
#include "files/simulated_disk.h"
#include "test/log_memory/hungry_files.h"
#include "test/log_memory/scarcity.h"
#include "test/support/rows.h"
#include "varve/database.h"

namespace varve::testing {

// What one commit changes, by table. No two commits of a life change the same key.
struct Change {
  std::map<std::string, Rows> upserts;
  std::map<std::string, Rows> deletes;  // of rows as they were
};

enum class Fate : std::uint8_t { kKept, kNotKept, kUnknown };

// Where rationing begins when it is not for the whole call: at the place in the log, before which a
// commit asks for the time.
class RationingClock final : public Clock {
 public:
  WallTime Now() override;
  std::int64_t SteadyMicros() override { return clock_.SteadyMicros(); }
  void WaitWord(const std::atomic<std::uint32_t>& word, std::uint32_t seen,
                std::int64_t micros) override {
    clock_.WaitWord(word, seen, micros);
  }
  void Begin() { begin_ = true; }
  void End();

 private:
  ManualClock clock_;
  bool begin_ = false;
  std::unique_ptr<Rationed> rationed_;
};

// Its tables "t" and "u" have plain columns. Arrow ends the process when it is refused memory for
// nested ones, or for the message of a batch of keys: so deletes and transactions are rationed from
// their place in the log on.
class Life {
 public:
  explicit Life(const OpenOptions& options);
  ~Life();

  // With all the memory there is; anything but success is a failure.
  void Open();
  void Keep(const Change& change);
  void Prepare(const Change& change);  // what others delete

  // Each as one commit, by a thread that may be refused memory. Once the outcome of one is unknown,
  // no more are tried. Any thread.
  void Write(const Change& change, const CommitOptions& options = {});  // one table, one kind
  void WriteThen(const Change& change);
  void Transact(const Change& change);
  // The same for a thread that has memory.
  void WriteUnrationed(const Change& change);
  void RunTasks() { executor_.RunAll(); }
  Database& db() { return *db_; }

  // What was told is what is there: now, when the next commit came, and after a power cut.
  void ExpectFates();

  int told_later = 0;  // callbacks

 private:
  using Call = std::function<Result<CommitInfo>()>;
  void Try(const Change& change, const Call& call);
  void Note(const Change& change, const Result<CommitInfo>& info);
  void ExpectTold(const std::string& when);
  void ExpectNext();
  std::map<std::string, Rows> ReadAll();
  WriteRequest RequestOf(const Change& change, std::string* table) const;

  const OpenOptions options_;
  SimulatedDisk disk_;
  HungryFiles files_{&disk_};
  RationingClock clock_;
  SeededRandom random_{1};
  ManualExecutor executor_;
  std::unique_ptr<Database> db_;
  std::mutex mutex_;
  std::vector<std::pair<Change, Fate>> told_;  // guarded by mutex_
  bool unknown_ = false;                       // of one; guarded by mutex_
};

}  // namespace varve::testing
