// SPDX-License-Identifier: Apache-2.0
// Settings from environment variables. Flags win over them, they win over the defaults. A variable
// VARVE_* that is not listed here, or that has a bad value, is an error: a misspelt setting must
// not pass for none.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "failure.h"
#include "varve/log_options.h"
#include "varve/types.h"

namespace varve::cli {

enum class ColorMode { kAuto, kAlways, kNever };

struct Environment {
  ColorMode color = ColorMode::kAuto;          // VARVE_COLOR, and NO_COLOR
  std::optional<std::uint64_t> memory_bytes;   // VARVE_MEMORY
  std::optional<std::uint64_t> memtable_bytes; // VARVE_MEMTABLE_BYTES
  std::optional<std::uint64_t> metrics_ms;     // VARVE_METRICS_MS
  std::uint32_t compaction_threads = 0;        // VARVE_COMPACTION_THREADS
  std::uint64_t background_bytes_per_second = 0;  // VARVE_BACKGROUND_BYTES_PER_SECOND
  AckLevel ack = AckLevel::kDurable;           // VARVE_ACK
  std::string key_file;                        // VARVE_KEY_FILE
  std::string archive;                         // VARVE_ARCHIVE
  LogOptions log;                              // VARVE_LOG_*; for the verbs of `varve log`
};

// Passes over the variables of the build and the tests (VARVE_PYARROW_DIR, VARVE_TEST_SEED, ...).
Outcome<Environment> ReadEnvironment(char** variables);
// What `varve --help` says about them.
extern const char kEnvironmentHelp[];

// Values of flags and variables alike; `what` names the one at fault.
Outcome<ColorMode> ParseColorMode(const std::string& what, const std::string& text);
Outcome<AckLevel> ParseAckLevel(const std::string& what, const std::string& text);
Outcome<LogCompression> ParseCompression(const std::string& what, const std::string& text);
Outcome<LogSyncMethod> ParseSyncMethod(const std::string& what, const std::string& text);
// group, interval=50ms (or 2s), bytes=1048576 or never, into the options that say so.
Done ParseSyncPolicy(const std::string& what, const std::string& text, LogOptions* options);
Outcome<std::uint64_t> ParseCount(const std::string& what, const std::string& text,
                                  std::uint64_t minimum);

}  // namespace varve::cli
