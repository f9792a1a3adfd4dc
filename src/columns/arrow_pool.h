// SPDX-License-Identifier: Apache-2.0
// The pool of memory that what varve makes of Arrow's arrays is taken from: Arrow's default one, or
// one that gives memory back to the system.
//
// Arrow's allocators keep what was freed for the next to come, in each thread: measured, two to
// four times what is in use once scans and writers are many. Large pieces are therefore mapped and
// unmapped one by one, which costs a page fault each 4 KiB, but for some that were freed last and
// are kept for the next of their size.
#pragma once

#include <cstdint>

namespace arrow {
class MemoryPool;
}  // namespace arrow

namespace varve {

// For ever valid.
arrow::MemoryPool* ArrowPool();
// From now on, in this process, all but so many bytes: what was taken before stays where it is.
// With none, glibc's malloc does as much. Of several calls the least counts.
void GiveMemoryBack(std::uint64_t kept_max);
// After much was freed: what malloc keeps goes back to the system too, where it was asked for.
void GiveBackFreed();

}  // namespace varve
