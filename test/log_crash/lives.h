// SPDX-License-Identifier: Apache-2.0
// The lives that the sweeps try, and the kinds of log that live them. Add a row to either.
#pragma once

#include <ostream>
#include <span>

#include "test/log_crash/log_life.h"
#include "varve/log.h"

namespace varve::testing {

// A kind of log. Segments are as small as may be, so that a life of a few units has many.
struct LogVariant {
  const char* name;
  LogOptions options;
  bool thorough;  // all subsets of sectors, up to kSubsetPartsMax; else of a few blocks
};
std::span<const LogVariant> AllVariants();
inline void PrintTo(const LogVariant& variant, std::ostream* out) { *out << variant.name; }

// Named for what it stresses. A life ends open, closed or abandoned: power goes after it too.
struct NamedLife {
  const char* name;
  void (*script)(Life& life);
};
std::span<const NamedLife> AllLives();
inline void PrintTo(const NamedLife& life, std::ostream* out) { *out << life.name; }

}  // namespace varve::testing
