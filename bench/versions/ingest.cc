// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <array>
#include <functional>

#include "bench/raw_file.h"
#include "bench/slice.h"
#include "bench/versions/device_use.h"
#include "bench/versions/groups.h"
#include "bench/versions/store.h"

namespace varve::bench {
namespace {

constexpr std::array<std::int64_t, 4> kCommitRows = {1, 64, 1000, 65536};
constexpr int kManyWriters = 8;
constexpr std::uint64_t kBareBytes = 64u << 20;
constexpr std::int64_t kBareRowsMax = 64;  // above, others than the device say what is possible

struct Contestant {
  std::string name;
  bool many_writers;
  std::int64_t commit_rows_max;
  StorePtr store;
  std::int64_t rows = 0;  // committed to it
};

class IngestGroup {
 public:
  explicit IngestGroup(const VersionsSettings& settings)
      : settings_(settings), bare_(settings.dir + "/bare", kBareBytes) {
    for (const auto rows : kCommitRows) makers_.push_back(std::make_unique<RowMaker>(rows, rows));
    Add("varve", "", true,
        [this] { return OpenVarveStore(settings_.dir + "/varve", settings_.budget_bytes); });
    AddBare();
    for (const bool pipelined : {false, true}) {
      const std::string name = pipelined ? "RocksDB pipelined" : "RocksDB";
      Add(name, kNoLibrary, true, [=, this] {
        return OpenRocksDbStore(settings_.dir + "/" + name, settings_.budget_bytes, pipelined);
      });
    }
    Add("SQLite", kNoLibrary, false,
        [this] { return OpenSqliteStore(settings_.dir + "/sqlite", settings_.budget_bytes); });
    for (const bool key : {true, false}) {
      const std::string name = key ? "DuckDB" : "DuckDB without key";
      Add(name, settings_.duckdb_absent, false, [=, this] {
        return OpenDuckDbStore(settings_.dir + "/" + name, settings_.budget_bytes, key);
      });
    }
  }

  void Run() {
    for (int round = 0; round <= settings_.rounds; ++round) {
      RunBare(round);
      for (auto& maker : makers_) {
        for (auto& contestant : contestants_) {
          if (maker->rows() <= contestant.commit_rows_max) {
            RunCase(round, &contestant, maker.get(), 1);
          }
        }
      }
      for (auto& contestant : contestants_) {
        if (contestant.many_writers) {
          RunCase(round, &contestant, makers_.front().get(), kManyWriters);
        }
      }
    }
    for (auto& contestant : contestants_) CheckRows(&contestant);
  }

 private:
  void Add(const std::string& name, const std::string& absent, bool many_writers,
           const std::function<StorePtr()>& open) {
    if (name != "varve" && !settings_.peers) return PrintMissing(name, kLeftOut);
    auto store = open();
    if (!store) return PrintMissing(name, absent);
    PrintSettings(name, store->Settings());
    contestants_.push_back({name, many_writers, INT64_MAX, std::move(store)});
  }

  void AddBare() {
    for (const auto method : {LogSyncMethod::kFdatasync, LogSyncMethod::kDirectDsync}) {
      const auto name = "bare by " + NameOf(method);
      auto store = OpenBareStore(settings_.dir + "/" + name, method);
      PrintSettings(name, store->Settings());
      contestants_.push_back({name, false, kBareRowsMax, std::move(store)});
    }
  }

  void RunCase(int round, Contestant* contestant, RowMaker* maker, int writers) {
    Store* const store = contestant->store.get();
    const auto name =
        fmt::format("ingest {} rows, {} writers, {}", maker->rows(), writers, contestant->name);
    if (!Wanted(settings_, name)) return;
    store->Settle();
    WaitForCalm(settings_.patience_seconds);
    const auto before = DeviceUseNow();
    const auto hidden = store->HiddenSyncs();
    auto slice = ClosedLoop(writers, settings_.slice_seconds, [&](int) {
      store->Commit(maker->Ascending(next_key_.fetch_add(maker->rows())));
    });
    const auto after = DeviceUseNow();
    const auto rows = slice.operations * maker->rows();
    contestant->rows += rows;
    slice.counts["rows"] = static_cast<double>(rows);
    slice.counts["syncs"] =
        static_cast<double>(after.syncs - before.syncs + store->HiddenSyncs() - hidden);
    slice.counts["device_bytes"] = static_cast<double>(after.bytes - before.bytes);
    Print(round, name, std::move(slice));
  }

  // What any durable commit costs at least, however small: 4 KiB, on the device.
  void RunBare(int round) {
    for (const auto method : {LogSyncMethod::kFdatasync, LogSyncMethod::kDirectDsync}) {
      const auto name = "bare flush by " + NameOf(method);
      if (!Wanted(settings_, name)) continue;
      WaitForCalm(settings_.patience_seconds);
      Print(round, name, bare_.Flushes(settings_.slice_seconds, method));
    }
  }

  // Nobody may win by losing rows.
  static void CheckRows(Contestant* contestant) {
    const auto found = contestant->store->CountRows();
    if (found == contestant->rows) return;
    Die(fmt::format("{} was given {} rows and has {}", contestant->name, contestant->rows, found));
  }

  const VersionsSettings& settings_;
  PreparedFile bare_;
  std::vector<std::unique_ptr<RowMaker>> makers_;
  std::vector<Contestant> contestants_;
  std::atomic<std::int64_t> next_key_ = 0;
};

}  // namespace

void MeasureIngest(const VersionsSettings& settings) { IngestGroup(settings).Run(); }

}  // namespace varve::bench
