// SPDX-License-Identifier: Apache-2.0
// Thousands of random lives, each compared with a reference. The life that fails is shrunk: the
// fewest of its steps that still fail are printed, and replayed by
//   VARVE_TEST_SEED=<seed> VARVE_TEST_STEPS=<step>,<step>,... test_model
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <numeric>
#include <optional>
#include <sstream>

#include "test/model/life.h"
#include "test/model/shrink.h"
#include "test/support/seed.h"

namespace varve::testing {
namespace {

constexpr std::uint64_t kLives = 5000;
constexpr std::uint64_t kFewLives = 100;
constexpr std::uint64_t kSteps = 40;
constexpr std::size_t kChecksEvery = 13;
constexpr int kShrinksMost = 400;

// What went wrong; nothing when nothing did.
std::optional<std::string> RunLife(std::uint64_t seed, const Steps& steps, bool told = false) try {
  Life life(seed);
  for (std::size_t i = 0; i < steps.size(); ++i) {
    try {
      life.Step(steps[i]);
      if (told) fmt::print("step {}: {}\n", steps[i], life.last());
      if (i % kChecksEvery == kChecksEvery - 1 || i + 1 == steps.size()) life.CheckAll();
    } catch (const Broken& broken) {
      return fmt::format("step {} ({}): {}", steps[i], life.last(), broken.what());
    }
  }
  return {};
} catch (const Broken& broken) {
  return broken.what();
}

Steps AllSteps() {
  Steps steps(kSteps);
  std::iota(steps.begin(), steps.end(), 1);
  return steps;
}

Steps WantedSteps() {
  const char* text = std::getenv("VARVE_TEST_STEPS");
  if (text == nullptr) return AllSteps();
  Steps steps;
  std::istringstream list(text);
  for (std::string step; std::getline(list, step, ',');) steps.push_back(std::stoull(step));
  return steps;
}

void RunLives(std::uint64_t count) {
  const auto first = TestSeed();
  const bool replay = std::getenv("VARVE_TEST_SEED") != nullptr;
  for (auto seed = first; seed < first + (replay ? 1 : count); ++seed) {
    const auto steps = WantedSteps();
    const auto first_wrong = RunLife(seed, steps);
    if (!first_wrong) continue;
    const auto fewest = Shrink(
        steps, [&](const Steps& fewer) { return RunLife(seed, fewer).has_value(); }, kShrinksMost);
    const auto wrong = RunLife(seed, fewest, true);
    FAIL() << wrong.value_or("it does not fail each time; at first: " + *first_wrong)
           << "\nreplay with VARVE_TEST_SEED=" << seed
           << " VARVE_TEST_STEPS=" << fmt::format("{}", fmt::join(fewest, ","));
  }
}

TEST(Model, AFewRandomLivesReadAsTheReferenceDoes) { RunLives(kFewLives); }

TEST(Model, ManyRandomLivesReadAsTheReferenceDoes) { RunLives(kLives); }

TEST(Model, ShrinkingLeavesOutWhatDoesNotMatter) {
  const auto fails = [](const Steps& steps) {
    const auto seven = std::ranges::find(steps, 7u);
    return std::ranges::find(seven, steps.end(), 31u) != steps.end();
  };
  EXPECT_EQ(Shrink(AllSteps(), fails, 1000), (Steps{7, 31}));
  EXPECT_TRUE(fails(Shrink(AllSteps(), fails, 3)));
}

}  // namespace
}  // namespace varve::testing
