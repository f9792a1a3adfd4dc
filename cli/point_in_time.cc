// SPDX-License-Identifier: Apache-2.0
#include "point_in_time.h"

#include <arrow/util/value_parsing.h>

#include <cctype>
#include <charconv>
#include <optional>

namespace varve::cli {
namespace {

constexpr char kExpected[] =
    "expected a commit number, a tag, a time such as 2026-11-20T12:00:00Z, or a time back from now "
    "such as -5m";

std::optional<std::uint64_t> ParseDigits(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<std::int64_t> MicrosOf(char unit) {
  switch (unit) {
    case 's': return 1'000'000;
    case 'm': return 60'000'000;
    case 'h': return 3'600'000'000;
    case 'd': return 86'400'000'000;
    default: return std::nullopt;
  }
}

std::optional<std::int64_t> ParseMicros(std::string_view text) {
  if (text.size() < 2) return std::nullopt;
  const auto unit = MicrosOf(text.back());
  const auto count = ParseDigits(text.substr(0, text.size() - 1));
  constexpr std::uint64_t kCountMax = 100'000'000;  // in days, far before any commit
  if (!unit || !count || *count > kCountMax) return std::nullopt;
  std::int64_t micros = 0;
  const auto times = static_cast<std::int64_t>(*count);
  if (__builtin_mul_overflow(*unit, times, &micros)) return std::nullopt;
  return micros;
}

std::optional<WallTime> ParseAgo(std::string_view text, WallTime now) {
  if (text.empty() || text.front() != '-') return std::nullopt;
  const auto back = ParseMicros(text.substr(1));
  if (!back) return std::nullopt;
  return WallTime{now.micros - *back};
}

bool LooksLikeName(std::string_view text) {
  return !text.empty() && (std::isalpha(static_cast<unsigned char>(text.front())) != 0 ||
                           text.front() == '_');
}

}  // namespace

Outcome<std::int64_t> ParseSpan(const std::string& text, const std::string& flag) {
  if (const auto micros = ParseMicros(text)) return *micros;
  return WrongUsage(flag + ": expected a number with s, m, h or d, such as 7d, found \"" + text +
                    "\"");
}

Outcome<AsOf> ParsePointInTime(const std::string& text, WallTime now, const std::string& flag) {
  if (text.empty()) return AsOf();
  if (const auto commit = ParseDigits(text)) return AsOf(CommitNumber{*commit});
  if (const auto ago = ParseAgo(text, now)) return AsOf(*ago);
  WallTime time;
  if (arrow::internal::ParseTimestampISO8601(text.data(), text.size(), arrow::TimeUnit::MICRO,
                                             &time.micros)) {
    return AsOf(time);
  }
  if (LooksLikeName(text)) return AsOf(TagName{text});
  return WrongUsage(flag + ": " + kExpected + ", found \"" + text + "\"");
}

Outcome<std::shared_ptr<Snapshot>> SnapshotAt(const Database& database, const AsOf& as_of) {
  auto snapshot = database.GetSnapshot(as_of);
  if (snapshot) return *std::move(snapshot);
  const Error& error = snapshot.error();
  const bool no_tag =
      std::holds_alternative<TagName>(as_of) && error.kind() == ErrorKind::kNotFound;
  if (no_tag) return NotFound(error.message() + "; " + kExpected);
  return std::unexpected(Failure(error));
}

}  // namespace varve::cli
