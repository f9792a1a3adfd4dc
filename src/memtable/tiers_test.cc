// SPDX-License-Identifier: Apache-2.0
// Which layers are merged when and by whom: the tiers alone, then a memtable with an executor.
#include "memtable/tiers.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <thread>

#include "base/executor.h"
#include "memtable/layer.h"
#include "memtable/memtable.h"
#include "test/support/version_model.h"

namespace varve {
namespace {

using namespace varve::testing;

class TiersTest : public ::testing::Test {
 protected:
  // Layer i, of other keys than all others.
  void Add(Tiers* tiers, std::int32_t i, std::int32_t rows) {
    std::vector<ModelRow> batch;
    for (std::int32_t j = 0; j < rows; ++j) batch.push_back({"a", j * 3000 + i, 1});
    rows_ += batch.size();
    tiers->Add(AtCommit(PrepareRows(ModelUpsert(batch)), static_cast<std::uint64_t>(i) + 1));
  }
  // Layers whose sizes go up and down.
  static std::int32_t RowsOf(std::int32_t i) { return 1 + i % 7 * 150; }

  void ExpectAllRows(const Tiers& tiers) {
    std::size_t kept = 0;
    std::uint64_t bytes = 0;
    std::vector<LayerPtr> layers = tiers.open();
    layers.insert(layers.end(), tiers.full()->begin(), tiers.full()->end());
    for (const auto& layer : layers) {
      kept += layer->entries.size();
      bytes += layer->bytes();
      ASSERT_LE(layer->entries.size(), kLayerRowsMax);
      ASSERT_TRUE(std::ranges::is_sorted(layer->entries, EntryBefore()));
    }
    EXPECT_EQ(kept, rows_);
    EXPECT_EQ(bytes, tiers.bytes());
  }
  void ExpectFewLayers(const Tiers& tiers) {
    EXPECT_LE(tiers.open().size(), kTiers * (kTierFanOut - 1));
    EXPECT_LE(tiers.full()->size(), 2 * rows_ / kLayerRowsMax + 1);
  }
  LayerPtr Merged(const Tiers::Merge& merge) { return MergeLayers(*schema_, merge.layers); }

  const std::shared_ptr<const TableSchema> schema_ = ModelSchema();
  std::size_t rows_ = 0;
};

TEST_F(TiersTest, LayersStayFewAndEachInsertIsBounded) {
  Tiers tiers(schema_.get(), LargeMerges::kAtOnce);
  for (std::int32_t i = 0; i < 300; ++i) {
    Add(&tiers, i, RowsOf(i));
    ASSERT_NO_FATAL_FAILURE(ExpectFewLayers(tiers));
    ASSERT_FALSE(tiers.IsDue());
  }
  ExpectAllRows(tiers);
}

TEST_F(TiersTest, WhoAddsMergesFewRowsAndLeavesManyToOthers) {
  Tiers tiers(schema_.get(), LargeMerges::kLeftToOthers);
  for (std::int32_t i = 0; i < 8; ++i) Add(&tiers, i, kSmallMergeRowsMax / 8);
  EXPECT_EQ(tiers.open_count(), 1u);
  EXPECT_FALSE(tiers.IsDue());
  for (std::int32_t i = 8; i < 16; ++i) Add(&tiers, i, kSmallMergeRowsMax / 8 + 1);
  EXPECT_EQ(tiers.open_count(), 1u + 8);
  EXPECT_TRUE(tiers.IsDue());
  ExpectAllRows(tiers);
}

// Somebody is always in the middle of a merge, now and then refused memory.
TEST_F(TiersTest, LayersAreAddedWhileOthersAreMerged) {
  Tiers tiers(schema_.get(), LargeMerges::kLeftToOthers);
  std::optional<Tiers::Merge> merge;
  int merges = 0;
  for (std::int32_t i = 0; i < 1000; ++i) {
    Add(&tiers, i, RowsOf(i));
    if (i % 5 > 0) continue;
    if (merge && i % 15 == 0) {
      tiers.GiveUp(*merge);
    } else if (merge) {
      tiers.Finish(*merge, Merged(*merge));
      ++merges;
    }
    ASSERT_NO_FATAL_FAILURE(ExpectAllRows(tiers));
    ASSERT_LE(tiers.open_count(), kTiers * (2 * kTierFanOut));
    merge = tiers.Begin();
  }
  EXPECT_GT(merges, 50);
  if (merge) tiers.GiveUp(*merge);
  while ((merge = tiers.Begin())) tiers.Finish(*merge, Merged(*merge));
  EXPECT_FALSE(tiers.IsDue());
  ExpectAllRows(tiers);
  ExpectFewLayers(tiers);
}

TEST_F(TiersTest, WhatNobodyComesForIsMergedInTheEnd) {
  Tiers tiers(schema_.get(), LargeMerges::kLeftToOthers);
  std::optional<Tiers::Merge> begun;
  for (std::int32_t i = 0; i < 2000; ++i) {
    Add(&tiers, i, 200);
    if (!begun) begun = tiers.Begin();  // by somebody who never comes back
    ASSERT_LE(tiers.open_count(), kTierFanOut + kTiers * kTierOverdue);
  }
  ASSERT_TRUE(begun);
  EXPECT_FALSE(tiers.full()->empty());
  ExpectAllRows(tiers);
  tiers.Finish(*begun, Merged(*begun));
  ExpectAllRows(tiers);
}

class MemtableMergesTest : public ::testing::Test {
 protected:
  void InsertCommits(std::int32_t from, std::int32_t to) {
    for (std::int32_t commit = from; commit < to; ++commit) {
      std::vector<ModelRow> rows;
      for (std::int32_t i = 0; i < kRows; ++i) rows.push_back({"a", i * 7919 % 5003, commit});
      memtable_->Insert(ModelUpsert(rows), static_cast<std::uint64_t>(commit));
    }
  }
  std::uint64_t CountVersions() {
    const auto cursor = memtable_->NewCursor({0}, {});
    std::uint64_t count = 0;
    EXPECT_TRUE(cursor->Next());
    while (cursor->valid()) {
      ++count;
      EXPECT_TRUE(cursor->Next());
    }
    return count;
  }

  static constexpr std::int32_t kRows = 200;
  ManualExecutor executor_;
  std::shared_ptr<Memtable> memtable_ = std::make_shared<Memtable>(ModelSchema(), &executor_);
};

TEST_F(MemtableMergesTest, OneTaskAtATimeMergesWhatIsDue) {
  InsertCommits(1, 9);
  const auto cursor = memtable_->NewCursor({0}, {});  // of before
  ASSERT_TRUE(cursor->Next());
  EXPECT_TRUE(executor_.RunOne());
  EXPECT_FALSE(executor_.RunOne());
  for (std::int32_t commit = 9; commit < 65; commit += 8) {
    EXPECT_FALSE(executor_.RunOne());
    InsertCommits(commit, commit + 8);
    EXPECT_TRUE(executor_.RunOne());
  }
  EXPECT_TRUE(executor_.RunOne());  // the eighth merge makes one of what the eight made
  EXPECT_FALSE(executor_.RunOne());
  EXPECT_EQ(CountVersions(), 64u * kRows);
  std::uint64_t before = 0;
  while (cursor->valid()) {
    ++before;
    ASSERT_TRUE(cursor->Next());
  }
  EXPECT_EQ(before, 8u * kRows);
}

TEST_F(MemtableMergesTest, WhileATaskIsOnItsWayNoOtherIsAskedFor) {
  InsertCommits(1, 12);
  EXPECT_TRUE(executor_.RunOne());
  EXPECT_FALSE(executor_.RunOne());
}

TEST_F(MemtableMergesTest, ATaskThatComesLateFindsTheMemtableGone) {
  InsertCommits(1, 9);
  memtable_.reset();
  EXPECT_TRUE(executor_.RunOne());
}

TEST_F(MemtableMergesTest, WithoutATaskThatRunsAllRowsAreThere) {
  InsertCommits(1, 200);
  EXPECT_EQ(CountVersions(), 199u * kRows);
  const auto hit = memtable_->Get(ModelUpsert({{"a", 7919 % 5003, 0}}).keys[0], UINT64_MAX);
  ASSERT_TRUE(hit);
  EXPECT_EQ(hit->commit, 199u);
}

// Merges happen in threads of their own while others insert and read.
TEST_F(MemtableMergesTest, ReadersSeeWholeCommitsWhileTasksMerge) {
  ThreadPool pool(1);
  memtable_ = std::make_shared<Memtable>(ModelSchema(), &pool);
  std::atomic<bool> written = false;
  const std::jthread writer([&] {
    InsertCommits(1, 301);
    written = true;
  });
  while (!written) {
    const std::uint64_t seen = CountVersions();
    ASSERT_EQ(seen % kRows, 0u);
    ASSERT_LE(seen, memtable_->rows());
  }
  EXPECT_EQ(CountVersions(), 300u * kRows);
}

}  // namespace
}  // namespace varve
