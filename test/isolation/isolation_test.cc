// SPDX-License-Identifier: Apache-2.0
// A million transactions, whose histories must be what their isolation level allows.
//
// Most are interleaved by one thread: which transaction takes the next step is chosen by the seed,
// so that a history replays. The others run in four threads at once.
#include <arrow/api.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <atomic>
#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/executor.h"
#include "base/random.h"
#include "files/files.h"
#include "files/simulated_disk.h"
#include "test/isolation/actor.h"
#include "test/isolation/history.h"
#include "test/isolation/numbers.h"
#include "test/support/seed.h"
#include "varve/database.h"

namespace varve::testing {
namespace {

constexpr int kLives = 236;  // of each level
constexpr int kFewLives = 4;
constexpr int kForgettingLives = 4;
constexpr std::uint64_t kMuchMemory = 1 << 20;
constexpr std::size_t kTransactionsOfALife = 2000;
static_assert((kLives + kForgettingLives) * kTransactionsOfALife >= 480'000);
constexpr int kThreadedLives = 4;  // of each level
constexpr std::size_t kTransactionsOfAThread = 1500;
constexpr std::size_t kActors = 6;  // and slow ones
constexpr std::size_t kThreads = 4;

std::shared_ptr<arrow::Schema> LongKeySchema() {
  static const auto schema = arrow::schema({arrow::field("key", arrow::binary(), false)});
  return schema;
}

class IsolationTest : public ::testing::TestWithParam<Isolation> {
 protected:
  // Commits that are still on their way are told to actors.
  void TearDown() override {
    for (auto& actor : actors_) actor.Abandon();
    db_.reset();
  }
  void Open() {
    world_.isolation = GetParam();
    const OpenOptions options{.create_if_missing = true,
                              .memtable_bytes_max = memtable_bytes_max_,
                              .log_segment_bytes_max = 1 << 20};
    const Components components{
        .files = files_.get(), .clock = &clock_, .random = &random_, .executor = executor_.get()};
    auto db = Database::Open("/db", options, components);
    ASSERT_TRUE(db) << db.error().message();
    db_ = *std::move(db);
    world_.db = db_.get();
    ASSERT_NO_FATAL_FAILURE(MakeTables(db_.get()));
    ASSERT_TRUE(db_->CreateTable("long_keys", LongKeySchema(), {"key"}, {.if_not_exists = true}));
  }
  // A database and transactions of their own.
  void BeginLife(std::unique_ptr<Executor> executor, std::size_t actors, std::size_t slow_actors,
                 std::uint64_t memtable_bytes_max) {
    db_.reset();
    actors_.clear();
    executor_ = std::move(executor);
    files_ = NewMemoryFiles();
    memtable_bytes_max_ = memtable_bytes_max;
    idle_ = std::uint64_t{2} << 3 * (lives_++ % 3);
    world_.events = 0;
    world_.appended = 0;
    for (std::size_t i = 0; i < actors + slow_actors; ++i) {
      actors_.emplace_back(&world_, random_.Next(), i >= actors);
    }
    Open();
  }
  void Close() {
    for (auto& actor : actors_) actor.Abandon();
    ASSERT_TRUE(db_->Close());
    for (auto& actor : actors_) actor.Settle();
  }
  void Reopen() {
    ASSERT_NO_FATAL_FAILURE(Close());
    db_.reset();
    Open();
  }
  void EndLife() {
    ASSERT_NO_FATAL_FAILURE(Close());
    History history;
    for (auto& actor : actors_) {
      auto part = actor.TakeHistory();
      history.insert(history.end(), std::make_move_iterator(part.begin()),
                     std::make_move_iterator(part.end()));
    }
    ASSERT_NO_FATAL_FAILURE(Judge(history));
  }
  void Interleave(int lives, const std::vector<std::uint64_t>& memories) {
    SCOPED_TRACE(SeedTrace(TestSeed()));
    for (int life = 0; life < lives; ++life) {
      SCOPED_TRACE(fmt::format("life {}", life));
      const auto memory = memories[random_.Below(memories.size())];
      ASSERT_NO_FATAL_FAILURE(
          BeginLife(std::make_unique<ManualExecutor>(), kActors, 1, memory));
      while (Done() < kTransactionsOfALife) {
        ASSERT_NO_FATAL_FAILURE(StepInTheBackground());
        ASSERT_NO_FATAL_FAILURE(actors_[random_.Below(actors_.size())].Step());
      }
      ASSERT_NO_FATAL_FAILURE(EndLife());
    }
    ExpectWriteSkewWhereItIsAllowed();
  }
  // The database remembers keys of a quarter of its memory. These take all of that, and less than
  // the other half of what is left: their own commit does not seal the memtable, so conflicts have
  // to be found in memtables, sealed or not, and in runs.
  void MakeItForgetKeys() {
    constexpr std::uint64_t kKeyBytes = 300;  // twice as many when encoded: they are zeros
    arrow::BinaryBuilder keys;
    for (std::uint64_t i = 0; i < memtable_bytes_max_ / 4 / (2 * kKeyBytes) + 1; ++i) {
      std::string key(kKeyBytes, '\0');
      key += std::to_string(i);
      ASSERT_TRUE(keys.Append(key).ok());
    }
    const auto column = *keys.Finish();
    const auto batch = arrow::RecordBatch::Make(LongKeySchema(), column->length(), {column});
    const auto info = db_->Delete("long_keys", batch);
    ASSERT_TRUE(info) << info.error().message();
  }
  // What the database does by itself, and what somebody asks of it now and then.
  void StepInTheBackground() {
    if (random_.Below(idle_) == 0) executor_->RunOne();
    const auto pick = random_.Below(30000);
    if (pick < 2) {
      ASSERT_TRUE(db_->Flush());
    } else if (pick == 2) {
      ASSERT_NO_FATAL_FAILURE(Reopen());
    } else if (pick < 100) {
      ASSERT_TRUE(db_->Sync());
      for (auto& actor : actors_) actor.Settle();
    } else if (forgets_ && pick < 200) {
      ASSERT_NO_FATAL_FAILURE(MakeItForgetKeys());
    }
  }
  std::size_t Done() const {
    std::size_t done = 0;
    for (const auto& actor : actors_) done += actor.done();
    return done;
  }
  void Judge(const History& history) {
    const auto found = Check(history);
    for (const auto& example : found.examples) ADD_FAILURE() << example;
    const auto numbers = CheckNumbers(history, GetParam() == Isolation::kSerializable);
    for (const auto& example : numbers.examples) ADD_FAILURE() << example;
    ASSERT_TRUE(found.counts.empty() && numbers.counts.empty());
    if (found.write_skew) ++skews_;
    transactions_ += history.size();
    for (const auto& transaction : history) committed_ += transaction.committed ? 1 : 0;
  }
  void ExpectWriteSkewWhereItIsAllowed() const {
    if (GetParam() == Isolation::kSerializable) {
      EXPECT_EQ(skews_, 0u);
    } else {
      EXPECT_GT(skews_, 0u);
    }
    EXPECT_GT(world_.conflicts, transactions_ / 100);
    EXPECT_GT(committed_, transactions_ / 3);
    EXPECT_GT(world_.beside_others, transactions_ / 10);
  }
  ManualClock clock_;
  SeededRandom random_{TestSeed()};
  World world_;
  std::uint64_t memtable_bytes_max_ = 0;  // of this life
  bool forgets_ = false;                  // keys, now and then
  std::uint64_t lives_ = 0;
  std::uint64_t idle_ = 1;                // steps to one of the executor, about
  std::unique_ptr<Executor> executor_;
  std::unique_ptr<Files> files_;
  std::unique_ptr<Database> db_;
  std::deque<Actor> actors_;
  std::uint64_t transactions_ = 0, committed_ = 0, skews_ = 0;
};

TEST_P(IsolationTest, AFewInterleavedHistoriesAreAllowed) {
  ASSERT_NO_FATAL_FAILURE(Interleave(kFewLives, {kMuchMemory}));
}

TEST_P(IsolationTest, ManyInterleavedHistoriesAreAllowed) {
  ASSERT_NO_FATAL_FAILURE(Interleave(kLives, {kMuchMemory}));
  EXPECT_GE(transactions_, kLives * kTransactionsOfALife);
}

TEST_P(IsolationTest, HistoriesWhoseKeysAreForgottenAreAllowed) {
  forgets_ = true;
  ASSERT_NO_FATAL_FAILURE(Interleave(kForgettingLives, {32 << 10, 64 << 10, kMuchMemory}));
  EXPECT_GE(transactions_, kForgettingLives * kTransactionsOfALife);
}

TEST_P(IsolationTest, HistoriesOfThreadsAreAllowed) {
  SCOPED_TRACE(SeedTrace(TestSeed()));
  for (int life = 0; life < kThreadedLives; ++life) {
    ASSERT_NO_FATAL_FAILURE(BeginLife(std::make_unique<ThreadPool>(2), kThreads, 0,
                                      life % 2 == 0 ? kMuchMemory : 64 << 10));
    std::atomic<int> running = kThreads;
    std::vector<std::thread> threads;
    for (auto& actor : actors_) {
      threads.emplace_back([&] {
        while (actor.done() < kTransactionsOfAThread && !HasFatalFailure()) actor.Step();
        --running;
      });
    }
    for (std::uint64_t next = 0; running > 0; std::this_thread::yield()) {
      if (world_.events < next) continue;
      EXPECT_TRUE(db_->Flush());
      MakeItForgetKeys();
      next = world_.events + 1500;
    }
    for (auto& thread : threads) thread.join();
    ASSERT_NO_FATAL_FAILURE(EndLife());
  }
  ExpectWriteSkewWhereItIsAllowed();
}

INSTANTIATE_TEST_SUITE_P(, IsolationTest,
                         ::testing::Values(Isolation::kSnapshot, Isolation::kSerializable),
                         [](const auto& level) {
                           return level.param == Isolation::kSnapshot ? "Snapshot" : "Serializable";
                         });

}  // namespace
}  // namespace varve::testing
