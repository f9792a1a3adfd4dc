// SPDX-License-Identifier: Apache-2.0
// What reading and writing runs takes of a budget, and who gives way when it is taken.
#include "run/run_memory.h"

#include <arrow/record_batch.h>
#include <arrow/util/thread_pool.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

#include "base/executor.h"
#include "run/late_cursor.h"
#include "run/merge.h"
#include "run/run_test_world.h"
#include "run/tail_cache.h"
#include "test/support/version_model.h"

namespace varve {
namespace {

using testing::ModelKey;
using testing::ModelRow;
using testing::VersionModel;

constexpr std::uint64_t kAmple = 1ull << 30;
constexpr auto kReads = MemoryHolder::kReads;

class RunMemoryTest : public ::testing::Test {
 protected:
  void SetBudget(std::uint64_t bytes) {
    budget_ = std::make_shared<MemoryBudget>(bytes);
    pieces_ = std::make_shared<ReadCache>(kAmple);
    world_.cache = pieces_;
    world_.memory = std::make_shared<const RunMemory>(budget_, pieces_, nullptr);
  }
  // Keys [first, first + rows), in groups of 2,000 and pieces of 667.
  std::shared_ptr<const OpenRun> RunOf(std::int32_t first, std::int32_t rows) {
    SeededRandom random(1);
    std::vector<ModelRow> all;
    for (std::int32_t i = first; i < first + rows; ++i) {
      all.push_back({"a", i, static_cast<std::int64_t>(random.Below(1ull << 60))});
    }
    Memtable memtable(testing::ModelSchema());
    memtable.Insert(testing::ModelUpsert(all), 1);
    return world_.Flush(memtable, 2000);
  }
  // Arrow's threads let go of what they decoded a moment after they have handed it over.
  std::uint64_t reads() const {
    arrow::internal::GetCpuThreadPool()->WaitForIdle();
    return budget_->held(kReads).bytes;
  }

  std::shared_ptr<MemoryBudget> budget_;
  std::shared_ptr<ReadCache> pieces_;
  RunWorld world_;
};

TEST_F(RunMemoryTest, WhatACursorDecodesIsBookedUntilNobodyHasIt) {
  SetBudget(kAmple);
  const auto run = RunOf(0, 4000);
  EXPECT_GT(budget_->held(MemoryHolder::kTails).bytes, 0u);
  auto cursor = run->NewCursor({0, 1, 2, 3}, {});
  ASSERT_TRUE(cursor->Next());
  EXPECT_GT(reads(), 2000u * 16);
  auto kept = cursor->batch();
  EXPECT_EQ(kept->num_rows(), 2000);
  cursor.reset();
  EXPECT_GT(reads(), 2000u * 16) << "somebody has rows of it";
  kept.reset();
  EXPECT_EQ(reads(), 0u);
}

TEST_F(RunMemoryTest, WhenMemoryIsShortAPieceIsDecodedAtATime) {
  SetBudget(kAmple);
  const auto run = RunOf(0, 4000);
  const Booking taken(budget_, MemoryHolder::kMemtables, kAmple);
  const auto cursor = run->NewCursor({0, 1, 2, 3}, {});
  ASSERT_TRUE(cursor->Next());
  EXPECT_EQ(cursor->batch()->num_rows(), 667);
  std::uint64_t rows = 0, most = 0;
  for (; cursor->valid(); ++rows) {
    ASSERT_EQ(cursor->key(), ModelKey("a", static_cast<std::int32_t>(rows)));
    most = std::max(most, reads());
    ASSERT_TRUE(cursor->Next());
  }
  EXPECT_EQ(rows, 4000u);
  EXPECT_LT(most, 2000u * 60) << "less than half a group";
  EXPECT_EQ(run->run()->row_groups_read(), 2u) << "each counts once";
}

TEST_F(RunMemoryTest, WhenMemoryIsShortNothingIsReadAhead) {
  SetBudget(kAmple);
  const auto run = RunOf(0, 20'000);
  ManualExecutor executor;
  const Booking taken(budget_, MemoryHolder::kMemtables, kAmple);
  const auto cursor = run->NewCursor({0, 1, 2, 3}, {}, nullptr, &executor);
  cursor->StartAhead({});
  EXPECT_FALSE(executor.RunOne());
  for (int i = 0; i < 1500; ++i) ASSERT_TRUE(cursor->Next());
  EXPECT_FALSE(executor.RunOne());
}

TEST_F(RunMemoryTest, ReadersHaveAPartOfTheBudgetAlone) {
  SetBudget(1 << 20);
  const auto& memory = *world_.memory;
  EXPECT_TRUE(memory.MayDecode(kReads, 128 << 10));
  EXPECT_FALSE(memory.MayDecode(kReads, (128 << 10) + 1));
  EXPECT_FALSE(memory.MayDecode(MemoryHolder::kCompaction, (64 << 10) + 1));
  EXPECT_TRUE(memory.MayReadAhead(kReads, 64 << 10));
  EXPECT_FALSE(memory.MayReadAhead(kReads, (64 << 10) + 1));
  const Booking decoded(budget_, kReads, 1 << 10);
  EXPECT_FALSE(memory.MayDecode(kReads, 128 << 10));
}

TEST_F(RunMemoryTest, CachesGiveWayToWhoNeedsMemory) {
  SetBudget(64 << 20);
  const auto run = RunOf(0, 4000);
  std::vector<std::string> keys;
  for (std::int32_t i = 0; i < 4000; i += 100) keys.push_back(ModelKey("a", i));
  ASSERT_TRUE(run->Get({keys.begin(), keys.end()}, 1, {0, 1, 2, 3}));
  const std::uint64_t cached = pieces_->stats().bytes;
  ASSERT_GT(cached, 0u);
  EXPECT_EQ(budget_->held(MemoryHolder::kPieces).bytes, cached);
  EXPECT_TRUE(world_.memory->MakeRoom((64 << 20) - budget_->all().bytes));
  EXPECT_EQ(pieces_->stats().bytes, cached) << "there was room";
  EXPECT_TRUE(world_.memory->MakeRoom((64 << 20) - budget_->all().bytes + cached / 2));
  EXPECT_LE(pieces_->stats().bytes, cached - cached / 2);
  EXPECT_FALSE(world_.memory->MakeRoom(64 << 20)) << "tails are in use";
  EXPECT_EQ(pieces_->stats().bytes, 0u);
  EXPECT_EQ(budget_->held(MemoryHolder::kPieces).bytes, 0u);
}

TEST_F(RunMemoryTest, WhatIsWrittenIsBookedWhileARowGroupIsGathered) {
  SetBudget(kAmple);
  Memtable memtable(testing::ModelSchema());
  std::vector<ModelRow> rows;
  for (std::int32_t i = 0; i < 4000; ++i) rows.push_back({"a", i, i});
  memtable.Insert(testing::ModelUpsert(rows), 1);
  const auto cursor = memtable.NewCursor({0, 1, 2, 3}, {});
  ASSERT_TRUE(WriteRun(world_.store(), *memtable.schema(), cursor.get(),
                       {.id = 7, .data_name = "data/t/7.parquet", .memory = world_.memory}));
  EXPECT_GT(budget_->held(MemoryHolder::kFlush).peak, 4000u * 16);
  EXPECT_EQ(budget_->held(MemoryHolder::kFlush).bytes, 0u);
}

// --- runs that the merge has not come to ---

TEST_F(RunMemoryTest, AMergeOpensARunWhenItComesToItsKeys) {
  SetBudget(kAmple);
  const auto first = RunOf(0, 4000), second = RunOf(4000, 4000), third = RunOf(8000, 4000);
  std::vector<std::unique_ptr<VersionCursor>> cursors;
  for (const auto& run : {third, first, second}) {
    cursors.push_back(NewLateCursor(run->run(), {0, 1, 2, 3}, {}));
  }
  const auto merged = MergeVersions(std::move(cursors));
  const std::uint64_t tails = budget_->held(MemoryHolder::kTails).bytes;
  ASSERT_TRUE(merged->Next());
  const std::uint64_t with_one = budget_->held(MemoryHolder::kTails).bytes;
  EXPECT_LT(with_one - tails, tails / 2) << "a third of them";
  for (std::int32_t i = 0; i < 12'000; ++i) {
    ASSERT_TRUE(merged->valid());
    ASSERT_EQ(merged->key(), ModelKey("a", i));
    if (i == 3000) {
      EXPECT_EQ(second->run()->row_groups_read(), 0u);
    }
    if (i == 5000) {
      EXPECT_EQ(third->run()->row_groups_read(), 0u);
    }
    if (i == 5000) {
      EXPECT_LE(budget_->held(MemoryHolder::kTails).bytes, with_one + tails / 10);
    }
    ASSERT_TRUE(merged->Next());
  }
  EXPECT_FALSE(merged->valid());
  EXPECT_EQ(budget_->held(MemoryHolder::kTails).bytes, tails);
  EXPECT_EQ(reads(), 0u);
}

TEST_F(RunMemoryTest, ALateRunThatIsMissingFailsWhenTheMergeComesToIt) {
  SetBudget(kAmple);
  const auto first = RunOf(0, 1000), second = RunOf(1000, 1000);
  std::vector<std::unique_ptr<VersionCursor>> cursors;
  for (const auto& run : {first, second}) {
    cursors.push_back(NewLateCursor(run->run(), {0, 1, 2, 3}, {}));
  }
  ASSERT_TRUE(world_.store()->Delete(second->meta().data.name));
  const auto merged = MergeVersions(std::move(cursors));
  Status moved = merged->Next();
  int rows = 0;
  for (; moved && merged->valid(); moved = merged->Next()) ++rows;
  EXPECT_EQ(rows, 1000);
  ASSERT_FALSE(moved);
  EXPECT_EQ(moved.error().kind(), ErrorKind::kCorruption);
  EXPECT_FALSE(merged->valid());
}

// Whole groups and pieces, late and at once, ahead or not: the same rows.
TEST_F(RunMemoryTest, AMergeShowsExactlyTheModelHoweverShortMemoryIs) {
  const std::uint64_t seed = testing::TestSeed();
  SCOPED_TRACE(testing::SeedTrace(seed));
  SeededRandom random(seed);
  ThreadPool threads(2);
  for (int round = 0; round < 40; ++round) {
    SetBudget(random.Below(2) == 0 ? random.Below(20'000) : random.Below(200'000));
    VersionModel model;
    std::vector<std::shared_ptr<const OpenRun>> runs;
    std::uint64_t commit = 0;
    for (std::uint64_t i = 1 + random.Below(5); i > 0; --i) {
      Memtable memtable(testing::ModelSchema());
      for (std::uint64_t left = 1 + random.Below(10); left > 0; --left) {
        model.RandomCommit(&random, ++commit, 15, 60, Into(&memtable));
      }
      runs.push_back(world_.Flush(memtable, static_cast<std::int64_t>(2 + random.Below(30))));
    }
    for (const bool bounded : {false, true}) {
      KeyBounds bounds;
      if (bounded) bounds = model.RandomBounds(&random);
      std::vector<std::unique_ptr<VersionCursor>> cursors;
      for (const auto& run : runs) {
        Executor* const executor = random.Below(2) == 0 ? &threads : nullptr;
        cursors.push_back(NewLateCursor(run->run(), {0, 1, 2, 3}, bounds, nullptr, executor));
      }
      const auto merged = MergeVersions(std::move(cursors));
      testing::CursorWalk(model, merged.get(), {0, 1, 2, 3}, bounds).Run(&random, round % 2 == 0);
    }
  }
}

}  // namespace
}  // namespace varve
