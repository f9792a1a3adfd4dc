// SPDX-License-Identifier: Apache-2.0
#include "manifest/manifest.h"

#include <algorithm>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "base/result.h"
#include "manifest/manifest_cipher.h"
#include "manifest/manifest_codec.h"
#include "manifest/manifest_read.h"
#include "manifest/state_editor.h"

namespace varve {
namespace {

constexpr std::uint64_t kHeadBytesMax = 1024;  // an encrypted object's first line is shorter

enum class Outcome : std::uint8_t {
  kPublished,  // there, ours, durable
  kTaken,      // there, somebody else's
  kNotKept,    // certainly not there, now or later
  kUnknown,
};
struct Publication {
  Outcome outcome;
  std::optional<Error> cause;  // absent when published
};

// A put that failed may have been done. What is there now tells, except that a name which can be
// read need not be durable (a failed sync of the folder): putting the same bytes again, which
// harms nobody, makes it so or says that it cannot be known.
Publication ReadBack(ObjectStore* store, const std::string& name, const std::string& bytes,
                     Error cause) {
  auto found = store->Get(name);
  if (found && *found == bytes) {
    if (auto again = store->Put(name, bytes); !again) {
      return {Outcome::kUnknown, std::move(again).error()};
    }
    return {Outcome::kPublished, std::nullopt};
  }
  if (found) return {Outcome::kTaken, std::move(cause)};
  const bool absent = found.error().kind() == ErrorKind::kNotFound;
  const bool refused = cause.reason() == ErrorReason::kNoSpace ||
                       cause.reason() == ErrorReason::kPermission;
  return {absent && refused ? Outcome::kNotKept : Outcome::kUnknown, std::move(cause)};
}

Publication Publish(ObjectStore* store, const std::string& name, const std::string& bytes) {
  auto put = store->PutIfAbsent(name, bytes);
  if (put) return {Outcome::kPublished, std::nullopt};
  return ReadBack(store, name, bytes, std::move(put).error());
}

// Nothing plain becomes part of an encrypted database, nor the other way round.
Status CheckEncryption(const Edit& edit, bool encrypted) {
  const auto check = [&](const std::string& name, const std::string& file_key) -> Status {
    if (name.empty() || file_key.empty() != encrypted) return {};
    return Fail(ErrorKind::kInvalid,
                fmt::format("{} is {}encrypted, the database {}", name,
                            file_key.empty() ? "not " : "", encrypted ? "is" : "is not"));
  };
  if (const auto* added = std::get_if<AddRunEdit>(&edit)) {
    VARVE_TRY(check(added->run->data.name, added->run->data.file_key));
    return check(added->run->deletes.name, added->run->deletes.file_key);
  }
  if (const auto* times = std::get_if<AddTimesEdit>(&edit)) {
    return check(TimesName(times->commit), times->times.file_key);
  }
  return {};
}

Error UnknownOutcome(const std::string& where, const std::string& why) {
  return Error(ErrorKind::kUnavailable,
               fmt::format("{}: it is not known whether this manifest was published ({}); reopen "
                           "the database to learn it",
                           where, why),
               ErrorReason::kUnknownOutcome);
}

}  // namespace

const TableState* ManifestState::FindTable(std::uint32_t id) const {
  for (const auto& [name, table] : tables) {
    if (table->id == id) return table.get();
  }
  return nullptr;
}

FormerShape TableState::ShapeAt(CommitNumber commit) const {
  for (const FormerShape& shape : former) {
    if (commit < shape.until) return shape;
  }
  return {.until = dropped, .name = name, .schema_id = schema_id};
}

std::shared_ptr<const TableSchema> TableState::FindSchema(std::uint32_t wanted) const {
  if (wanted == schema_id) return schema;
  const auto at = former_schemas.find(wanted);
  return at == former_schemas.end() ? nullptr : at->second;
}

// One search for each level that there is.
RunMetaList::const_iterator TableState::FindRun(std::uint64_t run_id) const {
  std::uint32_t level = 0;
  while (true) {
    const auto at = runs.PartitionPoint([&](const auto& run) {
      return run->level < level || (run->level == level && run->id < run_id);
    });
    if (at == runs.end() || ((*at)->level == level && (*at)->id == run_id)) return at;
    const auto next = runs.PartitionPoint([&](const auto& run) { return run->level <= level; });
    if (next == runs.end()) return next;
    level = (*next)->level;
  }
}

CommitNumber TableState::altered() const {
  std::uint32_t after = schema_id;
  for (auto shape = former.rbegin(); shape != former.rend(); ++shape) {
    if (shape->schema_id != after) return shape->until;
  }
  return {};
}

Manifest::Manifest(ObjectStore* store, KeyProvider* keys,
                   std::shared_ptr<const ManifestState> state, std::uint32_t newest_crc32c,
                   std::string newest_key_id, const Checkpoints& checkpoints)
    : store_(store),
      keys_(keys),
      object_bytes_max_(kManifestBytesMax),
      newest_crc32c_(newest_crc32c),
      newest_key_id_(std::move(newest_key_id)),
      checkpoints_(checkpoints),
      state_(std::move(state)) {}

Status Manifest::Create(ObjectStore* store, const std::string& database_id, WallTime now,
                        KeyProvider* keys) {
  VARVE_TRY(CheckDatabaseId(database_id));
  VARVE_ASSIGN(const auto objects, ListManifests(store));
  if (!objects.empty()) {
    return Fail(ErrorKind::kConflict,
                fmt::format("{}: a database is here already; open it, or choose another place",
                            store->Describe(objects.back().info.name)),
                ErrorReason::kAlreadyExists);
  }
  ManifestState state;
  state.database_id = database_id;
  state.number = 1;
  const auto name = ManifestName(1);
  auto bytes = EncodeManifest(state, {}, 0, now, CheckpointPlace::ByNumber(1));
  if (keys != nullptr) {
    VARVE_ASSIGN(const auto key, MakeManifestKey(keys, state.number));
    VARVE_ASSIGN(bytes, EncryptManifest(key, state.number, bytes));
  }
  auto published = Publish(store, name, bytes);
  const auto where = store->Describe(name);
  switch (published.outcome) {
    case Outcome::kPublished: return {};
    case Outcome::kTaken:
      return Fail(ErrorKind::kConflict,
                  where + ": another process made a database here at this moment; open it",
                  ErrorReason::kAlreadyExists);
    case Outcome::kNotKept: return std::unexpected(published.cause->Within(where));
    case Outcome::kUnknown: break;
  }
  return std::unexpected(UnknownOutcome(where, published.cause->message()));
}

Result<std::unique_ptr<Manifest>> Manifest::Open(ObjectStore* store, KeyProvider* keys) {
  VARVE_ASSIGN(const auto listed, ListManifests(store));
  if (listed.empty()) {
    return Fail(ErrorKind::kNotFound,
                fmt::format("{}: there is no manifest, so no database here; create one, or check "
                            "the path",
                            store->Describe(std::string(kManifestPrefix))));
  }
  // Back from the newest to the checkpoint, then forward from there.
  std::vector<StoredManifest> objects;
  for (auto at = listed.rbegin();; ++at) {
    if (at == listed.rend() || (!objects.empty() && at->number + 1 != objects.back().number)) {
      return std::unexpected(MissingManifest(store, objects.back().number - 1));
    }
    VARVE_ASSIGN(auto object, ReadManifest(store, keys, *at));
    objects.push_back(std::move(object));
    if (objects.back().object.checkpoint != nullptr) break;
  }
  std::shared_ptr<const ManifestState> state;
  std::uint32_t crc = 0;
  Checkpoints checkpoints{.newest = objects.back().number, .before = 0, .lines_since = 0};
  const std::uint64_t said = objects.back().object.header.checkpoint_before;
  checkpoints.before = said != 0 ? said : CheckpointBefore(checkpoints.newest);
  for (auto at = objects.rbegin(); at != objects.rend(); ++at) {
    if (state != nullptr) {
      VARVE_TRY(CheckFollowsCheckpoint(store, *at, checkpoints.newest));
      checkpoints.lines_since += LinesOfObject(at->object.edits.size());
    }
    VARVE_ASSIGN(state, Continue(store, state.get(), crc, *at));
    crc = at->crc32c;
  }
  std::unique_ptr<Manifest> manifest(
      new Manifest(store, keys, std::move(state), crc, objects.front().key_id, checkpoints));
  manifest->newest_alone_ = objects.front().object.StandsAlone();
  return manifest;
}

Status Manifest::CheckKeys(ObjectStore* store, KeyProvider* keys) {
  VARVE_ASSIGN(const auto listed, ListManifests(store));
  if (listed.empty()) return {};
  const ObjectInfo& newest = listed.back().info;
  if (keys == nullptr) {  // one line tells: a plain database pays no more
    const auto head = store->GetRange(newest.name, 0, std::min(newest.size, kHeadBytesMax));
    if (!head || !IsEncryptedManifest(*head)) return {};
  }
  const auto read = ReadManifest(store, keys, listed.back());
  if (read || read.error().kind() == ErrorKind::kCorruption) return {};
  return std::unexpected(read.error());
}

bool Manifest::IsCheckpointDue(const ManifestState& after, std::size_t edits) const {
  return IsCheckpointNumber(after.number) &&
         checkpoints_.lines_since + LinesOfObject(edits) >= LinesOf(after);
}

// The next object's bytes, and the id of the key that they are encrypted with.
Result<std::string> Manifest::Encode(const ManifestState& after, const std::vector<Edit>& edits,
                                     WallTime now, std::string* key_id, bool* checkpoint) {
  *checkpoint = IsCheckpointDue(after, edits.size());
  const auto encode = [&] {
    return EncodeManifest(after, edits, newest_crc32c_, now, {*checkpoint, checkpoints_.newest});
  };
  // A state that is too large for one object goes on by edits.
  const auto encode_some = [&](std::uint64_t bytes_max) {
    std::string bytes = encode();
    if (!*checkpoint || bytes.size() <= bytes_max) return bytes;
    *checkpoint = false;
    return encode();
  };
  if (keys_ == nullptr) return encode_some(object_bytes_max_);
  VARVE_ASSIGN(DataKey key, MakeManifestKey(keys_, after.number));
  *key_id = key.key_id;
  const bool new_key = key.key_id != newest_key_id_;  // from here on the one before is not needed
  *checkpoint = *checkpoint || new_key;
  auto bytes = EncryptManifest(key, after.number,
                               new_key ? encode() : encode_some(object_bytes_max_ - kHeadBytesMax));
  Wipe(&key.key);
  return bytes;
}

std::shared_ptr<const ManifestState> Manifest::state() const {
  std::lock_guard lock(state_mutex_);
  return state_;
}

// A repair makes another database of one, under the same name.
Status Manifest::CheckIsOf(const ManifestState& before, const ManifestState& after) const {
  if (before.database_id == after.database_id) return {};
  return Fail(ErrorKind::kConflict,
              fmt::format("{}: database {} was put in place of {} since that was opened; open it "
                          "again",
                          store_->Describe(ManifestName(after.number)), after.database_id,
                          before.database_id));
}

// The object after the newest that is known; false when there is none yet.
Result<bool> Manifest::TakeNext() {
  const auto before = state();
  const auto name = ManifestName(before->number + 1);
  const auto info = store_->Head(name);
  if (!info && info.error().kind() == ErrorKind::kNotFound) return false;
  if (!info) return std::unexpected(info.error());
  VARVE_ASSIGN(auto next, ReadManifest(store_, keys_, {before->number + 1, *info}));
  const bool alone = next.object.StandsAlone();
  VARVE_ASSIGN(auto after, Continue(store_, alone ? nullptr : before.get(), newest_crc32c_, next));
  VARVE_TRY(CheckIsOf(*before, *after));
  newest_crc32c_ = next.crc32c;
  newest_alone_ = alone;
  newest_key_id_ = std::move(next.key_id);
  std::lock_guard state_lock(state_mutex_);
  state_ = std::move(after);
  return true;
}

Result<bool> Manifest::Refresh() {
  std::lock_guard commit_lock(commit_mutex_);
  const auto before = state();
  for (bool more = true; more;) {
    VARVE_ASSIGN(more, TakeNext());
  }
  if (state()->number != before->number) return true;
  if (newest_alone_) {
    VARVE_ASSIGN(const auto listed, ListManifests(store_));
    if (!listed.empty() && listed.back().number == before->number) return false;
  } else {
    // The oldest go first: where the newest known is still there, so is every one after it.
    const auto known = store_->Head(ManifestName(before->number));
    if (known) return false;
    if (known.error().kind() != ErrorKind::kNotFound) return std::unexpected(known.error());
  }
  VARVE_ASSIGN(const auto anew, Open(store_, keys_));
  if (anew->state()->number <= before->number) {
    return std::unexpected(MissingManifest(store_, before->number));
  }
  VARVE_TRY(CheckIsOf(*before, *anew->state()));
  newest_crc32c_ = anew->newest_crc32c_;
  newest_alone_ = anew->newest_alone_;
  newest_key_id_ = anew->newest_key_id_;
  std::lock_guard state_lock(state_mutex_);
  state_ = anew->state();
  return true;
}

Result<std::shared_ptr<const ManifestState>> Manifest::Commit(const std::vector<Edit>& edits,
                                                              WallTime now) {
  std::lock_guard commit_lock(commit_mutex_);
  const auto before = state();
  const auto name = ManifestName(before->number + 1);
  const auto where = store_->Describe(name);
  if (!broken_.empty()) return std::unexpected(UnknownOutcome(where, broken_));
  if (edits.empty()) return Fail(ErrorKind::kInvalid, where + ": there is no edit to publish");
  StateEditor editor(*before);
  for (std::size_t i = 0; i < edits.size(); ++i) {
    auto applied = editor.Apply(edits[i]);
    if (applied) applied = CheckEncryption(edits[i], keys_ != nullptr);
    if (!applied) {
      return std::unexpected(applied.error().Within(
          fmt::format("{}: edit {} of {} was refused", where, i + 1, edits.size())));
    }
  }
  auto after = std::make_shared<const ManifestState>(editor.Finish(before->number + 1));
  std::string key_id;
  bool checkpoint = false;
  auto encoded = Encode(*after, edits, now, &key_id, &checkpoint);
  if (!encoded) return std::unexpected(encoded.error().Within(where));
  const std::string bytes = *std::move(encoded);
  if (bytes.size() > object_bytes_max_) {
    return Fail(ErrorKind::kInvalid, fmt::format("{}: expected at most {} bytes, the edits need {}",
                                                 where, object_bytes_max_, bytes.size()));
  }
  auto published = Publish(store_, name, bytes);
  switch (published.outcome) {
    case Outcome::kPublished: break;
    case Outcome::kTaken:
      return Fail(ErrorKind::kConflict,
                  where + ": another writer published this manifest first, so this one no longer "
                          "writes here; reopen the database");
    case Outcome::kNotKept: return std::unexpected(published.cause->Within(where));
    case Outcome::kUnknown:
      broken_ = published.cause->message();
      return std::unexpected(UnknownOutcome(where, broken_));
  }
  newest_crc32c_ = ManifestChecksum(bytes);
  newest_alone_ = false;
  newest_key_id_ = std::move(key_id);
  checkpoints_.lines_since += LinesOfObject(edits.size());
  if (checkpoint) checkpoints_ = {after->number, checkpoints_.newest, 0};
  std::lock_guard state_lock(state_mutex_);
  state_ = std::move(after);
  return state_;
}

Status Manifest::RemoveOld(std::uint64_t needed) {
  std::uint64_t first = 0;
  {
    std::lock_guard commit_lock(commit_mutex_);
    first = std::min(checkpoints_.before, needed);
    if (first <= std::max<std::uint64_t>(removed_below_, 1)) return {};
  }
  VARVE_ASSIGN(const auto listed, ListManifests(store_));
  for (const auto& object : listed) {
    if (object.number >= first) break;
    VARVE_TRY(store_->Delete(object.info.name));
  }
  std::lock_guard commit_lock(commit_mutex_);
  removed_below_ = first;
  return {};
}

Status Manifest::CheckCommits() {
  std::lock_guard commit_lock(commit_mutex_);
  if (broken_.empty()) return {};
  const auto name = ManifestName(state()->number + 1);
  return std::unexpected(UnknownOutcome(store_->Describe(name), broken_));
}

Status Manifest::MakeDurable() {
  std::lock_guard commit_lock(commit_mutex_);
  const auto name = ManifestName(state()->number);
  VARVE_ASSIGN(const auto bytes, store_->Get(name));
  if (const auto sound = CheckManifestEnd(bytes); !sound) {
    return std::unexpected(sound.error().Within(store_->Describe(name)));
  }
  if (const auto crc = ManifestChecksum(bytes); crc != newest_crc32c_) {
    return Fail(ErrorKind::kCorruption,
                fmt::format("{}: expected the bytes that were opened, checksum {:08x}, found "
                            "{:08x}; something else writes here",
                            store_->Describe(name), newest_crc32c_, crc));
  }
  return store_->Put(name, bytes);
}

}  // namespace varve
