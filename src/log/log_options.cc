// SPDX-License-Identifier: Apache-2.0
// Presets, and settings from the environment.
#include "varve/log_options.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <string>
#include <variant>
#include <vector>

#include "base/result.h"

namespace varve {
namespace {

constexpr std::string_view kPrefix = "VARVE_LOG_";

using Field = std::variant<std::uint64_t LogOptions::*, std::uint32_t LogOptions::*,
                           LogSyncPolicy LogOptions::*, LogSyncMethod LogOptions::*,
                           LogCompression LogOptions::*, LogEncodeMode LogOptions::*>;
struct Setting {
  std::string_view name;  // as in the environment, behind the prefix
  Field field;
};

constexpr Setting kSettings[] = {
    {"SEGMENT_BYTES_MAX", &LogOptions::segment_bytes_max},
    {"SEGMENT_AGE_MS_MAX", &LogOptions::segment_age_ms_max},
    {"RECYCLED_SEGMENTS_MAX", &LogOptions::recycled_segments_max},
    {"LOG_BYTES_MAX", &LogOptions::log_bytes_max},
    {"QUEUE_BYTES_MAX", &LogOptions::queue_bytes_max},
    {"QUEUE_WAIT_MS_MAX", &LogOptions::queue_wait_ms_max},
    {"GROUP_BYTES_MAX", &LogOptions::group_bytes_max},
    {"GROUP_UNITS_MAX", &LogOptions::group_units_max},
    {"LINGER_US", &LogOptions::linger_us},
    {"SYNC_POLICY", &LogOptions::sync_policy},
    {"SYNC_INTERVAL_MS", &LogOptions::sync_interval_ms},
    {"SYNC_BYTES", &LogOptions::sync_bytes},
    {"SYNC_METHOD", &LogOptions::sync_method},
    {"ENCODE_MODE", &LogOptions::encode_mode},
    {"SHADOW_PER_MILLE", &LogOptions::shadow_per_mille},
    {"COMPRESSION", &LogOptions::compression},
};

// The words for an enum's values, in the order of its values.
template <typename Enum>
std::vector<std::string_view> WordsOf();
template <>
std::vector<std::string_view> WordsOf<LogSyncPolicy>() {
  return {"group", "interval", "bytes", "never"};
}
template <>
std::vector<std::string_view> WordsOf<LogSyncMethod>() {
  return {"auto", "fdatasync", "fsync", "dsync", "direct_dsync"};
}
template <>
std::vector<std::string_view> WordsOf<LogCompression>() {
  return {"none", "lz4", "zstd"};
}
template <>
std::vector<std::string_view> WordsOf<LogEncodeMode>() {
  return {"parallel", "serial", "shadow"};
}

std::unexpected<Error> BadValue(std::string_view name, std::string_view value,
                                std::string_view expected) {
  return Fail(ErrorKind::kInvalid, fmt::format("{}{}={}: expected {}", kPrefix, name, value,
                                               expected));
}

template <typename T>
Status Parse(std::string_view name, std::string_view value, T* to) {
  if constexpr (std::is_integral_v<T>) {
    const auto end = value.data() + value.size();
    const auto [at, failed] = std::from_chars(value.data(), end, *to);
    if (failed == std::errc() && at == end && !value.empty()) return {};
    return BadValue(name, value, "a whole number");
  } else {
    const auto words = WordsOf<T>();
    const auto known_as = value == "every_group" ? "group" : value;  // the enumerator's name, too
    const auto word = std::ranges::find(words, known_as);
    if (word == words.end()) {
      return BadValue(name, value, fmt::format("one of {}", fmt::join(words, ", ")));
    }
    *to = static_cast<T>(word - words.begin());
    return {};
  }
}

Status Apply(std::string_view name, std::string_view value, LogOptions* options) {
  for (const auto& setting : kSettings) {
    if (setting.name != name) continue;
    return std::visit([&](auto field) { return Parse(name, value, &(options->*field)); },
                      setting.field);
  }
  std::vector<std::string_view> names;
  for (const auto& setting : kSettings) names.push_back(setting.name);
  return Fail(ErrorKind::kInvalid,
              fmt::format("{}{}: there is no such setting; after {} comes one of {}", kPrefix,
                          name, kPrefix, fmt::join(names, ", ")));
}

}  // namespace

LogOptions LogOptions::Throughput() {
  LogOptions options;
  options.queue_bytes_max = 256ull << 20;
  options.linger_us = 200;
  return options;
}

LogOptions LogOptions::Latency() {
  LogOptions options;
  options.queue_bytes_max = 1u << 20;
  options.group_bytes_max = 256u << 10;
  return options;
}

LogOptions LogOptions::Durable() {
  LogOptions options;
  options.sync_method = LogSyncMethod::kFsync;
  return options;
}

Result<LogOptions> LogOptions::FromEnvironment(LogOptions base, const char* const* environment) {
  if (environment == nullptr) environment = ::environ;
  for (; environment != nullptr && *environment != nullptr; ++environment) {
    const std::string_view variable = *environment;
    if (!variable.starts_with(kPrefix)) continue;
    const auto equals = std::min(variable.find('='), variable.size());
    const auto name = variable.substr(kPrefix.size(), equals - kPrefix.size());
    const auto value = variable.substr(std::min(equals + 1, variable.size()));
    VARVE_TRY(Apply(name, value, &base));
  }
  return base;
}

}  // namespace varve
