// SPDX-License-Identifier: Apache-2.0
// Those who wait for one flush.
//
// Each waits on a word of the processor it runs on. Whoever wakes many wakes one of every other
// processor, and that one wakes its neighbours: to wake a thread from its own processor interrupts
// no other, which is most of what waking costs (docs/design/0005).
//
// A word: bit 0 is set when the flush is done; any other change tells one waiter to lead.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

#include "base/clock.h"

namespace varve {

class GroupWaiters {
 public:
  enum class Woken : std::uint8_t { kDone, kNudged, kTimedOut };
  // Where a thread waits, and what it saw when it sat down.
  struct Seat {
    std::size_t lane;
    std::uint32_t seen;
  };

  // Under the mutex of the queue. Who joins is woken by everything that is told later.
  Seat Join();
  bool ever_joined() const { return ever_joined_; }
  void Leave(const Seat& seat);
  std::uint32_t count() const { return count_; }
  // At least one of those who joined is told; requires that somebody did.
  void TellOneToLead();

  // Under no lock; nobody joins any more.
  void TellDone();
  // Until `deadline` of the clock, if there is one. Who is told to lead or gives up must Leave.
  Woken Wait(const Seat& seat, Clock* clock, std::optional<std::int64_t> deadline);

 private:
  static constexpr std::size_t kLanes = 8;
  struct alignas(64) Lane {
    std::atomic<std::uint32_t> word = 0;
    std::atomic<bool> wake_others = false;  // done, and only one was woken
    std::atomic<std::uint32_t> count = 0;   // changed under the mutex only
  };
  static std::size_t LaneOfThisProcessor();

  Lane lanes_[kLanes];
  std::uint32_t count_ = 0;
  bool ever_joined_ = false;
};

}  // namespace varve
