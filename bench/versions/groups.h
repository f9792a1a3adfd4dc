// SPDX-License-Identifier: Apache-2.0
// The groups of measurements of bench_versions. Each prints its slices (bench/slice.h), and one
// line with the settings of everybody it measures: {"system": ..., "settings": ...}.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace varve::bench {

struct VersionsSettings {
  std::string dir;
  int rounds = 5;  // the first is a warm-up and comes on top
  double slice_seconds = 0.5;
  std::uint64_t budget_bytes = 64u << 20;  // of new rows before an ingesting store flushes them
  std::int64_t scan_rows = 1'000'000;
  std::int64_t get_rows = 10'000'000;
  std::int64_t transaction_rows = 1'000'000;
  std::int64_t tonbo_scale = 1;        // its workloads are divided by this
  double* patience_seconds = nullptr;  // left, to wait until others are quiet
  bool peers = true;
  std::string only;        // cases that have this in their name; empty: all
  std::string tonbo;         // the program of bench/tonbo
  std::string tonbo_absent;  // why there is none
  std::string duckdb_absent;
};

// Durable commits of 1, 64, 1,000 and 65,536 rows by one writer, and of one row by eight.
void MeasureIngest(const VersionsSettings& settings);
// Full and filtered scans against Arrow and DuckDB on the same Parquet files.
void MeasureScans(const VersionsSettings& settings);
// One key and 1,000 keys of many rows, and what a snapshot costs.
void MeasureGets(const VersionsSettings& settings);
// All changes of a flushed table, and a follower's step behind a writer of single rows.
void MeasureChanges(const VersionsSettings& settings);
// Ten reads and ten writes, durable, by one thread and by eight.
void MeasureTransactions(const VersionsSettings& settings);
// tonbo's own workload, there and here.
void MeasureTonbo(const VersionsSettings& settings);

inline bool Wanted(const VersionsSettings& settings, std::string_view name) {
  return name.find(settings.only) != std::string_view::npos;
}

void PrintSettings(std::string_view system, std::string_view settings);
// Why a rival is missing.
inline constexpr const char* kLeftOut = "left out with --no-peers";
inline constexpr const char* kNoLibrary = "its library was not there when this was built";

}  // namespace varve::bench
