// SPDX-License-Identifier: Apache-2.0
// Commits alone: the rows of an Arrow IPC file, read into memory beforehand, go into a new database
// in durable commits by one thread. Prints the seconds.
//
//   bench_commit DATABASE FILE.arrow KEY,KEY... ROWS_PER_COMMIT
#include <arrow/api.h>
#include <arrow/io/file.h>
#include <arrow/ipc/reader.h>
#include <fmt/format.h>

#include <sstream>

#include "base/clock.h"
#include "varve/varve.h"

namespace {

[[noreturn]] void Die(const std::string& message) {
  fmt::print(stderr, "bench_commit: {}\n", message);
  std::exit(1);
}

template <typename T>
T Must(arrow::Result<T> result) {
  if (!result.ok()) Die(result.status().ToString());
  return *std::move(result);
}

template <typename T>
T Must(varve::Result<T> result) {
  if (!result) Die(result.error().message());
  return *std::move(result);
}

std::vector<std::shared_ptr<arrow::RecordBatch>> ReadBatches(const std::string& path,
                                                             std::int64_t rows) {
  auto file = Must(arrow::io::ReadableFile::Open(path));
  auto reader = Must(arrow::ipc::RecordBatchFileReader::Open(file));
  auto table = Must(Must(reader->ToTable())->CombineChunks());
  arrow::TableBatchReader slices(*table);
  slices.set_chunksize(rows);
  return Must(slices.ToRecordBatches());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) Die("usage: bench_commit DATABASE FILE.arrow KEY,KEY... ROWS_PER_COMMIT");
  const auto batches = ReadBatches(argv[2], std::atoll(argv[4]));
  std::vector<std::string> key;
  std::istringstream names(argv[3]);
  for (std::string name; std::getline(names, name, ',');) key.push_back(name);
  const auto database = Must(varve::Database::Open(argv[1], {.create_if_missing = true}));
  if (auto made = database->CreateTable("flights", batches[0]->schema(), key); !made) {
    Die(made.error().message());
  }
  const auto start = varve::SystemClock()->SteadyMicros();
  for (const auto& batch : batches) Must(database->Upsert("flights", batch));
  const auto end = varve::SystemClock()->SteadyMicros();
  fmt::print("{:.6f}\n", static_cast<double>(end - start) / 1e6);
  if (auto closed = database->Close(); !closed) Die(closed.error().message());
}
