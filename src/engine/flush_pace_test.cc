// SPDX-License-Identifier: Apache-2.0
#include "engine/flush_pace.h"

#include <gtest/gtest.h>

#include <optional>
#include <thread>

namespace varve {
namespace {

constexpr std::uint64_t kMillion = 1'000'000;
constexpr std::uint64_t kBytesMax = 8 * kMillion;

class FlushPaceTest : public ::testing::Test {
 protected:
  // One that takes so long.
  void Flush(std::uint64_t bytes, std::int64_t micros, bool done = true) {
    FlushPace::Flushing flushing(&pace_, bytes, kBytesMax);
    clock_.Advance(micros);
    if (done) flushing.Done();
  }
  // How long a commit waits.
  std::uint64_t WaitAt(std::uint64_t room) {
    const std::uint64_t before = pace_.slowed_micros();
    pace_.Await(room);
    return pace_.slowed_micros() - before;
  }

  ManualClock clock_{1000, 0};
  FlushPace pace_{&clock_};
};

TEST_F(FlushPaceTest, NobodyWaitsWithoutAFlushOrBeforeOneWasMeasured) {
  EXPECT_EQ(WaitAt(kMillion), 0u);
  EXPECT_EQ(WaitAt(1), 0u);
  {
    FlushPace::Flushing first(&pace_, kMillion, kBytesMax);
    EXPECT_FALSE(pace_.keeps());
    EXPECT_EQ(WaitAt(kMillion), 0u);
    EXPECT_EQ(WaitAt(1), 0u);
  }
  Flush(kMillion, 1'000, false);
  FlushPace::Flushing after_one_that_failed(&pace_, kMillion, kBytesMax);
  EXPECT_FALSE(pace_.keeps());
}

TEST_F(FlushPaceTest, TheRoomLastsUntilTheFlushEnds) {
  Flush(10 * kMillion, 1'000'000);
  std::optional<FlushPace::Flushing> flushing(std::in_place, &pace_, 10 * kMillion, kBytesMax);
  ASSERT_TRUE(pace_.keeps());
  const std::int64_t start = clock_.SteadyMicros();
  std::uint64_t room = 9 * kMillion, commits = 0;
  while (clock_.SteadyMicros() < start + 1'000'000 && commits < 1'000) {
    ASSERT_GT(room, 90'000u);
    pace_.Await(room);
    room -= 90'000;
    ++commits;
  }
  EXPECT_TRUE(pace_.slows());
  EXPECT_EQ(commits, 76u) << "three quarters of it";
  flushing->Done();
  flushing.reset();
  EXPECT_FALSE(pace_.slows());
  EXPECT_EQ(WaitAt(room), 0u) << "let go at once";
}

TEST_F(FlushPaceTest, WhoIsSlowerAnywayDoesNotWait) {
  Flush(10 * kMillion, 1'000'000);
  FlushPace::Flushing flushing(&pace_, 10 * kMillion, kBytesMax);
  for (std::uint64_t room = 9 * kMillion; room > 2'500'000; room -= 90'000) {
    EXPECT_EQ(WaitAt(room), 0u);
    clock_.Advance(13'400);
  }
}

TEST_F(FlushPaceTest, AFlushThatIsLateIsThoughtToNeedAsLongAgain) {
  Flush(8 * kMillion, 800'000);
  FlushPace::Flushing flushing(&pace_, 8 * kMillion, kBytesMax);
  EXPECT_EQ(WaitAt(9 * kMillion), 0u);
  clock_.Advance(800'000);
  std::uint64_t room = 8 * kMillion;
  for (const std::int64_t took : {800'000, 1'600'000, 3'200'000}) {
    EXPECT_EQ(WaitAt(room), 0u);
    // Three quarters are for as long as it took; of them this is a thirtieth.
    EXPECT_EQ(WaitAt(room - room / 40), static_cast<std::uint64_t>(std::min(took / 30, 100'000l)));
    clock_.Advance(took - took / 30);
    room -= room / 2;
  }
}

TEST_F(FlushPaceTest, SmallFlushesTellNothingOfLargeOnes) {
  for (int i = 0; i < 3; ++i) Flush(1'000, 5'000);
  {
    FlushPace::Flushing first(&pace_, 10 * kMillion, kBytesMax);
    EXPECT_FALSE(pace_.keeps());
  }
  Flush(10 * kMillion, 1'000'000);
  for (int i = 0; i < 10; ++i) Flush(1'000, 5'000);
  FlushPace::Flushing flushing(&pace_, 10 * kMillion, kBytesMax);
  EXPECT_EQ(WaitAt(9 * kMillion), 0u);
  EXPECT_EQ(WaitAt(9 * kMillion - 90'000), 13'333u);
}

TEST_F(FlushPaceTest, NoCommitWaitsLongerThanATenthOfASecond) {
  Flush(10 * kMillion, 1'000'000);
  FlushPace::Flushing flushing(&pace_, 10 * kMillion, kBytesMax);
  EXPECT_EQ(WaitAt(kMillion), 0u);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(WaitAt(0), 100'000u);
}

TEST_F(FlushPaceTest, SmallCommitsWaitTogether) {
  Flush(10 * kMillion, 1'000'000);
  FlushPace::Flushing flushing(&pace_, 10 * kMillion, kBytesMax);
  int waits = 0;
  for (std::uint64_t i = 0; i < 1'000; ++i) {
    waits += WaitAt(10 * kMillion - 900 * i) > 0 ? 1 : 0;
  }
  EXPECT_GT(waits, 30);
  EXPECT_LE(waits, 240) << "half a millisecond at least";
}

TEST_F(FlushPaceTest, AnEndLetsGoForGood) {
  Flush(10 * kMillion, 1'000'000);
  std::optional<FlushPace::Flushing> flushing(std::in_place, &pace_, 10 * kMillion, kBytesMax);
  pace_.End();
  EXPECT_FALSE(pace_.keeps());
  flushing.reset();
  flushing.emplace(&pace_, 10 * kMillion, kBytesMax);
  EXPECT_FALSE(pace_.keeps());
}

TEST(FlushPace, WhoWaitsIsLetGoWhenTheFlushEnds) {
  FlushPace pace(SystemClock());
  {
    FlushPace::Flushing first(&pace, 1, 1);
    std::atomic<std::uint32_t> word = 0;
    SystemClock()->WaitWord(word, 0, 2'000);
    first.Done();
  }
  // Which would take for ever, as far as is known: each commit waits as long as it may.
  std::optional<FlushPace::Flushing> flushing(std::in_place, &pace, 1ull << 40, 1);
  std::thread waits([&] {
    while (pace.keeps()) {
      pace.Await(1 << 20);
      pace.Await(1);
    }
  });
  while (!pace.slows()) std::this_thread::yield();
  flushing.reset();
  waits.join();
  EXPECT_GT(pace.slowed_micros(), 0u);
}

}  // namespace
}  // namespace varve
