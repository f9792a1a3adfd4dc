// SPDX-License-Identifier: Apache-2.0
// Which runs have expired: those that hold nothing but rows whose time to live is over, by the
// statistics in their footers. They go without being read (docs/design/0023).
#pragma once

#include <cstdint>
#include <map>
#include <optional>

#include "columns/expiry.h"
#include "run/run.h"
#include "upkeep/plan.h"

namespace varve {

// What a run's rows have in the column that they expire by, under one schema of the table.
struct RunTimes {
  std::uint32_t schema_id = 0;
  std::optional<std::int64_t> first;  // the least; nothing when it is not known, or there is none
  std::optional<std::int64_t> last;   // the greatest; nothing also when a row lives for ever
};
using TimesOfRuns = std::map<std::uint64_t, RunTimes>;  // by run id

// What is known of a table's runs. Of another schema than the table's it says nothing.
struct KnownTimes {
  const TimesOfRuns& runs;
  std::uint32_t schema_id = 0;  // the table's
};

// Opens the run, which shows its rows under the schema of this id. Rows expire under that.
Result<RunTimes> ReadRunTimes(const Run& run, const TableSchema& schema, std::uint32_t schema_id);

// The runs whose rows have all expired, as far as `times` tells: those of which nothing but what
// goes with them is below are to be dropped as they are. If there is none of these, one that leaves
// deletes in its place. `altered`: the last commit that changed the table's columns.
std::optional<CompactionPlan> PlanExpired(const RunMetaList& runs, const KnownTimes& times,
                                          const Expiry& expiry, std::uint64_t altered);

// A run in which some rows have.
std::optional<CompactionPlan> PlanPartlyExpired(const RunMetaList& runs, const KnownTimes& times,
                                                const Expiry& expiry);

}  // namespace varve
