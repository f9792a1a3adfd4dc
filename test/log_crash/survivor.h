// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "files/simulated_disk.h"
#include "test/log_crash/oracle.h"
#include "varve/log.h"

namespace varve::testing {

// Holds a log that nobody has open, after whatever became of it, to its promises: recovery gives
// what was acknowledged; a second one gives the same, however the process of the first one ended;
// then appending works, and what is acknowledged now survives the next power cut. Uses the disk up.
// `key` chooses among ways to go on. Gives what is wrong.
std::string CheckSurvivor(SimulatedDisk* disk, const LogOptions& options, const Oracle& oracle,
                          std::uint64_t key);

}  // namespace varve::testing
