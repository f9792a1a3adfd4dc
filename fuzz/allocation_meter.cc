// SPDX-License-Identifier: Apache-2.0
// Replaces operator new and delete in the programs of fuzz/. The sanitizers still see every byte:
// they stand behind malloc.
#include "fuzz/allocation_meter.h"

#include <malloc.h>

#include <algorithm>
#include <cstdlib>
#include <new>

namespace {

thread_local std::int64_t held = 0;
thread_local std::int64_t most_held = 0;

void* Counted(void* memory) {
  if (memory == nullptr) throw std::bad_alloc();
  held += static_cast<std::int64_t>(malloc_usable_size(memory));
  most_held = std::max(most_held, held);
  return memory;
}

void Release(void* memory) {
  if (memory == nullptr) return;
  held -= static_cast<std::int64_t>(malloc_usable_size(memory));
  std::free(memory);
}

void* Aligned(std::size_t size, std::align_val_t alignment) {
  const auto unit = static_cast<std::size_t>(alignment);
  return Counted(std::aligned_alloc(unit, (size + unit - 1) / unit * unit));
}

}  // namespace

void* operator new(std::size_t size) { return Counted(std::malloc(size)); }
void* operator new[](std::size_t size) { return Counted(std::malloc(size)); }
void* operator new(std::size_t size, std::align_val_t unit) { return Aligned(size, unit); }
void* operator new[](std::size_t size, std::align_val_t unit) { return Aligned(size, unit); }
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  void* const memory = std::malloc(size);
  return memory == nullptr ? nullptr : Counted(memory);
}
void* operator new[](std::size_t size, const std::nothrow_t& no) noexcept {
  return operator new(size, no);
}
void operator delete(void* memory, const std::nothrow_t&) noexcept { Release(memory); }
void operator delete[](void* memory, const std::nothrow_t&) noexcept { Release(memory); }
void operator delete(void* memory) noexcept { Release(memory); }
void operator delete[](void* memory) noexcept { Release(memory); }
void operator delete(void* memory, std::size_t) noexcept { Release(memory); }
void operator delete[](void* memory, std::size_t) noexcept { Release(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { Release(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { Release(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { Release(memory); }
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept { Release(memory); }

namespace varve::fuzz {

AllocationMeter::AllocationMeter() : before_(held) { most_held = held; }

std::uint64_t AllocationMeter::peak_bytes() const {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(most_held - before_, 0));
}

}  // namespace varve::fuzz
