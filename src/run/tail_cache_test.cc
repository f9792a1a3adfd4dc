// SPDX-License-Identifier: Apache-2.0
#include "run/tail_cache.h"

#include <arrow/memory_pool.h>
#include <gtest/gtest.h>
#include <malloc.h>

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "run/run_file.h"
#include "run/run_test_world.h"

namespace varve {
namespace {

using namespace varve::testing;

class TailCacheTest : public ::testing::Test {
 protected:
  // With as many row groups as it is told.
  std::shared_ptr<const RunMeta> Write(int groups) {
    Memtable memtable(ModelSchema());
    VersionModel model;
    for (int i = 0; i < 10 * groups; ++i) model.Upsert({{"k", i, 1}}, 1, Into(&memtable));
    auto meta = world_.Write(memtable, 10);
    EXPECT_TRUE(meta) << meta.error().message();
    return std::make_shared<const RunMeta>(*std::move(meta));
  }
  std::shared_ptr<const varve::Run> Make(int groups) {
    return varve::Run::Make(world_.store(), ModelSchema(), Write(groups),
                            {.pieces = nullptr, .tails = cache_});
  }
  std::uint64_t BytesOfOne() {
    cache_ = std::make_shared<TailCache>(1 << 20);
    const auto run = Make(3);
    EXPECT_TRUE(run->Open());
    return cache_->stats().bytes;
  }

  RunWorld world_;
  std::shared_ptr<TailCache> cache_;
};

TEST_F(TailCacheTest, ARunIsReadWhenItIsFirstOpenedAndOnce) {
  cache_ = std::make_shared<TailCache>(1 << 20);
  auto run = Make(3);
  EXPECT_EQ(cache_->stats().runs, 0u);
  ASSERT_TRUE(run->Open());
  ASSERT_TRUE(run->Open());
  const auto stats = cache_->stats();
  EXPECT_EQ(stats.runs, 1u);
  EXPECT_GT(stats.bytes, 0u);
  EXPECT_EQ(stats.hits, 1u);
  EXPECT_EQ(stats.misses, 1u);
  run.reset();
  EXPECT_EQ(cache_->stats().bytes, 0u);
  EXPECT_EQ(cache_->stats().runs, 0u);
}

TEST_F(TailCacheTest, ItKeepsToItsBudgetAndWhatWasDroppedIsReadAgain) {
  const std::uint64_t one = BytesOfOne();
  cache_ = std::make_shared<TailCache>(3 * one + one / 2);
  std::vector<std::shared_ptr<const varve::Run>> runs;
  for (int i = 0; i < 10; ++i) runs.push_back(Make(3));
  for (int round = 0; round < 3; ++round) {
    for (const auto& run : runs) {
      const auto open = run->Open();
      ASSERT_TRUE(open) << open.error().message();
      EXPECT_EQ(open->row_group_keys().size(), 3u);
      EXPECT_LE(cache_->stats().bytes, cache_->bytes_max());
      EXPECT_LE(cache_->stats().runs, 3u);
    }
  }
  EXPECT_GT(cache_->stats().misses, 10u);
}

TEST_F(TailCacheTest, WhatIsAskedForAgainAndAgainStays) {
  const std::uint64_t one = BytesOfOne();
  cache_ = std::make_shared<TailCache>(3 * one + one / 2);
  const auto often = Make(3);
  std::vector<std::shared_ptr<const varve::Run>> once;
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(often->Open());
    once.push_back(Make(3));
    ASSERT_TRUE(once.back()->Open());
  }
  EXPECT_EQ(cache_->stats().misses, 21u);
}

TEST_F(TailCacheTest, WhatIsInUseLivesOnWhenItIsDropped) {
  const std::uint64_t one = BytesOfOne();
  cache_ = std::make_shared<TailCache>(one + one / 2);
  const auto first = Make(3);
  const auto open = first->Open();
  ASSERT_TRUE(open);
  const auto second = Make(3);
  ASSERT_TRUE(second->Open());
  EXPECT_EQ(cache_->stats().runs, 1u);
  const auto cursor = open->NewCursor({0}, {});
  std::uint64_t rows = 0;
  ASSERT_TRUE(cursor->Next());
  while (cursor->valid()) {
    ++rows;
    ASSERT_TRUE(cursor->Next());
  }
  EXPECT_EQ(rows, 30u);
}

// A budget that holds none is no error: each read opens the run.
TEST_F(TailCacheTest, WithoutABudgetEachReadOpensTheRun) {
  cache_ = std::make_shared<TailCache>(0);
  const auto run = Make(3);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(run->Open());
  EXPECT_EQ(cache_->stats().misses, 3u);
  EXPECT_EQ(cache_->stats().bytes, 0u);
}

// Damage of a run that was good before: found as soon as it has to be read again.
TEST_F(TailCacheTest, ATailThatIsReadAgainIsCheckedAgain) {
  const std::uint64_t one = BytesOfOne();
  cache_ = std::make_shared<TailCache>(one + one / 2);
  const auto run = Make(3);
  ASSERT_TRUE(run->Open());
  std::string bytes = world_.Bytes(run->meta().data.name);
  bytes[bytes.size() - 20] ^= 1;
  ASSERT_TRUE(world_.store()->Put(run->meta().data.name, bytes));
  EXPECT_TRUE(run->Open()) << "what is in memory is good";
  const auto other = Make(3);
  ASSERT_TRUE(other->Open());
  const auto failed = run->Open();
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().kind(), ErrorKind::kCorruption);
  EXPECT_NE(failed.error().message().find(run->meta().data.name), std::string::npos);
  ASSERT_TRUE(world_.store()->Delete(run->meta().data.name));
  EXPECT_NE(run->Open().error().message().find("missing"), std::string::npos);
  EXPECT_TRUE(other->Open());
}

TEST_F(TailCacheTest, TheLifeOfARunIsNotThatOfItsTails) {
  const std::uint64_t one = BytesOfOne();
  cache_ = std::make_shared<TailCache>(one + one / 2);
  auto run = Make(3);
  auto later = varve::Run::With(run, std::make_shared<const RunMeta>(run->meta()));
  const auto life = run->Lifetime();
  ASSERT_TRUE(run->Open());
  ASSERT_TRUE(Make(3)->Open());  // drops them
  EXPECT_FALSE(life.expired());
  std::optional<OpenRun> open = *run->Open();
  run.reset();
  later.reset();
  EXPECT_FALSE(life.expired()) << "somebody reads";
  open.reset();
  EXPECT_TRUE(life.expired()) << "though the cache had its tails";
}

TEST_F(TailCacheTest, ManyThreadsOpenAndDropTheSameRuns) {
  const std::uint64_t one = BytesOfOne();
  cache_ = std::make_shared<TailCache>(2 * one + one / 2);
  std::vector<std::shared_ptr<const varve::Run>> runs;
  for (int i = 0; i < 6; ++i) runs.push_back(Make(3));
  std::atomic<int> good = 0;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = 0; i < 200; ++i) {
        const auto open = runs[static_cast<std::size_t>((i * (thread + 1)) % 6)]->Open();
        if (!open) return;
        const auto hits = open->Get({ModelKey("k", 7)}, 1, {0, 1});
        if (hits && hits->front()) ++good;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(good, 800);
  EXPECT_LE(cache_->stats().bytes, cache_->bytes_max());
  EXPECT_EQ(cache_->stats().hits + cache_->stats().misses, 800u);
  runs.clear();
  EXPECT_EQ(cache_->stats().bytes, 0u);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
// What the cache counts is what the allocator gave, of small files and large.
TEST_F(TailCacheTest, ItCountsTheMemoryThatTailsTake) {
  for (const int groups : {1, 10, 100, 1000}) {
    cache_ = std::make_shared<TailCache>(1 << 30);
    std::vector<std::shared_ptr<const varve::Run>> runs;
    const int count = groups == 1000 ? 3 : 20;
    for (int i = 0; i < count; ++i) runs.push_back(Make(groups));
    ASSERT_TRUE(Make(groups)->Open());  // what is made once
    const auto before = ::mallinfo2();
    const auto pool = arrow::default_memory_pool()->bytes_allocated();
    for (const auto& run : runs) ASSERT_TRUE(run->Open());
    const auto held = [&] {
      const auto now = ::mallinfo2();
      return now.uordblks + now.hblkhd - before.uordblks - before.hblkhd +
             static_cast<std::uint64_t>(arrow::default_memory_pool()->bytes_allocated() - pool);
    };
    const auto opened = held();
    const auto counted = cache_->stats().bytes;
    EXPECT_GE(counted, opened * 8 / 10) << groups;
    EXPECT_LE(counted, opened * 13 / 10) << groups;
    for (const auto& run : runs) ASSERT_TRUE(run->Open()->Get({ModelKey("k", 3)}, 1, {0, 1}));
    for (const auto& run : runs) ASSERT_TRUE(run->Open());
    EXPECT_GE(cache_->stats().bytes, held() * 8 / 10) << groups << ", with readers that wait";
    EXPECT_LE(cache_->stats().bytes, held() * 13 / 10) << groups << ", with readers that wait";
  }
}
#endif

}  // namespace
}  // namespace varve
