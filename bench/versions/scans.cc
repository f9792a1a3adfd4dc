// SPDX-License-Identifier: Apache-2.0
#include <arrow/api.h>
#include <arrow/compute/expression.h>
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <random>

#include "bench/arrow_scan.h"
#include "bench/slice.h"
#include "bench/versions/duckdb_api.h"
#include "bench/versions/groups.h"
#include "bench/versions/varve_table.h"

namespace varve::bench {
namespace {

constexpr std::uint64_t kOneRun = 4ull << 30;  // memtables so large that a flush makes one run
constexpr int kOverwrites = 4;
constexpr double kOverwritten = 0.2;
// A full scan takes a seventh of a second: of a few of them the first, which warms up, says most.
constexpr double kFullScanSlices = 5;

std::vector<std::string> FilesOf(const std::string& dir) {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(dir + "/data/" + kTable)) {
    if (entry.path().extension() == ".parquet") files.push_back(entry.path().string());
  }
  std::ranges::sort(files);
  return files;
}

// 20 % of the keys anew, spread over the whole table, in kOverwrites newer runs.
void Overwrite(Database* database, std::int64_t rows) {
  std::mt19937_64 random(7);
  const auto each =
      static_cast<std::int64_t>(static_cast<double>(rows) * kOverwritten) / kOverwrites;
  std::vector<std::int64_t> keys(static_cast<std::size_t>(rows));
  for (std::int64_t i = 0; i < rows; ++i) keys[static_cast<std::size_t>(i)] = i;
  std::ranges::shuffle(keys, random);
  RowMaker maker(each, 8);
  for (int i = 0; i < kOverwrites; ++i) {
    const auto first = keys.begin() + i * each;
    Must(database->Upsert(kTable, maker.WithKeys({first, first + each}),
                          {.ack = AckLevel::kBuffered}));
    Must(database->Flush());
  }
}

class ScanGroup {
 public:
  explicit ScanGroup(const VersionsSettings& settings)
      : settings_(settings),
        sorted_(CreateOrders(settings.dir + "/sorted", {.memtable_bytes_max = kOneRun})),
        overwritten_(CreateOrders(settings.dir + "/overwritten", {.memtable_bytes_max = kOneRun})) {
    LoadOrders(sorted_.get(), settings.scan_rows);
    LoadOrders(overwritten_.get(), settings.scan_rows);
    Overwrite(overwritten_.get(), settings.scan_rows);
    files_ = FilesOf(settings.dir + "/sorted");
    if (files_.size() != 1) Die(fmt::format("expected one run, found {}", files_.size()));
    PrintSettings("Arrow",
                  "its Parquet reader on the same file: the ten columns, threads on, "
                  "batches of 65,536 rows");
    if (duckdb::Loaded() != nullptr && settings.peers)
      OpenDuckDb();
    else
      PrintMissing("DuckDB scan", settings.duckdb_absent);
  }

  void Run() {
    const auto rows = settings_.scan_rows;
    const auto first = rows / 2, last = first + rows / 100 - 1;  // 1 %
    const auto by_key = fmt::format("id BETWEEN {} AND {}", first, last);
    const auto time = [](std::int64_t row) { return kFirstMicros + row * kMicrosPerRow; };
    const auto by_value = fmt::format("ordered BETWEEN make_timestamp({}) AND make_timestamp({})",
                                      time(first), time(last));
    const auto key_filter =
        Between(kKey, arrow::compute::literal(first), arrow::compute::literal(last));
    const auto value_filter = Between("ordered", Time(time(first)), Time(time(last)));
    for (int round = 0; round <= settings_.rounds; ++round) {
      RunCase(
          round, "full scan, varve", rows, [&] { return Scan(*sorted_, nullptr); },
          kFullScanSlices);
      RunCase(
          round, "full scan, Arrow", rows, [&] { return ScanArrow(files_, ColumnNames()); },
          kFullScanSlices);
      RunCase(
          round, "full scan overwritten, varve", rows,
          [&] { return Scan(*overwritten_, nullptr); }, kFullScanSlices);
      RunCase(round, "1 % by key, varve", rows / 100, [&] { return Scan(*sorted_, key_filter); });
      RunDuckDb(round, "1 % by key, DuckDB", by_key);
      RunCase(round, "1 % by value, varve", rows / 100,
              [&] { return Scan(*sorted_, value_filter); });
      RunDuckDb(round, "1 % by value, DuckDB", by_value);
    }
    Must(sorted_->Close());
    Must(overwritten_->Close());
  }

 private:
  using Filter = std::shared_ptr<const arrow::compute::Expression>;

  static arrow::compute::Expression Time(std::int64_t micros) {
    return arrow::compute::literal(
        arrow::TimestampScalar(micros, RowSchema()->GetFieldByName("ordered")->type()));
  }
  static Filter Between(const std::string& column, const arrow::compute::Expression& lower,
                        const arrow::compute::Expression& upper) {
    const auto field = arrow::compute::field_ref(column);
    return std::make_shared<arrow::compute::Expression>(arrow::compute::and_(
        arrow::compute::greater_equal(field, lower), arrow::compute::less_equal(field, upper)));
  }

  static std::int64_t Scan(const Database& database, const Filter& filter) {
    return DrainRows(Must(database.Scan(kTable, {.filter = filter})).get());
  }

  void OpenDuckDb() {
    duckdb_ = std::make_unique<duckdb::Connection>("");
    // So that the footer is read once, as in an open varve database.
    duckdb_->Run("SET enable_object_cache=true");
    duckdb_->Run("SET TimeZone='UTC'");
    PrintSettings("DuckDB scan",
                  std::string(duckdb::Loaded()->library_version()) +
                      ": read_parquet over varve's file, the ten columns, object cache (footers) "
                      "on, all processors; the result materialized, not converted");
  }

  void RunCase(int round, const std::string& name, std::int64_t expected,
               const std::function<std::int64_t()>& scan, double slices = 1) {
    if (!Wanted(settings_, name)) return;
    WaitForCalm(settings_.patience_seconds);
    std::int64_t rows = 0;
    auto slice = ClosedLoop(1, slices * settings_.slice_seconds, [&](int) { rows = scan(); });
    if (rows != expected) Die(fmt::format("{} gave {} rows, not {}", name, rows, expected));
    slice.counts["rows"] = static_cast<double>(rows);
    Print(round, name, std::move(slice));
  }

  void RunDuckDb(int round, const std::string& name, const std::string& where) {
    if (duckdb_ == nullptr) return;
    std::string columns;
    for (const auto& column : ColumnNames()) columns += (columns.empty() ? "" : ", ") + column;
    const auto sql =
        fmt::format("SELECT {} FROM read_parquet('{}') WHERE {}", columns, files_.front(), where);
    RunCase(round, name, settings_.scan_rows / 100, [&] { return duckdb_->Rows(sql); });
  }

  const VersionsSettings& settings_;
  std::unique_ptr<Database> sorted_, overwritten_;
  std::unique_ptr<duckdb::Connection> duckdb_;
  std::vector<std::string> files_;
};

}  // namespace

void MeasureScans(const VersionsSettings& settings) { ScanGroup(settings).Run(); }

}  // namespace varve::bench
