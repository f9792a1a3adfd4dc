// SPDX-License-Identifier: Apache-2.0
// Frames in, whole units out. Memory: one frame's records, or the one unit that spans frames.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "log/log_format.h"
#include "log/segment_cipher.h"
#include "log/segment_reader.h"
#include "log/unit_codec.h"
#include "varve/log.h"

namespace varve {

class UnitStream {
 public:
  // Delivers units at or after `from` and counts them in `report`. No unit is larger than
  // `log_bytes`, the size of all segments.
  UnitStream(const LogReplay& replay, Lsn from, std::uint64_t log_bytes, RecoveryReport* report);

  // Of the segment whose frames come next. Null: it is not encrypted, or nobody has the key; then
  // its units are counted and not delivered, which is an error when somebody wants them.
  void SetCipher(std::shared_ptr<const SegmentCipher> cipher) { cipher_ = std::move(cipher); }

  const std::shared_ptr<const SegmentCipher>& cipher() const { return cipher_; }

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
  // Goes on behind the last frame; its beginning need not have been read. 0: none.
  Lsn open_unit() const { return open_unit_; }
  std::uint64_t open_bytes() const { return assembled_.size(); }

 private:
  // Whether the next frame may go on with a unit whose beginning was not read.
  enum class Skip : std::uint8_t { kNo, kMust, kMay };

  // Whether the next group must go on with the unit of the one before.
  bool ExpectsMore() const { return open_unit_.value != 0; }
  void DropOpen();
  Result<std::string> DecodeWhole(const LogFrame& frame);
  Result<std::string> DecodeFragment(const LogFrame& frame);
  Result<std::string> DecodeInto(std::string_view unit, Lsn lsn, const SegmentCipher* cipher);
  Status Deliver(const FrameUnits& units);

  const LogReplay& replay_;
  const Lsn from_;
  const std::uint64_t log_bytes_;
  RecoveryReport* const report_;
  Lsn unit_end_;
  Lsn open_unit_;
  std::string assembled_;    // of the open unit
  std::shared_ptr<const SegmentCipher> cipher_;
  std::shared_ptr<const SegmentCipher> open_cipher_;  // of the open unit
  Skip skip_ = Skip::kNo;
  UnitDecoder decoder_;
  std::vector<FoundUnit> units_;
  std::uint64_t records_ = 0;  // of units_
};

}  // namespace varve
