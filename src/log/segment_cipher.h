// SPDX-License-Identifier: Apache-2.0
// Encryption of the units of one segment: AES-256-GCM (NIST SP 800-38D) by OpenSSL.
//
// Each segment has a data key of its own, random, made when the segment is. It stands in the
// segment's header, wrapped: AES-256-GCM under the caller's key, with a random nonce, the segment's
// identity as associated data. So a nonce needs to be unique within a segment only: it is the LSN
// of the unit, which no two units of a segment share, and a segment is never written twice under
// one key: recovery goes on in a new segment, and a file that is used again gets a new key.
//
// A wrong key shows when the data key is unwrapped (Invalid/kWrongKey): the header's checksum says
// that the bytes are what was written. A unit whose checksum agrees and whose tag does not was
// changed on purpose, or its memory was: Corruption.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/cipher.h"
#include "log/log_format.h"
#include "varve/error.h"
#include "varve/log_options.h"
#include "varve/types.h"

namespace varve {

// Thread-safe.
class SegmentCipher {
 public:
  explicit SegmentCipher(std::string data_key) : cipher_(std::move(data_key)) {}

  // Puts ciphertext and tag of `plain` at `to`, which has room for both and may be where `plain`
  // is. Internal when the library fails: nothing of the plain text may then be used.
  Status Encrypt(Lsn lsn, std::string_view header, std::string_view plain, char* to) const;
  // The reverse; `sealed` ends with the tag. Corruption when the tag does not agree.
  Status Decrypt(Lsn lsn, std::string_view header, std::string_view sealed, char* to) const;

 private:
  const Cipher cipher_;
};

// Makes a data key for a new segment and puts it, wrapped by the provider's current key, into
// `header`, whose identity is set. The data key comes from the operating system's generator, not
// from an injected one.
Result<std::shared_ptr<const SegmentCipher>> MakeSegmentCipher(KeyProvider* keys,
                                                               SegmentHeader* header);
// The cipher of a segment that exists; null when it is not encrypted. Errors: NotFound/kMissingKey
// (no provider, or it has not that key), Invalid/kWrongKey, Invalid/kExpiredKey, the provider's
// own.
Result<std::shared_ptr<const SegmentCipher>> OpenSegmentCipher(KeyProvider* keys,
                                                               const SegmentHeader& header);

}  // namespace varve
