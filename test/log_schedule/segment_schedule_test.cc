// SPDX-License-Identifier: Apache-2.0
// Schedules in which segments end, begin, go, and are read.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "test/log_schedule/explore.h"
#include "varve/log_pages.h"

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

// Three segments, each filled by one unit, and a log that may have no more.
void FillToTheCap(LogWorld& world) {
  auto options = world.SmallLog();
  options.log_bytes_max = 3 * options.segment_bytes_max;
  world.Open(options);
  for (int i = 0; i < 3; ++i) world.Append(9, 9'000, AckLevel::kDurable);
}

// Whoever sleeps through the only truncation sleeps for ever.
TEST(LogScheduleTest, OneTruncationWakesThoseWhoWaitAtTheCap) {
  Explore(kSchedules, [](LogWorld& world) {
    FillToTheCap(world);
    for (int i = 0; i < 2; ++i) {
      world.Start("producer", [&world, i] { world.Append(i, 9'000, world.PickLevel()); });
    }
    world.TruncateBefore(world.log().positions().durable);
  });
}

// A segment that is sealed gives its unused space back, which makes room as a truncation does.
TEST(LogScheduleTest, ARotationWakesThoseWhoWaitAtTheCap) {
  Explore(kSchedules / 2, [](LogWorld& world) {
    auto options = world.SmallLog();
    options.segment_bytes_max = 64 << 10;
    options.log_bytes_max = 3 * options.segment_bytes_max;
    world.Open(options);
    for (int i = 0; i < 3; ++i) world.Append(9, 25'000, AckLevel::kDurable);
    world.Start("producer", [&world] { world.Append(0, 42'000, world.PickLevel()); });
    world.Rotate();
  });
}

// So does a flush that goes on in the next segment. The first unit goes through three segments, of
// which the flush seals two; only then there is room for the second unit's.
TEST(LogScheduleTest, AFlushThatSealsASegmentWakesThoseWhoWaitAtTheCap) {
  Explore(kSchedules / 2, [](LogWorld& world) {
    auto options = world.SmallLog();
    options.group_bytes_max = 1 << 20;
    options.group_units_max = 0;
    options.log_bytes_max = 4 * options.segment_bytes_max - (8 << 10);
    world.Open(options);
    const auto first = world.Enqueue(9, 36'000, AckLevel::kDurable);
    world.Start("producer", [&world] { world.Append(0, 9'000, world.PickLevel()); });
    world.Expect(first && world.Wait(*first, AckLevel::kDurable), "the first unit has room");
  });
}

// A checkpoint passes the cap, and its segment has room for more.
TEST(LogScheduleTest, ACheckpointsSegmentIsForThoseWhoWaitAtTheCapToo) {
  Explore(kSchedules / 2, [](LogWorld& world) {
    FillToTheCap(world);
    world.Start("producer", [&world] { world.Append(0, 5'000, world.PickLevel()); });
    world.Expect(world.log().Checkpoint(world.log().positions().durable).has_value(),
                 "a checkpoint failed");
  });
}

// A log of one unit in each of three segments; gives the end of each.
std::vector<Lsn> OpenWithThreeSegments(LogWorld& world) {
  const Scheduler::Undisturbed at_once;
  world.Open(world.SmallLog());
  std::vector<Lsn> ends;
  for (int i = 0; i < 3; ++i) {
    world.Append(9, 100, AckLevel::kDurable);
    ends.push_back(world.log().positions().durable);
    world.Rotate();
  }
  return ends;
}

void StartCheckpoint(LogWorld& world, Lsn replay_from) {
  world.Start("checkpoint", [&world, replay_from] { world.Checkpoint(replay_from); });
}

TEST(LogScheduleTest, ATruncationBesideAFirstCheckpointKeepsWhatItNeeds) {
  Explore(kSchedules, [](LogWorld& world) {
    const auto ends = OpenWithThreeSegments(world);
    StartCheckpoint(world, ends[world.Pick(0, 1)]);
    world.TruncateBefore(ends[2]);
  });
}

TEST(LogScheduleTest, OfTwoCheckpointsAtOnceReplayStartsWhereTheNewestSays) {
  Explore(kSchedules, [](LogWorld& world) {
    const auto ends = OpenWithThreeSegments(world);
    if (world.OneIn(2)) world.Checkpoint(ends[world.Pick(0, 2)]);
    StartCheckpoint(world, ends[2]);
    StartCheckpoint(world, ends[world.Pick(0, 1)]);
    if (world.OneIn(2)) world.JoinAll();
    world.TruncateBefore(ends[2]);
  });
}

// They pass the cap one after the other, whoever waits there meanwhile.
TEST(LogScheduleTest, CheckpointsAtTheCapWaitForNobody) {
  Explore(kSchedules / 5, [](LogWorld& world) {
    FillToTheCap(world);
    world.StartProducers(20'000);
    bool done = false;
    std::vector<int> threads;
    for (int i = 0; i < 2; ++i) {
      threads.push_back(world.scheduler().Start("checkpoints", [&] {
        while (!done) {
          const auto durable = world.log().positions().durable;
          world.Checkpoint(durable);
          world.TruncateBefore(durable);
          world.LetPass(1000);
        }
      }));
    }
    world.JoinAll();
    done = true;
    for (const int thread : threads) world.scheduler().Join(thread);
  });
}

class NoPages final : public PageSink {
 public:
  Status Apply(PageNumber, std::string_view) override { return {}; }
  Status Flush() override { return {}; }
};

TEST(LogScheduleTest, PagesAreCheckpointedWhileACommitWaitsAtTheCap) {
  Explore(kSchedules / 2, [](LogWorld& world) {
    FillToTheCap(world);
    NoPages sink;
    PageLog pages(&world.log(), &sink, {.page_bytes = 9'000});
    world.Start("commit", [&] {
      const auto transaction = pages.Begin();
      const bool put = transaction && pages.Put(*transaction, {1}, std::string(9'000, 'p'));
      world.Expect(put && pages.Commit(*transaction).has_value(), "a commit failed");
    });
    world.ledger().Truncated(world.log().positions().durable);
    world.Expect(pages.Checkpoint().has_value(), "a checkpoint failed");
    world.JoinAll();
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
