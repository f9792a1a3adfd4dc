// SPDX-License-Identifier: Apache-2.0
// 10. Changes: keep a total up to date from what commits change, without reading the table again;
// end, and go on where it was.
//
//   usage: db_10_changes FOLDER
#include <arrow/api.h>
#include <varve/database.h>

#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <map>
#include <memory>
#include <string>

#include "expect.h"
#include "new_folder.h"

namespace {

std::shared_ptr<arrow::RecordBatch> Orders(const std::map<std::int64_t, std::int64_t>& prices) {
  arrow::Int64Builder id, price;
  for (const auto& [order, value] : prices) {
    Expect(id.Append(order).ok() && price.Append(value).ok(), "memory");
  }
  const auto schema = arrow::schema(
      {arrow::field("id", arrow::int64(), false), arrow::field("price", arrow::int64())});
  const arrow::ArrayVector columns = {*id.Finish(), *price.Finish()};
  return arrow::RecordBatch::Make(schema, static_cast<std::int64_t>(prices.size()), columns);
}

// What a program would keep in one place, so that both are saved together.
struct Total {
  std::int64_t price = 0;
  varve::CommitNumber position;
};

std::int64_t SumOf(const arrow::RecordBatch& batch, const std::string& column) {
  const auto& values = static_cast<const arrow::Int64Array&>(*batch.GetColumnByName(column));
  std::int64_t sum = 0;
  for (std::int64_t i = 0; i < values.length(); ++i) {
    if (values.IsValid(i)) sum += values.Value(i);
  }
  return sum;
}

// Takes in what was committed since, and does not wait for more.
void CatchUp(varve::Database* db, Total* total) {
  const auto cursor =
      OrDie(db->FollowChanges("orders", total->position,
                              {.columns = {{"id", "price"}}, .before_images = true}),
            "follow");
  while (const auto batch = OrDie(cursor->Next(/*timeout_ms=*/0), "next")) {
    // An insert has no value before, a delete none after.
    total->price += SumOf(*batch, "price") - SumOf(*batch, "_before_price");
    total->position = cursor->position();
  }
}

void Tell(const char* what, const Total& total) {
  std::printf("%s: the total is %" PRId64 ", as of commit %" PRIu64 "\n", what, total.price,
              total.position.value);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string folder = NewFolder(argc, argv);
  Total total;
  {
    const auto db = OrDie(varve::Database::Open(folder, {.create_if_missing = true}), "open");
    OrDie(db->CreateTable("orders", Orders({})->schema(), {"id"}), "create");
    OrDie(db->Upsert("orders", Orders({{1, 10}, {2, 20}, {3, 30}})), "insert");
    CatchUp(db.get(), &total);
    Tell("three orders", total);
    Expect(total.price == 60, "three orders");
    OrDie(db->Upsert("orders", Orders({{2, 25}})), "update");
  }  // the program ends before it has seen the update

  const auto db = OrDie(varve::Database::Open(folder), "open again");
  OrDie(db->Delete("orders", Orders({{3, 0}, {99, 0}})), "delete");
  OrDie(db->Flush(), "flush");  // changes nothing of what is given
  CatchUp(db.get(), &total);
  Tell("one changed, one deleted", total);
  Expect(total.price == 35, "10 and 25");
  Expect(total.position.value == 3, "three commits");

  // All of it again, between two versions, for Arrow, DuckDB or Polars.
  const auto changes = OrDie(db->Changes("orders", varve::CommitNumber{0}), "changes");
  const auto table = changes->ToTable();
  Expect(table.ok() && (*table)->num_rows() == 6, "3 upserts, 1 upsert, 2 deletes");
  std::printf("all that commits changed:\n%s", (*table)->ToString().c_str());
}
