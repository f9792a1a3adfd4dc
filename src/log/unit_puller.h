// SPDX-License-Identifier: Apache-2.0
// Frames in, whole units out, one at a time, on demand: UnitStream (unit_stream.h) for a reader who
// decides when. Nothing is decoded before it is taken. Memory: the one unit that spans frames, and
// the records of one unit; the units of other frames are read in the frame.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "log/log_format.h"
#include "log/segment_cipher.h"
#include "log/segment_reader.h"
#include "log/unit_codec.h"
#include "varve/log.h"

namespace varve {

class UnitPuller {
 public:
  using Cipher = std::shared_ptr<const SegmentCipher>;

  // Gives units at or after `from`. `inside`: the first frame goes on with a unit that began before
  // it, and is not wanted.
  UnitPuller(Lsn from, bool inside) : from_(from), skipping_(inside) {}

  // The next link, or group, or seal; only when Peek gives nothing. What is wrong with it is given
  // back; empty when nothing is. `frame` must live for as long as Peek gives something.
  std::string TakeLink(std::uint16_t flags, const LinkPayload& link);
  std::string TakeGroup(const LogFrame& frame, Cipher cipher);
  std::string TakeSeal(const SealPayload& seal) const;

  // The place of the next unit.
  struct Place {
    Lsn lsn;
    Lsn end;
  };
  std::optional<Place> Peek() const;
  // The end of the last whole unit that was taken in, when nothing is left of that and nothing is
  // open. It may be one that was not wanted.
  std::optional<Lsn> Passed() const {
    const bool all = units_.empty() && open_unit_.value == 0 && !skipping_;
    return all ? unit_end_ : std::nullopt;
  }
  // That unit. Its records are valid until the next call of a member that is not const.
  Result<LogUnit> Take();

 private:
  std::string TakeFragment(const LogFrame& frame, Cipher cipher);
  std::string Finish(const FrameHeader& header);
  void DropOpen();
  void SkipUnwanted();

  const Lsn from_;
  std::optional<Lsn> unit_end_;  // of the last whole unit, once it is known
  std::uint64_t open_bytes_ = 0; // of the open unit, as it says
  Lsn open_unit_;                // spans frames, and is not whole yet; 0: none, or not known
  bool skipping_;                // inside a unit that is not wanted
  std::string assembled_;        // of the open unit, or the whole one that is next
  Cipher cipher_;                // of the next unit, or the open one
  std::string_view units_;       // whole ones, not yet taken
  Lsn next_;                     // LSN of the first of them
  UnitDecoder decoder_;
};

}  // namespace varve
