// SPDX-License-Identifier: Apache-2.0
// 1. The least there is to know: a folder becomes a database, a table gets rows, and what a call
// acknowledged is there when the folder is opened again. Rows with a key that is there replace the
// old ones; every batch is one commit.
//
//   usage: db_01_basic FOLDER
#include <arrow/api.h>
#include <varve/database.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "expect.h"
#include "new_folder.h"

namespace {

// A batch of orders, as any Arrow program makes one.
std::shared_ptr<arrow::RecordBatch> Orders(const std::vector<std::int64_t>& ids,
                                           const std::vector<std::string>& items) {
  arrow::Int64Builder id;
  arrow::StringBuilder item;
  Expect(id.AppendValues(ids).ok() && item.AppendValues(items).ok(), "the columns fit in memory");
  const auto schema = arrow::schema(
      {arrow::field("id", arrow::int64(), false), arrow::field("item", arrow::utf8())});
  return arrow::RecordBatch::Make(schema, static_cast<std::int64_t>(ids.size()),
                                  {*id.Finish(), *item.Finish()});
}

std::int64_t PrintAll(const varve::Database& db) {
  const auto reader = OrDie(db.Scan("orders"), "scan");
  const auto table = reader->ToTable();
  Expect(table.ok(), "the rows can be read");
  std::printf("%s\n", (*table)->ToString().c_str());
  return (*table)->num_rows();
}

}  // namespace

int main(int argc, char** argv) {
  const std::string folder = NewFolder(argc, argv);
  auto db = OrDie(varve::Database::Open(folder, {.create_if_missing = true}), "open");
  const auto first = Orders({1, 2, 3}, {"cup", "pot", "tea"});
  OrDie(db->CreateTable("orders", first->schema(), {"id"}), "create");

  const auto info = OrDie(db->Upsert("orders", first), "upsert");
  std::printf("commit %llu: %llu rows are on the device\n",
              static_cast<unsigned long long>(info.commit.value),
              static_cast<unsigned long long>(info.rows));
  OrDie(db->Upsert("orders", Orders({2, 4}, {"large pot", "milk"})), "upsert");  // 2 is replaced
  OrDie(db->Delete("orders", Orders({1}, {""})), "delete");  // by key; the item does not matter
  Expect(PrintAll(*db) == 3, "orders 2, 3 and 4");

  // As if the process had ended here: nothing was closed, and nothing is lost.
  db.reset();
  db = OrDie(varve::Database::Open(folder), "open again");
  Expect(PrintAll(*db) == 3, "the same after opening again");
  std::printf("%llu commits were read back from the log\n",
              static_cast<unsigned long long>(db->Stats().recovery.units));

  // Now the rows are a Parquet file as well, which any tool can open.
  OrDie(db->Flush(), "flush");
  OrDie(db->Close(), "close");
}
