// SPDX-License-Identifier: Apache-2.0
// Encrypted objects of the manifest's room: manifests, and the times of commits.
//
// An encrypted manifest (format 2) is one line as manifest_lines.h has it, and then bytes:
//
//   header   format: 2; number: the object's own; key: the id of the provider's key, hex;
//            wrapped_key: the object's own data key, wrapped (base/key_wrap.h), hex
//   ...      the bytes of the object as it would be plain (manifest_codec.h), by AES-256-GCM under
//            the data key, and the tag of 16 bytes; bound to the line, whose bytes are not secret
//   end u32  crc32c of all bytes before, little-endian
//
// So damage is told from a wrong key without any key. The data key is random and this object's
// alone, which is the reason why its one nonce is zeros. The next object has `end` for its
// previous_crc32c: the checksum of all bytes, `end` too, is the same number for every object.
//
// Encrypted times (format 2) are under a data key that the manifest has:
//
//    0       "VARVETIM", u32 format: 2, u32 0
//   16  ...  the bytes of the object in format 1, by AES-256-GCM, and the tag; bound to bytes 0..16
//   end u32  crc32c of all bytes before
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/key_wrap.h"
#include "varve/error.h"

namespace varve {

// True when the first line has a wrapped key; it need not be sound.
bool IsEncryptedManifest(std::string_view bytes);

// What the next object says of this one, encrypted or not: previous_crc32c.
std::uint32_t ManifestChecksum(std::string_view bytes);

// Corruption unless an encrypted object ends with its checksum; fine with others.
Status CheckManifestEnd(std::string_view bytes);

// A data key for manifest `number`, and the object under it.
Result<DataKey> MakeManifestKey(KeyProvider* keys, std::uint64_t number);
Result<std::string> EncryptManifest(const DataKey& key, std::uint64_t number,
                                    std::string_view plain);

struct PlainManifest {
  std::string key_id;  // of the provider's key
  std::string bytes;   // of format 1 or 3
};
// Corruption, before any key is asked for, when the bytes are not what was written; `*offset`, when
// given, says where. Then UnwrapDataKey's errors.
Result<PlainManifest> DecryptManifest(KeyProvider* keys, std::string_view bytes,
                                      std::uint64_t number, std::uint64_t* offset = nullptr);

bool IsEncryptedTimes(std::string_view bytes);
Result<std::string> EncryptTimes(const std::string& file_key, std::string_view plain);
// Corruption when the bytes are not what was written under this key.
Result<std::string> DecryptTimes(const std::string& file_key, std::string_view bytes);

}  // namespace varve
