// SPDX-License-Identifier: Apache-2.0
#include "bench/tonbo_rows.h"

#include <arrow/api.h>
#include <fmt/format.h>

#include "bench/slice.h"

namespace varve::bench {
namespace {

constexpr std::uint64_t kSeed = 584;

std::shared_ptr<arrow::Schema> SmallSchema() {
  return arrow::schema(
      {arrow::field("id", arrow::utf8(), false), arrow::field("v", arrow::int64(), false)});
}

}  // namespace

BatchPtr SmallBatch(std::int64_t number, std::int64_t rows, std::int64_t keys) {
  arrow::StringBuilder ids;
  arrow::Int64Builder values;
  arrow::Status made;
  for (std::int64_t row = 0; row < rows; ++row) {
    const auto at = static_cast<std::uint64_t>(number * rows + row);
    const auto key = (at * 0x9E37'79B9'7F4A'7C15 + kSeed) % static_cast<std::uint64_t>(keys);
    const auto value = at * 6'364'136'223'846'793'005 + (kSeed ^ 0x9E37'79B9'7F4A'7C15);
    made &= ids.Append(fmt::format("k{:08}", key));
    made &= values.Append(static_cast<std::int64_t>(value >> 1));
  }
  std::shared_ptr<arrow::Array> id, v;
  made &= ids.Finish(&id);
  made &= values.Finish(&v);
  if (!made.ok()) Die(made.ToString());
  return arrow::RecordBatch::Make(SmallSchema(), rows, {id, v});
}

std::unique_ptr<Database> OpenSmall(const std::string& dir) {
  auto database = Must(Database::Open(dir, {.create_if_missing = true}));
  Must(database->CreateTable(kSmallTable, SmallSchema(), {"id"}, {.if_not_exists = true}));
  return database;
}

}  // namespace varve::bench
