// SPDX-License-Identifier: Apache-2.0
#include "engine/copy_target.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <utility>
#include <vector>

#include "base/crc32c.h"
#include "base/result.h"
#include "engine/lease.h"
#include "manifest/manifest_read.h"
#include "upkeep/flush.h"
#include "upkeep/retire.h"
#include "varve/log.h"
#include "varve/log_reader.h"

namespace varve {
namespace {

constexpr std::string_view kOriginPrefix = "origin/";
// Files that the target makes by itself are named so far after the source's that these two do not
// meet as long as the source makes fewer files.
constexpr std::uint64_t kRunIdsLeft = 1ull << 40;

std::string EncodeOrigin(const Origin& origin) {
  std::string text = fmt::format("varve origin 1\ndatabase {}\ncommit {}\nlog {}\n",
                                 origin.database_id, origin.commit.value, origin.log_floor.value);
  return text + fmt::format("crc32c {:08x}\n", Crc32c(text));
}

std::optional<std::uint64_t> NumberAfter(std::string_view text, std::string_view word) {
  const auto at = text.find(word);
  if (at == std::string_view::npos) return std::nullopt;
  const char* const begin = text.data() + at + word.size();
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(begin, text.data() + text.size(), value);
  if (error != std::errc() || end == begin) return std::nullopt;
  return value;
}

std::optional<Origin> DecodeOrigin(const std::string& text) {
  constexpr std::string_view kDatabase = "\ndatabase ";
  const auto database = text.find(kDatabase);
  const auto commit = NumberAfter(text, "\ncommit ");
  const auto log = NumberAfter(text, "\nlog ");
  if (database == std::string::npos || !commit || !log) return std::nullopt;
  Origin origin{text.substr(database + kDatabase.size(), 32), {*commit}, {*log}};
  if (EncodeOrigin(origin) != text) return std::nullopt;
  return origin;
}

std::string Plain(const std::string& path) {
  std::error_code ignored;
  const auto whole = std::filesystem::weakly_canonical(path, ignored);  // through links
  auto text = (ignored ? std::filesystem::path(path) : whole).lexically_normal().string();
  while (text.size() > 1 && text.back() == '/') text.pop_back();
  return text;
}

std::string_view NounOf(CopyKind kind) {
  switch (kind) {
    case CopyKind::kBackup: return "backup";
    case CopyKind::kClone: return "clone";
    case CopyKind::kRestore: break;
  }
  return "restored database";
}

// Every table, those that were dropped too.
std::vector<const TableState*> TablesOf(const ManifestState& state) {
  std::vector<const TableState*> tables;
  for (const auto& [name, table] : state.tables) tables.push_back(table.get());
  for (const auto& [id, table] : state.dropped) tables.push_back(table.get());
  return tables;
}

// What varve itself gives a file of data or times.
bool IsNameOfOurs(std::string_view name) { return RunIdOf(name).has_value() || IsTimesName(name); }

bool IsSame(const RunObject& a, const RunObject& b) {
  return a.bytes == b.bytes && a.rows == b.rows && a.data_bytes == b.data_bytes &&
         a.tail_crc32c == b.tail_crc32c;
}

}  // namespace

std::string OriginName(std::uint64_t number) {
  return fmt::format("{}{:020}", kOriginPrefix, number);
}

Result<Origin> ReadOrigin(ObjectStore* store, std::uint64_t number) {
  const std::string name = OriginName(number);
  VARVE_ASSIGN(const std::string text, store->Get(name));
  const auto origin = DecodeOrigin(text);
  if (origin) return *origin;
  return Fail(ErrorKind::kCorruption,
              fmt::format("{}: expected what database this is a backup of, with a checksum, found "
                          "something else; make a new backup, in a new folder",
                          store->Describe(name)));
}

CopyTarget::CopyTarget(const Environment* source, std::string source_path, std::string path,
                       CopyKind kind)
    : source_(source),
      source_path_(std::move(source_path)),
      path_(std::move(path)),
      kind_(kind),
      environment_({.files = source->files(), .store = nullptr, .clock = source->clock(),
                    .random = source->random(), .executor = source->executor(),
                    .trace = source->trace()},
                   path_, source->keys()) {}

Result<std::unique_ptr<CopyTarget>> CopyTarget::Open(const Environment* source,
                                                     const std::string& source_path,
                                                     const std::string& database_id,
                                                     CommitNumber newest, const std::string& path,
                                                     CopyKind kind) {
  std::unique_ptr<CopyTarget> target(new CopyTarget(source, source_path, path, kind));
  VARVE_TRY(target->CheckPlace());
  VARVE_TRY(target->LookInside(database_id, newest));
  return target;
}

Status CopyTarget::CheckPlace() const {
  const std::string from = Plain(source_path_);
  const std::string to = Plain(path_);
  if (to == from) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("'{}' is the database itself; give another folder", path_));
  }
  if (to.starts_with(from + "/")) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("'{}' lies inside of the database '{}'; give a folder outside of it",
                            path_, source_path_));
  }
  return {};
}

// What is there already, under a lock where there is something.
Status CopyTarget::LookInside(const std::string& database_id, CommitNumber newest) {
  const auto info = environment_.files()->Info(path_);
  if (!info) {
    return info.error().kind() == ErrorKind::kNotFound ? Status()
                                                       : std::unexpected(info.error());
  }
  if (!info->is_directory) {
    return Fail(ErrorKind::kInvalid, fmt::format("'{}' is a file; give a folder", path_));
  }
  VARVE_ASSIGN(const auto manifests, ListManifests(store()));
  if (manifests.empty()) return CheckIsFree();
  if (kind_ != CopyKind::kBackup) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("'{}' holds a database; a {} is made in a new or empty folder", path_,
                            NounOf(kind_)));
  }
  VARVE_ASSIGN(lock_, environment_.files()->Lock(LockFile(path_), LockMode::kExclusive));
  VARVE_ASSIGN(const auto manifest, Manifest::Open(store(), environment_.keys()));
  before_ = manifest->state();
  VARVE_TRY(CheckIsBackupOf(database_id, newest));
  return CheckNoCommits();
}

Status CopyTarget::CheckIsFree() const {
  VARVE_ASSIGN(const auto entries, environment_.files()->List(path_));
  const auto named = [&](std::string_view name) {
    return std::ranges::any_of(entries, [&](const FileInfo& entry) { return entry.name == name; });
  };
  if (named(kUnfinishedName)) return {};
  for (const FileInfo& entry : entries) {
    if (entry.name == "LOCK" || entry.name == "tmp") continue;  // of a copy that had just begun
    return Fail(ErrorKind::kInvalid,
                fmt::format("the folder '{}' holds '{}'; a {} is made in a new or empty folder{}",
                            path_, entry.name, NounOf(kind_),
                            kind_ == CopyKind::kBackup ? ", or in an earlier backup of the same "
                                                         "database"
                                                       : ""));
  }
  return {};
}

Status CopyTarget::CheckIsBackupOf(const std::string& database_id,
                                   CommitNumber newest) const {
  const auto origin = ReadOrigin(store(), before_->number);
  if (!origin && origin.error().kind() != ErrorKind::kNotFound) {
    return std::unexpected(origin.error());
  }
  if (!origin || origin->database_id != database_id) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("'{}' holds {}; give a new folder, or that of an earlier backup of "
                            "this database",
                            path_,
                            origin ? "a backup of another database"
                                   : "a database that is no backup, or was written to since it "
                                     "was one"));
  }
  if (origin->commit != before_->commit) {  // it was written for a manifest that was never there
    return Fail(ErrorKind::kInvalid,
                fmt::format("'{}' was written to since it was a backup; give a new folder, or that "
                            "of an earlier backup of this database",
                            path_));
  }
  if (origin->commit > newest) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("the backup in '{}' has commits up to {}, this database up to {}: it "
                            "went back to an earlier point since; give a new folder",
                            path_, origin->commit.value, newest.value));
  }
  return {};
}

// Whoever opened the backup and wrote to it made a database of it.
Status CopyTarget::CheckNoCommits() const {
  VARVE_ASSIGN(const auto cursor,
               LogCursor::Open(LogFolder(path_),
                               {.from = before_->log_floor,
                                .keys = environment_.keys(),
                                .id = before_->database_id},
                               const_cast<Environment&>(environment_).ForLog()));
  VARVE_ASSIGN(const auto unit, cursor->Next());
  if (!unit) return {};
  return Fail(ErrorKind::kInvalid,
              fmt::format("'{}' was written to since it was a backup; give a new folder", path_));
}

// What a crash left has ids too.
std::uint64_t CopyTarget::FreeRunId(const ManifestState& state) const {
  std::uint64_t next = state.next_run_id;
  if (before_ != nullptr) next = std::max(next, before_->next_run_id);
  next += kRunIdsLeft;
  for (const auto& [name, bytes] : there_) {
    if (const auto id = RunIdOf(name)) next = std::max(next, *id + 1);
  }
  return next;
}

Status CopyTarget::Begin() {
  VARVE_TRY(environment_.files()->CreateDirectories(path_));
  if (lock_ == nullptr) {
    VARVE_ASSIGN(lock_, environment_.files()->Lock(LockFile(path_), LockMode::kExclusive));
    VARVE_TRY(CheckIsFree());  // again, now that nobody else can write here
  }
  VARVE_TRY(RemoveLeftovers(environment_.files(), path_));
  if (before_ == nullptr) {
    VARVE_TRY(store()->Put(std::string(kUnfinishedName),
                           fmt::format("a {} was begun here and is not complete\n",
                                       NounOf(kind_))));
    VARVE_ASSIGN(const auto log, Log::Open(LogFolder(path_), {.keys = environment_.keys()}, {}, {},
                                           environment_.ForLog()));
    log_id_ = log->stats().id;
    VARVE_TRY(log->Close());
  } else {
    log_id_ = before_->database_id;
    for (const TableState* table : TablesOf(*before_)) {
      for (const auto& run : table->runs) {
        named_[run->data.name] = run->data;
        named_[run->deletes.name] = run->deletes;
      }
    }
    for (const VersionPoint& version : before_->versions) {
      if (version.times) times_[TimesName(version.commit)] = *version.times;
    }
  }
  return {};
}

// What came since the last list by other ways than CopyFiles is of a round that was not finished.
Status CopyTarget::ListFiles() {
  for (const std::string_view prefix : {std::string_view("data/"), kTimesPrefix}) {
    VARVE_ASSIGN(const auto objects, store()->List(std::string(prefix)));
    for (const ObjectInfo& object : objects) {
      const bool is_new = there_.emplace(object.name, object.size).second;
      if (!listed_ || !is_new || !IsNameOfOurs(object.name)) continue;
      VARVE_TRY(store()->Delete(object.name));
      there_.erase(object.name);
    }
  }
  listed_ = true;
  return {};
}

// True: it is, with these bytes. What no manifest names is not trusted, but made anew.
Result<bool> CopyTarget::IsThere(const std::string& name, std::uint64_t bytes, bool same) const {
  const auto at = there_.find(name);
  const bool named = named_.contains(name) || times_.contains(name);
  if (named && !same) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("{}: the backup has another file of this name than the database: their "
                            "histories differ; give a new folder",
                            store()->Describe(name)));
  }
  return named && at != there_.end() && at->second == bytes;
}

// What a crash, or somebody else, left under the name.
Status CopyTarget::MakeRoom(const std::string& name) {
  return there_.contains(name) ? store()->Delete(name) : Status();
}

Status CopyTarget::Link(const std::string& name) {
  Files* const files = environment_.files();
  const std::string to = JoinPath(path_, name);
  VARVE_TRY(MakeRoom(name));
  VARVE_TRY(files->CreateDirectories(ParentPath(to)));
  VARVE_TRY(files->Link(JoinPath(source_path_, name), to));
  return files->SyncDirectory(ParentPath(to));
}

Status CopyTarget::CopyRunObject(const OpenRun* run, OpenRun::ObjectKind kind,
                                 const RunObject& object, bool link) {
  const auto named = named_.find(object.name);
  VARVE_ASSIGN(const bool there, IsThere(object.name, object.bytes,
                                         named != named_.end() && IsSame(named->second, object)));
  ++info_.files;
  if (copied_.contains(object.name)) return {};  // in a round before
  if (there || link) {
    if (!there) VARVE_TRY(Link(object.name));
    there_[object.name] = object.bytes;
    named_[object.name] = object;
    ++info_.files_reused;
    info_.bytes_reused += object.bytes;
    return {};
  }
  VARVE_TRY(MakeRoom(object.name));
  VARVE_ASSIGN(const auto writer, store()->NewWriter(object.name));
  VARVE_TRY(run->CopyObject(kind, [&](std::string_view bytes) {
    info_.bytes_copied += bytes.size();
    if (progress_) progress_(info_.bytes_copied + info_.bytes_reused, bytes_total_);
    return writer->Append(bytes);
  }));
  VARVE_TRY(writer->Finish());
  copied_.insert(object.name);
  there_[object.name] = object.bytes;
  named_[object.name] = object;
  return {};
}

Status CopyTarget::CopyRun(const TableState& table, const std::shared_ptr<const RunMeta>& meta,
                           bool link) {
  const auto is_there = [&](const RunObject& object) {
    const auto at = there_.find(object.name);
    return object.name.empty() ||
           (named_.contains(object.name) && at != there_.end() && at->second == object.bytes);
  };
  std::optional<OpenRun> run;
  if (!link && !(is_there(meta->data) && is_there(meta->deletes))) {
    const auto found =
        Run::Make(source_->store(), table.FindSchema(meta->schema_id), meta);
    VARVE_ASSIGN(run, found->Open());
  }
  const OpenRun* const open = run ? &*run : nullptr;
  if (!meta->data.name.empty()) {
    VARVE_TRY(CopyRunObject(open, OpenRun::ObjectKind::kData, meta->data, link));
  }
  if (meta->deletes.name.empty()) return {};
  return CopyRunObject(open, OpenRun::ObjectKind::kDeletes, meta->deletes, link);
}

Status CopyTarget::CopyTimes(CommitNumber commit, const TimesObject& times) {
  const std::string name = TimesName(commit);
  const auto named = times_.find(name);
  bool same = named != times_.end() && named->second == times;
  // Made by the backup itself: under a key of its own, or of more commits at once.
  if (named != times_.end() && !same) {
    VARVE_ASSIGN(const auto ours, ReadTimes(store(), commit, named->second));
    VARVE_ASSIGN(const auto theirs, ReadTimes(source_->store(), commit, times));
    same = ours->Covers(*theirs);
  }
  VARVE_ASSIGN(const bool there,
               IsThere(name, same && named != times_.end() ? named->second.bytes : times.bytes,
                       same));
  ++info_.files;
  if (copied_.contains(name)) return {};
  if (there) {
    ++info_.files_reused;
    info_.bytes_reused += times.bytes;
    return {};
  }
  VARVE_TRY(ReadTimes(source_->store(), commit, times));  // the bytes are what the manifest says
  VARVE_ASSIGN(const std::string bytes, source_->store()->Get(name));
  info_.bytes_copied += bytes.size();
  VARVE_TRY(store()->Put(name, bytes));
  copied_.insert(name);
  there_[name] = bytes.size();
  times_[name] = times;
  return {};
}

Status CopyTarget::CopyFiles(const ManifestState& state, bool link, const CopyProgress& progress) {
  VARVE_TRY(ListFiles());
  progress_ = progress;
  bytes_total_ = info_.files = info_.files_reused = info_.bytes_reused = 0;
  for (const TableState* table : TablesOf(state)) {
    for (const auto& run : table->runs) bytes_total_ += run->data.bytes + run->deletes.bytes;
  }
  for (const TableState* table : TablesOf(state)) {
    for (const auto& run : table->runs) VARVE_TRY(CopyRun(*table, run, link));
  }
  for (const VersionPoint& version : state.versions) {
    if (version.times) VARVE_TRY(CopyTimes(version.commit, *version.times));
  }
  return {};
}

Status CopyTarget::Finish(const ManifestState& state, const Origin& origin, bool keep_old) {
  VARVE_ASSIGN(const auto manifests, ListManifests(store()));
  ManifestState own = state;
  own.database_id = log_id_;
  own.number = state.number + 1;
  if (!manifests.empty()) own.number = std::max(own.number, manifests.back().number + 1);
  own.log_floor = own.log_durable = before_ == nullptr ? Lsn{} : before_->log_floor;
  for (VersionPoint& version : own.versions) {
    const auto named = times_.find(TimesName(version.commit));
    if (!version.times || named == times_.end()) continue;
    const CommitNumber first = version.times->first;
    version.times = named->second;
    version.times->first = first;
  }
  // Tags of commits that this copy does not have.
  std::erase_if(own.tags, [&](const auto& tag) { return tag.second.commit > state.commit; });
  if (kind_ == CopyKind::kBackup) {
    VARVE_TRY(store()->Put(OriginName(own.number), EncodeOrigin(origin)));
  }
  VARVE_TRY(Manifest::PublishAlone(store(), own, environment_.clock()->Now(),
                                   environment_.keys()));
  info_.commit = state.commit;
  info_.commit_time = state.commit_time;
  return RemoveOld(own, keep_old);
}

// The oldest manifests first, as always; each after what it is of no use without would be wrong.
// While somebody reads the copy as it was, all of that stays: the next one removes it.
Status CopyTarget::RemoveOld(const ManifestState& state, bool keep_old) {
  VARVE_ASSIGN(const auto leases, HeldLeases(environment_.files(), path_));
  if (!leases.empty()) return store()->Delete(std::string(kUnfinishedName));
  VARVE_ASSIGN(const auto manifests, ListManifests(store()));
  for (const auto& manifest : manifests) {
    if (manifest.number < state.number) VARVE_TRY(store()->Delete(manifest.info.name));
  }
  VARVE_ASSIGN(const auto origins, store()->List(std::string(kOriginPrefix)));
  for (const ObjectInfo& origin : origins) {
    if (kind_ != CopyKind::kBackup || origin.name != OriginName(state.number)) {
      VARVE_TRY(store()->Delete(origin.name));
    }
  }
  if (!keep_old) {
    std::set<std::string> needed;
    for (const TableState* table : TablesOf(state)) {
      for (const auto& run : table->runs) {
        for (const std::string& name : ObjectsOf(*run)) needed.insert(name);
      }
    }
    for (const VersionPoint& version : state.versions) {
      if (version.times) needed.insert(TimesName(version.commit));
    }
    for (const auto& [name, bytes] : there_) {
      if (needed.contains(name) || !IsNameOfOurs(name)) continue;
      VARVE_TRY(store()->Delete(name));
      ++info_.files_removed;
    }
  }
  return store()->Delete(std::string(kUnfinishedName));
}

}  // namespace varve
