// SPDX-License-Identifier: Apache-2.0
// Following changes: each once, in order, and nothing lost between positions, whatever happens
// beside it and to it.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/executor.h"
#include "base/random.h"
#include "files/simulated_disk.h"
#include "test/support/rows.h"
#include "test/support/seed.h"
#include "varve/database.h"

namespace varve {
namespace {

using testing::Rows;
using testing::RowsBatch;
using BatchPtr = std::shared_ptr<arrow::RecordBatch>;

// A change as text: "3 upsert 7 v".
std::vector<std::string> Texts(const BatchPtr& batch) {
  std::vector<std::string> texts;
  if (batch == nullptr) return texts;
  const auto& commits = static_cast<const arrow::UInt64Array&>(*batch->column(0));
  const auto& kinds = static_cast<const arrow::StringArray&>(*batch->column(1));
  const auto& ids = static_cast<const arrow::Int64Array&>(*batch->column(2));
  const auto& values = static_cast<const arrow::StringArray&>(*batch->column(3));
  for (std::int64_t i = 0; i < batch->num_rows(); ++i) {
    texts.push_back(std::to_string(commits.Value(i)) + " " + kinds.GetString(i) + " " +
                    std::to_string(ids.Value(i)) +
                    (values.IsNull(i) ? "" : " " + values.GetString(i)));
  }
  return texts;
}
using Changes = std::vector<std::string>;

class FollowTest : public ::testing::Test {
 protected:
  void Open(Clock* clock) {
    db_.reset();
    auto db = Database::Open(
        "/db",
        {.create_if_missing = true,
         .memtable_bytes_max = 64 << 10,
         .log_segment_bytes_max = 256 << 10},
        {.files = files_.get(), .clock = clock, .random = &random_, .executor = executor_});
    ASSERT_TRUE(db) << db.error().message();
    db_ = *std::move(db);
  }
  void Make(Clock* clock) {
    Open(clock);
    ASSERT_TRUE(db_->CreateTable("t", testing::RowsSchema(), {"id"}));
    ASSERT_TRUE(db_->CreateTable("u", testing::RowsSchema(), {"id"}));
  }
  std::uint64_t Upsert(const Rows& rows, const std::string& table = "t",
                       AckLevel ack = AckLevel::kDurable) {
    const auto info = db_->Upsert(table, RowsBatch(rows), {.ack = ack});
    EXPECT_TRUE(info) << info.error().message();
    return info ? info->commit.value : 0;
  }
  std::unique_ptr<ChangeCursor> Follow(std::uint64_t from, const ChangesOptions& options = {},
                                       const std::string& table = "t") {
    auto cursor = db_->FollowChanges(table, CommitNumber{from}, options);
    EXPECT_TRUE(cursor) << cursor.error().message();
    return *std::move(cursor);
  }
  static Changes Next(ChangeCursor* cursor, std::uint64_t timeout_ms = 0) {
    const auto batch = cursor->Next(timeout_ms);
    EXPECT_TRUE(batch) << batch.error().message();
    return batch ? Texts(*batch) : Changes();
  }
  Changes ReadAll() {
    auto reader = db_->Changes("t", CommitNumber{0});
    EXPECT_TRUE(reader) << reader.error().message();
    Changes all;
    for (BatchPtr batch; (*reader)->ReadNext(&batch).ok() && batch != nullptr;) {
      const auto texts = Texts(batch);
      all.insert(all.end(), texts.begin(), texts.end());
    }
    return all;
  }
  static void ExpectDropped(ChangeCursor* cursor, const std::string& how) {
    for (int i = 0; i < 2; ++i) {
      const auto next = cursor->Next(0);
      ASSERT_FALSE(next);
      EXPECT_EQ(next.error().kind(), ErrorKind::kNotFound) << next.error().message();
      EXPECT_NE(next.error().message().find(how), std::string::npos) << next.error().message();
    }
  }
  static void ExpectClosed(ChangeCursor* cursor, const std::string& why) {
    const auto next = cursor->Next(0);
    ASSERT_FALSE(next);
    EXPECT_EQ(next.error().kind(), ErrorKind::kInvalid);
    EXPECT_EQ(next.error().reason(), ErrorReason::kClosed);
    EXPECT_NE(next.error().message().find(why), std::string::npos) << next.error().message();
  }

  const std::unique_ptr<Files> files_ = NewMemoryFiles();
  ManualClock clock_;
  SeededRandom random_{testing::TestSeed()};
  ThreadPool threads_{2};
  ManualExecutor nobody_;
  Executor* executor_ = &threads_;
  std::unique_ptr<Database> db_;
};

TEST_F(FollowTest, GivesWhatIsCommittedAndThenNothing) {
  Make(&clock_);
  Upsert({{1, "a"}, {2, "b"}});
  auto cursor = Follow(0);
  EXPECT_EQ(cursor->schema()->field_names(),
            (std::vector<std::string>{"_commit", "_kind", "id", "v"}));
  EXPECT_EQ(Next(cursor.get()), (Changes{"1 upsert 1 a", "1 upsert 2 b"}));
  EXPECT_EQ(cursor->position().value, 1u);
  EXPECT_EQ(Next(cursor.get()), Changes());
  Upsert({{9, "x"}}, "u");
  EXPECT_EQ(Next(cursor.get()), Changes());
  EXPECT_EQ(cursor->position().value, 2u);  // a commit of another table
  ASSERT_TRUE(db_->Delete("t", RowsBatch({{1, ""}})));
  ASSERT_TRUE(db_->Flush());
  Upsert({{2, "c"}});
  EXPECT_EQ(Next(cursor.get()), (Changes{"3 delete 1", "4 upsert 2 c"}));
  EXPECT_EQ(Next(cursor.get()), Changes());

  cursor = Follow(2, {.before_images = true});
  EXPECT_EQ(Next(cursor.get()), (Changes{"3 delete 1", "4 update 2 c"}));
}

TEST_F(FollowTest, WaitsByTheClockItWasGiven) {
  Make(&clock_);
  auto cursor = Follow(0);
  const auto begin = clock_.SteadyMicros();
  EXPECT_EQ(Next(cursor.get(), 5000), Changes());
  const auto waited = clock_.SteadyMicros() - begin;
  EXPECT_GE(waited, 5'000'000);
  EXPECT_LT(waited, 5'100'000);
}

TEST_F(FollowTest, GivesNothingThatIsNotDurable) {
  executor_ = &nobody_;  // or the log would be synced in the background
  Make(&clock_);
  auto cursor = Follow(0);
  Upsert({{1, "a"}}, "t", AckLevel::kBuffered);
  EXPECT_EQ(Next(cursor.get()), Changes());
  EXPECT_EQ(cursor->position().value, 0u);
  ASSERT_TRUE(db_->Sync());
  EXPECT_EQ(Next(cursor.get()), (Changes{"1 upsert 1 a"}));
}

// Its time passes when nobody woke who waits for so long that nobody will.
class WaitedForClock final : public Clock {
 public:
  WallTime Now() override { return clock_.Now(); }
  std::int64_t SteadyMicros() override { return clock_.SteadyMicros(); }
  void WaitWord(const std::atomic<std::uint32_t>& word, std::uint32_t seen,
                std::int64_t micros) override {
    waits_.fetch_add(1);
    SystemClock()->WaitWord(word, seen, 20'000'000);
    if (word.load() != seen) return;
    gave_up_ = true;
    clock_.Advance(micros);
  }
  bool gave_up() const { return gave_up_; }
  void AwaitAWait() const {
    while (waits_.load() == 0) std::this_thread::yield();
  }

 private:
  ManualClock clock_;
  std::atomic<int> waits_ = 0;
  std::atomic<bool> gave_up_ = false;
};

// Nobody calls the database while the log is synced in the background.
TEST_F(FollowTest, IsWokenWhenTheLogSyncsByItself) {
  ManualExecutor background;
  executor_ = &background;
  WaitedForClock clock;
  Make(&clock);
  auto cursor = Follow(0);
  Changes changes;
  std::thread follower([&] { changes = Next(cursor.get(), 1000); });
  clock.AwaitAWait();
  EXPECT_EQ(Upsert({{1, "a"}}, "t", AckLevel::kWritten), 1u);
  background.RunAll();
  follower.join();
  EXPECT_EQ(changes, Changes{"1 upsert 1 a"});
  EXPECT_FALSE(clock.gave_up());
  db_.reset();  // before its clock
}

TEST_F(FollowTest, ThePositionOfALargeCommitMovesWithItsLastBatch) {
  Make(&clock_);
  Rows rows;
  for (int i = 0; i < 10; ++i) rows[i] = "v";
  Upsert({{1, "a"}});
  Upsert(rows);
  Upsert({{2, "b"}});
  auto cursor = Follow(0, {.batch_rows_max = 4});
  for (const auto& [count, position] :
       {std::pair(1u, 1u), {4u, 1u}, {4u, 1u}, {2u, 2u}, {1u, 3u}}) {
    EXPECT_EQ(Next(cursor.get()).size(), count);
    EXPECT_EQ(cursor->position().value, position);
  }
}

TEST_F(FollowTest, GoesOnFromItsPositionAfterARestart) {
  Make(&clock_);
  Upsert({{1, "a"}});
  Upsert({{2, "b"}});
  auto cursor = Follow(1);
  EXPECT_EQ(Next(cursor.get()), (Changes{"2 upsert 2 b"}));
  const auto saved = cursor->position().value;
  Upsert({{3, "c"}});
  db_.reset();
  ExpectClosed(cursor.get(), "follow 't' from commit 2");
  Open(&clock_);
  ExpectClosed(cursor.get(), "closed");
  Upsert({{4, "d"}});
  cursor = Follow(saved);
  EXPECT_EQ(Next(cursor.get()), (Changes{"3 upsert 3 c", "4 upsert 4 d"}));
}

TEST_F(FollowTest, ACancelledCursorEndsAlsoWhileItWaits) {
  Make(SystemClock());
  auto cursor = Follow(0);
  std::thread canceller([&] { cursor->Cancel(); });
  const auto next = cursor->Next();
  canceller.join();
  ASSERT_FALSE(next);
  EXPECT_EQ(next.error().reason(), ErrorReason::kClosed);
  ExpectClosed(cursor.get(), "cancelled");

  std::stop_source stop;
  cursor = Follow(0, {.stop = stop.get_token()});
  std::thread stopper([&] { stop.request_stop(); });
  EXPECT_FALSE(cursor->Next());
  stopper.join();
  ExpectClosed(cursor.get(), "cancelled");
}

TEST_F(FollowTest, AChangeOfTheTableIsTold) {
  Make(&clock_);
  Upsert({{1, "a"}});
  auto cursor = Follow(0);
  auto other = Follow(0);
  ASSERT_TRUE(db_->RenameTable("t", "r"));  // commit 2
  EXPECT_EQ(Next(cursor.get()), (Changes{"1 upsert 1 a"}));
  EXPECT_EQ(Next(cursor.get()), Changes());
  EXPECT_EQ(cursor->position().value, 2u);
  ASSERT_TRUE(db_->AlterTable("r", {AddColumn{arrow::field("w", arrow::int64())}}));  // 3
  const auto altered = cursor->Next(0);
  ASSERT_FALSE(altered);
  EXPECT_EQ(altered.error().kind(), ErrorKind::kConflict);
  EXPECT_NE(altered.error().message().find("table 'r'"), std::string::npos);
  EXPECT_NE(altered.error().message().find("from commit 2"), std::string::npos);
  EXPECT_EQ(cursor->Next(0).error().message(), altered.error().message());

  auto again = db_->FollowChanges("r", CommitNumber{0});
  ASSERT_TRUE(again);
  EXPECT_EQ((*again)->schema()->field_names().back(), "w");
  EXPECT_EQ(Next(again->get()), (Changes{"1 upsert 1 a"}));
  ASSERT_TRUE(db_->DropTable("r"));
  const auto dropped = (*again)->Next(0);
  ASSERT_FALSE(dropped);
  EXPECT_EQ(dropped.error().kind(), ErrorKind::kNotFound);
  EXPECT_NE(dropped.error().message().find("dropped"), std::string::npos);
}

// What was written just before, whether the cursor was there before the drop or comes after it.
TEST_F(FollowTest, TheLastChangesOfADroppedTableCome) {
  Make(&clock_);
  Upsert({{1, "a"}});
  auto early = Follow(0);
  Upsert({{2, "b"}});
  ASSERT_TRUE(db_->Delete("t", RowsBatch({{1, ""}})));
  ASSERT_TRUE(db_->DropTable("t"));  // commit 4
  Upsert({{9, "x"}}, "u");
  const Changes last = {"1 upsert 1 a", "2 upsert 2 b", "3 delete 1"};
  EXPECT_EQ(Next(early.get()), last);
  EXPECT_EQ(early->position().value, 3u);
  ExpectDropped(early.get(), "table 't' was dropped by commit 4, and all changes");

  for (const bool reopened : {false, true}) {
    if (reopened) Open(&clock_);
    auto late = Follow(0);
    EXPECT_EQ(Next(late.get()), last);
    ExpectDropped(late.get(), "dropped by commit 4");
    late = Follow(1, {.before_images = true});
    EXPECT_EQ(Next(late.get()), (Changes{"2 insert 2 b", "3 delete 1"}));
    late = Follow(3);
    ExpectDropped(late.get(), "dropped by commit 4");
    EXPECT_EQ(late->position().value, 3u);
    const auto after = db_->FollowChanges("t", CommitNumber{4});
    ASSERT_FALSE(after);
    EXPECT_EQ(after.error().kind(), ErrorKind::kNotFound);
  }
}

// Tables of one name, one after the other: each up to its drop, and then the way to the next.
TEST_F(FollowTest, ATableThatWasMadeAgainIsAnotherOne) {
  Make(&clock_);
  Upsert({{1, "a"}});
  ASSERT_TRUE(db_->DropTable("t"));  // commit 2
  ASSERT_TRUE(db_->CreateTable("t", testing::RowsSchema(), {"id"}));
  Upsert({{1, "b"}});
  ASSERT_TRUE(db_->DropTable("t"));  // commit 4
  ASSERT_TRUE(db_->CreateTable("t", testing::RowsSchema(), {"id"}));
  Upsert({{1, "c"}});
  auto cursor = Follow(0);
  EXPECT_EQ(Next(cursor.get()), (Changes{"1 upsert 1 a"}));
  ExpectDropped(cursor.get(), "dropped by commit 2");
  ExpectDropped(cursor.get(),
                "another table was made under that name since: follow it from that commit");
  cursor = Follow(2);
  EXPECT_EQ(Next(cursor.get()), (Changes{"3 upsert 1 b"}));
  ExpectDropped(cursor.get(), "dropped by commit 4");
  cursor = Follow(4);
  EXPECT_EQ(Next(cursor.get()), (Changes{"5 upsert 1 c"}));
  EXPECT_EQ(Next(cursor.get()), Changes());
}

// A table keeps its changes when it takes over the name of one that was dropped.
TEST_F(FollowTest, ATableThatWasRenamedIsFollowedFromAnyCommit) {
  Make(&clock_);
  Upsert({{1, "a"}});
  auto early = Follow(0);
  EXPECT_EQ(Next(early.get()), (Changes{"1 upsert 1 a"}));
  Upsert({{2, "b"}}, "u");
  ASSERT_TRUE(db_->DropTable("t"));         // commit 3
  ASSERT_TRUE(db_->RenameTable("u", "t"));  // commit 4
  ExpectDropped(early.get(), "dropped by commit 3");
  ExpectDropped(early.get(), "another table was renamed to that name");
  auto cursor = Follow(0);
  EXPECT_EQ(Next(cursor.get()), (Changes{"2 upsert 2 b"}));
  EXPECT_EQ(Next(cursor.get()), Changes());
  ASSERT_TRUE(db_->DropTable("t"));  // commit 5: of two that are gone, the first
  cursor = Follow(0);
  EXPECT_EQ(Next(cursor.get()), (Changes{"1 upsert 1 a"}));
  ExpectDropped(cursor.get(), "dropped by commit 3");
  cursor = Follow(3);
  ExpectDropped(cursor.get(), "dropped by commit 5");
}

// A table that left its old name to a new one, took another, and was dropped: what was made under
// either name since is shown as of older commits too, and takes nothing of its changes.
TEST_F(FollowTest, ATableThatWasRenamedAndDroppedIsFollowedByItsLastName) {
  Make(&clock_);
  Upsert({{1, "a"}}, "u");
  ASSERT_TRUE(db_->DropTable("t"));         // commit 2
  ASSERT_TRUE(db_->RenameTable("u", "t"));  // commit 3
  ASSERT_TRUE(db_->CreateTable("u", testing::RowsSchema(), {"id"}));
  Upsert({{2, "b"}});
  Upsert({{3, "c"}}, "u");
  ASSERT_TRUE(db_->DropTable("t"));  // commit 6
  ASSERT_TRUE(db_->CreateTable("t", testing::RowsSchema(), {"id"}));
  Upsert({{4, "d"}});
  for (const bool reopened : {false, true}) {
    if (reopened) Open(&clock_);
    auto cursor = Follow(0);  // the first table of that name, which had no rows
    ExpectDropped(cursor.get(), "dropped by commit 2");
    cursor = Follow(2);
    EXPECT_EQ(Next(cursor.get()), (Changes{"4 upsert 2 b"}));
    ExpectDropped(cursor.get(), "dropped by commit 6");
    cursor = Follow(6);
    EXPECT_EQ(Next(cursor.get()), (Changes{"7 upsert 4 d"}));
    EXPECT_EQ(Next(cursor.get()), Changes());
    cursor = Follow(0, {}, "u");
    EXPECT_EQ(Next(cursor.get()), (Changes{"5 upsert 3 c"}));
  }
}

// Other columns, and then the drop: the cursor is told of the columns, and the next one goes on.
TEST_F(FollowTest, ATableThatChangedAndWasDroppedIsFollowedToItsEnd) {
  Make(&clock_);
  Upsert({{1, "a"}});
  auto cursor = Follow(0);
  ASSERT_TRUE(db_->AlterTable("t", {AddColumn{arrow::field("w", arrow::int64())}}));  // 2
  ASSERT_TRUE(db_->Delete("t", RowsBatch({{1, ""}})));
  ASSERT_TRUE(db_->DropTable("t"));  // 4
  EXPECT_EQ(cursor->Next(0).error().kind(), ErrorKind::kConflict);
  cursor = Follow(cursor->position().value);
  EXPECT_EQ(cursor->schema()->field_names().back(), "w");
  EXPECT_EQ(Next(cursor.get()), (Changes{"1 upsert 1 a", "3 delete 1"}));
  ExpectDropped(cursor.get(), "dropped by commit 4");
}

// Its name leads to another table, whose changes are not what the cursor was to go on with.
TEST_F(FollowTest, ATableThatCannotBeFoundAgainByItsNameIsNotToldToBeFollowedAgain) {
  Make(&clock_);
  Upsert({{1, "a"}});
  auto cursor = Follow(0);
  EXPECT_EQ(Next(cursor.get()), (Changes{"1 upsert 1 a"}));
  ASSERT_TRUE(db_->AlterTable("t", {AddColumn{arrow::field("w", arrow::int64())}}));  // 2
  ASSERT_TRUE(db_->Delete("t", RowsBatch({{1, ""}})));
  ASSERT_TRUE(db_->DropTable("t"));         // 4
  ASSERT_TRUE(db_->RenameTable("u", "t"));  // 5
  ExpectDropped(cursor.get(),
                "the columns of table 't' were changed, it was dropped by commit 4, and its name "
                "is another table's; a snapshot of commit 3 has its changes after commit 1");
  const auto then = db_->GetSnapshot(CommitNumber{3});
  ASSERT_TRUE(then) << then.error().message();
  const auto last = (*then)->Changes("t", {1}, {});
  ASSERT_TRUE(last) << last.error().message();
  EXPECT_EQ(Texts(*(*last)->Next()), Changes{"3 delete 1"});
}

TEST_F(FollowTest, ADropEndsTheOneThatWaits) {
  Make(SystemClock());
  auto cursor = Follow(0);
  std::thread dropper([&] { EXPECT_TRUE(db_->DropTable("t")); });
  const auto next = cursor->Next();
  dropper.join();
  ASSERT_FALSE(next);
  EXPECT_EQ(next.error().kind(), ErrorKind::kNotFound);
}

// Each round ends the database while followers wait, read, or are about to.
TEST_F(FollowTest, TheEndOfTheDatabaseEndsThoseThatWait) {
  for (int round = 0; round < 20; ++round) {
    ASSERT_NO_FATAL_FAILURE(round == 0 ? Make(SystemClock()) : Open(SystemClock()));
    Upsert({{round, "a"}});
    std::vector<std::unique_ptr<ChangeCursor>> cursors;
    std::vector<std::thread> threads;
    std::atomic<int> given = 0;
    for (int i = 0; i < 3; ++i) cursors.push_back(Follow(0));
    for (auto& cursor : cursors) {
      threads.emplace_back([&given, follower = cursor.get()] {
        while (follower->Next()) ++given;
      });
    }
    while (round % 2 == 0 && given < 3) std::this_thread::yield();
    if (round % 3 != 0) {
      EXPECT_TRUE(db_->Close());
    }
    db_.reset();
    for (auto& thread : threads) thread.join();
    for (auto& cursor : cursors) ExpectClosed(cursor.get(), "closed");
  }
}

// Writers, flushes, followers and a close at once. What the followers were given, over all lives of
// the database, is every commit once, in order.
TEST_F(FollowTest, InThreadsEachChangeComesOnceAndInOrder) {
  constexpr int kLives = 3, kWriters = 2, kFollowers = 2, kCommits = 300;
  Make(SystemClock());
  std::mutex mutex;
  std::map<std::uint64_t, Changes> made;  // acknowledged; guarded by mutex
  std::vector<Changes> given(kFollowers);
  std::vector<std::uint64_t> positions(kFollowers);
  for (int life = 0; life < kLives; ++life) {
    if (life > 0) {
      ASSERT_NO_FATAL_FAILURE(Open(SystemClock()));
    }
    std::atomic<bool> stop = false;
    std::atomic<int> commits = 0;
    const auto write = [&](int writer) {
      for (int i = 0; i < kCommits; ++i) {
        const std::string value = std::to_string(life) + "." + std::to_string(i);
        const std::int64_t id = writer * 100 + i % 10;
        const bool other = i % 7 == 0;
        const auto info =
            db_->Upsert(other ? "u" : "t", RowsBatch({{id, value}, {id + 50, value}}));
        if (!info) break;
        ++commits;
        if (other) continue;
        const std::string commit = std::to_string(info->commit.value) + " upsert ";
        std::lock_guard lock(mutex);
        made[info->commit.value] = {commit + std::to_string(id) + " " + value,
                                    commit + std::to_string(id + 50) + " " + value};
      }
    };
    const auto follow = [&](int follower, ChangeCursor* cursor) {
      const auto at = static_cast<std::size_t>(follower);
      while (const auto batch = cursor->Next(follower == 0 ? ChangeCursor::kForever : 1)) {
        const auto texts = Texts(*batch);
        given[at].insert(given[at].end(), texts.begin(), texts.end());
        positions[at] = cursor->position().value;
      }
    };
    std::vector<std::unique_ptr<ChangeCursor>> cursors;
    std::vector<std::thread> threads;
    for (int i = 0; i < kFollowers; ++i) {
      cursors.push_back(Follow(positions[static_cast<std::size_t>(i)]));
      threads.emplace_back(follow, i, cursors.back().get());
    }
    for (int i = 0; i < kWriters; ++i) threads.emplace_back(write, i);
    threads.emplace_back([&] {
      while (!stop && db_->Flush()) std::this_thread::yield();
    });
    while (commits < kCommits) std::this_thread::yield();
    ASSERT_TRUE(db_->Close());
    stop = true;
    for (auto& thread : threads) thread.join();
  }
  ASSERT_NO_FATAL_FAILURE(Open(SystemClock()));
  const Changes expected = ReadAll();  // maybe more than what was acknowledged
  for (const auto& [commit, changes] : made) {
    for (const auto& change : changes) EXPECT_EQ(std::ranges::count(expected, change), 1) << change;
  }
  for (int i = 0; i < kFollowers; ++i) {
    auto& all = given[static_cast<std::size_t>(i)];
    auto cursor = Follow(positions[static_cast<std::size_t>(i)]);
    for (auto more = Next(cursor.get()); !more.empty(); more = Next(cursor.get())) {
      all.insert(all.end(), more.begin(), more.end());
    }
    EXPECT_EQ(all, expected);
  }
}

}  // namespace
}  // namespace varve
