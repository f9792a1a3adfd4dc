// SPDX-License-Identifier: Apache-2.0
#include "columns/write_batch.h"

#include <arrow/api.h>
#include <arrow/json/from_string.h>
#include <gtest/gtest.h>

#include <map>

#include "test/support/all_types.h"
#include "test/support/seed.h"

namespace varve {
namespace {

using arrow::field;
using testing::RandomBatch;
using testing::SameRows;

std::shared_ptr<const TableSchema> Table() {
  return *TableSchema::Make(arrow::schema({field("id", arrow::int64()), field("v", arrow::utf8())}),
                            {"id"});
}

std::shared_ptr<arrow::RecordBatch> Rows(const std::vector<std::int64_t>& ids) {
  arrow::Int64Builder id;
  arrow::StringBuilder v;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    EXPECT_TRUE(id.Append(ids[i]).ok() && v.Append(std::to_string(i)).ok());
  }
  return arrow::RecordBatch::Make(Table()->schema(), std::ssize(ids),
                                  {id.Finish().ValueOrDie(), v.Finish().ValueOrDie()});
}

TEST(WriteBatch, DistinctRowsAreKeptAsTheyAre) {
  const auto rows = Rows({5, 3, 9});
  const auto write = *PrepareUpsert(*Table(), rows);
  EXPECT_EQ(write.kind, RowKind::kUpsert);
  EXPECT_TRUE(SameRows(*write.rows, *rows));
  EXPECT_EQ(write.keys.size(), 3);
  EXPECT_LT(write.keys[1], write.keys[0]);
}

TEST(WriteBatch, OfRowsWithOneKeyTheLastIsKept) {
  const auto write = *PrepareUpsert(*Table(), Rows({1, 2, 1, 3, 2, 4}));
  const auto& ids = static_cast<const arrow::Int64Array&>(*write.rows->column(0));
  const auto& values = static_cast<const arrow::StringArray&>(*write.rows->column(1));
  ASSERT_EQ(write.rows->num_rows(), 4);
  ASSERT_EQ(write.keys.size(), 4);
  std::map<std::int64_t, std::string> kept;
  for (int i = 0; i < 4; ++i) kept[ids.Value(i)] = values.GetString(i);
  EXPECT_EQ(kept, (std::map<std::int64_t, std::string>{{1, "2"}, {2, "4"}, {3, "3"}, {4, "5"}}));
}

TEST(WriteBatch, ManyRandomDuplicatesLeaveTheLastOfEach) {
  const std::uint64_t seed = testing::TestSeed();
  SCOPED_TRACE(testing::SeedTrace(seed));
  SeededRandom random(seed);
  for (int round = 0; round < 50; ++round) {
    std::vector<std::int64_t> ids(1 + random.Below(300));
    std::map<std::int64_t, std::string> expected;
    for (std::size_t i = 0; i < ids.size(); ++i) {
      ids[i] = static_cast<std::int64_t>(random.Below(200));
      expected[ids[i]] = std::to_string(i);
    }
    const auto write = *PrepareUpsert(*Table(), Rows(ids));
    const auto& values = static_cast<const arrow::StringArray&>(*write.rows->column(1));
    ASSERT_EQ(write.rows->num_rows(), std::ssize(expected));
    for (std::int64_t i = 0; i < write.rows->num_rows(); ++i) {
      const auto id = std::static_pointer_cast<arrow::Int64Array>(write.rows->column(0))->Value(i);
      ASSERT_EQ(values.GetString(i), expected[id]);
    }
  }
}

TEST(WriteBatch, DeletesCarryTheKeyColumnsAlone) {
  const auto write = *PrepareDelete(*Table(), Rows({7, 7, 8}));
  EXPECT_EQ(write.kind, RowKind::kDelete);
  EXPECT_EQ(write.rows->num_columns(), 1);
  EXPECT_EQ(write.rows->num_rows(), 2);
}

TEST(WriteBatch, NoRowsAreNoError) {
  EXPECT_EQ(PrepareUpsert(*Table(), Rows({}))->keys.size(), 0);
  EXPECT_EQ(PrepareDelete(*Table(), Rows({}))->rows->num_rows(), 0);
}

// The log's decoder checks all values: what it would refuse must never be acknowledged.
TEST(WriteBatch, BadValuesInsideAreRefusedBeforeTheyAreLogged) {
  arrow::BinaryBuilder text;
  ASSERT_TRUE(text.Append("\xff\xfe").ok());
  auto data = text.Finish().ValueOrDie()->data()->Copy();
  data->type = arrow::utf8();
  const auto rows = *Rows({1})->SetColumn(1, field("v", arrow::utf8()), arrow::MakeArray(data));
  const auto write = PrepareUpsert(*Table(), rows);
  ASSERT_FALSE(write);
  EXPECT_EQ(write.error().kind(), ErrorKind::kInvalid);
  EXPECT_TRUE(write.error().message().contains("UTF8")) << write.error().message();
}

// A row that the log takes and no run can hold would stop every later flush.
TEST(WriteBatch, WhatParquetCannotHoldIsRefused) {
  const auto refused = [](const std::shared_ptr<arrow::DataType>& type, const std::string& json) {
    const auto schema = arrow::schema({field("id", arrow::int64()), field("at", type)});
    const auto table = *TableSchema::Make(schema, {"id"});
    const auto rows = arrow::json::ArrayFromJSONString(type, json);
    EXPECT_TRUE(rows.ok()) << rows.status().message();
    const auto ids = arrow::MakeArrayFromScalar(arrow::Int64Scalar(1), 2).ValueOrDie();
    const auto write = PrepareUpsert(*table, arrow::RecordBatch::Make(schema, 2, {ids, *rows}));
    return write ? std::string() : write.error().message();
  };
  const auto says = [](const std::string& message, const std::string& part) {
    EXPECT_NE(message.find(part), std::string::npos) << message;
  };
  const auto seconds = arrow::timestamp(arrow::TimeUnit::SECOND);
  EXPECT_EQ(refused(seconds, "[9223372036854775, null]"), "");
  EXPECT_EQ(refused(seconds, "[-9223372036854775, null]"), "");
  says(refused(seconds, "[0, 9223372036854776]"), "row 1: column 'at'");
  says(refused(seconds, "[-9223372036854776, 0]"), "row 0");
  says(refused(arrow::list(seconds), "[[0, 9223372036854776], []]"), "column 'at.item'");
  says(refused(arrow::date64(), "[864000000000000000, null]"), "what Parquet can hold");
  EXPECT_EQ(refused(arrow::date64(), "[86400000, null]"), "");
  EXPECT_NE(refused(arrow::time32(arrow::TimeUnit::SECOND), "[2147484, null]"), "");
}

}  // namespace
}  // namespace varve
