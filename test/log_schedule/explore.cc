// SPDX-License-Identifier: Apache-2.0
#include "test/log_schedule/explore.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <set>
#include <string>

#include "test/log_crash/in_threads.h"
#include "test/support/seed.h"

namespace varve::testing {
namespace {

constexpr int kAtOnce = 3;  // schedules, each of which runs one thread at a time

void SayHowToReplay(int) {
  if (const auto* const scheduler = Scheduler::Current()) {
    std::fprintf(stderr, "%s\n", scheduler->replay().c_str());
  }
  std::signal(SIGABRT, SIG_DFL);
}

std::string TestName() {
  const auto* const test = ::testing::UnitTest::GetInstance()->current_test_info();
  return std::string(test->test_suite_name()) + "." + test->name();
}

std::uint64_t SchedulesOf(std::uint64_t schedules) {
  if (std::getenv("VARVE_TEST_SEED") != nullptr) return 1;
  return std::getenv("VARVE_LONG") != nullptr ? 20 * schedules : schedules;
}

// What all schedules of a scenario came to.
struct Findings {
  std::mutex mutex;
  std::set<std::uint64_t> distinct;  // guarded by mutex, as all below
  std::uint64_t steps = 0;
  bool failed = false;
};

void RunOne(std::uint64_t seed, const std::string& replay,
            const std::function<void(LogWorld&)>& scenario, Findings* findings) {
  LogWorld world(seed, replay);
  const auto wrongs = world.Run(scenario);
  std::lock_guard lock(findings->mutex);
  findings->steps += world.scheduler().steps();
  findings->distinct.insert(world.scheduler().fingerprint());
  if (wrongs.empty()) return;
  findings->failed = true;
  for (const auto& wrong : wrongs) ADD_FAILURE() << wrong;
  ADD_FAILURE() << replay;
}

}  // namespace

void Explore(std::uint64_t schedules, const std::function<void(LogWorld&)>& scenario) {
  Findings findings;
  const auto count = SchedulesOf(schedules);
  const auto previous = std::signal(SIGABRT, SayHowToReplay);
  const auto name = TestName();
  InThreads(kAtOnce, count, [&](std::uint64_t i) {
    {
      std::lock_guard lock(findings.mutex);
      if (findings.failed) return;
    }
    const auto seed = TestSeed() + i;
    RunOne(seed, fmt::format("schedule {} of {}; {}, --gtest_filter={}", i + 1, name,
                             SeedTrace(seed), name), scenario, &findings);
  });
  std::signal(SIGABRT, previous);
  std::printf("%zu distinct schedules of %llu, of %llu steps on average\n",
              findings.distinct.size(), static_cast<unsigned long long>(count),
              static_cast<unsigned long long>(findings.steps / count));
}

}  // namespace varve::testing
