// SPDX-License-Identifier: Apache-2.0
// Compact: makes runs with the newest version of each key out of runs that may have many of it. The
// outputs do not overlap and are of one level. No reader sees a difference: see RunMeta and
// docs/design/0017. Publishing is the engine's work, in one manifest edit.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "columns/table_schema.h"
#include "files/object_store.h"
#include "run/run.h"
#include "run/run_meta.h"
#include "varve/error.h"

namespace varve {

struct Compaction {
  std::string table_name;
  std::uint32_t table_id = 0;
  std::uint32_t schema_id = 0;
  std::shared_ptr<const TableSchema> schema;
  std::vector<std::shared_ptr<const Run>> inputs;  // under `schema`
  std::uint32_t level = 1;                         // of the outputs
  bool only_move = false;                          // the one input itself goes to that level
  std::uint64_t altered = 0;  // the commit from which on the table has that schema
  // Of the other runs of the table, those that may have older versions of keys that the inputs
  // have, and that some reader takes together with the outputs. Deletes of other keys are dropped.
  std::vector<std::shared_ptr<const RunMeta>> older = {};
  // An output ends at the next key once it has so many bytes of rows, in memory.
  std::uint64_t run_bytes_max = 256ull << 20;
  std::stop_token stop = {};

  // From which commit on readers take the outputs, and the inputs no more.
  std::uint64_t shown_from() const;
};

// Which of a table's runs are `older`, once the inputs are chosen.
std::vector<std::shared_ptr<const RunMeta>> FindOlder(
    const std::vector<std::shared_ptr<const RunMeta>>& runs, const Compaction& compaction);

// The outputs' metadata, by key; none when every key is deleted. Their ids are asked of
// `next_run_id`. Needs memory for a row group or two of each input and one of output. After an
// error nothing is left, or the message says what. Invalid, once `stop` was requested.
Result<std::vector<std::shared_ptr<const RunMeta>>> CompactRuns(
    ObjectStore* store, const Compaction& compaction,
    const std::function<std::uint64_t()>& next_run_id);

}  // namespace varve
