// SPDX-License-Identifier: Apache-2.0
// What Arrow alone makes of a run's rows: its Parquet reader and writer with the properties that
// runs are written with (src/run/run_file_writer.cc), in the calling thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bench/versions/rows.h"

namespace varve::bench {

using Paths = std::vector<std::string>;

// Every row of a file, in batches that are row groups.
std::vector<BatchPtr> ReadParquet(const std::string& path);
// The same, of all files, without keeping any; how many rows there were.
std::int64_t DecodeParquet(const Paths& paths);
// One row group a batch. `sync`: the file is durable on return. Gives its bytes.
std::uint64_t EncodeParquet(const std::string& path, const std::vector<BatchPtr>& groups,
                            bool sync);
// The rows of batches in any order, sorted by the key and cut into row groups.
std::vector<BatchPtr> SortRows(const std::vector<BatchPtr>& batches);
// Ends the program when the files of both sides differ in size by more than three hundredths: then
// they were not written with the same properties, or not of the same rows.
void CheckSameSize(std::uint64_t ours, std::uint64_t arrows);

}  // namespace varve::bench
