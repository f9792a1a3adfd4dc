// SPDX-License-Identifier: Apache-2.0
// CopyTarget: the folder that a backup, a clone or a restored database is made in.
//
// The order of a copy, and what a crash leaves (docs/design/0022):
//
//   1. where there is no database yet: UNFINISHED, then an empty log of its own id;
//   2. the files of the state, each whole and durable under its name;
//   3. origin/<number>, of a backup: which database it is of, and where that one's log goes on;
//   4. manifest/<number>, which stands alone: from here on the copy is the new one;
//   5. what only the copy before needed goes, and UNFINISHED.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "engine/environment.h"
#include "manifest/manifest.h"
#include "run/open_run.h"
#include "varve/backup.h"
#include "varve/error.h"

namespace varve {

// In a folder that has no manifest yet: a copy is being made there.
inline constexpr std::string_view kUnfinishedName = "UNFINISHED";

// What a backup says of the database that it is of.
struct Origin {
  std::string database_id;
  CommitNumber commit;
  Lsn log_floor;  // of that database's log: commits after `commit` begin here or later
};
// Of the state `number` of a backup. NotFound: it is no backup; Corruption.
std::string OriginName(std::uint64_t number);
Result<Origin> ReadOrigin(ObjectStore* store, std::uint64_t number);

enum class CopyKind : std::uint8_t { kBackup, kClone, kRestore };

// Used by one thread.
class CopyTarget {
 public:
  // `newest`: the last commit of the source. Nothing is made or changed; `source` must outlive
  // it. Errors: Invalid (the folder is that of the source, or below it, or holds something else;
  // another database, or one that was written to since it was a backup); Unavailable/kLocked.
  static Result<std::unique_ptr<CopyTarget>> Open(const Environment* source,
                                                  const std::string& source_path,
                                                  const std::string& database_id,
                                                  CommitNumber newest, const std::string& path,
                                                  CopyKind kind);

  ObjectStore* store() const { return environment_.store(); }
  // Run ids from here on are no file's, neither here nor, for a very long time, the source's.
  std::uint64_t FreeRunId(const ManifestState& state) const;

  // Step 1. From here on an unfinished copy may be left.
  Status Begin();
  // Step 2, of all files that the state names; again, of a later state, when the one before could
  // not be finished. `link`: gives them a second name.
  Status CopyFiles(const ManifestState& state, bool link, const CopyProgress& progress);
  // Steps 3 to 5. Of `state` the commits are taken, not the positions in a log.
  Status Finish(const ManifestState& state, const Origin& origin, bool keep_old);
  // Afterwards others may open it.
  void Unlock() { lock_.reset(); }

  // Commit times that the backup which is there has, by name.
  const std::map<std::string, TimesObject>& times() const { return times_; }
  const CopyInfo& info() const { return info_; }
  CopyInfo* mutable_info() { return &info_; }

 private:
  CopyTarget(const Environment* source, std::string source_path, std::string path, CopyKind kind);

  Status CheckPlace() const;
  Status LookInside(const std::string& database_id, CommitNumber newest);
  Status CheckIsFree() const;
  Status CheckIsBackupOf(const std::string& database_id, CommitNumber newest) const;
  Status CheckNoCommits() const;
  Status CopyRun(const TableState& table, const std::shared_ptr<const RunMeta>& meta, bool link);
  Status CopyRunObject(const OpenRun* run, OpenRun::ObjectKind kind, const RunObject& object,
                       bool link);
  Status CopyTimes(CommitNumber commit, const TimesObject& times);
  Result<bool> IsThere(const std::string& name, std::uint64_t bytes, bool same) const;
  Status ListFiles();
  Status MakeRoom(const std::string& name);
  Status Link(const std::string& name);
  Status RemoveOld(const ManifestState& state, bool keep_old);

  const Environment* const source_;
  const std::string source_path_;
  const std::string path_;
  const CopyKind kind_;
  Environment environment_;
  std::unique_ptr<FileLock> lock_;
  std::shared_ptr<const ManifestState> before_;   // of the backup that is there; null: none
  std::map<std::string, RunObject> named_;        // by that one
  std::map<std::string, TimesObject> times_;      // so are these
  std::map<std::string, std::uint64_t> there_;    // files and their sizes
  bool listed_ = false;                           // there_ has what was there before
  std::set<std::string> copied_;                  // by this backup
  std::string log_id_;
  CopyProgress progress_;
  std::uint64_t bytes_total_ = 0;
  CopyInfo info_;
};

}  // namespace varve
