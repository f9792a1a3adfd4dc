// SPDX-License-Identifier: Apache-2.0
// Frames in, whole units out. Memory: one frame's records, or the one unit that spans frames.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "log/log_format.h"
#include "log/segment_reader.h"
#include "varve/log.h"

namespace varve {

class UnitStream {
 public:
  // Delivers units at or after `from` and counts them in `report`. No unit is larger than
  // `log_bytes`, the size of all segments.
  UnitStream(const LogReplay& replay, Lsn from, std::uint64_t log_bytes, RecoveryReport* report);

  // The link of the segment where reading begins, or of the next segment.
  std::string TakeFirstLink(const SegmentHeader& segment, std::uint16_t flags,
                            const LinkPayload& link);
  std::string TakeLink(std::uint16_t flags, const LinkPayload& link);

  // A group frame. Gives what is wrong with its content, empty when nothing is; then either all
  // units that end in it were delivered, or none. The error is that of `replay`.
  Result<std::string> TakeGroup(const LogFrame& frame);

  // Frames are missing here: whatever was open is lost, and the rest of it may follow.
  void Resync();

  Lsn unit_end() const { return unit_end_; }    // of the last whole unit
  Lsn open_unit() const { return open_unit_; }  // 0: none
  std::uint64_t open_bytes() const { return assembled_.size(); }

 private:
  struct Place {
    Lsn lsn;
    std::size_t records_end;  // in records_
  };
  // Whether the next frame may go on with a unit whose beginning was not read.
  enum class Skip : std::uint8_t { kNo, kMust, kMay };

  void DropOpen();
  std::string DecodeWhole(const LogFrame& frame);
  std::string DecodeFragment(const LogFrame& frame);
  std::string DecodeInto(std::string_view unit, Lsn lsn);
  Status Deliver();

  const LogReplay& replay_;
  const Lsn from_;
  const std::uint64_t log_bytes_;
  RecoveryReport* const report_;
  Lsn unit_end_;
  Lsn open_unit_;
  std::string assembled_;    // of the open unit
  Skip skip_ = Skip::kNo;
  std::vector<std::string_view> records_;
  std::vector<Place> units_;
};

}  // namespace varve
