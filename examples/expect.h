// SPDX-License-Identifier: Apache-2.0
// How the examples end when something is not as they say.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>

// The value of a Result, or the end of the program with its message.
template <typename Result>
auto OrDie(Result&& result, const char* what) {
  if (!result) {
    std::fprintf(stderr, "%s: %s\n", what, result.error().message().c_str());
    std::exit(1);
  }
  if constexpr (!std::is_void_v<typename std::decay_t<Result>::value_type>) {
    return *std::forward<Result>(result);
  }
}

inline void Expect(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "expected: %s\n", what);
  std::exit(1);
}
