// SPDX-License-Identifier: Apache-2.0
// Assertions about our own bugs, on in every build. Never about bytes that were read: those are
// Corruption. A failed check ends the process before it can acknowledge something wrong.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace varve {

[[noreturn]] inline void CheckFailed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "varve: check failed: %s at %s:%d (a defect in varve; please report it)\n",
               condition, file, line);
  std::abort();
}

}  // namespace varve

#define VARVE_CHECK(condition) \
  ((condition) ? void(0) : ::varve::CheckFailed(#condition, __FILE__, __LINE__))
