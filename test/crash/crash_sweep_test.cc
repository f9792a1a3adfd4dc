// SPDX-License-Identifier: Apache-2.0
// Power is cut at every disk event of scripted lives, and each time the disk keeps what one of
// eight survival policies says. Whatever is left must open, hold every acknowledged commit, whole,
// and nothing that was never committed; each older commit must read as it was; and it must go on.
#include <gtest/gtest.h>

#include <cstdio>

#include "test/crash/lives.h"
#include "test/crash/survivor.h"

namespace varve::testing {
namespace {

// How many things a power cut may leave are drawn of those policies that draw.
constexpr std::uint64_t kDraws = 5;
constexpr std::uint64_t kStatesMin = 100'000;
std::uint64_t all_states = 0;

// Of the whole program, when all of it was run.
class CountsStates : public ::testing::Environment {
 public:
  void TearDown() override {
    std::printf("%llu crash states\n", static_cast<unsigned long long>(all_states));
    const auto& all = *::testing::UnitTest::GetInstance();
    if (all.test_to_run_count() != all.total_test_count() || all.Failed()) return;
    EXPECT_GE(all_states, kStatesMin);
  }
};
const auto* const counts_states = ::testing::AddGlobalTestEnvironment(new CountsStates());

bool Draws(Survival survival) {
  return survival == Survival::kRandomPrefix || survival == Survival::kRandomSectors ||
         survival == Survival::kGarbage;
}

class CrashSweep : public ::testing::TestWithParam<NamedScript> {
 protected:
  void SetUp() override { CutsOfCompactions() = GetParam().cuts; }
  void TearDown() override { CutsOfCompactions() = {}; }
};

TEST_P(CrashSweep, EveryAcknowledgedCommitSurvivesAtEveryEvent) {
  const auto& [name, options, script, cuts] = GetParam();
  const std::uint64_t events = CountEvents(script, options);
  ASSERT_GT(events, 20u);
  std::uint64_t states = 0;
  for (std::uint64_t event = 1; event <= events && !HasFatalFailure(); ++event) {
    SimulatedDisk disk;
    disk.CrashAtEvent(event);
    Promises promises;
    {
      Life life(&disk, options);
      script(life);
      promises = life.promises();
    }
    ASSERT_TRUE(disk.crashed()) << "event " << event;
    for (const Survival survival : kAllSurvivals) {
      for (std::uint64_t draw = 0; draw < (Draws(survival) ? kDraws : 1); ++draw) {
        SCOPED_TRACE(std::string(name) + ", event " + std::to_string(event) + " (" +
                     disk.trace().back().operation + " " + disk.trace().back().path + "), " +
                     std::string(ToString(survival)) + ", draw " + std::to_string(draw));
        const auto left = disk.Clone();
        SeededRandom random(event * 31 + static_cast<std::uint64_t>(survival) + draw * 1'000'003);
        left->Crash(survival, &random);
        const bool all_kept = survival == Survival::kAllKept;
        CheckSurvivor(left.get(), options, all_kept ? promises.AfterProcessDeath() : promises);
        ++states;
        if (HasFatalFailure()) return;
      }
    }
  }
  all_states += states;
  std::printf("%s: %llu events, %llu crash states\n", name,
              static_cast<unsigned long long>(events), static_cast<unsigned long long>(states));
}

// Power goes again while what the first crash left is being recovered.
TEST_P(CrashSweep, ACrashDuringRecoveryChangesNothing) {
  const auto& [name, options, script, cuts] = GetParam();
  const std::uint64_t events = CountEvents(script, options);
  SeededRandom random(7);
  for (std::uint64_t event = 1; event <= events && !HasFatalFailure(); event += 5) {
    SimulatedDisk disk;
    disk.CrashAtEvent(event);
    Promises promises;
    {
      Life life(&disk, options);
      script(life);
      promises = life.promises();
    }
    disk.Crash(kAllSurvivals[event % 8], &random);
    for (std::uint64_t later = 1; later <= 12; ++later) {
      SCOPED_TRACE(std::string(name) + ", event " + std::to_string(event) + ", then " +
                   std::to_string(later));
      const auto left = disk.Clone();
      left->CrashAtEvent(left->events() + later);
      {
        World world(5);
        OpenOptions reopen = options;
        reopen.create_if_missing = true;
        (void)Database::Open("/db", reopen, world.components(left.get()));
      }
      left->Crash(kAllSurvivals[random.Below(8)], &random);
      CheckSurvivor(left.get(), options, promises);
      ++all_states;
      if (HasFatalFailure()) return;
    }
  }
}

// Each call fails once, with EIO or a full disk, without a crash; then the process dies, or power
// goes.
TEST_P(CrashSweep, AFailedCallLosesNothingAcknowledged) {
  const auto& [name, options, script, cuts] = GetParam();
  const std::uint64_t events = CountEvents(script, options);
  for (std::uint64_t event = 1; event <= events && !HasFatalFailure(); ++event) {
    const bool full = event % 2 == 0;
    SCOPED_TRACE(std::string(name) + ", event " + std::to_string(event) +
                 (full ? " fails with ENOSPC" : " fails with EIO"));
    SimulatedDisk disk;
    disk.FailEvent(event, Error(ErrorKind::kUnavailable, "injected",
                                full ? ErrorReason::kNoSpace : ErrorReason::kIo));
    Promises promises;
    {
      Life life(&disk, options);
      life.ExpectErrors();
      script(life);
      promises = life.promises();
    }
    SeededRandom random(event);
    const auto power_cut = disk.Clone();
    power_cut->Crash(kAllSurvivals[event / 2 % 8], &random);
    CheckSurvivor(power_cut.get(), options, promises);
    disk.KillProcess();
    CheckSurvivor(&disk, options, promises.AfterProcessDeath());
  }
}

// The disk fills up in the middle of work: commits fail cleanly, reading goes on, and when there is
// room again work goes on without reopening.
TEST(FullDisk, WritesResumeWhenSpaceReturns) {
  SimulatedDisk disk;
  World world(3);
  const OpenOptions options{.create_if_missing = true, .memtable_bytes_max = 1 << 20};
  auto db = *Database::Open("/db", options, world.components(&disk));
  ASSERT_TRUE(db->CreateTable("t", RowsSchema(), {"id"}));
  disk.SetCapacity(6 << 20);
  Rows kept;
  Status full;
  for (std::int64_t i = 0; i < 200 && full; ++i) {
    const std::string value(100'000, static_cast<char>('a' + i % 26));
    const auto info = db->Upsert("t", RowsBatch({{i, value}}));
    if (info) {
      kept[i] = value;
    } else {
      full = std::unexpected(info.error());
    }
  }
  ASSERT_FALSE(full) << "200 rows of 100 kB fit into 6 MiB?";
  EXPECT_EQ(full.error().reason(), ErrorReason::kNoSpace) << full.error().message();
  EXPECT_EQ(ReadRows(**db->GetSnapshot()), kept) << "reads go on";
  disk.SetCapacity(UINT64_MAX);
  const auto info = db->Upsert("t", RowsBatch({{500, "room again"}}));
  ASSERT_TRUE(info) << info.error().message();
  kept[500] = "room again";
  EXPECT_EQ(ReadRows(**db->GetSnapshot()), kept);
  ASSERT_TRUE(db->Close());
  db = *Database::Open("/db", options, world.components(&disk));
  EXPECT_EQ(ReadRows(**db->GetSnapshot()), kept);
}

INSTANTIATE_TEST_SUITE_P(Lives, CrashSweep, ::testing::ValuesIn(AllLives()),
                         [](const auto& policy) { return std::string(policy.param.name); });

}  // namespace
}  // namespace varve::testing
