// SPDX-License-Identifier: Apache-2.0
// A table of two numbers, keyed by the first.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "bench/versions/rows.h"
#include "varve/varve.h"

namespace varve::bench {

inline constexpr const char* kPairs = "pairs";

BatchPtr Pairs(const std::vector<std::int64_t>& keys);
// With default options; made where it is missing.
std::unique_ptr<Database> OpenPairs(const std::string& dir);

}  // namespace varve::bench
