// SPDX-License-Identifier: Apache-2.0
// BookedPool: our pool of memory (arrow_pool.h), all that is taken of it booked with one holder.
#pragma once

#include <memory>

#include "base/memory_budget.h"

namespace arrow {
class MemoryPool;
}  // namespace arrow

namespace varve {

// Thread-safe. What is taken of it may be kept after the pool was let go of, as rows that a caller
// of a scan keeps are: it stays booked until it is freed.
std::shared_ptr<arrow::MemoryPool> NewBookedPool(std::shared_ptr<MemoryBudget> budget,
                                                 MemoryHolder holder);

}  // namespace varve
