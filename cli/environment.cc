// SPDX-License-Identifier: Apache-2.0
#include "environment.h"

#include <algorithm>
#include <charconv>
#include <span>
#include <string_view>
#include <utility>

namespace varve::cli {
namespace {

constexpr std::uint64_t kMemtableBytesMin = 1 << 20;
constexpr std::uint64_t kMemoryBytesMin = 16 << 20;
constexpr std::uint64_t kSyncIntervalMsMax = 86'400'000;  // a day
// Set by the build and the test runner; no business of the command.
constexpr std::string_view kOfBuildAndTests[] = {"VARVE_PYARROW_DIR", "VARVE_TEST_SEED",
                                                 "VARVE_LONG", "VARVE_BUILD_DIR"};

constexpr std::string_view kOfLog = "VARVE_LOG_";  // LogOptions::FromEnvironment takes them

constexpr std::pair<std::string_view, LogCompression> kCompressions[] = {
    {"none", LogCompression::kNone},
    {"lz4", LogCompression::kLz4},
    {"zstd", LogCompression::kZstd}};
constexpr std::pair<std::string_view, LogSyncMethod> kSyncMethods[] = {
    {"auto", LogSyncMethod::kAuto},
    {"fdatasync", LogSyncMethod::kFdatasync},
    {"fsync", LogSyncMethod::kFsync},
    {"dsync", LogSyncMethod::kDsync},
    {"direct_dsync", LogSyncMethod::kDirectDsync}};

template <typename Value>
Outcome<Value> ParseWord(const std::string& what, const std::string& text,
                         std::span<const std::pair<std::string_view, Value>> words) {
  std::string expected;
  for (const auto& [word, value] : words) {
    if (word == text) return value;
    expected += (expected.empty() ? "" : ", ") + std::string(word);
  }
  return WrongUsage(what + ": expected one of " + expected + ", found \"" + text + "\"");
}

Done TakeVariable(const std::string& name, const std::string& value, Environment* environment) {
  for (const std::string_view other : kOfBuildAndTests) {
    if (name == other) return {};
  }
  if (name == "VARVE_COLOR") {
    CLI_ASSIGN(environment->color, ParseColorMode(name, value));
    return {};
  }
  if (name == "VARVE_ACK") {
    CLI_ASSIGN(environment->ack, ParseAckLevel(name, value));
    return {};
  }
  if (name == "VARVE_KEY_FILE") {
    environment->key_file = value;
    return {};
  }
  if (name == "VARVE_ARCHIVE") {
    environment->archive = value;
    return {};
  }
  if (name == "VARVE_MEMORY") {
    CLI_ASSIGN(environment->memory_bytes, ParseCount(name, value, kMemoryBytesMin));
    return {};
  }
  if (name == "VARVE_MEMTABLE_BYTES") {
    CLI_ASSIGN(environment->memtable_bytes, ParseCount(name, value, kMemtableBytesMin));
    return {};
  }
  if (name == "VARVE_METRICS_MS") {
    CLI_ASSIGN(environment->metrics_ms, ParseCount(name, value, 0));
    return {};
  }
  if (name == "VARVE_COMPACTION_THREADS") {
    CLI_ASSIGN(const std::uint64_t threads, ParseCount(name, value, 0));
    environment->compaction_threads =
        static_cast<std::uint32_t>(std::min<std::uint64_t>(threads, UINT32_MAX));
    return {};
  }
  if (name == "VARVE_BACKGROUND_BYTES_PER_SECOND") {
    CLI_ASSIGN(environment->background_bytes_per_second, ParseCount(name, value, 0));
    return {};
  }
  return WrongUsage("environment variable " + name +
                    " is not known; varve reads VARVE_COLOR, VARVE_MEMORY, "
                    "VARVE_MEMTABLE_BYTES, "
                    "VARVE_METRICS_MS, VARVE_COMPACTION_THREADS, "
                    "VARVE_BACKGROUND_BYTES_PER_SECOND, VARVE_ACK, VARVE_KEY_FILE, VARVE_ARCHIVE "
                    "and VARVE_LOG_*");
}

}  // namespace

const char kEnvironmentHelp[] =
    "Environment (flags win over it):\n"
    "  VARVE_COLOR           auto, always or never; NO_COLOR means never\n"
    "  VARVE_MEMORY          what a database may hold in memory, in bytes: 16777216 or more\n"
    "  VARVE_MEMTABLE_BYTES  memory for rows not yet flushed, in bytes\n"
    "  VARVE_METRICS_MS      how often a writing verb publishes metrics, in ms; 0: never (load\n"
    "                        1000, others 0)\n"
    "  VARVE_COMPACTION_THREADS\n"
    "                        threads of a compaction, at most; 0: one a processor, up to four\n"
    "  VARVE_BACKGROUND_BYTES_PER_SECOND\n"
    "                        flushes and compactions together read and write no faster while no\n"
    "                        commit waits for them; 0: no limit\n"
    "  VARVE_ACK             durable, written or buffered: when load, delete and log append count\n"
    "                        a commit or unit\n"
    "  VARVE_KEY_FILE        as --key-file: the keys of encrypted databases and logs\n"
    "  VARVE_ARCHIVE         folder where verbs that write archive the log of the database, for\n"
    "                        restore-backup: one folder for each database\n"
    "  VARVE_LOG_<SETTING>   settings of `varve log` (VARVE_LOG_SEGMENT_BYTES_MAX=1048576); a\n"
    "                        wrong one lists them all\n"
    "  Any other VARVE_* variable is an error.\n"
    "\n"
    "Exit codes: 0 done, 1 other failure, 2 wrong usage, 3 not found, 4 locked, 5 conflict,\n"
    "  6 damage, 7 storage unavailable or full, 8 permission, 9 not supported, 130 interrupted\n";

Outcome<Environment> ReadEnvironment(char** variables) {
  Environment environment;
  CLI_ASSIGN(environment.log, LogOptions::FromEnvironment({}, variables));
  bool no_color = false;
  for (; *variables != nullptr; ++variables) {
    const std::string_view entry = *variables;
    const std::size_t equals = entry.find('=');
    if (equals == std::string_view::npos) continue;
    const std::string name(entry.substr(0, equals));
    const std::string value(entry.substr(equals + 1));
    if (name == "NO_COLOR") no_color = !value.empty();
    if (name.starts_with(kOfLog)) continue;
    if (name.starts_with("VARVE_")) CLI_TRY(TakeVariable(name, value, &environment));
  }
  if (no_color && environment.color == ColorMode::kAuto) environment.color = ColorMode::kNever;
  return environment;
}

Outcome<ColorMode> ParseColorMode(const std::string& what, const std::string& text) {
  if (text == "auto") return ColorMode::kAuto;
  if (text == "always") return ColorMode::kAlways;
  if (text == "never") return ColorMode::kNever;
  return WrongUsage(what + ": expected auto, always or never, found \"" + text + "\"");
}

Outcome<AckLevel> ParseAckLevel(const std::string& what, const std::string& text) {
  if (text == "durable") return AckLevel::kDurable;
  if (text == "written") return AckLevel::kWritten;
  if (text == "buffered") return AckLevel::kBuffered;
  return WrongUsage(what + ": expected durable, written or buffered, found \"" + text + "\"");
}

Outcome<LogCompression> ParseCompression(const std::string& what, const std::string& text) {
  return ParseWord<LogCompression>(what, text, kCompressions);
}

Outcome<LogSyncMethod> ParseSyncMethod(const std::string& what, const std::string& text) {
  return ParseWord<LogSyncMethod>(what, text, kSyncMethods);
}

Done ParseSyncPolicy(const std::string& what, const std::string& text, LogOptions* options) {
  if (text == "group" || text == "every_group" || text == "never") {
    options->sync_policy = text == "never" ? LogSyncPolicy::kNever : LogSyncPolicy::kEveryGroup;
    return {};
  }
  constexpr std::string_view kInterval = "interval=", kBytes = "bytes=";
  if (text.starts_with(kInterval) && text.ends_with("s")) {
    const bool millis = text.ends_with("ms");
    const auto digits = text.substr(kInterval.size(),
                                    text.size() - kInterval.size() - (millis ? 2 : 1));
    CLI_ASSIGN(const std::uint64_t count, ParseCount(what + " interval", digits, 1));
    const std::uint64_t unit_ms = millis ? 1 : 1000;
    if (count > kSyncIntervalMsMax / unit_ms) {
      return WrongUsage(what + ": expected at most a day, found \"" + text + "\"");
    }
    options->sync_policy = LogSyncPolicy::kInterval;
    options->sync_interval_ms = count * unit_ms;
    return {};
  }
  if (text.starts_with(kBytes)) {
    CLI_ASSIGN(options->sync_bytes, ParseCount(what + " bytes", text.substr(kBytes.size()), 1));
    options->sync_policy = LogSyncPolicy::kBytes;
    return {};
  }
  return WrongUsage(what + ": expected group, interval=50ms, bytes=1048576 or never, found \"" +
                    text + "\"");
}

Outcome<std::uint64_t> ParseCount(const std::string& what, const std::string& text,
                                  std::uint64_t minimum) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < minimum) {
    return WrongUsage(what + ": expected a number of at least " + std::to_string(minimum) +
                      ", found \"" + text + "\"");
  }
  return value;
}

}  // namespace varve::cli
