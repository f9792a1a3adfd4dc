// SPDX-License-Identifier: Apache-2.0
// What libFuzzer does to inputs, in small: for the test that needs no clang.
#pragma once

#include <string>
#include <vector>

#include "base/random.h"

namespace varve::fuzz {

// One of `seeds`, changed in one to eight ways: bits, bytes and numbers set, ranges removed,
// repeated, and taken from another seed.
std::string Mutated(const std::vector<std::string>& seeds, Random* random);

}  // namespace varve::fuzz
