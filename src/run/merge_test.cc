// SPDX-License-Identifier: Apache-2.0
// Memtables and runs that overlap in every way, merged and compared with the model.
#include "run/merge.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <functional>
#include <new>
#include <stop_token>

#include "run/run_test_world.h"

namespace varve {
namespace {

using namespace varve::testing;

// A world of sources that together hold what the model holds.
class MergeTest : public ::testing::Test {
 protected:
  void Fill(SeededRandom* random) {
    for (int source = 0; source < 5; ++source) {
      auto memtable = std::make_unique<Memtable>(ModelSchema());
      const std::uint64_t commits = 1 + random->Below(30);
      for (std::uint64_t i = 0; i < commits; ++i) {
        model_.RandomCommit(random, ++commit_, 12, 150, Into(memtable.get()));
      }
      if (random->Below(3) != 0) {
        runs_.push_back(world_.Flush(*memtable, 1 + static_cast<std::int64_t>(random->Below(40))));
      } else {
        memtables_.push_back(std::move(memtable));
      }
    }
  }
  std::vector<std::unique_ptr<VersionCursor>> Cursors(const std::vector<int>& columns,
                                                      const KeyBounds& bounds) {
    std::vector<std::unique_ptr<VersionCursor>> cursors;
    for (const auto& run : runs_) cursors.push_back(run->NewCursor(columns, bounds));
    for (const auto& table : memtables_) cursors.push_back(table->NewCursor(columns, bounds));
    return cursors;
  }
  void ExpectVisible(SeededRandom* random) {
    const auto bounds = model_.RandomBounds(random);
    const auto columns = RandomColumns(random);
    const std::uint64_t as_of = random->Below(commit_ + 2);
    VisibleRows rows(Cursors(columns, bounds), as_of);
    const auto expected = model_.Visible(as_of, bounds);
    auto want = expected.begin();
    while (true) {
      const std::int64_t rows_max = 1 + static_cast<std::int64_t>(random->Below(50));
      const auto chosen = rows.Next(rows_max);
      ASSERT_TRUE(chosen) << chosen.error().message();
      if (chosen->slices.empty()) break;
      std::int64_t count = 0;
      for (const auto& slice : chosen->slices) {
        for (std::int64_t i = 0; i < slice.length; ++i, ++want, ++count) {
          ASSERT_NE(want, expected.end());
          ExpectRow(*slice.batch, slice.start + i, want->second, columns);
        }
      }
      ASSERT_LE(count, rows_max);
    }
    ASSERT_EQ(want, expected.end());
  }

  RunWorld world_;
  VersionModel model_;
  std::uint64_t commit_ = 0;
  std::vector<std::shared_ptr<const OpenRun>> runs_;
  std::vector<std::unique_ptr<Memtable>> memtables_;
};

TEST_F(MergeTest, RandomSourcesShowExactlyTheModelAsOfEveryCommit) {
  const std::uint64_t seed = TestSeed();
  SCOPED_TRACE(SeedTrace(seed));
  SeededRandom random(seed);
  Fill(&random);
  for (int i = 0; i < 150; ++i) ASSERT_NO_FATAL_FAILURE(ExpectVisible(&random)) << i;
}

TEST_F(MergeTest, MergedVersionsWalkLikeOneCursor) {
  const std::uint64_t seed = TestSeed();
  SCOPED_TRACE(SeedTrace(seed));
  SeededRandom random(seed);
  Fill(&random);
  for (int i = 0; i < 60; ++i) {
    const auto bounds = model_.RandomBounds(&random);
    const auto columns = RandomColumns(&random);
    const auto merged = MergeVersions(Cursors(columns, bounds));
    CursorWalk walk(model_, merged.get(), columns, bounds);
    ASSERT_NO_FATAL_FAILURE(walk.Run(&random, i % 2 == 0)) << i;
  }
}

TEST_F(MergeTest, NoSourceGivesNoRow) {
  VisibleRows rows({}, 5);
  const auto chosen = rows.Next(10);
  ASSERT_TRUE(chosen);
  EXPECT_TRUE(chosen->slices.empty());
}

TEST_F(MergeTest, SourcesThatDoNotOverlapPassAsWholeSlices) {
  constexpr std::int32_t kRows = 300;
  for (std::int32_t source = 0; source < 3; ++source) {
    Memtable memtable(ModelSchema());
    std::vector<ModelRow> rows;
    for (std::int32_t i = 0; i < kRows; ++i) rows.push_back({"a", source * kRows + i, i});
    model_.Upsert(rows, static_cast<std::uint64_t>(source) + 1, Into(&memtable));
    runs_.push_back(world_.Flush(memtable, kRows));
  }
  VisibleRows rows(Cursors({0, 2}, {}), UINT64_MAX);
  for (int source = 0; source < 3; ++source) {
    const auto chosen = rows.Next(kRows);
    ASSERT_TRUE(chosen);
    ASSERT_EQ(chosen->slices.size(), 1u);
    EXPECT_EQ(chosen->slices.front().length, kRows);
  }
}

// A cursor over deletes of different keys, or of one, that ends with an error after some of them.
class FailingCursor final : public VersionCursor {
 public:
  explicit FailingCursor(int versions, std::function<void(int)> passed = {}, bool one_key = false)
      : left_(versions), one_key_(one_key), passed_(std::move(passed)) {}
  Status Next() override {
    if (passed_) passed_(left_);
    if (left_-- > 0) {
      key_ = fmt::format("{:08}", one_key_ ? 0 : number_++);
      return {};
    }
    key_.clear();
    return std::unexpected(Error(ErrorKind::kCorruption, "a damaged block"));
  }
  Status Seek(std::string_view) override { return Next(); }
  bool valid() const override { return !key_.empty(); }
  std::string_view key() const override { return key_; }
  std::uint64_t commit() const override { return 1; }
  RowKind kind() const override { return RowKind::kDelete; }
  const std::shared_ptr<arrow::RecordBatch>& batch() const override { return none_; }
  std::int64_t row() const override { return 0; }
  std::int64_t PlainRows(std::optional<std::string_view>, std::uint64_t) override { return 0; }
  Status Skip(std::int64_t) override { return Next(); }

 private:
  int left_;
  const bool one_key_;
  int number_ = 0;
  const std::function<void(int)> passed_;  // told how many are left
  std::string key_;
  const std::shared_ptr<arrow::RecordBatch> none_;
};

TEST_F(MergeTest, AnErrorOfOneCursorEndsTheStreamAndIsRepeated) {
  for (const int versions : {0, 3}) {
    std::vector<std::unique_ptr<VersionCursor>> cursors;
    cursors.push_back(std::make_unique<FailingCursor>(versions));
    cursors.push_back(std::make_unique<FailingCursor>(1000));
    VisibleRows rows(std::move(cursors), 5);
    for (int i = 0; i < 2; ++i) {
      const auto slices = rows.Next(10);
      ASSERT_FALSE(slices);
      EXPECT_EQ(slices.error().message(), "a damaged block");
    }
  }
}

// With a cursor lost it would go on as if that had ended.
TEST_F(MergeTest, OneThatWasRefusedMemorySaysSoForEver) {
  for (const int at : {0, 3}) {
    std::vector<std::unique_ptr<VersionCursor>> cursors;
    for (int i = 0; i < 3; ++i) {
      cursors.push_back(std::make_unique<FailingCursor>(10, [&, i](int left) {
        if (i == 1 && left == 10 - at) throw std::bad_alloc();
      }));
    }
    VisibleRows rows(std::move(cursors), 5);
    for (int i = 0; i < 2; ++i) {
      const auto slices = rows.Next(10);
      ASSERT_FALSE(slices);
      EXPECT_EQ(slices.error().kind(), ErrorKind::kUnavailable);
      EXPECT_EQ(slices.error().message(), "out of memory");
    }
  }
}

// Otherwise a scan of a table whose rows are deleted, or written again and again, could not be
// cancelled.
TEST_F(MergeTest, DeletesArePassedUntilItIsStopped) {
  for (const bool one_key : {false, true}) {
    std::stop_source stop;
    int left = 0;
    const auto passed = [&](int now) {
      left = now;
      if (now == 90'000) stop.request_stop();
    };
    std::vector<std::unique_ptr<VersionCursor>> cursors;
    cursors.push_back(std::make_unique<FailingCursor>(100'000, passed, one_key));
    VisibleRows rows(std::move(cursors), 5, stop.get_token());
    const auto chosen = rows.Next(10);
    ASSERT_FALSE(chosen);
    EXPECT_EQ(chosen.error().message(), "the scan was cancelled");
    EXPECT_GT(left, 89'000);
  }
}

TEST_F(MergeTest, NoFurtherCursorIsStartedOnceItIsStopped) {
  std::stop_source stop;
  int started = 0;
  std::vector<std::unique_ptr<VersionCursor>> cursors;
  for (int i = 0; i < 10; ++i) {
    cursors.push_back(std::make_unique<FailingCursor>(10, [&](int) {
      if (++started == 3) stop.request_stop();
    }));
  }
  VisibleRows rows(std::move(cursors), 5, stop.get_token());
  EXPECT_FALSE(rows.Next(10));
  EXPECT_EQ(started, 3);
}

}  // namespace
}  // namespace varve
