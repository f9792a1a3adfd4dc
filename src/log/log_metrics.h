// SPDX-License-Identifier: Apache-2.0
// What the log counts while it runs. Adding costs three relaxed additions.
#pragma once

#include <atomic>
#include <bit>
#include <cstdint>

#include "varve/log.h"

namespace varve {

// Thread-safe.
class Histogram {
 public:
  void Add(std::int64_t value) {
    const auto positive = static_cast<std::uint64_t>(value < 0 ? 0 : value);
    const auto bucket = std::min<std::size_t>(std::bit_width(positive), kBuckets - 1);
    buckets_[bucket].fetch_add(1, std::memory_order_relaxed);
    sum_.fetch_add(positive, std::memory_order_relaxed);
  }
  LogHistogram Read() const {
    LogHistogram read;
    for (std::size_t i = 0; i < kBuckets; ++i) {
      read.buckets[i] = buckets_[i].load(std::memory_order_relaxed);
      read.count += read.buckets[i];
    }
    read.sum = sum_.load(std::memory_order_relaxed);
    return read;
  }

 private:
  static constexpr std::size_t kBuckets = std::size(LogHistogram{}.buckets);
  std::atomic<std::uint64_t> buckets_[kBuckets] = {};
  std::atomic<std::uint64_t> sum_ = 0;
};

struct LogMetrics {
  Histogram queue_micros;
  Histogram encode_micros;
  Histogram flush_micros;
  Histogram ack_micros;
};

}  // namespace varve
