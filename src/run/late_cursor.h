// SPDX-License-Identifier: Apache-2.0
// A cursor over a run that is opened when the cursor starts, and let go of at its end: so a merge
// of many runs that do not overlap holds the tails of those alone that it has come to.
#pragma once

#include <memory>
#include <vector>

#include "base/memory_budget.h"
#include "columns/version_cursor.h"
#include "run/run.h"

namespace varve {

class Executor;

// As OpenRun::NewCursor. What opening the run gives comes with the first move.
std::unique_ptr<VersionCursor> NewLateCursor(std::shared_ptr<const Run> run,
                                             const std::vector<int>& columns,
                                             const KeyBounds& bounds,
                                             const std::vector<bool>* left_out = nullptr,
                                             Executor* executor = nullptr,
                                             MemoryHolder holder = MemoryHolder::kReads);

}  // namespace varve
