// SPDX-License-Identifier: Apache-2.0
// When memtables are sealed and flushed in the background: by bytes, rows, commits, age, by hand,
// or as a policy of the user's says.
#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "base/clock.h"
#include "base/executor.h"
#include "base/random.h"
#include "files/simulated_disk.h"
#include "test/support/rows.h"
#include "varve/database.h"

namespace varve {
namespace {

using testing::Rows;
using testing::RowsBatch;

class SealTest : public ::testing::Test {
 protected:
  void Open(std::shared_ptr<SealPolicy> policy) {
    db_.reset();
    const Components world{
        .files = &disk_, .clock = &clock_, .random = &random_, .executor = &executor_};
    auto db = Database::Open("/db",
                             {.create_if_missing = true,
                              .memtable_bytes_max = memtable_bytes_max_,
                              .seal_policy = std::move(policy),
                              .log_segment_bytes_max = 64 << 10},
                             world);
    ASSERT_TRUE(db) << db.error().message();
    db_ = *std::move(db);
    const auto made = db_->CreateTable("t", testing::RowsSchema(), {"id"});
    ASSERT_TRUE(made || made.error().kind() == ErrorKind::kConflict);
  }
  void Put(std::int64_t first, int rows = 1, std::size_t bytes = 1) {
    Rows batch;
    for (int i = 0; i < rows; ++i) batch[first + i] = std::string(bytes, 'v');
    ASSERT_TRUE(db_->Upsert("t", RowsBatch(batch)));
  }
  // How many rows are in files, once what is due was done.
  std::uint64_t Flushed() {
    executor_.RunAll();
    std::uint64_t rows = 0;
    const DatabaseStats stats = db_->Stats();
    for (const auto& level : stats.tables[0].levels) rows += level.rows;
    return rows;
  }

  std::uint64_t memtable_bytes_max_ = 128 << 20;
  ManualClock clock_;
  SeededRandom random_{1};
  ManualExecutor executor_;
  SimulatedDisk disk_;
  std::unique_ptr<Database> db_;
};

TEST_F(SealTest, WithoutAPolicyFewRowsStayInMemory) {
  Open(nullptr);
  for (int i = 0; i < 100; ++i) Put(i);
  EXPECT_EQ(Flushed(), 0u);
  EXPECT_FALSE(executor_.RunLater()) << "an idle database asks for nothing";
}

// However little memory they take: each is a block of the log.
TEST_F(SealTest, ByTheLogThatTheyNeed) {
  memtable_bytes_max_ = 4 << 20;
  Open(nullptr);
  for (int i = 0; i < 700; ++i) Put(i % 3);
  EXPECT_EQ(Flushed(), 0u);
  const auto log_bytes = [this] {
    const LogStats log = db_->Stats().log;
    return log.positions.appended.value - log.first.value;
  };
  for (int i = 0; i < 400; ++i) Put(i % 3);
  EXPECT_GE(Flushed(), 3u);
  EXPECT_LE(log_bytes(), memtable_bytes_max_ / 2) << "the log is let go";
}

TEST_F(SealTest, ByTheLogThatAnOpenFinds) {
  Open(nullptr);
  for (int i = 0; i < 1100; ++i) Put(i);
  EXPECT_EQ(Flushed(), 0u);
  memtable_bytes_max_ = 4 << 20;
  Open(nullptr);
  EXPECT_EQ(Flushed(), 1100u);
}

TEST_F(SealTest, ByCommits) {
  Open(SealAt({.commits_max = 10}));
  for (int i = 0; i < 9; ++i) Put(i);
  EXPECT_EQ(Flushed(), 0u);
  Put(9);
  EXPECT_EQ(Flushed(), 10u);
  for (int i = 10; i < 19; ++i) Put(i);
  EXPECT_EQ(Flushed(), 10u);
}

TEST_F(SealTest, ByRows) {
  Open(SealAt({.rows_max = 50}));
  Put(0, 49);
  EXPECT_EQ(Flushed(), 0u);
  Put(49);
  EXPECT_EQ(Flushed(), 50u);
}

TEST_F(SealTest, ByBytes) {
  Open(SealAt({.bytes_max = 100'000}));
  Put(0, 1, 1000);
  EXPECT_EQ(Flushed(), 0u);
  Put(1, 1, 100'000);
  EXPECT_EQ(Flushed(), 2u);
}

TEST_F(SealTest, ByAgeThoughNobodyCommits) {
  Open(SealAt({.age_ms_max = 1000}));
  Put(1);
  EXPECT_EQ(Flushed(), 0u);
  clock_.Advance(400'000);
  Put(2);
  ASSERT_TRUE(executor_.RunLater()) << "nobody set a timer";
  EXPECT_EQ(Flushed(), 0u) << "it was sealed too soon";
  clock_.Advance(700'000);
  ASSERT_TRUE(executor_.RunLater()) << "the timer was not set again";
  EXPECT_EQ(Flushed(), 2u);
  EXPECT_FALSE(executor_.RunLater()) << "an idle database asks for nothing";
  Put(3);
  clock_.Advance(1'100'000);
  ASSERT_TRUE(executor_.RunLater());
  EXPECT_EQ(Flushed(), 3u);
}

TEST_F(SealTest, AgeCountsFromTheOpeningForRowsOfTheLog) {
  Open(nullptr);
  Put(1);
  Open(SealAt({.age_ms_max = 1000}));
  EXPECT_EQ(Flushed(), 0u);
  clock_.Advance(1'100'000);
  ASSERT_TRUE(executor_.RunLater());
  EXPECT_EQ(Flushed(), 1u);
}

TEST_F(SealTest, ATimerThatOutlivesItsDatabaseDoesNothing) {
  Open(SealAt({.age_ms_max = 1000}));
  Put(1);
  db_.reset();
  clock_.Advance(1'100'000);
  ASSERT_TRUE(executor_.RunLater());
  Open(nullptr);
  EXPECT_EQ(Flushed(), 0u);
}

class Watching final : public SealPolicy {
 public:
  bool ShouldSeal(const MemtableState& state) noexcept override {
    seen.push_back(state);
    return seal;
  }
  std::vector<MemtableState> seen;
  bool seal = false;
};

TEST_F(SealTest, APolicyOfTheUsersIsToldAllAndObeyed) {
  const auto policy = std::make_shared<Watching>();
  Open(policy);
  Put(0, 3);
  clock_.Advance(5000);
  Put(3, 2);
  ASSERT_EQ(policy->seen.size(), 2u);
  EXPECT_EQ(policy->seen[1].commits, 2u);
  EXPECT_EQ(policy->seen[1].rows, 5u);
  EXPECT_GE(policy->seen[1].age_micros, 5000);
  EXPECT_GT(policy->seen[1].bytes, policy->seen[0].bytes);
  EXPECT_EQ(Flushed(), 0u);
  policy->seal = true;
  Put(5);
  EXPECT_EQ(Flushed(), 6u);
}

}  // namespace
}  // namespace varve
