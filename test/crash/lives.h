// SPDX-License-Identifier: Apache-2.0
// The lives of a database that the crash sweep cuts at each of their disk events.
#pragma once

#include <ostream>
#include <vector>

#include "test/crash/life.h"
#include "upkeep/compact.h"

namespace varve::testing {

struct NamedScript {
  const char* name;
  OpenOptions options;
  Script script;
  CompactionCuts cuts = {};  // while it lives, and whoever survives it
};

inline void PrintTo(const NamedScript& script, std::ostream* out) { *out << script.name; }

std::vector<NamedScript> AllLives();
NamedScript RetriedLife();  // that of producers; one of them

}  // namespace varve::testing
