// SPDX-License-Identifier: Apache-2.0
// Bloom filters of key columns: which columns have one, and how a key asks it.
//
// Parquet hashes the plain-encoded physical value. We use filters only where that is the Arrow
// value itself: integers, dates (days), times and timestamps in a unit that Parquet has, durations,
// strings and bytes. Not for floats (-0.0 and 0.0 are one key but two values), decimals, and units
// that are converted on the way.
//
// Arrow does not write encrypted bloom filters: there a row group has one filter of its encoded
// keys, which is ours alone (docs/format.md).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
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

// The filter of the keys of a row group, as bytes, and how a key asks it. `hashes`: KeyHash of each
// of them. They throw Parquet's exceptions.
std::uint64_t KeyHash(std::string_view key);
std::string MakeKeyFilter(const std::vector<std::uint64_t>& hashes);
bool MayContainKey(const std::string& filter, std::string_view key);

// For each top-level field of a file, the indices of its leaf columns.
std::vector<std::vector<int>> LeavesOfFields(const parquet::SchemaDescriptor& schema);

}  // namespace varve
