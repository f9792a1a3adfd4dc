// SPDX-License-Identifier: Apache-2.0
// Cuts the keys of some runs into ranges that can be merged at once: all versions of a key are in
// one range, and each range has about as many bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "columns/version_cursor.h"
#include "run/run.h"
#include "varve/error.h"

namespace varve {

// At most `parts` ranges, one at least, ascending: the first begins before all keys, the last ends
// after all, and each ends where the next begins. None has, as far as can be told without reading
// rows, less than `bytes_min` bytes of the runs' files. Where to cut is told by the first keys of
// the row groups of large runs, which it opens, 64 at most, and the bounds of small ones. The same
// runs are always cut in the same way.
Result<std::vector<KeyBounds>> CutIntoParts(const std::vector<std::shared_ptr<const Run>>& runs,
                                            std::size_t parts, std::uint64_t bytes_min);

}  // namespace varve
