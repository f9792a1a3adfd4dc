// SPDX-License-Identifier: Apache-2.0
// Copies of a database: backups, clones, and what is made of a backup again. And what is done about
// one that is damaged: a repair, and the rows of its log.
//
//   (*db)->Backup("/backup/shop");                                  // while writes go on
//   varve::Database::RestoreBackup("/backup/shop", "shop.varve");   // a new database
//   varve::RepairDatabase("shop.varve");                            // says what it would cost
//
// A copy is a database of its own, with an id of its own: it opens and can be read where it lies.
// It holds one version, all of it: every commit up to one, with the history that was readable then.
// Each byte is checked on its way against the checksums of the manifest. The copy's manifest comes
// last, when all that it names is durable: a crash at any moment leaves the earlier copy or the new
// one, or where there was none an unfinished one, which does not open and is gone on with when the
// same call is made again. What is encrypted stays so, under the same keys.
//
// A repair keeps what it can prove and sets the rest aside: into <database>/set-aside/<number>/,
// under the paths that it had, with a report. Nothing is deleted. Restoring a backup loses less:
// look at what a repair would cost first.
//
// Thread safety: any function from any thread; callbacks come from the caller's.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "varve/error.h"
#include "varve/inspect.h"
#include "varve/options.h"
#include "varve/types.h"

namespace varve {

class LogArchive;  // varve/log_archive.h

// Called now and then with the bytes copied so far and the bytes to copy.
using CopyProgress = std::function<void(std::uint64_t, std::uint64_t)>;

struct BackupOptions {
  // When the destination is an earlier backup: files that only it needs stay there. They are named
  // by nothing, and go when somebody opens the backup to write.
  bool keep_old = false;
  bool verify = false;  // read everything back in the end
  CopyProgress progress = {};
};

struct CloneOptions {
  // Copy the files; otherwise they get a second name (hard link), which costs no space and needs
  // one file system. Neither database ever changes a file that is shared.
  bool copy = false;
  CopyProgress progress = {};
};

// Database::Backup of a database that is open for writing flushes first; of one that is read-only,
// commits that are only in its log become files of the copy. Clone makes a database of its own in a
// new or empty folder; by default without copying data.
//
// Database::RestoreBackup makes a database of a backup, in a new or empty folder, as of its
// newest commit or, with the archive of the log, as of a later one. The backup stays as it is.
// Errors, of all before anything is made: NotFound (no backup; the archive does not reach `to`,
// or begins after the backup: names the positions between which it is missing); Invalid (`to` is
// before the backup's commit; the archive is of another database; between the two a table was
// made or changed: says up to where it goes); Corruption (names file or object).
struct RestoreBackupOptions {
  // Where the log of the database that was backed up was archived (OpenOptions::log_archive). Null:
  // what the backup holds.
  LogArchive* archive = nullptr;
  // Up to here; a moment is the newest commit that was not made after it. Not set: everything.
  AsOf to = {};
  KeyProvider* keys = nullptr;
  CopyProgress progress = {};
};

struct CopyInfo {
  CommitNumber commit;  // the newest that the copy has
  WallTime commit_time;
  std::uint64_t files = 0;         // runs and commit times that it needs
  std::uint64_t files_reused = 0;  // of these were there already, or got a second name
  std::uint64_t bytes_copied = 0;
  std::uint64_t bytes_reused = 0;
  std::uint64_t commits_from_log = 0;  // that were only in the log, or the archive
  std::uint64_t files_removed = 0;     // that only an earlier backup needed
};

// A run that is damaged or missing, and what is lost with it.
struct LostRun {
  std::string table;
  std::uint64_t id = 0;
  std::vector<std::string> files;  // relative to the database's folder
  std::string why;                 // the first damage
  std::uint64_t rows = 0;          // versions of rows, deletes included, as the manifest knows
  std::uint64_t deletes = 0;       // of these
  CommitNumber first;              // of the commits that it has rows of
  CommitNumber last;
  std::string min_key;             // for a person
  std::string max_key;
  // Nothing is lost: what was compacted into it is still there, and is shown again instead.
  bool replaced = false;
  // Only readers of older versions needed it; they are refused from now on.
  bool only_history = false;
  // Runs that stay have older versions of keys between min_key and max_key. Those whose newest
  // version was in this run show an older one from now on, and deleted rows may come back. Which
  // keys that is cannot be told.
  bool shows_older = false;
};

struct RepairReport {
  bool applied = false;
  std::vector<Damage> damages;  // all that was found; empty: sound, and nothing is to be done
  std::string set_aside;        // the folder, of a repair that was applied
  std::vector<std::string> files;  // that are, or would be, set aside: relative to the database's

  // The newest commit before and after. Before: as far as anything readable says.
  CommitNumber commit_before;
  CommitNumber commit;
  std::uint64_t manifests = 0;      // objects that are set aside
  bool older_manifest = false;      // the state is an older one than the newest object's
  std::vector<LostRun> runs;
  // Sound files that the compaction's inputs replace, or that an older manifest does not know.
  std::vector<std::string> not_needed;
  CommitNumber oldest_before;       // the oldest version that could be read
  CommitNumber oldest;              // that can be read from now on
  std::vector<std::string> tags;    // that named versions which cannot be read any more
  std::uint64_t times = 0;          // flushes whose commits' moments are not known any more
  // Of commits in the log: kept ones become runs, lost ones are those that are still readable
  // behind the damage and cannot be applied any more; what could not be read cannot be counted.
  bool log_damaged = false;
  std::uint64_t log_commits_kept = 0;
  std::uint64_t log_commits_lost = 0;
  CommitNumber log_lost_first;      // of those; zero: none
  CommitNumber log_lost_last;
};

struct RepairOptions {
  bool apply = false;  // otherwise nothing is changed
  KeyProvider* keys = nullptr;
};

// Afterwards `VerifyDatabase` with deep finds nothing, and the database opens and takes writes. It
// may be called again, also after a crash amid a repair. The log gets a new id when it was damaged:
// its archive and incremental backups begin anew.
// Errors: NotFound; Unavailable/kLocked (names the process that has it open); Corruption when no
// state of the manifest can be proved: restore a backup, and ExportLog the rest; of keys, as
// Database::Open; Unavailable: a file that cannot be read is not taken for damaged.
Result<RepairReport> RepairDatabase(const std::string& path, const RepairOptions& options = {},
                                    const Components& components = {});

struct ExportLogOptions {
  // Also commits that runs have already, as far as the log still has them.
  bool all = false;
  KeyProvider* keys = nullptr;
};

struct ExportedTable {
  std::string table;       // its name, or "table-<id>" where no manifest tells it
  std::string file;        // empty: its columns are not known, so nothing was written
  std::uint64_t rows = 0;  // that were written, or are in the log
  std::uint64_t deletes = 0;  // of these
};

struct ExportedLog {
  std::vector<ExportedTable> tables;
  std::uint64_t commits = 0;
  CommitNumber first;  // zero: none
  CommitNumber last;
  std::vector<Damage> damages;  // of manifest and log; what could be read was exported
};

// Writes the rows that are only in the log, one Parquet file for each table, into `destination`, a
// new or empty folder: the table's columns (null but for the key in a delete), behind varve_commit,
// varve_time and varve_kind ("upsert", "delete"), in the order of commits. Works on a damaged
// database as far as its log can be read. Changes nothing in it.
// Errors: NotFound (no log); Invalid (the destination holds something); of keys; Unavailable.
Result<ExportedLog> ExportLog(const std::string& path, const std::string& destination,
                              const ExportLogOptions& options = {},
                              const Components& components = {});

}  // namespace varve
