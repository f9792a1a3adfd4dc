// SPDX-License-Identifier: Apache-2.0
// Which way to make a write durable is the fastest here: measured once for a folder on a device,
// and remembered in a file of that folder.
//
// The folder has two names for it. SYNC is the memory: a few lines of text with a checksum, keyed
// by the device the folder is on. It is only advice: it is never synced, and where it is missing,
// torn, of another device or of another version, all is measured again and it is written anew.
// calibration.tmp is what is written to while measuring; one that a crash has left is removed by
// the next choice.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "files/files.h"

namespace varve {

class Clock;

inline constexpr std::string_view kSyncFileName = "SYNC";
inline constexpr std::string_view kCalibrationFileName = "calibration.tmp";

struct SyncMeasurement {
  SyncMethod method = SyncMethod::kFdatasync;
  // Of a durable write of one block; none: the method is not to be had here.
  std::optional<std::int64_t> median_micros;
  std::string refusal;  // why not; empty when that was learnt by an earlier process
};

// What was chosen and why, for a report.
struct SyncChoice {
  SyncMethod method = SyncMethod::kFdatasync;
  bool remembered = false;             // not measured by this call
  std::vector<SyncMeasurement> table;  // of all methods, in their order; empty: nothing is known
  std::string trouble;                 // why measuring or remembering failed, if it did
};

// Writes 60 blocks of 4096 bytes by each method, in turns, to a file of zeros in `directory`, and
// chooses the fastest by its median; fdatasync, the simplest, when it is slower by 2 % at most.
// Fewer where that takes longer than 200 ms, but at least 5: who opens a log waits for it; of less
// than 20 writes 5 % are nothing. What
// else the machine does meanwhile is in the medians, for all methods alike. When a write fails the
// choice is fdatasync, and the failure is in `trouble`. Leaves no file. Nobody else may be doing
// this in the folder.
SyncChoice MeasureSyncMethods(Files* files, const std::string& directory, Clock* clock);

// The remembered choice for this folder on this device; otherwise measures, and remembers if that
// went well. Without a device (files in memory) there is nothing to measure: fdatasync.
// The writer's part: it changes the folder. A remembered method can still be refused, when the
// folder has moved and another device has got the number of the old one: who calls
// File::UseSyncMethod with it goes on with fdatasync then.
SyncChoice ChooseSyncMethod(Files* files, const std::string& directory, Clock* clock);

// The remembered choice, if there is one. Changes nothing.
std::optional<SyncChoice> RememberedSyncMethod(Files* files, const std::string& directory);

}  // namespace varve
