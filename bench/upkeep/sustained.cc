// SPDX-License-Identifier: Apache-2.0
// Upserts without a pause, for minutes, by one writer, durable, of keys drawn at random out of a
// table whose rows take four times the memory that memtables may have. Flushes and compactions go
// on beside it as they do by default. Each minute is a slice, and all of them together are one.
#include <arrow/record_batch.h>
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <random>

#include "bench/upkeep/databases.h"
#include "bench/upkeep/groups.h"
#include "bench/versions/varve_table.h"

namespace varve::bench {
namespace {

constexpr std::uint64_t kTimesMemory = 4;
constexpr std::int64_t kSampleRows = 4096;

class SustainedGroup {
 public:
  explicit SustainedGroup(const UpkeepSettings& settings)
      : settings_(settings),
        maker_(settings.commit_rows, 1),
        database_(CreateOrders(settings.dir + "/database",
                               {.memtable_bytes_max = settings.memory_bytes})) {
    const auto row_bytes = ArrowBytes(*RowMaker(kSampleRows, 1).Ascending(0)) / kSampleRows;
    rows_ = static_cast<std::int64_t>(kTimesMemory * settings.memory_bytes / row_bytes);
    LoadOrders(database_.get(), rows_);
    AwaitRest(*database_);
  }

  void Run() {
    const int slices = std::max(2, static_cast<int>(settings_.minutes));
    const double seconds = settings_.minutes * 60 / slices;
    WaitForCalm(settings_.patience_seconds);
    Slice all;
    double others = 0;
    for (int number = 1; number <= slices; ++number) {
      auto slice = Minute(seconds);
      all.operations += slice.operations;
      all.seconds += slice.seconds;
      others += slice.counts["others"] / slices;
      all.nanos.insert(all.nanos.end(), slice.nanos.begin(), slice.nanos.end());
      Print(number, "sustained upserts, a minute", std::move(slice));
    }
    all.counts["others"] = others;
    all.counts["rows"] = static_cast<double>(all.operations * settings_.commit_rows);
    all.counts["table_rows"] = static_cast<double>(rows_);
    all.counts["longest_wait_us"] = static_cast<double>(longest_wait_);
    Print(1, "sustained upserts", std::move(all));
    Must(database_->Close());
  }

 private:
  Slice Minute(double seconds) {
    const auto before = database_->Stats();
    std::int64_t waited = 0, longest = 0;
    auto slice = ClosedLoop(1, seconds, [&](int) {
      const auto done = Must(database_->Upsert(kTable, NextRows(), {.profile = true}));
      const auto wait = done.profile->pressure_micros + done.profile->stall_micros;
      waited += wait;
      longest = std::max(longest, wait);
    });
    longest_wait_ = std::max(longest_wait_, longest);
    const auto after = database_->Stats();
    const auto since = [&](std::uint64_t DatabaseStats::* count) {
      return static_cast<double>(after.*count - before.*count);
    };
    slice.counts["rows"] = static_cast<double>(slice.operations * settings_.commit_rows);
    slice.counts["waited_us"] = static_cast<double>(waited);
    slice.counts["longest_wait_us"] = static_cast<double>(longest);
    slice.counts["stalled_us"] = since(&DatabaseStats::commit_stall_micros);
    slice.counts["slowed_us"] = since(&DatabaseStats::commit_slowed_micros);
    slice.counts["stopped_us"] = since(&DatabaseStats::commit_stopped_micros);
    slice.counts["flushes"] = since(&DatabaseStats::flushes);
    slice.counts["compactions"] = since(&DatabaseStats::compactions);
    slice.counts["runs"] = static_cast<double>(ShownRuns(after).runs);
    slice.counts["resident_bytes"] = static_cast<double>(ResidentBytes());
    return slice;
  }

  BatchPtr NextRows() {
    keys_.resize(static_cast<std::size_t>(settings_.commit_rows));
    for (auto& key : keys_) {
      key = static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(rows_));
    }
    return maker_.WithKeys(keys_);
  }

  const UpkeepSettings& settings_;
  RowMaker maker_;
  std::unique_ptr<Database> database_;
  std::int64_t rows_ = 0;
  std::int64_t longest_wait_ = 0;
  std::mt19937_64 random_{1};
  std::vector<std::int64_t> keys_;
};

}  // namespace

void MeasureSustained(const UpkeepSettings& settings) { SustainedGroup(settings).Run(); }

}  // namespace varve::bench
