// SPDX-License-Identifier: Apache-2.0
// LogOptions::FromEnvironment, and Log::Open with what it gives. Input: the variables, one a line;
// a line that begins with '=' is a setting of the log, without the prefix.
#include <fmt/format.h>

#include "base/clock.h"
#include "base/executor.h"
#include "base/random.h"
#include "files/simulated_disk.h"
#include "fuzz/input.h"
#include "fuzz/oracle.h"
#include "fuzz/target.h"
#include "varve/log.h"

namespace varve::fuzz {
namespace {

constexpr std::string_view kPrefix = "VARVE_LOG_";

std::vector<std::string> Lines(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    auto line = std::string(text.substr(0, end));
    line.resize(std::min(line.find('\0'), line.size()));  // as a C string ends
    if (line.starts_with('=')) line.replace(0, 1, kPrefix);
    lines.push_back(std::move(line));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

Result<LogOptions> Read(const LogOptions& base, const std::vector<std::string>& lines) {
  std::vector<const char*> environment;
  for (const auto& line : lines) environment.push_back(line.c_str());
  environment.push_back(nullptr);
  return LogOptions::FromEnvironment(base, environment.data());
}

std::string_view Word(std::initializer_list<std::string_view> words, auto value) {
  const auto index = static_cast<std::size_t>(value);
  FUZZ_EXPECT(index < words.size(), std::to_string(index));
  return words.begin()[index];
}

// The environment that says the same.
std::vector<std::string> Written(const LogOptions& o) {
  const auto line = [](std::string_view name, const auto& value) {
    return fmt::format("{}{}={}", kPrefix, name, value);
  };
  return {
      line("SEGMENT_BYTES_MAX", o.segment_bytes_max),
      line("SEGMENT_AGE_MS_MAX", o.segment_age_ms_max),
      line("RECYCLED_SEGMENTS_MAX", o.recycled_segments_max),
      line("LOG_BYTES_MAX", o.log_bytes_max),
      line("QUEUE_BYTES_MAX", o.queue_bytes_max),
      line("QUEUE_WAIT_MS_MAX", o.queue_wait_ms_max),
      line("GROUP_BYTES_MAX", o.group_bytes_max),
      line("GROUP_UNITS_MAX", o.group_units_max),
      line("LINGER_US", o.linger_us),
      line("SYNC_POLICY", Word({"every_group", "interval", "bytes", "never"}, o.sync_policy)),
      line("SYNC_INTERVAL_MS", o.sync_interval_ms),
      line("SYNC_BYTES", o.sync_bytes),
      line("SYNC_METHOD",
           Word({"auto", "fdatasync", "fsync", "dsync", "direct_dsync"}, o.sync_method)),
      line("ENCODE_MODE", Word({"parallel", "serial", "shadow"}, o.encode_mode)),
      line("SHADOW_PER_MILLE", o.shadow_per_mille),
      line("COMPRESSION", Word({"none", "lz4", "zstd"}, o.compression)),
  };
}

// Options that can be read can be opened with, or are refused as the caller's.
void CheckOpens(LogOptions options) {
  options.queue_wait_ms_max = 0;  // nobody makes room here
  options.linger_us = 0;
  const auto files = NewMemoryFiles();
  ManualClock clock;
  SeededRandom random(1);
  ManualExecutor executor;
  const LogComponents world{files.get(), &clock, &random, &executor, nullptr};
  auto log = Log::Open("log", options, {}, {}, world);
  if (!log) {
    FUZZ_EXPECT(log.error().kind() == ErrorKind::kInvalid, log.error().message());
    return;
  }
  const auto ack = (*log)->Append({LogRecord("a unit")});
  const bool no_room = !ack && ack.error().kind() == ErrorKind::kUnavailable;
  FUZZ_EXPECT(ack || no_room, ack.error().message());
}

}  // namespace

void FuzzOne(Input input) {
  const auto lines = Lines(input.TakeRest());
  const auto options = Read({}, lines);
  if (!options) {
    FUZZ_EXPECT(options.error().kind() == ErrorKind::kInvalid, options.error().message());
    FUZZ_EXPECT(options.error().message().starts_with(kPrefix), options.error().message());
    return;
  }
  const auto written = Written(*options);
  const auto again = Read(LogOptions::Latency(), written);
  FUZZ_EXPECT(again.has_value(), again.error().message());
  FUZZ_EXPECT(Written(*again) == written, "other options");
  CheckOpens(*options);
}

std::vector<std::string> FuzzSeeds() {
  return {"=SEGMENT_BYTES_MAX=65536\n=COMPRESSION=zstd\n=GROUP_UNITS_MAX=7\n",
          "=SYNC_POLICY=interval\n=SYNC_METHOD=direct_dsync\n=ENCODE_MODE=shadow\n",
          "PATH=x\n=RECYCLED_SEGMENTS_MAX=3\n=SHADOW_PER_MILLE=10\n=QUEUE_BYTES_MAX=4096\n",
          "=LOG_BYTES_MAX=18446744073709551615\n=LINGER_US=-1\n", "=NO_SUCH=1\nVARVE_LOG_"};
}

}  // namespace varve::fuzz
