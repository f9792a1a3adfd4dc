// SPDX-License-Identifier: Apache-2.0
// Settings of a database and of single calls. Plain structs for designated initializers:
//   Database::Open(path, {.create_if_missing = true});
// There are few on purpose; a new one needs a benchmark in which no constant serves.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <variant>
#include <vector>

#include "varve/types.h"

namespace arrow {
class BooleanArray;
class Field;
class RecordBatch;
struct Scalar;
namespace compute {
class Expression;
}  // namespace compute
}  // namespace arrow

namespace varve {

class Clock;        // src/base/clock.h
class Executor;     // src/base/executor.h
class Files;        // src/files/files.h
class KeyProvider;  // varve/log_options.h
class LogArchive;   // varve/log_archive.h
class ObjectStore;  // src/files/object_store.h
class Random;       // src/base/random.h
class TraceSink;    // varve/trace.h

// Decides when memtables are sealed, and then flushed in the background, before they fill half of
// memtable_bytes_max. Sooner means smaller files, a shorter open, and less that is only in the log.
class SealPolicy {
 public:
  virtual ~SealPolicy() = default;
  // Asked after each commit, one at a time, under a lock: must be quick and must not call varve.
  virtual bool ShouldSeal(const MemtableState& state) noexcept = 0;
  // Rows of this age are sealed though nobody commits any more; 0: they may become as old as they
  // like. Must always say the same.
  virtual std::int64_t AgeMicrosMax() const { return 0; }
};

// The policy that seals at whichever limit is reached first; 0 is no limit.
struct SealLimits {
  std::uint64_t bytes_max = 0;
  std::uint64_t rows_max = 0;
  std::uint64_t commits_max = 0;
  std::uint64_t age_ms_max = 0;
};
std::shared_ptr<SealPolicy> SealAt(const SealLimits& limits);

struct OpenOptions {
  // Make the database when the path does not exist or is an empty folder.
  bool create_if_missing = false;
  // Change nothing of the data. Any number of processes may read, also while another one writes,
  // compacts and retires: they see what is durable, as it comes.
  bool read_only = false;
  // With read_only: leave a file in the folder `leases` for as long as this process has the
  // database open, so that the writer keeps the files that are read. Without it nothing at all is
  // written, and files may go: a read then says which one did.
  bool lease = true;
  // To write: for how long to wait until another process closes the database; 0: not at all.
  std::int64_t lock_wait_micros = 0;
  // What the database holds in memory, all together: memtables, caches, what reads, flushes and
  // compaction decode and encode. At least 16 MiB. Not set: 512 MiB, or more where the limits below
  // ask for more. Not counted: the program and its libraries, rows that were handed out in copies,
  // and what the allocator keeps for itself. When it is all taken caches give way first, then
  // reads and compaction do with less at a time, and commits wait for a flush last; nothing is
  // refused (docs/operating.md).
  std::optional<std::uint64_t> memory_bytes = {};
  // Rows newer than the last flush may take this much memory (bytes of Arrow data and keys), sealed
  // memtables that are being flushed included. At half of it a memtable is sealed and flushed in
  // the background; at all of it commits wait. Not set: a quarter of memory_bytes.
  std::optional<std::uint64_t> memtable_bytes_max = {};
  // When to seal sooner; null: not. Databases may share one.
  std::shared_ptr<SealPolicy> seal_policy = nullptr;
  // Lookups by key keep what they decoded of the files in up to this much memory. Not set: an
  // eighth of memory_bytes.
  std::optional<std::uint64_t> read_cache_bytes_max = {};
  // Of the runs that were read lately, footers, filters and first keys stay in up to this much
  // memory; of others they are read again. Opening a database reads none. Not set: an eighth of
  // memory_bytes.
  std::optional<std::uint64_t> tail_cache_bytes_max = {};
  // A compaction merges up to so many ranges of keys at once, on as many threads, each with memory
  // for the files that overlap there. 0: as many as there are processors, four at most.
  std::uint32_t compaction_threads = 0;
  // Flushes and compactions together read and write the data files at so many bytes a second;
  // flushes go first. 0: as fast as they can. No commit waits for it: while commits are stopped,
  // for memory is full or compaction behind, and during Close, there is no limit.
  std::uint64_t background_bytes_per_second = 0;
  // For how long versions stay readable once there are newer ones; tags keep theirs for ever. The
  // database remembers it. Not set: as it is, which is an hour until somebody says otherwise.
  std::optional<std::int64_t> history_micros = {};
  // May be another at each open: what is there is merged as the new one would.
  CompactionStrategy compaction = CompactionStrategy::kLeveled;
  // Upper size of one log segment on disk.
  std::uint64_t log_segment_bytes_max = 64ull << 20;
  // A database is encrypted from its creation on, or never: one that is made with keys has every
  // file encrypted, and is opened with keys alone; one made without is not opened with any. The
  // provider must outlive the database. Its current key is used for what is written from then on;
  // see Database::Rekey for letting go of an older one.
  KeyProvider* keys = nullptr;
  // Where the log is archived (varve/log_archive.h), for Database::RestoreBackup: each commit
  // once it is durable, within log_archive_interval_ms (0: at flushes) and at Close. The log
  // keeps what the archive lacks, however long. Opening is refused when the archive cannot go on
  // where it ends: it is another log's, or the log was let go of while nobody archived it. One
  // that is out of reach is tried again; Stats say how far it is. It must outlive the database.
  LogArchive* log_archive = nullptr;
  std::uint64_t log_archive_interval_ms = 1000;
  // How long after something happened the file metrics.prom in the database's folder is replaced by
  // what PrometheusText gives then, for other processes to see; 0: never.
  std::uint64_t metrics_interval_ms = 0;
};

// What stands between a database and the outside. A null member means the real one: POSIX files, a
// local folder as object store, the system's clocks and random source, background threads, no
// trace. Whatever is given must outlive the database.
struct Components {
  Files* files = nullptr;
  ObjectStore* store = nullptr;
  Clock* clock = nullptr;
  Random* random = nullptr;
  Executor* executor = nullptr;
  TraceSink* trace = nullptr;
};

// Files in memory, to be given as Components::files: for tests, and for what need not outlive the
// process. Databases in it may be opened again; "durable" means as long as it lives.
std::shared_ptr<Files> FilesInMemory();

// Who commits, and which of its commits this is; for commits that are made exactly once. The
// sequence is kept with the commit. Committing the same sequence again, in this process or after
// any crash, writes nothing and gives the first one's number, whatever the batch holds now; while
// the first is on its way, it waits for it. A producer's sequences grow; gaps are allowed, so an
// offset in a source will do. A sequence before the newest is Conflict/kStaleSequence: another
// instance of the producer is ahead, or has taken over.
struct Producer {
  std::string id;  // 1 to 128 printable ASCII characters without spaces
  std::uint64_t sequence = 0;
};

// One change of a table's columns (Database::AlterTable). Rows that are there already need not be
// written anew: files keep the columns that they were written with and are shown as changed.

// A new column, the last one. Rows that are there show `value`, those written from then on have one
// of their own. Without a value they show null, which the field must allow.
struct AddColumn {
  std::shared_ptr<arrow::Field> field;
  std::shared_ptr<arrow::Scalar> value = nullptr;
};
// The column is gone. One that is added under its name later is another one. Not a key column.
struct DropColumn {
  std::string name;
};
struct RenameColumn {  // also a key column
  std::string from;
  std::string to;
};
// The column of this name becomes this field, which must hold every value that the old one can:
// a larger integer (also a larger signed one for an unsigned), float64 for float32, a decimal of
// the same scale and more digits, the large_ form of utf8 and binary, timestamps in seconds or
// milliseconds without a zone for date32; nullable where it was not. Not a key column.
struct WidenColumn {
  std::shared_ptr<arrow::Field> field;
};
struct SetTimeToLive {  // of the table, in place of another
  TimeToLive to;
};
struct DropTimeToLive {};  // what was not yet let go of is seen again
using ColumnChange = std::variant<AddColumn, DropColumn, RenameColumn, WidenColumn, SetTimeToLive,
                                  DropTimeToLive>;

struct CreateTableOptions {
  // A table of this name is no error when its key, columns, in any order, and time to live are
  // those given.
  bool if_not_exists = false;
  std::optional<TimeToLive> time_to_live = {};
};

struct CommitOptions {
  AckLevel ack = AckLevel::kDurable;
  // A commit with a producer is made even when there is nothing to keep but the sequence. The
  // database remembers the 4096 producers that committed last.
  std::optional<Producer> producer = {};
  // Measure where the time goes (CommitInfo::profile).
  bool profile = false;
};

struct RetireOptions {
  // Versions this old are let go; not set: as the database says (OpenOptions::history_micros).
  std::optional<std::int64_t> keep_micros = {};
  bool dry_run = false;  // let nothing go, only say what would
};

enum class Isolation : std::uint8_t { kSnapshot, kSerializable };

struct TransactionOptions {
  Isolation isolation = Isolation::kSnapshot;
  // It may hold this much memory: of each row that it wrote its Arrow data, its key and 32 bytes;
  // when serializable, of each key that it asked for twice its bytes and 32, and of each scan some
  // 150 bytes. Its commit takes as much again for a moment, or twice as much when some rows are
  // far larger than the others. One commit is one unit of the log, of 2 GiB at most.
  std::uint64_t bytes_max = 1ull << 30;
};

// The name of a tag (Database::Tag).
struct TagName {
  std::string value;
  bool operator==(const TagName&) const = default;
};

// Which version of the database to read: the newest visible one; a commit; a moment, which is the
// newest commit that was not made after it by the writer's clock (clocks may go back: it is the
// newest by number; commits that a varve before 0.3 flushed are known by their flush alone); or a
// tag.
using AsOf = std::variant<std::monostate, CommitNumber, WallTime, TagName>;

// A range of keys. Each bound is a one-row batch whose columns are the first one or more key
// columns, in key order, by name; null is "unbounded".
struct KeyRange {
  std::shared_ptr<arrow::RecordBatch> lower = nullptr;
  std::shared_ptr<arrow::RecordBatch> upper = nullptr;
  bool lower_inclusive = true;
  bool upper_inclusive = false;
};

// What a write does with a row whose key is, or is not, in the table.
enum class WriteMode : std::uint8_t {
  kUpsert,          // inserts it, or replaces the whole row
  kDelete,          // deletes the key; one that is not there is no error
  kInsert,          // Conflict/kAlreadyExists when the key is there; names it
  kInsertMissing,   // inserts it, or passes over a key that is there
  kUpdate,          // sets the columns that `rows` has, others stay; NotFound when the key is not
                    // there; names it
  kUpdateExisting,  // the same, but passes over a key that is not there
  kDeleteWhere,     // no rows: deletes what `range` and `filter` name
};

// One write to one table: all of it or nothing. What a mode does not use must not be set.
struct WriteRequest {
  WriteMode mode = WriteMode::kUpsert;
  // The columns of the table; of kDelete, the key columns (others are ignored); of kUpdate and
  // kUpdateExisting, the key columns and those to set. Of rows with one key the last counts, alone.
  std::shared_ptr<arrow::RecordBatch> rows = nullptr;
  // kUpsert: one value a row of `rows`; where it is true, the row deletes its key, and its other
  // columns are ignored (but there). Null: no row does.
  std::shared_ptr<arrow::BooleanArray> deletes = nullptr;
  // kDeleteWhere: keys within `range` whose rows `filter` accepts. At least one must be set.
  KeyRange range = {};
  std::shared_ptr<const arrow::compute::Expression> filter = nullptr;
};

struct ScanOptions {
  // Columns of the result, in this order. Not set: all, in schema order. Empty: no columns, which
  // still gives batches whose row counts are right.
  std::optional<std::vector<std::string>> columns = {};
  // Rows for which it is true (not false, not null). Build it with Arrow, or from text with
  // ParseFilter. Need not be bound.
  std::shared_ptr<const arrow::compute::Expression> filter = nullptr;
  KeyRange range = {};
  // At most this many rows.
  std::optional<std::uint64_t> limit = {};
  // Rows come in key order; true: from the largest key to the smallest.
  bool reverse = false;
  // Rows may come in any order: parts of the key range are then read at once, by the reader's
  // thread and those of the database's executor, a few batches ahead of it.
  bool unordered = false;
  // Cancels the scan, from any thread: the next ReadNext, or the one that is on its way, gives
  // arrow::Status::Cancelled, and everything the reader held is let go.
  std::stop_token stop = {};
  // Batches hold at most this many rows.
  std::int64_t batch_rows_max = 65536;
  // When given, gets the times as the reader goes on; look when it has ended. Of one scan alone:
  // Count, MinMax and Explain have none.
  std::shared_ptr<ScanProfile> profile = nullptr;
};

struct ChangesOptions {
  // As ScanOptions: the table's columns that are wanted, and the keys.
  std::optional<std::vector<std::string>> columns = {};
  KeyRange range = {};
  // Also give each row as it was before its change (varve/snapshot.h).
  bool before_images = false;
  // As ScanOptions.
  std::stop_token stop = {};
  // Batches hold at most this many changes.
  std::int64_t batch_rows_max = 65536;
};

}  // namespace varve
