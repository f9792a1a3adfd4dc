// SPDX-License-Identifier: Apache-2.0
// What LogOptions::log_bytes_max limits, together with the word on which appends wait for less of
// it: no way to make the log smaller can forget those who wait.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/futex.h"

namespace varve {

// Bytes of all segment files, with those of segments that were taken and not entered yet.
// Thread-safe.
class LogBytes {
 public:
  explicit LogBytes(std::uint64_t total) : total_(total) {}

  std::uint64_t total() const { return total_.load(std::memory_order_acquire); }
  // A file has another size from now on; 0: it is none of the log's.
  void Resize(std::uint64_t from, std::uint64_t to) {
    total_.fetch_add(to - from, std::memory_order_release);  // modulo 2^64
    if (to < from) WakeAll();
  }
  // Whoever waits for room looks again.
  void WakeAll() {
    woken_.fetch_add(1, std::memory_order_release);
    FutexWakeAll(woken_);
  }
  // A futex word. Read it before `total`: when there is less later, it is another.
  const std::atomic<std::uint32_t>& word() const { return woken_; }

 private:
  std::atomic<std::uint64_t> total_;
  std::atomic<std::uint32_t> woken_ = 0;
};

}  // namespace varve
