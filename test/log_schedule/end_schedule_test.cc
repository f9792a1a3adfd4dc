// SPDX-License-Identifier: Apache-2.0
// Schedules in which the log ends while others use it: closed, or by a failure.
#include <gtest/gtest.h>

#include "test/log_schedule/explore.h"

namespace varve::testing {
namespace {

constexpr std::uint64_t kSchedules = 2000;

// Everything that may be waiting when the log ends.
void StartAllKinds(LogWorld& world) {
  world.StartProducers(world.OneIn(3) ? 20'000 : 300);
  world.Start("callbacks", [&world] {
    for (int left = 2; left > 0; --left) world.AppendThen(7, 50, world.PickLevel());
  });
  world.Start("waiter", [&world] {
    const auto ticket = world.Enqueue(8, 50);
    if (ticket) world.WaitUntil(ticket->ticket.end, world.PickLevel());
  });
  if (world.OneIn(3)) world.Start("rotation", [&world] { world.Rotate(); });
  if (world.OneIn(3)) world.Start("sync", [&world] { world.Sync(); });
}

TEST(LogScheduleTest, CloseBesideAppendsAnswersEverybody) {
  Explore(kSchedules, [](LogWorld& world) {
    auto options = world.SmallLog();
    if (world.OneIn(4)) options.queue_bytes_max = 4096;
    if (world.OneIn(4)) options.linger_us = 100;
    world.Open(options);
    StartAllKinds(world);
    if (world.OneIn(2)) world.Append(9, 50, world.PickLevel());
    world.Close();
  });
}

// The executor's tasks outlive the log. What is freed is overwritten (intercepted.cc).
TEST(LogScheduleTest, ADroppedLogLeavesNoTaskThatUsesIt) {
  Explore(kSchedules, [](LogWorld& world) {
    world.Open(world.SmallLog());
    // While a callback runs, a flush makes others ready, which it asks for when it is through.
    const auto take_time = [&world] { world.LetPass(world.Pick(1, 20)); };
    for (auto left = world.Pick(3, 8); left > 0; --left) {
      world.AppendThen(7, 50, AckLevel::kWritten, take_time);
      if (world.OneIn(2)) world.LetPass(world.Pick(1, 20));
    }
    for (auto left = world.Pick(0, 10); left > 0; --left) (void)world.log().positions();
    world.Drop();
  });
}

// Who was told that a unit is not kept may append it again: it must not be there.
TEST(LogScheduleTest, ADroppedLogTellsNobodyThatWhatIsThereIsNot) {
  Explore(kSchedules, [](LogWorld& world) {
    auto options = world.SmallLog();
    options.sync_policy = static_cast<LogSyncPolicy>(world.Pick(0, 3));
    world.Open(options);
    world.ExpectFailures();  // of unknown outcome
    for (int i = 0; i < 2; ++i) {
      world.Start("producer", [&world, i] {
        for (auto left = world.Pick(1, 4); left > 0; --left) {
          world.AppendThen(i, world.Pick(10, 3000), world.PickLevel());
          if (world.OneIn(2)) world.Append(10 + i, 50, AckLevel::kWritten);
        }
      });
    }
    world.JoinAll();
    world.Drop();
  });
}

TEST(LogScheduleTest, CloseBesideCheckpointsAnswersEverybody) {
  Explore(kSchedules / 4, [](LogWorld& world) {
    world.Open(world.SmallLog());
    for (int i = 0; i < 2; ++i) {
      world.Append(9, 50, AckLevel::kDurable);
      const auto replay_from = world.log().positions().durable;
      world.Start("checkpoint", [&world, replay_from] { world.Checkpoint(replay_from); });
    }
    const auto end = world.log().positions().durable;
    world.Start("truncation", [&world, end] { world.TruncateBefore(end); });
    world.Close();
  });
}

TEST(LogScheduleTest, AFailureAnswersEverybodyAndTakesNothingBack) {
  Explore(kSchedules, [](LogWorld& world) {
    auto options = world.SmallLog();
    if (world.OneIn(4)) options.queue_bytes_max = 4096;
    if (world.OneIn(4)) options.linger_us = 100;
    world.Open(options);
    world.ExpectFailures();
    const auto event = world.disk().events() + world.Pick(1, 12);
    if (world.OneIn(2)) {
      world.disk().CrashAtEvent(event);
    } else {
      world.disk().FailEvent(event, Error(ErrorKind::kUnavailable, "injected", ErrorReason::kIo));
    }
    StartAllKinds(world);
    world.Observe();
    world.JoinAll();
    world.Append(9, 50, AckLevel::kDurable);
  });
}

}  // namespace
}  // namespace varve::testing
