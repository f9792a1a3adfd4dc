// SPDX-License-Identifier: Apache-2.0
// One transaction of ten million rows, on the real disk: what it takes of memory until it is
// committed and flushed is what include/varve/transaction.h says, and every row is there. The only
// test of its program: the kernel tells the highest memory that a process ever had.
#include <arrow/api.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "files/files_test_worlds.h"
#include "varve/database.h"

namespace varve::testing {
namespace {

using BatchPtr = std::shared_ptr<arrow::RecordBatch>;

constexpr std::int64_t kRows = 10'000'000;
constexpr std::int64_t kBatchRows = 65'536;
constexpr std::int64_t kBatches = (kRows + kBatchRows - 1) / kBatchRows;
constexpr std::uint64_t kBytesMax = 600ull << 20;
// What else is in the process: the log's and the flush's buffers, a batch on its way.
constexpr std::uint64_t kBeside = 96ull << 20;

std::uint64_t Highest() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    std::uint64_t kibibytes = 0;
    if (word == "VmHWM:" && status >> kibibytes) return kibibytes << 10;
  }
  ADD_FAILURE() << "no VmHWM in /proc/self/status";
  return 0;
}

std::shared_ptr<arrow::Schema> Schema() {
  return arrow::schema(
      {arrow::field("id", arrow::int64(), false), arrow::field("v", arrow::int64())});
}

// Every batch has keys from all over the table: sorted, no two rows that follow are of one batch.
BatchPtr MakeBatch(std::int64_t number) {
  arrow::Int64Builder ids, values;
  for (std::int64_t id = number; id < kRows; id += kBatches) {
    EXPECT_TRUE(ids.Append(id).ok());
    EXPECT_TRUE(values.Append(7 * id).ok());
  }
  const auto rows = ids.length();
  return arrow::RecordBatch::Make(Schema(), rows, {*ids.Finish(), *values.Finish()});
}

class LargeTransactionTest : public ::testing::Test {
 protected:
  void Open() {
    db_.reset();
    auto db = Database::Open(JoinPath(world_.root(), "db"), {.create_if_missing = true},
                             {.files = world_.files()});
    ASSERT_TRUE(db) << db.error().message();
    db_ = *std::move(db);
  }
  void ExpectAllRows() {
    const auto snapshot = *db_->GetSnapshot();
    EXPECT_EQ(snapshot->Count("t")->rows, static_cast<std::uint64_t>(kRows));
    auto reader = *snapshot->Scan("t");
    std::int64_t next = 0;
    for (BatchPtr batch; reader->ReadNext(&batch).ok() && batch != nullptr;) {
      const auto* ids = batch->column_data(0)->GetValues<std::int64_t>(1);
      const auto* values = batch->column_data(1)->GetValues<std::int64_t>(1);
      for (std::int64_t i = 0; i < batch->num_rows(); ++i, ++next) {
        ASSERT_TRUE(ids[i] == next && values[i] == 7 * next) << "row " << next;
      }
    }
    EXPECT_EQ(next, kRows);
  }
  void ExpectSomeRows() {
    arrow::Int64Builder wanted;
    for (const std::int64_t id : {std::int64_t{0}, kBatchRows, kRows / 2, kRows - 1, kRows}) {
      ASSERT_TRUE(wanted.Append(id).ok());
    }
    const auto keys = arrow::RecordBatch::Make(
        arrow::schema({arrow::field("id", arrow::int64(), false)}), 5, {*wanted.Finish()});
    std::vector<bool> found;
    const auto rows = (*db_->GetSnapshot())->Get("t", keys, &found);
    ASSERT_TRUE(rows) << rows.error().message();
    EXPECT_EQ(found, (std::vector<bool>{true, true, true, true, false}));
    EXPECT_EQ((*rows)->column_data(1)->GetValues<std::int64_t>(1)[1], 7 * kBatchRows);
  }

  PosixWorld world_;
  std::unique_ptr<Database> db_;
};

TEST_F(LargeTransactionTest, TenMillionRowsTakeAtMostTwiceWhatItHolds) {
  Open();
  ASSERT_TRUE(db_->CreateTable("t", Schema(), {"id"}));
  (void)MakeBatch(0);
  const auto before = Highest();
  std::uint64_t held = 0;
  {
    const auto in = *db_->Begin({.bytes_max = kBytesMax});
    for (std::int64_t number = 0; number < kBatches; ++number) {
      const auto put = in->Upsert("t", MakeBatch(number));
      ASSERT_TRUE(put) << put.error().message();
    }
    EXPECT_EQ(in->stats().rows, static_cast<std::uint64_t>(kRows));
    held = in->stats().bytes;
    EXPECT_LE(held, kBytesMax);
    EXPECT_LE(Highest() - before, held + kBeside) << "it is counted what it holds";
    const auto info = in->Commit();
    ASSERT_TRUE(info) << info.error().message();
    EXPECT_EQ(info->rows, static_cast<std::uint64_t>(kRows));
  }
  ASSERT_TRUE(db_->Flush());
  const auto took = Highest() - before;
  EXPECT_LE(took, 2 * held + kBeside);
  RecordProperty("held_mib", static_cast<int>(held >> 20));
  RecordProperty("took_mib", static_cast<int>(took >> 20));
  ExpectSomeRows();
  ASSERT_TRUE(db_->Close());
  Open();
  ExpectAllRows();
}

}  // namespace
}  // namespace varve::testing
