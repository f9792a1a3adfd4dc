// SPDX-License-Identifier: Apache-2.0
// What a scan will do, settled before the first byte is read: columns, filter, keys, sources.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "columns/version_cursor.h"
#include "varve/error.h"
#include "varve/options.h"
#include "view/filter.h"
#include "view/key_range.h"
#include "view/superversion.h"
#include "view/value_pruning.h"

namespace varve {

struct ScanRecipe {
  std::shared_ptr<arrow::Schema> output;      // the projected columns, in the caller's order
  std::shared_ptr<arrow::Schema> read;        // the columns that cursors give
  std::vector<int> read_columns;              // indices into the table's schema
  std::vector<int> output_places;             // for each of output, its place in read
  std::vector<int> filter_places;             // for each of filter->columns(), its place in read
  std::optional<FilterEvaluator> filter;      // the caller's, and what leaves out expired rows
  PrunedGroups pruned;  // by NewScan and ExplainScan, which know the sources
  std::string filter_text;
  std::stop_token stop;
  PlannedRange range;
};

// Indices of the columns of these names; of all when there are none. Errors: NotFound; Invalid (a
// column asked for twice).
Result<std::vector<int>> ColumnsOf(const arrow::Schema& schema,
                                   const std::optional<std::vector<std::string>>& names);
std::shared_ptr<arrow::Schema> SelectFields(const arrow::Schema& schema,
                                            const std::vector<int>& columns);
Status CheckBatchRows(std::int64_t batch_rows_max);

// Errors: Invalid (a column asked for twice, a filter or range that does not fit, a batch size
// below one), NotFound (column).
Result<ScanRecipe> PrepareScan(const TableView& table, const ScanOptions& options);

// Why a source needs not be read at all; empty when it must be.
std::string WhySkipped(const Memtable& memtable, const PlannedRange& range);
std::string WhySkipped(const Run& run, const KeyBounds& bounds, std::uint64_t as_of);
// The same as one word, for each run of each scan.
enum class Skip : std::uint8_t { kNo, kNewer, kOutOfRange, kNotShownYet, kNotShownAnyMore };
Skip SkipOf(const Run& run, const KeyBounds& bounds, std::uint64_t as_of);

// What the merge of OpenCursors' versions is to be read as of.
std::uint64_t MergeAsOf(const TableView& table, std::uint64_t as_of);

// One cursor for each source that can hold a version within `bounds` that is visible as of `as_of`,
// without the row groups of `pruned`. `executor` reads ahead (OpenRun::NewCursor).
using Cursors = std::vector<std::unique_ptr<VersionCursor>>;
Result<Cursors> OpenCursors(const TableView& table, const std::vector<int>& columns,
                            const KeyBounds& bounds, std::uint64_t as_of,
                            const PrunedGroups& pruned = {}, Executor* executor = nullptr);

}  // namespace varve
