// SPDX-License-Identifier: Apache-2.0
#include "log/group_layout.h"

#include <algorithm>
#include <utility>

#include "base/bytes.h"
#include "base/check.h"

namespace varve {
namespace {

constexpr std::uint64_t kSpareBytesMax = 4u << 20;

// Bytes of payload that fit into `room` bytes of frames.
std::uint64_t FragmentRoom(std::uint64_t room) {
  const auto rest = room % kFrameBytesMax;
  return room / kFrameBytesMax * kFramePayloadMax + (rest == 0 ? 0 : rest - kFrameHeaderBytes);
}

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
  const auto open = frame_open_ ? RoundUp(frames_.back().bytes.size(), kLogBlock) : 0;
  return RoomFrom(*segment_, offset_ + open);
}

std::uint64_t GroupLayout::OpenFrameRoom() const {
  if (!frame_open_) return 0;
  return std::min(RoomFrom(*segment_, offset_), kFrameBytesMax) - frames_.back().bytes.size();
}

bool GroupLayout::Fits(std::uint64_t unit_bytes) const {
  if (OpenFrameRoom() >= unit_bytes || FrameRoom(SegmentRoom()) >= unit_bytes) return true;
  // A unit that fits one frame is not split unless even an empty segment is too small for it.
  if (unit_bytes <= kFramePayloadMax) {
    if (upcoming_.empty()) return false;
    if (FrameRoom(RoomFrom(*upcoming_.front(), kFirstGroupOffset)) >= unit_bytes) return true;
  }
  auto room = FragmentRoom(SegmentRoom());
  for (const auto& next : upcoming_) room += FragmentRoom(RoomFrom(*next, kFirstGroupOffset));
  return room >= unit_bytes;
}

UnitPlace GroupLayout::Place(std::span<const std::string_view> records, std::uint64_t unit_bytes) {
  VARVE_CHECK(Fits(unit_bytes));
  if (OpenFrameRoom() >= unit_bytes) return PlaceInFrame(records, unit_bytes);
  EndFrame();
  if (FrameRoom(SegmentRoom()) >= unit_bytes) return PlaceInFrame(records, unit_bytes);
  const auto fresh =
      upcoming_.empty() ? 0 : FrameRoom(RoomFrom(*upcoming_.front(), kFirstGroupOffset));
  if (fresh < unit_bytes) return PlaceFragments(records, unit_bytes);
  EnterNext();
  return PlaceInFrame(records, unit_bytes);
}

UnitPlace GroupLayout::PlaceInFrame(std::span<const std::string_view> records,
                                    std::uint64_t unit_bytes) {
  if (!frame_open_) {
    StartFrame();
    frame_open_ = true;
  }
  auto& frame = frames_.back();
  const Lsn lsn{segment_->header.LsnAt(offset_).value + frame.bytes.size()};
  UnitEncoder(records, unit_bytes).Append(unit_bytes, &frame.bytes);
  ++frame.units;
  frame.records += static_cast<std::uint32_t>(records.size());
  unit_end_ = {lsn.value + unit_bytes};
  frame.unit_end = unit_end_;
  return {lsn, unit_end_};
}

UnitPlace GroupLayout::PlaceFragments(std::span<const std::string_view> records,
                                      std::uint64_t unit_bytes) {
  UnitEncoder unit(records, unit_bytes);
  UnitPlace place;
  while (unit.left() > 0) {
    if (SegmentRoom() == 0) EnterNext();
    const bool first = unit.left() == unit_bytes;
    const auto room = FrameRoom(SegmentRoom());
    auto* frame = StartFrame();
    const Lsn lsn{segment_->header.LsnAt(offset_).value + kFrameHeaderBytes};
    if (first) place.lsn = lsn;
    const auto part = std::min(room, unit.left());
    frame->bytes.reserve(RoundUp(kFrameHeaderBytes + part, kLogBlock));
    unit.Append(part, &frame->bytes);
    const bool last = unit.left() == 0;
    frame->flags = static_cast<std::uint16_t>((first ? 0 : kContinues) | (last ? 0 : kContinued));
    if (last) {
      place.end = unit_end_ = {lsn.value + part};
      frame->units = 1;
      frame->records = static_cast<std::uint32_t>(records.size());
    }
    frame->unit_end = unit_end_;
    frame->open_unit = last ? Lsn{} : place.lsn;
    frame_open_ = true;
    EndFrame();
  }
  return place;
}

PendingFrame* GroupLayout::StartFrame() {
  auto& frame = frames_.emplace_back();
  frame.segment = segment_;
  frame.offset = offset_;
  frame.bytes = std::exchange(spare_, {});
  frame.bytes.assign(kFrameHeaderBytes, '\0');
  return &frame;
}

void GroupLayout::EndFrame() {
  if (!frame_open_) return;
  offset_ += RoundUp(frames_.back().bytes.size(), kLogBlock);
  frame_open_ = false;
}

void GroupLayout::EnterNext() {
  VARVE_CHECK(!upcoming_.empty() && !frame_open_);
  Enter(std::move(upcoming_.front()));
  upcoming_.pop_front();
}

void GroupLayout::Enter(OpenSegmentPtr segment) {
  segment_ = std::move(segment);
  offset_ = kFirstGroupOffset;
  asked_ahead_ = false;
}

void GroupLayout::EndSegment() {
  EndFrame();
  segment_.reset();
}

std::vector<PendingFrame> GroupLayout::TakeFrames() {
  EndFrame();
  return std::exchange(frames_, {});
}

bool GroupLayout::WantsSegmentAhead() {
  if (!segment_ || asked_ahead_ || !upcoming_.empty()) return false;
  if (offset_ < segment_->header.capacity / 2) return false;
  asked_ahead_ = true;
  return true;
}

void GroupLayout::Recycle(std::string bytes) {
  if (bytes.capacity() > spare_.capacity() && bytes.capacity() <= kSpareBytesMax) {
    spare_ = std::move(bytes);
  }
}

}  // namespace varve
