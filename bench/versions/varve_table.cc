// SPDX-License-Identifier: Apache-2.0
#include "bench/versions/varve_table.h"

#include <arrow/record_batch.h>

#include <algorithm>
#include <numeric>

#include "bench/slice.h"

namespace varve::bench {
namespace {

constexpr std::int64_t kWarmRows = 4096;

}  // namespace

std::unique_ptr<Database> CreateOrders(const std::string& dir, OpenOptions options,
                                       const Components& components) {
  options.create_if_missing = true;
  auto database = Must(Database::Open(dir, options, components));
  Must(database->CreateTable(kTable, RowSchema(), {kKey}));
  return database;
}

void LoadOrders(Database* database, std::int64_t rows) {
  RowMaker maker(std::min(rows, kLoadRows), 1);
  for (std::int64_t first = 0; first < rows; first += maker.rows()) {
    auto batch = maker.Ascending(first);
    const auto left = rows - first;
    if (left < batch->num_rows()) batch = batch->Slice(0, left);
    Must(database->Upsert(kTable, batch, {.ack = AckLevel::kBuffered}));
  }
  Must(database->Flush());
}

void WarmOrders(Database* database, std::int64_t rows) {
  for (std::int64_t first = 0; first < rows; first += kWarmRows) {
    std::vector<std::int64_t> keys(static_cast<std::size_t>(std::min(kWarmRows, rows - first)));
    std::iota(keys.begin(), keys.end(), first);
    const auto found = Must(database->Get(kTable, KeyBatch(keys)));
    if (found->num_rows() != std::ssize(keys)) Die("varve did not find every key");
  }
}

std::int64_t DrainRows(arrow::RecordBatchReader* reader) {
  std::int64_t rows = 0;
  std::shared_ptr<arrow::RecordBatch> batch;
  while (true) {
    if (const auto read = reader->ReadNext(&batch); !read.ok()) Die(read.ToString());
    if (batch == nullptr) return rows;
    rows += batch->num_rows();
  }
}

}  // namespace varve::bench
