// SPDX-License-Identifier: Apache-2.0
// Where replay may start, kept beside the segments so that opening need not look for it in them.
//
// The file CHECKPOINT has two slots of 4096 bytes, written in turn, each synced before it counts: a
// crash while one is written leaves the other. Number n stands in slot n % 2, and is 2^62 at most.
// The slot with the higher number is the newest. A checkpoint from which replay begins earlier than
// from the newest is noted twice: before its unit, still with the end of the newest's, and after.
//    0  8  magic "VARVECKP"     24  8  number: 1, 2, 3, ...
//    8 16  log id               32  8  end of the checkpoint's unit: durable before the slot was
//                               40  8  replay_from
//                               48  4  CRC-32C of bytes 0..48
// What does not validate, or belongs to another log, is as if it were not there: then replay starts
// at the beginning. The checkpoint itself is a unit of the log, of one record of kind kCheckpoint:
// 8 bytes replay_from, then the caller's note.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
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

// The lower of the two, if there is any.
inline std::optional<Lsn> Lowest(std::optional<Lsn> one, std::optional<Lsn> other) {
  return one && other ? std::min(one, other) : std::max(one, other);
}

// Writes slots, one before the unit of a checkpoint if need be and one after it. One caller at a
// time, and the units in the order of the log.
//
// While a unit is in the log and not in the file, replay begins no later than it says, and
// ReplayFrom is no later either. After an error the file is not written again: what it holds is
// not known, but one slot of it is sound.
class CheckpointFile {
 public:
  // `unit`: the replay_from of the newest unit that recovery saw, which may not be in the file.
  CheckpointFile(Files* files, std::string dir, const LogId& id, std::optional<Lsn> unit)
      : files_(files), dir_(std::move(dir)), id_(id), unit_(unit) {}

  // Before the unit is appended; without success it must not be.
  Status Announce(Lsn replay_from);
  // When the unit, which ends at `durable`, is. Durable when it returns.
  Status Write(Lsn durable, Lsn replay_from);
  // Of the newest checkpoint, if there may be one: what lies behind it must stay. Durable: whatever
  // a crash leaves says to replay from there, or from later on.
  Result<std::optional<Lsn>> ReplayFrom();

 private:
  Status Read();
  Status Open();
  Status PutNext(Lsn durable, Lsn replay_from);
  Status Put(const CheckpointSlot& slot);
  Status Failure() const;

  Files* const files_;
  const std::string dir_;
  const LogId id_;
  std::unique_ptr<File> file_;           // null before the first write
  bool read_ = false;
  std::optional<CheckpointSlot> newest_;
  std::optional<Lsn> unit_;              // that may be in the log and not in the file: the lowest
  std::optional<Error> failure_;
};

}  // namespace varve
