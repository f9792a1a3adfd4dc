// SPDX-License-Identifier: Apache-2.0
// usage: fuzz_inputs seeds FOLDER       write each target's first inputs to FOLDER/<target>/
//        fuzz_inputs run TARGET FILE    run one input; aborts when it breaks the contract
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "fuzz/all_targets.h"

namespace varve::fuzz {
namespace {

bool WriteSeeds(const std::filesystem::path& root) {
  for (const auto& target : AllTargets()) {
    const auto folder = root / target.name;
    std::filesystem::create_directories(folder);
    int number = 0;
    for (const auto& seed : target.seeds()) {
      std::ofstream file(folder / ("seed_" + std::to_string(number++)), std::ios::binary);
      file << seed;
      if (!file.flush()) {
        std::fprintf(stderr, "fuzz_inputs: cannot write to %s\n", folder.c_str());
        return false;
      }
    }
  }
  return true;
}

bool RunOne(const std::string& name, const char* path) {
  std::ifstream file(path, std::ios::binary);
  const std::string input((std::istreambuf_iterator<char>(file)), {});
  for (const auto& target : AllTargets()) {
    if (target.name != name || !file) continue;
    target.run(Input(input));
    return true;
  }
  std::fprintf(stderr, "fuzz_inputs: no target %s, or no file %s\n", name.c_str(), path);
  return false;
}

}  // namespace
}  // namespace varve::fuzz

int main(int count, char** arguments) {
  const std::string verb = count > 1 ? arguments[1] : "";
  if (verb == "seeds" && count == 3) return varve::fuzz::WriteSeeds(arguments[2]) ? 0 : 1;
  if (verb == "run" && count == 4) return varve::fuzz::RunOne(arguments[2], arguments[3]) ? 0 : 1;
  std::fprintf(stderr, "usage: fuzz_inputs seeds FOLDER\n       fuzz_inputs run TARGET FILE\n");
  return 2;
}
