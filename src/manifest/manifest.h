// SPDX-License-Identifier: Apache-2.0
// Manifest: the ordered list of what is official. Changing it is the only way data becomes so.
//
// Numbered, immutable objects manifest/<20 digits>; committing number n + 1 is put-if-absent, so of
// two writers one wins. An object is a list of edits with the commit number that the runs contain
// and the wall time; every kCheckpointEvery-th also holds the full state, so that opening reads few
// objects. JSON lines, each with a CRC-32C: a person can read it (docs/format.md).
//
// Thread safety: state() from any thread; Commit from one at a time (it locks).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "columns/table_schema.h"
#include "files/object_store.h"
#include "manifest/commit_times.h"
#include "manifest/producer_marks.h"
#include "run/run_meta.h"
#include "varve/error.h"
#include "varve/types.h"

namespace varve {

class Clock;
class KeyProvider;  // varve/log_options.h

// What a table was called and which columns it had, for commits before `until` and from the shape
// before it on.
struct FormerShape {
  CommitNumber until;
  std::string name;
  std::uint32_t schema_id = 0;
};

struct TableState {
  std::uint32_t id = 0;
  std::string name;
  std::uint32_t schema_id = 0;
  std::shared_ptr<const TableSchema> schema;
  std::vector<std::shared_ptr<const RunMeta>> runs;  // by level, then id
  std::vector<FormerShape> former;                   // oldest first
  std::map<std::uint32_t, std::shared_ptr<const TableSchema>> former_schemas;  // by schema id
  CommitNumber dropped;  // the commit that dropped it; zero while it is there

  // As of a commit.
  bool IsThereAt(CommitNumber commit) const {
    return dropped == CommitNumber{} || commit < dropped;
  }
  FormerShape ShapeAt(CommitNumber commit) const;
  std::shared_ptr<const TableSchema> FindSchema(std::uint32_t id) const;  // null: it never had it
  CommitNumber altered() const;  // the last commit that changed its columns; zero: none
};

// One flush (or later: compaction) in history: manifest `number` contains commits <= `commit`.
struct VersionPoint {
  std::uint64_t number = 0;
  CommitNumber commit;
  WallTime time;           // when that commit was made
  std::uint64_t runs = 0;  // totals of all tables in that manifest; rows are versions of rows
  std::uint64_t rows = 0;
  std::uint64_t bytes = 0;
  // Of the commits after the version before, up to this one; none when an older varve flushed.
  std::optional<TimesObject> times = {};
};

// A name for a commit.
struct TagState {
  CommitNumber commit;
  WallTime commit_time;  // when that commit was made
  WallTime made;         // when the tag was
};

inline constexpr std::int64_t kHistoryMicros = 3'600'000'000;  // until somebody says otherwise

struct ManifestState {
  std::string database_id;     // 32 hex digits, made at creation
  std::uint64_t number = 0;    // of the newest object
  CommitNumber commit;         // the runs hold every row of the commits up to this one
  WallTime commit_time;        // when that commit was made; zero before the first flush
  Lsn log_floor;               // the log is needed from here on
  Lsn log_durable;             // the log was durable up to here when this was written
  std::uint32_t next_table_id = 1;
  std::uint64_t next_run_id = 1;
  std::map<std::string, std::shared_ptr<const TableState>, std::less<>> tables;  // by name
  std::map<std::uint32_t, std::shared_ptr<const TableState>> dropped;  // by id; their runs stay
  CommitNumber changed;                // the last commit that changed or dropped a table
  std::vector<VersionPoint> versions;  // oldest first
  ProducerMarks producers;             // of the commits up to `commit`
  std::map<std::string, TagState, std::less<>> tags;  // by name; a commit may be after `commit`
  CommitNumber oldest;          // can be read; those before only where a tag names them
  std::int64_t history_micros = kHistoryMicros;

  const TableState* FindTable(std::uint32_t id) const;  // null: there is none, or none any more
};

struct CreateTableEdit {
  std::uint32_t id = 0;
  std::string name;
  std::uint32_t schema_id = 0;
  std::shared_ptr<const TableSchema> schema;
};
struct AddRunEdit {
  std::shared_ptr<const RunMeta> run;
};
// Readers from commit `from` on take other runs instead, which are added with it (RunMeta).
struct HideRunEdit {
  std::uint32_t table_id = 0;
  std::uint64_t run_id = 0;
  CommitNumber from;
};
// To another level: its rows, and which readers take it, stay as they are.
struct MoveRunEdit {
  std::uint32_t table_id = 0;
  std::uint64_t run_id = 0;
  std::uint32_t level = 0;
};
struct RemoveRunEdit {
  std::uint32_t table_id = 0;
  std::uint64_t run_id = 0;
};
// The runs now contain all commits up to `commit`, and the log before `floor` is not needed. None
// of the three positions may go back. When `commit` grows it makes a VersionPoint at
// `commit_time`; when it stays, `commit_time` is not used.
struct AdvanceEdit {
  CommitNumber commit;
  WallTime commit_time;
  Lsn floor;
  Lsn durable;
};
// A commit of its own that drops or changes a table; comes after the AdvanceEdit to that commit.
// The runs hold every commit before it, and the log none of them after the new floor: so all that
// the log is needed for was written to the tables as they are from here on.
struct DropTableEdit {
  std::uint32_t table_id = 0;
  CommitNumber commit;
};
struct RenameTableEdit {
  std::uint32_t table_id = 0;
  CommitNumber commit;
  std::string name;
};
struct AlterTableEdit {
  std::uint32_t table_id = 0;
  CommitNumber commit;
  std::uint32_t schema_id = 0;  // larger than that of the schema before, which it follows
  std::shared_ptr<const TableSchema> schema;
};
// A producer's newest sequence; comes after the AdvanceEdit that covers its commit, and by commit.
struct NoteProducerEdit {
  std::string id;
  ProducerMark mark;
};
// The times of the version that the AdvanceEdit before made.
struct AddTimesEdit {
  CommitNumber commit;  // that version's
  TimesObject times;
};
struct TagEdit {
  std::string name;
  TagState tag;
};
struct UntagEdit {
  std::string name;
};
// Readers as of commits before this one are refused from now on, but for those of tags. What only
// they needed of the metadata goes; runs have been removed by edits before this one.
struct RetireEdit {
  CommitNumber oldest;
};
// For how long versions are to stay readable after newer ones are there.
struct SetHistoryEdit {
  std::int64_t micros = 0;
};
using Edit = std::variant<CreateTableEdit, AddRunEdit, HideRunEdit, MoveRunEdit, RemoveRunEdit,
                          AdvanceEdit, NoteProducerEdit, DropTableEdit, RenameTableEdit,
                          AlterTableEdit, AddTimesEdit, TagEdit, UntagEdit, RetireEdit,
                          SetHistoryEdit>;

inline constexpr std::uint64_t kCheckpointEvery = 32;
inline constexpr std::size_t kTagsMax = 65536;

class Manifest {
 public:
  // With keys all objects are encrypted, and the first one under another key than the one before is
  // a checkpoint: from it on the keys before are not needed. Without keys none may be.

  // Makes manifest 1 of a new database. Conflict/kAlreadyExists when there is one.
  static Status Create(ObjectStore* store, const std::string& database_id, WallTime now,
                       KeyProvider* keys = nullptr);

  // Reads the newest checkpoint and the edits after it. NotFound when there is no manifest;
  // Corruption names object and line; Invalid/kUnsupportedFormat for a newer format;
  // NotFound/kMissingKey, Invalid/kWrongKey and kExpiredKey; Invalid when there are keys and it is
  // not encrypted. `keys` must outlive it.
  static Result<std::unique_ptr<Manifest>> Open(ObjectStore* store, KeyProvider* keys = nullptr);

  // The errors of Open that are of keys, by the newest object alone. Of damage it says nothing.
  static Status CheckKeys(ObjectStore* store, KeyProvider* keys);

  std::shared_ptr<const ManifestState> state() const;

  // Applies the edits to the current state, in order, and publishes the result as the next object.
  // On return it is durable and state() is new. Conflict: another writer took the number (this one
  // is fenced). Invalid: an edit that cannot be applied; nothing was published. Unavailable: not
  // known until read back, which Commit itself does: it returns success if the object is there with
  // these bytes and could be made durable. kNoSpace, kPermission: certainly not published, try
  // again. kUnknownOutcome: not even that could be learned; every later Commit fails too; reopen.
  Result<std::shared_ptr<const ManifestState>> Commit(const std::vector<Edit>& edits,
                                                      WallTime now);

  // kUnknownOutcome when that was the outcome of a Commit: a later one would be refused untried. So
  // when this says nothing, an unknown outcome of the next Commit is that Commit's own.
  Status CheckCommits();

  // Makes the object that Open read durable, by putting the same bytes again: a writer that was
  // killed may have left it under a name that it had not synced yet, and a power cut would then
  // bring the older state back. Whoever opens to write calls this before it removes anything (log,
  // objects) that only an older state needs; a successful Commit does as well.
  Status MakeDurable();

  // Removes the objects that nobody needs to open the newest state: those before the checkpoint
  // before the newest one. The oldest first: what is left begins with a whole history, or after a
  // crash with the end of one.
  Status RemoveOld();

  // Reads every manifest object, calls `damage` for each that does not check, and gives the newest
  // state that can be read. For verify.
  // Of objects before the newest checkpoint whose key is gone only the checksum is looked at; they
  // are counted.
  using DamageSink =
      std::function<void(const std::string& object, std::uint64_t offset, const std::string& what)>;
  struct Counts {
    std::uint64_t objects = 0;
    std::uint64_t without_key = 0;
  };
  static Result<std::shared_ptr<const ManifestState>> Verify(ObjectStore* store,
                                                             const DamageSink& damage,
                                                             Counts* counts,
                                                             KeyProvider* keys = nullptr);
  // A description of one object's bytes, line by line, up to the first damage, which is the error.
  // Without keys that of an encrypted one ends with the error that says which key it needs.
  static Status Dump(std::string_view bytes, const std::function<void(std::string_view)>& line,
                     KeyProvider* keys = nullptr);

 private:
  Manifest(ObjectStore* store, KeyProvider* keys, std::shared_ptr<const ManifestState> state,
           std::uint32_t newest_crc32c, std::string newest_key_id);
  Result<std::string> Encode(const ManifestState& after, const std::vector<Edit>& edits,
                             WallTime now, std::string* key_id);
  ObjectStore* const store_;
  KeyProvider* const keys_;  // null: not encrypted
  std::mutex commit_mutex_;
  std::string broken_;            // guarded by commit_mutex_: why no Commit can follow; else empty
  std::uint32_t newest_crc32c_;   // guarded by commit_mutex_: of the newest object's bytes
  std::string newest_key_id_;     // guarded by commit_mutex_: empty when it is not encrypted
  mutable std::mutex state_mutex_;
  std::shared_ptr<const ManifestState> state_;  // guarded by state_mutex_
};

// Invalid unless the name may be a table's: 1 to 128 letters, digits, "_", "-" and ".", not
// starting with "-" or ".", without "..".
Status CheckTableName(std::string_view name);

// Invalid unless the name may be a tag's: 1 to 128 letters, digits, "_", "-" and ".", beginning
// with a letter or "_", so that it is neither a commit number nor a time.
Status CheckTagName(std::string_view name);

// "manifest/00000000000000000007"
std::string ManifestName(std::uint64_t number);

}  // namespace varve
