// SPDX-License-Identifier: Apache-2.0
// The groups of measurements of bench_upkeep. Each prints its slices (bench/slice.h).
#pragma once

#include <cstdint>
#include <string>

namespace varve::bench {

struct UpkeepSettings {
  std::string dir;
  std::string program;  // this one, which is started again for databases in processes of their own
  int rounds = 5;       // the first is a warm-up and comes on top
  std::int64_t run_rows = 500'000;  // a memtable of the default size, sealed at half of it
  std::int64_t small_rows = 1'000'000;
  std::int64_t large_rows = 100'000'000;
  std::int64_t upserts = 2'000;  // a slice
  double minutes = 10;
  std::uint64_t memory_bytes = 128u << 20;  // for memtables, where writing goes on and on
  std::int64_t commit_rows = 100;           // there
  std::uint64_t log_bytes = 1u << 30;
  std::int64_t space_rows = 2'000'000;
  std::uint64_t overwritten_bytes = 256u << 20;  // the rows that are overwritten
  std::int64_t overwrites = 20;                  // so many times
  std::int64_t commits = 100'000;
  std::int64_t runs = 100'000;
  std::string tonbo;                   // the program of bench/tonbo
  std::string tonbo_absent;            // why there is none
  std::int64_t tonbo_scale = 1;        // its workloads are divided by this
  double* patience_seconds = nullptr;  // left, to wait until others are quiet
};

// A flush against Arrow's encoding of the same rows; a compaction against decoding and encoding.
void MeasureFlush(const UpkeepSettings& settings);
void MeasureCompaction(const UpkeepSettings& settings);
// Durable upserts of one row into a small and into a large table.
void MeasureUpserts(const UpkeepSettings& settings);
// Upserts without a pause, of many times what fits in memory.
void MeasureSustained(const UpkeepSettings& settings);
// Opening a database whose rows are all in the log.
void MeasureReopen(const UpkeepSettings& settings);
// What a compacted table takes on the disk.
void MeasureSpace(const UpkeepSettings& settings);
// What is written while each row is overwritten again and again.
void MeasureAmplification(const UpkeepSettings& settings);
// Very many durable commits of one row, and then an open; very many runs, and then an open.
void MeasureCommits(const UpkeepSettings& settings);
void MeasureRuns(const UpkeepSettings& settings);
// tonbo's own workload, compacted there and here.
void MeasureTonboCompaction(const UpkeepSettings& settings);

// Reads commands from standard input and answers them on the database in `dir`: upserts.cc.
void ServeUpserts(const std::string& dir);

}  // namespace varve::bench
