// SPDX-License-Identifier: Apache-2.0
#include "bench/upkeep/pairs.h"

#include <arrow/api.h>

#include "bench/slice.h"

namespace varve::bench {
namespace {

std::shared_ptr<arrow::Schema> PairSchema() {
  return arrow::schema(
      {arrow::field("id", arrow::int64(), false), arrow::field("value", arrow::int64())});
}

}  // namespace

BatchPtr Pairs(const std::vector<std::int64_t>& keys) {
  arrow::Int64Builder ids, values;
  arrow::Status made = ids.AppendValues(keys);
  made &= values.Reserve(std::ssize(keys));
  for (const auto key : keys) values.UnsafeAppend(key * 7);
  std::shared_ptr<arrow::Array> id, value;
  made &= ids.Finish(&id);
  made &= values.Finish(&value);
  if (!made.ok()) Die(made.ToString());
  return arrow::RecordBatch::Make(PairSchema(), std::ssize(keys), {id, value});
}

std::unique_ptr<Database> OpenPairs(const std::string& dir) {
  auto database = Must(Database::Open(dir, {.create_if_missing = true}));
  Must(database->CreateTable(kPairs, PairSchema(), {"id"}, {.if_not_exists = true}));
  return database;
}

}  // namespace varve::bench
