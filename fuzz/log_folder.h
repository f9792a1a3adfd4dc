// SPDX-License-Identifier: Apache-2.0
// A log's folder as an input, and back. Most blocks of a log are mostly zeros, so only what stands
// at their front is in the input:
//
//   0 1  what to mend (mend.h)         2 .. files
//   1 1  what to try (the target's)
//   a file: 1 byte tag (bits 0..4 sequence, 0: CHECKPOINT; bit 7: the last block ends where its
//   bytes do), 1 byte blocks, and for each block 2 bytes n: n <= 4096 bytes follow, the rest of the
//   block is zeros; a larger n stands for n % 256 blocks of zeros
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/executor.h"
#include "base/random.h"
#include "files/files.h"
#include "fuzz/input.h"
#include "fuzz/mend.h"
#include "varve/error.h"
#include "varve/log.h"
#include "varve/log_options.h"

namespace varve::fuzz {

inline constexpr char kLogDir[] = "log";

struct LogFolder {
  std::uint8_t mend = 0;
  std::uint8_t choices = 0;
  std::string checkpoint;                         // empty: no such file
  std::map<std::uint64_t, std::string> segments;  // by sequence

  std::uint64_t bytes() const;
};

// Mended as the input says.
LogFolder TakeFolder(Input input);
std::string Packed(const LogFolder& folder);

// The folder in memory, as kLogDir.
std::unique_ptr<Files> FilesOf(const LogFolder& folder);

// Everything that a log needs besides files; the same each time.
struct World {
  ManualClock clock{1'700'000'000'000'000, 0};  // how often it is asked differs: some is sampled
  SeededRandom random{7};
  ManualExecutor executor;
  FixedKeys keys;

  LogComponents On(Files* files) { return {files, &clock, &random, &executor, nullptr}; }
};

struct SeenUnit {
  Lsn lsn;
  Lsn end;
  std::vector<std::pair<LogKind, std::string>> records;
  bool operator==(const SeenUnit&) const = default;
};
SeenUnit Seen(const LogUnit& unit);

// What somebody read until the end or an error.
struct Reading {
  std::vector<SeenUnit> units;
  std::optional<Error> error;

  std::string Describe() const;
};

// What Log::Open replays; the log is closed again without a word. When `append` is given and the
// log opens, it is appended as a unit, durably, and the reading has it.
Reading ReadLog(Files* files, const std::string& dir, RecoveryMode mode, bool read_only,
                std::string_view append = {});
// What a cursor gives.
Reading ReadByCursor(Files* files, Lsn from, AckLevel level, bool follow);

bool IsPrefix(const std::vector<SeenUnit>& some, const std::vector<SeenUnit>& all);

// Inputs of logs that were written by Log: plain, compressed, encrypted, closed and killed, with
// units that span segments, truncated, with files used again, with a checkpoint.
std::vector<std::string> SampleFolders();

}  // namespace varve::fuzz
