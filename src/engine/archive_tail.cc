// SPDX-License-Identifier: Apache-2.0
#include "engine/archive_tail.h"

#include <fmt/format.h>

#include <utility>

#include "base/result.h"
#include "log/archive_contents.h"
#include "log/archive_files.h"

namespace varve {

Result<std::unique_ptr<ArchiveTail>> ArchiveTail::Open(LogArchive* archive, const Origin& origin,
                                                       const ManifestState& state, const AsOf& to,
                                                       KeyProvider* keys,
                                                       const LogComponents& components) {
  std::unique_ptr<ArchiveTail> tail(new ArchiveTail(archive, origin, keys, components));
  VARVE_TRY(tail->ReadContents());
  VARVE_TRY(tail->FindEnd(state, to));
  return tail;
}

Status ArchiveTail::ReadContents() {
  VARVE_ASSIGN(const auto contents, varve::ReadContents(archive_));
  name_ = archive_->Describe(std::string(kArchiveIdName));
  if (contents.id.empty()) {
    return Fail(ErrorKind::kNotFound, name_ + ": there is no archive of a log here");
  }
  if (contents.id != origin_.database_id) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("{}: this is the archive of log {}, the backup is of the database with "
                            "log {}; give the archive of that database",
                            name_, contents.id, origin_.database_id));
  }
  if (contents.segments.empty()) {
    return Fail(ErrorKind::kNotFound,
                name_ + ": nothing is in this archive yet; restore the backup without it");
  }
  files_ = FilesOfArchive(archive_, contents);
  components_.files = files_.get();
  return {};
}

// Where the backup ends. An archive that ends before has nothing to add.
Result<std::unique_ptr<LogCursor>> ArchiveTail::NewCursor() const {
  auto cursor = LogCursor::Open("", {.from = origin_.log_floor, .keys = keys_}, components_);
  if (cursor || cursor.error().kind() == ErrorKind::kCorruption) return cursor;
  if (cursor.error().kind() == ErrorKind::kNotFound &&
      cursor.error().reason() == ErrorReason::kNone) {
    return Fail(ErrorKind::kNotFound,
                fmt::format("{}: the archive begins after the backup, which ends with commit {}, "
                            "LSN {}: what lies between is missing ({}); take an older archive too, "
                            "or a later backup",
                            name_, origin_.commit.value, origin_.log_floor.value,
                            cursor.error().message()));
  }
  return cursor;
}

Status ArchiveTail::CheckCommit(const DecodedCommit& commit, CommitNumber last,
                                const ManifestState& state) const {
  const CommitNumber number = commit.header.commit;
  if (number.value != last.value + 1) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("{}: after commit {} comes commit {}: the commits between changed or "
                            "dropped a table, which no log has; restore up to commit {}, or from a "
                            "later backup",
                            name_, last.value, number.value, last.value));
  }
  for (const DecodedPart& part : commit.parts) {
    const TableState* const table = state.FindTable(part.table_id);
    if (table != nullptr && table->schema_id == part.schema_id) continue;
    return Fail(ErrorKind::kInvalid,
                fmt::format("{}: commit {} writes to a table that was made or changed after the "
                            "backup, and its columns are in no log; restore up to commit {}, or "
                            "from a later backup",
                            name_, number.value, last.value));
  }
  return {};
}

Status ArchiveTail::NotReached(CommitNumber wanted, CommitNumber last) const {
  return Fail(ErrorKind::kNotFound,
              fmt::format("{}: the archive ends with commit {}, so commit {} cannot be restored",
                          name_, last.value, wanted.value));
}

// Clocks may go back: as everywhere the newest commit counts that was not made after the moment.
Status ArchiveTail::FindEnd(const ManifestState& state, const AsOf& to) {
  const auto* const wanted = std::get_if<CommitNumber>(&to);
  const auto* const moment = std::get_if<WallTime>(&to);
  end_ = state.commit;
  auto cursor = NewCursor();
  if (!cursor && cursor.error().kind() == ErrorKind::kInvalid &&
      cursor.error().reason() == ErrorReason::kNone) {
    is_behind_ = true;
    return wanted != nullptr && *wanted > end_ ? NotReached(*wanted, end_) : Status();
  }
  if (!cursor) return std::unexpected(cursor.error());
  CommitNumber last = end_;
  Status broken;
  while (wanted == nullptr || last < *wanted) {
    VARVE_ASSIGN(const auto unit, (*cursor)->Next());
    if (!unit) break;
    VARVE_ASSIGN(const DecodedCommit commit, DecodeCommit(unit->records));
    if (commit.header.commit <= last && (commit.parts.empty() || last == state.commit)) continue;
    broken = CheckCommit(commit, last, state);
    // Up to a moment it may be that all which comes later is not wanted.
    if (!broken && (moment == nullptr || commit.header.time <= *moment)) return broken;
    if (!broken) break;
    last = commit.header.commit;
    if (moment == nullptr || commit.header.time <= *moment) end_ = last;
  }
  return wanted != nullptr && last < *wanted ? NotReached(*wanted, last) : Status();
}

Status ArchiveTail::AddTo(CommitsToRuns* runs) const {
  if (is_behind_ || runs->last() >= end_) return {};
  VARVE_ASSIGN(const auto cursor, NewCursor());
  while (runs->last() < end_) {
    VARVE_ASSIGN(const auto unit, cursor->Next());
    if (!unit) return NotReached(end_, runs->last());
    if (const Status added = runs->Add(*unit); !added) {
      return std::unexpected(added.error().Within(name_));
    }
  }
  return {};
}

}  // namespace varve
