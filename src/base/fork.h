// SPDX-License-Identifier: Apache-2.0
// Whether this process is a child, by fork, of one that made something: asking for the process id
// would be a system call each time.
#pragma once

#include <cstdint>

namespace varve {

// How many forks lie between the process that asked first and this one. Thread-safe.
std::uint64_t ForkGeneration();

}  // namespace varve
