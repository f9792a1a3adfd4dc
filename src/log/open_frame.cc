// SPDX-License-Identifier: Apache-2.0
#include "log/open_frame.h"

#include <thread>

#include "base/bytes.h"
#include "base/check.h"

namespace varve {
namespace {

constexpr std::uint64_t kMemoryKept = 4u << 20;
constexpr int kSpins = 64;

}  // namespace

std::size_t OpenFrame::LaneOfThisThread() {
  static std::atomic<std::size_t> next = 0;
  thread_local const std::size_t lane = next.fetch_add(1, std::memory_order_relaxed) % kLanes;
  return lane;
}

std::optional<OpenFrame::Place> OpenFrame::Reserve(std::uint64_t bytes) {
  auto state = state_.load(std::memory_order_acquire);
  do {
    const auto left = state & (kOneUnit - 1);
    if ((state & kClosed) != 0 || left < bytes || state < kOneUnit) return {};
  } while (!state_.compare_exchange_weak(state, state - bytes - kOneUnit,
                                         std::memory_order_acq_rel, std::memory_order_acquire));
  const auto at = payload_max_ - (state & (kOneUnit - 1));
  return Place{{PayloadLsn().value + at}, memory_.data() + kFrameHeaderBytes + at};
}

void OpenFrame::Complete(std::uint64_t bytes, std::uint32_t records) {
  lanes_[LaneOfThisThread()].done.fetch_add(records * kOneRecord + bytes,
                                            std::memory_order_release);
}

void OpenFrame::Begin(OpenSegmentPtr segment, std::uint64_t offset, std::uint64_t payload_max,
                      std::uint32_t units_max) {
  VARVE_CHECK(payload_max <= kFramePayloadMax && units_max <= kUnitsMost);
  segment_ = std::move(segment);
  offset_ = offset;
  payload_max_ = payload_max;
  units_max_ = units_max;
  flags = 0;
  open_unit = {};
  const auto bytes = RoundUp(kFrameHeaderBytes + payload_max, kLogBlock);
  if (memory_.size() < bytes) memory_ = FrameMemory(bytes);
  for (auto& lane : lanes_) lane.done.store(0, std::memory_order_relaxed);
  state_.store(units_max * kOneUnit + payload_max, std::memory_order_release);
}

OpenFrame::Place OpenFrame::TakeWhole(std::uint64_t bytes) {
  const auto place = Reserve(bytes);
  VARVE_CHECK(place.has_value());
  Close();
  return *place;
}

void OpenFrame::Release() {
  segment_.reset();
  if (memory_.size() > kMemoryKept) memory_ = FrameMemory();
}

std::uint64_t OpenFrame::FileBytes() const {
  return RoundUp(kFrameHeaderBytes + payload_bytes(), kLogBlock);
}

std::uint32_t OpenFrame::units() const {
  const auto left = (state_.load(std::memory_order_acquire) & ~kClosed) / kOneUnit;
  return units_max_ - static_cast<std::uint32_t>(left);
}

Lsn OpenFrame::UnitEnd() const {
  if ((flags & kContinued) != 0) return unit_end_before;
  return {PayloadLsn().value + payload_bytes()};
}

bool OpenFrame::IsComplete(std::uint64_t* records) const {
  std::uint64_t done = 0;
  for (const auto& lane : lanes_) done += lane.done.load(std::memory_order_acquire);
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
