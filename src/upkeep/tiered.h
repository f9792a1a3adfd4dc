// SPDX-License-Identifier: Apache-2.0
// The tiered strategy (universal, size-tiered): sorted sets of like size are merged with each
// other, so a row is written once for each fourfold growth, and not once for each file that it
// overlaps.
//
// A sorted set is a run of level 0, or all runs of another level, of which none overlap: a merge
// puts its outputs into a level of their own. So what it leaves is what LeveledPlanner understands,
// and the other way round: a database may be opened with either. No order of age is kept between
// sets, and none is needed: readers go by commits (docs/design/0017, 0024).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "upkeep/plan.h"

namespace varve {

class TieredPlanner final : public CompactionPlanner {
 public:
  struct Targets {
    std::uint64_t unit_bytes = 128ull << 20;  // a flush; what is smaller is of the first tier
    std::uint64_t sets = 4;                   // of one tier are merged
    std::uint64_t growth = 4;                 // of one tier to the next
    // Everything is merged when all but the largest set take so much, of that one's bytes: most of
    // it may be what was overwritten.
    std::uint64_t space_percent = 200;
  };
  explicit TieredPlanner(const Targets& targets) : targets_(targets) {}
  std::optional<CompactionPlan> Next(const RunMetaList& runs) const override;
  CompactionDebt DebtOf(const RunMetaList& runs) const override;
  std::optional<CompactionPlan> All(const RunMetaList& runs) const override;

 private:
  struct SortedSet {
    RunMetas runs;
    std::uint64_t bytes = 0;
  };
  static std::vector<SortedSet> SetsOf(const RunMetaList& runs);
  std::uint32_t TierOf(std::uint64_t bytes) const;
  bool TakesTooMuchSpace(const std::vector<SortedSet>& sets) const;

  const Targets targets_;
};

}  // namespace varve
