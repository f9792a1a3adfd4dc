// SPDX-License-Identifier: Apache-2.0
// Objects that stand alone: a checkpoint which continues nothing, so that what was before it is not
// needed, neither to open nor to verify. Copies begin with one, and repairs go on from one.
#include <fmt/format.h>

#include "base/cipher.h"
#include "base/result.h"
#include "manifest/manifest.h"
#include "manifest/manifest_cipher.h"
#include "manifest/manifest_codec.h"
#include "manifest/manifest_read.h"

namespace varve {
namespace {

Result<std::string> EncodeAlone(const ManifestState& state, WallTime now, KeyProvider* keys) {
  // What its number says of the checkpoint before it need not be there.
  const CheckpointPlace place = {.here = true, .before = CheckpointBefore(state.number)};
  std::string plain = EncodeManifest(state, {}, 0, now, place);
  // As a reader would: nothing is published that could not be opened.
  if (plain.size() > kManifestBytesMax) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("expected at most {} bytes, the state needs {}; compact its tables, so "
                            "that they have fewer files",
                            kManifestBytesMax, plain.size()));
  }
  VARVE_ASSIGN(const ManifestObject object, DecodeManifest(plain, state.number));
  VARVE_TRY(Replay(nullptr, object));
  if (keys == nullptr) return plain;
  VARVE_ASSIGN(DataKey key, MakeManifestKey(keys, state.number));
  auto bytes = EncryptManifest(key, state.number, plain);
  Wipe(&key.key);
  return bytes;
}

}  // namespace

Status Manifest::PublishAlone(ObjectStore* store, const ManifestState& state, WallTime now,
                              KeyProvider* keys) {
  VARVE_TRY(CheckDatabaseId(state.database_id));
  VARVE_ASSIGN(const auto listed, ListManifests(store));
  const std::string name = ManifestName(state.number);
  if (!listed.empty() && listed.back().number >= state.number) {
    return Fail(ErrorKind::kConflict,
                fmt::format("{}: expected a number above that of the newest object, {}",
                            store->Describe(name), listed.back().number));
  }
  auto encoded = EncodeAlone(state, now, keys);
  if (!encoded) return std::unexpected(encoded.error().Within(store->Describe(name)));
  const Status put = store->PutIfAbsent(name, *encoded);
  if (put || put.error().kind() == ErrorKind::kConflict) return put;
  // It may be there all the same: then it only has to be durable.
  const auto found = store->Get(name);
  if (!found || *found != *encoded) return put;
  return store->Put(name, *encoded);
}

}  // namespace varve
