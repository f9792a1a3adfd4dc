// SPDX-License-Identifier: Apache-2.0
// How much memory a call took: bytes of operator new that were held at one time by this thread,
// beyond those it held when the meter was made. What C libraries take by malloc does not count.
#pragma once

#include <cstdint>

namespace varve::fuzz {

// One at a time in a thread.
class AllocationMeter {
 public:
  AllocationMeter();
  std::uint64_t peak_bytes() const;

 private:
  const std::int64_t before_;
};

}  // namespace varve::fuzz
