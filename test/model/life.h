// SPDX-License-Identifier: Apache-2.0
// A random life of a database beside a reference. Each step has chances of its own, from the seed
// and its number: leave steps out, and the others do what they did, as far as they can.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/executor.h"
#include "base/random.h"
#include "files/simulated_disk.h"
#include "test/model/batches.h"
#include "test/model/fleeting.h"
#include "test/model/table_scan.h"
#include "test/model/table_write.h"
#include "test/support/test_keys.h"
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
    Tables tables;  // those that there were when it was taken
  };
  using Keys = std::set<std::pair<std::uint32_t, Key>>;  // of tables, by their ids
  struct OpenTransaction {
    struct Savepoint {
      std::uint64_t id;
      Tables view;
      Keys wrote;
    };
    std::unique_ptr<Transaction> transaction;
    bool serializable;
    std::uint64_t began;
    Tables view;  // with its own writes
    Keys wrote = {};
    std::vector<Savepoint> savepoints = {};
    // What it looked at, when it is serializable.
    Keys read = {};
    std::vector<std::pair<std::uint32_t, Wanted>> scanned = {};
  };
  // What makes one commit, and what it makes of the tables that there are.
  struct Attempt {
    std::string what;
    std::function<Result<CommitNumber>(Database&)> make;
    std::function<Tables(const Tables&)> after;
  };
  // A table by its name of now.
  struct Picked {
    std::string name;
    TablePtr table;
    const Shape& shape() const { return *table->shape; }
  };

  // A scan that was begun, and what it gave so far.
  struct HalfRead {
    std::string what;
    TableScan scan;
    TablePtr table;  // as it shows it
    std::shared_ptr<arrow::RecordBatchReader> reader;
    RowList found = {};
  };

  Components World();
  void Open();
  void EndSession();
  void Reopen();
  void Flush();
  void Compact();
  void CheckClosed();
  void CheckHeld();
  AckLevel PickAck();
  void MakeCommit(const std::string& what, CommitNumber commit, Tables next,
                  AckLevel ack = AckLevel::kDurable);
  std::optional<Picked> PickTable() { return PickTableOf(Newest()); }
  std::optional<Picked> PickTableOf(const Tables& tables);
  void NoteWritten(const Picked& at, const RowList& rows);

  // life_power.cc
  void Acknowledge(std::uint64_t commit, AckLevel ack);
  void See(std::uint64_t commit);  // whoever looks now sees this commit as the newest one
  std::uint64_t Visible();
  void CutPower();
  void LosePower();
  void OpenAfterCut();
  void Survive(bool check);
  void CutPowerSoon();
  void CutPowerAmid();
  void CutPowerAmidCreate();

  // life_writes.cc
  void Write();
  void SyncAll();
  void WriteInto(const Picked& at);
  void WriteWith(const Picked& at, const CommitOptions& options);
  // Nothing is a commit only if no row is written, and no sequence of a producer.
  void CommitLooked(const std::string& what, const Picked& at, const CommitInfo& info,
                    Outcome outcome, const CommitOptions& options = {});
  std::optional<Attempt> WriteAttempt(const Picked& at);

  // life_fleeting.cc
  void UseFleeting();
  void CheckFleeting();

  // life_producers.cc
  ProducerMark MarkOf(const std::string& producer) const;  // sequence 0: none
  Producer PickProducer();
  void NoteProducer(const Producer& producer, CommitNumber commit);
  void RequireRepeat(const CommitOptions& options, const Result<CommitInfo>& info);
  std::vector<Producer> TakeLost();
  void SendAgain(const std::vector<Producer>& lost);

  // life_threads.cc
  static constexpr int kWriters = 3;
  struct ThreadWrite;
  std::vector<ThreadWrite> PickThreadWrites(bool with_ranges);
  void WriteFromThreads();
  void ChangeBesideWriters();
  void CommitThreads(const std::vector<ThreadWrite>& writes, const Attempt* change,
                     CommitNumber changed);
  void RequireAnswer(const ThreadWrite& write, std::uint64_t first);

  // life_tables.cc
  void ChangeTables();
  std::string PickName();
  void CreateTable();
  void Change();
  void RefuseChange();
  std::optional<Attempt> PickChange();
  Attempt AlterAttempt(const Picked& at);

  // life_transactions.cc
  void Begin();
  void UseTransaction();
  void WriteInTransaction(OpenTransaction* in, const Picked& at);
  void SetSavepoint(OpenTransaction* in);
  void GoBack(OpenTransaction* in);
  void GoBackAndGet(OpenTransaction* in);
  void GetInTransaction(OpenTransaction* in, const Picked& at);
  void ScanInTransaction(OpenTransaction* in, const Picked& at);
  void EndTransaction();
  Tables AfterTransaction(const OpenTransaction& in) const;
  bool TablesChanged(const OpenTransaction& in) const;
  enum class Clash { kNone, kPerhaps, kSurely };
  Clash ClashOf(const OpenTransaction& in) const;
  Clash ClashOfScan(const OpenTransaction& in, std::uint32_t table, const Wanted& wanted) const;
  bool WrittenSince(const std::pair<std::uint32_t, Key>& at, std::uint64_t commit) const;

  // life_versions.cc
  void Tag();
  void Untag();
  void Restore();
  std::optional<Attempt> RestoreAttempt(const Picked& at);
  void Hold();
  void Release();
  void NoteTimes();
  void CheckMoments();
  void CheckTags();

  // life_reads.cc
  void CheckSnapshot(const Snapshot& snapshot, std::uint64_t commit, const Tables& expected);
  void CheckAsOf(const AsOf& as_of, std::uint64_t commit, const std::string& what);
  void CheckAllRows(const Snapshot& snapshot, const std::string& name, const Table& expected);
  void CheckScan(const Snapshot& snapshot, const std::string& name, const Table& expected);
  void CheckCount(const Snapshot& snapshot, const std::string& name, const Table& expected);
  void CheckMinMax(const Snapshot& snapshot, const std::string& name, const Table& expected);
  RowList ReadRows(const TableScan& scan, arrow::RecordBatchReader* reader);
  void CheckGet(const Snapshot& snapshot, const std::string& name, const Table& expected);

  // life_readers.cc
  using MakeReader = std::function<Result<std::shared_ptr<arrow::RecordBatchReader>>(
      const Picked&, const TableScan&)>;
  void BeginScan();
  void BeginScanOf(const Tables& tables, const MakeReader& make);
  void EndScan();
  void ReadTheRest(HalfRead* half);
  void EndAllScans();

  // life_elsewhere.cc
  void UseElsewhere();
  void SeeElsewhere(std::uint64_t commit);
  void CheckElsewhere();
  void EndElsewhere();

  // life_changes.cc
  struct Follower;
  void Follow();
  std::uint64_t FollowGone(const std::string& name, std::uint64_t from);
  bool Apply(Follower* follower, const std::shared_ptr<arrow::RecordBatch>& batch);
  void FollowAgain(Follower* follower, const Error& error, const Table& table);
  void RequireTheEnd(Follower* follower, const Error& error, std::uint32_t table);
  void FollowDropped();
  void EndFollowers();
  void CheckChanges(const Snapshot& snapshot, const std::string& name, const Table& table);

  const Tables& Newest() const { return reference_.Newest(); }
  std::uint64_t newest() const { return reference_.newest(); }
  std::uint64_t Below(std::uint64_t bound) { return chance_->Below(bound); }

  const std::uint64_t seed_;
  const bool encrypted_;
  TestKeys keys_;  // of all months so far
  int month_ = 0;
  SeededRandom random_;  // of the database
  std::unique_ptr<SeededRandom> chance_;
  ManualClock clock_;
  ManualExecutor executor_;
  SimulatedDisk disk_;
  std::uint64_t memtable_bytes_ = 0;
  std::uint32_t compaction_threads_ = 1;
  bool changes_tables_ = false;
  CompactionStrategy strategy_ = CompactionStrategy::kLeveled;
  bool syncs_ = true;  // each step that writes
  std::unique_ptr<Database> db_;
  Reference reference_;
  std::optional<Fleeting> fleeting_;  // nothing: rows of no table expire
  std::uint64_t durable_ = 0;      // the newest commit that is known to survive a power cut,
  std::uint64_t handed_over_ = 0;  // or the end of the process
  // What each producer committed, oldest first.
  std::map<std::string, std::vector<ProducerMark>> producers_;
  std::map<std::uint64_t, WallTime> times_;  // by commit; some are not known
  std::map<std::string, std::uint64_t> tags_;
  std::map<std::pair<std::uint32_t, Key>, std::uint64_t> written_;  // by which commit, last
  std::vector<Held> held_;
  std::unique_ptr<Database> elsewhere_;  // in another process, which reads; null: there is none
  std::vector<Held> held_elsewhere_;
  std::uint64_t seen_elsewhere_ = 0;     // a commit
  std::vector<OpenTransaction> open_;
  std::vector<HalfRead> readers_;
  std::map<std::uint32_t, std::shared_ptr<Follower>> followers_;  // by table
  std::string last_;
};

}  // namespace varve::testing
