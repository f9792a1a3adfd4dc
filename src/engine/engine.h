// SPDX-License-Identifier: Apache-2.0
// Database::Impl: the state of an open database and who guards what.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "engine/commit_order.h"
#include "engine/environment.h"
#include "engine/generation.h"
#include "engine/moment.h"
#include "engine/recent_keys.h"
#include "engine/submission.h"
#include "manifest/manifest.h"
#include "run/read_cache.h"
#include "varve/database.h"
#include "view/superversion.h"

namespace varve {

struct PreparedWrite;  // write_request.h

// NotFound says which tags there are.
Result<const TagState*> FindTag(const ManifestState& state, const std::string& name);

class Database::Impl : public std::enable_shared_from_this<Database::Impl> {
 public:
  Impl(std::string path, const OpenOptions& options, const Components& components);
  ~Impl();

  // open.cc
  Status Open();
  Status Close();
  // Waits until no background task of this database is left.
  void AwaitTasks();

  // commit.cc
  Status CreateTable(const std::string& name, const std::shared_ptr<arrow::Schema>& schema,
                     const std::vector<std::string>& key);
  // Once it returns the commit has its number and its rows are in the memtables.
  Result<Submitted> Submit(std::vector<TablePart> parts, const CommitOptions& options,
                           CommitGuard guard, WriteWatch* watch);
  Result<CommitInfo> Await(const Submitted& submitted);
  Status Sync();

  // exactly_once.cc
  Result<std::optional<ProducerMark>> LastOf(std::string_view producer);

  // write.cc
  Result<Submitted> Write(std::string_view table, const WriteRequest& request,
                          const CommitOptions& options);

  // restore.cc
  Result<RestoreInfo> RestoreTable(std::string_view table, const AsOf& as_of,
                                   const RestoreOptions& options, const CommitOptions& commit);

  // async.cc
  void WriteThen(std::string_view table, const WriteRequest& request, const CommitOptions& options,
                 CommitCallback done);

  // For transactions (transaction.cc), which end with EndTransaction.
  struct BegunTransaction {
    CommitNumber commit;
    std::shared_ptr<const Superversion> view;
  };
  Result<BegunTransaction> BeginTransaction();
  void EndTransaction(CommitNumber snapshot);
  Status CheckWritable() const;
  Clock* clock() const { return environment_.clock(); }
  Result<std::shared_ptr<const TableView>> FindTableIn(const Superversion& view,
                                                       std::string_view name) const;

  // publish.cc
  Status Flush();

  // as_of.cc
  Result<std::shared_ptr<Snapshot>> GetSnapshot(const AsOf& as_of);

  // tags.cc
  Result<TagInfo> Tag(const std::string& name, const AsOf& as_of, const TagOptions& options);
  Result<TagInfo> Untag(const std::string& name);
  std::vector<TagInfo> Tags() const;

  // report.cc
  DatabaseStats Stats();
  std::vector<Version> Versions(std::uint64_t limit);

  // In a child by fork: its threads and locks are its parent's.
  bool Forked() const;

 private:
  using TableViewPtr = std::shared_ptr<const TableView>;

  // open.cc
  Status PrepareFolder();
  Status RecoverFromLog(const ManifestState& state);
  Status CreateDatabase();
  Status RemoveOrphanRuns();
  Status RemoveOrphanTimes();
  Status SettleManifest();
  Status OpenRuns();
  Status OpenLog();
  Status Replay(const LogUnit& unit);

  // commit.cc
  Status CheckOpen() const;
  Result<TableViewPtr> FindTable(std::string_view name) const;
  Result<Submitted> SubmitNew(std::vector<TablePart> parts, const CommitOptions& options,
                              CommitGuard guard, WriteWatch* watch);
  static void Acknowledge(const LogAck& ack, Submitted* submitted);
  Status AwaitRoom();
  struct Placed {
    CommitNumber commit;
    LogTicket ticket;
    bool repeat = false;  // of the commit with this number; no more is set
    std::shared_ptr<Generation> generation;
    std::vector<std::shared_ptr<Memtable>> memtables;  // of the parts
  };
  // Nothing: the guard has to look again.
  Result<std::optional<Placed>> Place(const std::vector<TablePart>& parts,
                                      std::shared_ptr<KeysOfCommit> keys,
                                      const CommitOptions& options, const CommitGuard& guard);
  void NoteCommit(const RecentCommit& commit);  // requires commit_mutex_
  void NoteKeys(std::shared_ptr<const KeysOfCommit> keys, CommitNumber visible);  // so does this
  void Insert(const Placed& placed, std::vector<TablePart> parts);
  Status CheckConflicts(CommitGuard* guard);
  Status CheckRecent(const CommitGuard& guard, const std::vector<KeysOfCommitPtr>& commits) const;
  Status CheckData(const CommitGuard& guard) const;
  std::unexpected<Error> Conflict(const CommitGuard& guard, const Clash& clash) const;
  Status AwaitVisible(CommitNumber commit);

  // seal.cc
  void Seal();             // requires commit_mutex_
  void SealIfDue();        // after a commit
  void SealIfOld();        // when it is time
  bool IsDue() const;      // requires commit_mutex_
  std::int64_t AgeMicros() const;               // of the active generation; so does this
  std::int64_t AgeMicrosMax() const;            // 0: none
  void AskAgainIn(std::int64_t micros);         // requires commit_mutex_

  // write.cc
  class Alone;
  // What to write into a table, of what a snapshot shows. Called again when that has changed.
  using Look = std::function<Result<PreparedWrite>(const TableViewPtr&, const BegunTransaction&)>;
  Result<Submitted> WriteLooking(std::string_view table, const Look& look,
                                 const CommitOptions& options, WriteWatch* watch);
  Result<Submitted> LookAndWrite(std::string_view table, const Look& look,
                                 const CommitOptions& options, CommitGuard guard,
                                 WriteWatch* watch);
  Status AwaitLast();

  // exactly_once.cc
  // Requires commit_mutex_. Nothing: it is new.
  Result<std::optional<CommitNumber>> FindRepeat(const CommitOptions& options) const;
  Result<std::optional<Submitted>> Repeat(const CommitOptions& options);
  Submitted RepeatOf(CommitNumber commit, AckLevel ack) const;
  void NoteProducer(const Producer& producer, CommitNumber commit);  // requires commit_mutex_

  // async.cc
  void Then(Submitted submitted, CommitCallback done);
  void WhenVisible(CommitNumber commit, std::function<void()> done);
  // Moves the visible number as far as `durable` allows, and tells whoever waits for that.
  void MoveVisible(Lsn durable);
  // The same; requires view_mutex_. Whom to tell, without it.
  std::vector<std::function<void()>> AdvanceTo(Lsn durable);

  // publish.cc
  void InstallView();      // requires commit_mutex_
  void ScheduleFlush();
  Status FlushSealed();
  Status FlushOne(const std::shared_ptr<Generation>& generation, Lsn floor);
  struct NewRuns {
    std::vector<Edit> edits;
    std::vector<std::shared_ptr<const Run>> opened;
  };
  Result<NewRuns> WriteRuns(const Generation& generation);
  void DropRuns(const NewRuns& runs, const Error& why);

  Result<AddTimesEdit> WriteTimesOf(const Generation& generation);

  // report.cc
  void AdvanceVisible();

  // as_of.cc
  Moment Now(const AsOf& as_of);
  // The commit that `as_of`, the same as that of `now`, names.
  Result<CommitNumber> Resolve(const AsOf& as_of, const Moment& now);
  Result<CommitNumber> ResolveTime(WallTime time, const Moment& now);
  std::unexpected<Error> TooOld(WallTime time, const Moment& now);
  // When the commit was made; for one that an older varve flushed, when the last of its flush was.
  // Requires flush_mutex_ since `now` was taken.
  Result<WallTime> TimeOf(CommitNumber commit, const Moment& now);
  // `version` has times.
  Result<std::shared_ptr<const CommitTimes>> TimesOf(const VersionPoint& version);

  // tags.cc
  Status PublishTags(const std::vector<Edit>& edits);  // requires flush_mutex_

  // Constant after Open.
  const std::string path_;
  const OpenOptions options_;
  Environment environment_;
  const pid_t owner_;
  std::unique_ptr<FileLock> lock_;
  std::unique_ptr<Manifest> manifest_;
  std::unique_ptr<Log> log_;
  const std::shared_ptr<ReadCache> read_cache_;

  std::atomic<bool> closed_ = false;

  // One flush at a time, and table changes apart from flushes.
  std::mutex flush_mutex_;
  // Never lower than the manifest's: an id whose flush failed is not tried again, because its
  // object may be there. Guarded by flush_mutex_.
  std::uint64_t next_run_id_ = 1;

  // The order of commits: numbers, places in the log, generations.
  mutable std::mutex commit_mutex_;
  std::condition_variable inserted_;                   // a generation's `inserting` fell
  std::condition_variable turn_;                       // taken_ fell
  bool taken_ = false;                                 // guarded by commit_mutex_: by an Alone
  CommitNumber last_commit_;                           // guarded by commit_mutex_
  std::shared_ptr<Generation> active_;                 // guarded by commit_mutex_
  std::deque<std::shared_ptr<Generation>> sealed_;     // oldest first; guarded by commit_mutex_
  std::shared_ptr<const ManifestState> official_;      // as views show it; guarded by commit_mutex_
  std::map<std::uint64_t, std::shared_ptr<const Run>> runs_;  // by id; guarded by commit_mutex_
  ProducerMarks producers_;                            // guarded by commit_mutex_
  RecentKeys recent_keys_;                             // guarded by commit_mutex_
  std::multiset<CommitNumber> open_transactions_;      // their snapshots; guarded by commit_mutex_
  std::uint64_t stall_micros_ = 0;                     // guarded by commit_mutex_
  std::uint64_t flushes_ = 0;                          // guarded by commit_mutex_

  // What new snapshots see. Held for a moment only: readers never wait for the log or a flush.
  mutable std::mutex view_mutex_;
  std::condition_variable moved_;                      // the visible number moved
  CommitOrder order_{CommitNumber{}};                  // guarded by view_mutex_
  std::multimap<CommitNumber, std::function<void()>> when_visible_;  // guarded by view_mutex_
  std::shared_ptr<const Superversion> view_;           // guarded by view_mutex_
  std::shared_ptr<const ManifestState> flushed_;       // that view_ shows; guarded by view_mutex_
  std::deque<RecentCommit> recent_;                    // after flushed_; guarded by view_mutex_

  // The times that were read last, and the version that they are of.
  std::mutex times_mutex_;
  CommitNumber times_of_;                     // guarded by times_mutex_
  std::shared_ptr<const CommitTimes> times_;  // guarded by times_mutex_

  // What a timer's task finds when it is time; it may come after the database's end.
  struct Timer {
    std::mutex mutex;
    Impl* database;  // null once it has ended; guarded by mutex
  };
  const std::shared_ptr<Timer> timer_ = std::make_shared<Timer>();
  bool timer_armed_ = false;     // guarded by commit_mutex_

  // Background tasks.
  std::mutex task_mutex_;
  std::condition_variable task_done_;
  int tasks_ = 0;                // guarded by task_mutex_
  bool flush_waiting_ = false;   // guarded by task_mutex_: a flush task is queued, not yet begun
};

}  // namespace varve
