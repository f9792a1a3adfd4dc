// SPDX-License-Identifier: Apache-2.0
// Commits that come exactly between two steps of another one. What threads do at such a place once
// in many runs happens here each time: a read of a file, or a question of what time it is, makes
// the other commit, in the thread that is in the middle of the first.
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "base/clock.h"
#include "base/executor.h"
#include "base/random.h"
#include "files/simulated_disk.h"
#include "test/support/read_steps.h"
#include "test/support/rows.h"
#include "varve/database.h"

namespace varve {
namespace {

using testing::Rows;
using testing::RowsBatch;
using Step = std::function<void()>;

// Calls once at a question that is counted down.
class QuestionSteps final : public Clock {
 public:
  WallTime Now() override { return {++micros_}; }
  std::int64_t SteadyMicros() override {
    if (left != 0 && --left == 0) {
      if (const auto now = std::exchange(step, nullptr)) now();
    }
    return ++micros_;
  }
  void WaitWord(const std::atomic<std::uint32_t>&, std::uint32_t, std::int64_t) override {}
  int left = 0;
  Step step;

 private:
  std::int64_t micros_ = 1'700'000'000'000'000;
};

class BetweenTest : public ::testing::Test {
 protected:
  // So little memory that the keys of recent commits are soon forgotten.
  void SetUp() override {
    db_ = *Database::Open(
        "/db", {.create_if_missing = true, .memtable_bytes_max = 256 << 10},
        {.files = &files_, .clock = &clock_, .random = &random_, .executor = &executor_});
    ASSERT_TRUE(db_->CreateTable("t", testing::RowsSchema(), {"id"}));
  }
  Rows Read() { return testing::ReadRows(**db_->GetSnapshot()); }
  void Put(const Rows& rows) { ASSERT_TRUE(db_->Upsert("t", RowsBatch(rows))); }
  Result<CommitInfo> Insert(const Rows& rows) {
    return db_->Write("t", {.mode = WriteMode::kInsert, .rows = RowsBatch(rows)});
  }
  // Even ids to files, and so many that nobody remembers which they were.
  void PutAndForget() {
    for (int i = 0; i < 5; ++i) Put(Every(2, "before"));
    ASSERT_TRUE(db_->Flush());
    executor_.RunAll();
  }
  static Rows Every(int step, const std::string& value, int from = 0) {
    Rows rows;
    for (int id = from; id < 8000; id += step) rows[id] = value;
    return rows;
  }

  testing::ReadSteps files_;
  QuestionSteps clock_;
  SeededRandom random_{1};
  ManualExecutor executor_;
  std::unique_ptr<Database> db_;
};

TEST_F(BetweenTest, AKeyThatIsInsertedWhileAnInsertLooksForItIsFound) {
  PutAndForget();
  files_.At(1, [&] { EXPECT_TRUE(Insert({{9999, "between"}})); });
  const WriteRequest late{.mode = WriteMode::kInsertMissing,
                          .rows = RowsBatch({{9999, "late"}, {4000, "late"}})};
  const auto info = db_->Write("t", late);
  ASSERT_TRUE(info) << info.error().message();
  ASSERT_TRUE(files_.Came());
  EXPECT_EQ(info->rows_passed, 2u);
  EXPECT_EQ(Read().at(9999), "between");
  EXPECT_EQ(Read().at(4000), "before");
}

TEST_F(BetweenTest, ARowThatComesIntoARangeWhileItIsDeletedGoesToo) {
  PutAndForget();
  files_.At(1, [&] { Put({{7777, "between"}}); });
  const auto from = RowsBatch({{7000, ""}})->SelectColumns({0}).ValueOrDie();
  ASSERT_TRUE(db_->Write("t", {.mode = WriteMode::kDeleteWhere, .range = {.lower = from}}));
  ASSERT_TRUE(files_.Came());
  EXPECT_EQ(Read().rbegin()->first, 6998);
}

// The commit looks for conflicts in files, for what was committed since its snapshot is forgotten.
TEST_F(BetweenTest, WhatIsCommittedWhileATransactionLooksForConflictsIsOne) {
  for (const auto isolation : {Isolation::kSnapshot, Isolation::kSerializable}) {
    const auto in = *db_->Begin({.isolation = isolation});
    const Rows late = Every(10, "late", 1);
    ASSERT_TRUE(in->Upsert("t", RowsBatch(late)));
    PutAndForget();
    files_.At(1, [&] { Put({{5001, "between"}}); });
    const auto info = in->Commit();
    ASSERT_TRUE(files_.Came());
    ASSERT_FALSE(info);
    EXPECT_EQ(info.error().kind(), ErrorKind::kConflict) << info.error().message();
    EXPECT_EQ(Read().at(5001), "between");
    EXPECT_FALSE(Read().contains(1));
  }
}

// A commit that has its number and is not in its memtable yet keeps all later ones invisible,
// durable as they may be. Of one with a profile the fourth question is the last before it waits for
// its number, the fifth the log's, under a lock, and the sixth comes when it has the number.
TEST_F(BetweenTest, ALaterCommitIsToldWhenItIsVisible) {
  for (const auto& [question, has_number] : {std::pair(4, false), {6, true}}) {
    int told = 0, told_between = 0;
    clock_.left = question;
    clock_.step = [&] {
      db_->WriteThen("t", {.rows = RowsBatch({{100 + question, "later"}})}, {},
                     [&](const Result<CommitInfo>& info) {
                       ++told;
                       ASSERT_TRUE(info) << info.error().message();
                       EXPECT_GE(db_->Stats().visible, info->commit) << question;
                     });
      executor_.RunAll();
      told_between = told;
    };
    const auto info = db_->Upsert("t", RowsBatch({{question, "first"}}), {.profile = true});
    ASSERT_TRUE(info) << info.error().message();
    executor_.RunAll();
    EXPECT_EQ(told_between, has_number ? 0 : 1) << question;
    EXPECT_EQ(told, 1) << question;
  }
  EXPECT_EQ(Read().size(), 4u);
}

}  // namespace
}  // namespace varve
