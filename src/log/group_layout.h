// SPDX-License-Identifier: Apache-2.0
// Where units go: fixes the place of every unit in a frame, and of every frame in a segment, before
// anything is written. Only arithmetic and one copy of the records; no I/O.
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "log/log_format.h"
#include "log/log_writer.h"
#include "log/segment_supply.h"

namespace varve {

// A unit's place.
struct UnitPlace {
  Lsn lsn;
  Lsn end;
};

// Not thread-safe: the commit queue's mutex guards it.
class GroupLayout {
 public:
  // `unit_end`: end of the last unit there is.
  explicit GroupLayout(Lsn unit_end) : unit_end_(unit_end) {}

  // Whether a unit of this size has a place in the segments known so far. When not, AddSegment.
  bool Fits(std::uint64_t unit_bytes) const;
  void AddSegment(OpenSegmentPtr segment) { upcoming_.push_back(std::move(segment)); }
  // Segments added and not entered; they are no longer known afterwards.
  std::deque<OpenSegmentPtr> TakeUpcoming() { return std::exchange(upcoming_, {}); }

  // Copies a unit to its place, behind the frames of the flush that is being gathered.
  // Requires Fits(unit_bytes).
  UnitPlace Place(std::span<const std::string_view> records, std::uint64_t unit_bytes);

  // The frames since the last call; the next unit starts a new one.
  std::vector<PendingFrame> TakeFrames();
  // The next unit starts a new segment.
  void EndSegment();
  // Goes on in a segment whose link is written already.
  void Enter(OpenSegmentPtr segment);

  // True once for each segment, when it is half full and no other one is known.
  bool WantsSegmentAhead();
  // Gives the memory of a written frame back, for reuse.
  void Recycle(std::string bytes);

 private:
  std::uint64_t SegmentRoom() const;    // for frames, behind the open one
  std::uint64_t OpenFrameRoom() const;  // for payload
  void EndFrame();
  PendingFrame* StartFrame();
  UnitPlace PlaceInFrame(std::span<const std::string_view> records, std::uint64_t unit_bytes);
  UnitPlace PlaceFragments(std::span<const std::string_view> records, std::uint64_t unit_bytes);
  void EnterNext();

  OpenSegmentPtr segment_;              // null: the next unit starts a new one
  std::uint64_t offset_ = 0;            // in segment_, where the open frame, or the next, starts
  bool frame_open_ = false;             // frames_.back() takes more units
  bool asked_ahead_ = false;
  Lsn unit_end_;
  std::deque<OpenSegmentPtr> upcoming_;
  std::vector<PendingFrame> frames_;
  std::string spare_;
};

}  // namespace varve
