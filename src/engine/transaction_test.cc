// SPDX-License-Identifier: Apache-2.0
// Transactions through the public face: what one sees, what others see of it, and which of two that
// meet is refused, wherever the other's rows lie by then.
#include "varve/transaction.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <map>
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

class TransactionTest : public ::testing::Test {
 protected:
  TransactionTest() : random_(1) {}

  void SetUp() override { Open(); }
  void Open() {
    db_.reset();
    const Components world{
        .files = &disk_, .clock = &clock_, .random = &random_, .executor = &executor_};
    auto db = Database::Open("/db", options_, world);
    ASSERT_TRUE(db) << db.error().message();
    db_ = *std::move(db);
    for (const char* table : {"t", "u"}) {
      const auto made = db_->CreateTable(table, testing::RowsSchema(), {"id"});
      ASSERT_TRUE(made || made.error().kind() == ErrorKind::kConflict);
    }
  }
  std::unique_ptr<Transaction> Begin(Isolation isolation = Isolation::kSnapshot) {
    auto begun = db_->Begin({.isolation = isolation});
    EXPECT_TRUE(begun) << begun.error().message();
    return *std::move(begun);
  }
  std::uint64_t Put(const Rows& rows, const std::string& table = "t") {
    auto info = db_->Upsert(table, testing::RowsBatch(rows));
    EXPECT_TRUE(info) << info.error().message();
    return info ? info->commit.value : 0;
  }
  static void Put(Transaction* in, const Rows& rows, const std::string& table = "t") {
    const auto put = in->Upsert(table, testing::RowsBatch(rows));
    ASSERT_TRUE(put) << put.error().message();
  }
  static void Erase(Transaction* in, const Rows& keys, const std::string& table = "t") {
    const auto erased = in->Delete(table, testing::RowsBatch(keys));
    ASSERT_TRUE(erased) << erased.error().message();
  }
  static Rows Read(Transaction* in, const ScanOptions& options = {},
                   const std::string& table = "t") {
    auto reader = in->Scan(table, options);
    EXPECT_TRUE(reader) << reader.error().message();
    return reader ? testing::Drain(reader->get()) : Rows{};
  }
  Rows Read(const std::string& table = "t") {
    auto reader = db_->Scan(table);
    EXPECT_TRUE(reader) << reader.error().message();
    return reader ? testing::Drain(reader->get()) : Rows{};
  }
  static Rows Get(Transaction* in, const Rows& keys) {
    auto rows = in->Get("t", testing::RowsBatch(keys));
    EXPECT_TRUE(rows) << rows.error().message();
    if (!rows) return {};
    auto reader = arrow::RecordBatchReader::Make({*rows}, (*rows)->schema());
    return testing::Drain(reader->get());
  }
  static std::uint64_t Commit(Transaction* in) {
    const auto info = in->Commit();
    EXPECT_TRUE(info) << info.error().message();
    return info ? info->commit.value : 0;
  }
  static void ExpectConflict(Transaction* in, const std::string& part) {
    const auto info = in->Commit();
    ASSERT_FALSE(info) << "commit " << info->commit.value;
    EXPECT_EQ(info.error().kind(), ErrorKind::kConflict) << info.error().message();
    EXPECT_NE(info.error().message().find(part), std::string::npos) << info.error().message();
  }

  OpenOptions options_{.create_if_missing = true};
  SimulatedDisk disk_;
  ManualClock clock_;
  SeededRandom random_;
  ManualExecutor executor_;
  std::unique_ptr<Database> db_;
};

TEST_F(TransactionTest, ReadsItsOwnWritesOnTopOfItsSnapshot) {
  Put({{1, "a"}, {2, "b"}, {3, "c"}});
  ASSERT_TRUE(db_->Flush());
  Put({{4, "d"}});
  const auto in = Begin();
  Put(in.get(), {{2, "B"}, {9, "z"}});
  Erase(in.get(), {{3, ""}});
  EXPECT_EQ(Read(in.get()), (Rows{{1, "a"}, {2, "B"}, {4, "d"}, {9, "z"}}));
  EXPECT_EQ(Get(in.get(), {{2, ""}, {3, ""}, {9, ""}}), (Rows{{2, "B"}, {9, "z"}}));
  Put(in.get(), {{3, "again"}});
  Erase(in.get(), {{9, ""}});
  EXPECT_EQ(Read(in.get()), (Rows{{1, "a"}, {2, "B"}, {3, "again"}, {4, "d"}}));
  EXPECT_EQ(Read(in.get(), {.limit = 2}), (Rows{{1, "a"}, {2, "B"}}));
  auto backwards = *in->Scan("t", {.reverse = true});
  const auto last = *(*backwards->ToTable())->column(0)->GetScalar(0);
  EXPECT_EQ(last->ToString(), "4");
  const auto filter = ParseFilter("id > 1 and id < 4", testing::RowsSchema());
  EXPECT_EQ(Read(in.get(), {.filter = *filter}), (Rows{{2, "B"}, {3, "again"}}));
}

TEST_F(TransactionTest, SeesNothingThatWasCommittedAfterItsBegin) {
  Put({{1, "a"}});
  const auto in = Begin();
  Put(in.get(), {{5, "mine"}});
  Put({{1, "later"}, {2, "b"}});
  ASSERT_TRUE(db_->Flush());
  Put({{3, "c"}});
  EXPECT_EQ(in->snapshot().value, 1u);
  EXPECT_EQ(Read(in.get()), (Rows{{1, "a"}, {5, "mine"}}));
  EXPECT_EQ(Get(in.get(), {{1, ""}, {2, ""}, {3, ""}, {5, ""}}), (Rows{{1, "a"}, {5, "mine"}}));
}

// Small commits are gathered into larger batches, those from before and after its begin together.
TEST_F(TransactionTest, SeesNothingLaterAmongRowsThatWereGathered) {
  Rows before;
  for (int i = 0; i < 1000; i += 2) before[i] = "before";
  for (const auto& row : before) Put({row});
  const auto in = Begin();
  Put(in.get(), {{5000, "mine"}});
  for (int i = 1; i < 1000; i += 2) Put({{i, "after"}});
  auto expected = before;
  expected[5000] = "mine";
  EXPECT_EQ(Read(in.get()), expected);
}

TEST_F(TransactionTest, NobodySeesItBeforeItsCommitAndThenAllOfIt) {
  Put({{1, "a"}});
  const auto in = Begin();
  Put(in.get(), {{1, "A"}, {2, "b"}});
  Put(in.get(), {{7, "u"}}, "u");
  Erase(in.get(), {{1, ""}});
  EXPECT_EQ(Read(), (Rows{{1, "a"}}));
  EXPECT_EQ(Read("u"), Rows{});
  EXPECT_EQ(Commit(in.get()), 2u) << "one number for all";
  EXPECT_EQ(Read(), (Rows{{2, "b"}}));
  EXPECT_EQ(Read("u"), (Rows{{7, "u"}}));
  Open();
  EXPECT_EQ(Read(), (Rows{{2, "b"}}));
  EXPECT_EQ(Read("u"), (Rows{{7, "u"}}));
  EXPECT_EQ(Put({{9, "z"}}), 3u);
}

TEST_F(TransactionTest, WhatWasNotCommittedNeverWas) {
  Put({{1, "a"}});
  auto aborted = Begin();
  Put(aborted.get(), {{1, "A"}});
  aborted->Abort();
  auto dropped = Begin();
  Put(dropped.get(), {{2, "b"}});
  dropped.reset();
  auto killed = Begin();
  Put(killed.get(), {{3, "c"}});
  killed.reset();
  Open();
  EXPECT_EQ(Read(), (Rows{{1, "a"}}));
  EXPECT_EQ(Put({{2, "b"}}), 2u);
}

TEST_F(TransactionTest, ACommitIsWholeAfterAPowerCut) {
  Put({{1, "a"}});
  const auto in = Begin();
  Put(in.get(), {{1, "A"}, {2, "b"}});
  Put(in.get(), {{7, "u"}}, "u");
  Commit(in.get());
  db_.reset();
  disk_.Crash(Survival::kAllLost, &random_);
  Open();
  EXPECT_EQ(Read(), (Rows{{1, "A"}, {2, "b"}}));
  EXPECT_EQ(Read("u"), (Rows{{7, "u"}}));
}

TEST_F(TransactionTest, TheFirstToCommitWinsAndTheOtherIsToldTableAndKey) {
  Put({{1, "a"}, {2, "b"}});
  const auto first = Begin();
  const auto second = Begin();
  Put(first.get(), {{2, "first"}});
  Put(second.get(), {{1, "x"}, {2, "second"}});
  EXPECT_EQ(Commit(first.get()), 2u);
  ExpectConflict(second.get(), "table 't', key 2: commit 2 ");
  EXPECT_EQ(Read(), (Rows{{1, "a"}, {2, "first"}}));
  EXPECT_EQ(Put({{3, "c"}}), 3u) << "what was refused took no number";
}

TEST_F(TransactionTest, DifferentKeysAndTablesAreNoConflict) {
  const auto first = Begin();
  const auto second = Begin();
  Put(first.get(), {{1, "a"}});
  Put(second.get(), {{2, "b"}});
  Put(second.get(), {{1, "u"}}, "u");
  Commit(first.get());
  Commit(second.get());
  EXPECT_EQ(Read(), (Rows{{1, "a"}, {2, "b"}}));
  EXPECT_EQ(Read("u"), (Rows{{1, "u"}}));
}

TEST_F(TransactionTest, PlainWritesAndDeletesCountWhereverTheirRowsLie) {
  Put({{1, "a"}});
  for (const bool erased : {false, true}) {
    for (const bool flushed : {false, true}) {
      const auto in = Begin();
      Put(in.get(), {{1, "mine"}});
      if (erased) {
        ASSERT_TRUE(db_->Delete("t", testing::RowsBatch({{1, ""}})));
      } else {
        Put({{1, "theirs"}});
      }
      if (flushed) {
        ASSERT_TRUE(db_->Flush());
      }
      ExpectConflict(in.get(), "table 't', key 1");
      const auto erasing = Begin();
      Erase(erasing.get(), {{1, ""}});
      Put({{1, "again"}});
      ExpectConflict(erasing.get(), "table 't', key 1");
    }
  }
}

// Where the keys of commits are not remembered any more, the data is asked.
TEST_F(TransactionTest, AnOldTransactionFindsConflictsInMemtablesAndRuns) {
  options_.memtable_bytes_max = 64 << 10;  // a quarter of it is for keys
  db_.reset();
  Open();
  Put({{1, "a"}, {2, "b"}});
  for (const auto isolation : {Isolation::kSnapshot, Isolation::kSerializable}) {
    const auto meets = Begin(isolation);
    const auto misses = Begin(isolation);
    Put(meets.get(), {{1, "mine"}});
    Put(misses.get(), {{2, "kept"}});
    if (isolation == Isolation::kSerializable) Read(misses.get(), {}, "u");
    Put({{1, "theirs"}});
    for (int i = 0; i < 3000; ++i) Put({{100 + i, "other"}});
    ExpectConflict(meets.get(), "table 't', key 1");
    Commit(misses.get());
    executor_.RunAll();
  }
  const auto reads = Begin(Isolation::kSerializable);
  EXPECT_EQ(Read(reads.get(), {}, "u"), Rows{});
  Put(reads.get(), {{2, "unsafe"}});
  Put({{5, "phantom"}}, "u");
  for (int i = 0; i < 3000; ++i) Put({{100 + i, "other"}});
  ExpectConflict(reads.get(), "table 'u', key 5");
}

TEST_F(TransactionTest, WriteSkewIsSeenUnderSnapshotAndNeverUnderSerializable) {
  for (const auto isolation : {Isolation::kSnapshot, Isolation::kSerializable}) {
    Put({{1, "on call"}, {2, "on call"}});
    const auto first = Begin(isolation);
    const auto second = Begin(isolation);
    Get(first.get(), {{1, ""}, {2, ""}});
    Get(second.get(), {{1, ""}, {2, ""}});
    Put(first.get(), {{1, "off"}});
    Put(second.get(), {{2, "off"}});
    Commit(first.get());
    if (isolation == Isolation::kSnapshot) {
      Commit(second.get());
      EXPECT_EQ(Read(), (Rows{{1, "off"}, {2, "off"}}));
    } else {
      ExpectConflict(second.get(), "table 't', key 1");
    }
  }
}

TEST_F(TransactionTest, ARowThatComesIntoAScannedRangeIsAConflictUnderSerializable) {
  Put({{10, "a"}, {20, "b"}});
  const auto filter = ParseFilter("id >= 10 and id < 20", testing::RowsSchema());
  const auto inside = Begin(Isolation::kSerializable);
  const auto outside = Begin(Isolation::kSerializable);
  const auto reader = Begin(Isolation::kSerializable);
  for (auto* in : {inside.get(), outside.get(), reader.get()}) Read(in, {.filter = *filter});
  Put(inside.get(), {{1, "sum"}});
  Put({{20, "B"}});
  Put(outside.get(), {{2, "sum"}});
  Commit(outside.get());
  Put({{15, "phantom"}});
  ExpectConflict(inside.get(), "table 't', key 15");
  EXPECT_TRUE(reader->Commit()) << "it wrote nothing: it was before them all";
}

TEST_F(TransactionTest, ARowThatComesIntoADeletedRangeIsAConflictUnderSerializable) {
  Put({{10, "a"}, {30, "b"}});
  const auto in = Begin(Isolation::kSerializable);
  const auto key = [](std::int64_t id) {
    return testing::RowsBatch({{id, ""}})->SelectColumns({0}).ValueOrDie();
  };
  const auto deleted = in->Write(
      "t", {.mode = WriteMode::kDeleteWhere, .range = {.lower = key(20), .upper = key(30)}});
  ASSERT_TRUE(deleted) << deleted.error().message();
  Put(in.get(), {{1, "nothing from 20 to 30"}}, "u");
  Put({{25, "phantom"}});
  ExpectConflict(in.get(), "table 't', key 25");
}

TEST_F(TransactionTest, ASavepointIsGoneBackTo) {
  Put({{1, "a"}});
  const auto in = Begin();
  Put(in.get(), {{1, "one"}, {2, "one"}});
  const auto one = in->Savepoint();
  Erase(in.get(), {{1, ""}});
  Put(in.get(), {{2, "two"}, {3, "two"}});
  const auto two = in->Savepoint();
  Put(in.get(), {{7, "u"}}, "u");
  ASSERT_TRUE(in->RollbackTo(*one));
  EXPECT_EQ(Read(in.get()), (Rows{{1, "one"}, {2, "one"}}));
  EXPECT_EQ(Read(in.get(), {}, "u"), Rows{});
  EXPECT_EQ(in->RollbackTo(*two).error().kind(), ErrorKind::kInvalid);
  Erase(in.get(), {{2, ""}});
  ASSERT_TRUE(in->RollbackTo(*one));
  EXPECT_EQ(Read(in.get()), (Rows{{1, "one"}, {2, "one"}}));
  Commit(in.get());
  EXPECT_EQ(Read(), (Rows{{1, "one"}, {2, "one"}}));
  EXPECT_EQ(Read("u"), Rows{});

  const auto nothing = Begin();
  const auto start = nothing->Savepoint();
  Put(nothing.get(), {{1, "x"}});
  ASSERT_TRUE(nothing->RollbackTo(*start));
  EXPECT_EQ(Commit(nothing.get()), 2u) << "nothing to commit";
}

// Not even when its number was what another one's would be: it comes after as many statements.
TEST_F(TransactionTest, ASavepointThatIsGoneStaysGone) {
  const auto in = Begin();
  const auto start = *in->Savepoint();
  Put(in.get(), {{1, "a"}});
  const auto gone = *in->Savepoint();
  ASSERT_TRUE(in->RollbackTo(start));
  Put(in.get(), {{2, "b"}});
  const auto later = *in->Savepoint();
  Put(in.get(), {{3, "c"}});
  EXPECT_EQ(in->RollbackTo(gone).error().kind(), ErrorKind::kInvalid);
  EXPECT_EQ(Read(in.get()), (Rows{{2, "b"}, {3, "c"}}));
  const auto same_place = *in->Savepoint();
  EXPECT_NE(same_place, *in->Savepoint());
  ASSERT_TRUE(in->RollbackTo(later));
  EXPECT_EQ(in->RollbackTo(same_place).error().kind(), ErrorKind::kInvalid);
  EXPECT_EQ(Read(in.get()), (Rows{{2, "b"}}));
}

TEST_F(TransactionTest, WhatIsDeletedByRangeIsWhatWasWrittenSoFar) {
  Put({{1, "a"}});
  const auto in = Begin();
  Put(in.get(), {{2, "b"}});
  Put(in.get(), {{3, "c"}, {20, "d"}});
  KeyRange below_ten;
  below_ten.upper = testing::RowsBatch({{10, ""}})->SelectColumns({0}).ValueOrDie();
  ASSERT_TRUE(in->Write("t", {.mode = WriteMode::kDeleteWhere, .range = below_ten}));
  EXPECT_EQ(Read(in.get()), (Rows{{20, "d"}}));
  Commit(in.get());
  EXPECT_EQ(Read(), (Rows{{20, "d"}}));
}

// Whether it was read already or not, in either direction, and whatever becomes of the transaction.
TEST_F(TransactionTest, AReaderShowsWhatWasWrittenWhenItWasMade) {
  Rows stored;
  for (int id = 0; id < 20; id += 2) stored[id] = "stored";
  Put(stored);
  ASSERT_TRUE(db_->Flush());
  const auto write = [](Transaction* in, const std::string& value) {
    Put(in, {{1, value}, {4, value}, {13, value}});
    Erase(in, {{8, ""}});
  };
  Rows expected = stored;
  for (const int id : {1, 4, 13}) expected[id] = "own";
  expected.erase(8);
  for (const int end : {0, 1, 2, 3}) {
    for (const int begun : {0, 1}) {
      for (const ScanOptions& options :
           {ScanOptions{.batch_rows_max = 2}, ScanOptions{.reverse = true, .batch_rows_max = 2},
            ScanOptions{.unordered = true, .batch_rows_max = 2}}) {
        SCOPED_TRACE(fmt::format("end {}, begun {}, reverse {}", end, begun, options.reverse));
        const auto in = Begin();
        write(in.get(), "own");
        const auto savepoint = *in->Savepoint();
        auto reader = *in->Scan("t", options);
        Rows read;
        const auto note = [&](const arrow::RecordBatch& batch) {
          for (std::int64_t i = 0; i < batch.num_rows(); ++i) {
            const auto id = static_cast<const arrow::Int64Array&>(*batch.column(0)).Value(i);
            EXPECT_TRUE(
                read.emplace(id, static_cast<const arrow::StringArray&>(*batch.column(1)).Value(i))
                    .second);
          }
        };
        if (begun == 1) note(**reader->Next());
        write(in.get(), "later");
        Put(in.get(), {{8, "later"}, {15, "later"}, {100, "later"}, {-5, "later"}});
        Erase(in.get(), {{2, ""}, {13, ""}});
        if (end == 1) {
          ASSERT_TRUE(in->RollbackTo(savepoint));
        }
        if (end == 2) in->Abort();
        if (end == 3) {
          ASSERT_TRUE(in->RollbackTo(savepoint));
          Put(in.get(), {{3, "otherwise"}, {1, "otherwise"}});
        }
        for (const auto& batch : *reader) note(**batch);
        EXPECT_EQ(read, expected);
      }
    }
  }
}

TEST_F(TransactionTest, WithoutWritesThereIsNoCommitAndNoInput) {
  Put({{1, "a"}});
  const auto events = disk_.events();
  const auto in = Begin();
  EXPECT_EQ(Read(in.get()), (Rows{{1, "a"}}));
  EXPECT_EQ(Commit(in.get()), 1u);
  EXPECT_EQ(disk_.events(), events);
}

// Threads that each add one to a counter: with a lost update the sum would be smaller.
TEST_F(TransactionTest, NoUpdateIsLostBetweenThreads) {
  constexpr int kThreads = 4, kEach = 2000;
  Put({{1, "0"}});
  std::atomic<int> conflicts = 0;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&] {
      for (int done = 0; done < kEach;) {
        const auto in = Begin();
        const auto now = std::stoi(Get(in.get(), {{1, ""}}).begin()->second);
        Put(in.get(), {{1, std::to_string(now + 1)}});
        const auto info = in->Commit();
        if (info) {
          ++done;
        } else {
          ASSERT_EQ(info.error().kind(), ErrorKind::kConflict) << info.error().message();
          ++conflicts;
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(Read(), (Rows{{1, std::to_string(kThreads * kEach)}}));
}

}  // namespace
}  // namespace varve
