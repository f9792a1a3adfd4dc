// SPDX-License-Identifier: Apache-2.0
// What of a database nobody can ask for any more. Pure functions of the manifest's state; removing
// it is the engine's work: first by an edit, then the objects.
//
// A run is needed while some reader takes it that may come: as of a commit from the oldest readable
// one on, or of one that a tag names. So a tag keeps what it needs and nothing else.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "manifest/manifest.h"

namespace varve {

struct RetirePlan {
  CommitNumber oldest;  // that stays readable
  std::vector<std::shared_ptr<const RunMeta>> runs;
  std::vector<std::string> times;  // names of objects
  std::uint64_t versions = 0;      // that cannot be named any more
  std::uint64_t bytes = 0;         // of runs and times

  std::vector<Edit> Edits() const;
};

// The oldest commit that is to stay readable, so that any moment from `cutoff` on can be named: the
// newest that a flush ended with by then.
CommitNumber OldestAt(const ManifestState& state, WallTime cutoff);

// With `oldest` as the oldest readable commit, or a later one that already is.
RetirePlan PlanRetire(const ManifestState& state, CommitNumber oldest);

// The objects of a run.
std::vector<std::string> ObjectsOf(const RunMeta& run);

}  // namespace varve
