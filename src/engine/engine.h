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

#include "engine/background.h"
#include "engine/commit_order.h"
#include "engine/environment.h"
#include "engine/generation.h"
#include "engine/later.h"
#include "engine/metrics_file.h"
#include "engine/moment.h"
#include "engine/recent_keys.h"
#include "engine/shown_runs.h"
#include "manifest/manifest.h"
#include "run/run.h"
#include "run/run_memory.h"
#include "varve/database.h"
#include "varve/log_archive.h"
#include "view/superversion.h"

namespace varve {

// NotFound says which tags there are.
Result<const TagState*> FindTag(const ManifestState& state, const std::string& name);

class Database::Impl : public std::enable_shared_from_this<Database::Impl> {
 public:
  Impl(std::string path, const OpenOptions& options, const Components& components);
  ~Impl();

  // open.cc
  Status Open();
  Status Close();
  Status CatchUp();  // with the process that writes, where this one only reads
  void AwaitTasks();  // until no task is left that needs the database: merges of memtables do not

  // tables.cc
  Status CreateTable(const std::string& name, const std::shared_ptr<arrow::Schema>& schema,
                     const std::vector<std::string>& key, const CreateTableOptions& options);
  Result<CommitNumber> DropTable(std::string_view name);
  Result<CommitNumber> RenameTable(std::string_view from, const std::string& to);
  Result<CommitNumber> AlterTable(std::string_view name, const std::vector<ColumnChange>& changes);
  std::vector<TableInfo> Tables() const;

  // commit.cc; after Submit the commit has its number and its rows are in the memtables
  Result<Submitted> Submit(std::vector<TablePart> parts, const CommitOptions& options,
                           CommitGuard guard, WriteWatch* watch);
  Result<CommitInfo> Await(const Submitted& submitted);
  Status Sync();
  Result<std::optional<ProducerMark>> LastOf(std::string_view producer);  // exactly_once.cc

  // write.cc, restore.cc
  Result<Submitted> Write(std::string_view table, const WriteRequest& request,
                          const CommitOptions& options);
  Result<RestoreInfo> RestoreTable(std::string_view table, const AsOf& as_of,
                                   const RestoreOptions& options, const CommitOptions& commit);
  Result<RestoreInfo> RestoreOnce(std::string_view table, const AsOf& as_of,
                                  const RestoreOptions& options, const CommitOptions& commit);

  // async.cc
  void WriteThen(std::string_view table, const WriteRequest& request, const CommitOptions& options,
                 CommitCallback done);
  void Then(Submitted submitted, CommitCallback done);

  // For transactions (transaction.cc), which end with EndTransaction.
  Result<BegunTransaction> BeginTransaction();
  void EndTransaction(CommitNumber snapshot);
  Status CheckWritable() const;
  Clock* clock() const { return environment_.clock(); }
  Result<std::shared_ptr<const TableView>> FindTable(std::string_view name) const;
  Result<std::shared_ptr<const TableView>> FindTableIn(const Superversion& view,
                                                       std::string_view name) const;
  Status Flush();  // publish.cc
  Result<std::vector<std::string>> Rekey();  // rekey.cc
  Result<CompactInfo> Compact(std::string_view table);  // compactor.cc
  Result<RetireInfo> Retire(const RetireOptions& options);  // retirer.cc
  Result<std::shared_ptr<Snapshot>> GetSnapshot(const AsOf& as_of);  // as_of.cc
  Result<TagInfo> Tag(const std::string& name, const AsOf& as_of, const TagOptions& options);
  Result<TagInfo> Untag(const std::string& name);
  std::vector<TagInfo> Tags() const;
  DatabaseStats Stats();
  std::vector<Version> Versions(std::uint64_t limit);
  std::string PrometheusText(std::string_view prefix, bool names = true);  // metrics_text.cc
  const std::shared_ptr<Telemetry>& telemetry() const { return environment_.telemetry(); }
  const std::shared_ptr<MemoryBudget>& memory() const { return caches_.memory->budget(); }
  void PublishSoon() noexcept;  // metrics_file.cc
  void Publish(bool open);
  struct Link;         // follow.cc; link.h
  class BackupSource;  // backup.cc
  const std::shared_ptr<Link>& link() const { return link_; }
  // The table to follow by this name from a commit on, which may be gone (varve/changes.h).
  Result<std::shared_ptr<const TableView>> FindFollowed(std::string_view name,
                                                        CommitNumber from) const;
  // What is visible once a commit after this one is, or at the deadline (of the steady clock), or
  // when the signal is cancelled. Invalid/kClosed when the database ends.
  Result<Visible> AwaitAfter(CommitNumber commit, const std::shared_ptr<FollowSignal>& signal,
                             std::int64_t deadline_micros);
  // A background task that Close waits for begins and ends.
  void BeginTask();
  void EndTask();
  bool Forked() const;  // in a child by fork: its threads and locks are its parent's
 private:
  using TableViewPtr = std::shared_ptr<const TableView>;
  // open.cc
  Status PrepareFolder();
  Status RecoverFromLog(const ManifestState& state);
  Status CreateDatabase();
  LogComponents ForLog();
  Status AwaitLock();
  Status SettleManifest();
  void FindRuns();
  Status SetHistory();
  Status OpenLog();
  Status Replay(const LogUnit& unit);

  // tables.cc. The edit by which a commit changes a table; an error when it cannot.
  using TableChange = std::function<Result<Edit>(const TableState& table, CommitNumber commit)>;
  Result<CommitNumber> ChangeTable(std::string_view name, const TableChange& change);
  Result<CommitNumber> CommitChange(std::string_view name, const TableChange& change);
  Result<const TableState*> FindOfficial(const ManifestState& state, std::string_view name) const;
  // These require commit_mutex_.
  void RenewMemtables();
  Status CheckTables(const std::vector<TablePart>& parts, const CommitGuard& guard) const;
  std::unexpected<Error> TableChanged(std::uint32_t table_id, const CommitGuard& guard) const;
  LastChangeOfTable LastChange(std::uint32_t table_id) const;

  Status CheckOpen() const;  // commit.cc
  std::unexpected<Error> NoTable(std::string_view name,
                                 const std::vector<std::string>& known) const;
  Result<Submitted> SubmitNew(std::vector<TablePart> parts, const CommitOptions& options,
                              CommitGuard guard, WriteWatch* watch);
  void Acknowledge(const LogAck& ack, Submitted* submitted);
  void NoteFailure(const Error& error);  // of a commit, counts it
  Status AwaitRoom(), AwaitCalm(std::uint64_t bytes, WriteWatch* watch);
  std::uint64_t MemtableBytes() const;  // requires commit_mutex_
  bool HasRoom() const, IsMemoryShort() const;  // so do these
  // Nothing: the guard has to look again.
  Result<std::optional<Placed>> Place(const std::vector<TablePart>& parts,
                                      std::shared_ptr<KeysOfCommit> keys,
                                      const CommitOptions& options, const CommitGuard& guard);
  // These require commit_mutex_.
  Status Enqueue(const std::vector<TablePart>& parts, std::shared_ptr<KeysOfCommit> keys,
                 const CommitOptions& options, Placed* placed);
  void MakeNotesReady();
  void NoteCommit(const RecentCommit& commit) noexcept;  // requires view_mutex_ too
  void NoteKeys(std::shared_ptr<const KeysOfCommit> keys, CommitNumber visible) noexcept;
  void Insert(const Placed& placed, std::vector<NewRows> rows) noexcept;  // but this does not
  Status CheckConflicts(CommitGuard* guard);
  Status CheckRecent(const CommitGuard& guard, const std::vector<KeysOfCommitPtr>& commits) const;
  Status CheckData(const CommitGuard& guard) const;
  std::unexpected<Error> Conflict(const CommitGuard& guard, const Clash& clash) const;
  Status AwaitVisible(CommitNumber commit);

  // seal.cc
  void Seal();             // requires commit_mutex_
  void SealIfDue() noexcept;  // after a commit
  void SealIfOld();        // when it is time
  bool IsDue() const;      // requires commit_mutex_
  std::int64_t AgeMicros() const;               // of the active generation; so does this
  std::int64_t AgeMicrosMax() const;            // 0: none
  void AskAgainIn(std::int64_t micros);         // requires commit_mutex_

  class Alone;  // alone.h
  Result<Submitted> WriteOnce(std::string_view table, const WriteRequest& request,
                              const CommitOptions& options);
  Result<Submitted> WriteBlind(std::string_view table, const WriteRequest& request,
                               const CommitOptions& options, WriteWatch* watch);
  // What to write into a table, of what a snapshot shows. Called again when that has changed.
  using Look = std::function<Result<PreparedWrite>(const TableViewPtr&, const BegunTransaction&)>;
  Result<Submitted> WriteLooking(std::string_view table, const Look& look,
                                 const CommitOptions& options, WriteWatch* watch);
  Result<Submitted> LookAndWrite(std::string_view table, const Look& look,
                                 const CommitOptions& options, CommitGuard guard,
                                 WriteWatch* watch);
  Status AwaitLast();

  // exactly_once.cc; FindRepeat requires commit_mutex_; nothing: it is new
  Result<std::optional<CommitNumber>> FindRepeat(const CommitOptions& options) const;
  Result<std::optional<Submitted>> Repeat(const CommitOptions& options, const WriteWatch& watch);
  Submitted RepeatOf(CommitNumber commit, AckLevel ack, const WriteWatch& watch) const;
  ReadyMarks MakeMarksReady(const Producer& producer) const;  // requires commit_mutex_
  void NoteProducer(ReadyMarks ready, std::uint64_t sequence, CommitNumber commit) noexcept;  // too
  void EndFollowing();  // follow.cc
  void WakeFollowers();

  // async.cc
  void Reached(const std::shared_ptr<Later>& later, const Result<LogAck>& ack);
  void Finish(Later* later, const Result<CommitInfo>& info);
  void MoveVisible(Lsn durable);  // as far as that allows, and tells whoever waits for it
  Told AdvanceTo(Lsn durable);    // the same; requires view_mutex_; whom to tell, without it
  void Tell(Told told);

  // publish.cc
  void InstallView();      // requires commit_mutex_
  std::shared_ptr<const Superversion> MakeView();        // so does this
  void Show(std::shared_ptr<const Superversion> view);   // requires view_mutex_ too
  void ScheduleFlush(), SayThatThereIsATask();
  class FlushTurn;
  class Compactor;  // compactor.h, and so on
  class Retirer;
  class Reader;
  Status FlushSealed(FlushUntil until = FlushUntil::kAllFlushed);
  Status FlushOne(const std::shared_ptr<Generation>& generation, Lsn floor);
  Result<NewRuns> WriteRuns(const Generation& generation);
  void DropRuns(const NewRuns& runs, const Error& why);
  Result<AddTimesEdit> WriteTimesOf(const Generation& generation);

  void AdvanceVisible();  // report.cc

  // as_of.cc
  Moment Now(const AsOf& as_of);
  Result<CommitNumber> Resolve(const AsOf& as_of, const Moment& now);  // of the same `as_of`
  Result<CommitNumber> ResolveAny(const AsOf& as_of, const Moment& now);  // also what was let go
  Result<CommitNumber> ResolveTime(WallTime time, const Moment& now);
  std::unexpected<Error> TooOld(WallTime time, const Moment& now);
  // When the commit was made; for one that an older varve flushed, when the last of its flush was.
  // Requires flush_mutex_ since `now` was taken.
  Result<WallTime> TimeOf(CommitNumber commit, const Moment& now);
  // `version` has times.
  Result<std::shared_ptr<const CommitTimes>> TimesOf(const VersionPoint& version);

  Status PublishTags(const std::vector<Edit>& edits);  // tags.cc; requires flush_mutex_

  // Constant after Open, but the last.
  const std::string path_;
  const OpenOptions options_;
  Environment environment_;
  const pid_t owner_;
  std::unique_ptr<FileLock> lock_;  // null once it is closed, which flush_mutex_ guards
  std::unique_ptr<Manifest> manifest_;
  std::unique_ptr<Log> log_;
  std::unique_ptr<LogArchiver> archiver_;  // null: the log is not archived
  const RunCaches caches_;
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
  std::string stopped_;  // why no commit can follow; else empty; guarded by commit_mutex_
  std::shared_ptr<Generation> active_;                 // guarded by commit_mutex_
  std::deque<std::shared_ptr<Generation>> sealed_;     // oldest first; guarded by commit_mutex_
  std::shared_ptr<const ManifestState> official_;      // as views show it; guarded by commit_mutex_
  ShownRuns runs_;                                     // guarded by commit_mutex_
  ProducerMarks producers_;                            // guarded by commit_mutex_
  RecentKeys recent_keys_;                             // guarded by commit_mutex_
  std::multiset<CommitNumber> open_transactions_;      // their snapshots; guarded by commit_mutex_
  Room room_{environment_.clock()};                    // guarded by commit_mutex_
  std::uint64_t flushes_ = 0, compactions_ = 0;        // guarded by commit_mutex_
  bool timer_armed_ = false;                           // guarded by commit_mutex_
  MetricsFile metrics_file_;                           // has its own synchronization

  // What new snapshots see. Held for a moment only: readers never wait for the log or a flush.
  mutable std::mutex view_mutex_;
  std::condition_variable moved_;                      // the visible number moved
  CommitOrder order_{CommitNumber{}};                  // guarded by view_mutex_
  LaterByCommit when_visible_;                         // guarded by view_mutex_
  std::set<std::shared_ptr<FollowSignal>> followers_;  // that wait; guarded by view_mutex_
  bool following_ended_ = false;                       // guarded by view_mutex_
  std::shared_ptr<const Superversion> view_;           // guarded by view_mutex_
  std::shared_ptr<const ManifestState> flushed_;       // that view_ shows; guarded by view_mutex_
  ReadyDeque<RecentCommit> recent_;                    // after flushed_; guarded by view_mutex_

  // For timers' tasks and change cursors, which may come after the database's end.
  const std::shared_ptr<Link> link_;
  std::mutex times_mutex_;  // of the times that were read last, and the version they are of
  CommitNumber times_of_;                     // guarded by times_mutex_
  std::shared_ptr<const CommitTimes> times_;  // guarded by times_mutex_

  Tasks tasks_;
  const std::unique_ptr<Compactor> compactor_;
  const std::unique_ptr<Retirer> retirer_;
  std::unique_ptr<Reader> reader_;  // of a read_only database; else null
};

}  // namespace varve
