// SPDX-License-Identifier: Apache-2.0
// Opening: folder and lock, manifest, runs, log. Each step leaves a folder that opens again if the
// process dies after it.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "base/key_wrap.h"
#include "base/result.h"
#include "engine/compactor.h"
#include "engine/engine.h"
#include "engine/folder.h"
#include "engine/link.h"
#include "engine/log_archiving.h"
#include "engine/memory.h"
#include "engine/reader.h"
#include "engine/replay.h"
#include "engine/retirer.h"
#include "log/log_keys.h"
#include "upkeep/flush.h"

namespace varve {
namespace {

// No manifest, and so no database; not a manifest whose key is missing.
bool IsAbsent(const Error& error) {
  return error.kind() == ErrorKind::kNotFound && error.reason() != ErrorReason::kMissingKey;
}

}  // namespace

Database::Impl::Impl(std::string path, const OpenOptions& options, const Components& components)
    : path_(std::move(path)),
      options_(WithMemory(options)),
      environment_(components, path_, options.keys, options.compaction_threads),
      owner_(::getpid()),
      caches_(MakeCaches(options_, environment_.telemetry())),
      recent_keys_(*options_.memtable_bytes_max / 4, memory()),
      metrics_file_(path_, options.metrics_interval_ms),
      link_(std::make_shared<Link>()),
      compactor_(std::make_unique<Compactor>(this)),
      retirer_(std::make_unique<Retirer>(this)) {
  link_->database = this;
}

bool Database::Impl::Forked() const { return ::getpid() != owner_; }

// A transaction may have held the database until here, and left commits on their way.
Database::Impl::~Impl() {
  if (Forked()) return;
  AwaitTasks();
  if (archiver_ != nullptr && !closed_) ArchiveRest(archiver_.get(), environment_.trace());
}

Status Database::Impl::Open() {
  // Before anything is made or changed: with a key that is no good nothing may be.
  if (environment_.keys() != nullptr && !options_.read_only) {
    VARVE_TRY(CheckCurrentKey(environment_.keys()));
  }
  VARVE_TRY(PrepareFolder());
  VARVE_TRY(Manifest::CheckKeys(environment_.store(), environment_.keys()));
  if (environment_.keys() != nullptr) {
    VARVE_TRY(CheckKeysOfLog(environment_.files(), LogFolder(path_), environment_.keys()));
  }
  if (options_.read_only) {
    if (!options_.lease) environment_.DoWithoutLease();
    reader_ = std::make_unique<Reader>(this);
    VARVE_TRY(reader_->Open());
    Trace(environment_.trace(), "database.open", path_, {{"commit", last_commit_.value}});
    return {};
  }
  VARVE_TRY(AwaitLock());
  if (const Status removed = metrics_file_.Remove(environment_.files()); !removed) {
    Trace(environment_.trace(), "metrics.not_removed", removed.error().message());
  }
  // A process that died may have left names that are visible but not durable: settle them before
  // anything is concluded from them.
  VARVE_TRY(RemoveLeftovers(environment_.files(), path_));
  auto manifest = Manifest::Open(environment_.store(), environment_.keys());
  if (!manifest && IsAbsent(manifest.error())) {
    VARVE_TRY(CreateDatabase());
    manifest = Manifest::Open(environment_.store(), environment_.keys());
  }
  if (!manifest) return std::unexpected(std::move(manifest).error());
  manifest_ = *std::move(manifest);
  VARVE_TRY(SettleManifest());
  FindRuns();
  VARVE_TRY(OpenLog());
  if (options_.log_archive != nullptr) {
    VARVE_ASSIGN(archiver_, StartArchiving(log_.get(), path_, options_, environment_.ForLog()));
  }
  VARVE_TRY(retirer_->RemoveOrphans());
  Trace(environment_.trace(), "database.open", path_, {{"commit", last_commit_.value}});
  VARVE_TRY(SetHistory());
  SealIfDue();
  compactor_->AfterFlush(0);
  Publish(/*open=*/true);
  return {};
}

// The folder exists, is one, and holds a database or nothing (or what a cut-short Create left).
Status Database::Impl::PrepareFolder() {
  Files* files = environment_.files();
  const auto info = files->Info(path_);
  const bool may_create = options_.create_if_missing && !options_.read_only;
  if (!info) {
    if (info.error().kind() != ErrorKind::kNotFound) return std::unexpected(info.error());
    if (may_create) return files->CreateDirectories(path_);
    return Fail(ErrorKind::kNotFound,
                fmt::format("there is no database at '{}': no such folder", path_));
  }
  if (!info->is_directory) {
    return Fail(ErrorKind::kInvalid, fmt::format("'{}' is a file; a database is a folder", path_));
  }
  VARVE_ASSIGN(const auto manifests, environment_.store()->List("manifest/"));
  if (!manifests.empty()) return {};
  VARVE_TRY(CheckIsVacant(&environment_, path_));
  if (may_create) return {};
  return Fail(ErrorKind::kNotFound,
              fmt::format("there is no database at '{}': the folder holds none", path_));
}

Status Database::Impl::CatchUp() { return reader_ == nullptr ? Status() : reader_->CatchUp(); }

// Another process may be about to end; and a reader that asks whether there is a writer holds the
// lock for a moment.
Status Database::Impl::AwaitLock() {
  constexpr std::int64_t kPatienceMicros = 5000;
  constexpr std::int64_t kNapMicros = 1000;
  const std::int64_t patience = std::max(options_.lock_wait_micros, kPatienceMicros);
  Clock* const clock = environment_.clock();
  const std::int64_t begun = clock->SteadyMicros();
  const std::atomic<std::uint32_t> nobody_wakes = 0;
  while (true) {
    auto lock = environment_.files()->Lock(LockFile(path_), LockMode::kExclusive);
    if (lock) {
      lock_ = *std::move(lock);
      return {};
    }
    const std::int64_t left = begun + patience - clock->SteadyMicros();
    if (lock.error().reason() != ErrorReason::kLocked || left <= 0) {
      return std::unexpected(std::move(lock).error());
    }
    clock->WaitWord(nobody_wakes, 0, std::min(left, kNapMicros));
  }
}

LogComponents Database::Impl::ForLog() {
  LogComponents components = environment_.ForLog();
  components.on_durable = [this] { WakeFollowers(); };
  return components;
}

// The log first: once there is a manifest, a log that is missing was lost. A log that a creation
// left when it was cut short is taken over.
Status Database::Impl::CreateDatabase() {
  VARVE_TRY(CheckIsVacant(&environment_, path_));  // again, now that nobody else can write here
  VARVE_ASSIGN(log_, Log::Open(LogFolder(path_),
                               {.segment_bytes_max = options_.log_segment_bytes_max,
                                .queue_bytes_max = LogQueueBytesMax(options_),
                                .group_bytes_max = LogGroupBytesMax(options_),
                                .keys = environment_.keys()},
                               {}, {}, ForLog()));
  return Manifest::Create(environment_.store(), log_->stats().id, environment_.clock()->Now(),
                          environment_.keys());
}

// On a full disk the sync of the folder, just now, has to do: whoever opens may want to make room.
Status Database::Impl::SettleManifest() {
  const Status settled = manifest_->MakeDurable();
  if (settled || settled.error().reason() != ErrorReason::kNoSpace) return settled;
  Trace(environment_.trace(), "manifest.not_put_again", settled.error().message());
  return {};
}

Status Database::Impl::SetHistory() {
  const auto micros = options_.history_micros;
  if (!micros || *micros == manifest_->state()->history_micros) return {};
  VARVE_ASSIGN(auto committed,
               manifest_->Commit({SetHistoryEdit{*micros}}, environment_.clock()->Now()));
  std::lock_guard lock(commit_mutex_);
  official_ = std::move(committed);
  InstallView();
  return {};
}

// Reads nothing of them: whoever first reads a run opens it, and is told of its damage.
void Database::Impl::FindRuns() {
  const auto state = manifest_->state();
  const auto find = [this](const TableState& table) {
    for (const auto& meta : table.runs) {
      runs_.Add(Run::Make(environment_.store(), table.FindSchema(meta->schema_id), meta, caches_));
    }
  };
  for (const auto& [name, table] : state->tables) find(*table);
  for (const auto& [id, table] : state->dropped) find(*table);
}

Status Database::Impl::OpenLog() {
  const auto state = manifest_->state();
  std::lock_guard lock(commit_mutex_);
  official_ = state;
  last_commit_ = state->commit;
  producers_ = state->producers;
  active_ = NewGeneration(*state, environment_.executor(), memory());
  if (log_ == nullptr) VARVE_TRY(RecoverFromLog(*state));  // else we made it just now
  {
    std::lock_guard view_lock(view_mutex_);
    order_ = CommitOrder(last_commit_);
  }
  InstallView();
  return {};
}

Status Database::Impl::RecoverFromLog(const ManifestState& state) {
  const LogOptions options{.segment_bytes_max = options_.log_segment_bytes_max,
                           .queue_bytes_max = LogQueueBytesMax(options_),
                           .group_bytes_max = LogGroupBytesMax(options_),
                           .keys = environment_.keys(),
                           .create_if_missing = false,
                           .id = state.database_id};
  const RecoveryOptions recovery{.replay_from = state.log_floor,
                                 .known_durable = state.log_durable,
                                 .read_ahead_bytes = LogReadAheadBytes(options_)};
  auto log = Log::Open(LogFolder(path_), options,
                       [this](const LogUnit& unit) { return Replay(unit); }, recovery, ForLog());
  if (log) {
    log_ = *std::move(log);
    return {};
  }
  if (log.error().kind() != ErrorKind::kNotFound) return std::unexpected(std::move(log).error());
  return std::unexpected(LostLog(path_));
}

// Commits that the runs hold already are passed over.
Status Database::Impl::Replay(const LogUnit& unit) {
  VARVE_ASSIGN(const auto replayed,
               ReplayUnit(unit, path_, *manifest_->state(), last_commit_, active_.get()));
  if (!replayed) return {};
  const RecentCommit& commit = replayed->commit;
  {
    std::lock_guard lock(view_mutex_);
    recent_.MakeReady();
    NoteCommit(commit);
  }
  active_->log_end = unit.lsn;
  if (const auto& producer = replayed->producer) {
    NoteProducer(MakeMarksReady(*producer), producer->sequence, commit.commit);
  }
  return {};
}

Status Database::Impl::Close() {
  if (Forked()) return CheckWritable();
  {
    std::lock_guard lock(commit_mutex_);
    VARVE_TRY(CheckOpen());
    closed_ = true;
  }
  AwaitTasks();
  Status closed;
  if (log_ != nullptr) closed = log_->Close();
  if (archiver_ != nullptr) ArchiveRest(archiver_.get(), environment_.trace());
  if (reader_ != nullptr) reader_->Close();
  AdvanceVisible();
  {
    std::lock_guard flush_lock(flush_mutex_);  // nobody changes the manifest any more
    Publish(/*open=*/false);
    lock_.reset();
  }
  Trace(environment_.trace(), "database.close", path_);
  return closed;
}

void Database::Impl::AwaitTasks() {
  {
    std::lock_guard lock(link_->mutex);
    link_->database = nullptr;
  }
  EndFollowing();
  compactor_->Stop();
  room_.pace.End();
  std::unique_lock lock(tasks_.mutex);
  while (tasks_.count > 0) {
    lock.unlock();
    const bool helped = environment_.executor()->RunOne();
    lock.lock();
    if (!helped && tasks_.count > 0) tasks_.done.wait(lock);
  }
}

}  // namespace varve
