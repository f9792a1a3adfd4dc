// SPDX-License-Identifier: Apache-2.0
// Schedules in which segments end, begin, go, and are read.
#include <gtest/gtest.h>

#include "test/log_schedule/explore.h"

namespace varve::testing {
namespace {

constexpr std::uint64_t kSchedules = 1000;

void StartRotations(LogWorld& world) {
  world.Start("rotation", [&world] {
    for (auto left = world.Pick(1, 2); left > 0; --left) world.Rotate();
  });
}

void StartTruncations(LogWorld& world) {
  world.Start("truncation", [&world] {
    for (auto left = world.Pick(1, 3); left > 0; --left) {
      world.TruncateBefore(world.log().positions().durable);
    }
  });
}

TEST(LogScheduleTest, ABigUnitSpansSegmentsBesideSmallOnes) {
  Explore(kSchedules, [](LogWorld& world) {
    world.Open(world.SmallLog());
    world.Start("big unit", [&world] {
      world.Append(0, world.Pick(20'000, 90'000), world.PickLevel());
    });
    world.StartProducers(300);
    if (world.OneIn(2)) world.Append(9, world.Pick(20'000, 60'000), world.PickLevel());
  });
}

TEST(LogScheduleTest, RotationBesideAppends) {
  Explore(kSchedules, [](LogWorld& world) {
    world.Open(world.SmallLog());
    StartRotations(world);
    world.StartProducers(world.OneIn(2) ? 300 : 20'000);
    world.Observe();
  });
}

TEST(LogScheduleTest, TruncationAndReuseBesideAppends) {
  Explore(kSchedules, [](LogWorld& world) {
    world.Open(world.SmallLog());
    world.StartProducers(20'000);
    if (world.OneIn(2)) StartRotations(world);
    StartTruncations(world);
    world.Append(9, 30'000, AckLevel::kDurable);
    world.TruncateBefore(world.log().positions().durable);
  });
}

TEST(LogScheduleTest, AFullLogGoesOnAfterATruncation) {
  Explore(kSchedules / 2, [](LogWorld& world) {
    auto options = world.SmallLog();
    options.log_bytes_max = 3 * options.segment_bytes_max;
    world.Open(options);
    world.StartProducers(20'000);
    bool done = false;
    const int truncations = world.scheduler().Start("truncation", [&] {
      while (!done) {
        world.TruncateBefore(world.log().positions().durable);
        world.LetPass(1000);
      }
    });
    world.JoinAll();
    done = true;
    world.scheduler().Join(truncations);
  });
}

TEST(LogScheduleTest, AFollowerInTheProcessGetsEachUnitOnce) {
  Explore(kSchedules, [](LogWorld& world) {
    world.Open(world.SmallLog());
    world.StartFollower(true, world.PickLevel());
    world.StartProducers(world.OneIn(2) ? 300 : 20'000);
    if (world.OneIn(2)) StartRotations(world);
    if (world.OneIn(3)) StartTruncations(world);
    world.JoinAll();
    world.JoinFollowers();
  });
}

TEST(LogScheduleTest, AFollowerFromOutsideGetsEachUnitOnce) {
  Explore(kSchedules, [](LogWorld& world) {
    world.Open(world.SmallLog());
    world.StartFollower(false, AckLevel::kWritten);
    world.StartProducers(world.OneIn(2) ? 300 : 20'000);
    if (world.OneIn(2)) StartRotations(world);
    world.JoinAll();
    world.JoinFollowers();
  });
}

}  // namespace
}  // namespace varve::testing
