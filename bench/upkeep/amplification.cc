// SPDX-License-Identifier: Apache-2.0
// What is written to the disk while every row of a table is overwritten many times (20), in
// any order, counted by the object store and by the log: for each byte of the rows as Arrow has
// them. The table is 16 times as large as the memory for memtables, or flushes would find rows that
// were overwritten in memory already.
#include <arrow/record_batch.h>
#include <fmt/format.h>

#include <random>

#include "bench/upkeep/databases.h"
#include "bench/upkeep/groups.h"
#include "bench/versions/varve_table.h"

namespace varve::bench {
namespace {

constexpr std::uint64_t kMemtablesPerTable = 16;

struct Written {
  double runs, flushed, log;
};

Written WrittenBy(const Database& database) {
  const auto text = database.PrometheusText();
  return {MetricOf(text, "varve_store_put_bytes_total{kind=\"run\"}"),
          MetricOf(text, "varve_flush_bytes_total"),
          static_cast<double>(database.Stats().log.bytes_written)};
}

}  // namespace

void MeasureAmplification(const UpkeepSettings& settings) {
  const auto database =
      CreateOrders(settings.dir + "/database",
                   {.memtable_bytes_max = settings.overwritten_bytes / kMemtablesPerTable,
                    .history_micros = 0});
  RowMaker maker(kCommitRows, 1);
  const auto commit_bytes = ArrowBytes(*maker.Ascending(0));
  const auto rows = static_cast<std::int64_t>(settings.overwritten_bytes / commit_bytes + 1) *
                    kCommitRows;
  LoadOrders(database.get(), rows);
  AwaitRest(*database);
  const auto before = WrittenBy(*database);
  const auto counted = database->Stats();
  std::mt19937_64 random(1);
  std::vector<std::int64_t> keys(static_cast<std::size_t>(kCommitRows));
  std::uint64_t bytes = 0;
  std::int64_t overwritten = 0;
  const Stretch stretch;
  for (; overwritten < rows * settings.overwrites; overwritten += kCommitRows) {
    for (auto& key : keys) {
      key = static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(rows));
    }
    const auto batch = maker.WithKeys(keys);
    bytes += ArrowBytes(*batch);
    Must(database->Upsert(kTable, batch, {.ack = AckLevel::kBuffered}));
  }
  Must(database->Flush());
  AwaitRest(*database);
  const auto after = WrittenBy(*database);
  auto slice = stretch.End(overwritten);
  slice.counts["user_bytes"] = static_cast<double>(bytes);
  slice.counts["run_bytes"] = after.runs - before.runs;
  slice.counts["flush_bytes"] = after.flushed - before.flushed;
  slice.counts["log_bytes"] = after.log - before.log;
  const auto stats = database->Stats();
  slice.counts["flushes"] = static_cast<double>(stats.flushes - counted.flushes);
  slice.counts["compactions"] = static_cast<double>(stats.compactions - counted.compactions);
  slice.counts["runs"] = static_cast<double>(ShownRuns(stats).runs);
  slice.counts["shown_bytes"] = static_cast<double>(ShownRuns(stats).bytes);
  Must(database->Close());
  Print(1, "overwriting", std::move(slice));
}

}  // namespace varve::bench
