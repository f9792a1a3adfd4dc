// SPDX-License-Identifier: Apache-2.0
#include "engine/pressure.h"

#include <gtest/gtest.h>

#include <thread>

namespace varve {
namespace {

using Force = Pressure::Force;

class PressureTest : public ::testing::Test {
 protected:
  void Look(std::uint64_t runs, std::uint64_t bytes = 0) { pressure_.Look("t", {runs, bytes}); }
  // What a commit of so many bytes waits.
  std::uint64_t SlowedBy(std::uint64_t bytes) {
    const std::uint64_t before = pressure_.stats().slowed_micros;
    pressure_.Slow(bytes);
    return pressure_.stats().slowed_micros - before;
  }

  ManualClock clock_{1000, 0};
  Pressure pressure_{&clock_, {.slow = {12, 1000}, .stop = {24, 5000}}};
};

TEST_F(PressureTest, RunsAndBytesSlowAndThenStop) {
  EXPECT_EQ(pressure_.force(), Force::kNone);
  Look(11, 999);
  EXPECT_EQ(pressure_.force(), Force::kNone);
  EXPECT_EQ(pressure_.stats().reason, "");
  Look(12, 0);
  EXPECT_EQ(pressure_.force(), Force::kSlow);
  EXPECT_EQ(pressure_.stats().reason,
            "compaction of table t is behind: 12 runs at level 0, 0 bytes to move");
  Look(0, 1000);
  EXPECT_EQ(pressure_.force(), Force::kSlow);
  Look(24, 0);
  EXPECT_EQ(pressure_.force(), Force::kStop);
  Look(0, 5000);
  EXPECT_EQ(pressure_.force(), Force::kStop);
  Look(3, 10);
  EXPECT_EQ(pressure_.force(), Force::kNone);
  EXPECT_EQ(pressure_.stats().reason, "");
}

TEST_F(PressureTest, ACommitWaitsForItsBytesAtARateThatFollowsTheDebt) {
  pressure_.NoteFlush(1 << 20);
  clock_.Advance(1'000'000);
  pressure_.NoteFlush(10'000'000);  // a second later: 10 MB/s
  EXPECT_EQ(SlowedBy(1'000'000), 0u) << "nobody is slowed";
  Look(12);
  EXPECT_EQ(SlowedBy(500'000), 50'000u);
  Look(13);  // worse: 8 MB/s
  EXPECT_EQ(SlowedBy(400'000), 50'000u);
  Look(13);  // the same
  EXPECT_EQ(SlowedBy(400'000), 50'000u);
  Look(12);  // better: 10 MB/s
  EXPECT_EQ(SlowedBy(500'000), 50'000u);
  EXPECT_EQ(SlowedBy(1 << 30), 100'000u) << "the most that one commit waits";
  Look(1);
  EXPECT_EQ(SlowedBy(500'000), 0u);
}

TEST_F(PressureTest, SmallCommitsWaitOnceTheyOweAMillisecond) {
  pressure_.NoteFlush(1);
  clock_.Advance(1'000'000);
  pressure_.NoteFlush(10'000'000);
  Look(12);
  EXPECT_EQ(SlowedBy(9'000), 0u);
  EXPECT_EQ(SlowedBy(1'000), 1'000u);
  EXPECT_EQ(SlowedBy(9'000), 0u);
}

TEST_F(PressureTest, TheRateHasAFloor) {
  Look(12);
  for (std::uint64_t runs = 13; runs < 24; ++runs) {
    for (std::uint64_t bytes = 0; bytes < 900; bytes += 100) Look(runs, bytes);
  }
  EXPECT_EQ(SlowedBy(1 << 16), 62'500u) << "1 MiB a second";
}

TEST_F(PressureTest, WhoeverWaitsIsLetGoWhenTheCauseIs) {
  Pressure pressure(SystemClock(), {.slow = {12, 1000}, .stop = {24, 5000}});
  pressure.Look("t", {24, 0});
  const auto seen = pressure.seen();
  std::thread waits([&] {
    while (pressure.force() == Force::kStop) pressure.AwaitChange(seen);
  });
  pressure.Look("t", {0, 0});
  waits.join();
  pressure.Look("t", {24, 0});
  pressure.End();
  EXPECT_EQ(pressure.force(), Force::kNone);
  pressure.Look("t", {24, 0});
  EXPECT_EQ(pressure.force(), Force::kNone) << "for good";
}

}  // namespace
}  // namespace varve
