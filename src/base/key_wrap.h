// SPDX-License-Identifier: Apache-2.0
// Data keys, wrapped by the keys of a KeyProvider: how log segments and manifest objects carry the
// key that they are encrypted with.
//
// A wrapped key is 60 bytes: a random nonce (12), the data key encrypted by AES-256-GCM (32), the
// tag (16). It is bound to what it is the key of, so that it does not open as another thing's.
// A provider's key wraps one data key for each segment or object: random nonces of 96 bits do for
// 2^32 of them (SP 800-38D, 8.3).
#pragma once

#include <string>
#include <string_view>

#include "base/cipher.h"
#include "varve/error.h"
#include "varve/log_options.h"

namespace varve {

inline constexpr std::uint64_t kWrappedKeyBytes =
    kCipherNonceBytes + kCipherKeyBytes + kCipherTagBytes;
inline constexpr std::size_t kKeyIdBytesMax = 64;

struct DataKey {
  std::string key_id;   // of the provider's key
  std::string key;      // the data key itself, secret
  std::string wrapped;  // kWrappedKeyBytes
};

// A new random data key under the provider's current key. Errors: NotFound/kMissingKey,
// Invalid/kExpiredKey, Invalid (an id or a key of another size); the provider's own; Internal.
Result<DataKey> MakeDataKey(KeyProvider* keys, std::string_view bound);

// The data key of `what` ("segment 7"), which is for messages. `keys` may be null. Errors:
// NotFound/kMissingKey (no provider, or it does not have that key), Invalid/kExpiredKey (it gives
// it no more), Invalid/kWrongKey (the key under that id is another); the provider's own.
Result<std::string> UnwrapDataKey(KeyProvider* keys, std::string_view key_id,
                                  std::string_view wrapped, std::string_view bound,
                                  std::string_view what);

// Ok when the provider would encrypt now: its current key is there. Changes nothing.
Status CheckCurrentKey(KeyProvider* keys);

// The id of the provider's current key. Errors: the provider's own; what it throws is Internal.
Result<std::string> CurrentKeyIdOf(KeyProvider* keys);

}  // namespace varve
