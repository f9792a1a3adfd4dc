// SPDX-License-Identifier: Apache-2.0
// What became of a table that is not there any more: older versions still show it.
#pragma once

#include <optional>
#include <string>

#include "varve/database.h"

namespace varve::cli {

struct FormerTable {
  std::shared_ptr<Snapshot> last;  // the newest that shows it; the commit behind it took it away
  std::string renamed_to;          // by that commit; empty: it dropped it
};

// The newest table of this name that versions before commit `before` show, which does not. Nothing
// when there is none, or none as of the newest thousand versions that the database lists.
std::optional<FormerTable> FindFormerTable(const Database& database, const std::string& name,
                                           CommitNumber before);

// "; orders was dropped in commit 7, and scan --at 6 still shows it"; empty when there is none.
std::string DescribeFormerTable(const Database& database, const std::string& name,
                                CommitNumber before);

}  // namespace varve::cli
