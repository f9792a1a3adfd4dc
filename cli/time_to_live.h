// SPDX-License-Identifier: Apache-2.0
// A table's time to live as the command line speaks of it: --ttl 30d --ttl-column at.
#pragma once

#include <optional>
#include <string>

#include "session.h"

namespace varve::cli {

struct TimeToLiveFlags {
  std::string span;    // --ttl
  std::string column;  // --ttl-column
  std::string unit;    // --ttl-unit
};

// Nothing when none is given; wrong usage when only a part is.
Outcome<std::optional<TimeToLive>> ParseTimeToLive(const TimeToLiveFlags& flags);

// Wrong usage: what the integers of this column count is not said.
Done CheckUnitIsSaid(const TimeToLiveFlags& flags, const std::shared_ptr<arrow::Field>& column);

// "30d after at"; of an int64 also what it counts.
std::string TimeToLiveText(const TimeToLive& live);
// {"column":..,"micros":..,"unit":..}; null when there is none.
Json DescribeTimeToLive(const std::optional<TimeToLive>& live);

}  // namespace varve::cli
