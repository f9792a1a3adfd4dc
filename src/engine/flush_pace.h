// SPDX-License-Identifier: Apache-2.0
// FlushPace: slows commits while a flush is under way, so that the room which memtables have left
// lasts until it ends. Without it commits go on at full speed and then stand still for the rest.
//
// The simple version: the last flushes tell how many bytes a second go through one, and so when
// this one ends. As much of the room may be taken as of the time until then has passed: a commit
// that finds more taken waits until that is so. A flush that is late is thought to need as long
// again.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>

#include "base/clock.h"

namespace varve {

// Thread-safe.
class FlushPace {
 public:
  explicit FlushPace(Clock* clock) : clock_(clock) {}

  // From its beginning to its end, a flush of so many bytes of memtables, which may hold
  // `bytes_max`. One at a time. One that is small beside that tells nothing of others.
  class Flushing {
   public:
    Flushing(FlushPace* pace, std::uint64_t bytes, std::uint64_t bytes_max);
    ~Flushing();
    Flushing(const Flushing&) = delete;
    Flushing& operator=(const Flushing&) = delete;
    void Done() { done_ = true; }  // else it failed, and tells nothing of later ones

   private:
    FlushPace* const pace_;
    const std::uint64_t bytes_;
    const bool tells_;
    bool done_ = false;
  };

  // Whether commits may have to wait.
  bool keeps() const { return keeps_.load(std::memory_order_acquire); }
  // Before a commit, where memtables have `room` bytes left: waits, at most until the flush ends
  // and never longer than a tenth of a second.
  void Await(std::uint64_t room);
  // Whether any commit waited during this flush.
  bool slows() const { return slows_.load(std::memory_order_relaxed); }
  std::uint64_t slowed_micros() const { return slowed_micros_.load(std::memory_order_relaxed); }
  // Nobody is to wait any more, now or later.
  void End();

 private:
  void LetGo();

  Clock* const clock_;
  std::atomic<bool> keeps_ = false;
  std::atomic<bool> slows_ = false;
  std::atomic<std::uint32_t> ends_ = 0;  // flushes that ended
  std::atomic<std::uint64_t> slowed_micros_ = 0;
  std::mutex mutex_;  // guards all below
  bool ended_ = false;
  double bytes_per_micro_ = 0;  // of flushes; zero: none was measured
  std::int64_t began_ = 0;      // steady time
  double takes_micros_ = 0;     // this flush, as far as is known
  std::int64_t planned_ = 0;    // steady time; from here on
  double plan_micros_ = 0;      // for so long
  std::uint64_t plan_room_ = 0;  // this room has to last; zero: the next commit tells it
};

}  // namespace varve
