// SPDX-License-Identifier: Apache-2.0
// The commits after a backup, out of an archive of the log of the database that it is of.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "engine/commits_to_runs.h"
#include "engine/copy_target.h"
#include "manifest/manifest.h"
#include "varve/log_archive.h"
#include "varve/log_reader.h"
#include "varve/options.h"

namespace varve {

class ArchiveTail {
 public:
  // Reads the archive up to `to`: no row yet, but all that could be wrong with it. `archive` must
  // outlive it; so must the components. Errors as Database::RestoreBackup.
  static Result<std::unique_ptr<ArchiveTail>> Open(LogArchive* archive, const Origin& origin,
                                                   const ManifestState& state, const AsOf& to,
                                                   KeyProvider* keys,
                                                   const LogComponents& components);
  // The commits, one after the other.
  Status AddTo(CommitsToRuns* runs) const;

 private:
  ArchiveTail(LogArchive* archive, const Origin& origin, KeyProvider* keys,
              const LogComponents& components)
      : archive_(archive), origin_(origin), keys_(keys), components_(components) {}

  Status ReadContents();
  Result<std::unique_ptr<LogCursor>> NewCursor() const;
  Status FindEnd(const ManifestState& state, const AsOf& to);
  Status CheckCommit(const DecodedCommit& commit, CommitNumber last,
                     const ManifestState& state) const;
  Status NotReached(CommitNumber wanted, CommitNumber last) const;

  LogArchive* const archive_;
  const Origin origin_;
  KeyProvider* const keys_;
  LogComponents components_;     // with the archive's files
  std::unique_ptr<Files> files_;
  std::string name_;             // of the archive, for a person
  bool is_behind_ = false;       // it ends where the backup does, or before
  CommitNumber end_;             // the last commit that is wanted
};

}  // namespace varve
