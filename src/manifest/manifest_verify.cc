// SPDX-License-Identifier: Apache-2.0
// Verify and Dump: looking at manifests without trusting or changing them.
#include <iterator>
#include <optional>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "base/result.h"
#include "manifest/manifest.h"
#include "manifest/manifest_cipher.h"
#include "manifest/manifest_codec.h"
#include "manifest/manifest_lines.h"
#include "manifest/manifest_read.h"

namespace varve {
namespace {

bool IsDamage(const Error& error) {
  return error.kind() == ErrorKind::kCorruption ||
         error.reason() == ErrorReason::kUnsupportedFormat;
}

// Follows the history object by object. After damage it goes on from the next checkpoint.
class Walk {
 public:
  Walk(ObjectStore* store, KeyProvider* keys, const Manifest::DamageSink& damage)
      : store_(store), keys_(keys), damage_(damage) {}

  Status Visit(const ListedManifest& listed) {
    std::uint64_t offset = 0;
    auto object = ReadManifest(store_, keys_, listed, &offset);
    if (object && object->object.StandsAlone()) {
      last_number_ = listed.number;
      continuous_ = false;
    } else {
      Follow(listed);
    }
    if (!object && IsOfKeys(object.error())) return WithoutKey(object.error());
    if (!object) return Damaged(listed, offset, object.error());
    NoteCheckpoints(*object);
    if (!continuous_ && object->object.checkpoint == nullptr) return {};  // cannot be checked
    const auto* before = continuous_ ? state_.get() : nullptr;
    if (before != nullptr) {
      const Status follows = CheckFollowsCheckpoint(store_, *object, checkpoint_);
      if (!follows) return Damaged(listed, 0, follows.error());
    }
    auto state = Continue(store_, before, crc32c_, *object);
    if (!state) return Damaged(listed, 0, state.error());
    if (object->object.checkpoint != nullptr) checkpoint_ = listed.number;
    state_ = *std::move(state);
    crc32c_ = object->crc32c;
    continuous_ = true;
    refused_.reset();
    return {};
  }

  // Before the first object nothing is missing when it is a checkpoint, or when two follow: older
  // ones are removed, and a crash may have come in between. Of one that cannot be read it is not
  // known what it is.
  void CheckFirst() const {
    if (first_edits_ == 0) return;
    if (std::distance(checkpoints_.upper_bound(first_edits_), checkpoints_.end()) >= 2) return;
    const auto missing = first_edits_ - 1;
    damage_(ManifestName(missing), 0, MissingManifest(store_, missing).message());
  }

  std::shared_ptr<const ManifestState> state() const { return state_; }
  std::uint64_t without_key() const { return without_key_; }
  // Of the objects from the newest state on, whose key is needed.
  const std::optional<Error>& refused() const { return refused_; }

 private:
  static bool IsOfKeys(const Error& error) {
    return error.reason() == ErrorReason::kMissingKey ||
           error.reason() == ErrorReason::kExpiredKey || error.reason() == ErrorReason::kWrongKey;
  }
  // The bytes are sound. Before a checkpoint that can be read nobody needs them any more.
  Status WithoutKey(const Error& error) {
    continuous_ = false;
    ++without_key_;
    refused_.emplace(error);
    return {};
  }

  // Those that objects say there are, be they damaged or gone.
  void NoteCheckpoints(const StoredManifest& object) {
    const ManifestHeader& header = object.object.header;
    if (header.checkpoint) checkpoints_.insert(object.number);
    if (header.checkpoint_before != 0) checkpoints_.insert(header.checkpoint_before);
    if (last_number_ == first_number_ && !header.checkpoint) first_edits_ = object.number;
  }

  // Reports what is missing between the object before and this one.
  void Follow(const ListedManifest& listed) {
    if (last_number_ == 0) first_number_ = listed.number;
    if (last_number_ != 0 && listed.number != last_number_ + 1) {
      const auto missing = listed.number - 1;
      damage_(ManifestName(missing), 0, MissingManifest(store_, missing).message());
      continuous_ = false;
    }
    last_number_ = listed.number;
  }

  Status Damaged(const ListedManifest& listed, std::uint64_t offset, const Error& error) {
    continuous_ = false;
    if (!IsDamage(error)) return std::unexpected(error);
    damage_(listed.info.name, offset, error.message());
    return {};
  }

  ObjectStore* const store_;
  KeyProvider* const keys_;
  const Manifest::DamageSink& damage_;
  std::uint64_t without_key_ = 0;
  std::optional<Error> refused_;
  std::shared_ptr<const ManifestState> state_;  // the newest that could be read
  std::uint32_t crc32c_ = 0;                    // of the object that made state_
  std::uint64_t checkpoint_ = 0;                // the newest in state_'s history
  std::set<std::uint64_t> checkpoints_;
  std::uint64_t first_number_ = 0;
  std::uint64_t first_edits_ = 0;  // the first object, when it is no checkpoint; else 0
  std::uint64_t last_number_ = 0;
  bool continuous_ = false;  // state_ is that of object last_number_
};

}  // namespace

Result<std::shared_ptr<const ManifestState>> Manifest::Verify(ObjectStore* store,
                                                              const DamageSink& damage,
                                                              Counts* counts, KeyProvider* keys) {
  VARVE_ASSIGN(const auto listed, ListManifests(store));
  counts->objects = listed.size();
  const auto folder = store->Describe(std::string(kManifestPrefix));
  if (listed.empty()) return Fail(ErrorKind::kNotFound, folder + ": there is no manifest");
  Walk walk(store, keys, damage);
  for (const auto& object : listed) VARVE_TRY(walk.Visit(object));
  walk.CheckFirst();
  counts->without_key = walk.without_key();
  if (walk.refused()) return std::unexpected(*walk.refused());
  if (walk.state() == nullptr) {
    return Fail(ErrorKind::kCorruption,
                fmt::format("{}: expected a state that can be read, found none in {} objects; "
                            "restore them from a copy",
                            folder, listed.size()));
  }
  return walk.state();
}

Status Manifest::Dump(std::string_view bytes, const std::function<void(std::string_view)>& line,
                      KeyProvider* keys) {
  const auto number = HeaderNumber(LineReader::FirstText(bytes));
  if (!number) {
    return Fail(ErrorKind::kCorruption,
                "line 1, offset 0: expected the line \"header\" of a manifest, found another");
  }
  if (IsEncryptedManifest(bytes)) {
    line(DescribeLine(LineReader::FirstText(bytes)));
    VARVE_ASSIGN(const auto plain, DecryptManifest(keys, bytes, *number));
    line(fmt::format("encrypted with key '{}'", plain.key_id));
    return Dump(plain.bytes, line);
  }
  LineReader lines(bytes, *number);
  while (!lines.done()) {
    const auto text = lines.Next();
    if (!text) break;  // DecodeManifest below says it better
    line(DescribeLine(*text));
  }
  if (auto object = DecodeManifest(bytes, *number); !object) {
    return std::unexpected(std::move(object).error());
  }
  return {};
}

}  // namespace varve
