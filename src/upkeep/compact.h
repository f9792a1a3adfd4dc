// SPDX-License-Identifier: Apache-2.0
// Compact: makes runs with the newest version of each key out of runs that may have many of it. The
// outputs do not overlap and are of one level. No reader sees a difference: see RunMeta and
// docs/design/0017. Publishing is the engine's work, in one manifest edit.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "columns/expiry.h"
#include "columns/table_schema.h"
#include "files/object_store.h"
#include "run/run.h"
#include "run/run_meta.h"
#include "run/run_writer.h"
#include "varve/error.h"

namespace varve {

class Executor;

struct Compaction {
  std::string table_name;
  std::uint32_t table_id = 0;
  std::uint32_t schema_id = 0;
  std::shared_ptr<const TableSchema> schema;
  std::vector<std::shared_ptr<const Run>> inputs;  // under `schema`
  std::uint32_t level = 1;                         // of the outputs
  bool only_move = false;                          // the one input itself goes to that level
  bool only_drop = false;                          // the inputs go, and nothing comes for them
  std::optional<Expiry> expiry = {};  // rows that have expired are as good as deletes
  std::uint64_t altered = 0;  // the commit from which on the table has that schema
  // Of the other runs of the table, those that may have older versions of keys that the inputs
  // have, and that some reader takes together with the outputs. Deletes of other keys are dropped.
  std::vector<std::shared_ptr<const RunMeta>> older = {};
  // An output ends at the next key once it has so many bytes of rows, in memory.
  std::uint64_t run_bytes_max = 256ull << 20;
  std::uint64_t row_group_bytes_max = kRowGroupBytesMax;  // of the outputs
  std::int64_t piece_rows_max = kPieceRowsMax;
  std::uint64_t piece_bytes = kPieceBytes;
  std::shared_ptr<const RunMemory> memory = nullptr;      // null: nobody counts
  std::stop_token stop = {};
  // The keys are cut into at most so many parts, which tasks of the executor merge at once, as far
  // as they come to it; the caller does the rest. Null: the caller does all.
  std::size_t parts_max = 1;
  Executor* executor = nullptr;

  // From which commit on readers take the outputs, and the inputs no more.
  std::uint64_t shown_from() const;
};

// Which of a table's runs are `older`, once the inputs are chosen.
std::vector<std::shared_ptr<const RunMeta>> FindOlder(
    const RunMetaList& runs, const Compaction& compaction);

// The outputs' metadata, by key; none when every key is deleted. Their ids are asked of
// `next_run_id`, from any of the threads. Which rows an output has depends on the compaction alone.
// After an error nothing is left, or the message says what; of several parts each ends then.
// Invalid, once `stop` was requested.
//
// All parts together have `runs_open_max` runs open at most, each with two row groups in memory,
// and a row group of output each. Where more overlap at one key, the smallest are merged first,
// into runs that are removed in the end and written once more for that.
Result<std::vector<std::shared_ptr<const RunMeta>>> CompactRuns(
    ObjectStore* store, const Compaction& compaction,
    const std::function<std::uint64_t()>& next_run_id);

// Bounds of the work, in the whole process. Tests alone change them, so that a few rows are several
// parts and passes: while no database is open, since nothing guards them.
struct CompactionCuts {
  std::uint64_t part_bytes_min = 8ull << 20;  // of files: less is not worth another thread
  std::size_t runs_open_max = 36;             // those of level 0 that are planned at once, and more
};
CompactionCuts& CutsOfCompactions();

}  // namespace varve
