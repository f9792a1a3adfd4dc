// SPDX-License-Identifier: Apache-2.0
// A program that uses the whole of varve: makes a table, commits a batch, reads it back.
#include <arrow/api.h>
#include <varve/varve.h>

#include <cstdio>
#include <string>

namespace {

std::shared_ptr<arrow::RecordBatch> Orders() {
  arrow::Int64Builder ids;
  arrow::StringBuilder names;
  for (const int id : {3, 1, 2}) {
    if (!ids.Append(id).ok() || !names.Append("order " + std::to_string(id)).ok()) return nullptr;
  }
  const auto schema =
      arrow::schema({arrow::field("id", arrow::int64()), arrow::field("name", arrow::utf8())});
  return arrow::RecordBatch::Make(schema, 3, {*ids.Finish(), *names.Finish()});
}

template <typename T>
bool Failed(const char* what, const T& result) {
  if (result) return false;
  std::fprintf(stderr, "%s: %s\n", what, result.error().message().c_str());
  return true;
}

// Makes a database in memory and opens it again.
bool LivesInMemory() {
  const auto files = varve::FilesInMemory();
  const auto orders = Orders();
  for (const bool again : {false, true}) {
    auto database = varve::Database::Open("/orders", {.create_if_missing = !again},
                                          {.files = files.get()});
    if (Failed("open in memory", database)) return false;
    if (again) return (*(*database)->GetSnapshot())->Count("orders")->rows == 3;
    const auto created = (*database)->CreateTable("orders", orders->schema(), {"id"});
    if (Failed("create", created)) return false;
    if (Failed("upsert", (*database)->Upsert("orders", orders))) return false;
  }
  return false;
}

}  // namespace

int main(int argc, char** argv) {
  if (!LivesInMemory()) return 1;
  const std::string folder = argc > 1 ? argv[1] : "consumer.varve";
  const auto orders = Orders();
  auto database = varve::Database::Open(folder, {.create_if_missing = true});
  if (Failed("open", database)) return 1;
  if (Failed("create", (*database)->CreateTable("orders", orders->schema(), {"id"}))) return 1;
  if (Failed("upsert", (*database)->Upsert("orders", orders))) return 1;
  auto reader = (*database)->Scan("orders");
  if (Failed("scan", reader)) return 1;
  auto rows = (*reader)->ToTable();
  if (!rows.ok()) return std::fprintf(stderr, "%s\n", rows.status().ToString().c_str()), 1;
  std::printf("%s\n", (*rows)->ToString().c_str());
  const bool whole = (*rows)->num_rows() == 3;
  reader->reset();
  return whole && !Failed("close", (*database)->Close()) ? 0 : 1;
}
