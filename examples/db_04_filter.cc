// SPDX-License-Identifier: Apache-2.0
// 4. Filters: as text and as Arrow expressions, of the newest rows only; and what a scan reads of
// the files, which it tells beforehand.
//
//   usage: db_04_filter FOLDER
#include <arrow/api.h>
#include <arrow/compute/expression.h>
#include <varve/database.h>

#include <memory>
#include <string>

#include "expect.h"
#include "new_folder.h"

namespace cp = arrow::compute;

namespace {

constexpr std::int64_t kRows = 200'000;

// Readings `first` to `last`, of which every one's temperature is its id, plus `more`.
std::shared_ptr<arrow::RecordBatch> Readings(const std::shared_ptr<arrow::Schema>& schema,
                                             std::int64_t first, std::int64_t last,
                                             std::int64_t more) {
  arrow::Int64Builder id, temperature;
  for (std::int64_t i = first; i <= last; ++i) {
    Expect(id.Append(i).ok() && temperature.Append(i + more).ok(), "memory");
  }
  return arrow::RecordBatch::Make(schema, last - first + 1,
                                  {*id.Finish(), *temperature.Finish()});
}

std::int64_t Count(const varve::Database& db, const varve::ScanOptions& options,
                   const char* table = "readings") {
  const auto reader = OrDie(db.Scan(table, options), "scan");
  std::int64_t rows = 0;
  for (const auto& batch : *reader) {
    Expect(batch.ok(), "the scan goes on");
    rows += (*batch)->num_rows();
  }
  return rows;
}

// What can be said in text. Where a value is null a comparison is neither true nor false, and the
// row is not among those that are found; nor is it among those found by its opposite.
void PrintEachForm(varve::Database* db) {
  const auto schema =
      OrDie(varve::ParseSchema("id int64 not null, name utf8, low int64, high int64"), "schema");
  OrDie(db->CreateTable("sensors", schema, {"id"}), "create");
  arrow::Int64Builder id, low, high;
  arrow::StringBuilder name;
  Expect(id.AppendValues({1, 2, 3, 4}).ok() && low.AppendValues({10, 20, 30, 40}).ok() &&
             high.AppendValues({15, 20, 60}).ok() && high.AppendNull().ok() &&
             name.AppendValues({"attic", "attic stairs", "cellar"}).ok() && name.AppendNull().ok(),
         "memory");
  const auto rows = arrow::RecordBatch::Make(
      schema, 4, {*id.Finish(), *name.Finish(), *low.Finish(), *high.Finish()});
  OrDie(db->Upsert("sensors", rows), "upsert");
  const struct {
    const char* filter;
    std::int64_t rows;
  } kForms[] = {
      {"name = 'cellar'", 1},
      {"name <> 'cellar'", 2},
      {"low >= 20 and low < 40", 2},
      {"low between 20 and 40", 3},
      {"name in ('cellar', 'kitchen')", 1},
      {"name like 'attic%'", 2},
      {"high is null", 1},
      {"name is not null", 3},
      {"not (high > 15)", 1},
      {"low = 10 or name = 'cellar'", 2},
      {"high > low", 2},
      {"high - low > 5", 1},
  };
  for (const auto& form : kForms) {
    varve::ScanOptions options;
    options.filter = OrDie(varve::ParseFilter(form.filter, schema), "filter");
    Expect(Count(*db, options, "sensors") == form.rows, form.filter);
    std::printf("%-30s %lld\n", form.filter, static_cast<long long>(form.rows));
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::string folder = NewFolder(argc, argv);
  const auto db = OrDie(varve::Database::Open(folder, {.create_if_missing = true}), "open");
  const auto schema = OrDie(varve::ParseSchema("id int64 not null, temperature int64"), "schema");
  OrDie(db->CreateTable("readings", schema, {"id"}), "create");
  OrDie(db->Upsert("readings", Readings(schema, 1, kRows, 0)), "upsert");
  OrDie(db->Flush(), "flush");

  // No columns are asked for: only the filter's are read.
  varve::ScanOptions hot{.columns = {{}}};
  hot.filter = OrDie(varve::ParseFilter("temperature > 199990", schema), "filter");
  Expect(Count(*db, hot) == 10, "ten are hot");

  // The files' statistics say which parts can hold such a value.
  const auto snapshot = OrDie(db->GetSnapshot(), "snapshot");
  const auto plan = OrDie(snapshot->Explain("readings", hot), "explain");
  for (const auto& source : plan.sources) {
    std::printf("%s: %u of %u row groups are read%s%s\n", source.name.c_str(),
                source.row_groups_read, source.row_groups, source.reason.empty() ? "" : "; ",
                source.reason.c_str());
  }

  // A newer version that is not hot hides the older one that was.
  OrDie(db->Upsert("readings", Readings(schema, kRows, kRows, -kRows)), "correct");
  Expect(Count(*db, hot) == 9, "the corrected one is not hot");

  varve::ScanOptions either{.columns = {{"id"}}};
  either.filter = std::make_shared<cp::Expression>(
      cp::or_(cp::equal(cp::field_ref("temperature"), cp::literal(0)),
              cp::less(cp::field_ref("id"), cp::literal(3))));
  Expect(Count(*db, either) == 3, "as an Arrow expression: 1, 2 and the corrected one");

  PrintEachForm(db.get());
  const auto wrong = varve::ParseFilter("temprature > 3", schema);
  Expect(!wrong, "a column that is not there is refused");
  std::printf("%s\n", wrong.error().message().c_str());
  OrDie(db->Close(), "close");
}
