// SPDX-License-Identifier: Apache-2.0
// Full scan of a flushed table through varve, against Arrow's own reader on the same Parquet files,
// in one process, alternating. Prints one JSON line per round: {"varve": s, "arrow": s, "rows": n}.
//
//   bench_scan DATABASE TABLE ROUNDS
//
// Both decode every column of every row into record batches of 65,536 rows with Arrow's threads on,
// and add up the rows; both have the files in the page cache (one round of each comes first).
#include <arrow/api.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "base/clock.h"
#include "bench/arrow_scan.h"
#include "varve/varve.h"

namespace {

double Seconds() { return static_cast<double>(varve::SystemClock()->SteadyMicros()) / 1e6; }

[[noreturn]] void Die(const std::string& message) {
  fmt::print(stderr, "bench_scan: {}\n", message);
  std::exit(1);
}

std::int64_t Drain(arrow::RecordBatchReader* reader) {
  std::int64_t rows = 0;
  std::shared_ptr<arrow::RecordBatch> batch;
  while (true) {
    if (const auto status = reader->ReadNext(&batch); !status.ok()) Die(status.ToString());
    if (batch == nullptr) return rows;
    rows += batch->num_rows();
  }
}

std::int64_t ScanVarve(const varve::Database& database, const std::string& table) {
  auto reader = database.Scan(table);
  if (!reader) Die(reader.error().message());
  return Drain(reader->get());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) Die("usage: bench_scan DATABASE TABLE ROUNDS");
  const std::string path = argv[1];
  const std::string table = argv[2];
  auto database = varve::Database::Open(path, {.read_only = true});
  if (!database) Die(database.error().message());
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(path + "/data/" + table)) {
    if (entry.path().extension() == ".parquet") files.push_back(entry.path().string());
  }
  std::ranges::sort(files);
  ScanVarve(**database, table);
  varve::bench::ScanArrow(files);
  for (int round = 0; round < std::atoi(argv[3]); ++round) {
    const double start = Seconds();
    const std::int64_t ours = ScanVarve(**database, table);
    const double middle = Seconds();
    const std::int64_t theirs = varve::bench::ScanArrow(files);
    const double end = Seconds();
    if (ours != theirs) Die(fmt::format("varve read {} rows, Arrow {}", ours, theirs));
    fmt::print("{{\"varve\": {:.6f}, \"arrow\": {:.6f}, \"rows\": {}}}\n", middle - start,
               end - middle, ours);
  }
}
