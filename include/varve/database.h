// SPDX-License-Identifier: Apache-2.0
// Database: tables of Arrow columns with a primary key, durable commits, snapshots.
//
//   auto db = varve::Database::Open("shop.varve", {.create_if_missing = true});
//   auto made = (*db)->CreateTable("orders", schema, {"id"});   // look at each result
//   auto info = (*db)->Upsert("orders", batch);       // returns when the rows are on the device
//   auto reader = (*db)->Scan("orders", {.limit = 10});
//
// A database is a folder: log/ holds what was committed since the last flush, manifest/ the list of
// what is official, data/<table>/ plain Parquet files (docs/format.md).
//
// Thread safety: every member may be called from any thread at any time; Close must be the last.
// Writers never wait for readers, nor readers for writers.
//
// Failure: when a write or sync of the log fails, that commit and all waiting ones get
// Unavailable/kUnknownOutcome, every later commit is refused with the cause, and reading goes on.
// Reopening recovers: what was acknowledged as durable is there, what was not is there whole or
// not at all.
#pragma once

#include <cstdint>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "varve/backup.h"
#include "varve/changes.h"
#include "varve/error.h"
#include "varve/options.h"
#include "varve/snapshot.h"
#include "varve/stats.h"
#include "varve/transaction.h"
#include "varve/types.h"

namespace varve {

// A point in time that AsOf can name.
struct Version {
  CommitNumber commit;
  WallTime time;
  std::uint64_t runs = 0;
  std::uint64_t rows = 0;   // versions of rows in those runs
  std::uint64_t bytes = 0;  // of those runs
  bool flushed = false;     // false: this commit is still only in the log
  std::vector<std::string> tags = {};  // that name it
};

// A name for a commit.
struct TagInfo {
  std::string name;
  CommitNumber commit;
  WallTime time;  // when that commit was made
  WallTime made;  // when the tag was
};

struct TagOptions {
  bool replace = false;  // a tag of this name may be there, and then moves
};

struct RestoreOptions {
  bool dry_run = false;  // commit nothing, only say what there is to do
};

struct RestoreInfo {
  CommitNumber as_of;              // the version
  std::uint64_t rows_written = 0;  // that were other rows, or none
  std::uint64_t rows_deleted = 0;  // whose keys were not there
  CommitInfo commit;               // with dry_run, nothing
};

// What readers of now take.
struct CompactInfo {
  std::uint64_t runs_before = 0;  // after the flush
  std::uint64_t runs_after = 0;
  std::uint64_t bytes_before = 0;
  std::uint64_t bytes_after = 0;
};

// What was let go, or would be.
struct RetireInfo {
  CommitNumber oldest;          // the oldest version that stays readable, but for tags
  std::uint64_t runs = 0;
  std::uint64_t files = 0;
  std::uint64_t versions = 0;   // flushes that nobody can name any more
  std::uint64_t bytes = 0;      // of those files
  std::uint64_t bytes_held = 0; // of files that go when the snapshots that read them do
};

// A table as it is now.
struct TableInfo {
  std::string name;
  std::uint32_t id = 0;  // its own for ever, whatever its name
  std::shared_ptr<arrow::Schema> schema;
  std::vector<std::string> key;  // names of its key columns, in key order
  std::optional<TimeToLive> time_to_live = {};
};

class Database {
 public:
  // Opens the database at `path` (a folder) and recovers it.
  // Errors: NotFound (no such folder, or no database in it); Invalid (the folder holds something
  // else); Unavailable/kLocked (names the process that has it open); Corruption (file, offset,
  // expected, found; nothing was changed); Invalid/kUnsupportedFormat; Unavailable/kIo, kNoSpace,
  // kPermission. Of keys, before anything is made or changed: NotFound/kMissingKey (encrypted, and
  // nobody gave the key), Invalid/kWrongKey, Invalid/kExpiredKey, Invalid/kNotEncrypted (keys,
  // and the database is not encrypted); the provider's own.
  static Result<std::unique_ptr<Database>> Open(const std::string& path,
                                                const OpenOptions& options = {},
                                                const Components& components = {});
  // Closes without flushing the memtable; everything acknowledged as durable is kept by the log.
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  // Whether CreateTable takes this name, these columns and this key where no other table has the
  // name. Errors: its Invalid ones, and NotFound.
  static Status CheckTable(const std::string& name, const std::shared_ptr<arrow::Schema>& schema,
                           const std::vector<std::string>& key,
                           const std::optional<TimeToLive>& time_to_live = {});
  // Makes a table; durable on return. `key` names one or more columns, in key order.
  // Errors: Conflict/kAlreadyExists (with if_not_exists: says column by column what differs);
  // Invalid (bad name, duplicate column, key column not in the schema, a reserved name, a type that
  // cannot be a key, or to expire by); NotFound (the column to expire by); Invalid/
  // kUnsupportedFormat (a type that Parquet cannot hold; names the column).
  Status CreateTable(const std::string& name, const std::shared_ptr<arrow::Schema>& schema,
                     const std::vector<std::string>& key, const CreateTableOptions& options = {});

  // The tables that there are now, by name. Those as of an older commit: Snapshot::Tables.
  std::vector<TableInfo> Tables() const;

  // Each of these is a commit of its own and gives its number; durable and visible on return.
  // Snapshots as of older commits, those taken before and those taken later, show the tables as
  // they were: a dropped table with its rows, a renamed one under its former name, each with the
  // columns that it had. What is in memory is flushed first; other commits wait only for what came
  // while that went on. Transactions that wrote to a table (serializable: or read it) which is
  // dropped, or gets other columns, before they commit get Conflict.
  // Errors: NotFound (table); Conflict/kAlreadyExists (the new name is another table's); Invalid
  // (bad name, closed, read-only); Unavailable/kNoSpace (certainly not done), kUnknownOutcome (it
  // may or may not be done; every later commit is refused: reopen).
  Result<CommitNumber> DropTable(std::string_view name);
  Result<CommitNumber> RenameTable(std::string_view from, const std::string& to);
  // All of `changes` (varve/options.h), one after the other, as one commit; no file is written
  // anew. Batches that are written from then on have the new columns. Further errors: NotFound
  // (column); Invalid (no change, or one that is not allowed: says which column and why);
  // Invalid/kUnsupportedFormat (a type that Parquet cannot hold).
  Result<CommitNumber> AlterTable(std::string_view name, const std::vector<ColumnChange>& changes);

  // Inserts rows, or replaces those whose key exists. One batch is one commit: all of it or none.
  // Of several rows with one key inside the batch the last wins.
  // Errors: NotFound (table); Invalid (schema differs: says which field and how; null in a key
  // column or in a required column: says row and column; batch too large; closed; read-only);
  // Unavailable/kNoSpace (certainly not kept), kUnknownOutcome (see above).
  Result<CommitInfo> Upsert(std::string_view table, const std::shared_ptr<arrow::RecordBatch>& rows,
                            const CommitOptions& options = {});

  // Deletes rows by key, as one commit. `keys` has the key columns, by name; other columns are
  // ignored. Keys that are not there are no error.
  Result<CommitInfo> Delete(std::string_view table, const std::shared_ptr<arrow::RecordBatch>& keys,
                            const CommitOptions& options = {});

  // Any write to one table, as one commit (WriteRequest in varve/options.h): batches with deletes
  // among them, insert only if absent, update of some columns, delete by range or condition.
  // Modes that look at what is there decide on exactly what the commits before this one left,
  // whoever writes beside it; nothing is decided on rows that a power cut could take back. When
  // there is nothing to keep there is no commit, and `commit` is that of the snapshot it read.
  // Errors: as Upsert and Delete; Conflict/kAlreadyExists (kInsert), NotFound (kUpdate): nothing
  // was kept, the first such key is named; Invalid (`deletes` of another length, what the mode does
  // not use, a column that the table does not have, kDeleteWhere of more than 1 GiB of keys).
  Result<CommitInfo> Write(std::string_view table, const WriteRequest& request,
                           const CommitOptions& options = {});

  // Makes the rows of a table what they were at a version, as one commit of what differs: so the
  // versions in between stay readable, and it can be taken back by restoring the one before it.
  // Commits beside it come wholly before it, and are undone as well, or wholly after it. When
  // nothing differs there is no commit. A table that was made after the version becomes empty; one
  // whose columns changed since gets the old rows in the columns of today.
  // Costs what was written since the version, not what the table holds. Errors: NotFound (table,
  // version); Invalid (rows and keys that differ take more than 1 GiB, or the name was another
  // table's then: nothing was written); as Upsert.
  Result<RestoreInfo> RestoreTable(std::string_view table, const AsOf& as_of,
                                   const RestoreOptions& options = {},
                                   const CommitOptions& commit = {});

  // Write without waiting for the device: so one thread keeps many commits on their way, which
  // share syncs. The call itself prepares the rows, gives the commit its number (in the order of
  // the calls) and waits for room in memory as Write does. `done` is called once, by another thread
  // or by this one, with what Write returns; it must be quick and must not call members of this
  // database that wait, nor WriteThen, which may wait for room, nor let go of the last transaction
  // that keeps a destroyed database open. With the future there is no such rule. Close waits for
  // what is on its way.
  void WriteThen(std::string_view table, const WriteRequest& request, const CommitOptions& options,
                 CommitCallback done);
  std::future<Result<CommitInfo>> WriteAsync(std::string_view table, const WriteRequest& request,
                                             const CommitOptions& options = {});

  // The newest sequence that the producer of this id committed, once it is durable: where it goes
  // on after a crash. Nothing when it is not known (any more).
  Result<std::optional<ProducerMark>> LastOf(std::string_view producer) const;

  // Several reads and writes as one commit (varve/transaction.h). No I/O.
  Result<std::unique_ptr<Transaction>> Begin(const TransactionOptions& options = {});

  // Errors: NotFound when `as_of` lies in the future or before the first readable version, or is no
  // tag. A moment before the last flush reads one small file, so Unavailable and Corruption too.
  Result<std::shared_ptr<Snapshot>> GetSnapshot(const AsOf& as_of = {}) const;

  // GetSnapshot() and the call of the same name on it.
  Result<std::shared_ptr<arrow::RecordBatchReader>> Scan(std::string_view table,
                                                         const ScanOptions& options = {}) const;
  Result<std::shared_ptr<arrow::RecordBatch>> Get(
      std::string_view table, const std::shared_ptr<arrow::RecordBatch>& keys) const;

  // Snapshot::Changes of the commits after `from`, up to `to`. Of a moment: its newest commit.
  // Errors: also NotFound when either lies in the future or before the first readable version.
  Result<std::shared_ptr<arrow::RecordBatchReader>> Changes(
      std::string_view table, const AsOf& from, const AsOf& to = {},
      const ChangesOptions& options = {}) const;

  // The changes after `from` as they are committed (varve/changes.h), also of a table that was
  // dropped since. No I/O. Errors: as Changes.
  Result<std::unique_ptr<ChangeCursor>> FollowChanges(std::string_view table, const AsOf& from,
                                                      const ChangesOptions& options = {}) const;

  // Writes all rows committed so far to Parquet and lets go of their log. Happens in the
  // background too; call it to bound the next open, or to read the files with other tools.
  Status Flush();

  // Flushes, and merges the files of a table, or of all when it is empty, into one level that has
  // each row once and no deletes. Nobody sees a difference, as of whichever commit; commits and
  // flushes go on beside it. Needs no call: it happens in the background, level by level, as files
  // come to overlap. Errors: NotFound (table); Invalid (read-only, closed); Unavailable, Corruption
  // (a file; what was not merged stays as it was).
  Result<CompactInfo> Compact(std::string_view table = {});

  // Lets go of files that only readers of versions older than the window need, that no tag names
  // and no open transaction compares with. Happens in the background too. Files that snapshots of
  // this process read go when these have ended. Later reads of such versions get NotFound, which
  // names the oldest that is left. Errors: Invalid (window, read-only, closed); Unavailable.
  Result<RetireInfo> Retire(const RetireOptions& options = {});

  // Copies the newest version, while all else goes on, into a new or empty folder, or an earlier
  // backup of this database (varve/backup.h). Errors: Invalid (the folder is this one, or holds
  // something else); Unavailable/kLocked; Corruption; as Flush.
  Result<CopyInfo> Backup(const std::string& destination, const BackupOptions& options = {});
  Result<CopyInfo> Clone(const std::string& destination, const CloneOptions& options = {});
  static Result<CopyInfo> RestoreBackup(const std::string& backup, const std::string& destination,
                                        const RestoreBackupOptions& options = {},
                                        const Components& components = {});

  // Makes every commit so far durable, whatever ack level it asked for.
  Status Sync();

  // Makes the database need the key provider's current key alone: flushes, goes on in a new log
  // segment, and writes a manifest that has the data keys of all files. No data is written anew.
  // Afterwards older keys may be let go of, unless the result names them; then the log is kept for
  // somebody (an archive, a reader), and a later call will do. Gives the ids of the keys that are
  // still needed: the current one first. Errors: Invalid (not encrypted; kExpiredKey: the current
  // key); NotFound/kMissingKey; as Flush. After an error all keys are needed that were before.
  Result<std::vector<std::string>> Rekey();

  DatabaseStats Stats() const;
  // The same and what was counted since open, in Prometheus' text form, each name begun by
  // `prefix`; docs/operating.md has the list. Costs about what Stats does.
  std::string PrometheusText(std::string_view prefix = "varve_") const;
  // Names a commit, durably; by default the newest visible one. Only what is durable can have a
  // name. `name`: 1 to 128 letters, digits, "_", "-" and ".", beginning with a letter or "_", so
  // that nobody takes it for a commit number or a time. At most 65,536 tags. Errors: Invalid (name;
  // too many); Conflict/kAlreadyExists (says what it names; see `replace`); NotFound (`as_of`, as
  // in GetSnapshot; nothing was committed yet); Unavailable.
  Result<TagInfo> Tag(const std::string& name, const AsOf& as_of = {},
                      const TagOptions& options = {});
  // Takes the name away, and gives what it named. The commit stays readable as any other.
  // Errors: NotFound (says which tags there are); Unavailable.
  Result<TagInfo> Untag(const std::string& name);
  std::vector<TagInfo> Tags() const;  // by name

  // Newest first: each flush, each commit since the last one that is durable, and each that has a
  // tag. At most `limit`.
  std::vector<Version> Versions(std::uint64_t limit = UINT64_MAX) const;

  // Waits for background work, makes everything durable, releases the lock. Later calls fail with
  // Invalid/kClosed; snapshots and readers taken before stay readable until the Database is
  // destroyed.
  Status Close();

 private:
  class Impl;
  friend class ChangeCursor;
  friend class Transaction;
  explicit Database(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace varve
