// SPDX-License-Identifier: Apache-2.0
// Every target of the folder, for programs that hold all of them.
#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "fuzz/input.h"

namespace varve::fuzz {

struct NamedTarget {
  std::string name;
  void (*run)(Input input);
  std::vector<std::string> (*seeds)();

  // For GoogleTest.
  friend void PrintTo(const NamedTarget& target, std::ostream* out) { *out << target.name; }
};

std::vector<NamedTarget> AllTargets();

}  // namespace varve::fuzz
