// SPDX-License-Identifier: Apache-2.0
// WriteWatch: where the time of one commit goes. One that is off asks no clock.
#pragma once

#include <cstdint>
#include <optional>

#include "base/clock.h"
#include "varve/types.h"

namespace varve {

class WriteWatch {
 public:
  WriteWatch() = default;
  explicit WriteWatch(Clock* clock) : clock_(clock), last_(clock->SteadyMicros()) {}

  // Counts the time since the last lap under `part`.
  void Lap(std::int64_t WriteProfile::* part) {
    if (clock_ == nullptr) return;
    const std::int64_t now = clock_->SteadyMicros();
    profile_.*part += now - last_;
    last_ = now;
  }
  std::optional<WriteProfile> profile() const {
    return clock_ == nullptr ? std::nullopt : std::optional(profile_);
  }

 private:
  Clock* clock_ = nullptr;  // null: off
  std::int64_t last_ = 0;
  WriteProfile profile_;
};

}  // namespace varve
