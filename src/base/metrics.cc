// SPDX-License-Identifier: Apache-2.0
#include "base/metrics.h"

#include "base/prometheus.h"

namespace varve {

// Threads take the shards in turn.
std::size_t Metrics::ShardOfThread() noexcept {
  static std::atomic<std::size_t> threads = 0;
  thread_local const std::size_t shard =
      threads.fetch_add(1, std::memory_order_relaxed) % kShards;
  return shard;
}

std::uint64_t Metrics::ReadAt(std::size_t place) const {
  std::uint64_t sum = 0;
  for (const Shard& shard : shards_) sum += shard.counts[place].load(std::memory_order_relaxed);
  return sum;
}

Metrics::Times Metrics::TimesAt(std::size_t place) const {
  Times sum;
  for (const Shard& shard : shards_) {
    const AtomicTimes& times = shard.times[place];
    for (std::size_t i = 0; i < kBuckets; ++i) {
      sum.buckets[i] += times.buckets[i].load(std::memory_order_relaxed);
    }
    sum.sum_micros += times.sum_micros.load(std::memory_order_relaxed);
  }
  return sum;
}

void Metrics::WriteTo(PrometheusWriter* out) const {
  for (std::size_t i = 0; i < std::size(kCounters); ++i) {
    const CounterInfo& info = kCounters[i];
    if (info.label.empty()) {
      out->Counter(info.name, info.help, ReadAt(i));
    } else {
      out->Counter(info.name, info.help, ReadAt(i), {{info.label, info.value}});
    }
  }
  for (std::size_t i = 0; i < std::size(kHistograms); ++i) {
    const HistogramInfo& info = kHistograms[i];
    const Times times = TimesAt(i);
    if (info.label.empty()) {
      out->HistogramOfSeconds(info.name, info.help, times.buckets, times.sum_micros);
    } else {
      out->HistogramOfSeconds(info.name, info.help, times.buckets, times.sum_micros,
                              {{info.label, info.value}});
    }
  }
}

}  // namespace varve
