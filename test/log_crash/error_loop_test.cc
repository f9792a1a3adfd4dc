// SPDX-License-Identifier: Apache-2.0
// For every life, every kind of call and every n: the n-th call fails, once or for ever. Whatever
// the log says then, reopening it shows all that was acknowledged and nothing half, also when the
// power goes first.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <mutex>
#include <string>
#include <tuple>
#include <vector>

#include "files/sparse_bytes.h"
#include "test/support/faulty_files.h"
#include "test/log_crash/in_threads.h"
#include "test/log_crash/lives.h"
#include "test/log_crash/survivor.h"
#include "test/support/seed.h"

namespace varve::testing {
namespace {

constexpr int kThreads = 2;
constexpr unsigned kSecondsMax = 300;  // for one life; else it hangs, and SIGALRM ends the program
constexpr std::uint64_t kSeed = 11;    // of what a log draws; chance is in the fault's number

using Case = std::tuple<LogVariant, NamedLife>;
std::string NameOf(const ::testing::TestParamInfo<Case>& test) {
  return std::string(std::get<0>(test.param).name) + "_" + std::get<1>(test.param).name;
}

class LogErrorLoop : public ::testing::TestWithParam<Case> {
 protected:
  LogErrorLoop() { ::alarm(kSecondsMax); }
  ~LogErrorLoop() override { ::alarm(0); }

  // Every fault that can come about in the life.
  std::vector<Fault> AllFaults() const {
    SimulatedDisk disk;
    FaultyFiles files(&disk);
    Life life(&disk, &files, std::get<0>(GetParam()).options, {}, kSeed);
    std::get<1>(GetParam()).script(life);
    EXPECT_FALSE(life.failed()) << life.wrong() << life.error();
    std::vector<Fault> faults;
    for (int i = 0; i < kCallKinds; ++i) {
      const auto kind = static_cast<CallKind>(i);
      for (std::uint64_t n = 1; n <= files.calls(kind); ++n) AddFaults(kind, n, &faults);
    }
    return faults;
  }

  // Gives what is wrong.
  std::string Try(const Fault& fault) {
    const auto& [variant, named] = GetParam();
    SimulatedDisk disk;
    FaultyFiles files(&disk);
    files.Arm(fault);
    Life life(&disk, &files, variant.options, {}, kSeed);
    life.ExpectErrors();
    named.script(life);
    if (!files.hit()) return "the fault did not come about";
    if (life.failed()) life.TryAgain();
    if (!life.wrong().empty()) return life.wrong();
    disk.SetCapacity(UINT64_MAX);
    return CheckEveryEnd(disk, life.oracle(), fault);
  }

 private:
  static void AddFaults(CallKind kind, std::uint64_t n, std::vector<Fault>* faults) {
    const bool looks = kind == CallKind::kOpen || kind == CallKind::kRead ||
                       kind == CallKind::kSize || kind == CallKind::kList ||
                       kind == CallKind::kInfo || kind == CallKind::kLock ||
                       kind == CallKind::kSyncMethod;
    const bool grows = kind == CallKind::kCreate || kind == CallKind::kWrite ||
                       kind == CallKind::kSync || kind == CallKind::kWriteDurably ||
                       kind == CallKind::kMakeDirectory;
    for (const bool for_ever : {false, true}) {
      faults->push_back({kind, n, for_ever});
      if (grows) faults->push_back({kind, n, for_ever, {}, ErrorReason::kNoSpace});
    }
    if (!looks) faults->push_back({kind, n, false, FaultEffect::kDone});
  }

  // The process ends and its files stay as it saw them; or the power goes.
  static std::string CheckEveryEnd(const SimulatedDisk& disk, const Oracle& oracle,
                                   const Fault& fault) {
    const auto& options = std::get<0>(GetParam()).options;
    const auto killed = disk.Clone();
    killed->KillProcess();
    if (auto wrong = CheckSurvivor(killed.get(), options, oracle, fault.nth); !wrong.empty()) {
      return "process killed: " + wrong;
    }
    for (const auto survival : {Survival::kAllLost, Survival::kRandomSectors,
                                kAllSurvivals[fault.nth % std::size(kAllSurvivals)]}) {
      const auto cut = disk.Clone();
      SeededRandom random(MixedHash(TestSeed(), fault.nth));
      cut->Crash(survival, &random);
      if (auto wrong = CheckSurvivor(cut.get(), options, oracle, fault.nth); !wrong.empty()) {
        return fmt::format("{}: {}", ToString(survival), wrong);
      }
    }
    return "";
  }
};

TEST_P(LogErrorLoop, TheNthCallThatFailsLosesNothingThatWasAcknowledged) {
  SCOPED_TRACE(SeedTrace(TestSeed()));
  const auto faults = AllFaults();
  std::mutex mutex;
  std::string first_wrong;
  std::atomic<bool> failed = false;
  InThreads(kThreads, faults.size(), [&](std::uint64_t i) {
    if (failed) return;
    const auto wrong = Try(faults[i]);
    if (wrong.empty()) return;
    const std::lock_guard guard(mutex);
    failed = true;
    if (first_wrong.empty()) first_wrong = Describe(faults[i]) + ": " + wrong;
  });
  EXPECT_EQ(first_wrong, "");
  std::printf("  %zu faults, 4 ends each\n", faults.size());
}

INSTANTIATE_TEST_SUITE_P(
    All, LogErrorLoop,
    ::testing::Combine(::testing::ValuesIn(AllVariants().begin(), AllVariants().end()),
                       ::testing::ValuesIn(AllLives().begin(), AllLives().end())),
    NameOf);

}  // namespace
}  // namespace varve::testing
