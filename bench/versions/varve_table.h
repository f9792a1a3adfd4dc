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

std::unique_ptr<Database> CreateOrders(const std::string& dir, OpenOptions options);
// Keys 0 to rows - 1 in order, in large commits that are not synced one by one; then flushed.
void LoadOrders(Database* database, std::int64_t rows);
// Reads to the end; how many rows there were.
std::int64_t DrainRows(arrow::RecordBatchReader* reader);

inline constexpr std::int64_t kLoadRows = 1 << 16;

}  // namespace varve::bench
