// SPDX-License-Identifier: Apache-2.0
// What becomes of a table when some of its runs cannot be trusted (docs/design/0022).
//
// A compaction's inputs stay, hidden, for as long as the window lasts. So when one of its outputs
// is lost, the table goes back to before that compaction: every run that is shown only since then
// goes, sound or not, and every run that is hidden only since then is shown again. Nothing is lost.
// Where the inputs are gone the rows are, too.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "files/object_store.h"
#include "manifest/manifest.h"
#include "varve/backup.h"

namespace varve {

struct RepairedTable {
  std::vector<std::shared_ptr<const RunMeta>> runs;  // that stay, as they are shown from now on
  std::vector<LostRun> lost;                         // those that cannot be trusted
  std::vector<std::shared_ptr<const RunMeta>> not_needed;  // sound: their inputs are used again
  CommitNumber oldest;  // older versions cannot be read any more; zero: as before
  // Readers as of these commits would miss rows: from the first one on, before the second.
  std::vector<std::pair<CommitNumber, CommitNumber>> unreadable;
};

// `damaged`: why, by run id. `state` has the table. Reads keys of runs; errors are of reading.
Result<RepairedTable> RepairRuns(ObjectStore* store, const ManifestState& state,
                                 const TableState& table,
                                 const std::map<std::uint64_t, std::string>& damaged);

}  // namespace varve
