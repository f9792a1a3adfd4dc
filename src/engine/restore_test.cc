// SPDX-License-Identifier: Apache-2.0
// A table made what it was at a version, by one commit, whoever writes beside it.
#include <arrow/api.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <limits>
#include <memory>
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

using testing::ReadRows;
using testing::Rows;
using testing::RowsBatch;

class RestoreTest : public ::testing::Test {
 protected:
  void Open(bool read_only = false) {
    db_.reset();
    auto db = Database::Open(
        "/db", {.create_if_missing = !read_only, .read_only = read_only},
        {.files = &disk_, .clock = &clock_, .random = &random_, .executor = &executor_});
    ASSERT_TRUE(db) << db.error().message();
    db_ = *std::move(db);
  }
  void SetUp() override {
    Open();
    ASSERT_TRUE(db_->CreateTable("t", testing::RowsSchema(), {"id"}));
    ASSERT_TRUE(db_->CreateTable("u", testing::RowsSchema(), {"id"}));
  }
  void Put(const Rows& rows, const std::string& table = "t") {
    const auto put = db_->Upsert(table, RowsBatch(rows));
    ASSERT_TRUE(put) << put.error().message();
  }
  void Erase(const Rows& keys) {
    const auto erased = db_->Delete("t", RowsBatch(keys));
    ASSERT_TRUE(erased) << erased.error().message();
  }
  RestoreInfo Restore(const AsOf& as_of, RestoreOptions options = {}, CommitOptions commit = {}) {
    const auto restored = db_->RestoreTable("t", as_of, options, commit);
    EXPECT_TRUE(restored) << restored.error().message();
    return restored ? *restored : RestoreInfo{};
  }
  Error RestoreError(const std::string& table, const AsOf& as_of) {
    const auto restored = db_->RestoreTable(table, as_of);
    EXPECT_FALSE(restored);
    return restored ? Error(ErrorKind::kInternal, "not refused") : restored.error();
  }
  Rows Read(const AsOf& as_of = {}, const std::string& table = "t") {
    const auto snapshot = db_->GetSnapshot(as_of);
    EXPECT_TRUE(snapshot) << snapshot.error().message();
    return snapshot ? ReadRows(**snapshot, table) : Rows{};
  }

  SimulatedDisk disk_;
  ManualClock clock_;
  SeededRandom random_{1};
  ManualExecutor executor_;
  std::unique_ptr<Database> db_;
};

// Every kind of difference, wherever the versions lie.
TEST_F(RestoreTest, TheTableIsWhatItWasAndNothingElseChanges) {
  Put({{1, "same"}, {2, "changes"}, {3, "goes"}, {4, "goes and comes back"}});
  Put({{1, "other table"}}, "u");  // commit 2
  const Rows then = Read();
  ASSERT_TRUE(db_->Flush());
  Put({{2, "changed"}, {5, "new"}});
  Erase({{3, ""}, {4, ""}});
  ASSERT_TRUE(db_->Flush());
  Put({{4, "goes and comes back"}, {6, "new and gone"}});
  Erase({{6, ""}});  // commit 6
  const Rows before = Read();
  const auto info = Restore(CommitNumber{2});
  EXPECT_EQ(info.as_of.value, 2u);
  EXPECT_EQ(info.commit.commit.value, 7u);
  EXPECT_EQ(info.rows_written, 2u);  // 2 and 3
  EXPECT_EQ(info.rows_deleted, 1u);  // 5
  EXPECT_EQ(info.commit.rows, 3u);
  EXPECT_EQ(Read(), then);
  EXPECT_EQ(Read({}, "u"), (Rows{{1, "other table"}}));
  EXPECT_EQ(Read(CommitNumber{6}), before) << "what was before is a version like any other";
  Open();
  EXPECT_EQ(Read(), then);
  ASSERT_TRUE(db_->Flush());
  EXPECT_EQ(Read(), then);
  Restore(CommitNumber{6});
  EXPECT_EQ(Read(), before);
}

TEST_F(RestoreTest, ToATimeATagAndTheBeginning) {
  Put({{1, "a"}});
  clock_.Advance(1'000'000);
  const WallTime between = clock_.Now();
  clock_.Advance(1'000'000);
  Put({{1, "b"}});
  ASSERT_TRUE(db_->Tag("b"));
  Put({{1, "c"}});
  ASSERT_TRUE(db_->Flush());
  Restore(between);
  EXPECT_EQ(Read(), (Rows{{1, "a"}}));
  Restore(TagName{"b"});
  EXPECT_EQ(Read(), (Rows{{1, "b"}}));
  EXPECT_EQ(Restore(CommitNumber{0}).rows_deleted, 1u);
  EXPECT_EQ(Read(), Rows{});
}

TEST_F(RestoreTest, WhereNothingDiffersThereIsNoCommit) {
  Put({{1, "a"}});
  Put({{1, "b"}});
  Put({{1, "a"}});
  const auto events = disk_.events();
  const auto info = Restore(CommitNumber{1});
  EXPECT_EQ(info.rows_written + info.rows_deleted, 0u);
  EXPECT_EQ(info.commit.commit.value, 3u);
  EXPECT_EQ(disk_.events(), events);
  EXPECT_EQ(Restore({}).commit.commit.value, 3u);
}

TEST_F(RestoreTest, ADryRunOnlyCounts) {
  Put({{1, "a"}, {2, "a"}});
  Put({{1, "b"}, {3, "b"}});
  const auto events = disk_.events();
  const auto info = Restore(CommitNumber{1}, {.dry_run = true});
  EXPECT_EQ(info.rows_written, 1u);
  EXPECT_EQ(info.rows_deleted, 1u);
  EXPECT_EQ(info.commit.commit.value, 0u);
  EXPECT_EQ(disk_.events(), events);
  ASSERT_TRUE(db_->Close());
  Open(/*read_only=*/true);
  EXPECT_EQ(Restore(CommitNumber{1}, {.dry_run = true}).rows_written, 1u);
  EXPECT_EQ(RestoreError("t", CommitNumber{1}).reason(), ErrorReason::kReadOnly);
}

TEST_F(RestoreTest, WhatCannotBeRestoredIsRefused) {
  Put({{1, "a"}});
  EXPECT_EQ(RestoreError("x", CommitNumber{1}).kind(), ErrorKind::kNotFound);
  EXPECT_EQ(RestoreError("t", CommitNumber{2}).kind(), ErrorKind::kNotFound);
  EXPECT_EQ(RestoreError("t", TagName{"x"}).kind(), ErrorKind::kNotFound);
  EXPECT_EQ(db_->RestoreTable("x", {}, {.dry_run = true}).error().kind(), ErrorKind::kNotFound);
  ASSERT_TRUE(db_->Close());
  EXPECT_EQ(RestoreError("t", CommitNumber{1}).reason(), ErrorReason::kClosed);
}

TEST_F(RestoreTest, AProducersRestoreIsMadeOnce) {
  Put({{1, "a"}});
  Put({{1, "b"}});
  const CommitOptions once{.producer = Producer{"p", 1}};
  EXPECT_EQ(Restore(CommitNumber{1}, {}, once).commit.commit.value, 3u);
  Put({{1, "c"}});
  const auto again = Restore(CommitNumber{1}, {}, once);
  EXPECT_TRUE(again.commit.repeat);
  EXPECT_EQ(again.commit.commit.value, 3u);
  EXPECT_EQ(again.rows_written, 0u);
  EXPECT_EQ(Read(), (Rows{{1, "c"}}));
}

TEST_F(RestoreTest, ATransactionBesideItIsInConflict) {
  Put({{1, "a"}});
  Put({{1, "b"}});
  const auto in = *db_->Begin();
  ASSERT_TRUE(in->Upsert("t", RowsBatch({{1, "mine"}})));
  Restore(CommitNumber{1});
  EXPECT_EQ(in->Commit().error().kind(), ErrorKind::kConflict);
  EXPECT_EQ(Read(), (Rows{{1, "a"}}));
}

// NaN is what it was, and zero has a sign.
TEST_F(RestoreTest, ValuesAreComparedAsTheyAre) {
  const auto schema =
      arrow::schema({arrow::field("k", arrow::int64(), false), arrow::field("x", arrow::float64()),
                     arrow::field("l", arrow::list(arrow::utf8()))});
  ASSERT_TRUE(db_->CreateTable("f", schema, {"k"}));
  const auto put = [&](const std::vector<std::optional<double>>& values) {
    arrow::Int64Builder keys;
    arrow::DoubleBuilder doubles;
    auto* const pool = arrow::default_memory_pool();
    const auto texts = std::make_shared<arrow::StringBuilder>();
    arrow::ListBuilder lists(pool, texts);
    for (std::size_t i = 0; i < values.size(); ++i) {
      ASSERT_TRUE(keys.Append(static_cast<std::int64_t>(i)).ok());
      ASSERT_TRUE((values[i] ? doubles.Append(*values[i]) : doubles.AppendNull()).ok());
      ASSERT_TRUE(lists.Append().ok());
      ASSERT_TRUE(texts->Append("x").ok());
    }
    const auto batch =
        arrow::RecordBatch::Make(schema, static_cast<std::int64_t>(values.size()),
                                 {*keys.Finish(), *doubles.Finish(), *lists.Finish()});
    ASSERT_TRUE(db_->Upsert("f", batch));
  };
  const double nan = std::numeric_limits<double>::quiet_NaN();
  put({nan, 0.0, {}, 1.0});
  put({nan, -0.0, {}, {}});
  const auto info = db_->RestoreTable("f", CommitNumber{1});
  ASSERT_TRUE(info) << info.error().message();
  EXPECT_EQ(info->rows_written, 2u);
  const auto reader = *db_->Scan("f");
  std::shared_ptr<arrow::RecordBatch> batch;
  ASSERT_TRUE(reader->ReadNext(&batch).ok());
  const auto& values = static_cast<const arrow::DoubleArray&>(*batch->column(1));
  EXPECT_FALSE(std::signbit(values.Value(1)));
  EXPECT_EQ(values.Value(3), 1.0);
}

// More keys than are looked up together, in files and in memory.
TEST_F(RestoreTest, ManyRows) {
  Rows then;
  for (std::int64_t i = 0; i < 20'000; ++i) then[i] = "value " + std::to_string(i % 7);
  Put(then);
  ASSERT_TRUE(db_->Flush());
  Rows changed;
  for (std::int64_t i = 0; i < 20'000; i += 2) changed[i] = i % 3 == 0 ? then[i] : "other";
  for (std::int64_t i = 20'000; i < 25'000; ++i) changed[i] = "new";
  Put(changed);
  ASSERT_TRUE(db_->Flush());
  const auto info = Restore(CommitNumber{1});
  EXPECT_EQ(info.rows_written, 6'666u);
  EXPECT_EQ(info.rows_deleted, 5'000u);
  EXPECT_EQ(Read(), then);
}

TEST_F(RestoreTest, RandomLivesGoBackToAnyVersion) {
  const auto seed = testing::TestSeed();
  SCOPED_TRACE(testing::SeedTrace(seed));
  SeededRandom chance(seed);
  std::vector<Rows> after = {{}};
  for (int step = 0; step < 300; ++step) {
    Rows next = after.back();
    const auto id = static_cast<std::int64_t>(chance.Below(12));
    switch (chance.Below(8)) {
      case 0:
        ASSERT_TRUE(db_->Flush());
        continue;
      case 1:
        Open();
        continue;
      case 2:
        next.erase(id);
        Erase({{id, ""}});
        break;
      case 3: {
        const auto to = chance.Below(after.size());
        const auto info = Restore(CommitNumber{to});
        next = after[to];
        ASSERT_EQ(Read(), next) << "step " << step << ", restored to " << to;
        ASSERT_EQ(info.rows_written + info.rows_deleted == 0, next == after.back());
        if (next == after.back()) continue;
        break;
      }
      default:
        next[id] = std::to_string(chance.Below(3));
        Put({{id, next[id]}});
    }
    after.push_back(std::move(next));
    ASSERT_EQ(db_->Stats().visible.value, after.size() - 1);
  }
}

// Writers add rows and restores take all of them away. A restore that looked before a commit and
// wrote after it would leave that one's rows.
TEST_F(RestoreTest, ARestoreIsNeverHalfWayIntoAnotherCommit) {
  constexpr int kWriters = 3;
  constexpr std::int64_t kCommits = 400;
  ThreadPool pool(2);
  db_.reset();
  const auto files = NewMemoryFiles();
  auto opened =
      Database::Open("/m", {.create_if_missing = true}, {.files = files.get(), .executor = &pool});
  ASSERT_TRUE(opened);
  auto db = *std::move(opened);
  ASSERT_TRUE(db->CreateTable("t", testing::RowsSchema(), {"id"}));
  std::atomic<int> left = kWriters;
  std::vector<std::thread> writers;
  for (int writer = 0; writer < kWriters; ++writer) {
    writers.emplace_back([&, writer] {
      for (std::int64_t i = 0; i < kCommits; ++i) {
        const auto key = writer * 1000 + i * 2;
        EXPECT_TRUE(db->Upsert("t", RowsBatch({{key, "x"}, {key + 1, "x"}})));
      }
      --left;
    });
  }
  std::vector<CommitNumber> restored;
  while (left > 0) {
    const auto info = db->RestoreTable("t", CommitNumber{0});
    ASSERT_TRUE(info) << info.error().message();
    if (info->rows_deleted > 0) restored.push_back(info->commit.commit);
  }
  for (auto& writer : writers) writer.join();
  EXPECT_FALSE(restored.empty());
  for (const CommitNumber commit : restored) {
    EXPECT_EQ(ReadRows(**db->GetSnapshot(commit)), Rows{}) << "as of commit " << commit.value;
  }
}

}  // namespace
}  // namespace varve
