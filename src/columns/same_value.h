// SPDX-License-Identifier: Apache-2.0
// Are two values equal? Arrow's RangeEquals takes equal values of a dictionary column for different
// when their dictionaries differ, which those of two batches nearly always do.
#pragma once

#include <arrow/type_fwd.h>

#include <cstdint>

namespace varve {

// Element `at` of `a` against element `other` of `b`, which are of one type that a table can have,
// dictionaries at any depth included. Null equals null, also where a dictionary holds the null. NaN
// equals NaN, and 0.0 differs from -0.0: equal is what a reader cannot tell apart.
bool SameValue(const arrow::Array& a, std::int64_t at, const arrow::Array& b, std::int64_t other);

}  // namespace varve
