// SPDX-License-Identifier: Apache-2.0
// Arrow's own Parquet reader, as a measure for scans.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace varve::bench {

// Decodes every row of the files into record batches of 65,536 rows with Arrow's threads on; how
// many rows there were. Without `columns` every column.
std::int64_t ScanArrow(const std::vector<std::string>& files,
                       const std::vector<std::string>& columns = {});

}  // namespace varve::bench
