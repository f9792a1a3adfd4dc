// SPDX-License-Identifier: Apache-2.0
#include "memtable/memtable.h"

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <thread>

#include "columns/batch_codec.h"
#include "columns/packed_rows.h"
#include "memtable/layer.h"
#include "test/support/seed.h"
#include "test/support/version_model.h"

namespace varve {
namespace {

using namespace varve::testing;

// As the small batches that commits come in.
WriteBatch Packed(WriteBatch batch) {
  if (batch.kind == RowKind::kDelete) return batch;
  batch.rows = *ViewBatch(*EncodeBatch(*batch.rows), ModelSchema()->schema());
  EXPECT_NE(PackedRows::Of(*batch.rows), nullptr);
  return batch;
}

class MemtableTest : public ::testing::Test {
 protected:
  VersionModel::Sink Into(Memtable* memtable) {
    return [memtable](WriteBatch batch, std::uint64_t commit) {
      memtable->Insert(commit % 3 == 0 ? std::move(batch) : Packed(std::move(batch)), commit);
    };
  }
  void ExpectGets(const Memtable& memtable, const VersionModel& model, std::uint64_t as_of) {
    for (const auto& [key, versions] : model.versions()) {
      const auto hit = memtable.Get(key, as_of);
      const auto want = versions.lower_bound(as_of);
      ASSERT_EQ(hit.has_value(), want != versions.end());
      if (!hit) continue;
      ASSERT_EQ(hit->commit, want->first);
      ASSERT_EQ(hit->kind == RowKind::kUpsert, want->second.has_value());
      if (want->second) ExpectRow(*hit->batch, hit->row, *want->second, {0, 1, 2, 3});
    }
  }

  void ExpectCounts(const CommitWindow& window) {
    std::map<std::uint64_t, std::uint64_t> expected, counted;
    for (const auto& [key, versions] : model_.versions()) {
      for (const auto& [commit, row] : versions) {
        if (window.Contains(commit)) ++expected[commit];
      }
    }
    memtable_.CountCommits(
        window, [&](std::uint64_t commit, std::uint64_t rows) { counted[commit] += rows; });
    EXPECT_EQ(counted, expected);
  }

  VersionModel model_;
  Memtable memtable_{ModelSchema()};
};

TEST_F(MemtableTest, AnEmptyOneHasNothing) {
  auto cursor = memtable_.NewCursor({0}, {});
  ASSERT_TRUE(cursor->Next());
  EXPECT_FALSE(cursor->valid());
  ASSERT_TRUE(cursor->Next());
  EXPECT_FALSE(memtable_.Get("key", UINT64_MAX));
  EXPECT_EQ(memtable_.bytes(), 0u);
}

TEST_F(MemtableTest, RandomWalksShowExactlyTheModel) {
  const std::uint64_t seed = TestSeed();
  SCOPED_TRACE(SeedTrace(seed));
  SeededRandom random(seed);
  for (std::uint64_t commit = 1; commit <= 400; ++commit) {
    const std::uint64_t rows_max = commit % 3 == 0 ? 60 : 2;  // many small ones, to be gathered
    model_.RandomCommit(&random, commit, rows_max, 40 + commit * 3, Into(&memtable_));
    if (commit % 8 != 0) continue;
    const auto bounds = model_.RandomBounds(&random);
    const auto columns = RandomColumns(&random);
    auto cursor = memtable_.NewCursor(columns, bounds);
    CursorWalk walk(model_, cursor.get(), columns, bounds);
    ASSERT_NO_FATAL_FAILURE(walk.Run(&random, commit % 16 == 0));
    const std::uint64_t after = random.Below(commit + 2);
    const CommitWindow window{after, after + random.Below(commit + 2)};
    cursor = memtable_.NewCursor(columns, bounds, window);
    CursorWalk in_window(model_, cursor.get(), columns, bounds, window);
    ASSERT_NO_FATAL_FAILURE(in_window.Run(&random, commit % 16 == 0));
    ExpectCounts(window);
  }
  ExpectGets(memtable_, model_, UINT64_MAX);
  ExpectGets(memtable_, model_, 250);
}

TEST_F(MemtableTest, CommitsMayArriveOutOfOrder) {
  for (const std::uint64_t commit : {5, 2, 9, 1, 7}) {
    model_.Upsert({{"a", 1, static_cast<std::int64_t>(commit)}}, commit, Into(&memtable_));
  }
  SeededRandom random(1);
  auto cursor = memtable_.NewCursor({0}, {});
  CursorWalk(model_, cursor.get(), {0}, {}).Run(&random, false);
  for (std::uint64_t as_of = 0; as_of <= 10; ++as_of) ExpectGets(memtable_, model_, as_of);
}

TEST_F(MemtableTest, AscendingInsertsAreHandedOutInWholeSlices) {
  constexpr std::int32_t kBatches = 20, kRows = 500;
  for (std::int32_t batch = 0; batch < kBatches; ++batch) {
    std::vector<ModelRow> rows;
    for (std::int32_t i = 0; i < kRows; ++i) rows.push_back({"a", batch * kRows + i, i});
    memtable_.Insert(ModelUpsert(rows), static_cast<std::uint64_t>(batch) + 1);
  }
  auto cursor = memtable_.NewCursor({}, {});
  ASSERT_TRUE(cursor->Next());
  int slices = 0;
  for (; cursor->valid(); ++slices) {
    const std::int64_t plain = cursor->PlainRows(std::nullopt, UINT64_MAX);
    ASSERT_EQ(plain, kRows);
    ASSERT_TRUE(cursor->Skip(plain));
  }
  EXPECT_EQ(slices, kBatches);
}

TEST_F(MemtableTest, CountsRowsDeletesAndBytes) {
  model_.Upsert({{"a", 1, 1}, {"a", 2, 2}}, 1, Into(&memtable_));
  const std::uint64_t before = memtable_.bytes();
  EXPECT_GT(before, 0u);
  model_.Delete({{"a", 1, 0}}, 2, Into(&memtable_));
  EXPECT_EQ(memtable_.rows(), 3u);
  EXPECT_EQ(memtable_.delete_rows(), 1u);
  EXPECT_GT(memtable_.bytes(), before);
}

TEST_F(MemtableTest, RowByRowCommitsAreGatheredSoThatTheyTakeLittleMemory) {
  for (std::uint64_t commit = 1; commit <= 4096; ++commit) {
    const auto id = static_cast<std::int32_t>(commit * 2654435761u % 100003);
    model_.Upsert({{"a", id, static_cast<std::int64_t>(commit)}}, commit, Into(&memtable_));
  }
  EXPECT_LT(memtable_.bytes() / memtable_.rows(), 200u);
  ExpectGets(memtable_, model_, 2000);
}

TEST_F(MemtableTest, RowsThatAllCamePackedAreGatheredFromTheirBytes) {
  for (std::uint64_t commit = 1; commit <= 1500; ++commit) {
    const auto id = static_cast<std::int32_t>(commit * 2654435761u % 997);
    const auto packed = [this](WriteBatch batch, std::uint64_t number) {
      memtable_.Insert(Packed(std::move(batch)), number);
    };
    if (commit % 5 == 0) {
      model_.Delete({{"a", id, 0}}, commit, packed);
    } else {
      model_.Upsert({{"a", id, static_cast<std::int64_t>(commit)}}, commit, packed);
    }
    if (commit % 100 == 0) ExpectGets(memtable_, model_, commit - 50);
  }
  SeededRandom random(1);
  auto cursor = memtable_.NewCursor({0, 2, 3}, {});
  CursorWalk(model_, cursor.get(), {0, 2, 3}, {}).Run(&random, false);
}

TEST_F(MemtableTest, ACursorShowsWhatWasThereWhenItWasMadeAndOutlivesTheMemtable) {
  auto memtable = std::make_unique<Memtable>(ModelSchema());
  model_.Upsert({{"a", 1, 1}}, 1, Into(memtable.get()));
  auto cursor = memtable->NewCursor({0}, {});
  memtable->Insert(ModelUpsert({{"a", 0, 2}}), 2);
  memtable.reset();
  SeededRandom random(1);
  CursorWalk(model_, cursor.get(), {0}, {}).Run(&random, false);
}

TEST(KeyPrefix, AgreesWithTheOrderOfKeys) {
  const std::vector<std::string> keys = {"", std::string(1, '\0'), std::string(3, '\0'), "a",
                                         std::string("a\0", 2), "a\x01", "abcdefgh",
                                         "abcdefghi", "abd", "\xff"};
  for (const auto& a : keys) {
    for (const auto& b : keys) {
      if (KeyPrefix(a) != KeyPrefix(b)) {
        EXPECT_EQ(KeyPrefix(a) < KeyPrefix(b), std::string_view(a) < std::string_view(b));
      }
    }
  }
}

TEST(MemtableThreads, ReadersSeeOrderedWholeBatchesWhileOthersInsert) {
  constexpr int kWriters = 2, kCommits = 150, kRows = 20;
  Memtable memtable(ModelSchema());
  std::atomic<std::uint64_t> next_commit = 1;
  std::atomic<int> running = kWriters;
  std::vector<std::thread> threads;
  for (int writer = 0; writer < kWriters; ++writer) {
    threads.emplace_back([&] {
      for (int i = 0; i < kCommits; ++i) {
        const std::uint64_t commit = next_commit.fetch_add(1);
        std::vector<ModelRow> rows;
        for (int row = 0; row < kRows; ++row) rows.push_back({"k", row, 1});
        memtable.Insert(Packed(ModelUpsert(rows)), commit);
      }
      --running;
    });
  }
  do {
    auto cursor = memtable.NewCursor({0}, {});
    std::uint64_t seen = 0;
    ASSERT_TRUE(cursor->Next());
    std::string key;
    std::uint64_t commit = 0;
    for (; cursor->valid(); ++seen) {
      ASSERT_TRUE(cursor->key() > key || (cursor->key() == key && cursor->commit() < commit));
      key = cursor->key();
      commit = cursor->commit();
      ASSERT_EQ(cursor->batch()->num_columns(), 1);
      ASSERT_TRUE(cursor->Next());
    }
    ASSERT_EQ(seen % kRows, 0u);  // batches are whole
    memtable.Get(key, commit);
  } while (running > 0);
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(memtable.rows(), static_cast<std::uint64_t>(kWriters * kCommits * kRows));
}

}  // namespace
}  // namespace varve
