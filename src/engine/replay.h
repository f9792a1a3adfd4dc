// SPDX-License-Identifier: Apache-2.0
// Replay: a commit of the log into memtables, by whoever opens a database or reads what another
// process writes.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/generation.h"
#include "manifest/manifest.h"
#include "varve/error.h"
#include "varve/log.h"
#include "varve/options.h"

namespace varve {

class Executor;

struct Replayed {
  RecentCommit commit;
  std::optional<Producer> producer;
};

// Memtables for the tables of this state; `executor` may be null.
std::shared_ptr<Generation> NewGeneration(const ManifestState& state, Executor* executor,
                                          const std::shared_ptr<MemoryBudget>& memory);

// Nothing for a commit that the runs hold already. Corruption, named by `where` and position, when
// the unit is no commit, does not follow commit `last`, or writes what the state does not have.
Result<std::optional<Replayed>> ReplayUnit(const LogUnit& unit, const std::string& where,
                                           const ManifestState& state, CommitNumber last,
                                           Generation* into);

}  // namespace varve
