// SPDX-License-Identifier: Apache-2.0
// WriteWatch: when one commit began and, when somebody wants to know, where its time goes; without
// a profile it asks the clock once.
#pragma once

#include <cstdint>
#include <optional>

#include "base/clock.h"
#include "varve/types.h"

namespace varve {

class WriteWatch {
 public:
  WriteWatch() = default;
  WriteWatch(Clock* clock, bool profile)
      : clock_(profile ? clock : nullptr), began_(clock->SteadyMicros()), last_(began_) {}

  // Counts the time since the last lap under `part`.
  void Lap(std::int64_t WriteProfile::* part) {
    if (clock_ == nullptr) return;
    const std::int64_t now = clock_->SteadyMicros();
    profile_.*part += now - last_;
    last_ = now;
  }
  std::int64_t began_micros() const { return began_; }
  std::optional<WriteProfile> profile() const {
    return clock_ == nullptr ? std::nullopt : std::optional(profile_);
  }

 private:
  Clock* clock_ = nullptr;  // null: nobody wants the profile
  std::int64_t began_ = 0;
  std::int64_t last_ = 0;
  WriteProfile profile_;
};

}  // namespace varve
