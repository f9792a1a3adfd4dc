// SPDX-License-Identifier: Apache-2.0
// Row groups that a task reads while a cursor goes through the one before.
#include "run/group_ahead.h"

#include <gtest/gtest.h>

#include <functional>
#include <utility>

#include "base/executor.h"
#include "run/column_map.h"
#include "run/merge.h"
#include "run/run_file.h"
#include "run/run_test_world.h"
#include "test/support/version_model.h"

namespace varve {
namespace {

using testing::ModelKey;
using testing::ModelRow;
using testing::VersionModel;

// Tells when it is started.
class Watched final : public ForwardingCursor {
 public:
  Watched(std::unique_ptr<VersionCursor> cursor, std::function<void()> started)
      : ForwardingCursor(std::move(cursor)), started_(std::move(started)) {}
  Status Next() override {
    if (const auto started = std::exchange(started_, nullptr)) started();
    return of().Next();
  }

 private:
  std::function<void()> started_;
};

class GroupAheadTest : public ::testing::Test {
 protected:
  // 100 rows in ten groups.
  std::shared_ptr<const OpenRun> TenGroups() {
    std::vector<ModelRow> rows;
    for (std::int32_t i = 0; i < 100; ++i) rows.push_back({"a", i, i + 1});
    model_.Upsert(rows, 1, Into(&memtable_));
    return world_.Flush(memtable_, 10);
  }
  // Ten groups of 2,000 rows, of numbers that take their room.
  std::shared_ptr<const OpenRun> TenLargeGroups() {
    SeededRandom random(1);
    std::vector<ModelRow> rows;
    for (std::int32_t i = 0; i < 20'000; ++i) {
      rows.push_back({"a", i, static_cast<std::int64_t>(random.Below(1ull << 60))});
    }
    Memtable memtable(testing::ModelSchema());
    memtable.Insert(testing::ModelUpsert(rows), 1);
    return world_.Flush(memtable, 2000);
  }
  static std::unique_ptr<VersionCursor> CursorOf(const OpenRun& run, Executor* executor) {
    return run.NewCursor({0, 1, 2, 3}, {}, nullptr, executor);
  }
  // Steps of one row.
  static void Step(VersionCursor* cursor, int steps) {
    for (int i = 0; i < steps; ++i) ASSERT_TRUE(cursor->Next());
  }

  VersionModel model_;
  Memtable memtable_{testing::ModelSchema()};
  RunWorld world_;
};

TEST_F(GroupAheadTest, IsAskedForWhenAPartOfTheGroupBeforeWasGoneThrough) {
  const auto run = TenGroups();
  ManualExecutor executor;
  const auto cursor = CursorOf(*run, &executor);
  Step(cursor.get(), 1);
  EXPECT_FALSE(executor.RunOne());  // who wants few rows has none read ahead
  Step(cursor.get(), 3);
  EXPECT_TRUE(executor.RunOne());
  EXPECT_FALSE(executor.RunOne());  // one group, once
  EXPECT_EQ(run->run()->row_groups_read(), 2u);
  Step(cursor.get(), 8);
  EXPECT_EQ(cursor->key(), ModelKey("a", 11));
  EXPECT_EQ(run->run()->row_groups_read(), 2u);  // it was not read again
}

TEST_F(GroupAheadTest, WhoReadOnHasTwoReadAhead) {
  const auto run = TenGroups();
  ManualExecutor executor;
  const auto cursor = CursorOf(*run, &executor);
  Step(cursor.get(), 12);
  while (executor.RunOne()) {
  }
  EXPECT_EQ(run->run()->row_groups_read(), 4u);  // two that it reads itself, and two ahead
  Step(cursor.get(), 20);
  EXPECT_EQ(cursor->key(), ModelKey("a", 31));
  EXPECT_EQ(run->run()->row_groups_read(), 4u);
  executor.RunAll();
  EXPECT_EQ(run->run()->row_groups_read(), 6u);
  Step(cursor.get(), 69);
  EXPECT_FALSE(cursor->valid());
  executor.RunAll();
  EXPECT_EQ(run->run()->row_groups_read(), 10u);  // each once
}

TEST_F(GroupAheadTest, ACursorThatTakesWholeGroupsAsksForNone) {
  const auto run = TenGroups();
  ManualExecutor executor;
  const auto cursor = CursorOf(*run, &executor);
  ASSERT_TRUE(cursor->Next());
  while (cursor->valid()) ASSERT_TRUE(cursor->Skip(cursor->PlainRows({}, 1)));
  EXPECT_FALSE(executor.RunOne());
}

TEST_F(GroupAheadTest, NobodyWaitsForATaskThatHasNotBegun) {
  const auto run = TenGroups();
  ManualExecutor executor;  // runs nothing
  {
    const auto cursor = CursorOf(*run, &executor);
    Step(cursor.get(), 100);
    EXPECT_EQ(cursor->key(), ModelKey("a", 99));
    EXPECT_TRUE(executor.RunOne());  // late: the cursor has read the group itself
    EXPECT_EQ(run->run()->row_groups_read(), 10u);
  }
  executor.RunAll();  // of a cursor that is gone
  EXPECT_EQ(run->run()->row_groups_read(), 10u);
}

TEST_F(GroupAheadTest, AGroupThatIsPassedOverIsForgotten) {
  const auto run = TenGroups();
  ManualExecutor executor;
  const auto cursor = CursorOf(*run, &executor);
  Step(cursor.get(), 5);
  executor.RunAll();  // reads the second
  ASSERT_TRUE(cursor->Seek(ModelKey("a", 55)));
  EXPECT_EQ(cursor->key(), ModelKey("a", 55));
  Step(cursor.get(), 6);
  executor.RunAll();
  EXPECT_EQ(cursor->key(), ModelKey("a", 61));
}

TEST_F(GroupAheadTest, TheLastGroupWithinTheBoundsHasNoneBehindIt) {
  const auto run = TenGroups();
  ManualExecutor executor;
  const auto cursor =
      run->NewCursor({0, 1, 2}, {ModelKey("a", 5), ModelKey("a", 10)}, nullptr, &executor);
  Step(cursor.get(), 5);
  EXPECT_EQ(cursor->key(), ModelKey("a", 9));
  EXPECT_FALSE(executor.RunOne());
}

TEST_F(GroupAheadTest, WhatAGroupIsLeftOutForIsLeftOutAhead) {
  const auto run = TenGroups();
  ManualExecutor executor;
  std::vector<bool> left_out(10);
  left_out[1] = left_out[2] = true;
  const auto cursor = run->NewCursor({0, 1, 2}, {}, &left_out, &executor);
  Step(cursor.get(), 5);
  executor.RunAll();
  Step(cursor.get(), 6);
  EXPECT_EQ(cursor->key(), ModelKey("a", 30));
  EXPECT_EQ(run->run()->row_groups_read(), 2u);
}

TEST_F(GroupAheadTest, AFailureComesWithTheGroupItIsOf) {
  const auto run = TenGroups();
  ManualExecutor executor;
  const auto cursor = CursorOf(*run, &executor);
  Step(cursor.get(), 5);
  ASSERT_TRUE(world_.store()->Delete(run->meta().data.name));
  executor.RunAll();
  Step(cursor.get(), 5);  // the rows of this group are there
  EXPECT_EQ(cursor->key(), ModelKey("a", 9));
  const auto failed = cursor->Next();
  ASSERT_FALSE(failed);
  EXPECT_NE(failed.error().message().find(run->meta().data.name), std::string::npos)
      << failed.error().message();
  EXPECT_FALSE(cursor->valid());
  EXPECT_FALSE(cursor->Next());  // and stays
}

// --- the first groups ---

TEST_F(GroupAheadTest, AMergeAsksForTheFirstGroupsOfAllButOneRunAtOnce) {
  const auto one = TenLargeGroups(), two = TenLargeGroups(), three = TenLargeGroups();
  ManualExecutor executor;
  std::vector<std::unique_ptr<VersionCursor>> cursors;
  for (const auto& run : {one, two, three}) cursors.push_back(CursorOf(*run, &executor));
  const auto merged = MergeVersions(std::move(cursors));
  ASSERT_TRUE(merged->Next());
  EXPECT_TRUE(executor.RunOne());
  EXPECT_TRUE(executor.RunOne());
  EXPECT_FALSE(executor.RunOne());
  for (const auto& run : {one, two, three}) EXPECT_EQ(run->run()->row_groups_read(), 1u);
}

TEST_F(GroupAheadTest, TheFirstGroupIsReadOnceWhoeverReadsIt) {
  const auto run = TenLargeGroups();
  ManualExecutor executor;
  std::vector<std::unique_ptr<VersionCursor>> cursors;
  cursors.push_back(CursorOf(*run, &executor));
  const auto merged = MergeVersions(std::move(cursors));
  merged->StartAhead({});
  executor.RunAll();
  EXPECT_EQ(run->run()->row_groups_read(), 1u);
  ASSERT_TRUE(merged->Next());
  EXPECT_EQ(merged->key(), ModelKey("a", 0));
  EXPECT_EQ(run->run()->row_groups_read(), 1u);
  merged->StartAhead({});  // it has started
  EXPECT_FALSE(executor.RunOne());
}

TEST_F(GroupAheadTest, TheFirstGroupIsThatOfTheBoundsAndTheTarget) {
  const auto run = TenLargeGroups();
  ManualExecutor executor;
  const auto within = run->NewCursor({0, 1}, {ModelKey("a", 6400), {}}, nullptr, &executor);
  within->StartAhead({});
  executor.RunAll();
  ASSERT_TRUE(within->Next());
  EXPECT_EQ(within->key(), ModelKey("a", 6400));
  EXPECT_EQ(run->run()->row_groups_read(), 1u);
  const auto sought = CursorOf(*run, &executor);
  sought->StartAhead(ModelKey("a", 15'400));
  executor.RunAll();
  ASSERT_TRUE(sought->Seek(ModelKey("a", 15'400)));
  EXPECT_EQ(sought->key(), ModelKey("a", 15'400));
  EXPECT_EQ(run->run()->row_groups_read(), 2u);
  const auto behind = run->NewCursor({0, 1}, {ModelKey("b", 0), {}}, nullptr, &executor);
  behind->StartAhead({});
  executor.RunAll();
  const auto read = run->run()->row_groups_read();
  ASSERT_TRUE(behind->Next());
  EXPECT_FALSE(behind->valid());
  EXPECT_EQ(run->run()->row_groups_read(), read);  // no more than the cursor alone, and once
  const auto nothing =
      run->NewCursor({0, 1}, {ModelKey("a", 500), ModelKey("a", 500)}, nullptr, &executor);
  nothing->StartAhead(ModelKey("a", 5000));
  EXPECT_FALSE(executor.RunOne());
}

// A hand-over would take longer than the reading.
TEST_F(GroupAheadTest, OfASmallRunTheCursorReadsTheFirstGroup) {
  const auto run = TenGroups();
  ManualExecutor executor;
  CursorOf(*run, &executor)->StartAhead({});
  EXPECT_FALSE(executor.RunOne());
}

// An executor has other tasks, which would wait for the first groups of all of them.
TEST_F(GroupAheadTest, OfManyRunsAFewAreReadAhead) {
  std::vector<std::shared_ptr<const OpenRun>> runs;
  std::vector<std::unique_ptr<VersionCursor>> cursors;
  ManualExecutor executor;
  for (int i = 0; i < 8; ++i) {
    runs.push_back(TenLargeGroups());
    cursors.push_back(CursorOf(*runs.back(), &executor));
  }
  cursors.front() = std::make_unique<Watched>(std::move(cursors.front()), [&] {
    int tasks = 0;
    while (executor.RunOne()) ++tasks;
    EXPECT_EQ(tasks, 3);
  });
  const auto merged = MergeVersions(std::move(cursors));
  ASSERT_TRUE(merged->Next());
  executor.RunAll();
  for (const auto& run : runs) EXPECT_EQ(run->run()->row_groups_read(), 1u);
}

TEST_F(GroupAheadTest, AColumnMapAsksForWhatItShows) {
  const auto run = TenLargeGroups();
  ManualExecutor executor;
  const auto cursor = ShowUnder(CursorOf(*run, &executor), nullptr, {});
  cursor->StartAhead({});
  EXPECT_TRUE(executor.RunOne());
  EXPECT_EQ(run->run()->row_groups_read(), 1u);
}

// What takes the longest to decode goes first: text, then the columns of the most bytes.
TEST_F(GroupAheadTest, ColumnsAreReadInTheOrderOfTheirWork) {
  std::vector<ModelRow> rows;
  for (std::int32_t i = 0; i < 500; ++i) rows.push_back({"a", i, i * 1'000'000'007LL});
  model_.Upsert(rows, 1, Into(&memtable_));
  const auto run = world_.Flush(memtable_, 500);
  const auto schema = testing::ModelSchema();
  const auto file =
      RunFile::Open(world_.store(), run->meta().data, schema, schema->schema(),
                    std::make_shared<FileLife>(nullptr));
  ASSERT_TRUE(file) << file.error().message();
  enum : int { kStamp, kId, kText, kName };
  const auto order = (*file)->LeavesByWork(0, {kStamp, kId, kText, kName});
  EXPECT_EQ(order, (std::vector<int>{kText, kName, kStamp, kId}));
  EXPECT_EQ((*file)->LeavesByWork(0, {kId, kStamp}), (std::vector<int>{kStamp, kId}));
}

TEST_F(GroupAheadTest, AMergeShowsExactlyTheModelWhoeverReadsAhead) {
  const std::uint64_t seed = testing::TestSeed();
  SCOPED_TRACE(testing::SeedTrace(seed));
  SeededRandom random(seed);
  ThreadPool threads(2);
  for (int round = 0; round < 30; ++round) {
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
    std::vector<std::unique_ptr<VersionCursor>> cursors;
    for (const auto& run : runs) {
      cursors.push_back(run->NewCursor({0, 1, 2, 3}, {}, nullptr, &threads));
    }
    const auto merged = MergeVersions(std::move(cursors));
    testing::CursorWalk(model, merged.get(), {0, 1, 2, 3}, {}).Run(&random, round % 2 == 0);
  }
}

}  // namespace
}  // namespace varve
