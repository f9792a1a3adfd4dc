// SPDX-License-Identifier: Apache-2.0
// Which runs go because nothing in them is seen any more.
#include "upkeep/expired.h"

#include <arrow/api.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

namespace varve {
namespace {

using Numbers = std::vector<std::uint64_t>;

std::shared_ptr<const TableSchema> TimedSchema() {
  const auto made = *TableSchema::Make(arrow::schema({arrow::field("id", arrow::int64(), false),
                                                      arrow::field("at", arrow::int64())}),
                                       {"id"});
  return *made->WithTimeToLive(TimeToLive{.column = "at", .micros = 10});
}

class ExpiredTest : public ::testing::Test {
 protected:
  // Of commits up to its id.
  RunMeta& Add(std::uint64_t id, std::uint32_t level, std::string min, std::string max,
               std::optional<std::int64_t> last) {
    auto run = std::make_shared<RunMeta>();
    run->id = id;
    run->level = level;
    run->min_key = std::move(min);
    run->max_key = std::move(max);
    run->min_commit = run->max_commit = id;
    runs_.push_back(run);
    times_[id] = {.schema_id = 1, .first = 0, .last = last};
    return *run;
  }
  std::optional<CompactionPlan> Plan(std::int64_t now) const {
    const RunMetas metas(runs_.begin(), runs_.end());
    return PlanExpired(metas, {times_, schema_id_}, *Expiry::At(*TimedSchema(), {now}), altered_);
  }
  static Numbers Ids(const CompactionPlan& plan) {
    Numbers ids;
    for (const auto& run : plan.inputs) ids.push_back(run->id);
    return ids;
  }

  std::vector<std::shared_ptr<RunMeta>> runs_;
  TimesOfRuns times_;
  std::uint64_t altered_ = 0;
  std::uint32_t schema_id_ = 1;
};

TEST_F(ExpiredTest, ThoseThatHideNothingGoTogether) {
  Add(1, 1, "a", "c", 5);
  Add(2, 1, "d", "f", 6);
  Add(3, 0, "a", "z", 50);     // newer than both
  Add(4, 1, "x", "y", std::nullopt);  // a row lives for ever
  EXPECT_FALSE(Plan(15));
  const auto first = Plan(16);
  ASSERT_TRUE(first);
  EXPECT_TRUE(first->only_drop);
  EXPECT_EQ(Ids(*first), (Numbers{1}));
  EXPECT_EQ(Ids(*Plan(17)), (Numbers{1, 2}));
  EXPECT_EQ(Ids(*Plan(1'000'000)), (Numbers{1, 2, 3}));
}

TEST_F(ExpiredTest, OneOverOlderRowsIsRewrittenToDeletes) {
  Add(1, 1, "a", "c", 500);
  Add(2, 0, "b", "b", 5);
  const auto plan = Plan(100);
  ASSERT_TRUE(plan);
  EXPECT_FALSE(plan->only_drop);
  EXPECT_EQ(Ids(*plan), (Numbers{2}));
  EXPECT_EQ(plan->level, 0u);
}

TEST_F(ExpiredTest, WhatIsBelowIsNoHarmWhenItHasExpiredToo) {
  Add(1, 1, "a", "c", 5);
  Add(2, 0, "b", "b", 6);
  const auto plan = Plan(100);
  ASSERT_TRUE(plan);
  EXPECT_TRUE(plan->only_drop);
  EXPECT_EQ(Ids(*plan), (Numbers{1, 2}));
}

// Readers of the commits in between take the hidden run, and would find its versions uncovered.
TEST_F(ExpiredTest, AHiddenRunCountsAsLongAsItIsTakenBeside) {
  auto& below = Add(1, 1, "a", "c", 500);
  below.hidden_from = 9;
  Add(2, 0, "b", "b", 5);
  EXPECT_FALSE(Plan(100)->only_drop);
  altered_ = 9;
  EXPECT_TRUE(Plan(100)->only_drop);
  altered_ = 0;
  below.hidden_from = 2;
  EXPECT_TRUE(Plan(100)->only_drop);
  runs_.back()->hidden_from = 10;  // it is gone already
  EXPECT_FALSE(Plan(100));
}

TEST_F(ExpiredTest, OfARunThatIsNotKnownNothingIsSaid) {
  Add(1, 1, "a", "c", 5);
  times_.clear();
  EXPECT_FALSE(Plan(1'000'000));
}

// Rows expire by another column now, or by another unit of it.
TEST_F(ExpiredTest, WhatIsKnownUnderAnotherSchemaSaysNothing) {
  Add(1, 1, "a", "c", 5);
  schema_id_ = 2;
  EXPECT_FALSE(Plan(1'000'000));
  const RunMetas metas(runs_.begin(), runs_.end());
  const auto expiry = *Expiry::At(*TimedSchema(), {1'000'000});
  EXPECT_FALSE(PlanPartlyExpired(metas, {times_, 2}, expiry));
  EXPECT_TRUE(PlanPartlyExpired(metas, {times_, 1}, expiry));
}

// Else its deletes would be gone, and what they hide seen once rows live longer.
TEST_F(ExpiredTest, WhatIsOverOneThatStaysForAnothersSakeStaysToo) {
  Add(1, 1, "a", "b", std::nullopt);
  Add(2, 1, "a", "z", 5);  // over 1
  Add(3, 0, "k", "k", 5);  // over 2 alone
  const auto plan = Plan(16);
  ASSERT_TRUE(plan);
  EXPECT_FALSE(plan->only_drop);
  EXPECT_EQ(Ids(*plan), (Numbers{2}));
}

}  // namespace
}  // namespace varve
