// SPDX-License-Identifier: Apache-2.0
// Every form of operator new and delete but those for aligned memory, so that a sanitizer finds
// none of its own among them.
#include "test/support/failing_memory.h"

#include <algorithm>
#include <cstdlib>
#include <new>

namespace {

thread_local int until_failure = 0;  // allocations; 0: none fails
thread_local std::size_t largest = 0;

void* Allocate(std::size_t size) noexcept {
  largest = std::max(largest, size);
  if (until_failure > 0 && --until_failure == 0) return nullptr;
  return std::malloc(size == 0 ? 1 : size);
}

}  // namespace

void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return Allocate(size); }
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept { return Allocate(size); }
void* operator new(std::size_t size) {
  void* const memory = Allocate(size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
void* operator new[](std::size_t size) { return operator new(size); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete[](void* memory, const std::nothrow_t&) noexcept { std::free(memory); }

namespace varve::testing {

FailingAllocation::FailingAllocation(int nth) { until_failure = nth; }
FailingAllocation::~FailingAllocation() { until_failure = 0; }
bool FailingAllocation::hit() const { return until_failure == 0; }

LargestAllocation::LargestAllocation() { largest = 0; }
std::size_t LargestAllocation::bytes() const { return largest; }

}  // namespace varve::testing
