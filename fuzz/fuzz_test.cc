// SPDX-License-Identifier: Apache-2.0
// The targets without clang: each runs its first inputs and then mutations of them, from a seed. An
// input that fails aborts the program; the seed, the run and the input are printed first. A file
// with an input runs again by `fuzz_inputs run TARGET FILE`.
#include <gtest/gtest.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <map>

#include "base/bytes.h"
#include "base/random.h"
#include "fuzz/all_targets.h"
#include "fuzz/mutate.h"
#include "test/support/seed.h"

namespace varve::fuzz {
namespace {

// One to three seconds each; ten times as many with VARVE_LONG=1.
int RunsOf(const std::string& name) {
  static const std::map<std::string, int> kSlow = {
      {"log_folder", 600}, {"log_restore", 1500}, {"log_options", 50'000},
      {"sync_file", 20'000}, {"run_file", 3000}};
  const auto slow = kSlow.find(name);
  const int runs = slow != kSlow.end() ? slow->second : 200'000;
  return std::getenv("VARVE_LONG") != nullptr ? 10 * runs : runs;
}

std::string running;  // what a signal must tell

extern "C" void TellInput(int signal) {
  std::fprintf(stderr, "%s\n", running.c_str());
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

class FuzzTest : public ::testing::TestWithParam<NamedTarget> {
 protected:
  void SetUp() override {
    for (const int signal : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL}) {
      std::signal(signal, TellInput);
    }
  }
  void Run(const std::string& input, const std::string& which) {
    running = "target " + GetParam().name + ", " + which + ", " + std::to_string(input.size()) +
              " bytes: " + ToHex(std::string_view(input).substr(0, kHexBytesMax));
    GetParam().run(Input(input));
  }

  static constexpr std::size_t kHexBytesMax = 4096;
};

TEST_P(FuzzTest, FirstInputsKeepTheContract) {
  const auto seeds = GetParam().seeds();
  ASSERT_GE(seeds.size(), 2u);
  EXPECT_EQ(seeds, GetParam().seeds()) << "first inputs must be the same each time";
  for (std::size_t i = 0; i < seeds.size(); ++i) Run(seeds[i], "seed input " + std::to_string(i));
  Run("", "the empty input");
}

TEST_P(FuzzTest, MutatedInputsKeepTheContract) {
  const auto seed = testing::TestSeed();
  SCOPED_TRACE(testing::SeedTrace(seed));
  SeededRandom random(seed);
  const auto seeds = GetParam().seeds();
  for (int i = 0, runs = RunsOf(GetParam().name); i < runs; ++i) {
    Run(Mutated(seeds, &random), testing::SeedTrace(seed) + ", run " + std::to_string(i));
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, FuzzTest, ::testing::ValuesIn(AllTargets()),
                         [](const auto& target) { return target.param.name; });

}  // namespace
}  // namespace varve::fuzz
