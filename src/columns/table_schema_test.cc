// SPDX-License-Identifier: Apache-2.0
#include "columns/table_schema.h"

#include <arrow/api.h>
#include <arrow/compute/api.h>
#include <gtest/gtest.h>

#include "columns/arrow_init.h"
#include "test/support/all_types.h"
#include "test/support/seed.h"

namespace varve {
namespace {

using arrow::field;
using testing::AllTypes;
using testing::RandomBatch;

std::shared_ptr<arrow::Schema> Flights() {
  return arrow::schema({field("year", arrow::int32()), field("origin", arrow::utf8()),
                        field("delay", arrow::float64()),
                        field("plane", arrow::utf8(), /*nullable=*/false)});
}

std::string WhyNot(const std::shared_ptr<arrow::Schema>& schema,
                   const std::vector<std::string>& key,
                   ErrorReason reason = ErrorReason::kNone) {
  const auto table = TableSchema::Make(schema, key);
  if (table) return "accepted";
  EXPECT_EQ(table.error().kind(), ErrorKind::kInvalid);
  EXPECT_EQ(table.error().reason(), reason);
  return table.error().message();
}

std::string WhyNot(const std::shared_ptr<const TableSchema>& table,
                   const std::shared_ptr<arrow::RecordBatch>& batch) {
  const auto rows = table->Conform(batch);
  if (rows) return "accepted";
  EXPECT_EQ(rows.error().kind(), ErrorKind::kInvalid);
  return rows.error().message();
}

#define EXPECT_SAYS(text, part) \
  EXPECT_PRED2([](const std::string& a, const std::string& b) { return a.contains(b); }, text, part)

TEST(TableSchema, KnowsItsKeyColumnsInKeyOrder) {
  const auto table = *TableSchema::Make(Flights(), {"origin", "year"});
  EXPECT_EQ(table->key_columns(), (std::vector<int>{1, 0}));
  EXPECT_EQ(table->key_names(), (std::vector<std::string>{"origin", "year"}));
  EXPECT_EQ(table->key_schema()->field_names(), table->key_names());
}

TEST(TableSchema, RefusesBadNamesAndKeys) {
  const auto one = [](std::string name) { return arrow::schema({field(name, arrow::int8())}); };
  EXPECT_SAYS(WhyNot(arrow::schema(arrow::FieldVector{}), {"a"}), "no column");
  EXPECT_SAYS(WhyNot(one(""), {""}), "empty column name");
  EXPECT_SAYS(WhyNot(one("_varve_commit"), {"_varve_commit"}), "'_varve_'");
  EXPECT_SAYS(WhyNot(one("\xff"), {"\xff"}), "UTF-8");
  EXPECT_SAYS(WhyNot(one("a"), {}), "key is empty");
  EXPECT_SAYS(WhyNot(one("a"), {"b"}), "'b' is not in the schema, which has a");
  EXPECT_SAYS(WhyNot(one("a"), {"a", "a"}), "twice");
  EXPECT_SAYS(WhyNot(arrow::schema({field("a", arrow::int8()), field("a", arrow::int8())}), {"a"}),
              "'a' twice");
  const auto nested = arrow::struct_({field("x", arrow::int8()), field("x", arrow::int8())});
  EXPECT_SAYS(WhyNot(arrow::schema({field("a", arrow::int8()), field("s", nested)}), {"a"}),
              "column 's' has the column 'x' twice");
  EXPECT_SAYS(WhyNot(arrow::schema({field("a", arrow::list(arrow::int8()))}), {"a"}),
              "cannot be part of a key");
}

TEST(TableSchema, RefusesWhatParquetCannotHoldAndSaysWhatToUse) {
  const auto with = [](std::shared_ptr<arrow::DataType> type) {
    const auto schema = arrow::schema({field("id", arrow::int8()), field("odd", std::move(type))});
    return WhyNot(schema, {"id"}, ErrorReason::kUnsupportedFormat);
  };
  EXPECT_SAYS(with(arrow::run_end_encoded(arrow::int32(), arrow::utf8())), "use string");
  EXPECT_SAYS(with(arrow::sparse_union({field("a", arrow::int8())})), "use a struct");
  EXPECT_SAYS(with(arrow::list(arrow::dense_union({field("a", arrow::int8())}))), "use a struct");
  EXPECT_SAYS(with(arrow::list_view(arrow::int8())), "use list<int8>");
  EXPECT_SAYS(with(arrow::month_interval()), "use int32 months");
  EXPECT_SAYS(with(arrow::month_day_nano_interval()), "column 'odd' of type month_day_nano");
  EXPECT_SAYS(with(arrow::struct_({})), "column 'odd'");
  EXPECT_SAYS(with(arrow::fixed_size_binary(0)), "column 'odd'");
  EXPECT_SAYS(with(arrow::decimal128(5, -2)), "column 'odd'");
  EXPECT_SAYS(with(arrow::list(arrow::dictionary(arrow::int8(), arrow::utf8()))), "int32 indices");
}

TEST(TableSchema, SerializedItComesBackTheSame) {
  for (const auto& type : AllTypes()) {
    const auto table = TableSchema::Make(type.schema, {"id"});
    ASSERT_TRUE(table) << type.name << ": " << table.error().message();
    const auto back = TableSchema::Parse((*table)->Serialize());
    ASSERT_TRUE(back) << type.name << ": " << back.error().message();
    EXPECT_TRUE((*back)->schema()->Equals(*type.schema, /*check_metadata=*/true)) << type.name;
    EXPECT_EQ((*back)->key_columns(), (*table)->key_columns());
  }
}

TEST(TableSchema, DamagedBytesAreCorruption) {
  const auto whole = (*TableSchema::Make(Flights(), {"origin", "year"}))->Serialize();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const auto cut = TableSchema::Parse(whole.substr(0, size));
    EXPECT_TRUE(cut || cut.error().kind() == ErrorKind::kCorruption) << size;
  }
  EXPECT_FALSE(TableSchema::Parse("VSC2" + whole.substr(4)));
  const std::uint64_t seed = testing::TestSeed();
  SCOPED_TRACE(testing::SeedTrace(seed));
  SeededRandom random(seed);
  for (int i = 0; i < 2000; ++i) {
    auto bytes = whole;
    bytes[random.Below(bytes.size())] ^= static_cast<char>(1 + random.Below(255));
    const auto table = TableSchema::Parse(bytes);
    ASSERT_TRUE(table || table.error().kind() == ErrorKind::kCorruption);
  }
}

TEST(Conform, FindsColumnsByNameInAnyOrder) {
  const auto table = *TableSchema::Make(Flights(), {"origin"});
  const auto batch = RandomBatch(Flights(), 20, 1, 0);
  const auto shuffled = *batch->SelectColumns({3, 1, 0, 2});
  const auto rows = table->Conform(shuffled);
  ASSERT_TRUE(rows) << rows.error().message();
  EXPECT_TRUE(testing::SameRows(**rows, *batch));
  EXPECT_EQ((*rows)->schema(), table->schema());
}

TEST(Conform, NamesEveryFieldThatDiffers) {
  const auto table = *TableSchema::Make(Flights(), {"year"});
  const auto other = arrow::schema({field("year", arrow::utf8()), field("origin", arrow::utf8()),
                                    field("origin", arrow::utf8()), field("speed", arrow::int8()),
                                    field("delay", arrow::float64())});
  const auto text = WhyNot(table, RandomBatch(other, 3, 1));
  EXPECT_SAYS(text, "column 'year': table has int32, batch has string");
  EXPECT_SAYS(text, "column 'origin' appears 2 times");
  EXPECT_SAYS(text, "column 'plane' (string) is missing");
  EXPECT_SAYS(text, "column 'speed' (int8) is not in the table");
}

TEST(Conform, NamesTenDifferencesAtMost) {
  arrow::FieldVector fields = {field("id", arrow::int8())};
  for (int i = 0; i < 15; ++i) fields.push_back(field("c" + std::to_string(i), arrow::int8()));
  const auto table = *TableSchema::Make(arrow::schema(fields), {"id"});
  EXPECT_SAYS(WhyNot(table, RandomBatch(arrow::schema({fields[0]}), 1, 1)),
              "column 'c9' (int8) is missing; and 5 more differences");
}

TEST(Conform, NamesRowAndColumnOfANullThatMayNotBe) {
  const auto table = *TableSchema::Make(Flights(), {"origin"});
  auto batch = RandomBatch(Flights(), 30, 1, 0);
  const auto null_at = [&](int column, std::int64_t row) {
    const auto before = batch->column(column)->Slice(0, row);
    const auto null = *arrow::MakeArrayOfNull(batch->column(column)->type(), 1);
    const auto after = batch->column(column)->Slice(row + 1);
    return *batch->SetColumn(column, batch->schema()->field(column)->WithNullable(true),
                             *arrow::Concatenate({before, null, after}));
  };
  EXPECT_SAYS(WhyNot(table, null_at(1, 17)), "row 17: key column 'origin' is null");
  EXPECT_SAYS(WhyNot(table, null_at(3, 5)), "row 5: column 'plane' is null");
  EXPECT_SAYS(WhyNot(table, null_at(2, 5)), "accepted");
  EXPECT_SAYS(WhyNot(table, null_at(3, 5)->Slice(4)), "row 1: column 'plane' is null");
}

// Batch: the same nesting, all of it nullable. Table: what is inside the list is required.
TEST(Conform, LooksForNullsInsideNestedColumns) {
  const auto type = [](bool nullable) {
    return arrow::list(field("item", arrow::struct_({field("x", arrow::int8(), nullable)})));
  };
  const auto table = *TableSchema::Make(
      arrow::schema({field("id", arrow::int8()), field("tags", type(false))}), {"id"});
  const auto open = arrow::schema({field("id", arrow::int8(), false), field("tags", type(true))});
  EXPECT_SAYS(WhyNot(table, RandomBatch(open, 50, 1, 0)), "accepted");
  const auto text = WhyNot(table, RandomBatch(open, 50, 1, 0.3));
  EXPECT_SAYS(text, "'tags.item.x' is null");
  const auto strict =
      arrow::schema({field("id", arrow::int8(), false), field("tags", type(false))});
  const auto nulls_around = RandomBatch(strict, 50, 1, 0.3);
  EXPECT_SAYS(WhyNot(table, nulls_around), "accepted");
  EXPECT_SAYS(WhyNot(table, nulls_around->Slice(7, 20)), "accepted");
}

TEST(Conform, ANullInsideANullStructIsNoValue) {
  const auto type = arrow::struct_({field("x", arrow::int8(), false)});
  const auto table =
      *TableSchema::Make(arrow::schema({field("id", arrow::int8()), field("s", type)}), {"id"});
  const auto id = RandomBatch(arrow::schema({field("id", arrow::int8())}), 4, 1, 0)->column(0);
  const auto s = *arrow::MakeArrayOfNull(type, 4);
  const auto batch = arrow::RecordBatch::Make(table->schema(), 4, {id, s});
  EXPECT_SAYS(WhyNot(table, batch), "accepted");
}

TEST(Conform, TakesNarrowerDictionaryIndices) {
  const auto schema = [](std::shared_ptr<arrow::DataType> index) {
    return arrow::schema({field("id", arrow::int8(), false),
                          field("d", arrow::dictionary(std::move(index), arrow::utf8()))});
  };
  const auto table = *TableSchema::Make(schema(arrow::int32()), {"id"});
  const auto rows = table->Conform(RandomBatch(schema(arrow::int8()), 40, 1));
  ASSERT_TRUE(rows) << rows.error().message();
  EXPECT_TRUE(testing::SameRows(**rows, *RandomBatch(schema(arrow::int32()), 40, 1)));
}

TEST(Conform, RefusesMalformedBatches) {
  const auto table = *TableSchema::Make(arrow::schema({field("id", arrow::int64())}), {"id"});
  const auto data = arrow::ArrayData::Make(arrow::int64(), 100,
                                           {nullptr, arrow::Buffer::FromString("short")}, 0);
  const auto batch = arrow::RecordBatch::Make(table->schema(), 100, {arrow::MakeArray(data)});
  EXPECT_SAYS(WhyNot(table, batch), "malformed batch");
  EXPECT_SAYS(WhyNot(table, nullptr), "no batch");
}

TEST(ConformKeys, TakesTheKeyColumnsAloneInKeyOrder) {
  const auto table = *TableSchema::Make(Flights(), {"origin", "year"});
  const auto keys = table->ConformKeys(RandomBatch(Flights(), 9, 1, 0));
  ASSERT_TRUE(keys) << keys.error().message();
  EXPECT_EQ((*keys)->schema()->field_names(), table->key_names());
  const auto missing = table->ConformKeys(
      RandomBatch(arrow::schema({field("year", arrow::int32())}), 9, 1, 0));
  ASSERT_FALSE(missing);
  EXPECT_SAYS(missing.error().message(), "column 'origin' (string) is missing");
}

}  // namespace
}  // namespace varve
