// SPDX-License-Identifier: Apache-2.0
// Pressure: what commits wait for when compaction falls behind: first a little each, then until it
// has caught up. Let go at once when the cause is gone.
//
// The simple version: a commit sleeps for as long as its bytes take at a rate that is lowered while
// the debt grows and raised while it shrinks. It begins with the rate at which rows came last.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>

#include "base/clock.h"
#include "upkeep/plan.h"

namespace varve {

// From which debt of one table on commits are slowed, and stopped.
struct PressureLimits {
  CompactionDebt slow;
  CompactionDebt stop;
};

// Thread-safe.
class Pressure {
 public:
  enum class Force : std::uint8_t { kNone, kSlow, kStop };
  struct Stats {
    Force force = Force::kNone;
    std::string reason;  // of now; empty: none
    std::uint64_t slowed_micros = 0;  // all commits together
    std::uint64_t stopped_micros = 0;
  };

  Pressure(Clock* clock, const PressureLimits& limits) : clock_(clock), limits_(limits) {}

  // After each change of runs: the debt of the table that has the most of it.
  void Look(const std::string& table, const CompactionDebt& debt);
  // So many bytes of rows went through a flush since the last one.
  void NoteFlush(std::uint64_t bytes);
  // Nobody is to wait any more, now or later.
  void End();

  Force force() const { return force_.load(std::memory_order_acquire); }
  // Waits while commits are slowed, for a commit of so many bytes.
  void Slow(std::uint64_t bytes);
  // Waits until something changed since `seen`: a look, a compaction's end.
  std::uint32_t seen() const { return changed_.load(std::memory_order_acquire); }
  void AwaitChange(std::uint32_t seen) { changed_.wait(seen, std::memory_order_acquire); }
  void NoteEnded() noexcept;  // of a compaction, whatever came of it
  void NoteStopped(std::int64_t micros);
  Stats stats() const;

 private:
  void WakeAll() noexcept;

  Clock* const clock_;
  const PressureLimits limits_;
  std::atomic<Force> force_ = Force::kNone;
  std::atomic<std::uint32_t> changed_ = 0;
  mutable std::mutex mutex_;     // guards all below
  bool ended_ = false;
  std::string reason_;
  CompactionDebt last_;          // that was looked at
  double bytes_per_second_ = 0;  // that commits are slowed to
  double flush_rate_ = 0;        // bytes a second, of the last flush
  std::int64_t last_flush_ = 0;  // steady time
  double owed_micros_ = 0;       // less than is worth a sleep
  std::uint64_t slowed_micros_ = 0;
  std::uint64_t stopped_micros_ = 0;
};

}  // namespace varve
