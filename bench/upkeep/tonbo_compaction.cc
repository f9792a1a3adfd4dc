// SPDX-License-Identifier: Apache-2.0
// tonbo's own workload (bench/tonbo_rows.h), compacted there and here: how long it takes, and how
// fast what came out is scanned. Both are given the same rows in the same three flushes, so that
// nothing is gained by making fewer files. An operation is one of these rows, whether or not it is
// still there to be merged: varve's flushes lay rows that were overwritten since aside, tonbo's
// keep them.
#include <arrow/record_batch.h>
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "bench/child_process.h"
#include "bench/tonbo_rows.h"
#include "bench/upkeep/databases.h"
#include "bench/upkeep/groups.h"
#include "bench/versions/varve_table.h"

namespace varve::bench {
namespace {

constexpr std::int64_t kPartsFlushed = 3;  // varve would compact a fourth without being asked
constexpr double kScanSeconds = 0.5;

class TonboCompaction {
 public:
  explicit TonboCompaction(const UpkeepSettings& settings) : settings_(settings) {
    if (settings.tonbo.empty()) {
      PrintMissing("tonbo", settings.tonbo_absent);
    } else {
      tonbo_ = std::make_unique<ChildProcess>(
          std::vector<std::string>{settings.tonbo, settings.dir + "/tonbo"});
    }
  }

  void Run() {
    for (int round = 0; round <= settings_.rounds; ++round) {
      for (auto workload : kTonboWorkloads) {
        workload.batches /= kPartsFlushed * settings_.tonbo_scale;  // of a flush
        workload.batches = kPartsFlushed * std::max<std::int64_t>(workload.batches, 1);
        RunVarve(round, workload);
        if (tonbo_) RunTonbo(round, workload);
      }
    }
  }

 private:
  void RunVarve(int round, const TonboWorkload& workload) {
    const auto dir = fmt::format("{}/{}", settings_.dir, workload.keys);
    const auto database = OpenSmall(dir);
    FlushInParts(database.get(), workload);
    const auto before = ShownRuns(database->Stats());
    if (before.runs != kPartsFlushed) Die("something was compacted already");
    WaitForCalm(settings_.patience_seconds);
    const Stretch stretch;
    Must(database->Compact(kSmallTable));
    auto slice = stretch.End(workload.batches * workload.rows);
    slice.counts["rows_in"] = static_cast<double>(before.rows);
    slice.counts["runs"] = static_cast<double>(ShownRuns(database->Stats()).runs);
    Print(round, fmt::format("tonbo compaction {}, varve", workload.keys), std::move(slice));
    live_ = DrainRows(Must(database->Scan(kSmallTable)).get());
    WaitForCalm(settings_.patience_seconds);
    auto scans = ClosedLoop(1, kScanSeconds, [&](int) {
      if (DrainRows(Must(database->Scan(kSmallTable)).get()) != live_) Die("a scan lost rows");
    });
    Print(round, fmt::format("tonbo scan {}, varve", workload.keys), std::move(scans));
    Must(database->Close());
    std::filesystem::remove_all(dir);
  }

  static void FlushInParts(Database* database, const TonboWorkload& workload) {
    const auto part = workload.batches / kPartsFlushed;
    for (std::int64_t number = 0; number < workload.batches; ++number) {
      Must(database->Upsert(kSmallTable, SmallBatch(number, workload.rows, workload.keys),
                            {.ack = AckLevel::kBuffered}));
      if ((number + 1) % part == 0) Must(database->Flush());
    }
  }

  void RunTonbo(int round, const TonboWorkload& workload) {
    WaitForCalm(settings_.patience_seconds);
    const auto& [batches, rows, keys] = workload;
    const Bystanders watch;
    const auto done = tonbo_->Ask(
        fmt::format("compact {} {} {} {}", batches, rows, keys, batches / kPartsFlushed));
    Slice slice;
    slice.operations = batches * rows;
    slice.seconds = done["seconds"].get<double>();
    slice.counts["others"] = watch.Share();
    for (const auto* name :
         {"jobs", "failures", "rows_in", "rows_out", "files_before", "files_after"}) {
      slice.counts[name] = done[name].get<double>();
    }
    Print(round, fmt::format("tonbo compaction {}, tonbo", keys), std::move(slice));
    const Bystanders beside;
    const auto scan = tonbo_->Ask(fmt::format("scan {} {}", kScanSeconds, keys));
    if (scan["rows"] != live_) {
      Die(fmt::format("tonbo has {} rows, varve {}", scan["rows"].dump(), live_));
    }
    Slice scans;
    scans.operations = scan["operations"].get<std::int64_t>();
    scans.seconds = scan["seconds"].get<double>();
    Print(round, fmt::format("tonbo scan {}, tonbo", keys), std::move(scans));
  }

  const UpkeepSettings& settings_;
  std::unique_ptr<ChildProcess> tonbo_;
  std::int64_t live_ = 0;  // rows of the workload that varve has just compacted
};

}  // namespace

void MeasureTonboCompaction(const UpkeepSettings& settings) { TonboCompaction(settings).Run(); }

}  // namespace varve::bench
