// SPDX-License-Identifier: Apache-2.0
// Counts and extremes: always those of a scan, and without one where files can say.
#include "view/aggregate.h"

#include <arrow/compute/api.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"
#include "test/support/seed.h"
#include "view/random_rows.h"
#include "view/view_fixture.h"

namespace varve::testing {
namespace {

class AggregateTest : public ::testing::Test {
 protected:
  static std::vector<Row> Range(int begin, int end) {
    std::vector<Row> rows;
    for (int i = begin; i < end; ++i) rows.push_back({i, "x", i / 2.0, "s", 2 * i, {}});
    return rows;
  }
  static std::string Text(const std::shared_ptr<arrow::Scalar>& value) {
    return value == nullptr ? "none" : value->ToString();
  }
  void ExpectMinMax(const std::string& column, const std::string& min, const std::string& max,
                    std::uint64_t scanned) {
    const auto range = Ok(table_.Newest().MinMax("t", column));
    EXPECT_EQ(Text(range.min), min) << column;
    EXPECT_EQ(Text(range.max), max) << column;
    EXPECT_EQ(range.rows_scanned, scanned) << column;
  }
  void ExpectCount(std::uint64_t rows, std::uint64_t scanned) {
    const auto count = Ok(table_.Newest().Count("t"));
    EXPECT_EQ(count.rows, rows);
    EXPECT_EQ(count.rows_scanned, scanned);
  }

  RowTable table_;
};

TEST_F(AggregateTest, RunsThatLieApartAnswerThemselves) {
  table_.Upsert(Range(0, 1000));
  table_.Flush();
  table_.Upsert(Range(2000, 2500));
  table_.Flush();
  ExpectCount(1500, 0);
  ExpectMinMax("k", "0", "2499", 0);
  ExpectMinMax("n", "0", "4998", 0);
  ExpectMinMax("s", "s", "s", 0);
  ExpectMinMax("f", "0", "1249.5", 1500);  // statistics of floats say nothing of NaN
  ExpectMinMax("at", "none", "none", 0);
}

TEST_F(AggregateTest, OnlyWhatOverlapsIsScanned) {
  table_.Upsert(Range(0, 1000));
  table_.Flush();
  table_.Upsert(Range(2000, 2500));
  table_.Flush();
  table_.Upsert(Range(2499, 2501));
  table_.Upsert({{1500, "between", {}, {}, 7, {}}});
  ExpectCount(1502, 502);
  ExpectMinMax("k", "0", "2500", 502);
}

TEST_F(AggregateTest, DeletesVersionsAndTheFutureAreSeen) {
  const auto first = table_.Upsert(Range(0, 100));
  table_.Flush();
  table_.Delete({{99, "x"}});
  ExpectCount(99, 99);
  ExpectMinMax("k", "0", "98", 99);
  table_.Flush();
  ExpectCount(99, 99);
  ExpectMinMax("n", "0", "196", 99);
  EXPECT_EQ(Ok(table_.At(first).Count("t")).rows, 100u);
  EXPECT_EQ(Ok(table_.At(0).Count("t")).rows, 0u);
  EXPECT_EQ(Text(Ok(table_.At(first).MinMax("t", "k")).max), "99");
}

TEST_F(AggregateTest, ARunOfTheFutureDoesNotAnswer) {
  const auto first = table_.Upsert(Range(0, 10));
  table_.Flush();
  table_.Upsert(Range(20, 30));
  table_.Flush();
  const auto before = table_.At(first);
  EXPECT_EQ(Ok(before.Count("t")).rows, 10u);
  EXPECT_EQ(Text(Ok(before.MinMax("t", "k")).max), "9");
  EXPECT_EQ(Text(Ok(table_.At(0).MinMax("t", "k")).max), "none");
}

TEST_F(AggregateTest, TwoVersionsOfOneKeyInARun) {
  table_.Upsert(Range(0, 10));
  table_.Upsert({{9, "x", {}, {}, -5, {}}});
  table_.Flush();
  ExpectCount(10, 10);
  ExpectMinMax("n", "-5", "16", 10);
}

TEST_F(AggregateTest, NanIsNoExtremeBesideNumbers) {
  table_.Upsert({{1, "", std::nan(""), {}, {}, {}}});
  table_.Flush();
  const auto only = Ok(table_.Newest().MinMax("t", "f"));
  EXPECT_EQ(Text(only.min), "nan");
  table_.Upsert({{2, "", -3.5, {}, {}, {}}});
  table_.Flush();
  table_.Upsert({{3, "", std::nan(""), {}, {}, {}}});
  ExpectMinMax("f", "-3.5", "-3.5", 3);
}

TEST_F(AggregateTest, AgreesWithScans) {
  const auto seed = TestSeed(31);
  SCOPED_TRACE(seed);
  SeededRandom random(seed);
  for (int round = 0; round < 25; ++round) {
    table_.row_group_rows = testing::RandomGroupRows(random);
    std::vector<Row> rows;
    const auto many = random.Below(6);
    for (std::uint64_t i = 0; i <= many; ++i) rows.push_back(RandomRow(random));
    table_.Upsert(rows);
    if (random.Below(4) == 0) table_.Delete({{rows[0].k, rows[0].name}});
    if (random.Below(2) == 0) table_.Flush();
    const std::uint64_t as_of = 1 + random.Below(table_.commit());
    const auto snapshot = table_.At(as_of);
    ScanOptions options;
    const std::string filter = random.Below(2) == 0 ? "k >= 2 and k < 6" : RandomFilter(random);
    if (random.Below(3) != 0) options.filter = Ok(ParseFilter(filter, RowSchema()));
    const auto scanned = Ok(snapshot.Scan("t", options))->ToTable().ValueOrDie();
    EXPECT_EQ(Ok(snapshot.Count("t", options)).rows,
              static_cast<std::uint64_t>(scanned->num_rows()))
        << filter;
    for (const std::string column : {"k", "name", "f", "s", "n", "at"}) {
      const auto expected =
          arrow::compute::MinMax(arrow::Datum(scanned->GetColumnByName(column))).ValueOrDie();
      const auto& both = expected.scalar_as<arrow::StructScalar>();
      const auto text = [](const std::shared_ptr<arrow::Scalar>& value) {
        return value->is_valid ? value->ToString() : "none";
      };
      const auto range = Ok(snapshot.MinMax("t", column, options));
      EXPECT_EQ(Text(range.min), text(both.value[0])) << column << " " << filter;
      EXPECT_EQ(Text(range.max), text(both.value[1])) << column << " " << filter;
    }
  }
}

TEST_F(AggregateTest, RefusesWhatSaysNothing) {
  table_.Upsert(Range(0, 3));
  const auto snapshot = table_.Newest();
  EXPECT_FALSE(snapshot.Count("t", {.columns = std::vector<std::string>{"k"}}));
  EXPECT_FALSE(snapshot.Count("t", {.reverse = true}));
  EXPECT_FALSE(snapshot.MinMax("t", "k", {.limit = 3}));
  EXPECT_EQ(snapshot.MinMax("t", "kk").error().kind(), ErrorKind::kNotFound);
  EXPECT_EQ(snapshot.Count("u").error().kind(), ErrorKind::kNotFound);
  EXPECT_EQ(Ok(snapshot.Count("t", {.limit = 2})).rows, 2u);
}

}  // namespace
}  // namespace varve::testing
