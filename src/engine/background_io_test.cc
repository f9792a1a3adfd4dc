// SPDX-License-Identifier: Apache-2.0
// The budget of background I/O as users meet it: kept, told of, and never what a commit waits for.
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "base/clock.h"
#include "base/executor.h"
#include "base/random.h"
#include "files/files.h"
#include "files/simulated_disk.h"
#include "test/support/rows.h"
#include "upkeep/compact.h"
#include "upkeep/flush.h"
#include "varve/database.h"

namespace varve {
namespace {

using testing::Rows;

constexpr std::int64_t kOneSecond = 1'000'000;

class BackgroundIoTest : public ::testing::Test {
 protected:
  void TearDown() override {
    db_.reset();
    CutsOfFlushes() = {};
    CutsOfCompactions() = {};
  }
  // Once a test makes pool_, by real threads and the real clock.
  Components World() {
    Executor* const executor = pool_ == nullptr ? &executor_ : static_cast<Executor*>(pool_.get());
    Clock* const clock = pool_ == nullptr ? &clock_ : SystemClock();
    return {.files = files_.get(), .clock = clock, .random = &random_, .executor = executor};
  }
  void Open(std::uint64_t bytes_per_second, std::uint64_t memtable_bytes_max = 16 << 20) {
    db_.reset();
    auto db = Database::Open("/db",
                             {.create_if_missing = true,
                              .memtable_bytes_max = memtable_bytes_max,
                              .compaction_threads = 2,
                              .background_bytes_per_second = bytes_per_second},
                             World());
    ASSERT_TRUE(db) << db.error().message();
    db_ = *std::move(db);
    ASSERT_TRUE(db_->CreateTable("t", testing::RowsSchema(), {"id"}, {.if_not_exists = true}));
  }
  // Rows of 1,000 bytes that nothing compresses to much less.
  void Put(std::int64_t from, std::int64_t count) {
    Rows rows;
    for (std::int64_t id = from; id < from + count; ++id) {
      std::string value(1000, ' ');
      for (char& c : value) c = static_cast<char>('!' + random_.Below(90));
      rows[id] = std::move(value);
    }
    const auto info = db_->Upsert("t", testing::RowsBatch(rows));
    ASSERT_TRUE(info) << info.error().message();
    for (auto& [id, value] : rows) now_[id] = std::move(value);
  }
  std::int64_t Took(const std::function<void()>& work) {
    const std::int64_t begin = clock_.SteadyMicros();
    work();
    return clock_.SteadyMicros() - begin;
  }
  BackgroundIoStats Io() { return db_->Stats().background_io; }
  std::uint64_t Level0() {
    const auto tables = db_->Stats().tables;
    return tables.at(0).levels.empty() ? 0 : tables[0].levels[0].runs;
  }

  std::unique_ptr<Files> files_ = NewMemoryFiles();
  ManualClock clock_;
  SeededRandom random_{1};
  ManualExecutor executor_;
  std::unique_ptr<ThreadPool> pool_;  // null: executor_, and clock_
  std::unique_ptr<Database> db_;
  Rows now_;
};

TEST_F(BackgroundIoTest, AFlushTakesTheTimeOfItsBytes) {
  CutsOfFlushes().row_group_rows = 200;
  Open(100'000);
  Put(0, 2000);
  const auto took = Took([&] { ASSERT_TRUE(db_->Flush()); });
  const BackgroundIoStats io = Io();
  EXPECT_GT(io.flush_bytes, 1'500'000u);
  EXPECT_EQ(io.compaction_bytes, 0u);
  const double of_bytes = static_cast<double>(io.flush_bytes) / 100'000 * kOneSecond;
  EXPECT_GT(static_cast<double>(took), 0.8 * of_bytes) << "but the last row group is owed";
  EXPECT_LT(static_cast<double>(took), 1.01 * of_bytes);
  EXPECT_NEAR(static_cast<double>(io.flush_waited_micros), static_cast<double>(took), 10'000);
  EXPECT_EQ(testing::ReadRows(**db_->GetSnapshot()), now_);
}

TEST_F(BackgroundIoTest, ACompactionTakesTheTimeOfWhatItReadsAndWrites) {
  CutsOfFlushes().row_group_rows = 100;
  CutsOfCompactions().part_bytes_min = 1;
  Open(1'000'000);
  for (int run = 0; run < 3; ++run) {
    Put(100 * run, 1000);
    ASSERT_TRUE(db_->Flush());
  }
  clock_.Advance(10 * kOneSecond);
  const auto took = Took([&] { ASSERT_TRUE(db_->Compact()); });
  const BackgroundIoStats io = Io();
  EXPECT_EQ(io.bytes_per_second_max, 1'000'000u);
  EXPECT_GT(io.compaction_bytes, 3'000'000u + 1'000'000u) << "of which one is written";
  EXPECT_GT(static_cast<double>(took), 0.8 * static_cast<double>(io.compaction_bytes));
  EXPECT_NEAR(static_cast<double>(io.compaction_waited_micros), static_cast<double>(took), 10'000);
  EXPECT_EQ(testing::ReadRows(**db_->GetSnapshot()), now_);
  EXPECT_EQ(Level0(), 0u);
  const std::string text = db_->PrometheusText("");
  for (const char* line : {"background_io_bytes_per_second_max 1000000\n",
                           "background_io_bytes_total{work=\"flush\"} ",
                           "background_io_wait_seconds_total{work=\"compaction\"} "}) {
    EXPECT_NE(text.find(line), std::string::npos) << line;
  }
}

TEST_F(BackgroundIoTest, WithoutALimitNothingWaits) {
  Open(0);
  Put(0, 1000);
  ASSERT_TRUE(db_->Flush());
  Put(0, 1000);
  ASSERT_TRUE(db_->Compact());
  EXPECT_EQ(Io().bytes_per_second_max, 0u);
  EXPECT_EQ(Io().flush_waited_micros + Io().compaction_waited_micros, 0u);
}

// At a byte a second the compaction would take weeks.
TEST_F(BackgroundIoTest, AStoppedCommitWaitsForNoLimit) {
  Open(0);
  for (int run = 0; run < 24; ++run) {
    Put(run, 50);
    ASSERT_TRUE(db_->Flush());
  }
  Open(1);
  ASSERT_NE(db_->Stats().pressure, "");
  const auto took = Took([&] { Put(7, 1); });
  EXPECT_GT(db_->Stats().commit_stopped_micros, 0u);
  EXPECT_EQ(Level0(), 0u);
  EXPECT_GT(Io().compaction_bytes, 24u * 50 * 800) << "all of it is counted";
  EXPECT_LT(took, kOneSecond);
  EXPECT_EQ(testing::ReadRows(**db_->GetSnapshot()), now_);
}

TEST_F(BackgroundIoTest, ACommitThatWaitsForMemoryWaitsForNoLimit) {
  Open(1, 1 << 20);
  const auto took = Took([&] {
    for (int i = 0; i < 40; ++i) Put(100 * i, 100);
  });
  EXPECT_GT(db_->Stats().flushes, 2u);
  EXPECT_GT(db_->Stats().commit_stall_micros, 0u);
  EXPECT_LT(took, 10 * kOneSecond);
  EXPECT_EQ(testing::ReadRows(**db_->GetSnapshot()), now_);
}

// A flush that waits for the limit when a commit comes to wait for it goes on.
TEST_F(BackgroundIoTest, AFlushThatAlreadyWaitsGoesOnWhenACommitNeedsTheRoom) {
  pool_ = std::make_unique<ThreadPool>(3);
  CutsOfFlushes().row_group_rows = 50;
  Open(1, 2 << 20);
  for (int i = 0; i < 60; ++i) ASSERT_NO_FATAL_FAILURE(Put(100 * i, 100));
  EXPECT_GT(db_->Stats().flushes, 1u);
  EXPECT_EQ(testing::ReadRows(**db_->GetSnapshot()), now_);
}

TEST_F(BackgroundIoTest, CloseEndsTheWaitOfAFlush) {
  pool_ = std::make_unique<ThreadPool>(3);
  CutsOfFlushes().row_group_rows = 50;
  Open(1);
  Put(0, 1000);
  std::thread flushing([this] { (void)db_->Flush(); });  // for a week and a half
  while (Io().flush_bytes < 5) std::this_thread::yield();
  EXPECT_TRUE(db_->Close());
  flushing.join();
  Open(0);
  EXPECT_EQ(testing::ReadRows(**db_->GetSnapshot()), now_);
}

TEST_F(BackgroundIoTest, CloseEndsTheWaitOfACompaction) {
  CutsOfCompactions().part_bytes_min = 1;
  Open(0);
  for (int run = 0; run < 3; ++run) {
    Put(100 * run, 300);
    ASSERT_TRUE(db_->Flush());
  }
  pool_ = std::make_unique<ThreadPool>(3);
  Open(1);
  std::thread compacting([this] { EXPECT_FALSE(db_->Compact()); });
  while (Io().compaction_bytes == 0) std::this_thread::yield();
  EXPECT_TRUE(db_->Close());
  compacting.join();
  Open(0);
  EXPECT_EQ(testing::ReadRows(**db_->GetSnapshot()), now_);
}

}  // namespace
}  // namespace varve
