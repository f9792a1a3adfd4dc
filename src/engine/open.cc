// SPDX-License-Identifier: Apache-2.0
// Opening: folder and lock, manifest, runs, log. Each step leaves a folder that opens again if the
// process dies after it.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>

#include "base/key_wrap.h"
#include "base/result.h"
#include "engine/compactor.h"
#include "engine/engine.h"
#include "engine/folder.h"
#include "engine/link.h"
#include "engine/retirer.h"
#include "log/log_keys.h"
#include "upkeep/flush.h"

namespace varve {
namespace {

// The id in "data/<table>/[_deletes/]<20 digits>.parquet"; nothing for any other name.
std::optional<std::uint64_t> RunIdOf(std::string_view name) {
  constexpr std::string_view kSuffix = ".parquet";
  const std::size_t slash = name.rfind('/');
  if (slash == std::string_view::npos || !name.ends_with(kSuffix)) return std::nullopt;
  std::string_view digits = name.substr(slash + 1);
  digits.remove_suffix(kSuffix.size());
  std::uint64_t id = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), id);
  if (digits.size() != 20 || error != std::errc() || end != digits.data() + digits.size()) {
    return std::nullopt;
  }
  return id;
}

// No manifest, and so no database; not a manifest whose key is missing.
bool IsAbsent(const Error& error) {
  return error.kind() == ErrorKind::kNotFound && error.reason() != ErrorReason::kMissingKey;
}

}  // namespace

Database::Impl::Impl(std::string path, const OpenOptions& options, const Components& components)
    : path_(std::move(path)),
      options_(options),
      environment_(components, path_, options.keys),
      owner_(::getpid()),
      read_cache_(std::make_shared<ReadCache>(options.read_cache_bytes_max,
                                              environment_.telemetry())),
      recent_keys_(options.memtable_bytes_max / 4),
      metrics_file_(path_, options.metrics_interval_ms),
      link_(std::make_shared<Link>()),
      compactor_(std::make_unique<Compactor>(this)),
      retirer_(std::make_unique<Retirer>(this)) {
  link_->database = this;
}

bool Database::Impl::Forked() const { return ::getpid() != owner_; }

// A transaction may have held the database until here, and left commits on their way.
Database::Impl::~Impl() {
  if (!Forked()) AwaitTasks();
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
  VARVE_ASSIGN(lock_, environment_.files()->Lock(
                          LockFile(path_),
                          options_.read_only ? LockMode::kShared : LockMode::kExclusive));
  // A process that died may have left names that are visible but not durable: settle them before
  // anything is concluded from them.
  if (!options_.read_only) VARVE_TRY(RemoveLeftovers(environment_.files(), path_));
  auto manifest = Manifest::Open(environment_.store(), environment_.keys());
  if (!manifest && IsAbsent(manifest.error())) {
    VARVE_TRY(CreateDatabase());
    manifest = Manifest::Open(environment_.store(), environment_.keys());
  }
  if (!manifest) return std::unexpected(std::move(manifest).error());
  manifest_ = *std::move(manifest);
  if (!options_.read_only) VARVE_TRY(SettleManifest());
  VARVE_TRY(OpenRuns());
  VARVE_TRY(OpenLog());
  if (!options_.read_only) VARVE_TRY(RemoveOrphanRuns());
  if (!options_.read_only) VARVE_TRY(RemoveOrphanTimes());
  Trace(environment_.trace(), "database.open", path_, {{"commit", last_commit_.value}});
  if (options_.read_only) return {};
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
                                .keys = environment_.keys()},
                               {}, {}, ForLog()));
  return Manifest::Create(environment_.store(), log_->stats().id, environment_.clock()->Now(),
                          environment_.keys());
}

// A run that the manifest does not name is what a failed or cut-short flush left. Only after the
// log agreed with the manifest: were the newest manifest lost, its runs would look like orphans.
Status Database::Impl::RemoveOrphanRuns() {
  VARVE_ASSIGN(const auto objects, environment_.store()->List("data/"));
  for (const ObjectInfo& object : objects) {
    const auto id = RunIdOf(object.name);
    if (!id || runs_.Has(*id)) continue;
    VARVE_TRY(environment_.store()->Delete(object.name));
    Trace(environment_.trace(), "run.orphan_removed", object.name);
  }
  return {};
}

// The same for commit times; all that are official are those of versions.
Status Database::Impl::RemoveOrphanTimes() {
  std::set<std::string> official;
  const auto state = manifest_->state();
  for (const VersionPoint& version : state->versions) {
    if (version.times) official.insert(TimesName(version.commit));
  }
  VARVE_ASSIGN(const auto objects, environment_.store()->List(std::string(kTimesPrefix)));
  for (const ObjectInfo& object : objects) {
    if (!IsTimesName(object.name) || official.contains(object.name)) continue;
    VARVE_TRY(environment_.store()->Delete(object.name));
    Trace(environment_.trace(), "times.orphan_removed", object.name);
  }
  return {};
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

Status Database::Impl::OpenRuns() {
  const auto state = manifest_->state();
  const auto open = [this](const TableState& table) -> Status {
    for (const auto& meta : table.runs) {
      VARVE_ASSIGN(auto run, Run::Open(environment_.store(), table.FindSchema(meta->schema_id),
                                       *meta, read_cache_));
      runs_.Add(std::move(run));
    }
    return {};
  };
  for (const auto& [name, table] : state->tables) VARVE_TRY(open(*table));
  for (const auto& [id, table] : state->dropped) VARVE_TRY(open(*table));
  return {};
}

Status Database::Impl::OpenLog() {
  const auto state = manifest_->state();
  std::lock_guard lock(commit_mutex_);
  official_ = state;
  last_commit_ = state->commit;
  producers_ = state->producers;
  active_ = std::make_shared<Generation>();
  active_->log_start = state->log_floor;
  Executor* const executor = options_.read_only ? nullptr : environment_.executor();
  for (const auto& [name, table] : state->tables) {
    active_->memtables[table->id] = std::make_shared<Memtable>(table->schema, executor);
  }
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
                           .keys = environment_.keys(),
                           .read_only = options_.read_only,
                           .create_if_missing = false,
                           .id = state.database_id};
  const RecoveryOptions recovery{.replay_from = state.log_floor,
                                 .known_durable = state.log_durable};
  auto log = Log::Open(LogFolder(path_), options,
                       [this](const LogUnit& unit) { return Replay(unit); }, recovery, ForLog());
  if (log) {
    log_ = *std::move(log);
    return {};
  }
  if (log.error().kind() != ErrorKind::kNotFound) return std::unexpected(std::move(log).error());
  return std::unexpected(LostLog(path_));
}

// One commit of the log into the memtables. Commits that the runs hold already are passed over.
Status Database::Impl::Replay(const LogUnit& unit) {
  const auto at = fmt::format("log of '{}', LSN {}", path_, unit.lsn.value);
  auto commit = DecodeCommit(unit.records);
  if (!commit) return std::unexpected(commit.error().Within(at));
  const CommitNumber number = commit->header.commit;
  const auto state = manifest_->state();
  if (number <= state->commit) return {};
  if (number.value != last_commit_.value + 1) {
    return Fail(ErrorKind::kCorruption, fmt::format("{}: commit {} follows commit {}", at,
                                                    number.value, last_commit_.value));
  }
  for (const DecodedPart& part : commit->parts) {
    const TableState* table = state->FindTable(part.table_id);
    if (table == nullptr || table->schema_id != part.schema_id) {
      return Fail(ErrorKind::kCorruption,
                  fmt::format("{}: commit {} writes table {} with schema {}, which the manifest "
                              "does not have",
                              at, number.value, part.table_id, part.schema_id));
    }
    auto batch = DecodePart(part, *table->schema);
    if (!batch) return std::unexpected(batch.error().Within(at));
    active_->memtables[table->id]->Insert(*std::move(batch), number.value);
  }
  {
    std::lock_guard lock(view_mutex_);
    recent_.MakeReady();
    NoteCommit({number, commit->header.time});
  }
  active_->log_end = unit.lsn;
  if (commit->producer) {
    NoteProducer(MakeMarksReady(*commit->producer), commit->producer->sequence, number);
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
  if (log_ != nullptr && !options_.read_only) closed = log_->Close();
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
  std::unique_lock lock(tasks_.mutex);
  while (tasks_.count > 0) {
    lock.unlock();
    const bool helped = environment_.executor()->RunOne();
    lock.lock();
    if (!helped && tasks_.count > 0) tasks_.done.wait(lock);
  }
}

}  // namespace varve
