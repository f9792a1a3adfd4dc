// SPDX-License-Identifier: Apache-2.0
// What the tiered planner chooses, that following it ends, and what the two strategies cost.
#include "upkeep/tiered.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/random.h"

namespace varve {
namespace {

using RunIds = std::vector<std::uint64_t>;
constexpr TieredPlanner::Targets kTiers{.unit_bytes = 100};

std::shared_ptr<RunMeta> SizedRun(std::uint64_t id, std::uint32_t level, std::uint64_t bytes) {
  auto run = std::make_shared<RunMeta>();
  run->id = id;
  run->level = level;
  run->min_key = "a";
  run->max_key = "z";
  run->data = {.name = "d", .bytes = bytes, .rows = 1};
  run->min_commit = run->max_commit = id;
  run->distinct_keys = true;
  return run;
}

RunIds IdsOf(const std::optional<CompactionPlan>& plan) {
  RunIds ids;
  if (plan) {
    for (const auto& run : plan->inputs) ids.push_back(run->id);
  }
  std::ranges::sort(ids);
  return ids;
}

TEST(TieredTest, FourOfLikeSizeAreMergedIntoALevelOfTheirOwn) {
  const TieredPlanner planner(kTiers);
  RunMetas runs = {SizedRun(1, 1, 1700), SizedRun(2, 0, 90), SizedRun(3, 0, 80),
                   SizedRun(4, 0, 99)};
  EXPECT_FALSE(planner.Next(runs));
  runs.push_back(SizedRun(5, 0, 50));
  const auto plan = planner.Next(runs);
  EXPECT_EQ(IdsOf(plan), (RunIds{2, 3, 4, 5}));
  EXPECT_EQ(plan->level, 2u);
  EXPECT_FALSE(plan->only_move);
}

TEST(TieredTest, AllRunsOfALevelAreOneSet) {
  const TieredPlanner planner(kTiers);
  RunMetas runs = {SizedRun(1, 1, 200), SizedRun(2, 1, 200), SizedRun(3, 2, 150),
                   SizedRun(4, 2, 200),
                   SizedRun(5, 3, 399), SizedRun(6, 9, 9000)};
  EXPECT_FALSE(planner.Next(runs));  // 400, 350, 399
  runs.push_back(SizedRun(7, 4, 399));
  runs.push_back(SizedRun(8, 5, 399));
  const auto plan = planner.Next(runs);
  EXPECT_EQ(IdsOf(plan), (RunIds{3, 4, 5, 7, 8}));  // 400 is of the next tier
  EXPECT_EQ(plan->level, 5u);
}

TEST(TieredTest, WhenMostOfTheSpaceMayBeWasteEverythingIsMerged) {
  const TieredPlanner planner(kTiers);
  RunMetas runs = {SizedRun(1, 1, 1000), SizedRun(2, 2, 900), SizedRun(3, 3, 900),
                   SizedRun(4, 0, 90)};
  EXPECT_FALSE(planner.Next(runs));
  runs.push_back(SizedRun(5, 0, 150));
  EXPECT_EQ(IdsOf(planner.Next(runs)), (RunIds{1, 2, 3, 4, 5}));
  EXPECT_EQ(planner.Next(runs)->level, 3u);
}

TEST(TieredTest, AHiddenRunIsLeftAloneAndItsLevelIsFree) {
  const TieredPlanner planner(kTiers);
  RunMetas runs;
  for (std::uint64_t id = 1; id <= 5; ++id) runs.push_back(SizedRun(id, 0, 10));
  auto hidden = SizedRun(6, 1, 10);
  hidden->hidden_from = 9;
  runs.push_back(hidden);
  auto gone = SizedRun(7, 0, 10);
  gone->hidden_from = 9;
  runs.push_back(gone);
  EXPECT_EQ(IdsOf(planner.Next(runs)), (RunIds{1, 2, 3, 4, 5}));
  EXPECT_EQ(planner.Next(runs)->level, 1u);
  EXPECT_EQ(planner.DebtOf(runs).level0_runs, 5u);
  EXPECT_EQ(planner.DebtOf(runs).bytes, 50u);
}

TEST(TieredTest, AllMakesOneSetWithoutDeletes) {
  const TieredPlanner planner(kTiers);
  EXPECT_FALSE(planner.All(RunMetas{}));
  RunMetas runs = {SizedRun(1, 4, 1000), SizedRun(2, 4, 1000)};
  EXPECT_FALSE(planner.All(runs));
  runs.push_back(SizedRun(3, 0, 1));
  EXPECT_EQ(IdsOf(planner.All(runs)), (RunIds{1, 2, 3}));
  EXPECT_EQ(planner.All(runs)->level, 4u);
  auto deletes = SizedRun(4, 2, 10);
  deletes->deletes.rows = 1;
  EXPECT_EQ(IdsOf(planner.All(RunMetas{deletes})), (RunIds{4}));
}

// A table whose runs are sets of keys, each of a byte: flushes, and the compactions that follow.
class TierSimulation {
 public:
  explicit TierSimulation(const CompactionPlanner& planner) : planner_(planner) {}

  void Flush(const std::set<int>& keys) {
    Add(0, keys);
    for (int steps = 0; const auto plan = planner_.Next(metas_); ++steps) {
      ASSERT_LT(steps, 100) << "it does not end";
      Compact(*plan);
    }
    sets_max_ = std::max(sets_max_, metas_.size());
    space_max_ = std::max(space_max_, space());
  }
  std::uint64_t written() const { return written_; }
  std::uint64_t space_max() const { return space_max_; }
  std::size_t runs_max() const { return sets_max_; }
  std::uint64_t space() const {
    std::uint64_t bytes = 0;
    for (const auto& run : metas_) bytes += run->data.bytes;
    return bytes;
  }

 private:
  void Add(std::uint32_t level, const std::set<int>& keys) {
    auto run = SizedRun(++id_, level, keys.size());
    run->min_key = fmt::format("{:06}", *keys.begin());
    run->max_key = fmt::format("{:06}", *keys.rbegin());
    metas_.push_back(run);
    keys_[run->id] = keys;
    written_ += keys.size();
  }
  void Compact(const CompactionPlan& plan) {
    std::set<int> merged;
    for (const auto& input : plan.inputs) {
      const auto at = std::ranges::find(metas_, input->id, [](const auto& run) { return run->id; });
      ASSERT_NE(at, metas_.end());
      if (plan.only_move) {
        auto moved = std::make_shared<RunMeta>(**at);
        moved->level = plan.level;
        *at = moved;
        return;
      }
      merged.insert(keys_[input->id].begin(), keys_[input->id].end());
      metas_.erase(at);
    }
    constexpr std::size_t kKeysOfARun = 100;
    std::set<int> part;
    for (const int key : merged) {
      part.insert(key);
      if (part.size() < kKeysOfARun) continue;
      Add(plan.level, part);
      part.clear();
    }
    if (!part.empty()) Add(plan.level, part);
    CheckLevels();
  }
  void CheckLevels() const {
    for (const auto& a : metas_) {
      for (const auto& b : metas_) {
        if (a->level == 0 || a->level != b->level || a->id >= b->id) continue;
        ASSERT_TRUE(a->max_key < b->min_key || b->max_key < a->min_key) << "level " << a->level;
      }
    }
  }

  const CompactionPlanner& planner_;
  RunMetas metas_;
  std::map<std::uint64_t, std::set<int>> keys_;
  std::uint64_t id_ = 0;
  std::uint64_t written_ = 0;
  std::uint64_t space_max_ = 0;
  std::size_t sets_max_ = 0;
};

// 10,000 keys, overwritten 10 times in random order, flushed 100 at a time. Tiered must write less;
// leveled must take less space.
TEST(TieredTest, AgainstLeveledItWritesLessAndTakesMoreSpace) {
  const TieredPlanner tiered(kTiers);
  const LeveledPlanner leveled({.level1_bytes = 200, .moved_bytes_min = 12});
  TierSimulation with_tiers(tiered), with_levels(leveled);
  SeededRandom random(7);
  constexpr int kKeys = 10'000, kFlushes = 1'000;
  for (int flush = 0; flush < kFlushes; ++flush) {
    std::set<int> keys;
    while (keys.size() < 100) keys.insert(static_cast<int>(random.Below(kKeys)));
    ASSERT_NO_FATAL_FAILURE(with_tiers.Flush(keys));
    ASSERT_NO_FATAL_FAILURE(with_levels.Flush(keys));
  }
  const double came = 100.0 * kFlushes;
  const double tiers = static_cast<double>(with_tiers.written()) / came;
  const double levels = static_cast<double>(with_levels.written()) / came;
  fmt::print("write amplification: tiered {:.1f}, leveled {:.1f}; space at most: {:.2f}, {:.2f}\n",
             tiers, levels, static_cast<double>(with_tiers.space_max()) / kKeys,
             static_cast<double>(with_levels.space_max()) / kKeys);
  EXPECT_LT(tiers * 1.5, levels);
  EXPECT_GT(with_tiers.space_max(), with_levels.space_max());
  EXPECT_LT(with_tiers.space_max(), 4u * kKeys);  // but never without bound
}

}  // namespace
}  // namespace varve
