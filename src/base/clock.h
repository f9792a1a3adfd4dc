// SPDX-License-Identifier: Apache-2.0
// Time, injected. Nothing is ordered by the wall clock; the steady one measures waits.
#pragma once

#include <atomic>
#include <cstdint>

#include "varve/types.h"

namespace varve {

// As microseconds; a time beyond a hundred years is that.
constexpr std::int64_t MicrosOf(std::uint64_t millis) {
  constexpr std::uint64_t kHundredYears = 100ull * 366 * 24 * 3600 * 1000;
  return static_cast<std::int64_t>(millis < kHundredYears ? millis : kHundredYears) * 1000;
}

// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual WallTime Now() = 0;
  virtual std::int64_t SteadyMicros() = 0;
  // Waits on a word as FutexWait does, for `micros` of this clock's time at most.
  virtual void WaitWord(const std::atomic<std::uint32_t>& word, std::uint32_t seen,
                        std::int64_t micros) = 0;
};

// The system's clocks; one for the process.
Clock* SystemClock();

// A clock that moves only when told to, and by `tick` microseconds at each question.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(std::int64_t start_micros = 1'700'000'000'000'000, std::int64_t tick = 1)
      : micros_(start_micros), tick_(tick) {}
  WallTime Now() override { return {micros_.fetch_add(tick_)}; }
  std::int64_t SteadyMicros() override { return micros_.fetch_add(tick_); }
  // Nobody else moves this clock: the time is over at once.
  void WaitWord(const std::atomic<std::uint32_t>& word, std::uint32_t seen,
                std::int64_t micros) override {
    if (word.load(std::memory_order_acquire) == seen) Advance(micros);
  }
  void Advance(std::int64_t micros) { micros_.fetch_add(micros); }

 private:
  std::atomic<std::int64_t> micros_;
  const std::int64_t tick_;
};

}  // namespace varve
