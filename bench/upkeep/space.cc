// SPDX-License-Identifier: Apache-2.0
// What a table takes on the disk once it is compacted and its history is let go, against one
// Parquet file of its live rows in order, written by Arrow with the same properties. Half of the
// rows were overwritten, a tenth deleted.
#include <arrow/record_batch.h>
#include <arrow/table.h>
#include <fmt/format.h>

#include <algorithm>
#include <random>

#include "bench/upkeep/arrow_files.h"
#include "bench/upkeep/databases.h"
#include "bench/upkeep/groups.h"
#include "bench/versions/varve_table.h"

namespace varve::bench {
namespace {

constexpr std::int64_t kLiveGroupRows = 65536;
constexpr int kDeletedOf = 10;  // one of so many keys

std::vector<std::int64_t> DrawKeys(std::int64_t count, std::int64_t below,
                                   std::mt19937_64* random) {
  std::vector<std::int64_t> keys(static_cast<std::size_t>(count));
  for (auto& key : keys) {
    key = static_cast<std::int64_t>((*random)() % static_cast<std::uint64_t>(below));
  }
  return keys;
}

void Overwrite(Database* database, std::int64_t rows) {
  std::mt19937_64 random(1);
  RowMaker maker(std::min(kCommitRows, rows), 2);
  for (std::int64_t done = 0; done < rows / 2; done += maker.rows()) {
    Must(database->Upsert(kTable, maker.WithKeys(DrawKeys(maker.rows(), rows, &random)),
                          {.ack = AckLevel::kBuffered}));
  }
  for (std::int64_t done = 0; done < rows / kDeletedOf; done += maker.rows()) {
    Must(database->Delete(kTable, KeyBatch(DrawKeys(maker.rows(), rows, &random)),
                          {.ack = AckLevel::kBuffered}));
  }
}

// The live rows in order, cut into row groups.
std::vector<BatchPtr> LiveRows(const Database& database) {
  auto reader = Must(database.Scan(kTable));
  const auto table = arrow::Table::FromRecordBatchReader(reader.get());
  if (!table.ok()) Die(table.status().ToString());
  std::vector<BatchPtr> groups;
  for (std::int64_t at = 0; at < (*table)->num_rows(); at += kLiveGroupRows) {
    auto group = (*table)->Slice(at, kLiveGroupRows)->CombineChunksToBatch();
    if (!group.ok()) Die(group.status().ToString());
    groups.push_back(*std::move(group));
  }
  return groups;
}

}  // namespace

void MeasureSpace(const UpkeepSettings& settings) {
  const std::string dir = settings.dir + "/database";
  const auto database = CreateOrders(dir, {.history_micros = 0});
  LoadOrders(database.get(), settings.space_rows);
  Overwrite(database.get(), settings.space_rows);
  const Stretch stretch;
  Must(database->Compact());
  AwaitRest(*database);
  Must(database->Retire({.keep_micros = 0}));
  const auto groups = LiveRows(*database);
  const auto bytes = EncodeParquet(settings.dir + "/arrow.parquet", groups, false);
  std::int64_t live = 0;
  for (const auto& group : groups) live += group->num_rows();
  auto slice = stretch.End(live);
  slice.counts["data_bytes"] = static_cast<double>(BytesBelow(dir + "/data"));
  slice.counts["run_bytes"] = static_cast<double>(ShownRuns(database->Stats()).bytes);
  slice.counts["runs"] = static_cast<double>(AllRuns(database->Stats()).runs);
  slice.counts["arrow_bytes"] = static_cast<double>(bytes);
  Must(database->Close());
  slice.counts["folder_bytes"] = static_cast<double>(BytesBelow(dir));
  Print(1, "space", std::move(slice));
}

}  // namespace varve::bench
