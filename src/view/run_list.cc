// SPDX-License-Identifier: Apache-2.0
// Snapshot::Runs: the files of a table, for people and tools that look at how it lies.
#include <arrow/record_batch.h>

#include <string_view>
#include <vector>

#include "base/result.h"
#include "view/scan.h"

namespace varve {

Result<std::vector<RunInfo>> ListRuns(const TableView& table, CommitNumber as_of) {
  std::vector<RunInfo> runs;
  for (const auto& run : table.runs) {
    const RunMeta& meta = run->meta();
    if (meta.min_commit > as_of.value || as_of.value < meta.shown_from) continue;
    RunInfo info{.id = meta.id,
                 .level = meta.level,
                 .name = meta.data.name,
                 .deletes_name = meta.deletes.name,
                 .rows = meta.data.rows,
                 .deletes = meta.deletes.rows,
                 .bytes = meta.data.bytes + meta.deletes.bytes,
                 .first_commit = {meta.min_commit},
                 .last_commit = {meta.max_commit},
                 .first_key = meta.min_key,
                 .last_key = meta.max_key,
                 .keys = nullptr,
                 .hidden = !meta.IsShownAt(as_of.value)};
    const std::vector<std::string_view> ends = {meta.min_key, meta.max_key};
    VARVE_ASSIGN(info.keys, table.schema->key_codec().Decode(ends));
    runs.push_back(std::move(info));
  }
  return runs;
}

}  // namespace varve
