// SPDX-License-Identifier: Apache-2.0
// An interval of encoded values of one key column, and the walk over a filter that finds them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <arrow/compute/expression.h>

#include "columns/table_schema.h"

namespace varve {

// Component bytes in [lower, upper). Components are self-delimiting: everything that starts with a
// whole component is that value, so PrefixEnd turns "up to and including" into "before".
struct KeyInterval {
  std::string lower;                 // empty: unbounded
  std::optional<std::string> upper;  // absent: unbounded
  bool point = false;                // exactly one value, whose bytes are `lower`
  std::string lower_text;            // such as "year >= 2013"; empty when unbounded
  std::string upper_text;

  bool Unbounded() const { return lower.empty() && !upper; }
  bool Empty() const { return upper && *upper <= lower; }
  static KeyInterval Nothing();
};

KeyInterval Intersect(const KeyInterval& a, const KeyInterval& b);
KeyInterval Hull(const KeyInterval& a, const KeyInterval& b);

// One interval for each key column, such that every row for which `filter` is true lies in all.
std::vector<KeyInterval> IntervalsOf(const TableSchema& schema,
                                     const arrow::compute::Expression& filter);

}  // namespace varve
