// SPDX-License-Identifier: Apache-2.0
// AES-256-GCM (NIST SP 800-38D) by OpenSSL: one key, and who may use it how often is told by the
// caller's nonces. Nothing else of varve calls OpenSSL.
//
// GCM falls with the first nonce that one key sees twice: each caller says at its nonce why that
// cannot happen.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "varve/error.h"

namespace varve {

inline constexpr std::uint64_t kCipherTagBytes = 16;
inline constexpr std::uint64_t kCipherKeyBytes = 32;
inline constexpr std::uint64_t kCipherNonceBytes = 12;

using CipherNonce = std::array<unsigned char, kCipherNonceBytes>;

// Thread-safe.
class Cipher {
 public:
  explicit Cipher(std::string key);
  ~Cipher();  // the key is wiped
  Cipher(const Cipher&) = delete;
  Cipher& operator=(const Cipher&) = delete;

  // Puts ciphertext and tag of `plain` at `to`, which has room for both and may be where `plain`
  // is. `bound` is not encrypted, but decrypting needs the same. Internal when the library fails:
  // nothing of the plain text may then be used.
  Status Encrypt(const CipherNonce& nonce, std::string_view bound, std::string_view plain,
                 char* to) const;
  // The reverse; `encrypted` ends with the tag. False when the tag does not agree: another key,
  // nonce or `bound`, or changed bytes. What is then at `to` means nothing.
  Result<bool> Decrypt(const CipherNonce& nonce, std::string_view bound, std::string_view encrypted,
                       char* to) const;

 private:
  const std::string key_;
  const std::uint64_t id_;  // tells this thread's cached context whose key it has
};

// From the operating system's generator, never from an injected one: keys and nonces alone.
Result<std::string> SecretBytes(std::size_t count);

// Overwrites what was a key.
void Wipe(std::string* secret);

}  // namespace varve
