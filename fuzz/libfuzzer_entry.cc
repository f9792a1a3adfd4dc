// SPDX-License-Identifier: Apache-2.0
// The entry that libFuzzer calls, for the one target that CMake names.
#include "fuzz/input.h"

namespace varve::fuzz {

void VARVE_FUZZ_ONE(Input input);

}  // namespace varve::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  varve::fuzz::VARVE_FUZZ_ONE({data, size});
  return 0;
}
