// SPDX-License-Identifier: Apache-2.0
// How a compaction is cut into parts, chains and passes: the same rows come out, in bounded memory,
// whoever does the work; and nothing is left of one that fails.
#include <arrow/memory_pool.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <future>
#include <memory>
#include <stop_token>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "base/executor.h"
#include "base/result.h"
#include "run/run_test_world.h"
#include "upkeep/compact.h"
#include "upkeep/flush.h"
#include "upkeep/key_parts.h"
#include "upkeep/run_chain.h"

namespace varve {
namespace {

using namespace varve::testing;
using RunPtr = std::shared_ptr<const Run>;
using MetaList = std::vector<std::shared_ptr<const RunMeta>>;

// Notes how many objects are open at once and how much memory Arrow has, and fails when told to.
class WatchedStore final : public ObjectStore {
 public:
  explicit WatchedStore(ObjectStore* store) : store_(store) {}

  std::atomic<int> open = 0, open_most = 0;
  std::atomic<std::int64_t> memory_most = 0;
  std::function<Status(const std::string& name)> before_write;

  Status Put(const std::string& name, std::string_view bytes) override {
    return store_->Put(name, bytes);
  }
  Status PutIfAbsent(const std::string& name, std::string_view bytes) override {
    return store_->PutIfAbsent(name, bytes);
  }
  Result<std::unique_ptr<ObjectWriter>> NewWriter(const std::string& name) override {
    if (before_write) VARVE_TRY(before_write(name));
    Look();
    return store_->NewWriter(name);
  }
  Result<std::string> Get(const std::string& name) override { return store_->Get(name); }
  Result<std::string> GetRange(const std::string& name, std::uint64_t offset,
                               std::uint64_t size) override {
    return store_->GetRange(name, offset, size);
  }
  Result<std::unique_ptr<ObjectReader>> OpenReader(const std::string& name) override {
    VARVE_ASSIGN(auto reader, store_->OpenReader(name));
    return std::unique_ptr<ObjectReader>(std::make_unique<Reader>(this, std::move(reader)));
  }
  Result<ObjectInfo> Head(const std::string& name) override { return store_->Head(name); }
  Result<std::vector<ObjectInfo>> List(const std::string& prefix,
                                       const std::string& start_after) override {
    return store_->List(prefix, start_after);
  }
  Status Delete(const std::string& name) override { return store_->Delete(name); }
  std::string Describe(const std::string& name) const override { return store_->Describe(name); }

 private:
  class Reader final : public ObjectReader {
   public:
    Reader(WatchedStore* store, std::unique_ptr<ObjectReader> reader)
        : store_(*store), reader_(std::move(reader)) {
      store_.Raise(&store_.open_most, ++store_.open);
    }
    ~Reader() override { --store_.open; }
    std::uint64_t size() const override { return reader_->size(); }
    Status ReadAt(std::uint64_t offset, std::uint64_t size, char* into) override {
      store_.Look();
      return reader_->ReadAt(offset, size, into);
    }

   private:
    WatchedStore& store_;
    const std::unique_ptr<ObjectReader> reader_;
  };

  template <typename T>
  static void Raise(std::atomic<T>* most, T now) {
    for (T before = *most; before < now && !most->compare_exchange_weak(before, now);) {
    }
  }
  void Look() { Raise(&memory_most, arrow::default_memory_pool()->bytes_allocated()); }

  ObjectStore* const store_;
};

class CompactPartsTest : public ::testing::Test {
 protected:
  CompactPartsTest() {
    CutsOfFlushes() = {.row_group_rows = 16, .piece_rows_max = 8};
    CutsOfCompactions() = {.part_bytes_min = 1, .runs_open_max = 36};
  }
  ~CompactPartsTest() override {
    CutsOfFlushes() = {};
    CutsOfCompactions() = {};
  }

  // Rows (or deletes) "k" `from`, `from` + step, ... of one commit, as a run.
  RunPtr Write(int from, int count, int step = 1, RowKind kind = RowKind::kUpsert,
               std::size_t text_bytes = 1) {
    const std::uint64_t commit = ++commit_;
    std::vector<ModelRow> rows;
    for (int i = 0; i < count; ++i) {
      rows.push_back({std::string(text_bytes, 'k'), from + i * step,
                      static_cast<std::int64_t>(commit * 10'000 + static_cast<unsigned>(i))});
    }
    Memtable memtable(ModelSchema());
    if (kind == RowKind::kUpsert) {
      model_.Upsert(rows, commit, Into(&memtable));
    } else {
      model_.Delete(rows, commit, Into(&memtable));
    }
    return Keep(memtable);
  }
  RunPtr WriteRandom(SeededRandom* random, std::uint64_t keys) {
    Memtable memtable(ModelSchema());
    for (std::uint64_t i = 1 + random->Below(5); i > 0; --i) {
      model_.RandomCommit(random, ++commit_, 40, keys, Into(&memtable));
    }
    return Keep(memtable);
  }
  RunPtr Keep(const Memtable& memtable) {
    const auto meta = world_.Write(memtable, CutsOfFlushes().row_group_rows);
    EXPECT_TRUE(meta) << meta.error().message();
    return Reader(*meta);
  }
  RunPtr Reader(const RunMeta& meta) {
    return Run::Make(&store_, ModelSchema(), std::make_shared<const RunMeta>(meta));
  }

  Compaction Of(const std::vector<RunPtr>& inputs, std::size_t parts = 1) {
    return {.table_name = "t", .schema = ModelSchema(), .inputs = inputs, .parts_max = parts};
  }
  Result<MetaList> Make(const Compaction& compaction) {
    return CompactRuns(&store_, compaction, [this] { return ++next_id_; });
  }

  // Key, commit, stamp; a stamp of -1 is a delete.
  using Version = std::tuple<std::string, std::uint64_t, std::int64_t>;
  std::vector<Version> VersionsOf(VersionCursor* cursor) {
    std::vector<Version> versions;
    EXPECT_TRUE(cursor->Next());
    while (cursor->valid()) {
      std::int64_t stamp = -1;
      if (cursor->kind() == RowKind::kUpsert) {
        stamp = static_cast<const arrow::Int64Array&>(*cursor->batch()->column(0))
                    .Value(cursor->row());
      }
      versions.emplace_back(cursor->key(), cursor->commit(), stamp);
      EXPECT_TRUE(cursor->Next());
    }
    return versions;
  }
  std::vector<Version> VersionsOf(const MetaList& runs) {
    std::vector<Version> all;
    for (const auto& meta : runs) {
      const auto open = Reader(*meta)->Open();
      EXPECT_TRUE(open) << open.error().message();
      EXPECT_EQ(Findings(*open, true), std::vector<std::string>());
      const auto cursor = open->NewCursor({0, 1, 2, 3}, {});
      for (auto& version : VersionsOf(cursor.get())) all.push_back(std::move(version));
    }
    return all;
  }
  // The newest of each key, but deletes.
  std::vector<Version> Expected() const {
    std::vector<Version> newest;
    for (const auto& [key, versions] : model_.versions()) {
      const auto& [commit, row] = *versions.begin();
      if (row) newest.emplace_back(key, commit, row->stamp);
    }
    return newest;
  }
  std::size_t Objects() { return world_.store()->List("data/")->size(); }

  RunWorld world_;
  WatchedStore store_{world_.store()};
  VersionModel model_;
  std::uint64_t commit_ = 0;
  std::atomic<std::uint64_t> next_id_ = 1'000'000;  // above those of the world
};

TEST_F(CompactPartsTest, PartsHaveEveryKeyOnceAndAboutAsManyBytes) {
  const std::vector<RunPtr> runs = {Write(0, 400), Write(100, 400), Write(0, 600, 1)};
  for (const std::size_t parts : {1, 2, 3, 4}) {
    const auto ranges = CutIntoParts(runs, parts, 1);
    ASSERT_TRUE(ranges) << ranges.error().message();
    ASSERT_EQ(ranges->size(), parts);
    EXPECT_EQ(ranges->front().lower, "");
    EXPECT_FALSE(ranges->back().upper);
    for (std::size_t i = 1; i < parts; ++i) EXPECT_EQ((*ranges)[i - 1].upper, (*ranges)[i].lower);
    for (const KeyBounds& range : *ranges) {
      std::size_t versions = 0;
      for (const auto& run : runs) {
        versions += VersionsOf(run->Open()->NewCursor({0}, range).get()).size();
      }
      EXPECT_NEAR(static_cast<double>(versions), 1400.0 / static_cast<double>(parts), 50) << parts;
    }
    EXPECT_EQ(CutIntoParts(runs, parts, 1)->back().lower, ranges->back().lower) << "again";
  }
}

TEST_F(CompactPartsTest, WhatIsTooLittleIsNotCut) {
  const std::vector<RunPtr> runs = {Write(0, 400), Write(0, 400)};
  const std::uint64_t all = BytesOf(runs);
  EXPECT_EQ(CutIntoParts(runs, 4, all)->size(), 1u);
  EXPECT_EQ(CutIntoParts(runs, 4, all / 2 - 2000)->size(), 2u);
  EXPECT_EQ(CutIntoParts({Write(7, 1), Write(7, 1)}, 4, 0)->size(), 1u) << "one key";
}

TEST_F(CompactPartsTest, AChainIsTheRunsOneAfterTheOther) {
  const std::vector<RunPtr> runs = {Write(500, 100), Write(100, 100),
                                    Write(300, 50, 1, RowKind::kDelete), Write(0, 100)};
  const auto chains = ChainsOf(runs);
  ASSERT_EQ(chains.size(), 1u);
  for (int walk = 0; walk < 20; ++walk) {
    SeededRandom random(TestSeed() + static_cast<unsigned>(walk));
    const KeyBounds bounds = walk == 0 ? KeyBounds() : model_.RandomBounds(&random);
    const auto cursor = NewChainCursor(chains.front(), {0, 1, 2, 3}, bounds);
    ASSERT_NO_FATAL_FAILURE(
        CursorWalk(model_, cursor.get(), {0, 1, 2, 3}, bounds).Run(&random, walk % 2 == 0));
  }
  EXPECT_LE(store_.open_most, 1);
}

TEST_F(CompactPartsTest, ThereAreAsManyChainsAsOverlapAtOneKey) {
  const std::vector<RunPtr> runs = {Write(0, 10), Write(9, 10), Write(18, 10), Write(30, 5),
                                    Write(5, 10)};
  EXPECT_EQ(ChainsOf(runs).size(), 3u) << "at 9, the last key of one and the first of another";
  EXPECT_EQ(ChainsOf(runs, {.lower = ModelKey("k", 19), .upper = std::nullopt}).size(), 1u);
  EXPECT_EQ(ChainsOf(runs, {.lower = "", .upper = ModelKey("k", 5)}).size(), 1u);
}

TEST_F(CompactPartsTest, TheSameRowsComeOutWhateverThePartsAndThePasses) {
  for (int life = 0; life < 4; ++life) {
    const std::uint64_t seed = TestSeed() + static_cast<std::uint64_t>(life);
    SCOPED_TRACE(SeedTrace(seed));
    SeededRandom random(seed);
    model_ = VersionModel();
    std::vector<RunPtr> runs;
    for (int i = 0; i < 12; ++i) runs.push_back(WriteRandom(&random, 200 + 400 * (life % 2)));
    ThreadPool pool(2);
    for (const std::size_t open_max : {2, 3, 36}) {
      CutsOfCompactions().runs_open_max = open_max;
      for (const std::size_t parts : {1, 2, 3}) {
        Compaction compaction = Of(runs, parts);
        compaction.executor = &pool;
        compaction.run_bytes_max = 1000 + random.Below(4000);
        const std::size_t before = Objects();
        const auto made = Make(compaction);
        ASSERT_TRUE(made) << made.error().message();
        ASSERT_EQ(VersionsOf(*made), Expected()) << open_max << " open, parts " << parts;
        ASSERT_EQ(Objects(), before + made->size()) << "nothing else is left";
        for (const auto& run : *made) EXPECT_EQ(run->shown_from, compaction.shown_from());
        const auto again = Make(compaction);
        ASSERT_EQ(again->size(), made->size());
        for (std::size_t i = 0; i < made->size(); ++i) {
          EXPECT_EQ((*again)[i]->min_key, (*made)[i]->min_key);
          EXPECT_EQ((*again)[i]->data.tail_crc32c, (*made)[i]->data.tail_crc32c);
        }
      }
    }
  }
}

// A pass over the last rows and their deletes leaves no run that could say it.
TEST_F(CompactPartsTest, OutputsAreShownFromWhereAllInputsEndAlsoThoseOfWhichNothingIsLeft) {
  CutsOfCompactions().runs_open_max = 2;
  const RunPtr between = Write(40, 30), rows = Write(0, 2, 100);
  RunMeta late = Write(0, 2, 100, RowKind::kDelete)->meta();
  late.max_commit = 77;
  const Compaction compaction = Of({between, rows, Reader(late)});
  EXPECT_EQ(compaction.shown_from(), 77u);
  const auto made = Make(compaction);
  ASSERT_TRUE(made) << made.error().message();
  ASSERT_EQ(made->size(), 1u);
  EXPECT_EQ(made->front()->shown_from, 77u);
  EXPECT_EQ(VersionsOf(*made), Expected());
}

TEST_F(CompactPartsTest, ADeleteOutlivesAPassWhenWhatItDeletesIsMergedLater) {
  CutsOfCompactions().runs_open_max = 2;
  const std::vector<RunPtr> runs = {Write(0, 500), Write(10, 40, 1, RowKind::kDelete),
                                    Write(0, 3, 30)};
  const auto made = Make(Of(runs));  // the two small ones first
  ASSERT_TRUE(made) << made.error().message();
  EXPECT_EQ(VersionsOf(*made), Expected());
}

TEST_F(CompactPartsTest, RunsThatLieApartAreOpenedOneAfterTheOther) {
  std::vector<RunPtr> runs;
  for (int i = 0; i < 200; ++i) runs.push_back(Write(10 * i, 10));
  runs.push_back(Write(0, 300, 7));
  store_.open_most = 0;
  const auto made = Make(Of(runs));
  ASSERT_TRUE(made) << made.error().message();
  EXPECT_LE(store_.open_most, 2);
  EXPECT_EQ(VersionsOf(*made), Expected());
}

TEST_F(CompactPartsTest, ThousandsThatOverlapAreMergedSomeAtATime) {
  std::vector<RunPtr> runs;
  for (int i = 0; i < 2000; ++i) runs.push_back(Write(i % 7, 2, 50 + i % 3));
  store_.open_most = 0;
  const std::size_t before = Objects();
  const auto made = Make(Of(runs, 2));
  ASSERT_TRUE(made) << made.error().message();
  EXPECT_LE(store_.open_most, 36);
  EXPECT_GE(store_.open_most, 30);
  EXPECT_EQ(VersionsOf(*made), Expected());
  EXPECT_EQ(Objects(), before + made->size());
}

// However many parts there are, which a store that waits for the others makes work at once.
TEST_F(CompactPartsTest, AllPartsTogetherHaveNoMoreOpenThanOneMay) {
  std::vector<RunPtr> runs;
  for (int i = 0; i < 6; ++i) runs.push_back(Write(0, 400));
  ThreadPool pool(4);
  for (const std::size_t open_max : {6, 13, 24}) {
    CutsOfCompactions().runs_open_max = open_max;
    store_.open_most = 0;
    Compaction compaction = Of(runs, 4);
    compaction.executor = &pool;
    ASSERT_TRUE(Make(compaction));
    EXPECT_LE(store_.open_most, static_cast<int>(open_max));
  }
}

// Row groups of 512 rows of 2 kB, 1 MB each: two of each of four runs and one of output, a part.
TEST_F(CompactPartsTest, MemoryIsARowGroupOrTwoOfEachRunOfEachPart) {
  CutsOfFlushes() = {.row_group_rows = 512, .piece_rows_max = 128};
  std::vector<RunPtr> runs;
  for (int i = 0; i < 4; ++i) runs.push_back(Write(0, 512 * 12, 1, RowKind::kUpsert, 2000));
  runs.push_back(Write(0, 512 * 3, 4, RowKind::kDelete, 2000));
  constexpr std::int64_t kGroup = 512 * 2100;
  ThreadPool pool(2);
  for (const std::size_t parts : {1, 2}) {
    Compaction compaction = Of(runs, parts);
    compaction.executor = &pool;
    store_.memory_most = 0;
    const std::int64_t before = arrow::default_memory_pool()->bytes_allocated();
    ASSERT_TRUE(Make(compaction));
    const auto groups = static_cast<std::int64_t>(parts) * (2 * 5 + 3);
    EXPECT_LT(store_.memory_most - before, groups * kGroup) << parts;
    EXPECT_GT(store_.memory_most - before, 4 * kGroup) << "else this measures nothing";
  }
}

// Of each row group a single row is left: 40 groups of which the output has a part.
TEST_F(CompactPartsTest, RowGroupsOfWhichAlmostNothingIsLeftAreLetGoOf) {
  CutsOfFlushes() = {.row_group_rows = 512, .piece_rows_max = 128};
  constexpr int kGroups = 40;
  constexpr std::int64_t kGroup = 512 * 2100;
  const RunPtr rows = Write(0, 512 * kGroups, 1, RowKind::kUpsert, 2000);
  std::vector<ModelRow> deleted;
  for (int i = 0; i < 512 * kGroups; ++i) {
    if (i % 512 != 5) deleted.push_back({std::string(2000, 'k'), i, 1});
  }
  Memtable memtable(ModelSchema());
  model_.Delete(deleted, ++commit_, Into(&memtable));
  const std::int64_t before = arrow::default_memory_pool()->bytes_allocated();
  store_.memory_most = 0;
  const auto made = Make(Of({rows, Keep(memtable)}));
  ASSERT_TRUE(made) << made.error().message();
  EXPECT_EQ(made->front()->data.rows, static_cast<std::uint64_t>(kGroups));
  EXPECT_LT(store_.memory_most - before, 12 * kGroup);
}

// Tasks that never come, that come when all is done, and a single thread that is busy.
TEST_F(CompactPartsTest, TheCallerDoesWhatNoTaskComesTo) {
  const std::vector<RunPtr> runs = {Write(0, 300), Write(100, 300)};
  Compaction compaction = Of(runs, 4);
  ASSERT_TRUE(Make(compaction)) << "no executor";
  ManualExecutor never;
  compaction.executor = &never;
  auto made = Make(compaction);
  ASSERT_TRUE(made) << made.error().message();
  EXPECT_EQ(VersionsOf(*made), Expected());
  const std::size_t objects = Objects();
  never.RunAll();  // late
  EXPECT_EQ(Objects(), objects);
  ThreadPool one(1);
  compaction.executor = &one;
  std::promise<void> ended;
  one.Submit([&] {
    made = Make(compaction);  // whose parts wait for the thread that this task has
    ended.set_value();
  });
  ended.get_future().wait();
  ASSERT_TRUE(made) << made.error().message();
  EXPECT_EQ(VersionsOf(*made), Expected());
}

TEST_F(CompactPartsTest, OnePartThatFailsEndsTheOthersAndLeavesNothing) {
  std::vector<RunPtr> runs;
  for (int i = 0; i < 4; ++i) runs.push_back(Write(0, 400));
  const std::size_t before = Objects();
  ThreadPool pool(2);
  for (const bool by_tasks : {true, false}) {
    Executor* const executor = by_tasks ? &pool : nullptr;
    for (int failing = 0; failing < 12; ++failing) {
      Compaction compaction = Of(runs, 3);
      compaction.executor = executor;
      compaction.run_bytes_max = 800;
      std::atomic<int> writes = 0;
      store_.before_write = [&](const std::string& name) -> Status {
        if (++writes != failing + 1) return {};
        return Fail(ErrorKind::kUnavailable, name + ": no space left", ErrorReason::kNoSpace);
      };
      const auto made = Make(compaction);
      ASSERT_FALSE(made) << failing;
      EXPECT_EQ(made.error().reason(), ErrorReason::kNoSpace) << made.error().message();
      EXPECT_NE(made.error().message().find("compaction of 4 runs of table t"), std::string::npos);
      ASSERT_EQ(Objects(), before) << failing;
      if (executor == nullptr) EXPECT_EQ(writes, failing + 1) << "the others were begun";
    }
  }
}

TEST_F(CompactPartsTest, OneThatFailsInAPassLeavesNothing) {
  CutsOfCompactions().runs_open_max = 2;
  std::vector<RunPtr> runs;
  for (int i = 0; i < 6; ++i) runs.push_back(Write(0, 100));
  const std::size_t before = Objects();
  int most = 0;
  store_.before_write = [&](const std::string&) {
    ++most;
    return Status();
  };
  ASSERT_TRUE(Make(Of(runs)));
  const int writes = std::exchange(most, 0);
  ASSERT_GT(writes, 3);
  const std::size_t after = Objects();
  EXPECT_EQ(after, before + 1);
  for (int failing = 1; failing <= writes; ++failing) {
    most = 0;
    store_.before_write = [&](const std::string&) -> Status {
      if (++most != failing) return {};
      return Fail(ErrorKind::kUnavailable, "no space left", ErrorReason::kNoSpace);
    };
    ASSERT_FALSE(Make(Of(runs)));
    ASSERT_EQ(Objects(), after) << failing;
  }
}

TEST_F(CompactPartsTest, AStopEndsAllParts) {
  std::vector<RunPtr> runs;
  for (int i = 0; i < 4; ++i) runs.push_back(Write(0, 2000));
  const std::size_t before = Objects();
  ThreadPool pool(2);
  for (int at = 1; at < 4; ++at) {
    std::stop_source stop;
    Compaction compaction = Of(runs, 3);
    compaction.executor = &pool;
    compaction.run_bytes_max = 2'000;
    compaction.stop = stop.get_token();
    std::atomic<int> writes = 0;
    store_.before_write = [&](const std::string&) {
      if (++writes == at) stop.request_stop();
      return Status();
    };
    const auto made = Make(compaction);
    ASSERT_FALSE(made) << at;
    EXPECT_EQ(made.error().reason(), ErrorReason::kClosed) << made.error().message();
    ASSERT_EQ(Objects(), before) << at;
  }
}

}  // namespace
}  // namespace varve
