// SPDX-License-Identifier: Apache-2.0
// Where replay may start, kept beside the segments so that opening need not look for it in them.
//
// The file CHECKPOINT has two slots of 4096 bytes, written in turn, each synced before it counts: a
// crash while one is written leaves the other. Number n stands in slot n % 2, and is 2^62 at most.
// The slot with the higher number is the newest.
//    0  8  magic "VARVECKP"     24  8  number: 1, 2, 3, ...
//    8 16  log id               32  8  end of the checkpoint's unit: durable before the slot was
//                               40  8  replay_from
//                               48  4  CRC-32C of bytes 0..48
// What does not validate, or belongs to another log, is as if it were not there: then replay starts
// at the beginning. The checkpoint itself is a unit of the log, of one record of kind kCheckpoint:
// 8 bytes replay_from, then the caller's note.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "files/files.h"
#include "log/log_format.h"
#include "varve/log.h"

namespace varve {

inline constexpr char kCheckpointName[] = "CHECKPOINT";

struct CheckpointSlot {
  std::uint64_t number = 0;
  Lsn durable;
  Lsn replay_from;
};

std::string EncodeCheckpoint(Lsn replay_from, std::string_view note);
// Nothing when the record is too short to be one.
std::optional<LogCheckpoint> DecodeCheckpoint(Lsn lsn, const LogRecord& record);

// The newest valid slot of the log `id`. Errors: I/O.
Result<std::optional<CheckpointSlot>> ReadCheckpoint(Files* files, const std::string& dir,
                                                     const LogId& id);

// Writes slots. Thread-safe.
class CheckpointFile {
 public:
  CheckpointFile(Files* files, std::string dir, const LogId& id)
      : files_(files), dir_(std::move(dir)), id_(id) {}

  // Durable when it returns. After an error the file is not written again: what it holds is not
  // known, but one slot of it is sound.
  Status Write(Lsn durable, Lsn replay_from);
  // Of the newest checkpoint, if there is one: what lies behind it must stay. Durable: whatever a
  // crash leaves says to replay from there, or from later on.
  Result<std::optional<Lsn>> ReplayFrom();

 private:
  Status Read();
  Status Open();
  Status Put(const CheckpointSlot& slot);

  Files* const files_;
  const std::string dir_;
  const LogId id_;
  std::mutex mutex_;
  std::unique_ptr<File> file_;           // guarded by mutex_; null before the first write
  bool read_ = false;                    // guarded by mutex_
  std::optional<CheckpointSlot> newest_; // guarded by mutex_
  std::optional<Error> failure_;         // guarded by mutex_
};

}  // namespace varve
