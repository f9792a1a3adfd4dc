// SPDX-License-Identifier: Apache-2.0
#include "upkeep/tiered.h"

#include <algorithm>
#include <cstddef>
#include <set>

namespace varve {
namespace {

constexpr std::size_t kSetsMergedMax = 32;  // each takes memory

// The deepest level of the inputs is free when they are gone, unless they are of level 0 alone:
// then it is the first that nobody uses.
std::optional<std::uint32_t> LevelFor(const RunMetas& inputs, const std::set<std::uint32_t>& used) {
  std::uint32_t level = 0;
  for (const auto& run : inputs) level = std::max(level, run->level);
  if (level > 0) return level;
  for (level = 1; level <= kLevelMax; ++level) {
    if (!used.contains(level)) return level;
  }
  return std::nullopt;
}

}  // namespace

std::vector<TieredPlanner::SortedSet> TieredPlanner::SetsOf(const RunMetaList& runs) {
  std::vector<SortedSet> sets;
  std::map<std::uint32_t, std::size_t> of_level;
  for (const auto& run : runs) {
    if (run->hidden_from != 0) continue;
    std::size_t at = sets.size();
    if (run->level > 0) at = of_level.try_emplace(run->level, at).first->second;
    if (at == sets.size()) sets.emplace_back();
    sets[at].runs.push_back(run);
    sets[at].bytes += run->data.bytes + run->deletes.bytes;
  }
  return sets;
}

std::uint32_t TieredPlanner::TierOf(std::uint64_t bytes) const {
  std::uint32_t tier = 0;
  for (bytes /= targets_.unit_bytes; bytes >= targets_.growth; bytes /= targets_.growth) ++tier;
  return bytes == 0 ? 0 : tier + 1;
}

bool TieredPlanner::TakesTooMuchSpace(const std::vector<SortedSet>& sets) const {
  if (sets.size() < targets_.sets) return false;
  std::uint64_t all = 0, largest = 0;
  for (const SortedSet& set : sets) {
    all += set.bytes;
    largest = std::max(largest, set.bytes);
  }
  const auto rest = static_cast<double>(all - largest);
  return rest * 100 > static_cast<double>(largest) * static_cast<double>(targets_.space_percent) &&
         largest >= targets_.unit_bytes * targets_.growth;
}

// The lowest tier that is full, and with it the tiers below, which would follow soon; when space is
// wasted, everything; else nothing.
std::optional<CompactionPlan> TieredPlanner::Next(const RunMetaList& runs) const {
  std::vector<SortedSet> sets = SetsOf(runs);
  std::set<std::uint32_t> used;
  std::map<std::uint32_t, std::size_t> count;
  for (const SortedSet& set : sets) {
    used.insert(set.runs.front()->level);
    ++count[TierOf(set.bytes)];
  }
  const bool all = TakesTooMuchSpace(sets);
  const auto full = std::ranges::find_if(
      count, [&](const auto& tier) { return tier.second >= targets_.sets; });
  if (!all && full == count.end()) return std::nullopt;
  std::ranges::stable_sort(sets, {}, &SortedSet::bytes);  // the smallest go first, and the oldest
  CompactionPlan plan;
  std::size_t merged = 0;
  for (const SortedSet& set : sets) {
    if (merged == kSetsMergedMax || (!all && TierOf(set.bytes) != full->first)) continue;
    plan.inputs.insert(plan.inputs.end(), set.runs.begin(), set.runs.end());
    ++merged;
  }
  const auto level = LevelFor(plan.inputs, used);
  if (!level) return All(runs);
  plan.level = *level;
  return plan;
}

// How many runs readers look into; what a larger merge has yet to do is no reason to wait.
CompactionDebt TieredPlanner::DebtOf(const RunMetaList& runs) const {
  CompactionDebt debt;
  for (const auto& run : runs) {
    if (run->hidden_from != 0 || run->level > 0) continue;
    ++debt.level0_runs;
    debt.bytes += run->data.bytes + run->deletes.bytes;
  }
  if (debt.level0_runs < targets_.sets) debt.bytes = 0;
  return debt;
}

std::optional<CompactionPlan> TieredPlanner::All(const RunMetaList& runs) const {
  const std::vector<SortedSet> sets = SetsOf(runs);
  const auto is_clean = [](const auto& run) {
    return run->deletes.rows == 0 && run->distinct_keys;
  };
  if (sets.empty() || (sets.size() == 1 && std::ranges::all_of(sets[0].runs, is_clean))) {
    return std::nullopt;
  }
  CompactionPlan plan;
  for (const SortedSet& set : sets) {
    plan.inputs.insert(plan.inputs.end(), set.runs.begin(), set.runs.end());
  }
  for (const auto& run : plan.inputs) plan.level = std::max(plan.level, run->level);
  return plan;
}

}  // namespace varve
