// SPDX-License-Identifier: Apache-2.0
#include "columns/plain_layout.h"

#include <arrow/api.h>
#include <arrow/json/from_string.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "columns/batch_codec.h"
#include "columns/gather.h"
#include "columns/packed_rows.h"
#include "columns/storable_values.h"
#include "columns/table_schema.h"
#include "columns/write_batch.h"
#include "test/support/all_types.h"
#include "test/support/seed.h"

namespace varve {
namespace {

using arrow::field;
using testing::AllTypes;
using testing::FlatTypes;
using testing::RandomBatch;
using testing::SameRows;
using testing::TypeCase;
using BatchPtr = std::shared_ptr<arrow::RecordBatch>;
using DataPtr = std::shared_ptr<arrow::ArrayData>;

class PlainLayoutOfType : public ::testing::TestWithParam<TypeCase> {
 protected:
  const std::shared_ptr<const PlainLayout> layout_ = PlainLayout::Make(GetParam().schema);
};

TEST_P(PlainLayoutOfType, FlatTypesThatParquetHoldsWholeArePlain) {
  std::set<std::string> plain;
  for (const auto& [name, type] : FlatTypes()) plain.insert(name);
  for (const char* name :
       {"utf8_view", "binary_view", "date64", "time32_s", "timestamp_s", "timestamp_s_utc"}) {
    plain.erase(name);
  }
  EXPECT_EQ(layout_ != nullptr, plain.contains(GetParam().name));
}

TEST_P(PlainLayoutOfType, RowsComeBackAsTheyWere) {
  if (layout_ == nullptr) return;
  const std::uint64_t seed = testing::TestSeed();
  SCOPED_TRACE(testing::SeedTrace(seed));
  for (const double nulls : {0.0, 0.3, 1.0}) {
    const auto whole = RandomBatch(GetParam().schema, 60, seed, nulls);
    for (const auto& batch : {whole, whole->Slice(7, 20), whole->Slice(59), whole->Slice(8, 1)}) {
      ASSERT_TRUE(layout_->Fits(*batch));
      const auto bytes = layout_->Encode(*batch);
      EXPECT_TRUE(SameRows(**DecodeBatch(std::string_view(*bytes), batch->schema()), *batch));
      const auto view = layout_->View(bytes, batch->schema());
      EXPECT_TRUE(view->ValidateFull().ok());
      EXPECT_TRUE(SameRows(*view, *batch));
      EXPECT_EQ(layout_->Rows(*bytes), batch->num_rows());
    }
  }
}

// As long as what Arrow makes of the same rows: so the log, and what an older varve reads of it,
// are as they were.
TEST_P(PlainLayoutOfType, TheBytesAreThoseOfArrowWhereNothingIsPadded) {
  if (layout_ == nullptr) return;
  const auto batch = RandomBatch(GetParam().schema, 1, 1, 0.0);
  const auto view = layout_->View(layout_->Encode(*batch), batch->schema());
  EXPECT_EQ(layout_->Encode(*view)->ToString(), (*EncodeBatch(*view))->ToString());
}

TEST_P(PlainLayoutOfType, SlicesAreGathered) {
  if (layout_ == nullptr) return;
  const std::uint64_t seed = testing::TestSeed();
  SCOPED_TRACE(testing::SeedTrace(seed));
  SeededRandom random(seed);
  for (int round = 0; round < 20; ++round) {
    std::vector<std::shared_ptr<arrow::Buffer>> kept;
    std::vector<PlainSlice> slices;
    std::vector<RowSlice> expected;
    for (auto batches = 1 + random.Below(8); batches > 0; --batches) {
      const auto rows = static_cast<std::int64_t>(1 + random.Below(20));
      const double nulls = static_cast<double>(random.Below(3)) * 0.5;
      const auto batch = RandomBatch(GetParam().schema, rows, random.Next(), nulls);
      kept.push_back(layout_->Encode(*batch));
      const auto start = static_cast<std::int64_t>(random.Below(static_cast<std::uint64_t>(rows)));
      const auto length =
          static_cast<std::int64_t>(1 + random.Below(static_cast<std::uint64_t>(rows - start)));
      slices.push_back({kept.back().get(), start, length});
      expected.push_back({batch, start, length});
    }
    const auto gathered = layout_->Gather(slices, GetParam().schema);
    ASSERT_TRUE(gathered) << gathered.error().message();
    kept.clear();
    EXPECT_TRUE((*gathered)->ValidateFull().ok());
    EXPECT_TRUE(SameRows(**gathered, **CopyRows(GetParam().schema, expected)));
  }
}

// Makes something wrong, or at least different.
void Harm(SeededRandom* random, arrow::ArrayData* data) {
  const auto number = static_cast<std::int64_t>(random->Below(70)) - 5;
  auto& buffer = data->buffers[random->Below(data->buffers.size())];
  switch (random->Below(6)) {
    case 0:
      data->length = number;
      return;
    case 1:
      data->offset = number;
      return;
    case 2:
      data->null_count = number;
      return;
    case 3:
      buffer = nullptr;
      return;
    case 4:
      if (buffer == nullptr) return;
      buffer = arrow::SliceBuffer(
          buffer, 0,
          static_cast<std::int64_t>(random->Below(static_cast<std::uint64_t>(buffer->size()) + 1)));
      return;
    default:
      if (buffer == nullptr || buffer->size() == 0) return;
      auto bytes = buffer->ToString();
      bytes[random->Below(bytes.size())] = static_cast<char>(random->Next());
      buffer = arrow::Buffer::FromString(std::move(bytes));
  }
}

// Whatever is wrong with a batch: what fits is sound by the long way too.
TEST_P(PlainLayoutOfType, NothingFitsThatTheLongWayRefuses) {
  const auto table = TableSchema::Make(GetParam().schema, {"id"});
  ASSERT_TRUE(table);
  const auto layout = PlainLayout::Of((*table)->schema());
  if (layout == nullptr) return;
  const std::uint64_t seed = testing::TestSeed();
  SCOPED_TRACE(testing::SeedTrace(seed));
  SeededRandom random(seed);
  int fitting = 0;
  for (int round = 0; round < 400; ++round) {
    const auto rows = static_cast<std::int64_t>(1 + random.Below(60));
    const auto sound = RandomBatch(GetParam().schema, rows, random.Next(), 0.3);
    std::vector<DataPtr> columns;
    for (const auto& column : sound->column_data()) columns.push_back(column->Copy());
    Harm(&random, columns[random.Below(columns.size())].get());
    const auto harmed = arrow::RecordBatch::Make(sound->schema(), rows, std::move(columns));
    if (!layout->Fits(*harmed)) continue;
    ++fitting;
    const auto conformed = (*table)->Conform(harmed);
    ASSERT_TRUE(conformed) << conformed.error().message();
    ASSERT_TRUE((*conformed)->ValidateFull().ok()) << (*conformed)->ValidateFull().ToString();
    ASSERT_TRUE(CheckStorable(**conformed));
  }
  EXPECT_GT(fitting, 0);  // a changed bit of a number is another number
}

INSTANTIATE_TEST_SUITE_P(AllTypes, PlainLayoutOfType, ::testing::ValuesIn(AllTypes()),
                         [](const auto& type) { return type.param.name; });

class PlainLayoutTest : public ::testing::Test {
 protected:
  BatchPtr Batch(const arrow::FieldVector& fields, const std::string& json) {
    const auto array = arrow::json::ArrayFromJSONString(arrow::struct_(fields), json).ValueOrDie();
    return arrow::RecordBatch::FromStructArray(array).ValueOrDie();
  }
  bool Fits(const arrow::FieldVector& fields, const std::string& json) {
    return layout_->Fits(*Batch(fields, json));
  }

  const std::shared_ptr<arrow::DataType> time_ = arrow::timestamp(arrow::TimeUnit::MICRO, "UTC");
  const std::shared_ptr<arrow::Schema> schema_ =
      arrow::schema({field("id", arrow::int64()), field("at", time_),
                     field("name", arrow::utf8(), /*nullable=*/false)});
  const std::shared_ptr<const PlainLayout> layout_ = PlainLayout::Make(schema_);
};

TEST_F(PlainLayoutTest, ABatchOfTheColumnsFitsWhateverItSaysOfNulls) {
  EXPECT_TRUE(Fits(schema_->fields(), R"([{"id": 1, "at": null, "name": "a"}])"));
  const auto fresh = arrow::timestamp(arrow::TimeUnit::MICRO, "UTC");
  EXPECT_TRUE(Fits(
      {field("id", arrow::int64(), false), field("at", fresh, false), field("name", arrow::utf8())},
      R"([{"id": 1, "at": 5, "name": "é"}])"));
}

TEST_F(PlainLayoutTest, OtherColumnsDoNotFit) {
  const auto id = schema_->field(0), at = schema_->field(1), name = schema_->field(2);
  const char* const row = R"([{"id": 1, "at": 5, "name": "a", "more": 1}])";
  EXPECT_FALSE(Fits({id, at}, R"([{"id": 1, "at": 5}])"));
  EXPECT_FALSE(Fits({at, id, name}, R"([{"id": 1, "at": 5, "name": "a"}])"));
  EXPECT_FALSE(Fits({id, at, name, field("more", arrow::int8())}, row));
  EXPECT_FALSE(Fits({id, at, field("Name", arrow::utf8())}, R"([{"id": 1, "Name": "a"}])"));
  EXPECT_FALSE(Fits({id, at, field("name", arrow::large_utf8())}, R"([{"id": 1, "name": "a"}])"));
  for (const auto& other :
       {arrow::timestamp(arrow::TimeUnit::MICRO), arrow::timestamp(arrow::TimeUnit::NANO, "UTC")}) {
    EXPECT_FALSE(Fits({id, field("at", other), name}, R"([{"id": 1, "at": 5, "name": "a"}])"));
  }
}

TEST_F(PlainLayoutTest, NullsInRequiredColumnsDoNotFit) {
  EXPECT_FALSE(Fits({schema_->field(0), schema_->field(1), field("name", arrow::utf8())},
                    R"([{"id": 1, "at": 5, "name": "a"}, {"id": 2, "at": 5, "name": null}])"));
}

TEST_F(PlainLayoutTest, NullsInKeysAreRefused) {
  const auto table = *TableSchema::Make(schema_, {"id"});
  ASSERT_NE(PlainLayout::Of(schema_), nullptr);
  const auto write =
      PrepareUpsert(*table, Batch(schema_->fields(), R"([{"id": null, "at": 5, "name": "a"}])"));
  ASSERT_FALSE(write);
  EXPECT_EQ(write.error().kind(), ErrorKind::kInvalid);
  EXPECT_NE(write.error().message().find("key column 'id' is null"), std::string::npos);
}

TEST_F(PlainLayoutTest, OnlySchemasOfTablesHaveALayoutAndByIdentity) {
  EXPECT_EQ(PlainLayout::Of(arrow::schema(schema_->fields())), nullptr);
  const auto own = arrow::schema(schema_->fields());
  const auto table = *TableSchema::Make(own, {"id"});
  EXPECT_NE(PlainLayout::Of(own), nullptr);
  EXPECT_EQ(PlainLayout::Of(arrow::schema(schema_->fields())), nullptr);
}

// Small batches of a table are unpacked when they are read, by whoever comes first.
TEST_F(PlainLayoutTest, ThreadsMayReadTheSameSmallBatch) {
  const auto own = arrow::schema(schema_->fields());
  const auto table = *TableSchema::Make(own, {"id"});
  for (const std::int64_t rows : {std::int64_t{1}, kPackedRowsMax, kPackedRowsMax + 1}) {
    const auto batch = RandomBatch(own, rows, 1);
    const auto view = *ViewBatch(*EncodeBatch(*batch), own);
    EXPECT_EQ(PackedRows::Of(*view) != nullptr, rows <= kPackedRowsMax);
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) threads.emplace_back([&] { EXPECT_TRUE(SameRows(*view, *batch)); });
    for (auto& thread : threads) thread.join();
    EXPECT_TRUE(SameRows(*view->Slice(0, 1), *batch->Slice(0, 1)));
  }
  const auto none = RandomBatch(own, 0, 1);
  EXPECT_TRUE(SameRows(**ViewBatch(*EncodeBatch(*none), own), *none));
}

TEST_F(PlainLayoutTest, NoRowsDoNotFit) { EXPECT_FALSE(Fits(schema_->fields(), "[]")); }

// Two halves of one letter are whole side by side, and neither of them is text.
TEST_F(PlainLayoutTest, TextIsCheckedValueByValue) {
  const auto sound = Batch(schema_->fields(), R"([{"id": 1, "at": 1, "name": "a"},
                                                  {"id": 2, "at": 2, "name": "é"}])");
  ASSERT_TRUE(layout_->Fits(*sound));
  auto columns = sound->column_data();
  columns[2] = columns[2]->Copy();
  columns[2]->buffers[1] = arrow::Buffer::FromVector(std::vector<std::int32_t>{0, 2, 3});
  EXPECT_FALSE(layout_->Fits(*arrow::RecordBatch::Make(schema_, 2, columns)));
}

}  // namespace
}  // namespace varve
