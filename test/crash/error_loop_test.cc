// SPDX-License-Identifier: Apache-2.0
// For every life, every kind of call to the file system and every n: the n-th call fails, once or
// from then on, done or not; then the process ends, or power goes. Whatever was acknowledged is
// there, and nothing by half. A call that opens a file fails alike for want of descriptors
// (EMFILE): what the system says is text alone to the engine.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <vector>

#include "test/crash/lives.h"
#include "test/crash/survivor.h"
#include "test/support/faulty_files.h"

namespace varve::testing {
namespace {

class ErrorLoop : public ::testing::TestWithParam<NamedScript> {
 protected:
  // Every fault that can come about in the life; without VARVE_LONG each call fails in one way.
  std::vector<Fault> AllFaults() const {
    SimulatedDisk disk;
    FaultyFiles files(&disk);
    Life life(&disk, GetParam().options, &files);
    GetParam().script(life);
    EXPECT_FALSE(life.failed());
    std::vector<Fault> faults;
    for (int i = 0; i < kCallKinds; ++i) {
      const auto kind = static_cast<CallKind>(i);
      for (std::uint64_t n = 1; n <= files.calls(kind); ++n) {
        const auto ways = WaysOf(kind, n);
        if (std::getenv("VARVE_LONG") != nullptr) {
          faults.insert(faults.end(), ways.begin(), ways.end());
        } else {
          faults.push_back(ways[n % ways.size()]);
        }
      }
    }
    return faults;
  }

  static std::vector<Fault> WaysOf(CallKind kind, std::uint64_t n) {
    const bool looks = kind == CallKind::kOpen || kind == CallKind::kRead ||
                       kind == CallKind::kSize || kind == CallKind::kList ||
                       kind == CallKind::kInfo || kind == CallKind::kLock ||
                       kind == CallKind::kSyncMethod;
    std::vector<Fault> ways = {{kind, n}, {.kind = kind, .nth = n, .for_ever = true}};
    if (looks) return ways;
    ways.push_back({kind, n, false, FaultEffect::kDone});
    ways.push_back({kind, n, false, FaultEffect::kNotDone, ErrorReason::kNoSpace});
    ways.push_back({kind, n, true, FaultEffect::kNotDone, ErrorReason::kNoSpace});
    return ways;
  }

  static void Try(const Fault& fault) {
    SimulatedDisk disk;
    Promises promises;
    {
      FaultyFiles files(&disk);
      files.Arm(fault);
      Life life(&disk, GetParam().options, &files);
      life.ExpectErrors();
      GetParam().script(life);
      promises = life.promises();
      EXPECT_TRUE(files.hit()) << "the fault did not come about";
    }
    SeededRandom random(fault.nth);
    const auto cut = disk.Clone();
    cut->Crash(kAllSurvivals[fault.nth % 8], &random);
    CheckSurvivor(cut.get(), GetParam().options, promises);
    disk.KillProcess();
    CheckSurvivor(&disk, GetParam().options, promises.AfterProcessDeath());
  }
};

TEST_P(ErrorLoop, TheNthCallThatFailsLosesNothingThatWasAcknowledged) {
  const auto faults = AllFaults();
  ASSERT_GT(faults.size(), 100u);
  for (const auto& fault : faults) {
    SCOPED_TRACE(std::string(GetParam().name) + ": " + Describe(fault));
    Try(fault);
    if (HasFailure()) return;
  }
  std::printf("%s: %zu calls that failed\n", GetParam().name, faults.size());
}

INSTANTIATE_TEST_SUITE_P(Lives, ErrorLoop, ::testing::ValuesIn(AllLives()),
                         [](const auto& life) { return std::string(life.param.name); });

}  // namespace
}  // namespace varve::testing
