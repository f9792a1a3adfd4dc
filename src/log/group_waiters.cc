// SPDX-License-Identifier: Apache-2.0
#include "log/group_waiters.h"

#include "base/check.h"
#include "base/futex.h"

namespace varve {
namespace {

constexpr std::uint32_t kDone = 1;
constexpr std::uint32_t kNudge = 2;

}  // namespace

std::size_t GroupWaiters::LaneOfThisProcessor() { return ProcessorOfThisThread() % kLanes; }

GroupWaiters::Seat GroupWaiters::Join() {
  const auto lane = LaneOfThisProcessor();
  lanes_[lane].count.fetch_add(1, std::memory_order_relaxed);
  ++count_;
  return {lane, lanes_[lane].word.load(std::memory_order_acquire)};
}

void GroupWaiters::Leave(const Seat& seat) {
  lanes_[seat.lane].count.fetch_sub(1, std::memory_order_relaxed);
  --count_;
}

void GroupWaiters::TellOneToLead() {
  auto lane = LaneOfThisProcessor();
  while (lanes_[lane].count.load(std::memory_order_relaxed) == 0) lane = (lane + 1) % kLanes;
  lanes_[lane].word.fetch_add(kNudge, std::memory_order_release);
  FutexWakeOne(lanes_[lane].word);
}

void GroupWaiters::TellDone() {
  for (auto& lane : lanes_) {
    const auto count = lane.count.load(std::memory_order_relaxed);
    if (count == 0) continue;
    lane.wake_others.store(count > 1, std::memory_order_relaxed);
    lane.word.fetch_or(kDone, std::memory_order_release);
    FutexWakeOne(lane.word);
  }
}

GroupWaiters::Woken GroupWaiters::Wait(const Seat& seat, Clock* clock,
                                       std::optional<std::int64_t> deadline) {
  auto& lane = lanes_[seat.lane];
  while (true) {
    const auto now = lane.word.load(std::memory_order_acquire);
    if ((now & kDone) != 0) break;
    if (now != seat.seen) return Woken::kNudged;
    if (!deadline) {
      FutexWait(lane.word, seat.seen);
      continue;
    }
    const auto left = *deadline - clock->SteadyMicros();
    if (left <= 0) return Woken::kTimedOut;
    clock->WaitWord(lane.word, seat.seen, left);
  }
  if (lane.wake_others.load(std::memory_order_relaxed) && lane.wake_others.exchange(false)) {
    FutexWakeAll(lane.word);
  }
  return Woken::kDone;
}

}  // namespace varve
