// SPDX-License-Identifier: Apache-2.0
// What a planner chooses, and that following it ends: levels within their sizes, nothing overlaps
// below level 0.
#include "upkeep/plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "test/support/seed.h"

namespace varve {
namespace {

using namespace varve::testing;

constexpr LeveledPlanner::Targets kTargets{
    .level0_runs = 4, .level1_bytes = 1000, .growth = 10, .moved_bytes_min = 50};

std::shared_ptr<RunMeta> NewRun(std::uint64_t id, std::uint32_t level, std::string min,
                                std::string max, std::uint64_t bytes) {
  auto run = std::make_shared<RunMeta>();
  run->id = id;
  run->level = level;
  run->min_key = std::move(min);
  run->max_key = std::move(max);
  run->data = {.name = "d", .bytes = bytes, .rows = 1};
  run->min_commit = run->max_commit = id;
  run->distinct_keys = true;
  return run;
}

std::vector<std::uint64_t> Ids(const std::optional<CompactionPlan>& plan) {
  std::vector<std::uint64_t> ids;
  if (plan) {
    for (const auto& run : plan->inputs) ids.push_back(run->id);
  }
  return ids;
}

using Numbers = std::vector<std::uint64_t>;

TEST(PlanTest, Level0IsDueAtItsNumberOfRunsAndTakesWhatItOverlapsBelow) {
  const LeveledPlanner planner(kTargets);
  RunMetas runs = {NewRun(1, 0, "c", "f", 10), NewRun(2, 0, "a", "d", 10),
                   NewRun(3, 0, "b", "c", 10), NewRun(4, 1, "a", "b", 10),
                   NewRun(5, 1, "f", "h", 10), NewRun(6, 1, "i", "k", 10)};
  EXPECT_FALSE(planner.Next(runs));
  runs.push_back(NewRun(7, 0, "e", "f", 10));
  const auto plan = planner.Next(runs);
  EXPECT_EQ(Ids(plan), (Numbers{1, 2, 3, 7, 4, 5}));
  EXPECT_EQ(plan->level, 1u);
  EXPECT_FALSE(plan->only_move);
}

TEST(PlanTest, OfVeryManyTheOldestGoFirst) {
  RunMetas runs;
  for (std::uint64_t id = 1; id <= 100; ++id) runs.push_back(NewRun(id, 0, "a", "b", 1));
  const auto ids = Ids(LeveledPlanner(kTargets).Next(runs));
  ASSERT_EQ(ids.size(), 32u);
  EXPECT_EQ(ids.back(), 32u);
}

TEST(PlanTest, AHiddenRunIsLeftAlone) {
  const LeveledPlanner planner(kTargets);
  RunMetas runs;
  for (std::uint64_t id = 1; id <= 5; ++id) {
    auto run = NewRun(id, 0, "a", "b", 10);
    if (id < 3) run->hidden_from = 9;
    runs.push_back(run);
  }
  EXPECT_FALSE(planner.Next(runs));
  EXPECT_EQ(Ids(LeveledPlanner(kTargets).All(runs)), (Numbers{3, 4, 5}));
}

TEST(PlanTest, ALargeRunThatOverlapsNothingIsMovedAndASmallOneIsMerged) {
  const LeveledPlanner planner(kTargets);
  RunMetas runs;
  for (std::uint64_t id = 1; id <= 4; ++id) {
    const std::string key = std::to_string(id);
    runs.push_back(NewRun(id, 0, key + "0", key + "9", 49));
  }
  EXPECT_EQ(Ids(planner.Next(runs)), (Numbers{1, 2, 3, 4}));
  runs[2] = NewRun(3, 0, "30", "39", 50);
  const auto plan = planner.Next(runs);
  EXPECT_EQ(Ids(plan), (Numbers{3}));
  EXPECT_TRUE(plan->only_move);
  EXPECT_EQ(plan->level, 1u);
  runs.push_back(NewRun(5, 1, "35", "36", 50));
  EXPECT_FALSE(planner.Next(runs)->only_move);
}

TEST(PlanTest, OfALevelThatIsTooLargeTheCheapestRunGoes) {
  const LeveledPlanner planner(kTargets);
  RunMetas runs = {NewRun(1, 1, "a", "c", 600), NewRun(2, 1, "d", "f", 600),
                   NewRun(3, 2, "a", "b", 500), NewRun(4, 2, "c", "d", 500)};
  const auto plan = planner.Next(runs);  // two below the first, one below the second
  EXPECT_EQ(Ids(plan), (Numbers{2, 4}));
  EXPECT_EQ(plan->level, 2u);
  runs.push_back(NewRun(5, 1, "x", "y", 1));
  EXPECT_EQ(Ids(planner.Next(runs)), (Numbers{5}));
  EXPECT_TRUE(planner.Next(runs)->only_move);
}

TEST(PlanTest, TheLevelThatIsOverItsSizeByTheMostComesFirst) {
  const LeveledPlanner planner(kTargets);
  RunMetas runs = {NewRun(1, 1, "a", "c", 1500), NewRun(2, 2, "a", "c", 25000)};
  EXPECT_EQ(planner.Next(runs)->level, 3u);
  for (std::uint64_t id = 3; id < 15; ++id) runs.push_back(NewRun(id, 0, "a", "b", 1));
  EXPECT_EQ(planner.Next(runs)->level, 1u);  // three times its number
}

TEST(PlanTest, TheDebtIsWhatLiesAboveItsPlace) {
  const LeveledPlanner planner(kTargets);
  RunMetas runs = {NewRun(1, 0, "a", "c", 10), NewRun(2, 0, "a", "c", 10),
                   NewRun(3, 0, "a", "c", 10), NewRun(4, 1, "a", "c", 1500),
                   NewRun(5, 2, "a", "c", 10000)};
  EXPECT_EQ(planner.DebtOf(runs).level0_runs, 3u);
  EXPECT_EQ(planner.DebtOf(runs).bytes, 500u);
  runs.push_back(NewRun(6, 0, "a", "c", 10));
  EXPECT_EQ(planner.DebtOf(runs).bytes, 540u) << "level 0 is due";
  auto hidden = NewRun(7, 1, "a", "c", 5000);
  hidden->hidden_from = 3;
  runs.push_back(hidden);
  EXPECT_EQ(planner.DebtOf(runs).bytes, 540u);
}

TEST(PlanTest, AllOfATableGoesWhereItIsNotTooMuch) {
  const RunMetas runs = {NewRun(1, 0, "a", "b", 9000), NewRun(2, 0, "a", "b", 9000)};
  EXPECT_EQ(LeveledPlanner(kTargets).All(runs)->level, 3u);
}

TEST(PlanTest, AllOfATableIsOneLevelAndThenThereIsNothingToDo) {
  const auto all = [](const RunMetas& runs) { return LeveledPlanner(kTargets).All(runs); };
  EXPECT_FALSE(all({}));
  EXPECT_FALSE(all({NewRun(1, 0, "a", "b", 9)}));
  auto deletes = NewRun(1, 0, "a", "b", 9);
  deletes->deletes = {.name = "x", .bytes = 1, .rows = 1};
  EXPECT_EQ(Ids(all({deletes})), Numbers{1});
  EXPECT_EQ(all({NewRun(1, 3, "a", "b", 9), NewRun(2, 0, "a", "b", 9)})->level, 3u);
  EXPECT_FALSE(all({NewRun(1, 3, "a", "b", 9), NewRun(2, 3, "c", "d", 9)}));
  EXPECT_TRUE(all({NewRun(1, 0, "a", "b", 9), NewRun(2, 0, "c", "d", 9)}));
}

// Flushes of random ranges; each plan is followed as the engine would.
class PlanLife {
 public:
  explicit PlanLife(std::uint64_t seed) : random_(seed) {}

  void Flush() {
    std::string min = Key(), max = Key();
    if (max < min) std::swap(min, max);
    runs_.push_back(NewRun(++id_, 0, min, max, 1 + random_.Below(300)));
  }

  // How many plans it took until nothing was due.
  int Settle() {
    int plans = 0;
    while (const auto plan = planner_.Next(runs_)) {
      EXPECT_FALSE(plan->inputs.empty());
      Follow(*plan);
      if (++plans > 1000) break;
    }
    return plans;
  }

  void ExpectSound() const {
    std::vector<std::uint64_t> bytes(10);
    for (const auto& a : runs_) {
      bytes.at(a->level) += a->data.bytes;
      for (const auto& b : runs_) {
        const bool apart = a == b || a->level != b->level || a->level == 0 ||
                           a->max_key < b->min_key || b->max_key < a->min_key;
        EXPECT_TRUE(apart) << "level " << a->level << ": " << a->min_key << " to " << a->max_key
                           << " and " << b->min_key << " to " << b->max_key;
      }
    }
    EXPECT_LE(bytes[1], kTargets.level1_bytes);
    EXPECT_LE(bytes[2], 10 * kTargets.level1_bytes);
  }

 private:
  std::string Key() { return std::to_string(1000 + random_.Below(9000)); }

  void Follow(const CompactionPlan& plan) {
    std::string min = plan.inputs.front()->min_key, max;
    std::uint64_t bytes = 0;
    for (const auto& run : plan.inputs) {
      min = std::min(min, run->min_key);
      max = std::max(max, run->max_key);
      bytes += run->data.bytes;
      EXPECT_EQ(std::erase(runs_, run), 1u);
    }
    if (plan.only_move) {
      EXPECT_EQ(plan.inputs.size(), 1u);
      runs_.push_back(NewRun(plan.inputs[0]->id, plan.level, min, max, bytes));
      return;
    }
    const std::uint64_t pieces = 1 + bytes / 400;  // cut at keys; a tenth of the rows were old ones
    const std::uint64_t from = std::stoull(min), to = std::stoull(max) + 1;
    const std::uint64_t step = std::max<std::uint64_t>(1, (to - from) / pieces);
    for (std::uint64_t at = from; at < to; at += step) {
      runs_.push_back(NewRun(++id_, plan.level, std::to_string(at),
                             std::to_string(std::min(at + step, to) - 1), bytes / pieces * 9 / 10));
    }
  }

  SeededRandom random_;
  const LeveledPlanner planner_{kTargets};
  RunMetas runs_;
  std::uint64_t id_ = 0;
};

TEST(PlanTest, WhateverIsFlushedPlansEndAndLevelsAreAsTheyShould) {
  for (std::uint64_t life = 0; life < 20; ++life) {
    const std::uint64_t seed = TestSeed() + life;
    SCOPED_TRACE(SeedTrace(seed));
    PlanLife table(seed);
    for (int step = 0; step < 60; ++step) {
      table.Flush();
      ASSERT_LT(table.Settle(), 200);
      table.ExpectSound();
    }
  }
}

}  // namespace
}  // namespace varve
