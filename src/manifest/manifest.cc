// SPDX-License-Identifier: Apache-2.0
#include "manifest/manifest.h"

#include <optional>
#include <utility>

#include <fmt/format.h>

#include "base/crc32c.h"
#include "base/result.h"
#include "manifest/manifest_codec.h"
#include "manifest/manifest_read.h"
#include "manifest/state_editor.h"

namespace varve {
namespace {

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

CommitNumber TableState::altered() const {
  std::uint32_t after = schema_id;
  for (auto shape = former.rbegin(); shape != former.rend(); ++shape) {
    if (shape->schema_id != after) return shape->until;
  }
  return {};
}

Manifest::Manifest(ObjectStore* store, std::shared_ptr<const ManifestState> state,
                   std::uint32_t newest_crc32c)
    : store_(store), newest_crc32c_(newest_crc32c), state_(std::move(state)) {}

Status Manifest::Create(ObjectStore* store, const std::string& database_id, WallTime now) {
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
  auto published = Publish(store, name, EncodeManifest(state, {}, 0, now));
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

Result<std::unique_ptr<Manifest>> Manifest::Open(ObjectStore* store) {
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
    VARVE_ASSIGN(auto object, ReadManifest(store, *at));
    objects.push_back(std::move(object));
    if (objects.back().object.checkpoint != nullptr) break;
  }
  std::shared_ptr<const ManifestState> state;
  std::uint32_t crc = 0;
  for (auto at = objects.rbegin(); at != objects.rend(); ++at) {
    VARVE_ASSIGN(state, Continue(store, state.get(), crc, *at));
    crc = at->crc32c;
  }
  return std::unique_ptr<Manifest>(new Manifest(store, std::move(state), crc));
}

std::shared_ptr<const ManifestState> Manifest::state() const {
  std::lock_guard lock(state_mutex_);
  return state_;
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
    if (auto applied = editor.Apply(edits[i]); !applied) {
      return std::unexpected(applied.error().Within(
          fmt::format("{}: edit {} of {} was refused", where, i + 1, edits.size())));
    }
  }
  auto after = std::make_shared<const ManifestState>(editor.Finish(before->number + 1));
  const auto bytes = EncodeManifest(*after, edits, newest_crc32c_, now);
  if (bytes.size() > kManifestBytesMax) {
    return Fail(ErrorKind::kInvalid, fmt::format("{}: expected at most {} bytes, the edits need {}",
                                                 where, kManifestBytesMax, bytes.size()));
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
  newest_crc32c_ = Crc32c(bytes);
  std::lock_guard state_lock(state_mutex_);
  state_ = std::move(after);
  return state_;
}

Status Manifest::RemoveOld() {
  const std::uint64_t newest = state()->number / kCheckpointEvery * kCheckpointEvery;
  if (newest < 2 * kCheckpointEvery) return {};
  VARVE_ASSIGN(const auto listed, ListManifests(store_));
  for (const auto& object : listed) {
    if (object.number >= newest - kCheckpointEvery) break;
    VARVE_TRY(store_->Delete(object.info.name));
  }
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
  if (const auto crc = Crc32c(bytes); crc != newest_crc32c_) {
    return Fail(ErrorKind::kCorruption,
                fmt::format("{}: expected the bytes that were opened, checksum {:08x}, found "
                            "{:08x}; something else writes here",
                            store_->Describe(name), newest_crc32c_, crc));
  }
  return store_->Put(name, bytes);
}

}  // namespace varve
