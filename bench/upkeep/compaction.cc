// SPDX-License-Identifier: Apache-2.0
// A compaction against Arrow alone, which decodes the same input files and encodes the rows of the
// same output files, which it has in memory already. The compaction also merges the inputs by key.
// Three runs of half of the keys each, drawn at random: their rows take turns in the output one by
// one, so nothing can be copied as it is.
//
// One thread each, as in flush.cc.
#include <arrow/record_batch.h>
#include <arrow/util/thread_pool.h>
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <numeric>
#include <random>

#include "base/executor.h"
#include "bench/upkeep/arrow_files.h"
#include "bench/upkeep/databases.h"
#include "bench/upkeep/groups.h"
#include "bench/versions/varve_table.h"

namespace varve::bench {
namespace {

constexpr int kInputs = 3;  // a fourth would be compacted without being asked

class CompactionGroup {
 public:
  explicit CompactionGroup(const UpkeepSettings& settings)
      : settings_(settings), base_(settings.dir + "/base"), dir_(settings.dir + "/database") {
    if (!arrow::SetCpuThreadPoolCapacity(1).ok()) Die("Arrow does not take one thread");
    Build();
  }

  void Run() {
    for (int round = 0; round <= settings_.rounds; ++round) {
      std::filesystem::copy(base_, dir_, std::filesystem::copy_options::recursive);
      RunVarve(round);
      for (const bool sync : {true, false}) RunArrow(round, sync);
      std::filesystem::remove_all(dir_);
    }
  }

 private:
  void Build() {
    ManualExecutor executor;
    const auto database =
        CreateOrders(base_, {.memtable_bytes_max = 1ull << 40}, {.executor = &executor});
    std::mt19937_64 random(1);
    const auto count = std::min(kCommitRows, settings_.run_rows);
    RowMaker maker(count, 1);
    for (int input = 0; input < kInputs; ++input) {
      std::vector<std::int64_t> keys(static_cast<std::size_t>(2 * settings_.run_rows));
      std::iota(keys.begin(), keys.end(), 0);
      std::ranges::shuffle(keys, random);
      for (std::int64_t at = 0; at + count <= settings_.run_rows; at += count) {
        const auto from = keys.begin() + at;
        Must(database->Upsert(kTable, maker.WithKeys({from, from + count}),
                              {.ack = AckLevel::kBuffered}));
        rows_in_ += count;
      }
      Must(database->Flush());
    }
    Must(database->Close());
    inputs_ = RunFiles(base_, kTable);
    if (inputs_.size() != kInputs) Die(fmt::format("{} flushes made {} files", kInputs,
                                                   inputs_.size()));
  }

  void RunVarve(int round) {
    ManualExecutor executor;
    const auto database = Must(Database::Open(dir_, {}, {.executor = &executor}));
    const auto before = RunFiles(dir_, kTable);
    WaitForCalm(settings_.patience_seconds);
    const Stretch stretch;
    const auto info = Must(database->Compact(kTable));
    auto slice = stretch.End(rows_in_);
    if (info.runs_before != kInputs || info.runs_after == 0) Die("not all runs were compacted");
    const auto files = NewFiles(RunFiles(dir_, kTable), before);
    outputs_.clear();
    for (const auto& file : files) outputs_.push_back(ReadParquet(file));
    output_bytes_ = BytesOf(files);
    slice.counts["bytes"] = static_cast<double>(output_bytes_);
    slice.counts["runs"] = static_cast<double>(files.size());
    Must(database->Close());
    Print(round, "compaction, varve", std::move(slice));
  }

  void RunArrow(int round, bool sync) {
    WaitForCalm(settings_.patience_seconds);
    Paths files;
    std::uint64_t bytes = 0;
    const Stretch stretch;
    const auto rows = DecodeParquet(inputs_);
    for (const auto& groups : outputs_) {
      files.push_back(fmt::format("{}/arrow-{}.parquet", settings_.dir, files.size()));
      bytes += EncodeParquet(files.back(), groups, sync);
    }
    auto slice = stretch.End(rows);
    if (rows != rows_in_) Die(fmt::format("the inputs have {} rows, not {}", rows, rows_in_));
    CheckSameSize(output_bytes_, bytes);
    slice.counts["bytes"] = static_cast<double>(bytes);
    Print(round, sync ? "compaction, Arrow" : "compaction, Arrow without sync", std::move(slice));
    for (const auto& file : files) std::filesystem::remove(file);
  }

  const UpkeepSettings& settings_;
  const std::string base_, dir_;
  Paths inputs_;
  std::int64_t rows_in_ = 0;
  std::vector<std::vector<BatchPtr>> outputs_;  // of each file the row groups
  std::uint64_t output_bytes_ = 0;
};

}  // namespace

void MeasureCompaction(const UpkeepSettings& settings) { CompactionGroup(settings).Run(); }

}  // namespace varve::bench
