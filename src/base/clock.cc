// SPDX-License-Identifier: Apache-2.0
#include "base/clock.h"

#include <chrono>

#include "base/futex.h"

namespace varve {
namespace {

template <typename StdClock>
std::int64_t SinceEpoch() {
  return std::chrono::duration_cast<std::chrono::microseconds>(StdClock::now().time_since_epoch())
      .count();
}

class RealClock final : public Clock {
 public:
  WallTime Now() override { return {SinceEpoch<std::chrono::system_clock>()}; }
  std::int64_t SteadyMicros() override { return SinceEpoch<std::chrono::steady_clock>(); }
  void WaitWord(const std::atomic<std::uint32_t>& word, std::uint32_t seen,
                std::int64_t micros) override {
    if (micros > 0) FutexWait(word, seen, micros);
  }
};

}  // namespace

Clock* SystemClock() {
  static RealClock clock;
  return &clock;
}

}  // namespace varve
