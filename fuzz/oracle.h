// SPDX-License-Identifier: Apache-2.0
// What the targets say about a decoder. A breach prints what was expected and aborts, so that
// libFuzzer and the test driver both keep the input.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "varve/error.h"

namespace varve::fuzz {

[[noreturn]] inline void Breach(const char* file, int line, const char* expected,
                                std::string_view found) {
  std::fprintf(stderr, "%s:%d: expected %s, found: %.*s\n", file, line, expected,
               static_cast<int>(found.size()), found.data());
  std::abort();
}

// Whether an error says what stored bytes may be guilty of. Everything else would blame the caller,
// the disk, or us.
inline bool BlamesBytes(const Error& error) {
  return error.kind() == ErrorKind::kCorruption ||
         error.reason() == ErrorReason::kUnsupportedFormat;
}

}  // namespace varve::fuzz

// `found` is text for a person: an error's message, or what the condition compares.
#define FUZZ_EXPECT(condition, found)                                              \
  do {                                                                             \
    if (!(condition)) ::varve::fuzz::Breach(__FILE__, __LINE__, #condition, found); \
  } while (false)
