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
  ever_joined_ = true;
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
  if (!ever_joined_) return;
  const auto own = LaneOfThisProcessor();
  std::uint32_t waiting = 0;
  for (const auto& lane : lanes_) waiting += lane.count.load(std::memory_order_relaxed);
  // Few are woken by the leader itself: when it is done most of them are back with their next unit,
  // and the next flush is not a small one.
  const bool few = waiting <= FewSleepers();
  for (std::size_t i = 1; i <= kLanes; ++i) {  // this processor's come last
    auto& lane = lanes_[(own + i) % kLanes];
    const auto count = lane.count.load(std::memory_order_relaxed);
    if (count == 0) continue;
    const bool all = few || i == kLanes;
    lane.wake_others.store(!all && count > 1, std::memory_order_relaxed);
    lane.word.fetch_or(kDone, std::memory_order_release);
    all ? FutexWakeAll(lane.word) : FutexWakeOne(lane.word);
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
