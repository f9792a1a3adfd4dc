// SPDX-License-Identifier: Apache-2.0
// Verify: reads everything a database must trust and lists what is wrong, changing nothing.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "columns/expiry.h"
#include "engine/commit_record.h"
#include "engine/copy_target.h"
#include "engine/environment.h"
#include "engine/folder.h"
#include "log/log_keys.h"
#include "manifest/manifest.h"
#include "run/open_run.h"
#include "run/run.h"
#include "upkeep/lifetimes.h"
#include "varve/inspect.h"
#include "varve/log.h"
#include "varve/log_reader.h"

namespace varve {
namespace {

class Verifier {
 public:
  Verifier(const std::string& path, const VerifyOptions& options, const Components& components)
      : path_(path), options_(options), environment_(components, path, options.keys) {}

  Result<Verification> Run() {
    const auto info = environment_.files()->Info(path_);
    if (!info && info.error().kind() != ErrorKind::kNotFound) return std::unexpected(info.error());
    const auto none =
        Fail(ErrorKind::kNotFound, fmt::format("there is no database at '{}'", path_));
    if (!info || !info->is_directory) return none;
    VARVE_ASSIGN(const auto manifests, environment_.store()->List("manifest/"));
    if (manifests.empty()) {
      const Status vacant = CheckIsVacant(&environment_, path_);
      if (vacant || vacant.error().kind() != ErrorKind::kCorruption) return none;
      Found(FileOf("manifest"), 0, vacant.error().message());
      return std::move(result_);
    }
    VARVE_ASSIGN(const auto lock,
                 environment_.files()->Lock(LockFile(path_), LockMode::kShared));
    VARVE_TRY(VerifyManifest());
    if (state_ == nullptr) return std::move(result_);
    VARVE_TRY(VerifyRuns());
    VARVE_TRY(VerifyTimes());
    VARVE_TRY(VerifyOrigin());
    VARVE_TRY(VerifyLogFiles());
    if (result_.damages.empty()) VARVE_TRY(VerifyCommits());
    return std::move(result_);
  }

 private:
  using RunPtr = std::shared_ptr<const varve::Run>;

  // The message does not name the file again.
  void Found(std::string file, std::uint64_t offset, std::string message) {
    if (const auto named = file + ": "; message.starts_with(named)) message.erase(0, named.size());
    result_.damages.push_back({std::move(file), offset, std::move(message)});
  }
  std::string FileOf(const std::string& object) const {
    return environment_.store()->Describe(object);
  }
  void Progress() const {
    if (options_.progress) options_.progress(result_.bytes, bytes_total_);
  }

  Status VerifyManifest() {
    const auto found = [this](const std::string& object, std::uint64_t offset,
                              const std::string& what) { Found(FileOf(object), offset, what); };
    Manifest::Counts counts;
    auto state = Manifest::Verify(environment_.store(), found, &counts, environment_.keys());
    result_.manifests = counts.objects;
    result_.manifests_without_key = counts.without_key;
    if (state) {
      state_ = *std::move(state);
      result_.commit = state_->commit;
      return {};
    }
    if (state.error().kind() != ErrorKind::kCorruption) return std::unexpected(state.error());
    if (result_.damages.empty()) Found(FileOf("manifest"), 0, state.error().message());
    return {};
  }

  Status VerifyRuns() {
    std::vector<const TableState*> tables;  // dropped ones too: older versions show them
    for (const auto& [name, table] : state_->tables) tables.push_back(table.get());
    for (const auto& [id, table] : state_->dropped) tables.push_back(table.get());
    for (const auto* table : tables) {
      for (const auto& meta : table->runs) bytes_total_ += meta->data.bytes + meta->deletes.bytes;
    }
    for (const auto* table : tables) {
      for (const auto& meta : table->runs) VARVE_TRY(VerifyRun(*table, meta));
      if (options_.deep) VARVE_TRY(VerifyLifetimes(*table));
    }
    return {};
  }

  RunPtr Find(const TableState& table, const std::shared_ptr<const RunMeta>& meta) {
    return varve::Run::Make(environment_.store(), table.FindSchema(meta->schema_id), meta);
  }

  Status VerifyRun(const TableState& table, const std::shared_ptr<const RunMeta>& known) {
    const RunMeta& meta = *known;
    ++result_.runs;
    const auto run = Find(table, known)->Open();
    if (!run) {
      if (run.error().kind() != ErrorKind::kCorruption) return std::unexpected(run.error());
      const std::string& object = meta.data.name.empty() ? meta.deletes.name : meta.data.name;
      Found(FileOf(object), 0, run.error().message());
      return {};
    }
    const auto sink = [](void* self, const std::string& object, std::uint64_t offset,
                         const std::string& message) {
      auto* verifier = static_cast<Verifier*>(self);
      verifier->Found(verifier->FileOf(object), offset, message);
    };
    VARVE_TRY(run->Verify(options_.deep, this, sink));
    if (options_.deep) {
      result_.rows += meta.data.rows + meta.deletes.rows;
    }
    result_.bytes += meta.data.bytes + meta.deletes.bytes;
    Progress();
    return {};
  }

  // By each time to live that the table has, or had, when a compaction may have dropped rows.
  RunExpiry ExpiryOfRun(const TableState& table, const RunMeta& run) const {
    const WallTime now = std::max(environment_.clock()->Now(), state_->commit_time);
    const TableSchema& shown = *table.FindSchema(run.schema_id);
    RunExpiry expiry;
    const auto add = [&](const TableSchema& schema) {
      if (!schema.lifetime()) return;
      auto live = *schema.time_to_live();
      const int place = shown.FindColumn(schema.lifetime()->column);
      if (place >= 0) live.column = shown.schema()->field(place)->name();
      const auto same = place < 0 ? nullptr : shown.WithTimeToLive(live).value_or(nullptr);
      const auto at = same == nullptr ? std::nullopt : Expiry::At(*same, now);
      if (!at) {
        expiry.any = true;  // files of this shape cannot tell
        return;
      }
      const auto same_column = std::ranges::find(expiry.by, at->column(), &Expiry::column);
      if (same_column == expiry.by.end()) {
        expiry.by.push_back(*at);
      } else if (at->alive_from() > same_column->alive_from()) {
        *same_column = *at;
      }
    };
    add(*table.schema);
    for (const auto& [id, schema] : table.former_schemas) add(*schema);
    return expiry;
  }

  // That each reader sees what was written, whichever runs it takes.
  Status VerifyLifetimes(const TableState& table) {
    std::vector<RunPtr> runs;
    std::map<std::uint64_t, std::string> objects;
    for (const auto& meta : table.runs) {
      runs.push_back(Find(table, meta));
      objects[meta->id] = meta->data.name.empty() ? meta->deletes.name : meta->data.name;
    }
    return IfUndamaged(FindLostVersions(runs, state_->oldest, [&](const LostVersion& lost) {
      const auto seen = lost.seen_commit == 0 ? std::string("no version of it")
                                              : fmt::format("that of commit {}", lost.seen_commit);
      Found(FileOf(objects.at(lost.run_id)), 0,
            fmt::format("key {}: a reader as of commit {} is to see the version of commit {}, but "
                        "the runs that are shown to it have {}",
                        table.schema->key_codec().ToText(lost.key), lost.as_of, lost.commit, seen));
    }, [&](const RunMeta& run) { return ExpiryOfRun(table, run); }));
  }

  // Damages of runs are found where these are verified.
  static Status IfUndamaged(const Status& status) {
    return status || status.error().kind() == ErrorKind::kCorruption ? Status() : status;
  }

  Status VerifyTimes() {
    for (const VersionPoint& version : state_->versions) {
      if (!version.times) continue;
      const auto times = ReadTimes(environment_.store(), version.commit, *version.times);
      if (!times && times.error().kind() == ErrorKind::kUnavailable) {
        return std::unexpected(times.error());
      }
      const auto file = FileOf(TimesName(version.commit));
      if (!times) {
        Found(file, 0, times.error().message());
      } else if ((*times)->At(version.commit) != version.time) {
        Found(file, 0,
              fmt::format("{}: expected commit {} to be of {}, as the manifest says, found {}",
                          file, version.commit.value, TimeText(version.time),
                          TimeText((*times)->At(version.commit))));
      }
      result_.bytes += version.times->bytes;
    }
    Progress();
    return {};
  }

  // Of a backup.
  Status VerifyOrigin() {
    const auto origin = ReadOrigin(environment_.store(), state_->number);
    if (origin || origin.error().kind() == ErrorKind::kNotFound) return {};
    if (origin.error().kind() != ErrorKind::kCorruption) return std::unexpected(origin.error());
    Found(FileOf(OriginName(state_->number)), 0, origin.error().message());
    return {};
  }

  Status VerifyLogFiles() {
    if (environment_.keys() != nullptr) {
      VARVE_TRY(CheckKeysOfLog(environment_.files(), LogFolder(path_), environment_.keys()));
    }
    auto log = VerifyLog(LogFolder(path_), environment_.ForLog(), environment_.keys());
    if (!log && log.error().kind() == ErrorKind::kNotFound) {
      Found(LogFolder(path_), 0, LostLog(path_).message());
      return {};
    }
    if (!log) return std::unexpected(std::move(log).error());
    for (LogDamage& damage : log->damages) {
      Found(JoinPath(LogFolder(path_), damage.file), damage.offset, std::move(damage.message));
    }
    result_.log_segments = log->report.segments;
    result_.log_units = log->report.units;
    result_.torn_bytes = log->report.torn_bytes;
    result_.bytes += log->report.bytes;
    Progress();
    return {};
  }

  // The log's frames are sound; now what they mean: numbers without a gap, tables that exist, and
  // with deep batches that decode.
  Status VerifyCommits() {
    CommitNumber last = state_->commit;
    const auto visit = [&](const LogUnit& unit) -> Status {
      VARVE_ASSIGN(const DecodedCommit commit, DecodeCommit(unit.records));
      const CommitNumber number = commit.header.commit;
      if (number <= state_->commit) return {};
      if (number.value != last.value + 1) {
        return Fail(ErrorKind::kCorruption, fmt::format("LSN {}: commit {} follows commit {}",
                                                        unit.lsn.value, number.value, last.value));
      }
      for (const DecodedPart& part : commit.parts) VARVE_TRY(VerifyPart(part, number));
      last = number;
      return {};
    };
    const auto log = Log::Open(LogFolder(path_),
                               {.keys = environment_.keys(), .read_only = true,
                                .id = state_->database_id},
                               visit,
                               {.replay_from = state_->log_floor,
                                .known_durable = state_->log_durable},
                               environment_.ForLog());
    if (!log && log.error().kind() == ErrorKind::kCorruption) {
      Found(LogFolder(path_), 0, log.error().message());
    } else if (!log && log.error().kind() == ErrorKind::kNotFound) {
      Found(LogFolder(path_), 0, LostLog(path_).message());
    } else if (!log) {
      return std::unexpected(log.error());
    }
    result_.commit = last;
    return {};
  }

  Status VerifyPart(const DecodedPart& part, CommitNumber number) {
    const TableState* table = state_->FindTable(part.table_id);
    if (table == nullptr || table->schema_id != part.schema_id) {
      return Fail(ErrorKind::kCorruption,
                  fmt::format("commit {} writes table {} with schema {}, which the manifest does "
                              "not have",
                              number.value, part.table_id, part.schema_id));
    }
    if (!options_.deep) return {};
    VARVE_ASSIGN(const WriteBatch batch, DecodePart(part, *table->schema));
    result_.rows += static_cast<std::uint64_t>(batch.rows->num_rows());
    return {};
  }

  const std::string path_;
  const VerifyOptions options_;
  Environment environment_;
  std::shared_ptr<const ManifestState> state_;
  std::uint64_t bytes_total_ = 0;
  Verification result_;
};

}  // namespace

Result<Verification> VerifyDatabase(const std::string& path, const VerifyOptions& options,
                                    const Components& components) {
  return Verifier(path, options, components).Run();
}

}  // namespace varve
