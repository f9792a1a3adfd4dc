// SPDX-License-Identifier: Apache-2.0
// A database that was killed with all its commits in its log, to be damaged.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bench/log_damage/folder.h"
#include "bench/log_damage/system.h"

namespace varve::bench {

struct Victim {
  std::vector<State> states;       // [n]: after n commits
  std::vector<Folder> history;     // [n]: the folder then
  std::vector<std::string> files;  // of the log, the oldest first

  const Folder& folder() const { return history.back(); }
  const std::string& Bytes(const std::string& path) const { return folder().at(path); }
  // Whether these bytes touch a block of 4 KiB that the last commit changed.
  bool InLastCommit(const std::string& path, std::uint64_t from, std::uint64_t end) const;
};

// In `dir`, which is removed. The same seed makes the same commits.
Victim MakeVictim(System* system, const std::string& dir, std::uint64_t seed);

}  // namespace varve::bench
