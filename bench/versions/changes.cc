// SPDX-License-Identifier: Apache-2.0
// For information, without rivals: none of them gives the changes of a table.
#include <arrow/record_batch.h>
#include <fmt/format.h>

#include "bench/slice.h"
#include "bench/versions/groups.h"
#include "bench/versions/varve_table.h"

namespace varve::bench {
namespace {

constexpr std::int64_t kRowsInMemory = 10'000;

class ChangesGroup {
 public:
  explicit ChangesGroup(const VersionsSettings& settings)
      : settings_(settings),
        database_(CreateOrders(settings.dir + "/varve", {})),
        maker_(1, 21),
        next_key_(settings.scan_rows + kRowsInMemory) {
    LoadOrders(database_.get(), settings.scan_rows);
    PrintSettings(
        "varve changes",
        fmt::format("defaults; {} rows flushed, and for the steps {} in memory; a step is "
                    "the ChangeCursor::Next after a durable commit of one row, which is "
                    "not timed",
                    settings.scan_rows, kRowsInMemory));
  }

  void Run() {
    for (int round = 0; round <= settings_.rounds; ++round) {
      ReadAll(round, "changes of a flushed table", {});
      ReadAll(round, "changes of a flushed table, with what was before", {.before_images = true});
    }
    RowMaker in_memory(kRowsInMemory, 22);
    Must(database_->Upsert(kTable, in_memory.Ascending(settings_.scan_rows)));
    const auto newest = Must(database_->GetSnapshot())->commit();
    const auto cursor = Must(database_->FollowChanges(kTable, newest));
    for (int round = 0; round <= settings_.rounds; ++round) Follow(round, cursor.get());
    Must(database_->Close());
  }

 private:
  void ReadAll(int round, const std::string& name, const ChangesOptions& options) {
    WaitForCalm(settings_.patience_seconds);
    std::int64_t rows = 0;
    auto slice = ClosedLoop(1, settings_.slice_seconds, [&](int) {
      rows = DrainRows(Must(database_->Changes(kTable, CommitNumber{0}, {}, options)).get());
    });
    if (rows != settings_.scan_rows) {
      Die(fmt::format("{} gave {} rows, not {}", name, rows, settings_.scan_rows));
    }
    slice.counts["rows"] = static_cast<double>(rows);
    Print(round, name, std::move(slice));
  }

  void Follow(int round, ChangeCursor* cursor) {
    WaitForCalm(settings_.patience_seconds);
    const Bystanders others;
    Slice slice;
    std::int64_t in_steps = 0;
    const auto end = Nanos() + static_cast<std::int64_t>(settings_.slice_seconds * 1e9);
    while (Nanos() < end) {
      Must(database_->Upsert(kTable, maker_.Ascending(next_key_++)));
      const auto start = Nanos();
      const auto batch = Must(cursor->Next());
      const auto nanos = Nanos() - start;
      if (batch == nullptr || batch->num_rows() != 1) Die("a step did not give the row committed");
      slice.nanos.push_back(static_cast<std::uint32_t>(nanos));
      in_steps += nanos;
    }
    slice.operations = std::ssize(slice.nanos);
    slice.seconds = static_cast<double>(in_steps) / 1e9;
    slice.counts["others"] = others.Share();
    Print(round, "changes, a step of one row", std::move(slice));
  }

  const VersionsSettings& settings_;
  const std::unique_ptr<Database> database_;
  RowMaker maker_;
  std::int64_t next_key_;
};

}  // namespace

void MeasureChanges(const VersionsSettings& settings) { ChangesGroup(settings).Run(); }

}  // namespace varve::bench
