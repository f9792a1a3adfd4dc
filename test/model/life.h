// SPDX-License-Identifier: Apache-2.0
// A random life of a database beside a reference. Each step has chances of its own, from the seed
// and its number: leave steps out, and the others do what they did, as far as they can.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/executor.h"
#include "base/random.h"
#include "files/simulated_disk.h"
#include "test/model/batches.h"
#include "varve/database.h"

namespace varve::testing {

class Life {
 public:
  explicit Life(std::uint64_t seed);

  // Throws Broken.
  void Step(std::uint64_t number);
  // Everything that there is to read. Throws Broken.
  void CheckAll();
  const std::string& last() const { return last_; }  // the last step, in words

 private:
  struct Held {
    std::shared_ptr<Snapshot> snapshot;
    std::uint64_t commit;
  };
  struct OpenTransaction {
    std::unique_ptr<Transaction> transaction;
    bool serializable;
    std::uint64_t began;
    Tables view;                                     // with its own writes
    std::map<std::pair<std::string, Key>, bool> touched;  // keys; whether it wrote them
  };

  void Open();
  void Reopen();
  void CutPower();
  void Commit(const std::string& what, const std::string& table, Result<CommitInfo> info,
              TableRows next);
  void Upsert();
  void Delete();
  void Mix();
  void InsertMissing();
  void DeleteWhere();
  // Those written; nothing is a commit only if no row is.
  void CommitLooked(const std::string& what, const std::string& table, const CommitInfo& info,
                    const RowList& written, TableRows next);
  void WriteFromThreads();
  void Begin();
  void WriteInTransaction();
  void ReadInTransaction();
  void EndTransaction();
  void Tag();
  void Untag();
  void Hold();
  void Release();
  void ForgetSnapshots();

  const Tables& At(std::uint64_t commit) const { return after_[commit]; }
  const Tables& Newest() const { return after_.back(); }
  std::uint64_t newest() const { return after_.size() - 1; }
  void NoteTimes();
  void CheckMoments();
  void CheckTags();
  void CheckSnapshot(const Snapshot& snapshot, std::uint64_t commit);
  void CheckScans(const Snapshot& snapshot, const std::string& table, const TableRows& expected);
  void CheckGet(const Snapshot& snapshot, const std::string& table, const TableRows& expected);
  void Follow();
  void EndFollowers();
  void CheckChanges(const Snapshot& snapshot, const std::string& table);
  std::uint64_t Below(std::uint64_t bound) { return chance_->Below(bound); }

  const std::uint64_t seed_;
  SeededRandom random_;  // of the database
  std::unique_ptr<SeededRandom> chance_;
  ManualClock clock_;
  ManualExecutor executor_;
  SimulatedDisk disk_;
  std::uint64_t memtable_bytes_ = 0;
  std::unique_ptr<Database> db_;
  std::vector<Tables> after_;  // by commit
  std::map<std::uint64_t, WallTime> times_;  // by commit; some are not known
  std::map<std::string, std::uint64_t> tags_;
  std::map<std::pair<std::string, Key>, std::uint64_t> written_;  // by which commit, last
  std::vector<Held> held_;
  std::vector<OpenTransaction> open_;
  struct Follower;  // life_changes.cc
  std::map<std::string, std::shared_ptr<Follower>> followers_;
  std::string last_;
};

}  // namespace varve::testing
