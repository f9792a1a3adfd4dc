// SPDX-License-Identifier: Apache-2.0
// Sees every text that the program seals: cipher_watch.cc puts itself before the functions of
// OpenSSL that encrypt, in whatever program it is linked into.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace varve::testing {

// While one lives, in any thread. One at a time. Contexts that got their key before are not seen.
class CipherWatch {
 public:
  CipherWatch();
  ~CipherWatch();
  CipherWatch(const CipherWatch&) = delete;
  CipherWatch& operator=(const CipherWatch&) = delete;

  std::uint64_t texts() const;  // sealed so far, by key and nonce
  std::uint64_t keys() const;
  // Where two different texts, associated data included, were sealed under one key and nonce. The
  // same text again gives the same bytes, and away nothing.
  std::vector<std::string> reuses() const;
};

}  // namespace varve::testing
