// SPDX-License-Identifier: Apache-2.0
// Bloom filters of key columns: which columns have one, and how a key asks it.
//
// Parquet hashes the plain-encoded physical value. We use filters only where that is the Arrow
// value itself: integers, dates (days), times and timestamps in a unit that Parquet has, durations,
// strings and bytes. Not for floats (-0.0 and 0.0 are one key but two values), decimals, and units
// that are converted on the way.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "varve/error.h"

namespace arrow {
class DataType;
struct Scalar;
}  // namespace arrow
namespace parquet {
class BloomFilter;
class SchemaDescriptor;
}  // namespace parquet

namespace varve {

bool HasKeyFilter(const arrow::DataType& type);

// False: no row has this value. True: some may have.
bool MayContain(const parquet::BloomFilter& filter, const arrow::Scalar& value);

// For each top-level field of a file, the indices of its leaf columns.
std::vector<std::vector<int>> LeavesOfFields(const parquet::SchemaDescriptor& schema);

}  // namespace varve
