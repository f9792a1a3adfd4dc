// SPDX-License-Identifier: Apache-2.0
#include "log/open_frame.h"

#include <algorithm>
#include <cstring>
#include <thread>

#include "base/bytes.h"
#include "base/check.h"
#include "base/futex.h"

namespace varve {
namespace {

constexpr std::uint64_t kMemoryKept = 8u << 20;
constexpr int kSpins = 64;

}  // namespace

std::size_t OpenFrame::Lanes() {
  static const auto lanes = std::min(Processors(), kLanesMost);
  return lanes;
}

std::size_t OpenFrame::LaneOfThisThread() {
  static std::atomic<std::size_t> next = 0;
  thread_local const std::size_t lane = next.fetch_add(1, std::memory_order_relaxed) % Lanes();
  return lane;
}

OpenFrame::Place OpenFrame::Begin(OpenSegmentPtr segment, std::uint64_t offset,
                                  std::uint64_t bytes, std::uint64_t payload_max,
                                  std::uint32_t units_max) {
  VARVE_CHECK(bytes <= payload_max && units_max >= 1 && units_max <= kUnitsMost);
  return BeginAs(std::move(segment), offset, payload_max, units_max,
                 (units_max - 1) * kOneUnit + (payload_max - bytes));
}

OpenFrame::Place OpenFrame::BeginClosed(OpenSegmentPtr segment, std::uint64_t offset,
                                        std::uint64_t bytes) {
  return BeginAs(std::move(segment), offset, bytes, 1, kClosed);
}

OpenFrame::Place OpenFrame::BeginAs(OpenSegmentPtr segment, std::uint64_t offset,
                                    std::uint64_t payload_max, std::uint32_t units_max,
                                    std::uint64_t state) {
  VARVE_CHECK(payload_max <= kFramePayloadMax);
  TakeMemory(payload_max);
  segment_ = std::move(segment);
  offset_ = offset;
  payload_max_ = payload_max;
  units_max_ = units_max;
  flags = 0;
  open_unit = {};
  for (std::size_t i = 0; i < Lanes(); ++i) lanes_[i].done.store(0, std::memory_order_relaxed);
  state_.store(state, std::memory_order_release);
  return {PayloadLsn(), memory_.data() + kFrameHeaderBytes};
}

void OpenFrame::TakeMemory(std::uint64_t payload_bytes) {
  const auto bytes = RoundUp(kFrameHeaderBytes + payload_bytes, kLogBlock);
  if (memory_.size() >= bytes) return;
  memory_ = FrameMemory(bytes);
  zeros_begin_ = zeros_end_ = 0;
}

void OpenFrame::Release() {
  segment_.reset();
  if (memory_.size() <= kMemoryKept) return;
  memory_ = FrameMemory();
  zeros_begin_ = zeros_end_ = 0;
}

// Commits are often as large as the one before: then the zeros are there.
void OpenFrame::Pad() {
  const auto begin = kFrameHeaderBytes + payload_bytes();
  const auto end = FileBytes();
  const auto zero = [this](std::uint64_t from, std::uint64_t to) {
    if (from < to) std::memset(memory_.data() + from, 0, to - from);
  };
  // Payload took the front of the old zeros; what is behind them was not zero.
  zero(begin, std::min(end, std::max(begin, zeros_begin_)));
  zero(std::max(begin, std::min(end, zeros_end_)), end);
  zeros_begin_ = begin;
  zeros_end_ = end;
}

std::uint64_t OpenFrame::FileBytes() const {
  return RoundUp(kFrameHeaderBytes + payload_bytes(), kLogBlock);
}

std::uint32_t OpenFrame::units() const {
  const auto left = (state_.load(std::memory_order_acquire) & ~kClosed) / kOneUnit;
  return units_max_ - static_cast<std::uint32_t>(left);
}

Lsn OpenFrame::UnitEnd() const {
  if ((flags & kEndsInside) != 0) return unit_end_before;
  return {PayloadLsn().value + payload_bytes()};
}

bool OpenFrame::IsComplete(std::uint64_t* records) const {
  std::uint64_t done = 0;
  for (std::size_t i = 0; i < Lanes(); ++i) done += lanes_[i].done.load(std::memory_order_acquire);
  *records = done / kOneRecord;
  return done % kOneRecord == payload_bytes();
}

std::uint64_t OpenFrame::AwaitComplete() const {
  std::uint64_t records = 0;
  for (int spins = 0; !IsComplete(&records); ++spins) {
    if (spins > kSpins) std::this_thread::yield();
  }
  return records;
}

}  // namespace varve
