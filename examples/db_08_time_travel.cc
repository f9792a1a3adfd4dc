// SPDX-License-Identifier: Apache-2.0
// 8. Time travel: the database as it was at a commit, at a moment, or under a name, also after the
// rows were flushed; and a table made what it was.
//
//   usage: db_08_time_travel FOLDER
#include <arrow/api.h>
#include <varve/database.h>

#include <memory>
#include <string>

#include "expect.h"
#include "new_folder.h"

namespace {

std::shared_ptr<arrow::RecordBatch> Price(const std::shared_ptr<arrow::Schema>& schema,
                                          const std::string& item, std::int64_t cents) {
  arrow::StringBuilder items;
  arrow::Int64Builder prices;
  Expect(items.Append(item).ok() && prices.Append(cents).ok(), "memory");
  return arrow::RecordBatch::Make(schema, 1, {*items.Finish(), *prices.Finish()});
}

// The sum of all prices.
std::int64_t Total(const varve::Database& db, const varve::AsOf& as_of) {
  const auto snapshot = OrDie(db.GetSnapshot(as_of), "snapshot");
  const auto reader = OrDie(snapshot->Scan("prices", {.columns = {{"cents"}}}), "scan");
  std::int64_t sum = 0;
  for (const auto& batch : *reader) {
    Expect(batch.ok(), "the scan goes on");
    const auto& cents = static_cast<const arrow::Int64Array&>(*(*batch)->column(0));
    for (std::int64_t i = 0; i < cents.length(); ++i) sum += cents.Value(i);
  }
  return sum;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string folder = NewFolder(argc, argv);
  const auto db = OrDie(varve::Database::Open(folder, {.create_if_missing = true}), "open");
  const auto schema = OrDie(varve::ParseSchema("item utf8 not null, cents int64"), "schema");
  OrDie(db->CreateTable("prices", schema, {"item"}), "create");
  OrDie(db->Upsert("prices", Price(schema, "bread", 300)), "upsert");
  const auto second = OrDie(db->Upsert("prices", Price(schema, "milk", 150)), "upsert");

  // A name for what is there now. It stays when everything changes.
  OrDie(db->Tag("opening"), "tag");
  OrDie(db->Upsert("prices", Price(schema, "bread", 350)), "upsert");
  OrDie(db->Upsert("prices", Price(schema, "cheese", 900)), "upsert");

  // Each commit has its moment, before and after the rows are in Parquet files.
  const auto versions = db->Versions();
  OrDie(db->Flush(), "flush");
  for (const auto& version : versions) {
    std::printf("commit %llu: %lld cents in all\n",
                static_cast<unsigned long long>(version.commit.value),
                static_cast<long long>(Total(*db, version.commit)));
    Expect(Total(*db, version.time) >= Total(*db, version.commit), "its moment shows it");
  }
  Expect(Total(*db, second.commit) == 450, "as of a commit");
  Expect(Total(*db, varve::TagName{"opening"}) == 450, "as of a tag");
  Expect(Total(*db, {}) == 1400, "now");

  // The newest price list was a mistake. What it takes to go back can be asked first.
  const auto plan =
      OrDie(db->RestoreTable("prices", varve::TagName{"opening"}, {.dry_run = true}), "dry run");
  Expect(plan.rows_written == 1 && plan.rows_deleted == 1, "bread changes, cheese goes");
  const auto restored = OrDie(db->RestoreTable("prices", varve::TagName{"opening"}), "restore");
  Expect(Total(*db, {}) == 450, "as it was");
  Expect(Total(*db, versions.front().commit) == 1400, "and the mistake can still be read");
  std::printf("restored commit %llu as commit %llu\n",
              static_cast<unsigned long long>(restored.as_of.value),
              static_cast<unsigned long long>(restored.commit.commit.value));

  const auto future = db->GetSnapshot(varve::CommitNumber{1'000'000});
  Expect(!future, "what is to come cannot be read");
  std::printf("%s\n", future.error().message().c_str());
  OrDie(db->Close(), "close");
}
