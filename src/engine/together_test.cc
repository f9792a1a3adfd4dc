// SPDX-License-Identifier: Apache-2.0
// Where features meet: changed tables with moments, tags, restoring, changes, counts and extremes.
#include <arrow/api.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>
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

class TogetherTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Open(&clock_);
    ASSERT_TRUE(db_->CreateTable("t", testing::RowsSchema(), {"id"}));
  }
  void Open(Clock* clock) {
    db_.reset();
    auto db = Database::Open(
        "/db", {.create_if_missing = true},
        {.files = &disk_, .clock = clock, .random = &random_, .executor = &executor_});
    ASSERT_TRUE(db) << db.error().message();
    db_ = *std::move(db);
  }
  std::uint64_t Put(const Rows& rows, const std::string& table = "t") {
    clock_.Advance(1000);
    const auto put = db_->Upsert(table, RowsBatch(rows));
    EXPECT_TRUE(put) << put.error().message();
    return put ? put->commit.value : 0;
  }
  std::uint64_t Alter(const std::vector<ColumnChange>& changes) {
    clock_.Advance(1000);
    const auto altered = db_->AlterTable("t", changes);
    EXPECT_TRUE(altered) << altered.error().message();
    return altered ? altered->value : 0;
  }
  static AddColumn NewColumn(std::int64_t value) {
    return {arrow::field("n", arrow::int64()), arrow::MakeScalar(value)};
  }
  static std::string Text(arrow::RecordBatchReader* reader) {
    std::string text;
    const auto table = reader->ToTable();
    EXPECT_TRUE(table.ok()) << table.status().ToString();
    for (std::int64_t row = 0; table.ok() && row < (*table)->num_rows(); ++row) {
      for (int i = 0; i < (*table)->num_columns(); ++i) {
        const auto value = *(*table)->column(i)->GetScalar(row);
        text += (i == 0 ? "" : " ") + (value->is_valid ? value->ToString() : "-");
      }
      text += "\n";
    }
    return text;
  }
  std::string Scan(const AsOf& as_of = {}, const std::string& table = "t") {
    const auto snapshot = db_->GetSnapshot(as_of);
    EXPECT_TRUE(snapshot) << snapshot.error().message();
    const auto reader = (*snapshot)->Scan(table);
    EXPECT_TRUE(reader) << reader.error().message();
    return reader ? Text(reader->get()) : "";
  }
  std::string Changes(std::uint64_t from, bool before = false) {
    const auto reader = db_->Changes("t", CommitNumber{from}, {}, {.before_images = before});
    EXPECT_TRUE(reader) << reader.error().message();
    return reader ? Text(reader->get()) : "";
  }

  SimulatedDisk disk_;
  ManualClock clock_;
  SeededRandom random_{1};
  ManualExecutor executor_;
  std::unique_ptr<Database> db_;
};

// Whatever lies in runs of earlier columns, in runs and in memory.
TEST_F(TogetherTest, ChangesAreShownInTheColumnsOfToday) {
  Put({{1, "a"}, {2, "b"}});
  Alter({NewColumn(7), RenameColumn{"v", "w"}});  // commit 2
  const auto rows = arrow::RecordBatch::Make(
      *db_->GetSnapshot().value()->Schema("t"), 1,
      {*arrow::MakeArrayFromScalar(arrow::Int64Scalar(1), 1),
       *arrow::MakeArrayFromScalar(arrow::StringScalar("A"), 1),
       *arrow::MakeArrayFromScalar(arrow::Int64Scalar(9), 1)});
  ASSERT_TRUE(db_->Upsert("t", rows));
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(Changes(0), "1 upsert 1 a 7\n1 upsert 2 b 7\n3 upsert 1 A 9\n");
    EXPECT_EQ(Changes(2, true), "3 update 1 A 9 a 7\n");
    EXPECT_EQ(Changes(0, true), "1 insert 1 a 7 - -\n1 insert 2 b 7 - -\n3 update 1 A 9 a 7\n");
    ASSERT_TRUE(db_->Flush());
  }
  const auto snapshot = *db_->GetSnapshot();
  EXPECT_EQ((*snapshot->MinMax("t", "n")).min->ToString(), "7");
  EXPECT_EQ((*snapshot->MinMax("t", "n")).max->ToString(), "9");
  EXPECT_EQ((*snapshot->Count("t")).rows, 2u);
  const auto past = *db_->GetSnapshot(CommitNumber{1});
  EXPECT_EQ(past->MinMax("t", "n").error().kind(), ErrorKind::kNotFound);
  EXPECT_EQ((*past->MinMax("t", "v")).max->ToString(), "b");
}

// A run of earlier columns answers for a column that it does not have.
TEST_F(TogetherTest, ExtremesOfAnAddedColumnAreItsDefault) {
  Put({{1, "a"}, {2, "b"}});
  Alter({NewColumn(7), AddColumn{arrow::field("empty", arrow::int32())}});
  const auto snapshot = *db_->GetSnapshot();
  const auto n = *snapshot->MinMax("t", "n");
  EXPECT_EQ(n.min->ToString(), "7");
  EXPECT_EQ(n.max->ToString(), "7");
  EXPECT_EQ((*snapshot->MinMax("t", "empty")).min, nullptr);
}

TEST_F(TogetherTest, AFollowerIsToldOfOtherColumnsAndOfTheEnd) {
  Put({{1, "a"}});
  auto cursor = *db_->FollowChanges("t", CommitNumber{0});
  ASSERT_EQ((*cursor->Next(0))->num_rows(), 1);
  Alter({NewColumn(7)});
  const auto altered = cursor->Next(0);
  ASSERT_FALSE(altered);
  EXPECT_EQ(altered.error().kind(), ErrorKind::kConflict);
  EXPECT_NE(altered.error().message().find("from commit 1"), std::string::npos);
  cursor = *db_->FollowChanges("t", cursor->position());
  EXPECT_EQ(*cursor->Next(0), nullptr);
  ASSERT_TRUE(db_->DropTable("t"));
  const auto dropped = cursor->Next(0);
  ASSERT_FALSE(dropped);
  EXPECT_EQ(dropped.error().kind(), ErrorKind::kNotFound);
}

TEST_F(TogetherTest, AFollowerThatWaitsHearsOfADroppedTable) {
  Open(SystemClock());
  Put({{1, "a"}});
  const auto cursor = *db_->FollowChanges("t", CommitNumber{1});
  Result<std::shared_ptr<arrow::RecordBatch>> next;
  std::thread waits([&] { next = cursor->Next(60'000); });
  EXPECT_TRUE(db_->DropTable("t"));
  waits.join();
  ASSERT_FALSE(next);
  EXPECT_EQ(next.error().kind(), ErrorKind::kNotFound);
}

TEST_F(TogetherTest, MomentsAndTagsKnowTheCommitsThatChangeTables) {
  Put({{1, "a"}});
  const WallTime before = clock_.Now();
  ASSERT_TRUE(db_->Tag("first"));
  Alter({RenameColumn{"v", "w"}});  // commit 2
  const WallTime altered = clock_.Now();
  clock_.Advance(1000);
  ASSERT_TRUE(db_->Upsert("t", *RowsBatch({{2, "b"}})->RenameColumns({"id", "w"})));
  ASSERT_TRUE(db_->Tag("renamed", CommitNumber{2}));
  ASSERT_TRUE(db_->Flush());
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ((*db_->GetSnapshot(before))->commit().value, 1u);
    EXPECT_EQ((*db_->GetSnapshot(altered))->commit().value, 2u);
    EXPECT_EQ((*(*db_->GetSnapshot(TagName{"first"}))->Schema("t"))->field(1)->name(), "v");
    EXPECT_EQ((*(*db_->GetSnapshot(TagName{"renamed"}))->Schema("t"))->field(1)->name(), "w");
    EXPECT_EQ(Scan(TagName{"renamed"}), "1 a\n");
    Open(&clock_);
  }
}

TEST_F(TogetherTest, RestoringGivesOldRowsInTheColumnsOfToday) {
  Put({{1, "a"}, {2, "b"}});
  Alter({NewColumn(7)});
  ASSERT_TRUE(db_->Delete("t", RowsBatch({{1, ""}})));
  const auto restored = db_->RestoreTable("t", CommitNumber{1});
  ASSERT_TRUE(restored) << restored.error().message();
  EXPECT_EQ(restored->rows_written, 1u);
  EXPECT_EQ(Scan(), "1 a 7\n2 b 7\n");
}

TEST_F(TogetherTest, ATableIsNotRestoredToAnotherOfItsName) {
  Put({{1, "old"}});
  ASSERT_TRUE(db_->DropTable("t"));
  ASSERT_TRUE(db_->CreateTable("t", testing::RowsSchema(), {"id"}));
  const std::uint64_t commit = Put({{2, "new"}});
  for (const bool dry_run : {true, false}) {
    const auto restored = db_->RestoreTable("t", CommitNumber{1}, {.dry_run = dry_run});
    ASSERT_FALSE(restored);
    EXPECT_EQ(restored.error().kind(), ErrorKind::kInvalid);
    EXPECT_NE(restored.error().message().find("another table"), std::string::npos);
  }
  EXPECT_EQ(Scan(), "2 new\n");
  EXPECT_EQ(Scan(CommitNumber{1}), "1 old\n");
  EXPECT_EQ(db_->Stats().commit.value, commit);
}

}  // namespace
}  // namespace varve
