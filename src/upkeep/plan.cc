// SPDX-License-Identifier: Apache-2.0
#include "upkeep/plan.h"

#include <algorithm>
#include <map>
#include <string>

namespace varve {
namespace {

using RunMetaPtr = std::shared_ptr<const RunMeta>;

constexpr std::size_t kInputsOfLevel0Max = 32;

RunMetas ShownNow(const RunMetaList& runs) {
  RunMetas shown;
  std::ranges::copy_if(runs, std::back_inserter(shown),
                       [](const RunMetaPtr& run) { return run->hidden_from == 0; });
  return shown;
}

std::uint64_t BytesOf(const RunMeta& run) { return run.data.bytes + run.deletes.bytes; }

struct KeySpan {
  std::string min, max;
};

KeySpan SpanOf(const RunMetas& runs) {
  KeySpan span{runs.front()->min_key, runs.front()->max_key};
  for (const auto& run : runs) {
    span.min = std::min(span.min, run->min_key);
    span.max = std::max(span.max, run->max_key);
  }
  return span;
}

bool Overlaps(const RunMeta& run, const KeySpan& span) {
  return run.min_key <= span.max && span.min <= run.max_key;
}

RunMetas Overlapping(const RunMetas& runs, std::uint32_t level, const KeySpan& span) {
  RunMetas found;
  std::ranges::copy_if(runs, std::back_inserter(found), [&](const RunMetaPtr& run) {
    return run->level == level && Overlaps(*run, span);
  });
  return found;
}

// `upper` with what it overlaps in the level where it goes.
CompactionPlan Into(const RunMetas& runs, RunMetas upper, std::uint32_t level) {
  CompactionPlan plan{.inputs = std::move(upper), .level = level};
  for (auto& run : Overlapping(runs, level, SpanOf(plan.inputs))) {
    plan.inputs.push_back(std::move(run));
  }
  plan.only_move = plan.inputs.size() == 1;
  return plan;
}

std::uint64_t SumOf(const RunMetas& runs) {
  std::uint64_t sum = 0;
  for (const auto& run : runs) sum += BytesOf(*run);
  return sum;
}

}  // namespace

LeveledPlanner::LevelSums LeveledPlanner::SumLevels(const RunMetaList& runs) {
  LevelSums levels;
  for (const auto& run : runs) {
    if (run->hidden_from != 0) continue;
    LevelSum& level = levels[run->level];
    ++level.runs;
    level.bytes += BytesOf(*run);
  }
  return levels;
}

std::optional<std::uint32_t> LeveledPlanner::WorstLevel(const LevelSums& levels) const {
  std::optional<std::uint32_t> worst;
  double most = 0;
  double target = static_cast<double>(targets_.level1_bytes);
  std::uint32_t at = 1;
  for (const auto& [level, sum] : levels) {
    double over = static_cast<double>(sum.runs) / static_cast<double>(targets_.level0_runs);
    if (level > 0) {
      for (; at < level; ++at) target *= static_cast<double>(targets_.growth);
      over = static_cast<double>(sum.bytes) / target;
    }
    const bool is_due = level == 0 ? over >= 1 : over > 1;
    if (!is_due || (worst && over <= most) || level == kLevelMax) continue;
    worst = level;
    most = over;
  }
  return worst;
}

// Those that overlap no other run there or below can be moved, one at a time.
CompactionPlan LeveledPlanner::FromLevel0(const RunMetas& runs) const {
  const RunMetas all = Overlapping(runs, 0, SpanOf(runs));
  for (const auto& run : all) {
    if (BytesOf(*run) < targets_.moved_bytes_min) continue;
    const KeySpan span = SpanOf({run});
    if (Overlapping(runs, 0, span).size() > 1 || !Overlapping(runs, 1, span).empty()) continue;
    return {.inputs = {run}, .level = 1, .only_move = true};
  }
  const std::size_t many = std::min(all.size(), kInputsOfLevel0Max);  // each takes memory
  CompactionPlan plan = Into(runs, RunMetas(all.begin(), all.begin() + std::ptrdiff_t(many)), 1);
  plan.only_move = false;
  return plan;
}

std::optional<CompactionPlan> LeveledPlanner::Next(const RunMetaList& all) const {
  const auto level = WorstLevel(SumLevels(all));
  if (!level) return std::nullopt;
  const RunMetas runs = ShownNow(all);
  if (*level == 0) return FromLevel0(runs);
  const auto cost = [&](const RunMetaPtr& run) {
    const auto below = SumOf(Overlapping(runs, *level + 1, SpanOf({run})));
    return static_cast<double>(below) / static_cast<double>(BytesOf(*run) + 1);
  };
  RunMetas here;
  std::ranges::copy_if(runs, std::back_inserter(here),
                       [&](const RunMetaPtr& run) { return run->level == *level; });
  return Into(runs, {*std::ranges::min_element(here, {}, cost)}, *level + 1);
}

CompactionDebt LeveledPlanner::DebtOf(const RunMetaList& all) const {
  CompactionDebt debt;
  auto target = static_cast<double>(targets_.level1_bytes);
  std::uint32_t at = 1;
  for (const auto& [level, sum] : SumLevels(all)) {
    const auto& [runs, bytes] = sum;
    if (level == 0) {
      debt.level0_runs = runs;
      if (debt.level0_runs >= targets_.level0_runs) debt.bytes += bytes;
      continue;
    }
    for (; at < level; ++at) target *= static_cast<double>(targets_.growth);
    const double over = static_cast<double>(bytes) - target;
    if (over > 0) debt.bytes += static_cast<std::uint64_t>(over);
  }
  return debt;
}

std::optional<CompactionPlan> LeveledPlanner::All(const RunMetaList& all) const {
  const RunMetas runs = ShownNow(all);
  if (runs.empty()) return std::nullopt;
  const auto level = runs.front()->level;
  const bool is_one_level = (runs.size() == 1 || level > 0) &&
                            std::ranges::all_of(runs, [level](const RunMetaPtr& run) {
                              return run->level == level && run->deletes.rows == 0 &&
                                     run->distinct_keys;
                            });
  if (is_one_level) return std::nullopt;
  const auto deepest = std::ranges::max(runs, {}, [](const auto& run) { return run->level; });
  std::uint32_t fitting = 1;
  double target = static_cast<double>(targets_.level1_bytes);
  for (; static_cast<double>(SumOf(runs)) > target && fitting < kLevelMax; ++fitting) {
    target *= static_cast<double>(targets_.growth);
  }
  return CompactionPlan{.inputs = runs, .level = std::max(deepest->level, fitting)};
}

}  // namespace varve
