// SPDX-License-Identifier: Apache-2.0
// What is looked at to go back: the versions since, and no others. That they come to the right rows
// is seen in engine/restore_test.cc and the model test.
#include "view/difference.h"

#include <arrow/json/from_string.h>
#include <gtest/gtest.h>

#include "columns/array_cast.h"
#include "view/view_fixture.h"

namespace varve::testing {
namespace {

class DifferenceTest : public ::testing::Test {
 protected:
  std::uint64_t UpsertRange(std::int32_t begin, std::int32_t end, const std::string& s) {
    std::vector<Row> rows;
    for (std::int32_t k = begin; k < end; ++k) rows.push_back({k, "a", {}, s, {}, {}});
    return table_.Upsert(rows);
  }
  Difference BackTo(std::uint64_t then) {
    const auto view = table_.View();
    return Ok(FindDifference(*view->Find("t"), {then}, {table_.commit()}, UINT64_MAX));
  }
  void ExpectBack(std::uint64_t then, std::int64_t upserts, std::int64_t deletes,
                  std::uint64_t versions) {
    const auto difference = BackTo(then);
    EXPECT_EQ(difference.upserts->num_rows(), upserts);
    EXPECT_EQ(difference.deletes->num_rows(), deletes);
    EXPECT_EQ(difference.versions, versions);
  }

  RowTable table_;
};

TEST_F(DifferenceTest, OldRowsOfMemtablesAreNotWalked) {
  const auto old = UpsertRange(0, 3000, "old");
  ExpectBack(old, 0, 0, 0);
  UpsertRange(10, 12, "new");
  table_.Delete({{20, "a"}});
  ExpectBack(old, 3, 0, 3);
  table_.Seal();
  ExpectBack(old, 3, 0, 3);
  const auto later = UpsertRange(2999, 3002, "new");
  ExpectBack(old, 4, 2, 6);
  ExpectBack(later, 0, 0, 0);
  table_.Flush();
  ExpectBack(old, 4, 2, 6);
  ExpectBack(later, 0, 0, 0);
}

TEST_F(DifferenceTest, RowGroupsOfOldCommitsAreNotRead) {
  table_.row_group_rows = 50;
  const auto old = UpsertRange(0, 2000, "old");
  UpsertRange(2000, 2050, "new");
  table_.Flush();
  ExpectBack(old, 0, 50, 50);
  const auto& run = *table_.runs().front();
  EXPECT_EQ(run.Open()->row_group_keys().size(), 41u);
  EXPECT_LE(run.row_groups_read(), 6u) << "the new one, and for the lookups";
}

// Dictionaries of columns: of a column, and inside of others.
struct Dictionaries {
  std::shared_ptr<arrow::DataType> type;
  // What rows hold, in JSON, as values of the plain type.
  std::string a, b, c;
};

class DifferenceOfDictionaries : public ::testing::TestWithParam<Dictionaries> {
 protected:
  DifferenceOfDictionaries()
      : schema_(Ok(TableSchema::Make(
            arrow::schema({arrow::field("id", arrow::int64()), arrow::field("v", GetParam().type)}),
            {"id"}))),
        active_(std::make_shared<Memtable>(schema_)) {
    InitializeArrow();
  }

  // Each commit has a dictionary of its own, with only what it needs, in the order of its rows.
  void Upsert(const std::vector<std::int64_t>& ids, const std::string& json) {
    arrow::Int64Builder id;
    EXPECT_TRUE(id.AppendValues(ids).ok());
    const auto plain =
        *arrow::json::ArrayFromJSONString(WithoutDictionaries(GetParam().type), "[" + json + "]");
    const auto values = *CastArray(plain->data(), GetParam().type);
    const auto batch = arrow::RecordBatch::Make(schema_->schema(), plain->length(),
                                                {*id.Finish(), arrow::MakeArray(values)});
    active_->Insert(Ok(PrepareUpsert(*schema_, batch)), ++commit_);
  }
  void Delete(const std::vector<std::int64_t>& ids) {
    arrow::Int64Builder id;
    EXPECT_TRUE(id.AppendValues(ids).ok());
    const auto keys =
        arrow::RecordBatch::Make(schema_->key_schema(), std::ssize(ids), {*id.Finish()});
    active_->Insert(Ok(PrepareDelete(*schema_, keys)), ++commit_);
  }
  Difference BackTo(std::uint64_t then) {
    const TableView view{.name = "t", .schema = schema_, .active = active_};
    return Ok(FindDifference(view, {then}, {commit_}, UINT64_MAX));
  }

  std::shared_ptr<const TableSchema> schema_;
  std::shared_ptr<Memtable> active_;
  std::uint64_t commit_ = 0;
};

TEST_P(DifferenceOfDictionaries, ValuesAreCompared) {
  const auto& [type, a, b, c] = GetParam();
  Upsert({1, 2, 3}, a + "," + b + "," + c);
  Upsert({1, 3}, a + "," + c);
  Upsert({2}, b);
  EXPECT_EQ(BackTo(1).upserts->num_rows(), 0) << "each was written again as it was";
  Upsert({1, 3}, c + "," + a);
  EXPECT_EQ(BackTo(1).upserts->num_rows(), 2) << "1 and 3 were exchanged";
  Upsert({1, 3}, a + ",null");
  Upsert({2}, "null");
  EXPECT_EQ(BackTo(1).upserts->num_rows(), 2) << "2 and 3 are null";
  EXPECT_EQ(BackTo(commit_).upserts->num_rows(), 0);
  Upsert({3, 2}, "null,null");
  EXPECT_EQ(BackTo(commit_ - 1).upserts->num_rows(), 0) << "null is null";
  Delete({2});
  Upsert({2, 1}, b + "," + a);
  EXPECT_EQ(BackTo(1).upserts->num_rows(), 1) << "only 3 is still null";
  EXPECT_EQ(BackTo(1).deletes->num_rows(), 0);
}

std::vector<Dictionaries> DictionaryTypes() {
  const auto words = arrow::dictionary(arrow::int32(), arrow::utf8());
  const auto in_struct =
      arrow::struct_({arrow::field("w", words), arrow::field("n", arrow::int8())});
  const std::string list_a = R"(["a"])", list_b = R"(["b", null, "a"])", list_c = R"(["b", "a"])";
  return {{words, R"("a")", R"("b")", R"("c")"},
          {arrow::dictionary(arrow::int64(), arrow::int32()), "1", "2", "3"},
          {arrow::list(words), list_a, list_b, list_c},
          {arrow::large_list(words), list_a, list_b, list_c},
          {arrow::fixed_size_list(words, 2), R"(["a", "b"])", R"(["b", null])", R"(["b", "a"])"},
          {in_struct, R"({"w": "a", "n": 1})", R"({"w": null, "n": 1})", R"({"w": "a", "n": 2})"},
          {arrow::list(in_struct), R"([{"w": "a", "n": 1}])", "[]", R"([{"w": "b", "n": 1}])"},
          {arrow::map(arrow::utf8(), words), R"([["k", "a"]])", R"([["k", "b"]])", "[]"}};
}
INSTANTIATE_TEST_SUITE_P(Types, DifferenceOfDictionaries, ::testing::ValuesIn(DictionaryTypes()));

}  // namespace
}  // namespace varve::testing
