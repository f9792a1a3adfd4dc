// SPDX-License-Identifier: Apache-2.0
// The fewest steps that still fail (Zeller and Hildebrandt, "Simplifying and Isolating
// Failure-Inducing Input", 2002, without the complements).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

namespace varve::testing {

using Steps = std::vector<std::uint64_t>;

// Leaves out halves, quarters, ... single steps, as long as the rest still fails; asks `fails` at
// most `runs` times.
inline Steps Shrink(Steps steps, const std::function<bool(const Steps&)>& fails, int runs) {
  for (auto piece = steps.size() / 2; piece > 0; piece /= 2) {
    for (std::size_t at = 0; at < steps.size() && runs > 0; --runs) {
      const auto first = steps.begin() + static_cast<std::ptrdiff_t>(at);
      const auto past = first + static_cast<std::ptrdiff_t>(std::min(piece, steps.size() - at));
      Steps fewer(steps.begin(), first);
      fewer.insert(fewer.end(), past, steps.end());
      if (fails(fewer)) {
        steps = std::move(fewer);
      } else {
        at += piece;
      }
    }
  }
  return steps;
}

}  // namespace varve::testing
