// SPDX-License-Identifier: Apache-2.0
// The scheduler itself: it finds what it is there to find, and finds it again.
#include "test/log_schedule/scheduler.h"

#include <gtest/gtest.h>
#include <pthread.h>

#include "test/log_schedule/log_world.h"

namespace varve::testing {
namespace {

constexpr std::uint64_t kSeeds = 200;

// Runs `body` in a schedule of each seed.
template <typename Body>
void ForEachSeed(const Body& body) {
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    Scheduler scheduler(seed, "seed " + std::to_string(seed));
    body(scheduler);
  }
}

TEST(SchedulerTest, ALostUpdateHappensInSomeSchedulesAndNotInAll) {
  int lost = 0;
  ForEachSeed([&](Scheduler& scheduler) {
    int number = 0;
    const auto add = [&] {
      const int seen = number;
      scheduler.Point(PointKind::kStep, &number);
      number = seen + 1;
    };
    scheduler.Run([&] {
      const int other = scheduler.Start("other", add);
      add();
      scheduler.Join(other);
    });
    lost += number == 1;
  });
  EXPECT_GT(lost, 0);
  EXPECT_LT(lost, static_cast<int>(kSeeds));
}

TEST(SchedulerTest, TheSameSeedIsTheSameScheduleAndTheSameDisk) {
  const auto run = [](std::uint64_t seed) {
    LogWorld world(seed, "");
    EXPECT_TRUE(world.Run([](LogWorld& log) {
      log.Open(log.SmallLog());
      log.StartProducers(300);
      log.Rotate();
    }).empty());
    return std::pair(world.scheduler().fingerprint(), world.disk().Fingerprint());
  };
  for (std::uint64_t seed = 1; seed <= 20; ++seed) EXPECT_EQ(run(seed), run(seed)) << seed;
  EXPECT_NE(run(1).first, run(2).first);
}

TEST(SchedulerTest, TimeMovesToTheEarliestDeadline) {
  ForEachSeed([](Scheduler& scheduler) {
    const char first = 0;
    const char second = 0;
    scheduler.Run([&] {
      const auto began = scheduler.now();
      const int other = scheduler.Start("other", [&] {
        EXPECT_FALSE(scheduler.Wait(PointKind::kStep, &second, 1000));
        scheduler.Wake(&first);
      });
      EXPECT_TRUE(scheduler.Wait(PointKind::kStep, &first, 5000));
      EXPECT_EQ(scheduler.now() - began, 1000);
      scheduler.Join(other);
    });
  });
}

TEST(SchedulerTest, AMutexKeepsOthersOut) {
  ForEachSeed([](Scheduler& scheduler) {
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    int inside = 0;
    const auto enter = [&] {
      pthread_mutex_lock(&mutex);
      EXPECT_EQ(++inside, 1);
      scheduler.Point(PointKind::kStep, &inside);
      --inside;
      pthread_mutex_unlock(&mutex);
    };
    scheduler.Run([&] {
      const int other = scheduler.Start("other", enter);
      enter();
      scheduler.Join(other);
    });
  });
}

TEST(SchedulerDeathTest, ALostWakeUpEndsTheProgramAndTellsTheSeed) {
  EXPECT_EXIT(ForEachSeed([](Scheduler& scheduler) {
                bool done = false;
                scheduler.Run([&] {
                  const int other = scheduler.Start("other", [&] {
                    done = true;
                    scheduler.Wake(&done);
                  });
                  if (!done) {  // and between the look and the wait comes the wake-up
                    scheduler.Point(PointKind::kStep, &done);
                    scheduler.Wait(PointKind::kStep, &done);
                  }
                  scheduler.Join(other);
                });
              }),
              ::testing::ExitedWithCode(1), "nobody can run(.|\n)*body. waits(.|\n)*seed ");
}

TEST(SchedulerDeathTest, MutexesInTwoOrdersEndTheProgram) {
  EXPECT_EXIT(ForEachSeed([](Scheduler& scheduler) {
                const char a = 0;
                const char b = 0;
                const auto both = [&](const char* first, const char* second) {
                  scheduler.Lock(first);
                  scheduler.Lock(second);
                  scheduler.Unlock(second);
                  scheduler.Unlock(first);
                };
                scheduler.Run([&] {
                  const int other = scheduler.Start("other", [&] { both(&a, &b); });
                  both(&b, &a);
                  scheduler.Join(other);
                });
              }),
              ::testing::ExitedWithCode(1), "nobody can run");
}

}  // namespace
}  // namespace varve::testing
