// SPDX-License-Identifier: Apache-2.0
// Manifest objects in a store: which there are, what each holds, whether one follows another.
// What Open and Verify share.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "files/object_store.h"
#include "manifest/manifest_codec.h"
#include "varve/error.h"

namespace varve {

struct ListedManifest {
  std::uint64_t number = 0;
  ObjectInfo info;
};
struct StoredManifest {
  std::uint64_t number = 0;
  std::uint32_t crc32c = 0;  // ManifestChecksum of its bytes
  std::string key_id;        // of the key that it is encrypted with; empty: it is not
  ManifestObject object;
};

// By number. Names that are not manifest/<20 digits> are somebody else's and left out.
Result<std::vector<ListedManifest>> ListManifests(ObjectStore* store);

// Corruption and Invalid/kUnsupportedFormat name the object; `*offset` as in DecodeManifest.
// Errors of keys as Manifest::Open.
Result<StoredManifest> ReadManifest(ObjectStore* store, KeyProvider* keys,
                                    const ListedManifest& listed,
                                    std::uint64_t* offset = nullptr);

// The state after `next`, given the state `before` and the checksum of the object that made it;
// or, with `before` null, by `next` alone, which must be a checkpoint. Corruption names the object.
Result<std::shared_ptr<const ManifestState>> Continue(ObjectStore* store,
                                                      const ManifestState* before,
                                                      std::uint32_t before_crc32c,
                                                      const StoredManifest& next);

// Corruption unless the object says so too, if it says anything: `checkpoint` is the newest one
// before it.
Status CheckFollowsCheckpoint(ObjectStore* store, const StoredManifest& object,
                              std::uint64_t checkpoint);

// Corruption: a number between two that are there, or before the first when that needs it.
Error MissingManifest(ObjectStore* store, std::uint64_t number);

}  // namespace varve
