// SPDX-License-Identifier: Apache-2.0
// What must be true of a database after its disk crashed, whatever was promised before.
#pragma once

#include <memory>
#include <string>

#include "files/simulated_disk.h"
#include "test/crash/life.h"

namespace varve::testing {

inline constexpr char kLifePath[] = "/db";
inline constexpr char kSide[] = "side";

// Opens what the crash left and checks every promise; then goes on: a commit, a flush, a reopening,
// a verification. Failures are reported to GoogleTest.
void CheckSurvivor(SimulatedDisk* disk, const OpenOptions& options, const Promises& promises);

}  // namespace varve::testing
