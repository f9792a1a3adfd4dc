// SPDX-License-Identifier: Apache-2.0
// What a program has allocated, by malloc's own count and by Arrow's.
#pragma once

#include <arrow/memory_pool.h>
#include <malloc.h>

#include <cstdint>

namespace varve::testing {

// The malloc of a sanitizer does not count.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kCountsHeap = false;
#else
inline constexpr bool kCountsHeap = true;
#endif

inline std::int64_t HeapBytes() {
  const auto heap = ::mallinfo2();
  const auto* const pool = arrow::default_memory_pool();
  const auto arrows = pool->backend_name() == "system" ? 0 : pool->bytes_allocated();
  return static_cast<std::int64_t>(heap.uordblks + heap.hblkhd) + arrows;
}

}  // namespace varve::testing
