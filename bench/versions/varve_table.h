// SPDX-License-Identifier: Apache-2.0
// A varve database with the benchmark's table in it.
#pragma once

#include <memory>
#include <string>

#include "bench/versions/rows.h"
#include "varve/varve.h"

namespace arrow {
class RecordBatchReader;
}  // namespace arrow

namespace varve::bench {

std::unique_ptr<Database> CreateOrders(const std::string& dir, OpenOptions options,
                                       const Components& components = {});
// Keys 0 to rows - 1 in order, in large commits that are not synced one by one; then flushed.
void LoadOrders(Database* database, std::int64_t rows);
// Asks for every key once, so that the read cache holds all of the table.
void WarmOrders(Database* database, std::int64_t rows);
// Reads to the end; how many rows there were.
std::int64_t DrainRows(arrow::RecordBatchReader* reader);

inline constexpr std::int64_t kLoadRows = 1 << 16;
// For lookups: as much as RocksDB's block cache has, more than the decoded tables take.
inline constexpr std::uint64_t kReadCacheBytes = 4ull << 30;

}  // namespace varve::bench
