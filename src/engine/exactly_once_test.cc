// SPDX-License-Identifier: Apache-2.0
// Commits with a producer are made exactly once, whatever is tried again and when; and commits that
// nobody waits for.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/executor.h"
#include "base/random.h"
#include "files/simulated_disk.h"
#include "manifest/producer_marks.h"
#include "test/support/rows.h"
#include "varve/database.h"

namespace varve {
namespace {

using testing::Rows;
using testing::RowsBatch;

class ExactlyOnceTest : public ::testing::Test {
 protected:
  ExactlyOnceTest() : random_(1) {}

  void SetUp() override { Open(); }
  void Open() {
    db_.reset();
    const Components world{
        .files = disk_.get(), .clock = &clock_, .random = &random_, .executor = &executor_};
    auto db = Database::Open("/db", {.create_if_missing = true}, world);
    ASSERT_TRUE(db) << db.error().message();
    db_ = *std::move(db);
    const auto made = db_->CreateTable("t", testing::RowsSchema(), {"id"});
    ASSERT_TRUE(made || made.error().kind() == ErrorKind::kConflict) << made.error().message();
  }
  void NewDisk() {
    db_.reset();
    disk_ = std::make_unique<SimulatedDisk>();
    Open();
  }
  static CommitOptions As(std::uint64_t sequence, const std::string& id = "p") {
    return {.producer = Producer{.id = id, .sequence = sequence}};
  }
  Result<CommitInfo> Try(const Rows& rows, const CommitOptions& options,
                         WriteMode mode = WriteMode::kUpsert) {
    return db_->Write("t", {.mode = mode, .rows = RowsBatch(rows)}, options);
  }
  CommitInfo Put(const Rows& rows, const CommitOptions& options = {},
                 WriteMode mode = WriteMode::kUpsert) {
    auto info = Try(rows, options, mode);
    EXPECT_TRUE(info) << info.error().message();
    return info ? *info : CommitInfo{};
  }
  void ExpectRepeat(std::uint64_t commit, std::uint64_t sequence, const std::string& id = "p") {
    const auto before = db_->Stats().commit;
    const auto info = Put({{1, "again"}, {99, "more"}}, As(sequence, id));
    EXPECT_TRUE(info.repeat);
    EXPECT_EQ(info.commit.value, commit);
    EXPECT_EQ(info.rows, 0u);
    EXPECT_EQ(db_->Stats().commit, before) << "something was written";
  }
  Rows Read() { return testing::ReadRows(**db_->GetSnapshot()); }

  std::unique_ptr<SimulatedDisk> disk_ = std::make_unique<SimulatedDisk>();
  ManualClock clock_;
  SeededRandom random_;
  ManualExecutor executor_;
  std::unique_ptr<Database> db_;
};

TEST_F(ExactlyOnceTest, ARetryGivesTheFirstCommitAndWritesNothing) {
  EXPECT_FALSE(Put({{1, "a"}}, As(7)).repeat);
  ExpectRepeat(1, 7);
  EXPECT_EQ(Read(), (Rows{{1, "a"}}));
  EXPECT_FALSE(Put({{1, "b"}}, As(8)).repeat);
  EXPECT_FALSE(Put({{2, "q"}}, As(7, "q")).repeat) << "another producer";
  ExpectRepeat(2, 8);
  ExpectRepeat(3, 7, "q");
  EXPECT_EQ(Read(), (Rows{{1, "b"}, {2, "q"}}));
}

TEST_F(ExactlyOnceTest, AlsoAfterACrashAfterAFlushAndAfterManyManifests) {
  Put({{1, "a"}}, As(3));
  db_.reset();
  disk_->KillProcess();
  Open();
  ExpectRepeat(1, 3);
  ASSERT_TRUE(db_->Flush());
  ExpectRepeat(1, 3);
  Open();
  EXPECT_EQ(db_->Stats().recovery.units, 0u) << "the log was let go";
  ExpectRepeat(1, 3);
  for (std::int64_t i = 0; i < 40; ++i) {
    Put({{i + 10, "x"}});
    ASSERT_TRUE(db_->Flush());
  }
  Open();
  ExpectRepeat(1, 3);
  Put({{1, "b"}}, As(4));
  ExpectRepeat(42, 4);
  ASSERT_TRUE(db_->Flush());
  Open();
  ExpectRepeat(42, 4);
}

TEST_F(ExactlyOnceTest, ACommitThatKeepsNothingKeepsItsSequence) {
  Put({{1, "a"}});
  const auto info = Put({{1, "x"}}, As(1), WriteMode::kInsertMissing);
  EXPECT_EQ(info.commit.value, 2u);
  EXPECT_EQ(info.rows_passed, 1u);
  Open();
  ExpectRepeat(2, 1);
  EXPECT_EQ(Put({}, As(2)).commit.value, 3u);
  ASSERT_TRUE(db_->Flush());
  Open();
  ExpectRepeat(3, 2);
  EXPECT_EQ(Read(), (Rows{{1, "a"}}));
}

TEST_F(ExactlyOnceTest, TheLastSequenceIsToldAndBadIdsAreRefused) {
  EXPECT_FALSE(*db_->LastOf("p"));
  Put({{1, "a"}}, {.ack = AckLevel::kBuffered, .producer = Producer{"p", 12}});
  const auto last = *db_->LastOf("p");
  ASSERT_TRUE(last);
  EXPECT_EQ(last->sequence, 12u);
  EXPECT_EQ(last->commit.value, 1u);
  EXPECT_EQ(db_->Stats().durable.value, 1u) << "what is told is durable";
  for (const std::string& id : {std::string(), std::string("a b"), std::string(129, 'x')}) {
    EXPECT_EQ(Try({{1, "a"}}, As(1, id)).error().kind(), ErrorKind::kInvalid) << id;
    EXPECT_EQ(db_->LastOf(id).error().kind(), ErrorKind::kInvalid) << id;
  }
}

TEST_F(ExactlyOnceTest, OwnRowsAreNotInTheWayOfARetry) {
  Put({{1, "a"}}, As(1), WriteMode::kInsert);
  EXPECT_TRUE(Put({{1, "a"}}, As(1), WriteMode::kInsert).repeat);
  const auto other = Try({{1, "b"}}, As(2), WriteMode::kInsert);
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().reason(), ErrorReason::kAlreadyExists);
  EXPECT_EQ((*db_->LastOf("p"))->sequence, 1u) << "a refused write leaves its sequence free";
  EXPECT_EQ(Put({{2, "b"}}, As(2), WriteMode::kInsert).commit.value, 2u);
}

TEST_F(ExactlyOnceTest, ATransactionIsARepeatEvenWhereItWouldBeInConflict) {
  const auto first = *db_->Begin();
  const auto retry = *db_->Begin();
  ASSERT_TRUE(first->Upsert("t", RowsBatch({{1, "a"}})));
  ASSERT_TRUE(retry->Upsert("t", RowsBatch({{1, "a"}})));
  EXPECT_EQ(first->Commit(As(1))->commit.value, 1u);
  const auto info = retry->Commit(As(1));
  ASSERT_TRUE(info) << info.error().message();
  EXPECT_TRUE(info->repeat);
  EXPECT_EQ(info->commit.value, 1u);
  const auto empty = *db_->Begin();
  EXPECT_EQ(empty->Commit(As(2))->commit.value, 2u) << "the sequence is something to keep";
  EXPECT_EQ(db_->Stats().commit.value, 2u);
}

TEST_F(ExactlyOnceTest, ADurableRetryOfABufferedCommitMakesItDurable) {
  Put({{1, "a"}}, {.ack = AckLevel::kBuffered, .producer = Producer{"p", 1}});
  EXPECT_EQ(db_->Stats().durable.value, 0u);
  ExpectRepeat(1, 1);
  EXPECT_EQ(db_->Stats().durable.value, 1u);
  EXPECT_EQ(Read(), (Rows{{1, "a"}}));
}

// Does something when it is asked for the second time: for the profile that is after a commit found
// its sequence to be new, and before it has its place.
class TwinClock final : public Clock {
 public:
  WallTime Now() override { return clock_.Now(); }
  std::int64_t SteadyMicros() override {
    if (twin && ++asked_ == 2) std::exchange(twin, {})();
    return clock_.SteadyMicros();
  }
  void WaitWord(const std::atomic<std::uint32_t>& word, std::uint32_t seen,
                std::int64_t micros) override {
    clock_.WaitWord(word, seen, micros);
  }
  std::function<void()> twin;

 private:
  ManualClock clock_;
  int asked_ = 0;
};

TEST_F(ExactlyOnceTest, ATwinThatCommitsInBetweenIsFound) {
  TwinClock clock;
  SimulatedDisk disk;
  auto db = *Database::Open("/twins", {.create_if_missing = true},
                            {.files = &disk, .clock = &clock, .random = &random_,
                             .executor = &executor_});
  ASSERT_TRUE(db->CreateTable("t", testing::RowsSchema(), {"id"}));
  bool placed = false;
  clock.twin = [&] {
    const auto twin = db->Upsert("t", RowsBatch({{1, "twin"}}), As(1));
    placed = twin && !twin->repeat;
  };
  auto options = As(1);
  options.profile = true;
  const auto info = db->Upsert("t", RowsBatch({{1, "a"}}), options);
  ASSERT_TRUE(info && placed);
  EXPECT_TRUE(info->repeat);
  EXPECT_EQ(info->commit.value, 1u);
  EXPECT_EQ(db->Stats().commit.value, 1u);
  EXPECT_EQ(testing::ReadRows(**db->GetSnapshot()), (Rows{{1, "twin"}}));
}

TEST_F(ExactlyOnceTest, OfManyThreadsWithOneSequenceOneCommits) {
  constexpr int kThreads = 6, kSequences = 50;
  std::atomic<int> made = 0;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      for (int sequence = 1; sequence <= kSequences; ++sequence) {
        const auto mode = thread % 2 == 0 ? WriteMode::kInsert : WriteMode::kUpsert;
        const auto info = Try({{sequence, "x"}}, As(static_cast<std::uint64_t>(sequence)), mode);
        if (!info) {  // the others are further
          ASSERT_EQ(info.error().reason(), ErrorReason::kStaleSequence) << info.error().message();
          continue;
        }
        ASSERT_EQ(info->commit.value, static_cast<std::uint64_t>(sequence));
        if (!info->repeat) ++made;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(made, kSequences);
  EXPECT_EQ(db_->Stats().commit.value, static_cast<std::uint64_t>(kSequences));
  EXPECT_EQ(Read().size(), static_cast<std::size_t>(kSequences));
}

// Each call of the disk fails in turn during a commit; after reopening the retry finds out.
TEST_F(ExactlyOnceTest, ARetryFindsOutWhatBecameOfAnUnknownCommit) {
  int unknown = 0, found = 0;
  for (std::uint64_t n = 1; n <= 6; ++n) {
    NewDisk();
    Put({{5, "before"}});
    disk_->FailEvent(disk_->events() + n,
                     Error(ErrorKind::kUnavailable, "injected", ErrorReason::kIo));
    const auto first = Try({{1, "a"}}, As(1));
    if (first) break;  // it makes fewer calls
    ++unknown;
    EXPECT_EQ(first.error().reason(), ErrorReason::kUnknownOutcome) << first.error().message();
    const auto here = Try({{1, "a"}}, As(1));
    ASSERT_FALSE(here) << "nothing can be known before it is opened again";
    EXPECT_EQ(here.error().reason(), ErrorReason::kUnknownOutcome) << here.error().message();
    db_.reset();
    disk_->KillProcess();
    Open();
    const auto retry = Put({{1, "a"}}, As(1));
    EXPECT_EQ(retry.commit.value, 2u);
    found += retry.repeat;
    EXPECT_EQ(db_->Stats().commit.value, 2u) << "made twice";
    EXPECT_EQ(Read(), (Rows{{1, "a"}, {5, "before"}}));
  }
  EXPECT_GT(unknown, 0);
  EXPECT_GT(found, 0) << "no commit was kept whose outcome was unknown";
}

TEST(ProducerMarks, KeepThoseThatCommittedLast) {
  ProducerMarks marks;
  for (std::uint64_t i = 1; i <= kProducersMax; ++i) marks.Note(std::to_string(i), {1, {i}});
  marks.Note("1", {2, {kProducersMax + 1}});
  marks.Note("new", {1, {kProducersMax + 2}});
  EXPECT_TRUE(marks.Find("1")) << "it committed after producer 2";
  EXPECT_FALSE(marks.Find("2"));
  EXPECT_TRUE(marks.Find("3"));
  EXPECT_EQ(marks.by_id().size(), kProducersMax);
  EXPECT_EQ(marks.newest().value, kProducersMax + 2);
}

using AsyncTest = ExactlyOnceTest;
using Future = std::future<Result<CommitInfo>>;

bool IsReady(const Future& future) {
  return future.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
}

TEST_F(AsyncTest, OneThreadKeepsManyCommitsOnTheirWay) {
  std::vector<Future> futures;
  const auto syncs = db_->Stats().log.syncs;
  for (std::int64_t i = 0; i < 100; ++i) {
    futures.push_back(db_->WriteAsync("t", {.rows = RowsBatch({{i, "x"}})}));
  }
  EXPECT_FALSE(IsReady(futures.back()));
  executor_.RunAll();
  for (std::size_t i = 0; i < futures.size(); ++i) {
    ASSERT_TRUE(IsReady(futures[i]));
    const auto info = futures[i].get();
    ASSERT_TRUE(info) << info.error().message();
    EXPECT_EQ(info->commit.value, i + 1) << "numbered in the order of the calls";
    EXPECT_EQ(info->rows, 1u);
    EXPECT_GT(info->log_bytes, 0u);
  }
  EXPECT_EQ(Read().size(), 100u) << "acknowledged is visible";
  EXPECT_LT(db_->Stats().log.syncs - syncs, 10u) << "they share syncs";
}

TEST_F(AsyncTest, WhatIsRefusedIsToldAtOnceAndCloseWaitsForTheRest) {
  auto unknown = db_->WriteAsync("nowhere", {.rows = RowsBatch({{1, "x"}})});
  ASSERT_TRUE(IsReady(unknown));
  EXPECT_EQ(unknown.get().error().kind(), ErrorKind::kNotFound);
  auto buffered = db_->WriteAsync("t", {.rows = RowsBatch({{1, "x"}})},
                                  {.ack = AckLevel::kBuffered});
  auto durable = db_->WriteAsync("t", {.rows = RowsBatch({{2, "y"}})}, As(1));
  auto retry = db_->WriteAsync("t", {.rows = RowsBatch({{2, "y"}})}, As(1));
  ASSERT_TRUE(db_->Close());
  ASSERT_TRUE(IsReady(buffered) && IsReady(durable) && IsReady(retry));
  EXPECT_EQ(buffered.get()->commit.value, 1u);
  EXPECT_FALSE(durable.get()->repeat);
  const auto repeat = retry.get();
  EXPECT_TRUE(repeat->repeat);
  EXPECT_EQ(repeat->commit.value, 2u);
  auto closed = db_->WriteAsync("t", {.rows = RowsBatch({{3, "z"}})});
  EXPECT_EQ(closed.get().error().reason(), ErrorReason::kClosed);
  Open();
  EXPECT_EQ(Read(), (Rows{{1, "x"}, {2, "y"}}));
}

TEST_F(AsyncTest, TransactionsNeedNotBeWaitedFor) {
  std::vector<Future> futures;
  const auto syncs = db_->Stats().log.syncs;
  for (std::int64_t i = 0; i < 20; ++i) {
    const auto transaction = *db_->Begin();
    ASSERT_TRUE(transaction->Upsert("t", RowsBatch({{i, "x"}})));
    futures.push_back(transaction->CommitAsync());
    EXPECT_EQ(transaction->Upsert("t", RowsBatch({{i, "y"}})).error().reason(),
              ErrorReason::kClosed);
  }
  const auto late = *db_->Begin();
  ASSERT_TRUE(late->Upsert("t", RowsBatch({{3, "late"}})));
  auto refused = late->CommitAsync();
  ASSERT_TRUE(IsReady(refused)) << "conflicts are known at once, also with what is not durable yet";
  EXPECT_EQ(refused.get().error().kind(), ErrorKind::kConflict);
  auto empty = (*db_->Begin())->CommitAsync();
  ASSERT_TRUE(IsReady(empty));
  EXPECT_EQ(empty.get()->commit.value, 0u) << "that of its snapshot";
  EXPECT_FALSE(IsReady(futures.front()));
  executor_.RunAll();
  for (std::size_t i = 0; i < futures.size(); ++i) {
    ASSERT_TRUE(IsReady(futures[i]));
    EXPECT_EQ(futures[i].get()->commit.value, i + 1);
  }
  EXPECT_EQ(Read().size(), 20u);
  EXPECT_LT(db_->Stats().log.syncs - syncs, 10u) << "they share syncs";
  auto ended = late->CommitAsync();
  EXPECT_EQ(ended.get().error().reason(), ErrorReason::kClosed);
}

// The transaction holds the database open until it ends, and what it left is told all the same.
TEST_F(AsyncTest, ATransactionMayCommitAfterItsDatabaseIsLetGo) {
  auto transaction = *db_->Begin();
  ASSERT_TRUE(transaction->Upsert("t", RowsBatch({{1, "x"}})));
  db_.reset();
  auto future = transaction->CommitAsync();
  transaction.reset();
  ASSERT_TRUE(IsReady(future));
  const auto info = future.get();
  Open();
  EXPECT_EQ(Read().size(), info ? 1u : 0u) << (info ? "" : info.error().message());
}

TEST_F(AsyncTest, AFailedSyncIsToldToAllThatWait) {
  std::vector<Future> futures;
  for (std::int64_t i = 0; i < 3; ++i) {
    futures.push_back(db_->WriteAsync("t", {.rows = RowsBatch({{i, "x"}})}));
  }
  disk_->FailEvent(disk_->events() + 1,
                   Error(ErrorKind::kUnavailable, "injected", ErrorReason::kIo));
  executor_.RunAll();
  for (auto& future : futures) {
    ASSERT_TRUE(IsReady(future));
    const auto info = future.get();
    ASSERT_FALSE(info);
    EXPECT_EQ(info.error().reason(), ErrorReason::kUnknownOutcome) << info.error().message();
  }
  db_.reset();
  disk_->KillProcess();
  Open();
}

// Asynchronous commits of some threads beside plain ones of others: each is told once, and is
// visible then.
TEST_F(AsyncTest, CallbacksComeOnceAndAfterTheirCommitIsVisible) {
  constexpr int kThreads = 4, kEach = 200;
  std::atomic<int> told = 0, early = 0;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = 0; i < kEach; ++i) {
        const WriteRequest request{.rows = RowsBatch({{thread * kEach + i, "x"}})};
        if (thread % 2 == 0) {
          ASSERT_TRUE(db_->Write("t", request));
          ++told;
          continue;
        }
        db_->WriteThen("t", request, {}, [&](const Result<CommitInfo>& info) {
          ++told;
          if (!info || db_->Stats().visible < info->commit) ++early;
        });
      }
    });
  }
  for (auto& thread : threads) thread.join();
  executor_.RunAll();
  EXPECT_EQ(told, kThreads * kEach);
  EXPECT_EQ(early, 0);
  EXPECT_EQ(Read().size(), static_cast<std::size_t>(kThreads * kEach));
}

}  // namespace
}  // namespace varve
