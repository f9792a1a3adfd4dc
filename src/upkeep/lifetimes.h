// SPDX-License-Identifier: Apache-2.0
// Whether the runs of a table show each reader what was written: of each key, whichever runs a
// reader takes (RunMeta::IsShownAt), it finds the newest version that is not after its commit.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "columns/expiry.h"
#include "run/run.h"
#include "varve/error.h"
#include "varve/types.h"

namespace varve {

struct LostVersion {
  std::uint64_t run_id = 0;       // that has it
  std::string key;                // encoded
  std::uint64_t commit = 0;       // its own
  std::uint64_t as_of = 0;        // a reader as of this commit is to see it, or that it is deleted
  std::uint64_t seen_commit = 0;  // and sees this version instead; 0: none
};

// Which rows of a run compaction may have taken for expired: those that have by one of these, which
// are of the schema that the run shows its rows under; or any.
struct RunExpiry {
  std::vector<Expiry> by;
  bool any = false;
};
using ExpiryOf = std::function<RunExpiry(const RunMeta&)>;

// Reads the keys of all runs, in one pass, and compares for each key what readers see at the commit
// from which on a run that has it is hidden; not of runs that are hidden from `oldest` on, which
// only tags keep: what came after theirs may have been let go. A row that may have expired, with
// nothing older to be seen in its place, is not lost; without `expiry_of` none may. Calls `found`
// for the first finding of each run. An error is one of reading.
Status FindLostVersions(const std::vector<std::shared_ptr<const Run>>& runs, CommitNumber oldest,
                        const std::function<void(const LostVersion&)>& found,
                        const ExpiryOf& expiry_of = nullptr);

}  // namespace varve
