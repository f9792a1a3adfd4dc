// SPDX-License-Identifier: Apache-2.0
#include "upkeep/retire.h"

#include <gtest/gtest.h>

#include <set>

namespace varve {
namespace {

std::shared_ptr<RunMeta> NewRun(std::uint64_t id, std::uint64_t shown_from,
                                std::uint64_t hidden_from) {
  auto run = std::make_shared<RunMeta>();
  run->id = id;
  run->data = {.name = "d" + std::to_string(id), .bytes = 10, .rows = 1};
  run->shown_from = shown_from;
  run->hidden_from = hidden_from;
  return run;
}

class RetireTest : public ::testing::Test {
 protected:
  RetireTest() {
    for (std::uint64_t commit = 10; commit <= 50; commit += 10) {
      state_.versions.push_back({.commit = {commit},
                                 .time = {static_cast<std::int64_t>(commit) * 100},
                                 .times = TimesObject{.first = {commit - 9}, .bytes = 7}});
    }
    state_.commit = {50};
  }
  void Add(std::vector<std::shared_ptr<const RunMeta>> runs, std::uint64_t dropped = 0) {
    auto table = std::make_shared<TableState>();
    table->id = ++tables_;
    table->name = "t" + std::to_string(tables_);
    table->runs = std::move(runs);
    table->dropped = {dropped};
    if (dropped == 0) {
      state_.tables[table->name] = table;
    } else {
      state_.dropped[table->id] = table;
    }
  }
  std::set<std::uint64_t> RunsAt(std::uint64_t oldest) const {
    std::set<std::uint64_t> ids;
    for (const auto& run : PlanRetire(state_, {oldest}).runs) ids.insert(run->id);
    return ids;
  }

  using Ids = std::set<std::uint64_t>;
  ManifestState state_;
  std::uint32_t tables_ = 0;
};

TEST_F(RetireTest, TheOldestIsTheNewestVersionOfThen) {
  EXPECT_EQ(OldestAt(state_, {999}).value, 0u);
  EXPECT_EQ(OldestAt(state_, {1000}).value, 10u);
  EXPECT_EQ(OldestAt(state_, {4999}).value, 40u);
  EXPECT_EQ(OldestAt(state_, {9999}).value, 50u);
  state_.versions[3].time = {900};  // the clock went back
  EXPECT_EQ(OldestAt(state_, {1500}).value, 40u) << "the newest by number";
}

TEST_F(RetireTest, ARunGoesWhenNoReaderTakesIt) {
  Add({NewRun(1, 0, 20), NewRun(2, 0, 21), NewRun(3, 0, 0), NewRun(4, 20, 0), NewRun(5, 30, 30)});
  EXPECT_EQ(RunsAt(0), Ids{5}) << "nobody's";
  EXPECT_EQ(RunsAt(19), Ids{5});
  EXPECT_EQ(RunsAt(20), (Ids{1, 5}));
  EXPECT_EQ(RunsAt(50), (Ids{1, 2, 5}));
}

TEST_F(RetireTest, ATagKeepsWhatItTakesAndNothingElse) {
  Add({NewRun(1, 0, 20), NewRun(2, 10, 20), NewRun(3, 20, 40)});
  state_.tags["t"] = {.commit = {15}};
  EXPECT_EQ(RunsAt(50), Ids{3});
  state_.tags["t"] = {.commit = {9}};
  EXPECT_EQ(RunsAt(50), (Ids{2, 3}));
  state_.tags["t"] = {.commit = {20}};
  EXPECT_EQ(RunsAt(50), (Ids{1, 2}));
  auto later = NewRun(4, 0, 40);
  later->min_commit = 21;
  Add({later});
  EXPECT_EQ(RunsAt(50), (Ids{1, 2, 4})) << "a later commit's";
}

TEST_F(RetireTest, RunsOfADroppedTableGoWithItsLastReader) {
  Add({NewRun(1, 0, 0), NewRun(2, 0, 10), NewRun(3, 25, 0)}, 25);
  EXPECT_EQ(RunsAt(9), Ids{3}) << "shown when it was gone";
  EXPECT_EQ(RunsAt(24), (Ids{2, 3}));
  EXPECT_EQ(RunsAt(25), (Ids{1, 2, 3}));
  state_.tags["t"] = {.commit = {24}};
  EXPECT_EQ(RunsAt(25), (Ids{2, 3}));
}

TEST_F(RetireTest, VersionsGoWithTheirTimesAndTheOldestNeverGoesBack) {
  const auto plan = PlanRetire(state_, {30});
  EXPECT_EQ(plan.versions, 2u);
  EXPECT_EQ(plan.times, (std::vector<std::string>{TimesName({10}), TimesName({20})}));
  EXPECT_EQ(plan.bytes, 14u);
  state_.oldest = {40};
  EXPECT_EQ(PlanRetire(state_, {30}).oldest.value, 40u);
}

}  // namespace
}  // namespace varve
