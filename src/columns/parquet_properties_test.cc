// SPDX-License-Identifier: Apache-2.0
// Every type through a Parquet file and back, with nulls, in slices, in several row groups.
#include "columns/parquet_properties.h"

#include <arrow/api.h>
#include <arrow/io/memory.h>
#include <gtest/gtest.h>
#include <parquet/arrow/reader.h>
#include <parquet/arrow/writer.h>

#include "columns/arrow_errors.h"
#include "columns/gather.h"
#include "columns/table_schema.h"
#include "test/support/all_types.h"
#include "test/support/seed.h"

namespace varve {
namespace {

using testing::AllTypes;
using testing::RandomBatch;
using testing::SameRows;
using testing::TypeCase;
using BatchPtr = std::shared_ptr<arrow::RecordBatch>;

// The batches, each as one row group, read back as one batch.
Result<BatchPtr> ThroughParquet(const std::vector<BatchPtr>& batches,
                                const std::shared_ptr<arrow::Schema>& schema) {
  VARVE_ASSIGN(auto sink, FromArrow(arrow::io::BufferOutputStream::Create()));
  VARVE_ASSIGN(auto writer,
               FromArrow(parquet::arrow::FileWriter::Open(
                   *ParquetSchema(*schema), arrow::default_memory_pool(), sink,
                   parquet::default_writer_properties(), ArrowWriterSettings())));
  for (const auto& batch : batches) {
    VARVE_ASSIGN(auto stored, ToParquet(batch));
    VARVE_TRY(FromArrow(writer->NewBufferedRowGroup()));
    VARVE_TRY(FromArrow(writer->WriteRecordBatch(*stored)));
  }
  VARVE_TRY(FromArrow(writer->Close()));
  VARVE_ASSIGN(auto bytes, FromArrow(sink->Finish()));
  parquet::arrow::FileReaderBuilder builder;
  VARVE_TRY(FromArrow(builder.Open(std::make_shared<arrow::io::BufferReader>(bytes))));
  builder.properties(ArrowReaderSettings());
  VARVE_ASSIGN(auto reader, FromArrow(builder.Build()));
  VARVE_ASSIGN(auto stream, FromArrow(reader->GetRecordBatchReader()));
  std::vector<RowSlice> parts;
  for (;;) {
    VARVE_ASSIGN(auto batch, FromArrow(stream->Next()));
    if (!batch) return Gather(schema, parts);
    VARVE_ASSIGN(batch, CastToSchema(batch, schema));
    parts.push_back({batch, 0, batch->num_rows()});
  }
}

class ParquetOfType : public ::testing::TestWithParam<TypeCase> {};

TEST_P(ParquetOfType, RowsComeBackAsTheyWere) {
  const std::uint64_t seed = testing::TestSeed();
  SCOPED_TRACE(testing::SeedTrace(seed));
  const auto& schema = GetParam().schema;
  const auto table = TableSchema::Make(schema, {"id"});
  ASSERT_TRUE(table) << table.error().message();
  for (const double nulls : {0.0, 0.3, 1.0}) {
    const std::vector<BatchPtr> groups = {RandomBatch(schema, 50, seed, nulls),
                                          RandomBatch(schema, 70, seed + 1, nulls)->Slice(13, 40),
                                          RandomBatch(schema, 1, seed + 2, nulls)};
    const auto back = ThroughParquet(groups, schema);
    ASSERT_TRUE(back) << back.error().message();
    ASSERT_TRUE((*back)->ValidateFull().ok());
    const auto expected =
        *Gather(schema, {{groups[0], 0, 50}, {groups[1], 0, 40}, {groups[2], 0, 1}});
    ASSERT_TRUE(SameRows(**back, *expected)) << (*back)->ToString() << expected->ToString();
    const auto again = ThroughParquet({*back}, schema);  // as compaction does
    ASSERT_TRUE(again) << again.error().message();
    EXPECT_TRUE(SameRows(**again, *expected));
  }
}

INSTANTIATE_TEST_SUITE_P(AllTypes, ParquetOfType, ::testing::ValuesIn(AllTypes()),
                         [](const auto& type) { return type.param.name; });

// An extension that only this program knows.
class Celsius final : public arrow::ExtensionType {
 public:
  Celsius() : ExtensionType(arrow::float64()) {}
  std::string extension_name() const override { return "test.celsius"; }
  bool ExtensionEquals(const ExtensionType& other) const override {
    return other.extension_name() == extension_name();
  }
  std::shared_ptr<arrow::Array> MakeArray(std::shared_ptr<arrow::ArrayData> data) const override {
    return std::make_shared<arrow::ExtensionArray>(std::move(data));
  }
  arrow::Result<std::shared_ptr<arrow::DataType>> Deserialize(
      std::shared_ptr<arrow::DataType>, const std::string&) const override {
    return std::make_shared<Celsius>();
  }
  std::string Serialize() const override { return ""; }
};

TEST(Parquet, AnExtensionSurvivesRegisteredOrNot) {
  const auto type = std::make_shared<Celsius>();
  const auto schema = arrow::schema({arrow::field("id", arrow::int64(), false),
                                     arrow::field("t", type)});
  const auto batch = RandomBatch(schema, 30, 1);
  for (const bool registered : {false, true}) {
    if (registered) {
      ASSERT_TRUE(arrow::RegisterExtensionType(type).ok());
    }
    const auto table = TableSchema::Make(schema, {"id"});
    ASSERT_TRUE(table) << table.error().message();
    const auto back = ThroughParquet({batch}, schema);
    ASSERT_TRUE(back) << back.error().message();
    EXPECT_TRUE(SameRows(**back, *batch));
  }
  ASSERT_TRUE(arrow::UnregisterExtensionType("test.celsius").ok());
}

TEST(Parquet, ANullAmongADictionarysValuesBecomesANullIndex) {
  const auto type = arrow::dictionary(arrow::int32(), arrow::utf8());
  arrow::StringBuilder values;
  ASSERT_TRUE(values.Append("a").ok() && values.AppendNull().ok());
  const auto indices = arrow::Buffer::FromVector(std::vector<std::int32_t>{0, 1, 0});
  const auto array = *arrow::DictionaryArray::FromArrays(
      type, std::make_shared<arrow::Int32Array>(3, indices), values.Finish().ValueOrDie());
  const auto schema = arrow::schema({arrow::field("id", arrow::int64()), arrow::field("d", type)});
  const auto id = RandomBatch(schema, 3, 1, 0)->column(0);
  const auto batch = arrow::RecordBatch::Make(schema, 3, {id, array});
  const auto rows = (*TableSchema::Make(schema, {"id"}))->Conform(batch);
  ASSERT_TRUE(rows) << rows.error().message();
  EXPECT_TRUE(SameRows(**rows, *batch));
  EXPECT_TRUE((*rows)->column(1)->IsNull(1));
  const auto more = *Gather(schema, {{*rows, 0, 3}, {RandomBatch(schema, 50, 1), 0, 50}});
  const auto back = ThroughParquet({more}, schema);
  ASSERT_TRUE(back) << back.error().message();
  EXPECT_TRUE(SameRows(**back, *more));
}

TEST(Parquet, ListsOfAnotherSizeAreCorruption) {
  const auto stored = arrow::schema({arrow::field("v", arrow::list(arrow::int8()))});
  const auto wanted = arrow::schema({arrow::field("v", arrow::fixed_size_list(arrow::int8(), 9))});
  const auto back = CastToSchema(RandomBatch(stored, 9, 1, 0), wanted);
  ASSERT_FALSE(back);
  EXPECT_EQ(back.error().kind(), ErrorKind::kCorruption);
}

}  // namespace
}  // namespace varve
