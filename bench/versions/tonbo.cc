// SPDX-License-Identifier: Apache-2.0
// The workload of tonbo's own harness (bench/tonbo_rows.h). tonbo is a program of its own
// (bench/tonbo), which is told what to do next over a pipe, so that the slices alternate here too.
#include <arrow/record_batch.h>
#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "bench/child_process.h"
#include "bench/slice.h"
#include "bench/tonbo_rows.h"
#include "bench/versions/groups.h"
#include "bench/versions/varve_table.h"

namespace varve::bench {
namespace {

constexpr std::int64_t kIngestRows = 64;
constexpr std::int64_t kIngestKeys = 65'536;
constexpr std::int64_t kIngestBatches = kIngestKeys / kIngestRows;  // have each key once

class TonboGroup {
 public:
  explicit TonboGroup(const VersionsSettings& settings)
      : settings_(settings),
        ingest_(OpenSmall(settings.dir + "/ingest")) {
    for (std::int64_t i = 0; i < kIngestBatches; ++i) {
      batches_.push_back(SmallBatch(i, kIngestRows, kIngestKeys));
    }
    for (const auto& workload : kTonboWorkloads) Load(workload);
    PrintSettings("varve, tonbo's workload", "defaults; for scans flushed once, to one run");
    if (settings.tonbo.empty()) {
      PrintMissing("tonbo", settings.tonbo_absent);
    } else {
      tonbo_ = std::make_unique<ChildProcess>(
          std::vector<std::string>{settings.tonbo, settings.dir + "/tonbo"});
      for (const auto& scanned : scanned_) LoadTonbo(scanned);
    }
  }

  void Run() {
    for (int round = 0; round <= settings_.rounds; ++round) {
      for (const auto& scanned : scanned_) {
        RunScan(round, scanned);
        if (tonbo_) {
          AskTonbo(round, fmt::format("tonbo scan {}, tonbo", scanned.workload.keys),
                   fmt::format("scan {} {}", settings_.slice_seconds, scanned.workload.keys),
                   scanned.live);
        }
      }
      RunIngest(round);
      if (tonbo_) {
        AskTonbo(round, "tonbo ingest, tonbo",
                 fmt::format("ingest {} {}", settings_.slice_seconds, kIngestRows), kIngestRows);
      }
    }
    for (auto& scanned : scanned_) Must(scanned.database->Close());
    Must(ingest_->Close());
  }

 private:
  struct Scanned {
    TonboWorkload workload;
    std::unique_ptr<Database> database;
    std::int64_t live = 0;
  };

  void Load(TonboWorkload workload) {
    workload.batches = std::max<std::int64_t>(workload.batches / settings_.tonbo_scale, 1);
    Scanned scanned{workload, OpenSmall(fmt::format("{}/{}", settings_.dir, workload.keys))};
    for (std::int64_t i = 0; i < workload.batches; ++i) {
      Must(scanned.database->Upsert(kSmallTable, SmallBatch(i, workload.rows, workload.keys),
                                    {.ack = AckLevel::kBuffered}));
    }
    Must(scanned.database->Flush());
    scanned.live = Scan(*scanned.database);
    scanned_.push_back(std::move(scanned));
  }

  void LoadTonbo(const Scanned& scanned) {
    const auto& [batches, rows, keys] = scanned.workload;
    const auto rests = tonbo_->Ask(fmt::format("load {} {} {}", batches, rows, keys));
    PrintSettings(fmt::format("tonbo, {} keys", keys),
                  fmt::format("0.4.0-a2: minor compaction after each sealed memtable, leveled "
                              "compaction with its defaults and a tick of 200 ms, at rest at {} "
                              "files; ingest with sync always and without leveled compaction",
                              rests["files"].get<int>()));
  }

  static std::int64_t Scan(const Database& database) {
    return DrainRows(Must(database.Scan(kSmallTable)).get());
  }

  void RunScan(int round, const Scanned& scanned) {
    WaitForCalm(settings_.patience_seconds);
    auto slice = ClosedLoop(1, settings_.slice_seconds, [&](int) {
      if (Scan(*scanned.database) != scanned.live) Die("a scan gave other rows than before");
    });
    Print(round, fmt::format("tonbo scan {}, varve", scanned.workload.keys), std::move(slice));
  }

  void RunIngest(int round) {
    WaitForCalm(settings_.patience_seconds);
    auto slice = ClosedLoop(1, settings_.slice_seconds, [&](int) {
      Must(ingest_->Upsert(kSmallTable, batches_[ingested_++ % batches_.size()]));
    });
    Print(round, "tonbo ingest, varve", std::move(slice));
  }

  void AskTonbo(int round, const std::string& name, const std::string& command, std::int64_t rows) {
    WaitForCalm(settings_.patience_seconds);
    const auto answer = tonbo_->Ask(command);
    if (answer["rows"] != rows) {
      Die(fmt::format("{}: tonbo has {} rows, varve {}", command, answer["rows"].dump(), rows));
    }
    Slice slice;
    slice.operations = answer["operations"].get<std::int64_t>();
    slice.seconds = answer["seconds"].get<double>();
    Print(round, name, std::move(slice));
  }

  const VersionsSettings& settings_;
  std::vector<Scanned> scanned_;
  std::unique_ptr<Database> ingest_;
  std::vector<BatchPtr> batches_;  // made beforehand: what is measured is to keep them
  std::size_t ingested_ = 0;
  std::unique_ptr<ChildProcess> tonbo_;
};

}  // namespace

void MeasureTonbo(const VersionsSettings& settings) { TonboGroup(settings).Run(); }

}  // namespace varve::bench
