// SPDX-License-Identifier: Apache-2.0
// Readers that were refused memory amid a read: they say so, at every later call too, and never go
// on with what is left of what they read from.
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <new>
#include <optional>

#include "base/clock.h"
#include "base/executor.h"
#include "base/random.h"
#include "test/support/read_steps.h"
#include "test/support/rows.h"
#include "varve/database.h"

namespace varve {
namespace {

using testing::Rows;

class RefusedReadsTest : public ::testing::Test {
 protected:
  static constexpr int kKeys = 400;

  // The second run has newer rows of all keys of the first.
  void SetUp() override {
    db_ = *Database::Open(
        "/db", {.create_if_missing = true},
        {.files = &files_, .clock = &clock_, .random = &random_, .executor = &executor_});
    ASSERT_TRUE(db_->CreateTable("t", testing::RowsSchema(), {"id"}));
    for (const auto* value : {"old", "new"}) {
      Rows rows;
      for (int id = 0; id < kKeys; ++id) rows[id] = value;
      ASSERT_TRUE(db_->Upsert("t", testing::RowsBatch(rows)));
      ASSERT_TRUE(db_->Flush());
    }
  }

  // Reads with each read of a file refused memory in turn, until there are no more.
  void ForEachRead(const std::function<void()>& read) {
    for (int nth = 1;; ++nth) {
      SCOPED_TRACE(nth);
      files_.At(nth, [] { throw std::bad_alloc(); });
      read();
      if (!files_.Came()) {
        EXPECT_GT(nth, 3);
        return;
      }
      ASSERT_FALSE(HasFailure());
    }
  }

  // All of a reader's rows, or nothing when it failed, which it then repeats.
  static std::optional<std::int64_t> RowsOf(arrow::RecordBatchReader* reader) {
    std::int64_t rows = 0;
    std::shared_ptr<arrow::RecordBatch> batch;
    for (auto read = reader->ReadNext(&batch);; read = reader->ReadNext(&batch)) {
      if (!read.ok()) {
        EXPECT_NE(read.message().find("out of memory"), std::string::npos) << read;
        EXPECT_EQ(reader->ReadNext(&batch), read);
        EXPECT_EQ(batch, nullptr);
        return std::nullopt;
      }
      if (batch == nullptr) return rows;
      rows += batch->num_rows();
      const auto value = batch->GetColumnByName("v");
      EXPECT_EQ(static_cast<const arrow::StringArray&>(*value).GetView(0), "new");
    }
  }

  testing::ReadSteps files_;
  ManualClock clock_;
  SeededRandom random_{1};
  ManualExecutor executor_;
  std::unique_ptr<Database> db_;
};

TEST_F(RefusedReadsTest, AScan) {
  for (const bool reverse : {false, true}) {
    ForEachRead([&] {
      auto reader = *db_->Scan("t", {.reverse = reverse, .batch_rows_max = 30});
      EXPECT_EQ(RowsOf(reader.get()).value_or(kKeys), kKeys);
    });
  }
}

TEST_F(RefusedReadsTest, Changes) {
  ForEachRead([&] {
    auto reader =
        *db_->Changes("t", CommitNumber{1}, {}, {.before_images = true, .batch_rows_max = 30});
    EXPECT_EQ(RowsOf(reader.get()).value_or(kKeys), kKeys);
  });
}

TEST_F(RefusedReadsTest, AFollowerGoesOnFromWhatItGave) {
  ForEachRead([&] {
    const auto cursor = *db_->FollowChanges("t", CommitNumber{1}, {.batch_rows_max = 30});
    std::int64_t rows = 0;
    while (true) {
      const auto batch = cursor->Next(0);
      if (!batch) {
        EXPECT_EQ(batch.error().message(), "out of memory");
        EXPECT_EQ(cursor->Next(0).error().message(), "out of memory");
        EXPECT_EQ(cursor->position().value, 1u) << rows;
        return;
      }
      if (*batch == nullptr) break;
      rows += (*batch)->num_rows();
    }
    EXPECT_EQ(rows, kKeys);
    EXPECT_EQ(cursor->position().value, 2u);
  });
  EXPECT_TRUE(db_->Close());  // which waits for readers that are on their way
}

}  // namespace
}  // namespace varve
