// SPDX-License-Identifier: Apache-2.0
// CommitWindow: consecutive commits, as changes are read: those after one, through another.
#pragma once

#include <cstdint>
#include <functional>

namespace varve {

struct CommitWindow {
  std::uint64_t after = 0;    // not of them
  std::uint64_t through = 0;  // the last of them; not below `after`

  bool Contains(std::uint64_t commit) const { return commit > after && commit <= through; }
  // Whether any of [first, last] is one of them.
  bool Overlaps(std::uint64_t first, std::uint64_t last) const {
    return last > after && first <= through;
  }
  std::uint64_t commits() const { return through - after; }
};

// Told how many versions a commit has; of one commit in as many calls as come.
using CountCommit = std::function<void(std::uint64_t commit, std::uint64_t rows)>;

}  // namespace varve
