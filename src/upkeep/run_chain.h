// SPDX-License-Identifier: Apache-2.0
// RunChain: runs that lie apart, one after the other as one cursor, of which one is open at a time.
// So a merge of many runs opens as many as there are versions of a key at most, not all.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "columns/version_cursor.h"
#include "run/run.h"

namespace varve {

// By key; the last key of each is below the first of the next.
using RunsApart = std::vector<std::shared_ptr<const Run>>;

// The runs that may have keys within `bounds`, in as few chains as there can be: as many as overlap
// at one key.
std::vector<RunsApart> ChainsOf(const std::vector<std::shared_ptr<const Run>>& runs,
                                const KeyBounds& bounds = {});

std::uint64_t BytesOf(const RunsApart& runs);  // of their objects

// All versions within `bounds`. Opens a run when the one before has ended.
std::unique_ptr<VersionCursor> NewChainCursor(RunsApart runs, std::vector<int> columns,
                                              KeyBounds bounds);

}  // namespace varve
