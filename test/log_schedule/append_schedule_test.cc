// SPDX-License-Identifier: Apache-2.0
// Schedules of those who append, wait and flush.
#include <gtest/gtest.h>

#include <deque>
#include <optional>
#include <vector>

#include "base/executor.h"
#include "test/log_schedule/explore.h"

namespace varve::testing {
namespace {

constexpr std::uint64_t kSchedules = 2000;

// Hands tickets from those who enqueue to one who waits.
class Mailbox {
 public:
  Mailbox(LogWorld* world, int senders) : world_(world), senders_(senders) {}
  void Put(const LogWorld::Ticket& ticket) {
    tickets_.push_back(ticket);
    world_->scheduler().Wake(this);
  }
  void End() {
    if (--senders_ == 0) world_->scheduler().Wake(this);
  }
  // Nothing when all have ended.
  std::optional<LogWorld::Ticket> Take() {
    while (tickets_.empty()) {
      if (senders_ == 0) return {};
      world_->scheduler().Wait(PointKind::kStep, this);
    }
    const auto ticket = tickets_.front();
    tickets_.pop_front();
    return ticket;
  }

 private:
  LogWorld* const world_;
  int senders_;
  std::deque<LogWorld::Ticket> tickets_;
};

TEST(LogScheduleTest, WhatProducersWereToldHolds) {
  Explore(kSchedules, [](LogWorld& world) {
    world.Open(world.SmallLog());
    world.StartProducers(300);
    world.Observe();
    if (world.OneIn(2)) world.Sync();
    world.Observe();
  });
}

// A producer may hold a frame's address from before it was written and begun anew.
TEST(LogScheduleTest, ALateProducerFindsTheFrameInAnotherLife) {
  Explore(kSchedules, [](LogWorld& world) {
    auto options = world.SmallLog();
    options.group_units_max = 1;
    options.encode_mode = LogEncodeMode::kParallel;
    world.Open(options);
    for (int i = 0; i < 3; ++i) {
      world.Start("producer", [&world, i] {
        for (int left = 4; left > 0; --left) world.Append(i, 20, AckLevel::kDurable);
      });
    }
  });
}

TEST(LogScheduleTest, TicketsAreWaitedForByAnotherThread) {
  Explore(kSchedules, [](LogWorld& world) {
    auto options = world.SmallLog();
    options.sync_policy = static_cast<LogSyncPolicy>(world.Pick(0, 3));
    world.Open(options);
    const int senders = static_cast<int>(world.Pick(1, 3));
    Mailbox mailbox(&world, senders);
    for (int i = 0; i < senders; ++i) {
      world.Start("sender", [&, i] {
        for (auto left = world.Pick(1, 3); left > 0; --left) {
          const auto ticket = world.Enqueue(i, world.Pick(10, 300), world.PickLevel());
          if (ticket) mailbox.Put(*ticket);
        }
        mailbox.End();
      });
    }
    for (int i = 0; i < 2; ++i) {
      world.Start("waiter", [&] {
        while (const auto ticket = mailbox.Take()) world.Wait(*ticket, world.PickLevel());
      });
    }
    world.JoinAll();
  });
}

// What two producers contend for is the place of their units: one word, swapped once for each.
TEST(LogScheduleTest, ATicketSwapsOneWordThatProducersShare) {
  constexpr int kUnits = 40;
  Explore(kSchedules / 40, [](LogWorld& world) {
    auto options = world.SmallLog();
    options.segment_bytes_max = 1 << 20;
    options.group_bytes_max = 256 << 10;
    options.group_units_max = 0;
    options.encode_mode = LogEncodeMode::kParallel;
    world.Open(options);
    world.Append(0, 20, AckLevel::kDurable);
    world.scheduler().CountTouches();
    std::vector<int> producers;
    for (int i = 0; i < 2; ++i) {
      producers.push_back(world.scheduler().Start("producer", [&world, i] {
        const Scheduler::Undisturbed alone;
        for (int left = kUnits; left > 0; --left) world.Enqueue(i, 20);
      }));
    }
    for (const int producer : producers) world.scheduler().Join(producer);
    const auto shared = world.scheduler().TouchesShared(producers[0], producers[1]);
    world.Expect(shared > 0, "producers that share nothing cannot be in one order");
    world.Expect(shared <= 2 * kUnits + 8, "units contend for more than one word");
  });
}

TEST(LogScheduleTest, EachCallbackComesOnceAndIsTrue) {
  Explore(kSchedules, [](LogWorld& world) {
    world.Open(world.SmallLog());
    for (int i = 0; i < 3; ++i) {
      world.Start("producer", [&world, i] {
        for (auto left = world.Pick(1, 3); left > 0; --left) {
          world.AppendThen(i, world.Pick(10, 300), world.PickLevel());
        }
        if (world.OneIn(3)) world.Append(i, 20, world.PickLevel());
      });
    }
  });
}

TEST(LogScheduleTest, ACallbackAppendsThoughTheQueueIsFull) {
  Explore(kSchedules / 2, [](LogWorld& world) {
    auto options = world.SmallLog();
    options.queue_bytes_max = 4096;
    world.Open(options);
    for (int i = 0; i < 2; ++i) {
      world.Start("producer", [&world, i] {
        world.AppendThen(i, 100, world.PickLevel(), [&world, i] {
          for (int left = 3; left > 0; --left) world.AppendThen(5 + i, 2'000, world.PickLevel());
        });
      });
    }
    if (world.OneIn(2)) world.Append(9, 50, world.PickLevel());
    world.JoinAll();
  });
}

// Whoever leads for the others gives the executor's thread back from time to time.
TEST(LogScheduleTest, ATaskHasItsTurnBesideThoseWhoAppend) {
  Explore(10, [](LogWorld& world) {
    auto options = world.SmallLog();
    options.group_units_max = 1;  // so that somebody always waits
    world.scheduler().chooser().UseWalk();  // by priority an executor may starve beside eight
    world.Open(options);
    bool had_its_turn = false;
    int busy = 8;
    for (int i = 0; i < 8; ++i) {
      world.Start("producer", [&, i] {
        for (int left = 200; left > 0 && !had_its_turn; --left) {
          world.Append(i, 20, AckLevel::kWritten);
        }
        if (--busy == 0) world.Expect(had_its_turn, "a task never had its turn");
      });
    }
    world.LetPass(1);
    world.components().executor->Submit([&] { had_its_turn = true; });
    world.JoinAll();
  });
}

TEST(LogScheduleTest, TransactionsCommitBesideOneAnother) {
  Explore(kSchedules, [](LogWorld& world) {
    world.Open(world.SmallLog());
    for (int i = 0; i < 3; ++i) {
      world.Start("transaction", [&world, i] {
        for (auto left = world.Pick(1, 3); left > 0; --left) {
          world.Commit(i, world.Pick(10, 3000), world.PickLevel());
        }
      });
    }
    world.Append(3, 100, AckLevel::kDurable);
  });
}

TEST(LogScheduleTest, LingeringEnds) {
  Explore(kSchedules, [](LogWorld& world) {
    auto options = world.SmallLog();
    options.linger_us = world.Pick(1, 200);
    if (world.OneIn(2)) options.queue_bytes_max = 4096;
    world.Open(options);
    world.StartProducers(1500);
    if (world.OneIn(3)) world.Rotate();
  });
}

TEST(LogScheduleTest, WhoGivesUpLeavesTheOthersAwake) {
  Explore(kSchedules, [](LogWorld& world) {
    auto options = world.SmallLog();
    options.sync_policy = LogSyncPolicy::kNever;
    if (world.OneIn(2)) options.linger_us = 500;
    world.Open(options);
    world.ExpectTimeouts();
    for (int i = 0; i < 3; ++i) {
      world.Start("waiter", [&world, i] {
        const auto ticket = world.Enqueue(10 + i, 50);
        if (!ticket) return;
        if (world.OneIn(2)) world.WaitUntil(ticket->ticket.end, world.PickLevel(), 0);
        world.WaitUntil(ticket->ticket.end, AckLevel::kDurable, world.Pick(0, 1));
      });
    }
    world.StartProducers(100);
  });
}

TEST(LogScheduleTest, AFullQueueLetsEveryoneInOrSaysNo) {
  Explore(kSchedules, [](LogWorld& world) {
    auto options = world.SmallLog();
    options.queue_bytes_max = 4096;
    if (world.OneIn(2)) {
      options.queue_wait_ms_max = world.Pick(0, 1);
      world.ExpectTimeouts();
    }
    world.Open(options);
    for (int i = 0; i < 3; ++i) {
      world.Start("producer", [&world, i] {
        for (int left = 3; left > 0; --left) {
          const auto ticket = world.Enqueue(i, world.Pick(500, 3000), AckLevel::kDurable);
          if (ticket && world.OneIn(2)) world.Wait(*ticket, world.PickLevel());
        }
      });
    }
  });
}

TEST(LogScheduleTest, WhatNobodyWaitsForBecomesDurable) {
  Explore(kSchedules, [](LogWorld& world) {
    auto options = world.SmallLog();
    const bool at_once = world.OneIn(2);
    options.sync_policy = at_once ? LogSyncPolicy::kEveryGroup : LogSyncPolicy::kInterval;
    world.Open(options);
    for (int i = 0; i < 3; ++i) {
      world.Start("producer", [&world, i] {
        for (auto left = world.Pick(1, 3); left > 0; --left) world.Enqueue(i, world.Pick(10, 3000));
      });
    }
    world.JoinAll();
    // Time may pass while others could run: so it is their steps that are counted.
    const auto begin = world.scheduler().steps();
    while (world.scheduler().steps() < begin + 20'000) {
      world.LetPass(100'000);
      const auto positions = world.log().positions();
      if (positions.durable == positions.appended) return;
    }
    world.Expect(false, "a unit is not durable after 20,000 steps");
  });
}

}  // namespace
}  // namespace varve::testing
