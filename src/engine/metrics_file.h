// SPDX-License-Identifier: Apache-2.0
// MetricsFile: what the metrics of a database are, where other processes see it
// (OpenOptions::metrics_interval_ms).
//
// It is replaced whole, by rename, and never synced: nothing depends on it, and a power cut may
// leave it empty or old. A writer removes that of the one before as soon as it has the lock, also
// when it will write none: a process id alone does not tell two openings apart, in containers each
// process has the same. So who reads it, and finds in the lock file that its process still has the
// database, reads what this one says.
//
// Nobody writes it while nothing happens: a commit, a read or a flush takes the turn when none is
// taken, and an interval later the file is written and the turn is free again.
//
// Thread safety: any member from any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "files/files.h"
#include "varve/error.h"

namespace varve {

inline constexpr std::string_view kMetricsFile = "metrics.prom";
inline constexpr std::string_view kMetricsFileInMaking = "metrics.prom.new";

class MetricsFile {
 public:
  // `interval_ms` 0: there is no file.
  MetricsFile(std::string folder, std::uint64_t interval_ms)
      : folder_(std::move(folder)), interval_micros_(MicrosOf(interval_ms)) {}

  bool on() const { return interval_micros_ != 0; }
  std::int64_t interval_micros() const { return interval_micros_; }

  // True: the caller sees to it that the file is written an interval from now.
  bool TakeTurn() noexcept {
    return on() && !taken_.load(std::memory_order_relaxed) && !taken_.exchange(true);
  }
  void EndTurn() noexcept { taken_ = false; }

  Status Replace(Files* files, std::string_view text);
  // What an earlier opening left: nobody shall take it for the words of this one.
  Status Remove(Files* files) const;

 private:
  const std::string folder_;
  const std::int64_t interval_micros_;
  std::atomic<bool> taken_ = false;
  std::mutex mutex_;  // one writes at a time
};

}  // namespace varve
