// SPDX-License-Identifier: Apache-2.0
// What a piece of work takes of memory in a process of its own, as the kernel counts it.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

namespace varve::testing {

struct Resident {
  std::uint64_t highest = 0;   // VmHWM: of libraries too, as far as they were touched
  std::uint64_t anonymous = 0; // RssAnon at the end: without libraries
};
Resident ResidentNow();
// VmHWM is of now from here on.
void ForgetHighest();

// Forks, and gives the numbers that `work` gave in the child; none when that did not end well. No
// thread may run in this process.
using Numbers = std::vector<std::uint64_t>;
Numbers InAnotherProcess(const std::function<Numbers()>& work);

}  // namespace varve::testing
