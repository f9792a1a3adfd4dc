// SPDX-License-Identifier: Apache-2.0
// Which runs of a table are compacted next, by what the manifest says of them. Pure functions of
// the runs: no I/O, nothing remembered.
//
// Only runs that readers of now take are looked at: one that is hidden is somebody's past.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "run/run_meta.h"

namespace varve {

using RunMetas = std::vector<std::shared_ptr<const RunMeta>>;

struct CompactionPlan {
  RunMetas inputs;
  std::uint32_t level = 1;    // of the outputs
  bool only_move = false;     // the inputs go to that level as they are
  bool only_drop = false;     // the inputs go, unread: nobody sees any of it (expired.h)
};

// How far compaction is behind in a table.
struct CompactionDebt {
  std::uint64_t level0_runs = 0;  // each of which every reader looks into
  std::uint64_t bytes = 0;        // that are above where they belong
};

class CompactionPlanner {
 public:
  virtual ~CompactionPlanner() = default;
  virtual CompactionDebt DebtOf(const RunMetaList& runs) const = 0;
  // Nothing: the table is as it should be.
  virtual std::optional<CompactionPlan> Next(const RunMetaList& runs) const = 0;
  // All runs to one level, where they are not too much; nothing when they are, without deletes.
  virtual std::optional<CompactionPlan> All(const RunMetaList& runs) const = 0;
};

// Level 0 has the runs of flushes, which overlap; the runs of a level below do not, and the level
// holds `growth` times the bytes of the one above. The level that is over its size by the most is
// compacted: of level 0 all, or the oldest of very many, of another the run that overlaps least
// below, each with what it overlaps in the level below. What overlaps nothing is moved, unless it
// is small and of level 0, where it is better merged with others.
class LeveledPlanner final : public CompactionPlanner {
 public:
  struct Targets {
    std::uint64_t level0_runs = 4;
    std::uint64_t level1_bytes = 256ull << 20;
    std::uint64_t growth = 10;
    std::uint64_t moved_bytes_min = 32ull << 20;  // of a run of level 0
  };
  explicit LeveledPlanner(const Targets& targets) : targets_(targets) {}
  std::optional<CompactionPlan> Next(const RunMetaList& runs) const override;
  CompactionDebt DebtOf(const RunMetaList& runs) const override;
  std::optional<CompactionPlan> All(const RunMetaList& runs) const override;

 private:
  // What is shown now; whole lists are copied only once there is something to do.
  struct LevelSum {
    std::uint64_t runs = 0;
    std::uint64_t bytes = 0;
  };
  using LevelSums = std::map<std::uint32_t, LevelSum>;
  static LevelSums SumLevels(const RunMetaList& runs);
  // The one that is over its size by the most, if any is.
  std::optional<std::uint32_t> WorstLevel(const LevelSums& levels) const;
  CompactionPlan FromLevel0(const RunMetas& runs) const;

  const Targets targets_;
};

}  // namespace varve
