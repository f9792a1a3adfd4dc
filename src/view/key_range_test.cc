// SPDX-License-Identifier: Apache-2.0
#include "view/key_range.h"

#include <arrow/json/from_string.h>

#include <cmath>
#include <limits>

#include "test/support/seed.h"
#include "view/filter.h"
#include "view/random_rows.h"
#include "view/view_fixture.h"

namespace varve {
namespace {

namespace cp = arrow::compute;
using arrow::field;
using testing::Ok;

class KeyRangeTest : public ::testing::Test {
 protected:
  std::shared_ptr<const TableSchema> schema_ =
      Ok(TableSchema::Make(testing::RowSchema(), {"k", "name"}));

  PlannedRange PlanOf(const std::string& filter, const KeyRange& range = {}) {
    const auto expression = Ok(ParseFilter(filter, schema_->schema()));
    return Ok(PlanKeyRange(*schema_, range, expression.get()));
  }
  // Encoded key of (k), or of (k, name).
  std::string Key(std::int32_t k) { return EncodePlaces(k, "", {0}); }
  std::string Key(std::int32_t k, const std::string& name) { return EncodePlaces(k, name, {0, 1}); }
  std::string EncodePlaces(std::int32_t k, const std::string& name,
                           const std::vector<int>& places) {
    const auto batch = testing::KeyBatch({{k, name}});
    return std::string(Ok(schema_->key_codec().Encode(*batch, places, 0, 1))[0]);
  }
  void ExpectRange(const std::string& filter, const std::string& lower,
                   const std::optional<std::string>& upper) {
    const PlannedRange plan = PlanOf(filter);
    EXPECT_EQ(plan.bounds.lower, lower) << filter << ": " << plan.text;
    EXPECT_EQ(plan.bounds.upper, upper) << filter << ": " << plan.text;
  }
};

TEST_F(KeyRangeTest, ComesFromTheLeadingColumns) {
  ExpectRange("k = 5", Key(5), Key(6));
  ExpectRange("5 = k", Key(5), Key(6));
  ExpectRange("k > 5", Key(6), std::nullopt);
  ExpectRange("k >= 5 and k < 9", Key(5), Key(9));
  ExpectRange("5 <= k and 9 > k", Key(5), Key(9));
  ExpectRange("k between 5 and 9", Key(5), Key(10));
  ExpectRange("k in (7, 3, null)", Key(3), Key(8));
  ExpectRange("k = 5 or k = 7", Key(5), Key(8));
  ExpectRange("k = 5.0", Key(5), Key(6));
  ExpectRange("k = 5 and name = 'a'", Key(5, "a"), PrefixEnd(Key(5, "a")));
  ExpectRange("name = 'a' and k = 5 and f > 3", Key(5, "a"), PrefixEnd(Key(5, "a")));
  ExpectRange("k = 5 and name < 'b'", Key(5), Key(5, "b"));
  ExpectRange("k = 5 and name > 'b'", *PrefixEnd(Key(5, "b")), Key(6));
  ExpectRange("(k = 5 and name = 'a') or (k = 5 and name = 'c')", Key(5, "a"),
              PrefixEnd(Key(5, "c")));
}

TEST_F(KeyRangeTest, PrefixPatternsBoundText) {
  std::string prefix = Key(5, "ab");
  prefix.resize(prefix.size() - 2);  // without the text's end
  ExpectRange("k = 5 and name like 'ab%'", prefix, PrefixEnd(prefix));
  ExpectRange("k = 5 and name like 'ab%c_'", prefix, PrefixEnd(prefix));
  ExpectRange("k = 5 and name like '%ab'", Key(5), Key(6));
}

TEST_F(KeyRangeTest, StaysWideWhereNothingIsCertain) {
  for (const char* filter :
       {"name = 'a'", "f = 3", "not (k = 5)", "k = 5 or f = 3", "k != 5", "k = 5.5", "k + 1 = 5",
        "k = 5 or name = 'a'", "k = n", "k is not null", "true"}) {
    ExpectRange(filter, "", std::nullopt);
    EXPECT_EQ(PlanOf(filter).text, "all") << filter;
  }
}

TEST_F(KeyRangeTest, IsEmptyWhereNoKeyCanMatch) {
  for (const char* filter : {"k = 5 and k = 6", "k > 5 and k < 5", "false", "null", "k = null",
                             "k > 2147483647", "k = 5 and name = 'a' and name = 'b'",
                             "k in (null)", "(k = 5 and k = 6) or false"}) {
    EXPECT_TRUE(PlanOf(filter).Empty()) << filter;
    EXPECT_EQ(PlanOf(filter).text, "none") << filter;
  }
  EXPECT_FALSE(PlanOf("(k = 5 and k = 6) or k = 7").Empty());
}

TEST_F(KeyRangeTest, MeetsTheCallersRange) {
  const auto lower = testing::KeyBatch({{3, "b"}});
  const auto upper = testing::KeyBatch({{7, ""}})->SelectColumns({0}).ValueOrDie();
  PlannedRange plan = PlanOf("k >= 1 and k <= 5", {.lower = lower, .upper = upper});
  EXPECT_EQ(plan.bounds.lower, Key(3, "b"));
  EXPECT_EQ(plan.bounds.upper, Key(6));
  plan = PlanOf("true", {.lower = lower, .upper = upper, .lower_inclusive = false,
                         .upper_inclusive = true});
  EXPECT_EQ(plan.bounds.lower, PrefixEnd(Key(3, "b")));
  EXPECT_EQ(plan.bounds.upper, Key(8));
  EXPECT_EQ(plan.text, "key > (3, b) and key <= (7)");
}

TEST_F(KeyRangeTest, RefusesABoundThatIsNoKey) {
  const auto error = [&](testing::BatchPtr lower) {
    auto plan = PlanKeyRange(*schema_, {.lower = std::move(lower)}, nullptr);
    return plan ? "planned" : plan.error().message();
  };
  const auto one = testing::KeyBatch({{1, "a"}});
  EXPECT_EQ(error(testing::KeyBatch({{1, "a"}, {2, "b"}})),
            "key range: the lower bound has 2 rows; expected one");
  EXPECT_EQ(error(one->SelectColumns({1}).ValueOrDie()),
            "key range: the lower bound has column 'name' of type string at place 1; expected 'k' "
            "of type int32");
  EXPECT_NE(error(one->SelectColumns({}).ValueOrDie()).find("0 columns"), std::string::npos);
  EXPECT_NE(error(testing::ToBatch({{}})).find("7 columns"), std::string::npos);
}

TEST_F(KeyRangeTest, SaysWhichKeys) {
  EXPECT_EQ(PlanOf("k = 5 and name >= 'a'").text, "k = 5 and name >= a");
  EXPECT_EQ(PlanOf("k in (3, 7)").text, "k >= 3 and k <= 7");
  EXPECT_EQ(PlanOf("k = 5 and name like 'ab%'").text, "k = 5 and name starts with 'ab'");
}

TEST_F(KeyRangeTest, NeverExcludesARowThatTheFilterAccepts) {
  const std::uint64_t seed = testing::TestSeed(3);
  SCOPED_TRACE(testing::SeedTrace(seed));
  SeededRandom random(seed);
  std::vector<testing::Row> rows;
  for (int i = 0; i < 300; ++i) rows.push_back(testing::RandomRow(random));
  const auto batch = testing::ToBatch(rows);
  const auto keys = Ok(schema_->key_codec().Encode(*batch, {0, 1}, 0, batch->num_rows()));
  int narrowed = 0;
  for (int i = 0; i < 2000; ++i) {
    const std::string text = testing::RandomFilter(random);
    const PlannedRange plan = PlanOf(text);
    const auto filter = Ok(ParseFilter(text, schema_->schema()));
    const auto mask = cp::ExecuteScalarExpression(*filter, *batch->schema(), batch).ValueOrDie();
    for (std::int64_t row = 0; row < batch->num_rows(); ++row) {
      const auto value = mask.is_scalar() ? mask.scalar() : *mask.make_array()->GetScalar(row);
      const bool accepted = value->is_valid && value->ToString() == "true";
      ASSERT_TRUE(!accepted || plan.bounds.Contains(keys[row])) << text << ": " << plan.text;
    }
    narrowed += plan.text != "all" ? 1 : 0;
  }
  EXPECT_GT(narrowed, 500);
}

// Every operator against every value of a key type, extremes included, keys of that one type.
void ExpectNothingLost(const std::shared_ptr<arrow::Array>& values,
                       const std::shared_ptr<arrow::Array>& literals) {
  const auto schema = Ok(TableSchema::Make(arrow::schema({field("key", values->type())}), {"key"}));
  const auto batch = arrow::RecordBatch::Make(schema->schema(), values->length(), {values});
  const auto keys = Ok(schema->key_codec().Encode(*batch, {0}, 0, batch->num_rows()));
  for (const char* op : {"equal", "not_equal", "less", "less_equal", "greater", "greater_equal"}) {
    for (std::int64_t i = 0; i < literals->length(); ++i) {
      const auto call = cp::call(op, {cp::field_ref("key"), cp::literal(*literals->GetScalar(i))});
      const auto bound = Ok(BindFilter(call, *schema->schema()));
      const auto plan = Ok(PlanKeyRange(*schema, {}, &bound));
      const auto mask = cp::ExecuteScalarExpression(bound, *batch->schema(), batch).ValueOrDie();
      const auto array = mask.make_array();
      const auto& accepted = static_cast<const arrow::BooleanArray&>(*array);
      for (std::int64_t row = 0; row < batch->num_rows(); ++row) {
        const bool lost = accepted.IsValid(row) && accepted.Value(row) &&
                          !plan.bounds.Contains(keys[row]);
        EXPECT_FALSE(lost) << bound.ToString() << " loses row " << row << ": " << plan.text;
      }
    }
  }
}

TEST(KeyRange, FloatsKeepTheirOddities) {
  const double inf = std::numeric_limits<double>::infinity();
  arrow::DoubleBuilder doubles;
  for (double value : {-inf, -1e300, -1.5, -0.0, 0.0, 5e-324, 1.5, 16777217.0, 0.1, 1e300, inf,
                       std::nan(""), -std::nan("")}) {
    ASSERT_TRUE(doubles.Append(value).ok());
  }
  const std::shared_ptr<arrow::Array> values = *doubles.Finish();
  ExpectNothingLost(values, values);
  const auto loose = cp::CastOptions::Unsafe(arrow::float32());
  const auto floats = cp::Cast(*values, arrow::float32(), loose).ValueOrDie();
  ExpectNothingLost(floats, values);
  ExpectNothingLost(floats, floats);
  ExpectNothingLost(values, floats);
}

TEST(KeyRange, IntegersMeetWiderLiterals) {
  const auto make = [](const std::shared_ptr<arrow::DataType>& type, const char* json) {
    return arrow::json::ArrayFromJSONString(type, json).ValueOrDie();
  };
  const auto small = make(arrow::int8(), "[-128, -1, 0, 1, 127]");
  const auto large = make(arrow::int64(), "[-9223372036854775808, -129, -1, 0, 127, 128, 255, "
                                          "9007199254740993, 9223372036854775807]");
  const auto fraction = make(arrow::float64(), "[-1.5, 0, 127, 127.5, 9007199254740992]");
  const auto bytes = make(arrow::uint8(), "[0, 1, 127, 128, 255]");
  for (const auto& literals : {small, large, fraction, bytes}) {
    ExpectNothingLost(small, literals);
    ExpectNothingLost(bytes, literals);
    if (literals != fraction) ExpectNothingLost(large, literals);
  }
}

}  // namespace
}  // namespace varve
