// SPDX-License-Identifier: Apache-2.0
#include "log/group_layout.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/check.h"

namespace varve {
namespace {

// Bytes of payload that fit into `room` bytes of frames.
std::uint64_t FragmentRoom(std::uint64_t room) {
  const auto rest = room % kFrameBytesMax;
  return room / kFrameBytesMax * kFramePayloadMax + (rest == 0 ? 0 : rest - kFrameHeaderBytes);
}

// Payload of one frame in `room` bytes.
std::uint64_t FrameRoom(std::uint64_t room) {
  return room == 0 ? 0 : std::min(room, kFrameBytesMax) - kFrameHeaderBytes;
}

// The last blocks of a segment are kept for its seals.
std::uint64_t RoomFrom(const OpenSegment& segment, std::uint64_t offset) {
  const auto end = segment.header.capacity - kSealBytes;
  return offset >= end ? 0 : end - offset;
}

}  // namespace

std::uint64_t GroupLayout::SegmentRoom() const {
  if (!segment_) return 0;
  return RoomFrom(*segment_, offset_ + (open_ == nullptr ? 0 : open_->FileBytes()));
}

bool GroupLayout::Fits(std::uint64_t unit_bytes) const {
  if (FrameRoom(SegmentRoom()) >= unit_bytes) return true;
  // A unit that fits one frame is not split unless even an empty segment is too small for it.
  if (unit_bytes <= kFramePayloadMax) {
    if (upcoming_.empty()) return false;
    if (FrameRoom(RoomFrom(*upcoming_.front(), kFirstGroupOffset)) >= unit_bytes) return true;
  }
  auto room = FragmentRoom(SegmentRoom());
  for (const auto& next : upcoming_) room += FragmentRoom(RoomFrom(*next, kFirstGroupOffset));
  return room >= unit_bytes;
}

std::uint64_t GroupLayout::AheadBytes() const {
  std::uint64_t bytes = segment_ ? segment_->header.capacity : 0;
  for (const auto& next : upcoming_) bytes += next->header.capacity;
  return bytes;
}

UnitPlace GroupLayout::Place(std::uint64_t unit_bytes) {
  CloseFrame();
  VARVE_CHECK(Fits(unit_bytes));
  if (FrameRoom(SegmentRoom()) >= unit_bytes) return PlaceInFrame(unit_bytes);
  const auto fresh =
      upcoming_.empty() ? 0 : FrameRoom(RoomFrom(*upcoming_.front(), kFirstGroupOffset));
  if (fresh < unit_bytes) return PlaceFragments(unit_bytes);
  EnterNext();
  return PlaceInFrame(unit_bytes);
}

UnitPlace GroupLayout::PlaceInFrame(std::uint64_t unit_bytes) {
  const auto payload =
      std::min(FrameRoom(SegmentRoom()), std::max(unit_bytes, settings_.frame_bytes_max));
  open_ = SpareFrame();
  const auto place =
      open_->Begin(segment_, offset_, unit_bytes, payload, settings_.frame_units_max);
  return {place.lsn,
          {place.lsn.value + unit_bytes},
          segment_->cipher.get(),
          {open_, place.to, unit_bytes},
          {}};
}

UnitPlace GroupLayout::PlaceFragments(std::uint64_t unit_bytes) {
  UnitPlace unit{};
  auto left = unit_bytes;
  while (left > 0) {
    if (SegmentRoom() == 0) EnterNext();
    const auto part = std::min(FrameRoom(SegmentRoom()), left);
    auto* const frame = SpareFrame();
    const auto place = frame->BeginClosed(segment_, offset_, part);
    const bool first = left == unit_bytes;
    left -= part;
    frame->flags =
        static_cast<std::uint16_t>((first ? 0 : kContinues) | (left == 0 ? 0 : kContinued));
    if (first) {
      unit.lsn = place.lsn;
      unit.cipher = segment_->cipher.get();
      unit.first = {frame, place.to, part};
    } else {
      unit.more.push_back({frame, place.to, part});
    }
    frame->open_unit = left == 0 ? Lsn{} : unit.lsn;
    offset_ += frame->FileBytes();
    closed_.push_back(frame);
    unit.end = {place.lsn.value + part};
  }
  unit_end_ = unit.end;
  return unit;
}

OpenFrame* GroupLayout::SpareFrame() {
  if (spare_.empty()) {
    all_.push_back(std::make_unique<OpenFrame>());
    spare_.push_back(all_.back().get());
  }
  auto* const frame = spare_.back();
  spare_.pop_back();
  frame->unit_end_before = unit_end_;
  return frame;
}

void GroupLayout::CloseFrame() {
  if (open_ == nullptr) return;
  open_->Close();
  offset_ += open_->FileBytes();
  unit_end_ = open_->UnitEnd();
  closed_.push_back(std::exchange(open_, nullptr));
}

Lsn GroupLayout::UnitEnd() const { return open_ == nullptr ? unit_end_ : open_->UnitEnd(); }

void GroupLayout::EnterNext() {
  VARVE_CHECK(!upcoming_.empty() && open_ == nullptr);
  Enter(std::move(upcoming_.front()));
  upcoming_.pop_front();
}

void GroupLayout::Enter(OpenSegmentPtr segment) {
  segment_ = std::move(segment);
  offset_ = kFirstGroupOffset;
  asked_ahead_ = false;
}

void GroupLayout::EndSegment() {
  CloseFrame();
  segment_.reset();
}

std::vector<OpenFrame*> GroupLayout::TakeFrames(std::uint64_t bytes_max, std::uint64_t units_max) {
  std::vector<OpenFrame*> taken;
  std::uint64_t bytes = 0;
  std::uint64_t units = 0;
  CloseFrame();
  while (!closed_.empty()) {
    bytes += closed_.front()->FileBytes();
    units += closed_.front()->units();
    const bool full = bytes > bytes_max || (units_max > 0 && units > units_max);
    if (!taken.empty() && full) break;
    taken.push_back(closed_.front());
    closed_.pop_front();
  }
  return taken;
}

std::uint64_t GroupLayout::GatheredBytes() const {
  std::uint64_t bytes = open_ == nullptr ? 0 : open_->FileBytes();
  for (const auto* frame : closed_) bytes += frame->FileBytes();
  return bytes;
}

std::uint64_t GroupLayout::GatheredUnits() const {
  std::uint64_t units = open_ == nullptr ? 0 : open_->units();
  for (const auto* frame : closed_) units += frame->units();
  return units;
}

void GroupLayout::Recycle(const std::vector<OpenFrame*>& frames) {
  for (auto* frame : frames) {
    frame->Release();
    spare_.push_back(frame);
  }
}

bool GroupLayout::WantsSegmentAhead() {
  if (!segment_ || asked_ahead_ || !upcoming_.empty()) return false;
  if (offset_ < segment_->header.capacity / 2) return false;
  asked_ahead_ = true;
  return true;
}

}  // namespace varve
