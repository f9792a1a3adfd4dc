// SPDX-License-Identifier: Apache-2.0
#include "files/io_budget.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "base/clock.h"
#include "base/random.h"
#include "files/files.h"
#include "files/simulated_disk.h"

namespace varve {
namespace {

using Work = IoBudget::Work;

// Time passes in waits alone, and a test may do something at the first.
class WaitedClock final : public Clock {
 public:
  std::function<void()> in_wait;
  WallTime Now() override { return {now_}; }
  std::int64_t SteadyMicros() override { return now_; }
  void WaitWord(const std::atomic<std::uint32_t>&, std::uint32_t, std::int64_t micros) override {
    if (in_wait) std::exchange(in_wait, nullptr)();
    now_ += micros;
    ++waits_;
  }
  void Pass(std::int64_t micros) { now_ += micros; }
  int waits() const { return waits_; }

 private:
  std::int64_t now_ = 1'000'000'000;
  int waits_ = 0;
};

class IoBudgetTest : public ::testing::Test {
 protected:
  std::int64_t Took(const std::function<void()>& work) {
    const std::int64_t begin = clock_.SteadyMicros();
    work();
    return clock_.SteadyMicros() - begin;
  }
  std::int64_t Take(Work work, std::uint64_t bytes) {
    return Took([&] { budget_.Take(work, bytes, {}); });
  }

  WaitedClock clock_;
  bool lifted_ = false;
  IoBudget budget_{&clock_, 1'000'000, [this] { return lifted_; }};
};

TEST_F(IoBudgetTest, BytesTakeTheirTimeButWhatWasNotUsedForATenthOfASecond) {
  for (const Work work : {Work::kFlush, Work::kCompaction}) {
    clock_.Pass(60'000'000);
    const std::int64_t took = Took([&] {
      for (int i = 0; i < 100; ++i) budget_.Take(work, 100'000, {});
    });
    EXPECT_EQ(took, 9'800'000) << "the last is owed, and a tenth of a second was there";
    EXPECT_EQ(budget_.used(work).bytes, 10'000'000u);
    EXPECT_EQ(budget_.used(work).waited_micros, 9'800'000u);
  }
}

TEST_F(IoBudgetTest, OneThatIsLargeIsPaidByTheNext) {
  EXPECT_EQ(Take(Work::kCompaction, 50'000'000), 0);
  EXPECT_EQ(Take(Work::kCompaction, 1), 49'900'000);
}

TEST_F(IoBudgetTest, AFlushDoesNotPayWhatCompactionsOwe) {
  Take(Work::kCompaction, 50'000'000);
  EXPECT_EQ(Take(Work::kFlush, 1'000'000), 0);
  EXPECT_EQ(Take(Work::kFlush, 1), 900'000) << "but what flushes do";
  EXPECT_EQ(Take(Work::kCompaction, 1), 50'000'001) << "who pay for both";
}

TEST_F(IoBudgetTest, ACompactionWaitsWhileAFlushDoes) {
  Take(Work::kFlush, 500'000);
  std::int64_t took = 0;
  clock_.in_wait = [&] {
    clock_.Pass(10'000'000);  // all is paid, but the flush did not hear of it yet
    const int waits = clock_.waits();
    std::stop_source stop;
    clock_.in_wait = [&] { clock_.in_wait = [&] { stop.request_stop(); }; };
    took = Took([&] { budget_.Take(Work::kCompaction, 1, stop.get_token()); });
    EXPECT_EQ(clock_.waits() - waits, 2);
  };
  Take(Work::kFlush, 1);
  EXPECT_EQ(took, 2 * IoBudget::kLookMicros);
  EXPECT_EQ(Take(Work::kCompaction, 1), 0) << "and no longer";
}

TEST_F(IoBudgetTest, WhereItIsLiftedNobodyWaitsAndNothingIsOwed) {
  Take(Work::kCompaction, 300'000);
  lifted_ = true;
  EXPECT_EQ(Take(Work::kCompaction, 1'000'000'000), 0);
  lifted_ = false;
  EXPECT_EQ(Take(Work::kCompaction, 1), 200'000);
  EXPECT_EQ(budget_.used(Work::kCompaction).bytes, 1'000'300'001u) << "but all is counted";
}

TEST_F(IoBudgetTest, ItIsSeenToBeLiftedInTheMiddleOfAWait) {
  Take(Work::kFlush, 100'000'000);
  clock_.in_wait = [this] { lifted_ = true; };
  EXPECT_EQ(Take(Work::kFlush, 1), IoBudget::kLookMicros);
}

TEST_F(IoBudgetTest, AStopEndsAWait) {
  Take(Work::kCompaction, 100'000'000);
  std::stop_source stop;
  clock_.in_wait = [&] { stop.request_stop(); };
  EXPECT_EQ(Took([&] { budget_.Take(Work::kCompaction, 1, stop.get_token()); }),
            IoBudget::kLookMicros);
}

TEST_F(IoBudgetTest, AfterTheEndNobodyWaits) {
  Take(Work::kFlush, 100'000'000);
  budget_.End();
  EXPECT_EQ(Take(Work::kFlush, 1), 0);
}

// By the real clock, which would let it wait for a hundred million seconds.
TEST(IoBudgetWaitTest, TheEndWakesWhoeverWaits) {
  std::atomic<int> looks = 0;
  IoBudget budget(SystemClock(), 1, [&] {
    ++looks;
    return false;
  });
  budget.Take(Work::kFlush, 100'000'000, {});
  std::thread waiting([&] { budget.Take(Work::kFlush, 1, {}); });
  while (looks == 0) std::this_thread::yield();
  budget.End();
  waiting.join();
}

TEST_F(IoBudgetTest, AStoreTakesWhatIsReadAndWrittenThroughIt) {
  const auto files = NewMemoryFiles();
  SeededRandom random(1);
  const auto plain = NewFolderStore(files.get(), "root", &random);
  const auto store = NewBudgetedStore(plain.get(), &budget_, Work::kCompaction);
  const std::string bytes(400'000, 'x');
  EXPECT_EQ(Took([&] {
              auto writer = store->NewWriter("data/a");
              ASSERT_TRUE(writer);
              ASSERT_TRUE((*writer)->Append(bytes));
              ASSERT_TRUE((*writer)->Append(bytes));
              ASSERT_TRUE((*writer)->Finish());
            }),
            300'000);
  EXPECT_EQ(Took([&] {
              const auto reader = store->OpenReader("data/a");
              ASSERT_TRUE(reader);
              std::string into(1000, ' ');
              ASSERT_TRUE((*reader)->ReadAt(7, 1000, into.data()));
              ASSERT_TRUE(store->GetRange("data/a", 0, 500));
              ASSERT_TRUE(store->Get("data/a"));
              ASSERT_TRUE(store->Put("data/b", "12345"));
            }),
            400'000 + 1000 + 500 + 800'000);
  EXPECT_EQ(budget_.used(Work::kCompaction).bytes, 800'000u + 1000 + 500 + 800'000 + 5);
  EXPECT_EQ(plain->Get("data/a")->size(), 800'000u);
  EXPECT_EQ(store->Describe("data/b"), plain->Describe("data/b"));
}

}  // namespace
}  // namespace varve
