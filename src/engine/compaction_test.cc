// SPDX-License-Identifier: Apache-2.0
// Compaction as users meet it: nothing that anybody reads changes, whatever goes on beside it.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/executor.h"
#include "base/random.h"
#include "base/result.h"
#include "files/files.h"
#include "files/simulated_disk.h"
#include "test/support/forwarding_files.h"
#include "test/support/rows.h"
#include "test/support/seed.h"
#include "upkeep/compact.h"
#include "upkeep/flush.h"
#include "varve/database.h"
#include "varve/inspect.h"

namespace varve {
namespace {

using testing::Rows;

// Calls what a test says when the next file is made.
class ToldFiles final : public testing::ForwardingFiles {
 public:
  ToldFiles() : ForwardingFiles(NewMemoryFiles()) {}
  std::function<void()> before_data;
  bool full = false;  // the disk

  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override {
    if (mode == OpenMode::kCreate && full && path.find("/tmp/") != std::string::npos) {
      return Fail(ErrorKind::kUnavailable, path + ": no space left", ErrorReason::kNoSpace);
    }
    if (mode == OpenMode::kCreate) {
      std::unique_lock lock(mutex_);  // parts make theirs at once
      const auto told = std::exchange(before_data, nullptr);
      lock.unlock();
      if (told) told();
    }
    return ForwardingFiles::Open(path, mode);
  }

 private:
  std::mutex mutex_;
};

class CompactionTest : public ::testing::Test {
 protected:
  CompactionTest() { Open(); }
  void SetUp() override { CutsOfFlushes() = {.row_group_rows = 5, .piece_rows_max = 2}; }
  void TearDown() override {
    db_.reset();
    CutsOfFlushes() = {};
    CutsOfCompactions() = {};
  }

  Components World() {
    Executor* const executor = pool_ == nullptr ? &executor_ : static_cast<Executor*>(pool_.get());
    return {.files = &files_, .clock = &clock_, .random = &random_, .executor = executor};
  }
  // From now on compactions have so many parts, merged by a real thread or more.
  void OpenWithParts(std::uint32_t parts, int threads) {
    db_.reset();
    pool_ = std::make_unique<ThreadPool>(threads);
    threads_ = parts;
    CutsOfCompactions().part_bytes_min = 1;
    Open();
  }
  void Open() {
    db_.reset();
    auto db = Database::Open(path_,
                             {.create_if_missing = true,
                              .memtable_bytes_max = memtable_bytes_,
                              .compaction_threads = threads_},
                             World());
    ASSERT_TRUE(db) << db.error().message();
    db_ = *std::move(db);
    ASSERT_TRUE(db_->CreateTable("t", testing::RowsSchema(), {"id"}, {.if_not_exists = true}));
  }
  void Put(const Rows& rows) {
    const auto info = db_->Upsert("t", testing::RowsBatch(rows));
    ASSERT_TRUE(info) << info.error().message();
    for (const auto& [id, value] : rows) now_[id] = value;
    then_[info->commit.value] = now_;
  }
  void Erase(std::int64_t id) {
    const auto info = db_->Delete("t", testing::RowsBatch({{id, ""}}));
    ASSERT_TRUE(info) << info.error().message();
    now_.erase(id);
    then_[info->commit.value] = now_;
  }
  // Flushed one by one.
  void PutRuns(int runs, std::int64_t keys = 20) {
    for (int run = 0; run < runs; ++run) {
      Rows rows;
      for (std::int64_t id = run; id < keys; id += 1 + run % 3) {
        rows[id] = std::to_string(run) + "-" + std::to_string(id);
      }
      Put(rows);
      Erase(run % 7);
      ASSERT_TRUE(db_->Flush());
    }
  }
  std::shared_ptr<const Snapshot> At(std::uint64_t commit) {
    auto snapshot = db_->GetSnapshot(CommitNumber{commit});
    EXPECT_TRUE(snapshot) << snapshot.error().message();
    return *snapshot;
  }
  // By scan, by count, by key, and what changed since.
  void ExpectEveryMoment() {
    for (const auto& [commit, rows] : then_) {
      const auto snapshot = At(commit);
      ASSERT_EQ(testing::ReadRows(*snapshot), rows) << "commit " << commit;
      ASSERT_EQ(snapshot->Count("t")->rows, rows.size()) << "commit " << commit;
      for (const std::int64_t id : {0, 3, 7, 19}) {
        const auto key = testing::RowsBatch({{id, ""}})->SelectColumns({0}).ValueOrDie();
        const auto found = snapshot->Get("t", key);
        ASSERT_TRUE(found) << found.error().message();
        ASSERT_EQ((*found)->num_rows(), rows.contains(id) ? 1 : 0) << commit << " " << id;
      }
    }
    std::uint64_t changes = 0;
    auto reader = db_->Changes("t", CommitNumber{0});
    ASSERT_TRUE(reader) << reader.error().message();
    for (std::shared_ptr<arrow::RecordBatch> batch; (*reader)->ReadNext(&batch).ok() && batch;) {
      changes += static_cast<std::uint64_t>(batch->num_rows());
    }
    EXPECT_EQ(changes, changes_expected_ == 0 ? changes : changes_expected_);
    changes_expected_ = changes;  // later calls see the same and more
  }
  LevelStats Level(std::size_t level) const {
    const auto levels = db_->Stats().tables.at(0).levels;
    return level < levels.size() ? levels[level] : LevelStats{};
  }
  std::size_t DataFiles() {
    std::size_t files = 0;
    for (const char* folder : {"/data/t", "/data/t/_deletes"}) {
      const auto listed = files_.List(path_ + folder);
      if (listed) files += std::ranges::count(*listed, false, &FileInfo::is_directory);
    }
    return files;
  }
  // Lets go of the database.
  std::vector<std::string> Damages() {
    db_.reset();
    const auto verified = VerifyDatabase(path_, {.deep = true}, World());
    EXPECT_TRUE(verified) << verified.error().message();
    std::vector<std::string> damages;
    for (const Damage& damage : verified->damages) damages.push_back(damage.message);
    return damages;
  }

  using Strings = std::vector<std::string>;
  std::string path_ = "/db";
  ToldFiles files_;
  ManualClock clock_;
  SeededRandom random_{1};
  ManualExecutor executor_;
  std::unique_ptr<ThreadPool> pool_;  // null: executor_
  std::uint64_t memtable_bytes_ = 1 << 20;
  std::uint32_t threads_ = 1;
  std::unique_ptr<Database> db_;
  Rows now_;
  std::map<std::uint64_t, Rows> then_;  // by commit
  std::uint64_t changes_expected_ = 0;
};

TEST_F(CompactionTest, OneTableIsOneLevelWithEachRowOnceAndEveryMomentIsAsItWas) {
  PutRuns(3);
  const auto held = At(3);
  const Rows held_rows = then_[3];
  ExpectEveryMoment();
  const auto info = db_->Compact();
  ASSERT_TRUE(info) << info.error().message();
  EXPECT_EQ(info->runs_before, 3u);
  EXPECT_EQ(info->runs_after, 1u);
  EXPECT_LT(info->bytes_after, info->bytes_before);
  EXPECT_EQ(Level(0).runs, 0u);
  EXPECT_EQ(Level(1).rows, now_.size());
  ExpectEveryMoment();
  EXPECT_EQ(testing::ReadRows(*held), held_rows);
  Open();
  ExpectEveryMoment();
  EXPECT_EQ(Damages(), Strings());
}

TEST_F(CompactionTest, WhatIsOneLevelIsLeftAlone) {
  PutRuns(2);
  ASSERT_TRUE(db_->Compact());
  const auto manifest = db_->Stats().manifest_number;
  ASSERT_TRUE(db_->Compact("t"));
  EXPECT_EQ(db_->Stats().manifest_number, manifest);
  EXPECT_EQ(db_->Compact("u").error().kind(), ErrorKind::kNotFound);
}

TEST_F(CompactionTest, FourRunsAreCompactedInTheBackground) {
  PutRuns(3);
  executor_.RunAll();
  EXPECT_EQ(db_->Stats().compactions, 0u);
  PutRuns(1);
  executor_.RunAll();
  EXPECT_EQ(db_->Stats().compactions, 1u);
  EXPECT_EQ(Level(0).runs, 0u);
  EXPECT_EQ(Level(1).runs, 1u);
  ExpectEveryMoment();
  EXPECT_EQ(Damages(), Strings());
}

TEST_F(CompactionTest, WhatWasDueWhenADatabaseClosedIsCompactedAfterItOpens) {
  PutRuns(4);
  Open();
  executor_.RunAll();
  EXPECT_EQ(Level(0).runs, 0u);
  ExpectEveryMoment();
}

// The predecessor paired data with deletes by their batches, and lost what was left of the longer.
TEST_F(CompactionTest, HoleB_RowsAndDeletesInAnyNumberOfRowGroupsAreAllThere) {
  for (int round = 0; round < 3; ++round) {
    Rows rows;
    for (std::int64_t id = 0; id < 57; ++id) rows[id] = std::to_string(round * 100 + id);
    Put(rows);
    ASSERT_TRUE(db_->Flush());
    for (std::int64_t id = round; id < 57; id += 2 + round) Erase(id);
    ASSERT_TRUE(db_->Flush());
  }
  ASSERT_TRUE(db_->Compact());
  ExpectEveryMoment();
  EXPECT_EQ(Damages(), Strings());
}

// The predecessor's compaction was thrown away when anything else was published meanwhile.
TEST_F(CompactionTest, HoleB9_AFlushBesideItDoesNotDiscardIt) {
  PutRuns(4);
  files_.before_data = [this] {
    Put({{1, "beside"}, {99, "new"}});
    Erase(2);
    ASSERT_TRUE(db_->Flush());
  };
  executor_.RunAll();
  EXPECT_EQ(db_->Stats().compactions, 1u);
  EXPECT_EQ(Level(0).runs, 1u);
  EXPECT_EQ(Level(1).runs, 1u);
  ExpectEveryMoment();
  EXPECT_EQ(Damages(), Strings());
}

// With less memory a level is thought to hold less: what is there already stops nobody.
TEST_F(CompactionTest, WhatWasThereWhenItWasOpenedStopsNoCommit) {
  SeededRandom random(7);
  for (int run = 0; run < 4; ++run) {
    Rows rows;
    for (std::int64_t id = 0; id < 200; ++id) {
      for (int i = 0; i < 250; ++i) rows[id] += std::to_string(random.Next());
    }
    Put(rows);
    ASSERT_TRUE(db_->Flush());
  }
  executor_.RunAll();
  ASSERT_EQ(Level(0).runs, 0u);
  ASSERT_GT(Level(1).bytes, 300u << 10);
  memtable_bytes_ = 4 << 10;
  Open();
  EXPECT_EQ(db_->Stats().pressure, "");
  Put({{1, "one"}});
  EXPECT_EQ(db_->Stats().commit_stopped_micros, 0u);
}

// A second task would wait for the first, and take a thread from the flushes that follow.
TEST_F(CompactionTest, WhatIsDueMeanwhileIsDoneAfterwardsByOneTask) {
  PutRuns(4);
  files_.before_data = [this] {
    while (executor_.waiting() > 0) executor_.RunOne();  // its own parts
    files_.before_data = nullptr;
    PutRuns(4);
    EXPECT_EQ(executor_.waiting(), 0u);
  };
  executor_.RunAll();
  EXPECT_EQ(Level(0).runs, 0u);
  EXPECT_GE(db_->Stats().compactions, 2u);
  ExpectEveryMoment();
}

// The predecessor kept the newest version of each key, whoever still read older ones.
TEST_F(CompactionTest, HoleK_ASnapshotThatIsHeldKeepsItsRows) {
  PutRuns(4);
  std::map<std::uint64_t, std::shared_ptr<const Snapshot>> held;
  for (const auto& [commit, rows] : then_) held[commit] = At(commit);
  executor_.RunAll();
  ASSERT_EQ(db_->Stats().compactions, 1u);
  for (const auto& [commit, snapshot] : held) {
    EXPECT_EQ(testing::ReadRows(*snapshot), then_[commit]) << commit;
  }
}

TEST_F(CompactionTest, ATransactionOlderThanItStillConflicts) {
  PutRuns(3);
  auto transaction = db_->Begin();
  ASSERT_TRUE(transaction);
  ASSERT_TRUE((*transaction)->Upsert("t", testing::RowsBatch({{5, "mine"}})));
  Erase(5);  // whose delete the compaction drops
  ASSERT_TRUE(db_->Compact());
  const auto committed = (*transaction)->Commit();
  ASSERT_FALSE(committed);
  EXPECT_EQ(committed.error().kind(), ErrorKind::kConflict);
}

TEST_F(CompactionTest, ATableThatIsDroppedMeanwhileLeavesNoFileBehind) {
  PutRuns(4);
  std::size_t files = 0;
  files_.before_data = [this, &files] {
    files = DataFiles();
    ASSERT_TRUE(db_->DropTable("t"));
  };
  executor_.RunAll();
  EXPECT_EQ(db_->Stats().compactions, 0u);
  EXPECT_EQ(DataFiles(), files);
  EXPECT_EQ(Damages(), Strings());
}

TEST_F(CompactionTest, ATableWhoseColumnsChangeMeanwhileIsReadAsItWasAndIs) {
  PutRuns(4);
  files_.before_data = [this] {
    ASSERT_TRUE(db_->AlterTable(
        "t", {AddColumn{arrow::field("n", arrow::int64()), arrow::MakeScalar(std::int64_t{7})}}));
  };
  executor_.RunAll();
  EXPECT_EQ(db_->Stats().compactions, 1u);
  const ScanOptions two{.columns = {{"id", "v"}}};
  EXPECT_EQ(testing::ReadRows(*db_->GetSnapshot().value(), "t", two), now_);
  for (const auto& [commit, rows] : then_) EXPECT_EQ(testing::ReadRows(*At(commit)), rows);
  ASSERT_TRUE(db_->Compact());  // with the columns of now
  EXPECT_EQ(testing::ReadRows(*db_->GetSnapshot().value(), "t", two), now_);
  for (const auto& [commit, rows] : then_) EXPECT_EQ(testing::ReadRows(*At(commit)), rows);
  EXPECT_EQ(Damages(), Strings());
}

TEST_F(CompactionTest, AColumnThatWasDroppedBeforeItIsThereForReadersOfThen) {
  PutRuns(3);
  ASSERT_TRUE(db_->AlterTable("t", {DropColumn{"v"}}));
  ASSERT_TRUE(db_->Compact());
  for (const auto& [commit, rows] : then_) EXPECT_EQ(testing::ReadRows(*At(commit)), rows);
  EXPECT_EQ(At(then_.rbegin()->first + 1)->Count("t")->rows, now_.size());
  EXPECT_EQ(Damages(), Strings());
}

TEST_F(CompactionTest, CommitsAreSlowedWhenItIsBehindAndWhoeverIsStoppedDoesTheWork) {
  PutRuns(11);
  EXPECT_EQ(db_->Stats().pressure, "");
  clock_.Advance(1'000'000);
  PutRuns(1);
  EXPECT_NE(db_->Stats().pressure.find("table t is behind: 12 runs at level 0"), std::string::npos);
  const auto slowed = db_->Upsert("t", testing::RowsBatch({{1, std::string(100'000, 'x')}}),
                                  {.profile = true});
  ASSERT_TRUE(slowed);
  now_[1] = std::string(100'000, 'x');
  then_[slowed->commit.value] = now_;
  EXPECT_GE(slowed->profile->pressure_micros, 1000);
  EXPECT_GE(db_->Stats().commit_slowed_micros, 1000u);
  PutRuns(12);
  EXPECT_EQ(db_->Stats().compactions, 0u);
  EXPECT_EQ(db_->Stats().commit_stopped_micros, 0u);
  Put({{1, "after"}});
  EXPECT_EQ(db_->Stats().compactions, 1u);
  EXPECT_EQ(db_->Stats().pressure, "");
  EXPECT_GT(db_->Stats().commit_stopped_micros, 0u);
  EXPECT_EQ(Level(0).runs, 0u);
  ExpectEveryMoment();
}

TEST_F(CompactionTest, ACommitThatIsStoppedByAFullDiskSaysSoAndGoesOnWhenThereIsRoom) {
  PutRuns(24);
  files_.full = true;
  executor_.RunAll();  // the task fails
  const auto refused = db_->Upsert("t", testing::RowsBatch({{1, "x"}}));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason(), ErrorReason::kNoSpace);
  EXPECT_NE(refused.error().message().find("nothing of this commit was kept: compaction is behind"),
            std::string::npos)
      << refused.error().message();
  EXPECT_EQ(testing::ReadRows(*At(then_.rbegin()->first)), now_) << "reads go on";
  files_.full = false;
  Put({{1, "after"}});
  EXPECT_EQ(Level(0).runs, 0u);
  ExpectEveryMoment();
  EXPECT_EQ(Damages(), Strings());
}

// What it writes, or takes back, must be done before somebody else opens the folder.
TEST_F(CompactionTest, CloseWaitsForOneThatACallerRuns) {
  PutRuns(3);
  std::atomic<bool> closed = false;
  std::thread closer;
  files_.before_data = [&] {
    closer = std::thread([&] {
      EXPECT_TRUE(db_->Close());
      closed = true;
    });
    while (db_->GetSnapshot()) std::this_thread::yield();
    for (int i = 0; i < 1000 && !closed; ++i) std::this_thread::yield();
    EXPECT_FALSE(closed);
  };
  (void)db_->Compact();  // may have come to its end
  closer.join();
  Open();
  ExpectEveryMoment();
  EXPECT_EQ(Damages(), Strings());
}

TEST_F(CompactionTest, ADamagedTableHoldsUpNobodyElse) {
  ASSERT_TRUE(db_->CreateTable("a", testing::RowsSchema(), {"id"}));
  for (std::int64_t id = 0; id < 30; ++id) {
    ASSERT_TRUE(db_->Upsert("a", testing::RowsBatch({{1, "x"}})));
    ASSERT_TRUE(db_->Flush());
    if (id > 0) continue;
    const auto listed = files_.List(path_ + "/data/a");
    ASSERT_TRUE(listed);
    auto file = files_.Open(path_ + "/data/a/" + listed->front().name, OpenMode::kReadWrite);
    ASSERT_TRUE(file) << file.error().message();
    ASSERT_TRUE((*file)->WriteAt(5, "damage"));
  }
  executor_.RunAll();
  EXPECT_EQ(db_->Stats().compactions, 0u);
  PutRuns(4);
  executor_.RunAll();
  EXPECT_EQ(db_->Stats().compactions, 1u) << "of the other table";
  EXPECT_EQ(db_->Stats().pressure, "");
  ExpectEveryMoment();
}

TEST_F(CompactionTest, OneThatIsCutShortLeavesOrphansThatTheNextOpenRemoves) {
  PutRuns(4);
  const std::size_t files = DataFiles();
  const std::string name = path_ + "/data/t/00000000000000000077.parquet";
  const auto orphan = files_.Open(name, OpenMode::kCreate);
  ASSERT_TRUE(orphan) << orphan.error().message();
  EXPECT_EQ(DataFiles(), files + 1);
  Open();
  EXPECT_EQ(DataFiles(), files);
  ExpectEveryMoment();
}

TEST_F(CompactionTest, AllPartsBecomeOfficialInOneEdit) {
  OpenWithParts(3, 2);
  PutRuns(2, 200);  // too few for a task to begin
  const auto held = At(then_.rbegin()->first);
  const auto manifest = db_->Stats().manifest_number;
  const auto info = db_->Compact();
  ASSERT_TRUE(info) << info.error().message();
  EXPECT_EQ(info->runs_after, 3u) << "a part each";
  EXPECT_EQ(db_->Stats().manifest_number, manifest + 1);
  EXPECT_EQ(testing::ReadRows(*held), now_);
  ExpectEveryMoment();
  Open();
  ExpectEveryMoment();
  EXPECT_EQ(Damages(), Strings());
}

// The only thread is that of the compaction, whose parts nobody else comes to.
TEST_F(CompactionTest, OneThreadIsEnoughForParts) {
  OpenWithParts(4, 1);
  PutRuns(4, 200);
  while (db_->Stats().compactions == 0) std::this_thread::yield();
  EXPECT_GT(Level(1).runs, 1u);
  ExpectEveryMoment();
  EXPECT_EQ(Damages(), Strings());
}

TEST_F(CompactionTest, AFullDiskDuringAPartLeavesEverythingAsItWas) {
  OpenWithParts(3, 2);
  PutRuns(2, 200);  // too few for a task to begin
  const std::size_t files = DataFiles();
  files_.full = true;
  const auto refused = db_->Compact();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason(), ErrorReason::kNoSpace);
  files_.full = false;
  EXPECT_EQ(DataFiles(), files);
  ExpectEveryMoment();
  ASSERT_TRUE(db_->Compact());
  ExpectEveryMoment();
  EXPECT_EQ(Damages(), Strings());
}

TEST_F(CompactionTest, CloseEndsAllPartsOfACompaction) {
  OpenWithParts(3, 2);
  PutRuns(2, 200);  // too few for a task to begin
  const std::size_t files = DataFiles();
  std::thread closer;
  files_.before_data = [&] {  // when the first part begins its first file
    closer = std::thread([&] { EXPECT_TRUE(db_->Close()); });
    while (db_->GetSnapshot()) std::this_thread::yield();
  };
  const auto ended = db_->Compact();
  closer.join();
  if (!ended) {  // else it had come to its end before Close ended it
    EXPECT_EQ(ended.error().reason(), ErrorReason::kClosed) << ended.error().message();
    EXPECT_EQ(DataFiles(), files) << ended.error().message();
  }
  Open();
  ExpectEveryMoment();
  EXPECT_EQ(Damages(), Strings());
}

TEST_F(CompactionTest, WhateverIsWrittenAndCompactedEveryMomentStays) {
  for (int life = 0; life < 12; ++life) {
    const std::uint64_t seed = testing::TestSeed() + static_cast<std::uint64_t>(life);
    SCOPED_TRACE(testing::SeedTrace(seed));
    SeededRandom random(seed);
    path_ = "/life" + std::to_string(life);
    db_.reset();
    threads_ = 1 + static_cast<std::uint32_t>(life % 3);
    CutsOfCompactions() = {.part_bytes_min = 1, .runs_open_max = 2 + random.Below(12)};
    now_.clear();
    then_.clear();
    changes_expected_ = 0;
    ASSERT_NO_FATAL_FAILURE(Open());
    for (int step = 0; step < 40; ++step) {
      const auto id = static_cast<std::int64_t>(random.Below(20));
      switch (random.Below(8)) {
        case 0: ASSERT_TRUE(db_->Flush()); break;
        case 1: executor_.RunAll(); break;
        case 2: ASSERT_TRUE(random.Below(3) != 0 || db_->Compact()); break;
        case 3: Erase(id); break;
        case 4: if (random.Below(4) == 0) Open(); break;
        default: Put({{id, "s" + std::to_string(step)}, {id + 1, "t"}, {id / 2, "u"}});
      }
    }
    ASSERT_NO_FATAL_FAILURE(ExpectEveryMoment());
    ASSERT_EQ(Damages(), Strings());
  }
}

}  // namespace
}  // namespace varve
