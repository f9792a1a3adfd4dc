// SPDX-License-Identifier: Apache-2.0
// Compactions of any runs, again and again: each reader of then and now sees what the model has.
#include "upkeep/compact.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "base/result.h"
#include "run/merge.h"
#include "run/run_test_world.h"
#include "upkeep/flush.h"

namespace varve {
namespace {

using namespace varve::testing;
using RunPtr = std::shared_ptr<const Run>;

// A table's runs, and what they must hold.
class CompactTest : public ::testing::Test {
 protected:
  void SetUp() override {
    CutsOfFlushes() = {.row_group_rows = 7, .piece_rows_max = 3};
    CutsOfCompactions().part_bytes_min = 1;
  }
  void TearDown() override {
    CutsOfFlushes() = {};
    CutsOfCompactions() = {};
  }

  void Flush(SeededRandom* random) {
    Memtable memtable(ModelSchema());
    for (std::uint64_t i = 1 + random->Below(6); i > 0; --i) {
      model_.RandomCommit(random, ++commit_, 12, 60, Into(&memtable));
    }
    const auto rows = 1 + static_cast<std::int64_t>(random->Below(40));
    runs_.push_back(world_->Flush(memtable, rows)->run());
    next_id_ = std::max(next_id_, runs_.back()->meta().id);
  }

  RunPtr Open(const RunMeta& meta) {
    const auto run = world_->Open(ModelSchema(), meta);
    EXPECT_TRUE(run) << run.error().message();
    return (*run)->run();
  }

  Compaction Choose(SeededRandom* random) {
    Compaction compaction{.table_name = "t", .schema = ModelSchema()};
    compaction.run_bytes_max = random->Below(4000);
    compaction.parts_max = 1 + random->Below(3);
    CutsOfCompactions().runs_open_max = 2 + random->Below(10);
    for (const auto& run : runs_) {
      if (run->meta().hidden_from != 0) continue;
      if (random->Below(3) != 0) compaction.inputs.push_back(run);
    }
    if (random->Below(4) == 0) compaction.altered = random->Below(commit_ + 1);
    compaction.older = FindOlder(Metas(), compaction);
    return compaction;
  }

  std::vector<std::shared_ptr<const RunMeta>> Metas() const {
    std::vector<std::shared_ptr<const RunMeta>> metas;
    for (const auto& run : runs_) metas.push_back(std::make_shared<const RunMeta>(run->meta()));
    return metas;
  }

  void Compact(const Compaction& compaction) {
    const auto made = CompactRuns(world_->store(), compaction,
                                  [this] { return 1000 + ++next_id_; });
    ASSERT_TRUE(made) << made.error().message();
    const std::uint64_t from = compaction.shown_from();
    for (auto& run : runs_) {
      if (std::ranges::find(compaction.inputs, run) == compaction.inputs.end()) continue;
      RunMeta hidden = run->meta();
      hidden.hidden_from = from;
      run = Open(hidden);
    }
    std::string last;
    for (const auto& meta : *made) {
      EXPECT_EQ(meta->shown_from, from);
      EXPECT_EQ(meta->level, compaction.level);
      EXPECT_TRUE(meta->distinct_keys);
      EXPECT_TRUE(last.empty() || last < meta->min_key);
      last = meta->max_key;
      if (compaction.older.empty()) EXPECT_EQ(meta->deletes.name, "");
      runs_.push_back(Open(*meta));
      EXPECT_EQ(Findings(*runs_.back()->Open(), true), std::vector<std::string>());
    }
  }

  void ExpectModelAt(std::uint64_t as_of, const KeyBounds& bounds) {
    std::vector<std::unique_ptr<VersionCursor>> cursors;
    for (const auto& run : runs_) {
      if (run->meta().IsShownAt(as_of)) {
        cursors.push_back(run->Open()->NewCursor({0, 1, 2, 3}, bounds));
      }
    }
    VisibleRows rows(std::move(cursors), as_of);
    const auto expected = model_.Visible(as_of, bounds);
    auto want = expected.begin();
    while (true) {
      const auto chosen = rows.Next(50);
      ASSERT_TRUE(chosen) << chosen.error().message();
      if (chosen->slices.empty()) break;
      for (const auto& slice : chosen->slices) {
        for (std::int64_t i = 0; i < slice.length; ++i, ++want) {
          ASSERT_NE(want, expected.end()) << "as of " << as_of;
          ExpectRow(*slice.batch, slice.start + i, want->second, {0, 1, 2, 3});
        }
      }
    }
    ASSERT_EQ(want, expected.end()) << "as of " << as_of;
  }

  // What changes and conflicts are looked for in.
  void ExpectAllVersions() {
    std::uint64_t versions = 0, expected = 0;
    for (const auto& run : runs_) {
      if (!run->meta().HoldsAllVersions()) continue;
      versions += run->meta().data.rows + run->meta().deletes.rows;
    }
    for (const auto& [key, of_key] : model_.versions()) expected += of_key.size();
    EXPECT_EQ(versions, expected);
  }

  std::unique_ptr<RunWorld> world_ = std::make_unique<RunWorld>();
  VersionModel model_;
  std::uint64_t commit_ = 0;
  std::uint64_t next_id_ = 0;
  std::vector<RunPtr> runs_;
};

TEST_F(CompactTest, EachReaderSeesTheSameWhateverIsCompacted) {
  for (int life = 0; life < 30; ++life) {
    const std::uint64_t seed = TestSeed() + static_cast<std::uint64_t>(life);
    SCOPED_TRACE(SeedTrace(seed));
    SeededRandom random(seed);
    world_ = std::make_unique<RunWorld>();
    model_ = VersionModel();
    runs_.clear();
    commit_ = next_id_ = 0;
    for (int step = 0; step < 12; ++step) {
      Flush(&random);
      const Compaction compaction = Choose(&random);
      if (!compaction.inputs.empty()) {
        ASSERT_NO_FATAL_FAILURE(Compact(compaction));
      }
      for (int i = 0; i < 8; ++i) {
        ASSERT_NO_FATAL_FAILURE(
            ExpectModelAt(random.Below(commit_ + 2), model_.RandomBounds(&random)));
      }
      ASSERT_NO_FATAL_FAILURE(ExpectModelAt(commit_, {}));
    }
    ExpectAllVersions();
  }
}

// Written, deleted, written: the first and the last are compacted, and then the delete alone, which
// readers of its commit still need.
TEST_F(CompactTest, ADeleteStaysAsLongAsAnOlderVersionIsShownBesideIt) {
  Memtable first(ModelSchema()), deleted(ModelSchema()), last(ModelSchema());
  model_.Upsert({{"a", 1, 1}}, 1, Into(&first));
  model_.Delete({{"a", 1, 1}}, 2, Into(&deleted));
  model_.Upsert({{"a", 1, 3}}, 3, Into(&last));
  commit_ = 3;
  runs_ = {world_->Flush(first, 5)->run(), world_->Flush(deleted, 5)->run(),
           world_->Flush(last, 5)->run()};
  for (const auto& inputs : {std::vector<RunPtr>{runs_[0], runs_[2]}, {runs_[1]}}) {
    Compaction compaction{.table_name = "t", .schema = ModelSchema(), .inputs = inputs};
    compaction.older = FindOlder(Metas(), compaction);
    Compact(compaction);
  }
  for (const std::uint64_t commit : {1, 2, 3}) ExpectModelAt(commit, {});
}

TEST_F(CompactTest, OutputsAreCutAtKeysBySize) {
  SeededRandom random(1);
  for (int i = 0; i < 10; ++i) Flush(&random);
  Compaction all{.table_name = "t", .schema = ModelSchema(), .inputs = runs_, .run_bytes_max = 200};
  Compact(all);
  EXPECT_GT(runs_.size(), 13u);
  ExpectModelAt(commit_, {});
}

TEST_F(CompactTest, WhenEveryKeyIsDeletedNothingIsLeft) {
  Memtable rows(ModelSchema()), deletes(ModelSchema());
  model_.Upsert({{"a", 1, 1}, {"b", 2, 2}}, 1, Into(&rows));
  model_.Delete({{"a", 1, 3}, {"b", 2, 4}}, 2, Into(&deletes));
  commit_ = 2;
  runs_ = {world_->Flush(rows, 5)->run(), world_->Flush(deletes, 5)->run()};
  Compact({.table_name = "t", .schema = ModelSchema(), .inputs = runs_});
  EXPECT_EQ(runs_.size(), 2u);
  ExpectModelAt(1, {});
  ExpectModelAt(2, {});
}

TEST_F(CompactTest, OneThatFailsAfterSomeOutputsLeavesNone) {
  SeededRandom random(1);
  for (int i = 0; i < 10; ++i) Flush(&random);
  const auto objects = [&] { return world_->store()->List("data/")->size(); };
  const auto before = objects();
  Compaction compaction{.table_name = "t", .schema = ModelSchema(), .inputs = runs_};
  compaction.run_bytes_max = 200;
  std::size_t most = 0;
  std::uint64_t id = 1000;
  const auto made = CompactRuns(world_->store(), compaction, [&] {
    most = std::max(most, objects());
    return ++id == 1003 ? 1001 : id;  // a name that is taken
  });
  ASSERT_FALSE(made);
  EXPECT_GT(most, before) << "some were there";
  EXPECT_EQ(objects(), before);
}

TEST_F(CompactTest, OneThatIsStoppedLeavesNothing) {
  SeededRandom random(1);
  for (int i = 0; i < 10; ++i) Flush(&random);
  const auto objects = [&] { return world_->store()->List("data/")->size(); };
  const auto before = objects();
  std::stop_source stop;
  int ids = 0;
  const Compaction compaction{.table_name = "t",
                              .schema = ModelSchema(),
                              .inputs = runs_,
                              .run_bytes_max = 500,
                              .stop = stop.get_token()};
  stop.request_stop();
  const auto made = CompactRuns(world_->store(), compaction,
                                [&] { return 1000u + static_cast<unsigned>(++ids); });
  ASSERT_FALSE(made);
  EXPECT_NE(made.error().message().find("compaction of 10 runs of table t"), std::string::npos);
  EXPECT_EQ(objects(), before);
}

}  // namespace
}  // namespace varve
