// SPDX-License-Identifier: Apache-2.0
#include "manifest/manifest_read.h"

#include <utility>

#include <fmt/format.h>

#include "base/result.h"
#include "manifest/manifest_cipher.h"

namespace varve {
namespace {

constexpr std::string_view kNextStep =
    "; nothing was changed; restore the object from a copy, and run verify to see all damage";

Error Named(ObjectStore* store, const std::string& name, const Error& error) {
  const auto step = error.kind() == ErrorKind::kCorruption ? kNextStep : std::string_view();
  return Error(error.kind(),
               fmt::format("{}: {}{}", store->Describe(name), error.message(), step),
               error.reason());
}

}  // namespace

Result<std::vector<ListedManifest>> ListManifests(ObjectStore* store) {
  VARVE_ASSIGN(auto infos, store->List(std::string(kManifestPrefix)));
  std::vector<ListedManifest> listed;
  for (auto& info : infos) {
    if (const auto number = ManifestNumber(info.name)) listed.push_back({*number, std::move(info)});
  }
  return listed;
}

namespace {

// The object in format 1. With keys nothing else than an encrypted one is taken: whoever can write
// to the store could otherwise put a manifest of his own there.
Result<PlainManifest> Plain(KeyProvider* keys, std::string&& bytes, std::uint64_t number,
                            std::uint64_t* offset) {
  if (IsEncryptedManifest(bytes)) return DecryptManifest(keys, bytes, number, offset);
  if (keys != nullptr) {
    VARVE_TRY(DecodeManifest(bytes, number, offset));  // damage comes first
    return Fail(ErrorKind::kInvalid,
                "keys were given, but the database is not encrypted: nothing was changed; open it "
                "without keys, and load its rows into one that was made with keys",
                ErrorReason::kNotEncrypted);
  }
  return PlainManifest{.key_id = {}, .bytes = std::move(bytes)};
}

}  // namespace

Result<StoredManifest> ReadManifest(ObjectStore* store, KeyProvider* keys,
                                    const ListedManifest& listed, std::uint64_t* offset) {
  if (offset != nullptr) *offset = 0;
  const auto& name = listed.info.name;
  if (listed.info.size > kManifestBytesMax) {
    const Error error(ErrorKind::kCorruption, fmt::format("expected at most {} bytes, found {}",
                                                          kManifestBytesMax, listed.info.size));
    return std::unexpected(Named(store, name, error));
  }
  auto bytes = store->Get(name);
  if (!bytes && bytes.error().kind() == ErrorKind::kNotFound) {
    const Error error(ErrorKind::kCorruption, "expected the object that was listed, found none");
    return std::unexpected(Named(store, name, error));
  }
  if (!bytes) return std::unexpected(std::move(bytes).error());
  const auto crc32c = ManifestChecksum(*bytes);
  auto plain = Plain(keys, *std::move(bytes), listed.number, offset);
  if (!plain) return std::unexpected(Named(store, name, plain.error()));
  auto object = DecodeManifest(plain->bytes, listed.number, offset);
  if (!object) return std::unexpected(Named(store, name, object.error()));
  return StoredManifest{listed.number, crc32c, std::move(plain->key_id), *std::move(object)};
}

Result<std::shared_ptr<const ManifestState>> Continue(ObjectStore* store,
                                                      const ManifestState* before,
                                                      std::uint32_t before_crc32c,
                                                      const StoredManifest& next) {
  const auto name = ManifestName(next.number);
  const auto expected = next.object.header.previous_crc32c;
  if (before != nullptr && expected != before_crc32c) {
    const Error error(ErrorKind::kCorruption,
                      fmt::format("expected object {} before it to have checksum {:08x}, found "
                                  "{:08x}: one of the two is not of this history",
                                  next.number - 1, expected, before_crc32c));
    return std::unexpected(Named(store, name, error));
  }
  auto state = Replay(before, next.object);
  if (!state) return std::unexpected(Named(store, name, state.error()));
  return state;
}

Status CheckFollowsCheckpoint(ObjectStore* store, const StoredManifest& object,
                              std::uint64_t checkpoint) {
  const std::uint64_t found = object.object.header.checkpoint_before;
  if (found == 0 || found == checkpoint) return {};
  const Error error(ErrorKind::kCorruption,
                    fmt::format("expected the newest checkpoint before it to be object {}, as it "
                                "says, found object {}",
                                found, checkpoint));
  return std::unexpected(Named(store, ManifestName(object.number), error));
}

Error MissingManifest(ObjectStore* store, std::uint64_t number) {
  return Named(store, ManifestName(number),
               Error(ErrorKind::kCorruption,
                     "expected this object, which later ones build on, found none"));
}

}  // namespace varve
