// SPDX-License-Identifier: Apache-2.0
// Database::Backup and Clone: one state of the manifest, held while its files are copied.
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "base/out_of_memory.h"
#include "base/result.h"
#include "engine/archive_tail.h"
#include "engine/commit_record.h"
#include "engine/commits_to_runs.h"
#include "engine/copy_target.h"
#include "engine/engine.h"
#include "engine/retirer.h"
#include "engine/watched.h"
#include "varve/inspect.h"
#include "varve/log_reader.h"

namespace varve {
namespace {

constexpr int kRoundsMax = 100;  // of a reader whose writer flushes faster than it can copy

}  // namespace

class Database::Impl::BackupSource {
 public:
  struct Request {
    CopyKind kind = CopyKind::kBackup;
    bool link = false;
    bool keep_old = false;
    bool verify = false;
    CopyProgress progress = {};
    LogArchive* archive = nullptr;
    AsOf to = {};
  };

  explicit BackupSource(Impl* database) : database_(*database) { database_.BeginTask(); }
  ~BackupSource() { database_.EndTask(); }  // Close waits: the files are this process's until then
  BackupSource(const BackupSource&) = delete;
  BackupSource& operator=(const BackupSource&) = delete;

  Result<CopyInfo> CopyTo(const std::string& destination, const Request& request);

 private:
  Status CheckUsable() const;
  Status CheckCanLink(const std::string& destination) const;
  Status Hold();
  // Commits that are in no run go into runs of the copy. Only of a database that is read-only: a
  // writer has flushed.
  Result<std::shared_ptr<const ManifestState>> AddTail(CopyTarget* target);
  bool HasTail() const { return database_.options_.read_only && visible_ > state_->commit; }
  // Calls `take` for the units of the log from the manifest's floor on, until that says it has all.
  // Sets log_was_cut_ when a writer truncated it meanwhile.
  Status ReadTail(const std::function<Result<bool>(const LogUnit&)>& take);
  Status CheckTail();
  // Null when the log was cut: what it lacks is in runs by now.
  Result<std::shared_ptr<const ManifestState>> TakeTail(CopyTarget* target);
  // Of a restore, before anything is made.
  Status CheckEnd(const AsOf& to, bool has_archive) const;
  Status OpenArchive(const Request& request);

  Impl& database_;
  std::shared_ptr<const ManifestState> state_;
  CommitNumber visible_;
  std::shared_ptr<const Superversion> view_;  // of state_, so that its files stay
  std::shared_ptr<const void> times_;
  std::unique_ptr<ArchiveTail> archive_;  // null: there is none
  bool log_was_cut_ = false;
};

Status Database::Impl::BackupSource::CheckUsable() const {
  return database_.options_.read_only ? database_.CheckOpen() : database_.CheckWritable();
}

// Before anything is made: a link that cannot be would fail at the first file.
Status Database::Impl::BackupSource::CheckCanLink(const std::string& destination) const {
  Files* const files = database_.environment_.files();
  VARVE_ASSIGN(const auto from, files->Info(database_.path_));
  std::string there = destination;
  auto to = files->Info(there);
  while (!to && to.error().kind() == ErrorKind::kNotFound && there != ParentPath(there)) {
    there = ParentPath(there);
    to = files->Info(there);
  }
  if (!to) return std::unexpected(to.error());
  if (from.device == to->device) return {};
  return Fail(ErrorKind::kInvalid,
              fmt::format("'{}' and '{}' are on different file systems, so files of one cannot get "
                          "a name in the other; copy them instead",
                          database_.path_, destination));
}

// One moment, and its view, which has the runs of its state: so their files stay, in this process
// and, where it reads beside another one, by its lease. Of a writer no edit comes in between.
Status Database::Impl::BackupSource::Hold() {
  if (!database_.options_.read_only) VARVE_TRY(database_.Flush());
  VARVE_TRY(database_.CatchUp());
  std::lock_guard flush_lock(database_.flush_mutex_);
  VARVE_TRY(database_.CheckOpen());
  Moment now = database_.Now(AsOf());
  state_ = now.flushed;
  visible_ = now.visible;
  view_ = std::move(now.view);
  times_ = database_.retirer_->HoldTimes();
  return {};
}

Status Database::Impl::BackupSource::ReadTail(
    const std::function<Result<bool>(const LogUnit&)>& take) {
  Environment& environment = database_.environment_;
  log_was_cut_ = false;
  const auto note = [this](const Error& error) {
    log_was_cut_ = error.reason() == ErrorReason::kNone &&
                   (error.kind() == ErrorKind::kNotFound || error.kind() == ErrorKind::kConflict);
    return std::unexpected(error);
  };
  const auto cursor = LogCursor::Open(LogFolder(database_.path_),
                                      {.from = state_->log_floor, .follow = true,
                                       .keys = environment.keys()},
                                      environment.ForLog());
  if (!cursor) return note(cursor.error());
  while (true) {
    const auto unit = (*cursor)->Next();
    if (!unit) return note(unit.error());
    if (!*unit) {
      return note(Error(ErrorKind::kConflict, "the log was cut"));
    }
    VARVE_ASSIGN(const bool done, take(**unit));
    if (done) return {};
  }
}

// That the log still has all of it: a writer that flushed since may have cut it.
Status Database::Impl::BackupSource::CheckTail() {
  if (!HasTail()) return {};
  return ReadTail([this](const LogUnit& unit) -> Result<bool> {
    VARVE_ASSIGN(const DecodedCommit commit, DecodeCommit(unit.records));
    return commit.header.commit >= visible_;
  });
}

Result<std::shared_ptr<const ManifestState>> Database::Impl::BackupSource::AddTail(
    CopyTarget* target) {
  if (!HasTail() && archive_ == nullptr) return state_;
  CommitsToRuns runs(target->store(), state_,
                     {.encrypted = database_.environment_.keys() != nullptr,
                      .first_run_id = target->FreeRunId(*state_),
                      .times_there = &target->times()});
  if (archive_ != nullptr) {
    VARVE_TRY(archive_->AddTo(&runs));
  } else {
    VARVE_TRY(ReadTail([&](const LogUnit& unit) -> Result<bool> {
      VARVE_TRY(runs.Add(unit));
      return runs.last() >= visible_;
    }));
  }
  target->mutable_info()->commits_from_log = runs.commits();
  return runs.Finish();
}

// The backup holds one version whole; of later ones it knows nothing by itself.
Status Database::Impl::BackupSource::CheckEnd(const AsOf& to, bool has_archive) const {
  const std::string& path = database_.path_;
  const CommitNumber newest = std::max(visible_, state_->commit);
  const auto* const commit = std::get_if<CommitNumber>(&to);
  const auto* const moment = std::get_if<WallTime>(&to);
  if (std::holds_alternative<TagName>(to)) {
    return Fail(ErrorKind::kInvalid, "a database is restored up to a commit or a moment: give the "
                                     "commit that the tag names");
  }
  if ((commit != nullptr && *commit < newest) ||
      (moment != nullptr && *moment < state_->commit_time)) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("the backup '{}' is as of commit {} of {}, which is later; restore an "
                            "older backup, or restore all of it and then its tables to that "
                            "version, if that is still readable",
                            path, newest.value, TimeText(state_->commit_time)));
  }
  const bool is_later = moment != nullptr || (commit != nullptr && *commit > newest);
  if (!is_later || has_archive) return {};
  return Fail(ErrorKind::kNotFound,
              fmt::format("the backup '{}' ends with commit {} of {}; what came later is in the "
                          "archive of the log: give that too",
                          path, newest.value, TimeText(state_->commit_time)));
}

Status Database::Impl::BackupSource::OpenArchive(const Request& request) {
  VARVE_TRY(CheckEnd(request.to, request.archive != nullptr));
  if (request.archive == nullptr) return {};
  Environment& environment = database_.environment_;
  const auto origin = ReadOrigin(environment.store(), state_->number);
  if (!origin && origin.error().kind() != ErrorKind::kNotFound) {
    return std::unexpected(origin.error());
  }
  if (!origin || visible_ > state_->commit) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("'{}' is no backup, or was written to since it was one: no archived "
                            "log goes on where it ends",
                            database_.path_));
  }
  VARVE_ASSIGN(archive_, ArchiveTail::Open(request.archive, *origin, *state_, request.to,
                                           environment.keys(), environment.ForLog()));
  return {};
}

Result<std::shared_ptr<const ManifestState>> Database::Impl::BackupSource::TakeTail(
    CopyTarget* target) {
  Result<std::shared_ptr<const ManifestState>> added = nullptr;
  if (const auto found = CheckTail(); !found) {
    added = std::unexpected(found.error());
  } else {
    added = AddTail(target);
  }
  if (!added && log_was_cut_) return nullptr;
  return added;
}

Result<CopyInfo> Database::Impl::BackupSource::CopyTo(const std::string& destination,
                                                      const Request& request) {
  VARVE_TRY(CheckUsable());
  if (request.link) VARVE_TRY(CheckCanLink(destination));
  VARVE_TRY(database_.CatchUp());  // the backup that is there may be newer than what a reader saw
  const auto& environment = database_.environment_;
  VARVE_ASSIGN(const auto target,
               CopyTarget::Open(&environment, database_.path_,
                                database_.manifest_->state()->database_id,
                                database_.Now(AsOf()).visible, destination, request.kind));
  VARVE_TRY(Hold());
  if (request.kind == CopyKind::kRestore) VARVE_TRY(OpenArchive(request));
  VARVE_TRY(target->Begin());
  VARVE_TRY(target->CopyFiles(*state_, request.link, request.progress));
  VARVE_ASSIGN(auto state, TakeTail(target.get()));
  // A reader's log may be cut meanwhile. Each round has less to copy than the one before.
  for (int round = 1; state == nullptr && round < kRoundsMax; ++round) {
    VARVE_TRY(Hold());
    VARVE_TRY(target->CopyFiles(*state_, request.link, request.progress));
    VARVE_ASSIGN(state, TakeTail(target.get()));
  }
  if (state == nullptr) {
    return Fail(ErrorKind::kUnavailable,
                fmt::format("the log of '{}' was cut by its writer during each of {} attempts to "
                            "copy it; try again when it writes less, or let the writer back up",
                            database_.path_, kRoundsMax));
  }
  // Of a reader the origin's commit is in the log, behind the floor of its manifest.
  VARVE_TRY(target->Finish(*state,
                           {.database_id = state_->database_id, .commit = state->commit,
                            .log_floor = state_->log_floor},
                           request.keep_old));
  target->Unlock();
  if (request.verify) {
    VARVE_ASSIGN(const auto found,
                 VerifyDatabase(destination, {.keys = environment.keys()},
                                {.files = environment.files(), .clock = environment.clock(),
                                 .random = environment.random(),
                                 .executor = environment.executor()}));
    if (!found.damages.empty()) {
      const Damage& damage = found.damages.front();
      return Fail(ErrorKind::kCorruption,
                  fmt::format("{}: offset {}: {}; the copy is not to be trusted: make another one, "
                              "on another disk",
                              damage.file, damage.offset, damage.message));
    }
  }
  Trace(environment.trace(), "database.copied", destination,
        {{"commit", state->commit.value}, {"bytes", target->info().bytes_copied}});
  return target->info();
}

Result<CopyInfo> Database::Backup(const std::string& destination, const BackupOptions& options) {
  Span span(impl_->telemetry().get(), "backup");
  return span.Watch(OrOutOfMemory([&] {
    return Impl::BackupSource(impl_.get()).CopyTo(destination, {.kind = CopyKind::kBackup,
                                                                .keep_old = options.keep_old,
                                                                .verify = options.verify,
                                                                .progress = options.progress});
  }));
}

Result<CopyInfo> Database::Clone(const std::string& destination, const CloneOptions& options) {
  Span span(impl_->telemetry().get(), "clone");
  return span.Watch(OrOutOfMemory([&] {
    return Impl::BackupSource(impl_.get()).CopyTo(destination, {.kind = CopyKind::kClone,
                                                                .link = !options.copy,
                                                                .progress = options.progress});
  }));
}

Result<CopyInfo> Database::RestoreBackup(const std::string& backup, const std::string& destination,
                                         const RestoreBackupOptions& options,
                                         const Components& components) {
  Components own = components;
  own.store = nullptr;  // that of the backup's folder
  OpenOptions reading = {.read_only = true, .keys = options.keys};
  auto opened = Open(backup, reading, own);
  if (!opened && opened.error().reason() == ErrorReason::kPermission) {
    reading.lease = false;  // a folder that one may only read
    opened = Open(backup, reading, own);
  }
  VARVE_ASSIGN(const auto database, std::move(opened));
  return OrOutOfMemory([&] {
    return Impl::BackupSource(database->impl_.get()).CopyTo(destination,
                                                            {.kind = CopyKind::kRestore,
                                                             .progress = options.progress,
                                                             .archive = options.archive,
                                                             .to = options.to});
  });
}

}  // namespace varve
