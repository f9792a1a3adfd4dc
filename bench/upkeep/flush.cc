// SPDX-License-Identifier: Apache-2.0
// A flush against Arrow alone, which decodes the file that it made and encodes the same rows, in
// order already, into a file of the same folder; and against encoding them alone. The flush of a
// database also puts them in order, gathers them out of their commits, checksums what it writes,
// and makes the file, its name and the manifest durable. Where keys come in any order Arrow is also
// measured with that work: it sorts the rows of the same commits by key.
//
// One thread each: the database's tasks run in the thread that calls Flush, and Arrow's pool, which
// encodes columns for it, has a single thread while that one waits.
#include <arrow/api.h>
#include <arrow/compute/initialize.h>
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

// As a run has it: the commit that each row came with.
BatchPtr WithCommit(const BatchPtr& rows, std::int64_t commit) {
  const arrow::Int64Scalar number(commit);
  const auto commits = arrow::MakeArrayFromScalar(number, rows->num_rows());
  if (!commits.ok()) Die(commits.status().ToString());
  auto whole = rows->AddColumn(rows->num_columns(),
                               arrow::field("commit", arrow::int64(), /*nullable=*/false),
                               *commits);
  if (!whole.ok()) Die(whole.status().ToString());
  return *std::move(whole);
}

class FlushGroup {
 public:
  explicit FlushGroup(const UpkeepSettings& settings)
      : settings_(settings),
        maker_(std::min(kCommitRows, settings.run_rows), 1),
        keys_(static_cast<std::size_t>(settings.run_rows)) {
    std::iota(keys_.begin(), keys_.end(), 0);
    mixed_ = keys_;
    std::ranges::shuffle(mixed_, std::mt19937_64(1));
    if (!arrow::SetCpuThreadPoolCapacity(1).ok()) Die("Arrow does not take one thread");
    if (!arrow::compute::Initialize().ok()) Die("Arrow has no kernels");
  }

  void Run() {
    for (int round = 0; round <= settings_.rounds; ++round) {
      RunKeys(round, "keys in order", keys_);
      RunKeys(round, "keys in any order", mixed_);
    }
  }

 private:
  std::vector<BatchPtr> Load(Database* database, const std::vector<std::int64_t>& keys) {
    std::vector<BatchPtr> batches;
    const auto rows = static_cast<std::size_t>(maker_.rows());
    for (std::size_t at = 0; at + rows <= keys.size(); at += rows) {
      const auto from = keys.begin() + static_cast<std::ptrdiff_t>(at);
      const auto batch = maker_.WithKeys({from, from + maker_.rows()});
      batches.push_back(WithCommit(batch, std::ssize(batches) + 1));
      Must(database->Upsert(kTable, batch, {.ack = AckLevel::kBuffered}));
    }
    Must(database->Sync());
    return batches;
  }

  void RunKeys(int round, const std::string& name, const std::vector<std::int64_t>& keys) {
    const std::string dir = settings_.dir + "/database";
    ManualExecutor executor;
    auto database =
        CreateOrders(dir, {.memtable_bytes_max = 1ull << 40}, {.executor = &executor});
    const auto given = Load(database.get(), keys);
    executor.RunAll();  // what memtables had left to merge
    WaitForCalm(settings_.patience_seconds);
    const Stretch stretch;
    Must(database->Flush());
    auto slice = stretch.End(std::ssize(keys));
    const auto files = RunFiles(dir, kTable);
    if (files.size() != 1) Die(fmt::format("a flush made {} files", files.size()));
    slice.counts["bytes"] = static_cast<double>(BytesOf(files));
    Print(round, fmt::format("flush, {}, varve", name), std::move(slice));
    const auto groups = ReadParquet(files.front());
    RunArrow(round, name + ", Arrow", true, BytesOf(files),
             [&] { return ReadParquet(files.front()); });
    RunArrow(round, name + ", Arrow encoding alone", true, BytesOf(files), [&] { return groups; });
    RunArrow(round, name + ", Arrow without sync", false, BytesOf(files),
             [&] { return ReadParquet(files.front()); });
    if (&keys == &mixed_) {
      RunArrow(round, name + ", Arrow that sorts", true, BytesOf(files),
               [&] { return SortRows(given); });
    }
    Must(database->Close());
    database.reset();
    std::filesystem::remove_all(dir);
  }

  // `groups` gives the rows, within the time that is measured.
  template <typename Groups>
  void RunArrow(int round, const std::string& name, bool sync, std::uint64_t bytes_of_run,
                const Groups& groups) {
    const std::string path = settings_.dir + "/arrow.parquet";
    WaitForCalm(settings_.patience_seconds);
    const Stretch stretch;
    const auto bytes = EncodeParquet(path, groups(), sync);
    auto slice = stretch.End(std::ssize(keys_));
    CheckSameSize(bytes_of_run, bytes);
    slice.counts["bytes"] = static_cast<double>(bytes);
    Print(round, "flush, " + name, std::move(slice));
    std::filesystem::remove(path);
  }

  const UpkeepSettings& settings_;
  RowMaker maker_;
  std::vector<std::int64_t> keys_, mixed_;
};

}  // namespace

void MeasureFlush(const UpkeepSettings& settings) { FlushGroup(settings).Run(); }

}  // namespace varve::bench
