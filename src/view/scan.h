// SPDX-License-Identifier: Apache-2.0
// A scan of one table as of one commit: plan the key range, merge, filter, project, limit.
// Filters on values run above version resolution only: a stale version that passes the filter must
// never appear in place of a newer one that does not.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "columns/version_cursor.h"
#include "varve/error.h"
#include "varve/options.h"
#include "varve/snapshot.h"
#include "view/superversion.h"

namespace varve {

// The reader shares `owner` (the superversion) for as long as it lives.
Result<std::shared_ptr<arrow::RecordBatchReader>> NewScan(
    std::shared_ptr<const Superversion> owner, const TableView& table, CommitNumber as_of,
    const ScanOptions& options);
// Only keys within `bounds`, which lie within those of `options`.
Result<std::shared_ptr<arrow::RecordBatchReader>> NewScanWithin(
    std::shared_ptr<const Superversion> owner, const TableView& table, CommitNumber as_of,
    const ScanOptions& options, const KeyBounds& bounds);
Result<ScanPlan> ExplainScan(const TableView& table, CommitNumber as_of,
                             const ScanOptions& options);
Result<std::vector<RunInfo>> ListRuns(const TableView& table, CommitNumber as_of);
Result<std::shared_ptr<arrow::RecordBatch>> GetRows(
    const TableView& table, CommitNumber as_of, const std::shared_ptr<arrow::RecordBatch>& keys,
    std::vector<bool>* found);

// The rows of `keys`, ascending and distinct, as of a commit, with some of the table's columns; in
// memory of their own. Only those of the first keys, at least one, when they would take more than
// `bytes_max`.
struct FoundRows {
  std::shared_ptr<arrow::RecordBatch> rows;
  std::vector<std::int64_t> row_of;  // by key, as many as were looked up; -1: it has none
};
Result<FoundRows> FindRows(const TableView& table, CommitNumber as_of,
                           const std::vector<std::string_view>& keys,
                           const std::vector<int>& columns, std::uint64_t bytes_max);

// Which of these keys have a row as of a commit. Reads no values.
Result<std::vector<bool>> WhichExist(const TableView& table, CommitNumber as_of,
                                     const EncodedKeys& keys);

// A version that is newer than a commit.
struct Newer {
  std::string key;
  CommitNumber commit;
};
// Of these keys, which are distinct and ascending; and of all keys within bounds: versions of
// commits that are in `table`, visible or not. Reads no values.
Result<std::optional<Newer>> FindNewer(const TableView& table,
                                       const std::vector<std::string_view>& keys,
                                       CommitNumber than);
Result<std::optional<Newer>> FindNewer(const TableView& table, const KeyBounds& bounds,
                                       CommitNumber than);

}  // namespace varve
