// SPDX-License-Identifier: Apache-2.0
// RepairDatabase: finds what cannot be trusted, works out the state without it, sets it aside and
// publishes that state (docs/design/0022).
//
// The order of an applied repair. After each step the next repair finds what is still to be done:
//   1. the report, into the folder of what is set aside
//   2. files that are not to be trusted, and those that nothing names, are set aside
//   3. commits of a damaged log that can be applied become files
//   4. the state without them is published, as a manifest that stands alone
//   5. manifest objects before it are set aside, if one of them was damaged
//   6. a damaged log is set aside; a new one is made, and published with its id
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "engine/commits_to_runs.h"
#include "engine/environment.h"
#include "engine/lease.h"
#include "engine/repair_runs.h"
#include "log/log_keys.h"
#include "manifest/manifest.h"
#include "manifest/manifest_read.h"
#include "manifest/state_editor.h"
#include "run/open_run.h"
#include "run/run.h"
#include "upkeep/retire.h"
#include "varve/log.h"
#include "varve/log_reader.h"
#include "varve/backup.h"

namespace varve {
namespace {

constexpr std::string_view kSetAside = "set-aside";

std::uint64_t NumberIn(std::string_view digits) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return error == std::errc() && end == digits.data() + digits.size() ? value : 0;
}

bool IsDamage(const Error& error) { return error.kind() == ErrorKind::kCorruption; }

class Repairer {
 public:
  Repairer(const std::string& path, const RepairOptions& options, const Components& components)
      : path_(path), options_(options), environment_(components, path, options.keys) {}

  Result<RepairReport> Run() {
    VARVE_TRY(CheckPlace());
    VARVE_ASSIGN(const auto lock,
                 environment_.files()->Lock(
                     LockFile(path_), options_.apply ? LockMode::kExclusive : LockMode::kShared));
    if (options_.apply) {
      VARVE_TRY(CheckNobodyReads());
      VARVE_TRY(RemoveLeftovers(environment_.files(), path_));
    }
    VARVE_TRY(FindState());
    VARVE_TRY(LookAtRuns());
    VARVE_TRY(LookAtTimes());
    VARVE_TRY(MakeState());
    VARVE_TRY(LookAtLog());
    NoteLostTags();
    VARVE_TRY(ListFiles());
    if (!report_.damages.empty() && options_.apply) VARVE_TRY(Apply());
    return std::move(report_);
  }

 private:
  ObjectStore* store() const { return environment_.store(); }
  std::string FileOf(const std::string& object) const { return store()->Describe(object); }
  void Found(const std::string& file, std::uint64_t offset, std::string message) {
    if (const auto named = file + ": "; message.starts_with(named)) message.erase(0, named.size());
    report_.damages.push_back({file, offset, std::move(message)});
  }

  Status CheckNobodyReads() const {
    VARVE_ASSIGN(const auto leases, HeldLeases(environment_.files(), path_));
    if (leases.empty()) return {};
    return Fail(ErrorKind::kUnavailable,
                fmt::format("'{}' is being read by {}; a repair moves files that it may need: end "
                            "it first",
                            path_, leases.front().holder),
                ErrorReason::kLocked);
  }

  Status CheckPlace() const {
    const auto info = environment_.files()->Info(path_);
    if (!info && info.error().kind() != ErrorKind::kNotFound) return std::unexpected(info.error());
    if (!info || !info->is_directory) {
      return Fail(ErrorKind::kNotFound, fmt::format("there is no database at '{}'", path_));
    }
    VARVE_ASSIGN(const auto manifests, ListManifests(store()));
    if (!manifests.empty()) return {};
    return Fail(ErrorKind::kNotFound,
                fmt::format("'{}' has no manifest, so nothing says what in it is official: restore "
                            "a backup; the rows of its log can be exported",
                            path_));
  }

  // The newest that can be proved.
  Status FindState() {
    VARVE_ASSIGN(const auto listed, ListManifests(store()));
    newest_number_ = listed.back().number;
    if (const auto opened = Manifest::Open(store(), environment_.keys());
        !opened && !IsDamage(opened.error())) {
      return std::unexpected(opened.error());  // another format, a key: no damage
    }
    const auto found = [this](const std::string& object, std::uint64_t offset,
                              const std::string& what) { Found(FileOf(object), offset, what); };
    Manifest::Counts counts;
    auto state = Manifest::Verify(store(), found, &counts, environment_.keys());
    if (!state && IsDamage(state.error())) state = StateFromTheSecond(listed, std::move(state));
    if (!state && IsDamage(state.error())) {
      return Fail(ErrorKind::kCorruption,
                  fmt::format("'{}' cannot be repaired: no state of its manifest can be proved: "
                              "{}; restore a backup; the rows of its log can be exported",
                              path_, state.error().message()));
    }
    if (!state) return std::unexpected(state.error());
    before_ = *std::move(state);
    manifest_damaged_ = !report_.damages.empty();
    if (manifest_damaged_) report_.manifests = listed.size();
    report_.older_manifest = before_->number < newest_number_;
    report_.commit_before = report_.commit = before_->commit;
    report_.oldest_before = before_->oldest;
    return {};
  }

  // The first object of a database says nothing but its id, which the second one says too.
  Result<std::shared_ptr<const ManifestState>> StateFromTheSecond(
      const std::vector<ListedManifest>& listed,
      Result<std::shared_ptr<const ManifestState>> otherwise) {
    const auto second = std::ranges::find(listed, 2u, &ListedManifest::number);
    if (second == listed.end()) return otherwise;
    auto state = std::make_shared<const ManifestState>();
    std::uint32_t crc = 0;
    for (auto at = second; at != listed.end(); ++at) {
      const auto object = ReadManifest(store(), environment_.keys(), *at);
      if (!object) break;
      if (at == second) {
        ManifestState first;
        first.database_id = object->object.header.database_id;
        first.number = 1;
        state = std::make_shared<const ManifestState>(std::move(first));
        crc = object->object.header.previous_crc32c;
      }
      const bool follows = object->number == state->number + 1;
      auto next = follows ? Continue(store(), state.get(), crc, *object) : otherwise;
      if (!next) break;
      state = *std::move(next);
      crc = object->crc32c;
    }
    if (state->number < 2) return otherwise;
    return state;
  }

  std::vector<const TableState*> Tables() const {
    std::vector<const TableState*> tables;
    for (const auto& [name, table] : before_->tables) tables.push_back(table.get());
    for (const auto& [id, table] : before_->dropped) tables.push_back(table.get());
    return tables;
  }

  // Nothing: sound.
  Result<std::optional<std::string>> DamageOf(
      const TableState& table, const std::shared_ptr<const RunMeta>& meta) {
    const std::size_t before = report_.damages.size();
    const auto made = varve::Run::Make(store(), table.FindSchema(meta->schema_id), meta);
    const auto run = made->Open();
    if (!run) {
      if (!IsDamage(run.error())) return std::unexpected(run.error());
      const std::string& object = meta->data.name.empty() ? meta->deletes.name : meta->data.name;
      Found(FileOf(object), 0, run.error().message());
      return report_.damages.back().message;
    }
    const auto sink = [](void* self, const std::string& object, std::uint64_t offset,
                         const std::string& message) {
      auto* repairer = static_cast<Repairer*>(self);
      repairer->Found(repairer->FileOf(object), offset, message);
    };
    VARVE_TRY(run->Verify(/*deep=*/true, this, sink));
    if (report_.damages.size() == before) return std::nullopt;
    return report_.damages[before].message;
  }

  Status LookAtRuns() {
    for (const TableState* table : Tables()) {
      std::map<std::uint64_t, std::string> damaged;
      for (const auto& meta : table->runs) {
        VARVE_ASSIGN(const auto why, DamageOf(*table, meta));
        if (why) damaged[meta->id] = *why;
      }
      if (damaged.empty()) continue;
      VARVE_ASSIGN(auto repaired, RepairRuns(store(), *before_, *table, damaged));
      for (LostRun& lost : repaired.lost) report_.runs.push_back(lost);
      for (const auto& run : repaired.not_needed) {
        for (const std::string& name : ObjectsOf(*run)) report_.not_needed.push_back(name);
      }
      tables_[table->id] = std::move(repaired);
    }
    return {};
  }

  // Of the oldest ones up to the newest that is damaged no times are known any more: those of later
  // flushes go on without a gap.
  Status LookAtTimes() {
    for (const VersionPoint& version : before_->versions) {
      if (!version.times) continue;
      const auto times = ReadTimes(store(), version.commit, *version.times);
      if (!times && times.error().kind() == ErrorKind::kUnavailable) {
        return std::unexpected(times.error());
      }
      if (times && (*times)->At(version.commit) == version.time) continue;
      Found(FileOf(TimesName(version.commit)), 0,
            times ? "the commit was made at another time, as the manifest says"
                  : times.error().message());
      times_lost_ = version.commit;
    }
    return {};
  }

  // Of commits that are lost; of one in a sound log the log has it.
  bool IsLost(const TagState& tag) const {
    return report_.log_damaged && tag.commit > report_.commit;
  }
  void NoteLostTags() {
    for (const auto& [name, tag] : state_->tags) {
      if (IsLost(tag)) report_.tags.push_back(name);
    }
  }

  // The state without what was lost, but for the log.
  Status MakeState() {
    ManifestState state = *before_;
    CommitNumber oldest = state.oldest;
    const auto repair = [&](std::shared_ptr<const TableState>* table) {
      const auto at = tables_.find((*table)->id);
      if (at == tables_.end()) return;
      auto changed = std::make_shared<TableState>(**table);
      changed->runs = at->second.runs;
      *table = std::move(changed);
      oldest = std::max(oldest, at->second.oldest);
    };
    for (auto& [name, table] : state.tables) repair(&table);
    for (auto& [id, table] : state.dropped) repair(&table);
    std::erase_if(state.tags, [&](const auto& tag) {
      if (IsReadable(tag.second.commit)) return false;
      report_.tags.push_back(tag.first);
      return true;
    });
    for (VersionPoint& version : state.versions) {
      if (version.commit > times_lost_ || !version.times) continue;
      version.times.reset();
      ++report_.times;
    }
    if (oldest > state.oldest) {
      StateEditor editor(state);
      VARVE_TRY(editor.Apply(RetireEdit{std::min(oldest, state.commit)}));
      state = editor.Finish(state.number + 1);
    }
    report_.oldest = state.oldest;
    state_ = std::make_shared<const ManifestState>(std::move(state));
    return {};
  }

  bool IsReadable(CommitNumber commit) const {
    for (const auto& [id, table] : tables_) {
      for (const auto& [from, before] : table.unreadable) {
        if (commit >= from && commit < before) return false;
      }
    }
    return true;
  }

  // Those that can be applied, one after the other; it ends at the first that cannot.
  Status ReadCommits(RecoveryMode mode, const LogReplay& take) {
    const auto log = Log::Open(LogFolder(path_),
                               {.keys = environment_.keys(), .read_only = true,
                                .id = before_->database_id},
                               take,
                               {.mode = mode,
                                .replay_from = mode == RecoveryMode::kSalvage
                                                   ? Lsn{}
                                                   : before_->log_floor,
                                .known_durable = mode == RecoveryMode::kStrict
                                                     ? before_->log_durable
                                                     : Lsn{}},
                               environment_.ForLog());
    return log ? Status() : Status(std::unexpected(log.error()));
  }

  // Whether a commit can be applied; what is none is damage.
  Status CheckCommit(const LogUnit& unit, CommitNumber* last) const {
    VARVE_ASSIGN(const DecodedCommit commit, DecodeCommit(unit.records));
    const CommitNumber number = commit.header.commit;
    if (number <= state_->commit) return {};
    if (number.value != last->value + 1) {
      return Fail(ErrorKind::kCorruption, fmt::format("LSN {}: commit {} follows commit {}",
                                                      unit.lsn.value, number.value, last->value));
    }
    for (const DecodedPart& part : commit.parts) {
      const TableState* const table = state_->FindTable(part.table_id);
      if (table == nullptr || table->schema_id != part.schema_id) {
        return Fail(ErrorKind::kCorruption,
                    fmt::format("LSN {}: commit {} writes table {} with schema {}, which the "
                                "manifest does not have",
                                unit.lsn.value, number.value, part.table_id, part.schema_id));
      }
      VARVE_TRY(DecodePart(part, *table->schema));
    }
    *last = number;
    return {};
  }

  Status LookAtLog() {
    const std::string folder = LogFolder(path_);
    if (environment_.keys() != nullptr) {
      VARVE_TRY(CheckKeysOfLog(environment_.files(), folder, environment_.keys()));
    }
    const auto verified = VerifyLog(folder, environment_.ForLog(), environment_.keys());
    if (!verified && verified.error().kind() != ErrorKind::kNotFound &&
        !IsDamage(verified.error())) {
      return std::unexpected(verified.error());
    }
    const std::size_t before = report_.damages.size();
    if (!verified) Found(folder, 0, "the log is missing: " + verified.error().message());
    for (const LogDamage& damage : verified ? verified->damages : std::vector<LogDamage>()) {
      Found(JoinPath(folder, damage.file), damage.offset, damage.message);
    }
    CommitNumber last = state_->commit;
    Status read;
    if (verified) {
      read = ReadCommits(RecoveryMode::kStrict,
                         [&](const LogUnit& unit) { return CheckCommit(unit, &last); });
    }
    if (!read && !IsDamage(read.error()) && read.error().kind() != ErrorKind::kNotFound) {
      return read;
    }
    if (!read && report_.damages.size() == before) Found(folder, 0, read.error().message());
    report_.log_damaged = report_.damages.size() > before;
    if (report_.log_damaged) VARVE_TRY(CountCommits());
    if (!report_.log_damaged) report_.commit = last;
    report_.commit_before = std::max(report_.commit_before, report_.commit);
    return {};
  }

  // What a damaged log still gives, up to the damage and behind it.
  Status CountCommits() {
    CommitNumber last = state_->commit;
    VARVE_TRY(AbsentOrDamaged(ReadCommits(RecoveryMode::kPointInTime, [&](const LogUnit& unit) {
      return CheckCommit(unit, &last);
    })));
    report_.log_commits_kept = last.value - state_->commit.value;
    report_.commit = last;
    std::set<std::uint64_t> lost;
    const auto note = [&](const LogUnit& unit) -> Status {
      const auto commit = DecodeCommit(unit.records);
      if (commit && commit->header.commit > last) lost.insert(commit->header.commit.value);
      return {};
    };
    VARVE_TRY(AbsentOrDamaged(ReadCommits(RecoveryMode::kSalvage, note)));
    report_.log_commits_lost = lost.size();
    if (lost.empty()) return {};
    report_.log_lost_first = {*lost.begin()};
    report_.log_lost_last = {*lost.rbegin()};
    report_.commit_before = report_.log_lost_last;
    return {};
  }

  static Status AbsentOrDamaged(const Status& status) {
    if (status || IsDamage(status.error()) || status.error().kind() == ErrorKind::kNotFound) {
      return {};
    }
    return status;
  }

  // All that is to be set aside. What nothing names may be of a manifest that is lost.
  Status ListFiles() {
    if (report_.damages.empty()) return {};
    std::set<std::string> named;
    const auto name_all = [&](const TableState& table) {
      for (const auto& run : table.runs) {
        for (const std::string& name : ObjectsOf(*run)) named.insert(name);
      }
    };
    for (const auto& [name, table] : state_->tables) name_all(*table);
    for (const auto& [id, table] : state_->dropped) name_all(*table);
    for (const VersionPoint& version : state_->versions) {
      if (version.times) named.insert(TimesName(version.commit));
    }
    for (const std::string_view prefix : {std::string_view("data/"), kTimesPrefix}) {
      VARVE_ASSIGN(const auto objects, store()->List(std::string(prefix)));
      for (const ObjectInfo& object : objects) {
        Skip(object.name);
        if (!named.contains(object.name)) report_.files.push_back(object.name);
      }
    }
    if (manifest_damaged_) {
      VARVE_ASSIGN(const auto manifests, ListManifests(store()));
      for (const auto& manifest : manifests) manifests_.push_back(manifest.info.name);
    }
    if (report_.log_damaged) {
      const auto entries = environment_.files()->List(LogFolder(path_));
      if (!entries && entries.error().kind() != ErrorKind::kNotFound) {
        return std::unexpected(entries.error());
      }
      for (const FileInfo& entry : entries ? *entries : std::vector<FileInfo>()) {
        if (!entry.is_directory) log_files_.push_back("log/" + entry.name);
      }
    }
    return {};
  }

  // Ids of files that are there are not given to others.
  void Skip(std::string_view name) {
    constexpr std::string_view kSuffix = ".parquet";
    if (!name.ends_with(kSuffix)) return;
    name.remove_suffix(kSuffix.size());
    next_run_id_ = std::max(next_run_id_, NumberIn(name.substr(name.rfind('/') + 1)) + 1);
  }

  Status Apply() {
    VARVE_TRY(MakeFolder());
    report_.files.insert(report_.files.end(), manifests_.begin(), manifests_.end());
    report_.files.insert(report_.files.end(), log_files_.begin(), log_files_.end());
    VARVE_TRY(store()->Put(aside_ + "/report", Describe()));
    for (const std::string& name : report_.files) {
      const bool later = name.starts_with("log/") || name.starts_with("manifest/");
      if (!later) VARVE_TRY(SetAside(name));
    }
    VARVE_ASSIGN(auto state, KeepCommits());
    VARVE_TRY(Publish(&state));
    for (const std::string& name : manifests_) VARVE_TRY(SetAside(name));
    if (report_.log_damaged) {
      for (const std::string& name : log_files_) VARVE_TRY(SetAside(name));
      VARVE_TRY(RenewLog(&state));
    }
    report_.applied = true;
    report_.set_aside = JoinPath(path_, aside_);
    Trace(environment_.trace(), "database.repaired", path_,
          {{"files", report_.files.size()}, {"commit", report_.commit.value}});
    return {};
  }

  Status MakeFolder() {
    std::uint64_t newest = 0;
    const auto entries = environment_.files()->List(JoinPath(path_, kSetAside));
    if (!entries && entries.error().kind() != ErrorKind::kNotFound) {
      return std::unexpected(entries.error());
    }
    for (const FileInfo& entry : entries ? *entries : std::vector<FileInfo>()) {
      newest = std::max(newest, NumberIn(entry.name));
    }
    aside_ = fmt::format("{}/{}", kSetAside, newest + 1);
    return environment_.files()->CreateDirectories(JoinPath(path_, aside_));
  }

  Status SetAside(const std::string& name) {
    Files* const files = environment_.files();
    const std::string from = JoinPath(path_, name);
    const std::string to = JoinPath(JoinPath(path_, aside_), name);
    VARVE_TRY(files->CreateDirectories(ParentPath(to)));
    const Status moved = files->Rename(from, to);
    if (!moved && moved.error().kind() != ErrorKind::kNotFound) return moved;
    VARVE_TRY(files->SyncDirectory(ParentPath(to)));
    return files->SyncDirectory(ParentPath(from));
  }

  Result<ManifestState> KeepCommits() {
    const std::uint64_t next = std::max(next_run_id_, state_->next_run_id);
    CommitsToRuns runs(store(), state_,
                       {.encrypted = environment_.keys() != nullptr, .first_run_id = next});
    if (report_.log_commits_kept > 0) {
      VARVE_TRY(AbsentOrDamaged(
          ReadCommits(RecoveryMode::kPointInTime, [&](const LogUnit& unit) -> Status {
            if (runs.last() >= report_.commit) return {};
            return runs.Add(unit);
          })));
    }
    VARVE_ASSIGN(const auto kept, runs.Finish());
    if (report_.log_damaged && kept->commit != report_.commit) {
      return Fail(ErrorKind::kUnavailable,
                  fmt::format("the log of '{}' gave commits up to {} first and up to {} then: the "
                              "disk cannot be relied on; copy the folder to another one",
                              path_, report_.commit.value, kept->commit.value));
    }
    ManifestState state = *kept;
    state.next_run_id = std::max(state.next_run_id, next);
    std::erase_if(state.tags, [&](const auto& tag) { return IsLost(tag.second); });
    return state;
  }

  Status Publish(ManifestState* state) {
    newest_number_ = state->number = std::max(state->number, newest_number_) + 1;
    return Manifest::PublishAlone(store(), *state, environment_.clock()->Now(),
                                  environment_.keys());
  }

  Status RenewLog(ManifestState* state) {
    VARVE_ASSIGN(const auto log, Log::Open(LogFolder(path_), {.keys = environment_.keys()}, {}, {},
                                           environment_.ForLog()));
    state->database_id = log->stats().id;
    state->log_floor = state->log_durable = {};
    VARVE_TRY(log->Close());
    return Publish(state);
  }

  std::string Describe() const {
    std::string text = fmt::format("repair of a varve database, at {}\n\ndamage\n",
                                   TimeText(environment_.clock()->Now()));
    for (const Damage& damage : report_.damages) {
      text += fmt::format("{}: offset {}: {}\n", damage.file, damage.offset, damage.message);
    }
    text += "\nset aside\n";
    for (const std::string& file : report_.files) text += file + "\n";
    return text;
  }

  const std::string path_;
  const RepairOptions options_;
  Environment environment_;
  std::shared_ptr<const ManifestState> before_;  // the newest that can be proved
  std::shared_ptr<const ManifestState> state_;   // without what is lost
  std::uint64_t newest_number_ = 0;
  bool manifest_damaged_ = false;
  std::map<std::uint32_t, RepairedTable> tables_;  // those that lost something
  CommitNumber times_lost_;                        // of flushes up to this commit; zero: none
  std::uint64_t next_run_id_ = 1;
  std::vector<std::string> manifests_, log_files_;  // to be set aside
  std::string aside_;                               // "set-aside/<number>"
  RepairReport report_;
};

}  // namespace

Result<RepairReport> RepairDatabase(const std::string& path, const RepairOptions& options,
                                    const Components& components) {
  return Repairer(path, options, components).Run();
}

}  // namespace varve
