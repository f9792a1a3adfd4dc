// SPDX-License-Identifier: Apache-2.0
#include <arrow/record_batch.h>
#include <fmt/format.h>

#include <functional>
#include <random>

#include "bench/slice.h"
#include "bench/versions/groups.h"
#include "bench/versions/rivals.h"
#include "bench/versions/varve_table.h"

namespace varve::bench {
namespace {

constexpr std::size_t kAskings = 4096;  // made beforehand, asked round and round
constexpr std::int64_t kManyKeys = 1000;
constexpr int kSnapshotsAtOnce = 100;  // so that the clock costs nothing
constexpr std::int64_t kMemtableRows = 10'000;

std::vector<Keys> RandomKeys(std::size_t askings, std::int64_t keys, std::int64_t below) {
  std::mt19937_64 random(11);
  std::vector<Keys> all(askings);
  for (auto& asking : all) {
    for (std::int64_t i = 0; i < keys; ++i) {
      asking.push_back(static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(below)));
    }
  }
  return all;
}

class GetGroup {
 public:
  explicit GetGroup(const VersionsSettings& settings)
      : settings_(settings),
        database_(CreateOrders(settings.dir + "/varve", {.read_cache_bytes_max = kReadCacheBytes})),
        one_(RandomKeys(kAskings, 1, settings.get_rows)),
        many_(
            RandomKeys(kAskings / 64, std::min(kManyKeys, settings.get_rows), settings.get_rows)) {
    LoadOrders(database_.get(), settings.get_rows);
    WarmOrders(database_.get(), settings.get_rows);
    PrintSettings("varve get",
                  "read cache 4 GiB that holds everything, else defaults; loaded in order of keys, "
                  "all flushed, every key read once before; Database::Get, which gives record "
                  "batches");
    if (settings.peers) rocks_ = OpenRocksDbKeyValue(settings.dir + "/rocksdb", settings.get_rows);
    if (rocks_)
      PrintSettings("RocksDB get", rocks_->Settings());
    else
      PrintMissing("RocksDB get", settings.peers ? kNoLibrary : kLeftOut);
    for (const auto& keys : one_) one_batches_.push_back(KeyBatch(keys));
    for (const auto& keys : many_) many_batches_.push_back(KeyBatch(keys));
  }

  void Run() {
    for (int round = 0; round <= settings_.rounds; ++round) {
      RunCase(round, "get one, varve", [&](auto i) { Get(one_batches_, i); });
      if (rocks_) {
        RunCase(round, "get one, RocksDB",
                [&](auto i) { rocks_->Get(one_[i % one_.size()].front()); });
      }
      RunCase(round, "get 1000, varve", [&](auto i) { Get(many_batches_, i); });
      if (rocks_) {
        RunCase(round, "get 1000, RocksDB",
                [&](auto i) { rocks_->GetMany(many_[i % many_.size()]); });
      }
    }
    MeasureSnapshots();
    Must(database_->Close());
  }

 private:
  void Get(const std::vector<BatchPtr>& batches, std::size_t i) {
    const auto& keys = batches[i % batches.size()];
    const auto rows = Must(database_->Get(kTable, keys));
    if (rows->num_rows() != keys->num_rows()) Die("varve did not find every key");
  }

  // With several runs, and rows in memory.
  void MeasureSnapshots() {
    RowMaker maker(kMemtableRows, 12);
    Must(database_->Upsert(kTable, maker.Ascending(settings_.get_rows)));
    for (int round = 0; round <= settings_.rounds; ++round) {
      RunCase(round, "snapshots, 100", [&](auto) {
        for (int n = 0; n < kSnapshotsAtOnce; ++n) Must(database_->GetSnapshot());
      });
    }
  }

  void RunCase(int round, const std::string& name, const std::function<void(std::size_t)>& work) {
    if (!Wanted(settings_, name)) return;
    WaitForCalm(settings_.patience_seconds);
    auto slice = ClosedLoop(1, settings_.slice_seconds, [&](int) { work(next_++); });
    Print(round, name, std::move(slice));
  }

  const VersionsSettings& settings_;
  std::unique_ptr<Database> database_;
  KeyValuePtr rocks_;
  const std::vector<Keys> one_, many_;
  std::vector<BatchPtr> one_batches_, many_batches_;
  std::size_t next_ = 0;
};

}  // namespace

void MeasureGets(const VersionsSettings& settings) { GetGroup(settings).Run(); }

}  // namespace varve::bench
