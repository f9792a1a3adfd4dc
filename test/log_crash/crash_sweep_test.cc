// SPDX-License-Identifier: Apache-2.0
// Every life of every kind of log, cut everywhere. The last line tells how many states that were.
#include "test/log_crash/crash_sweep.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <string>
#include <tuple>

#include "test/support/seed.h"

namespace varve::testing {
namespace {

constexpr std::uint64_t kStatesMin = 200'000;
constexpr std::size_t kLivesMin = 20;
constexpr int kThreads = 2;

// Adds up what the lives of this program visited.
class Tally final : public ::testing::Environment {
 public:
  void Add(const StateCounts& counts) {
    for (std::size_t i = 0; i < sum_.at_depth.size(); ++i) sum_.at_depth[i] += counts.at_depth[i];
    sum_.of_subsets += counts.of_subsets;
    sum_.drawn += counts.drawn;
    ++lives_;
  }
  // A choice of some tests owes nothing.
  void TearDown() override {
    if (lives_ == 0) return;
    std::printf("crash states visited, all distinct: %llu (depth 1: %llu, of these by subsets: "
                "%llu; depth 2: %llu; depth 3: %llu) of %llu drawn, in %zu lives\n",
                Number(sum_.total()), Number(sum_.at_depth[0]), Number(sum_.of_subsets),
                Number(sum_.at_depth[1]), Number(sum_.at_depth[2]), Number(sum_.drawn), lives_);
    if (lives_ < AllLives().size() * AllVariants().size()) return;
    EXPECT_GE(sum_.total(), kStatesMin) << "the sweep must not shrink unnoticed";
    EXPECT_GE(AllLives().size(), kLivesMin);
  }

 private:
  static unsigned long long Number(std::uint64_t value) { return value; }
  StateCounts sum_;
  std::size_t lives_ = 0;
};

Tally* const tally = static_cast<Tally*>(::testing::AddGlobalTestEnvironment(new Tally));

using Case = std::tuple<LogVariant, NamedLife>;

class LogCrashSweep : public ::testing::TestWithParam<Case> {};

std::string NameOf(const ::testing::TestParamInfo<Case>& test) {
  return std::string(std::get<0>(test.param).name) + "_" + std::get<1>(test.param).name;
}

TEST_P(LogCrashSweep, EveryCutLeavesAPrefixThatHoldsAllThatWasAcknowledged) {
  const auto& [variant, life] = GetParam();
  const auto seed = TestSeed(1);
  SCOPED_TRACE(SeedTrace(seed));
  CrashSweep sweep(life, variant, seed);
  const auto wrong = sweep.Run(kThreads);
  EXPECT_EQ(wrong, "");
  const auto counts = sweep.counts();
  std::printf("  %llu events, %llu states\n", static_cast<unsigned long long>(sweep.events()),
              static_cast<unsigned long long>(counts.total()));
  tally->Add(counts);
}

INSTANTIATE_TEST_SUITE_P(
    All, LogCrashSweep,
    ::testing::Combine(::testing::ValuesIn(AllVariants().begin(), AllVariants().end()),
                       ::testing::ValuesIn(AllLives().begin(), AllLives().end())),
    NameOf);

}  // namespace
}  // namespace varve::testing
