// SPDX-License-Identifier: Apache-2.0
// What every file <name>_fuzz.cc gives: one decoder with an oracle, and inputs that reach far into
// it. libFuzzer drives the first (libfuzzer_entry.cc); test_fuzz drives both without clang
// (fuzz_test.cc). CMake defines the two names to be the target's own (FuzzOne_unit,
// FuzzSeeds_unit), so that one program can hold all of them.
#pragma once

#include <string>
#include <vector>

#include "fuzz/input.h"

namespace varve::fuzz {

// Any bytes. Ends the process where the decoder breaks its contract.
void FuzzOne(Input input);

// The same each time.
std::vector<std::string> FuzzSeeds();

}  // namespace varve::fuzz
