// SPDX-License-Identifier: Apache-2.0
// 3. Snapshots: a report is read slowly, batch by batch, while the day goes on beside it: prices
// are written over and deleted, all is flushed, a column is dropped and at last the table. The
// report shows the moment it began with. Nobody waits: neither who writes nor who reads.
//
//   usage: db_03_snapshot FOLDER
#include <arrow/api.h>
#include <varve/database.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "expect.h"
#include "new_folder.h"

namespace {

constexpr std::int64_t kRows = 10'000;

// Prices `first` to `last`, each `cents` above its number.
std::shared_ptr<arrow::RecordBatch> Prices(std::int64_t first, std::int64_t last,
                                           std::int64_t cents) {
  arrow::Int64Builder ids;
  arrow::Int64Builder prices;
  for (std::int64_t id = first; id <= last; ++id) {
    Expect(ids.Append(id).ok() && prices.Append(id + cents).ok(), "the columns fit in memory");
  }
  const auto schema = arrow::schema(
      {arrow::field("id", arrow::int64(), false), arrow::field("cents", arrow::int64())});
  return arrow::RecordBatch::Make(schema, last - first + 1, {*ids.Finish(), *prices.Finish()});
}

// Adds up the second column of what is left to read.
std::int64_t Sum(arrow::RecordBatchReader* reader) {
  std::int64_t sum = 0;
  for (const auto& batch : *reader) {
    Expect(batch.ok(), "the scan goes on");
    const auto& cents = static_cast<const arrow::Int64Array&>(*(*batch)->column(1));
    for (std::int64_t row = 0; row < cents.length(); ++row) sum += cents.Value(row);
  }
  return sum;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string folder = NewFolder(argc, argv);
  const auto db = OrDie(varve::Database::Open(folder, {.create_if_missing = true}), "open");
  const auto schema = Prices(1, 1, 0)->schema();
  OrDie(db->CreateTable("prices", schema, {"id"}), "create");
  OrDie(db->Upsert("prices", Prices(1, kRows, 0)), "upsert");

  // A commit number and a reference to what is needed to read it: this does no I/O.
  const auto morning = OrDie(db->GetSnapshot(), "snapshot");
  const auto report = OrDie(morning->Scan("prices", {.batch_rows_max = 1000}), "scan");
  const auto page = report->Next();
  Expect(page.ok() && (*page)->num_rows() == 1000, "the first page");

  // The day goes on.
  OrDie(db->Upsert("prices", Prices(1, kRows / 2, 50)), "other prices");
  OrDie(db->Delete("prices", Prices(kRows / 2 + 1, kRows, 0)), "no longer sold");
  const auto noon = OrDie(db->GetSnapshot(), "snapshot");
  OrDie(db->Flush(), "flush");
  OrDie(db->AlterTable("prices", {varve::DropColumn{"cents"}}), "alter");
  OrDie(db->DropTable("prices"), "drop");
  const auto now = OrDie(db->GetSnapshot(), "snapshot");
  Expect(now->Tables().empty(), "nothing is left");

  // The report has not noticed.
  const auto& first = static_cast<const arrow::Int64Array&>(*(*page)->column(1));
  std::int64_t sum = Sum(report.get());
  for (std::int64_t row = 0; row < first.length(); ++row) sum += first.Value(row);
  Expect(sum == kRows * (kRows + 1) / 2, "every row as it was");
  std::printf("the report of commit %llu adds up to %lld cents\n",
              static_cast<unsigned long long>(morning->commit().value),
              static_cast<long long>(sum));

  // One snapshot is read as often as one likes, by any thread, and each sees its own moment.
  for (const auto& [snapshot, rows] : {std::pair{morning, kRows}, std::pair{noon, kRows / 2}}) {
    const auto count = OrDie(snapshot->Count("prices"), "count");
    const auto row = OrDie(snapshot->Get("prices", Prices(7, 7, 0)), "get");
    Expect(count.rows == static_cast<std::uint64_t>(rows) && row->num_rows() == 1, "its own rows");
    std::printf("as of commit %llu: %llu prices, that of 7 is %lld\n",
                static_cast<unsigned long long>(snapshot->commit().value),
                static_cast<unsigned long long>(count.rows),
                static_cast<long long>(
                    static_cast<const arrow::Int64Array&>(*row->column(1)).Value(0)));
  }
  const auto gone = now->Scan("prices");
  Expect(!gone && gone.error().kind() == varve::ErrorKind::kNotFound, "dropped by now");
  std::printf("as of commit %llu: %s\n", static_cast<unsigned long long>(now->commit().value),
              gone.error().message().c_str());

  // Closing refuses what comes later; what is being read may be read to its end.
  OrDie(db->Close(), "close");
  Expect(Sum(OrDie(noon->Scan("prices"), "scan").get()) > 0, "readable until the Database goes");
}
