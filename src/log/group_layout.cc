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
  const auto here = FrameRoom(SegmentRoom());
  const auto next =
      upcoming_.empty() ? 0 : FrameRoom(RoomFrom(*upcoming_.front(), kFirstGroupOffset));
  if (std::max(here, next) < unit_bytes) return PlaceFragments(unit_bytes);
  const bool stays = here >= unit_bytes;
  const auto payload = FramePayload(unit_bytes, stays ? here : next);
  // Memory first: a segment that is entered and has no frame would be missed by recovery.
  NeedSpareFrames(1);
  spare_.back()->TakeMemory(payload);
  if (!stays) EnterNext();
  return PlaceInFrame(unit_bytes, payload);
}

// A frame has memory for the units that may come into it, if they are like the first.
std::uint64_t GroupLayout::FramePayload(std::uint64_t unit_bytes, std::uint64_t room) const {
  const auto usual = std::min(settings_.frame_bytes_max, unit_bytes * settings_.frame_units_max);
  return std::min(room, std::max(unit_bytes, usual));
}

UnitPlace GroupLayout::PlaceInFrame(std::uint64_t unit_bytes, std::uint64_t payload) {
  open_ = TakeSpareFrame();
  const auto place =
      open_->Begin(segment_, offset_, unit_bytes, payload, settings_.frame_units_max);
  return {place.lsn,
          {place.lsn.value + unit_bytes},
          segment_->cipher.get(),
          {open_, place.to, unit_bytes},
          {},
          {}};
}

std::vector<GroupLayout::Fragment> GroupLayout::PlanFragments(std::uint64_t unit_bytes) const {
  std::vector<Fragment> plan;
  const auto* segment = segment_.get();
  auto offset = offset_;
  auto next = upcoming_.begin();
  while (unit_bytes > 0) {
    const auto room = segment == nullptr ? 0 : FrameRoom(RoomFrom(*segment, offset));
    if (room == 0) {
      segment = (next++)->get();
      offset = kFirstGroupOffset;
      continue;
    }
    const auto part = std::min(room, unit_bytes);
    plan.push_back({segment, part});
    offset += RoundUp(kFrameHeaderBytes + part, kLogBlock);
    unit_bytes -= part;
  }
  return plan;
}

// All memory is taken before anything has a place.
UnitPlace GroupLayout::PlaceFragments(std::uint64_t unit_bytes) {
  const auto plan = PlanFragments(unit_bytes);
  UnitPlace unit{};
  if (settings_.whole_units) unit.whole = std::make_unique_for_overwrite<char[]>(unit_bytes);
  unit.more.reserve(plan.size());
  NeedSpareFrames(plan.size());
  auto spare = spare_.rbegin();
  for (const auto& fragment : plan) (*spare++)->TakeMemory(fragment.bytes);
  for (const auto& fragment : plan) {
    if (segment_.get() != fragment.segment) EnterNext();
    const bool first = &fragment == &plan.front();
    const bool last = &fragment == &plan.back();
    auto* const frame = TakeSpareFrame();
    const auto place = frame->BeginClosed(segment_, offset_, fragment.bytes);
    frame->flags =
        static_cast<std::uint16_t>((first ? 0 : kBeginsInside) | (last ? 0 : kEndsInside));
    if (first) {
      unit.lsn = place.lsn;
      unit.cipher = segment_->cipher.get();
      unit.first = {frame, place.to, fragment.bytes};
    } else {
      unit.more.push_back({frame, place.to, fragment.bytes});
    }
    frame->open_unit = last ? Lsn{} : unit.lsn;
    offset_ += frame->FileBytes();
    closed_.push_back(frame);
    unit.end = {place.lsn.value + fragment.bytes};
  }
  unit_end_ = unit.end;
  return unit;
}

void GroupLayout::NeedSpareFrames(std::size_t count) {
  while (spare_.size() < count) {
    if (closed_.capacity() <= all_.size()) {
      spare_.reserve(2 * all_.size() + 8);
      closed_.reserve(2 * all_.size() + 8);
    }
    all_.push_back(std::make_unique<OpenFrame>());
    spare_.push_back(all_.back().get());
  }
}

OpenFrame* GroupLayout::TakeSpareFrame() {
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
  upcoming_.erase(upcoming_.begin());
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

void GroupLayout::TakeFrames(std::uint64_t bytes_max, std::uint64_t units_max,
                             std::vector<OpenFrame*>* taken) {
  CloseFrame();
  std::uint64_t bytes = 0;
  std::uint64_t units = 0;
  auto end = closed_.begin();
  for (; end != closed_.end(); ++end) {
    bytes += (*end)->FileBytes();
    units += (*end)->units();
    const bool full = bytes > bytes_max || (units_max > 0 && units > units_max);
    if (end != closed_.begin() && full) break;
  }
  taken->assign(closed_.begin(), end);
  closed_.erase(closed_.begin(), end);
}

std::uint64_t GroupLayout::GatheredBytes() const {
  std::uint64_t bytes = open_ == nullptr ? 0 : open_->FileBytes();
  for (const auto* frame : closed_) bytes += frame->FileBytes();
  return bytes;
}

std::uint64_t GroupLayout::GatheredMemory() const {
  std::uint64_t bytes = open_ == nullptr ? 0 : open_->memory_bytes();
  for (const auto* frame : closed_) bytes += frame->memory_bytes();
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
