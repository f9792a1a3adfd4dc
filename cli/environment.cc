// SPDX-License-Identifier: Apache-2.0
#include "environment.h"

#include <charconv>
#include <string_view>

namespace varve::cli {
namespace {

constexpr std::uint64_t kMemtableBytesMin = 1 << 20;
// Set by the build and the test runner; no business of the command.
constexpr std::string_view kOfBuildAndTests[] = {"VARVE_PYARROW_DIR", "VARVE_TEST_SEED",
                                                 "VARVE_LONG", "VARVE_BUILD_DIR"};

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
  if (name == "VARVE_MEMTABLE_BYTES") {
    CLI_ASSIGN(environment->memtable_bytes, ParseCount(name, value, kMemtableBytesMin));
    return {};
  }
  return WrongUsage("environment variable " + name +
                    " is not known; varve reads VARVE_COLOR, VARVE_MEMTABLE_BYTES and VARVE_ACK");
}

}  // namespace

const char kEnvironmentHelp[] =
    "Environment (flags win over it):\n"
    "  VARVE_COLOR           auto, always or never; NO_COLOR means never\n"
    "  VARVE_MEMTABLE_BYTES  memory for rows not yet flushed, in bytes\n"
    "  VARVE_ACK             durable, written or buffered: when load and delete count a commit\n"
    "  Any other VARVE_* variable is an error.\n"
    "\n"
    "Exit codes: 0 done, 1 other failure, 2 wrong usage, 3 not found, 4 locked, 5 conflict,\n"
    "  6 damage, 7 storage unavailable or full, 8 permission, 9 not supported, 130 interrupted\n";

Outcome<Environment> ReadEnvironment(char** variables) {
  Environment environment;
  bool no_color = false;
  for (; *variables != nullptr; ++variables) {
    const std::string_view entry = *variables;
    const std::size_t equals = entry.find('=');
    if (equals == std::string_view::npos) continue;
    const std::string name(entry.substr(0, equals));
    const std::string value(entry.substr(equals + 1));
    if (name == "NO_COLOR") no_color = !value.empty();
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
