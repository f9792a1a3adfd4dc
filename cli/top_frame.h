// SPDX-License-Identifier: Apache-2.0
// What `varve top` shows: two observations of a database, as a text of lines and as JSON.
#pragma once

#include <string>

#include "observation.h"

namespace varve::cli {

struct TopFrame {
  Observation now;
  std::optional<Observation> before;  // of the same process; without it there are no rates

  // Of a counter or, for kFolder, of nothing; nothing without `before`.
  std::optional<double> Rate(std::string_view counter) const;
  std::optional<double> Rate(std::string_view counter, std::string_view label,
                             std::string_view value) const;
};

// `before` counts only when it is of the same process and earlier.
TopFrame MakeFrame(const std::optional<Observation>& before, Observation now);

Json Document(const TopFrame& frame, const std::string& path);
// `now` is the wall clock, for how old it is.
std::string Text(const TopFrame& frame, const std::string& path, WallTime now, bool color);

}  // namespace varve::cli
