// SPDX-License-Identifier: Apache-2.0
// The entry that libFuzzer calls, for the one target that CMake names.
#include <cstddef>
#include <cstdint>

extern "C" int VARVE_FUZZ_ONE(const std::uint8_t* data, std::size_t size);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return VARVE_FUZZ_ONE(data, size);
}
