// SPDX-License-Identifier: Apache-2.0
// Every target of the folder, for programs that hold all of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

namespace varve::fuzz {

struct NamedTarget {
  std::string name;
  int (*run)(const std::uint8_t* data, std::size_t size);
  std::vector<std::string> (*seeds)();

  // For GoogleTest.
  friend void PrintTo(const NamedTarget& target, std::ostream* out) { *out << target.name; }
};

std::vector<NamedTarget> AllTargets();

}  // namespace varve::fuzz
