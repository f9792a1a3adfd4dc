// SPDX-License-Identifier: Apache-2.0
// Where units go: fixes the place of every frame in a segment, before anything is written. Only
// arithmetic, no I/O, no copy of records. Small units are placed by OpenFrame::Reserve without it;
// it opens the frame in which they do, and places what no open frame takes.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "log/log_format.h"
#include "log/open_frame.h"
#include "log/segment_supply.h"

namespace varve {

// One piece of a unit's place: `bytes` at `to`, to be filled and then completed in `frame`.
struct UnitPiece {
  OpenFrame* frame;
  char* to;
  std::uint64_t bytes;
};

// Valid until the unit is completed.
struct UnitPlace {
  Lsn lsn;
  Lsn end;
  const SegmentCipher* cipher;  // of the segment in which it begins
  UnitPiece first;
  std::vector<UnitPiece> more;  // when it spans frames
  std::unique_ptr<char[]> whole;  // then, with whole_units: room for the unit in one piece
};

struct LayoutSettings {
  std::uint64_t frame_bytes_max = 1u << 20;  // of payload; larger units get a frame of their own
  std::uint32_t frame_units_max = OpenFrame::kUnitsMost;
  bool whole_units = true;  // a unit that spans frames cannot be encoded piece by piece
};

// Not thread-safe: the commit queue's mutex guards it. Whatever throws std::bad_alloc changes
// nothing that anybody could see; what does not say so never does.
class GroupLayout {
 public:
  // `unit_end`: end of the last unit there is.
  GroupLayout(Lsn unit_end, const LayoutSettings& settings)
      : settings_(settings), unit_end_(unit_end) {}

  // Whether a unit of this size has a place behind the open frame, in the segments known so far.
  // When not, AddSegment.
  bool Fits(std::uint64_t unit_bytes) const;
  void AddSegment(OpenSegmentPtr segment) { upcoming_.push_back(std::move(segment)); }
  // Takes the memory for the next AddSegment. Throws std::bad_alloc.
  void ExpectSegment() { upcoming_.reserve(upcoming_.size() + 1); }
  // Of the segment that units go to, and of those behind it.
  std::uint64_t AheadBytes() const;
  // Segments added and not entered; they are no longer known afterwards.
  std::vector<OpenSegmentPtr> TakeUpcoming() { return std::exchange(upcoming_, {}); }

  // Closes the open frame and places a unit behind it. Requires Fits(unit_bytes). Afterwards the
  // frame that open() gives takes more units, if there is one. Throws std::bad_alloc.
  UnitPlace Place(std::uint64_t unit_bytes);
  OpenFrame* open() const { return open_; }
  void CloseFrame();

  // Moves the oldest frames to `taken`, which is empty: closed, as many as `bytes_max` and
  // `units_max` (0: no limit) allow, one at least if there is one. Throws std::bad_alloc.
  void TakeFrames(std::uint64_t bytes_max, std::uint64_t units_max,
                  std::vector<OpenFrame*>* taken);
  bool HasFrames() const { return open_ != nullptr || !closed_.empty(); }
  bool HasClosedFrames() const { return !closed_.empty(); }
  // Of the frames that were not taken, in the file; what they hold in memory.
  std::uint64_t GatheredBytes() const;
  std::uint64_t GatheredMemory() const;
  std::uint64_t GatheredUnits() const;
  // Frames that were written, for use again.
  void Recycle(const std::vector<OpenFrame*>& frames);

  // The next unit starts a new segment.
  void EndSegment();
  // Goes on in a segment whose link is written already.
  void Enter(OpenSegmentPtr segment);
  const OpenSegmentPtr& segment() const { return segment_; }

  // End of the last unit that has a place.
  Lsn UnitEnd() const;
  // True once for each segment, when it is half full and no other one is known.
  bool WantsSegmentAhead();

 private:
  // A part of a unit that spans frames.
  struct Fragment {
    const OpenSegment* segment;
    std::uint64_t bytes;
  };

  std::uint64_t SegmentRoom() const;  // for frames, behind the open one
  // Makes sure that so many frames are spare, and that they may all be closed.
  void NeedSpareFrames(std::size_t count);
  OpenFrame* TakeSpareFrame();
  std::vector<Fragment> PlanFragments(std::uint64_t unit_bytes) const;
  std::uint64_t FramePayload(std::uint64_t unit_bytes, std::uint64_t room) const;
  UnitPlace PlaceInFrame(std::uint64_t unit_bytes, std::uint64_t payload);
  UnitPlace PlaceFragments(std::uint64_t unit_bytes);
  void EnterNext();

  const LayoutSettings settings_;
  OpenSegmentPtr segment_;        // null: the next unit starts a new one
  std::uint64_t offset_ = 0;      // in segment_, behind the last closed frame
  OpenFrame* open_ = nullptr;     // takes units
  Lsn unit_end_;                  // of the last unit before the open frame
  bool asked_ahead_ = false;
  std::vector<OpenFrame*> closed_;  // the oldest first; with room for all, as spare_ has
  std::vector<OpenSegmentPtr> upcoming_;
  std::vector<OpenFrame*> spare_;
  std::vector<std::unique_ptr<OpenFrame>> all_;  // none is freed before: see OpenFrame
};

}  // namespace varve
