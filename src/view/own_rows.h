// SPDX-License-Identifier: Apache-2.0
// A transaction's own rows in the merge: newer than every version that it sees of the others.
//
// Own rows are numbered by statement, the others by commit. So the others are cut at the snapshot
// before the merge, own rows at the statement at which the scan began (a cursor may be made later,
// and the transaction writes on), they get numbers above all others, and the merge is read as of
// kNewest.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <vector>

#include "columns/version_cursor.h"
#include "memtable/memtable.h"

namespace varve {

inline constexpr std::uint64_t kNewest = std::numeric_limits<std::uint64_t>::max();

// Adds what the first statements of `own` wrote to the cursors of a table, which from then on show
// nothing after `as_of`.
void PutOnTop(const Memtable& own, std::uint64_t statements, const std::vector<int>& columns,
              const KeyBounds& bounds, std::uint64_t as_of,
              std::vector<std::unique_ptr<VersionCursor>>* cursors);

}  // namespace varve
