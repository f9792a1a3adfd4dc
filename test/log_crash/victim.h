// SPDX-License-Identifier: Apache-2.0
// Logs to be damaged, and the judgement of what opening a damaged one gives.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <ostream>
#include <span>
#include <string>
#include <vector>

#include "files/simulated_disk.h"
#include "test/log_crash/lives.h"
#include "test/log_crash/oracle.h"
#include "varve/log.h"

namespace varve::testing {

// Three segments or so, made in these steps: a life, one more flush, an end.
struct VictimPlan {
  const char* name;
  void (*life)(Life& life);
  void (*last_flush)(Life& life);
  bool closed;  // else killed: nothing on the disk says that the last flush was acknowledged
  int one_in;   // of the bytes, lengths and sectors so many are tried; 1: each
};
std::span<const VictimPlan> AllVictimPlans();
inline void PrintTo(const VictimPlan& plan, std::ostream* out) { *out << plan.name; }

using FolderBytes = std::map<std::string, std::string>;  // segments by path

// How a damaged log is opened, and whether it may come back without its last flush.
struct Attempt {
  bool tail_may_go = false;
  // Also what was acknowledged before it in its segment: that is damaged, and so is the last flush,
  // which alone says that it was durable. A power cut can leave the same bytes.
  bool evidence_is_gone = false;
  bool read_only = true;
  RecoveryOptions recovery;
};

enum class Verdict : std::uint8_t {
  kRefused,  // Corruption that names a file and an offset; and no byte was changed
  kWhole,    // every unit came back
  kTailCut,  // all but the last flush, which may go
  kEvidenceGone,  // less: acknowledged units, and all that tells of them, damaged at once
  kSilent,   // anything else
};

// A sound log that nobody has open.
struct Victim {
  // The same seed makes the same bytes; another one another log. A twin has the same id, segments
  // and generations, as if both went on from copies of one folder, and other records.
  Victim(const VictimPlan& plan, const LogVariant& variant, std::uint64_t seed, bool twin = false);

  LogOptions options;
  SimulatedDisk disk;
  FolderBytes segments;
  std::vector<std::string> used;  // paths of the segments that hold something, in order
  std::vector<SeenUnit> units;
  std::size_t units_before_last_flush = 0;
  std::size_t units_before_tail_segment = 0;  // the one that the last flush began in
  Lsn durable;

  // For two places that are damaged at once.
  Attempt AttemptFor(const std::string& path, std::uint64_t at, const std::string& other_path,
                     std::uint64_t other_at, std::uint64_t count) const;
  // Whether this is a part of what the last flush touched, when losing that is no silence.
  bool InTail(const std::string& path, std::uint64_t from, std::uint64_t end) const;

 private:
  struct Blocks {
    std::uint64_t from = 0;
    std::uint64_t end = 0;
  };
  void FindTail(const FolderBytes& before, const FolderBytes& after);
  void LookAtSoundLog(const Oracle& oracle);
  std::map<std::string, Blocks> tail_;  // by path
};

// RecoveryOptions::read_ahead_bytes for logs of a few blocks: frames are prepared one by one.
inline constexpr std::uint64_t kReadAheadLittle = 64u << 10;

// What the folder held at each moment of the victim's making.
std::vector<FolderBytes> HistoryOf(const VictimPlan& plan, const LogVariant& variant,
                                   std::uint64_t seed, const Victim& victim);

// Opens what was a victim; what is read ahead is prepared in this thread. `why` is told what came
// of it, unless all is whole.
Verdict Judge(SimulatedDisk* disk, const Victim& victim, const Attempt& attempt, std::string* why);

}  // namespace varve::testing
