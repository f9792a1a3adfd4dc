// SPDX-License-Identifier: Apache-2.0
// The seed of a random test: fixed, unless VARVE_TEST_SEED names another. Print it with
//   SCOPED_TRACE(testing::SeedTrace(seed));
#pragma once

#include <cstdint>
#include <cstdlib>
#include <string>

namespace varve::testing {

inline std::uint64_t TestSeed(std::uint64_t otherwise = 1) {
  const char* text = std::getenv("VARVE_TEST_SEED");
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

inline std::string SeedTrace(std::uint64_t seed) {
  return "replay with VARVE_TEST_SEED=" + std::to_string(seed);
}

}  // namespace varve::testing
