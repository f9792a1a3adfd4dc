// SPDX-License-Identifier: Apache-2.0
// Metrics: what an open database counts while it runs, and the list of all there is to count.
//
// To add a counter, add its line to kCounters and call Add with its name where it happens; a name
// that is not in the list does not compile. What can be asked of the database when somebody looks
// (sizes, positions) is no counter: engine/metrics_text.cc asks for it.
//
// Cost: a relaxed addition to a word in a cache line that few other threads write, for the counts
// are kept in kShards copies and each thread has one. No lock, no allocation, no clock.
//
// Thread safety: any member from any thread.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace varve {

class PrometheusWriter;

struct CounterInfo {
  std::string_view name;   // of the family; samples of one stand together
  std::string_view label;  // its name, and value; empty: none
  std::string_view value;
  std::string_view help;
};

inline constexpr CounterInfo kCounters[] = {
    // Commits, when they are acknowledged.
    {"commit_rows_total", "", "", "Rows that acknowledged commits kept."},
    {"commit_bytes_total", "", "", "Bytes that acknowledged commits took in the log."},
    {"commit_failures_total", "reason", "conflict", "Commits refused or lost, by reason."},
    {"commit_failures_total", "reason", "unknown_outcome", ""},
    {"commit_failures_total", "reason", "no_room", ""},
    {"commit_conflict_tries_total", "", "",
     "Times that a write which looks first looked again, for another commit came between."},
    {"commit_repeats_total", "", "", "Commits of a producer that had been made before."},
    {"commit_waits_total", "reason", "memtables_full",
     "Commits that waited for room before they had their number, by reason."},
    {"commit_waits_total", "reason", "memory", ""},
    // Reads.
    {"reads_total", "operation", "scan", "Reads begun, by kind."},
    {"reads_total", "operation", "get", ""},
    {"reads_total", "operation", "count", ""},
    {"reads_total", "operation", "min_max", ""},
    {"reads_total", "operation", "changes", ""},
    {"get_keys_total", "", "", "Keys that were looked up."},
    {"get_rows_total", "", "", "Rows that lookups found."},
    {"scan_rows_total", "", "", "Rows that scans gave."},
    {"row_groups_read_total", "", "", "Row groups of runs read in whole or part."},
    {"runs_skipped_total", "", "",
     "Runs that scans did not even open: what is asked for is not in them."},
    {"row_groups_skipped_total", "reason", "key_range",
     "Row groups that scans passed over, by what told that they hold nothing."},
    {"row_groups_skipped_total", "reason", "values", ""},
    {"bloom_rejections_total", "", "", "Lookups in a row group that its bloom filter answered."},
    // Flushes.
    {"flush_failures_total", "", "", "Flushes that failed; the rows stay in memory and the log."},
    {"flush_rows_total", "", "", "Versions of rows that flushes wrote to runs."},
    {"flush_bytes_total", "", "", "Bytes of the runs that flushes wrote."},
    {"flush_runs_total", "", "", "Runs that flushes wrote."},
    // The object store: where runs, manifests and commit times are.
    {"store_reads_total", "kind", "run", "Reads of the object store, by what was read."},
    {"store_reads_total", "kind", "manifest", ""},
    {"store_reads_total", "kind", "times", ""},
    {"store_read_bytes_total", "kind", "run", "Bytes read from the object store."},
    {"store_read_bytes_total", "kind", "manifest", ""},
    {"store_read_bytes_total", "kind", "times", ""},
    {"store_puts_total", "kind", "run", "Objects put into the store, by what they are."},
    {"store_puts_total", "kind", "manifest", ""},
    {"store_puts_total", "kind", "times", ""},
    {"store_put_bytes_total", "kind", "run", "Bytes of the objects put into the store."},
    {"store_put_bytes_total", "kind", "manifest", ""},
    {"store_put_bytes_total", "kind", "times", ""},
    {"store_deletes_total", "", "", "Objects deleted."},
    {"store_failures_total", "", "", "Calls of the object store that were Unavailable."},
    // What was begun and what ended, of which the difference is open: open_* in the text.
    {"snapshots_begun_total", "", "", "Snapshots taken, those of single reads included."},
    {"snapshots_ended_total", "", "", "Snapshots let go of."},
};

struct HistogramInfo {
  std::string_view name;
  std::string_view label;
  std::string_view value;
  std::string_view help;
};

// Of microseconds, told as seconds.
inline constexpr HistogramInfo kHistograms[] = {
    {"commit_seconds", "ack", "durable",
     "From a commit's call to its ack, by the level asked for."},
    {"commit_seconds", "ack", "written", ""},
    {"commit_seconds", "ack", "buffered", ""},
    {"commit_wait_seconds", "reason", "memtables_full",
     "Time that a commit waited for room, by reason."},
    {"commit_wait_seconds", "reason", "memory", ""},
    {"flush_seconds", "", "", "Time of a flush, from its first run to the manifest."},
};

// The place of a metric in its list, found when the program is compiled. `name` is the family's, or
// that with the label's value behind a slash: "reads_total/scan".
template <typename Info, std::size_t kCount>
consteval std::size_t PlaceOfMetric(const Info (&list)[kCount], std::string_view name) {
  for (std::size_t i = 0; i < kCount; ++i) {
    const std::string_view family = list[i].name, value = list[i].value;
    if (value.empty() ? name == family
                      : name.size() == family.size() + 1 + value.size() &&
                            name.starts_with(family) && name[family.size()] == '/' &&
                            name.ends_with(value)) {
      return i;
    }
  }
  throw "no metric of this name in the list";  // so it does not compile
}

struct CounterId {
  std::size_t place;
  consteval CounterId(const char* name) : place(PlaceOfMetric(kCounters, name)) {}
};
struct HistogramId {
  std::size_t place;
  consteval HistogramId(const char* name) : place(PlaceOfMetric(kHistograms, name)) {}
};

class Metrics {
 public:
  // Of i significant bits; the last: of as many or more. 2^26 microseconds are a minute.
  static constexpr std::size_t kBuckets = 28;
  struct Times {
    std::array<std::uint64_t, kBuckets> buckets = {};
    std::uint64_t sum_micros = 0;
    std::uint64_t count() const {
      std::uint64_t count = 0;
      for (const std::uint64_t bucket : buckets) count += bucket;
      return count;
    }
  };

  void Add(CounterId counter, std::uint64_t count = 1) noexcept {
    Mine().counts[counter.place].fetch_add(count, std::memory_order_relaxed);
  }
  void Record(HistogramId histogram, std::int64_t micros) noexcept {
    const auto positive = static_cast<std::uint64_t>(micros < 0 ? 0 : micros);
    const auto bits = static_cast<std::size_t>(std::bit_width(positive));
    auto& times = Mine().times[histogram.place];
    times.buckets[bits < kBuckets ? bits : kBuckets - 1].fetch_add(1, std::memory_order_relaxed);
    times.sum_micros.fetch_add(positive, std::memory_order_relaxed);
  }

  std::uint64_t Read(CounterId counter) const { return ReadAt(counter.place); }
  Times ReadTimes(HistogramId histogram) const { return TimesAt(histogram.place); }
  // Every counter and histogram of the lists.
  void WriteTo(PrometheusWriter* out) const;

 private:
  static constexpr std::size_t kShards = 8;
  struct AtomicTimes {
    std::array<std::atomic<std::uint64_t>, kBuckets> buckets = {};
    std::atomic<std::uint64_t> sum_micros = 0;
  };
  struct alignas(64) Shard {
    std::array<std::atomic<std::uint64_t>, std::size(kCounters)> counts = {};
    std::array<AtomicTimes, std::size(kHistograms)> times = {};
  };

  std::uint64_t ReadAt(std::size_t place) const;
  Times TimesAt(std::size_t place) const;
  Shard& Mine() noexcept { return shards_[ShardOfThread()]; }
  static std::size_t ShardOfThread() noexcept;

  std::array<Shard, kShards> shards_;
};

}  // namespace varve
