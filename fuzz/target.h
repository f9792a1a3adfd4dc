// SPDX-License-Identifier: Apache-2.0
// What every file <name>_fuzz.cc gives: one decoder with an oracle, and inputs that reach far into
// it. libFuzzer drives the first; test_fuzz drives both without clang (fuzz_test.cc). CMake defines
// the two names to be the target's own (FuzzOne_unit, FuzzSeeds_unit), so that one program can hold
// all of them; libfuzzer_entry.cc gives libFuzzer the name that it looks for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

// Any bytes. Ends the process where the decoder breaks its contract; otherwise gives 0.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

// The same each time.
std::vector<std::string> FuzzSeeds();
