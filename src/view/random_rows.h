// SPDX-License-Identifier: Apache-2.0
// For the tests of this room: random rows, filters and sizes for the table of view_fixture.h.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/random.h"
#include "view/view_fixture.h"

namespace varve::testing {

// A random filter over the row table, as text: mostly about the key.
inline std::string RandomFilter(Random& random, int depth = 3) {
  const auto pick = [&](const std::vector<std::string>& from) {
    return from[random.Below(from.size())];
  };
  const auto number = [&] { return std::to_string(static_cast<int>(random.Below(12)) - 2); };
  const auto text = [&] { return "'" + pick({"", "a", "ab", "abc", "b", "ba", "c"}) + "'"; };
  const auto op = [&] { return " " + pick({"=", "!=", "<", "<=", ">", ">="}) + " "; };
  if (depth > 0 && random.Below(3) != 0) {
    const std::string left = RandomFilter(random, depth - 1);
    const std::string right = RandomFilter(random, depth - 1);
    switch (random.Below(5)) {
      case 0: return "not (" + left + ")";
      case 1: return "(" + left + " or " + right + ")";
      default: return "(" + left + " and " + right + ")";
    }
  }
  switch (random.Below(19)) {
    case 0:
    case 1: return "k" + op() + number();
    case 2: return number() + op() + "k";
    case 3: return "k between " + number() + " and " + number();
    case 4: return "k in (" + number() + ", " + number() + ", null)";
    case 5:
    case 6: return "name" + op() + text();
    case 7: return "name like " + pick({"'a%'", "'ab%'", "'%b'", "'a_%'", "'b%a'", "'%'"});
    case 8: return "name in (" + text() + ", " + text() + ")";
    case 9: return "k" + op() + number() + "." + pick({"0", "5"});
    case 10: return "f" + op() + number() + "." + pick({"0", "5"});
    case 11: return pick({"f", "s", "n", "at"}) + " is " + pick({"null", "not null"});
    case 12: return "n + k" + op() + number();
    case 14: return "n" + op() + number();
    case 15: return "v.q" + op() + number();
    case 16: return "v.t" + op() + text();
    case 17: return pick({"v", "v.q", "v.t"}) + " is " + pick({"null", "not null"});
    case 13:
      return "at" + op() + "'1970-01-01T00:00:00.00000" + std::to_string(random.Below(9)) + "'";
    default: return "s" + op() + text();
  }
}

// Mostly so few that the few rows of a test fill several row groups.
inline std::int64_t RandomGroupRows(Random& random) {
  const std::int64_t choices[] = {1, 3, 7, kRowGroupRows};
  return choices[random.Below(std::size(choices))];
}

inline Row RandomRow(Random& random) {
  static const std::vector<std::string> kNames = {"", "a", "ab", "abc", "b", "ba", "c",
                                                  std::string("a\0b", 3)};
  Row row;
  row.k = static_cast<std::int32_t>(random.Below(10)) - 1;
  row.name = kNames[random.Below(kNames.size())];
  if (random.Below(4) != 0) row.f = (static_cast<double>(random.Below(20)) - 4) / 2;
  if (random.Below(4) != 0) row.s = kNames[random.Below(kNames.size())];
  if (random.Below(4) != 0) row.n = static_cast<std::int64_t>(random.Below(10));
  if (random.Below(4) != 0) row.at = static_cast<std::int64_t>(random.Below(10));
  return row;
}

}  // namespace varve::testing
