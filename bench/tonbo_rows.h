// SPDX-License-Identifier: Apache-2.0
// The workload of tonbo's own harness: `id: utf8` and `v: int64`, keys of a small space, so that
// most rows are overwritten. bench/tonbo makes the same.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "bench/versions/rows.h"
#include "varve/varve.h"

namespace varve::bench {

inline constexpr const char* kSmallTable = "small";

struct TonboWorkload {
  std::int64_t batches, rows, keys;
};
inline constexpr TonboWorkload kTonboWorkloads[] = {{640, 64, 2'048}, {2'048, 128, 65'536}};

// As the harness draws them.
BatchPtr SmallBatch(std::int64_t number, std::int64_t rows, std::int64_t keys);
std::unique_ptr<Database> OpenSmall(const std::string& dir);

}  // namespace varve::bench
