// SPDX-License-Identifier: Apache-2.0
// Life: a scripted database life on a simulated disk, and what was promised in it.
//
// The script is deterministic: the same clock, random numbers and single thread each time. So the
// n-th disk event is the same in every run, and a sweep can cut power at each of them.
//
// A life has the table "t", which may change its name and columns, and may have a second one,
// "side", which does not.
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
#include "test/crash/columns.h"
#include "test/crash/follower.h"
#include "test/support/forwarding_files.h"
#include "test/support/rows.h"

namespace varve::testing {

// Everything a database needs from outside, made anew for each life.
struct World {
  explicit World(std::uint64_t seed) : random(seed) {}
  Components components(Files* files) {
    return {.files = files, .clock = &clock, .random = &random, .executor = &executor};
  }
  ManualClock clock;
  SeededRandom random;
  ManualExecutor executor;
};

// The files as one process has them: once it is dead, nothing that is left of it finds the disk.
// (What it has open dies with SimulatedDisk::KillProcess.)
class ProcessFiles final : public ForwardingFiles {
 public:
  explicit ProcessFiles(Files* disk) : ForwardingFiles(disk) {}
  void SetAlive(bool alive) { alive_ = alive; }

  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override;
  Result<std::vector<FileInfo>> List(const std::string& path) override;
  Status CreateDirectories(const std::string& path) override;
  Status Rename(const std::string& from, const std::string& to) override;
  Status Link(const std::string& from, const std::string& to) override;
  Status Remove(const std::string& path) override;
  Status SyncDirectory(const std::string& path) override;

 private:
  Status CheckAlive() const;
  bool alive_ = true;
};

// What a transaction wrote: per table and key the value, nothing for a delete.
using Changes = std::map<std::string, std::map<std::int64_t, std::optional<std::string>>>;

// What was promised so far: the state after each commit that was tried, and what was acknowledged.
struct Promises {
  bool created = false;                // the creation of the table there is was acknowledged
  bool has_side = false;               // that of the second one
  std::uint64_t acknowledged = 0;      // the newest commit that was acknowledged, or reported, as
                                       // durable, or shown to a reader
  std::uint64_t written = 0;           // the same, or acknowledged as written: a process may die
  std::vector<Rows> after = {Rows{}};  // after[c]: the table's rows as of commit c
  std::vector<Rows> side = {Rows{}};   // those of the second table
  std::vector<std::string> called = {"t"};  // called[c]: its name; empty: it was dropped just then
  std::vector<Columns> columns = {Columns()};  // columns[c]: those that it has
  std::map<std::uint64_t, Producer> sent;   // by commit, of those that a producer made
  std::map<std::uint64_t, WallTime> times;  // by commit, of those that have a number
  // By name: what it may name now, nothing being one of it. Two after a step that was cut short.
  std::map<std::string, std::set<std::optional<std::uint64_t>>> tags;
  // What a follower of the table has, and keeps elsewhere; when there is one.
  std::optional<Ledger> ledger;

  // When the process died and the power did not go.
  Promises AfterProcessDeath() const;
  // Commits before this one may have been let go, but those that tags name.
  std::uint64_t let_go = 0;
  // The commits after this one are not there.
  void Forget(std::uint64_t commit);
};

// The n-th event of a producer's source: one row that nobody else writes.
Rows EventOf(const std::string& producer, std::uint64_t sequence);

class Life {
 public:
  // `files`: what the database calls instead of the disk, to which it leads.
  Life(SimulatedDisk* disk, OpenOptions options, Files* files = nullptr)
      : world_(42),
        disk_(disk),
        process_(files == nullptr ? disk : files),
        options_(std::move(options)) {}
  ~Life();
  Life(const Life&) = delete;
  Life& operator=(const Life&) = delete;

  // The disk may fail a call without losing power; the script ends at the first step that fails.
  void ExpectErrors() { errors_expected_ = true; }

  // The steps. Each does nothing once a step has failed: power is gone.
  void Open();  // which may show less than was tried, at the end, when the process had died
  void Create();
  void CreateSide();
  void Rename(const std::string& to);
  void Drop();                               // then Create
  void RenameValues(const std::string& to);  // the column of the texts
  void AddNumber(const std::string& name, std::int32_t value);  // of the rows that are there
  void WidenNumber(const std::string& name);
  void DropNumber(const std::string& name);
  void Put(const Rows& rows, AckLevel ack = AckLevel::kDurable);
  void PutThen(const Rows& rows, AckLevel ack);  // does not wait
  // As the producer "p", whose next sequence this is.
  void PutOnce(const Rows& rows, AckLevel ack = AckLevel::kDurable);
  // The next event of a producer, which must not be there yet.
  void Send(const std::string& producer, AckLevel ack = AckLevel::kDurable);
  void SendThen(const std::string& producer, AckLevel ack);  // does not wait
  // The newest event of a producer again: nothing is made, the first commit's number comes back.
  void SendAgain(const std::string& producer, AckLevel ack = AckLevel::kDurable);
  void PutMissing(const Rows& rows);                    // of which at least one is missing
  // These columns of the rows; those that are not there are passed over.
  void Update(const Rows& rows, const std::vector<std::string>& names,
              AckLevel ack = AckLevel::kDurable);
  void EraseRange(std::int64_t from, std::int64_t to);  // in which at least one is
  void Erase(const std::vector<std::int64_t>& ids, AckLevel ack = AckLevel::kDurable);
  void Restore(const AsOf& as_of, std::uint64_t commit, AckLevel ack = AckLevel::kDurable);
  void Flush();
  void Rekey();
  void Compact();
  // All that only readers of older commits than the newest need.
  void Retire();
  void Sync();
  void Tag(const std::string& name, std::uint64_t commit);  // which may be there already
  void Untag(const std::string& name);
  void MoveClock(std::int64_t micros);
  void RunTasks();
  void Close();
  void Kill();  // the process ends without Close; what its threads had begun is done
  void Die();   // the process ends at once, with all that it has in memory

  // Transactions, each by a name. They end with one of the last four.
  void Begin(const std::string& work);
  void PutIn(const std::string& work, const std::string& table, const Rows& rows);
  void EraseIn(const std::string& work, const std::string& table, std::int64_t id);
  void Savepoint(const std::string& work);
  void GoBack(const std::string& work);  // to the newest savepoint
  void Commit(const std::string& work, AckLevel ack = AckLevel::kDurable);
  void CommitThen(const std::string& work, AckLevel ack = AckLevel::kDurable);
  void Refused(const std::string& work);  // commits, and is told that another was first
  void Abort(const std::string& work);

  // A follower that goes on from what it saved, and saves what comes.
  void Follow();
  void Poll();

  // Another process reads the table, which has its first columns, and goes on doing so. What it
  // shows is durable. Some of it it goes on reading later, whatever the writer let go of.
  void LookElsewhere();
  void HoldElsewhere();
  void LookAtHeld();
  void EndElsewhere();

  bool failed() const { return failed_; }
  const Promises& promises() const { return promises_; }

 private:
  struct Work {
    std::unique_ptr<Transaction> transaction;
    Changes changes;
    std::vector<std::pair<std::uint64_t, Changes>> savepoints;
  };

  void Keep(const Status& status);
  // What the database says of itself is promised too.
  void Observe();
  // A commit is tried that leads to this.
  void Promise(Rows next, Rows side, const std::string& name, const Columns& columns);
  // Of the table's columns, which make these rows of those that there are.
  void Alter(Rows next, const Columns& columns, const ColumnChange& change);
  void Promise(Rows next);  // that leaves all else as it is
  std::uint64_t tried() const { return promises_.after.size() - 1; }
  const std::string& name() const { return promises_.called.back(); }
  const Columns& columns() const { return promises_.columns.back(); }
  // `rows` with the columns that the table has.
  std::shared_ptr<arrow::RecordBatch> Batch(const Rows& rows) const;
  void Changed(const Result<CommitNumber>& commit);
  void Acknowledged(std::uint64_t commit, AckLevel ack);
  void NoteTimes();
  // Writes what leads to `next`.
  void Write(Rows next, const WriteRequest& request, const CommitOptions& options = {});
  void WriteThen(Rows next, const WriteRequest& request, const CommitOptions& options);
  // Its callback: the commit was made, whatever becomes of it.
  CommitCallback Through(std::uint64_t commit, AckLevel ack);
  Producer Next(const std::string& id) const;
  void PromiseChanges(const Changes& changes);
  void CheckElsewhere(const Snapshot& snapshot);
  void EndProcess();
  World world_;
  SimulatedDisk* const disk_;
  ProcessFiles process_;
  OpenOptions options_;
  std::unique_ptr<Database> db_;
  std::map<std::string, Work> works_;
  std::unique_ptr<ChangeCursor> cursor_;
  std::unique_ptr<Database> elsewhere_;
  std::shared_ptr<Snapshot> held_elsewhere_;
  bool failed_ = false;
  bool dying_ = false;
  bool errors_expected_ = false;
  Promises promises_;
};

using Script = std::function<void(Life&)>;

// Runs the script to its end and gives the number of disk events.
std::uint64_t CountEvents(const Script& script, const OpenOptions& options);

}  // namespace varve::testing
