// SPDX-License-Identifier: Apache-2.0
#include "time_to_live.h"

#include <fmt/format.h>

#include <array>
#include <cstdint>
#include <string_view>
#include <utility>

#include "point_in_time.h"

namespace varve::cli {
namespace {

constexpr std::array<std::pair<std::string_view, EpochUnit>, 4> kUnits = {{
    {"us", EpochUnit::kMicros},
    {"ms", EpochUnit::kMillis},
    {"s", EpochUnit::kSeconds},
    {"ns", EpochUnit::kNanos},
}};

std::string_view UnitName(EpochUnit unit) {
  for (const auto& [name, known] : kUnits) {
    if (known == unit) return name;
  }
  return "?";
}

// In the largest unit that says it exactly.
std::string SpanText(std::int64_t micros) {
  constexpr std::array<std::pair<std::int64_t, std::string_view>, 5> kSpans = {{
      {86'400'000'000, "d"}, {3'600'000'000, "h"}, {60'000'000, "m"}, {1'000'000, "s"},
      {1000, "ms"},
  }};
  for (const auto& [size, name] : kSpans) {
    if (micros != 0 && micros % size == 0) return fmt::format("{}{}", micros / size, name);
  }
  return micros == 0 ? "0s" : fmt::format("{}us", micros);
}

}  // namespace

Outcome<std::optional<TimeToLive>> ParseTimeToLive(const TimeToLiveFlags& flags) {
  if (flags.span.empty() && flags.column.empty() && flags.unit.empty()) return std::nullopt;
  if (flags.span.empty() || flags.column.empty()) {
    return WrongUsage("a time to live needs both --ttl SPAN and --ttl-column COLUMN");
  }
  TimeToLive live{.column = flags.column};
  CLI_ASSIGN(live.micros, ParseSpan(flags.span, "--ttl"));
  if (flags.unit.empty()) return live;
  for (const auto& [name, unit] : kUnits) {
    if (name != flags.unit) continue;
    live.unit = unit;
    return live;
  }
  return WrongUsage(fmt::format("--ttl-unit {}: expected s, ms, us or ns", flags.unit));
}

// Taken for another unit they would be of long ago, and all rows gone at once.
Done CheckUnitIsSaid(const TimeToLiveFlags& flags, const std::shared_ptr<arrow::Field>& column) {
  if (!flags.unit.empty() || column == nullptr || column->type()->id() != arrow::Type::INT64) {
    return {};
  }
  return WrongUsage(fmt::format("column '{}' is int64: say what it counts, --ttl-unit s, ms, us "
                                "or ns (since 1970)",
                                flags.column));
}

std::string TimeToLiveText(const TimeToLive& live) {
  const auto text = fmt::format("{} after {}", SpanText(live.micros), live.column);
  if (live.unit == EpochUnit::kMicros) return text;
  return fmt::format("{} (in {})", text, UnitName(live.unit));
}

Json DescribeTimeToLive(const std::optional<TimeToLive>& live) {
  if (!live) return nullptr;
  return {{"column", live->column}, {"micros", live->micros}, {"unit", UnitName(live->unit)}};
}

}  // namespace varve::cli
