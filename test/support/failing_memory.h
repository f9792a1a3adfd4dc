// SPDX-License-Identifier: Apache-2.0
// Lets one allocation fail, and tells how large they were. A program that uses it links
// failing_memory.cc, which replaces operator new.
#pragma once

#include <cstddef>

namespace varve::testing {

// The n-th operator new of this thread from now on, counted from 1, throws std::bad_alloc (or gives
// null, where it must not throw), once. One at a time in a thread.
class FailingAllocation {
 public:
  explicit FailingAllocation(int nth);
  ~FailingAllocation();
  FailingAllocation(const FailingAllocation&) = delete;
  FailingAllocation& operator=(const FailingAllocation&) = delete;

  // Whether there were so many.
  bool hit() const;
};

// The largest that this thread asked operator new for, since this was made. One at a time.
class LargestAllocation {
 public:
  LargestAllocation();
  std::size_t bytes() const;
};

}  // namespace varve::testing
