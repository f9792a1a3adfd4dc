// SPDX-License-Identifier: Apache-2.0
#include "base/clock.h"

#include <chrono>

namespace varve {
namespace {

template <typename StdClock>
std::int64_t MicrosOf() {
  return std::chrono::duration_cast<std::chrono::microseconds>(StdClock::now().time_since_epoch())
      .count();
}

class RealClock final : public Clock {
 public:
  WallTime Now() override { return {MicrosOf<std::chrono::system_clock>()}; }
  std::int64_t SteadyMicros() override { return MicrosOf<std::chrono::steady_clock>(); }
};

}  // namespace

Clock* SystemClock() {
  static RealClock clock;
  return &clock;
}

}  // namespace varve
