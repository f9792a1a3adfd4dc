// SPDX-License-Identifier: Apache-2.0
// Holes that were found in another engine of this kind, by their letters; what its design did is
// planted in test/planted/bugs.json, and caught here. Others of them: grep -r Hole src test.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/executor.h"
#include "base/random.h"
#include "files/simulated_disk.h"
#include "test/support/heap.h"
#include "test/support/rows.h"
#include "varve/database.h"

namespace varve {
namespace {

using testing::ReadRows;
using testing::Rows;
using testing::RowsBatch;

class HolesTest : public ::testing::Test {
 protected:
  void Open(SimulatedDisk* disk) {
    db_.reset();
    const Components world{
        .files = disk, .clock = &clock_, .random = &random_, .executor = &executor_};
    auto db = Database::Open("/db", options_, world);
    ASSERT_TRUE(db) << db.error().message();
    db_ = *std::move(db);
  }
  void Make(SimulatedDisk* disk) {
    Open(disk);
    ASSERT_TRUE(db_->CreateTable("t", testing::RowsSchema(), {"id"}));
    ASSERT_TRUE(db_->CreateTable("u", testing::RowsSchema(), {"id"}));
  }
  void Put(const Rows& rows) {
    const auto put = db_->Upsert("t", RowsBatch(rows));
    ASSERT_TRUE(put) << put.error().message();
  }
  Rows Read(const std::string& table = "t") { return ReadRows(**db_->GetSnapshot(), table); }

  OpenOptions options_{.create_if_missing = true};
  ManualClock clock_;
  SeededRandom random_{1};
  ManualExecutor executor_;
  SimulatedDisk disk_;
  std::unique_ptr<Database> db_;
};

// c: a snapshot was a list of files; what was not flushed when it was taken went from it when it
// was. Wherever its rows are when it is taken - in the active memtable, or sealed and not yet
// flushed - it keeps them, and so do a reader that is half way and a snapshot as of an older
// commit.
TEST_F(HolesTest, HoleC_ASnapshotKeepsItsRowsWhateverIsFlushed) {
  options_.seal_policy = SealAt({.commits_max = 3});  // sealed at once, flushed by RunAll
  Make(&disk_);
  std::vector<std::pair<std::shared_ptr<Snapshot>, Rows>> held;
  std::vector<std::shared_ptr<arrow::RecordBatchReader>> readers;
  std::vector<Rows> after = {{}};
  for (std::int64_t i = 1; i <= 12; ++i) {
    Put({{i % 5, "v" + std::to_string(i)}});
    after.push_back(after.back());
    after.back()[i % 5] = "v" + std::to_string(i);
    for (std::size_t commit = 0; commit < after.size(); ++commit) {
      held.emplace_back(*db_->GetSnapshot(CommitNumber{commit}), after[commit]);
    }
    readers.push_back(*held.back().first->Scan("t", {.batch_rows_max = 1}));
    std::shared_ptr<arrow::RecordBatch> first;
    ASSERT_TRUE(readers.back()->ReadNext(&first).ok());
    if (i % 4 == 0) executor_.RunAll();
    for (const auto& [snapshot, rows] : held) {
      ASSERT_EQ(ReadRows(*snapshot), rows) << "as of " << snapshot->commit().value;
    }
  }
  ASSERT_TRUE(db_->Flush());
  Put({{1, "last"}});
  ASSERT_TRUE(db_->Flush());
  for (const auto& [snapshot, rows] : held) ASSERT_EQ(ReadRows(*snapshot), rows);
  for (std::size_t i = 0; i < readers.size(); ++i) {
    EXPECT_EQ(testing::Drain(readers[i].get()).size(), after[i + 1].size() - 1);
  }
}

// f: a version's time was a counter of manifests, but a read as of it took it for a commit: a held
// snapshot and the version it was taken from meant different rows.
TEST_F(HolesTest, HoleF_AVersionsTimeIsWhenItsCommitWasMade) {
  Make(&disk_);
  std::vector<std::pair<WallTime, Rows>> moments;
  for (std::int64_t i = 1; i <= 20; ++i) {
    clock_.Advance(60'000'000);
    Put({{i % 3, "v" + std::to_string(i)}});
    moments.emplace_back(clock_.Now(), Read());
    if (i % 6 == 0) {
      ASSERT_TRUE(db_->Flush());
    }
    if (i % 7 == 0) Open(&disk_);
  }
  for (const auto& [moment, rows] : moments) {
    const auto snapshot = db_->GetSnapshot(moment);
    ASSERT_TRUE(snapshot) << snapshot.error().message();
    EXPECT_EQ(ReadRows(**snapshot), rows) << "as of commit " << (*snapshot)->commit().value;
  }
  const auto versions = db_->Versions();
  EXPECT_EQ(versions.size(), 5u);  // three flushes, two commits since
  for (const Version& version : versions) {
    const auto snapshot = db_->GetSnapshot(version.time);
    ASSERT_TRUE(snapshot) << snapshot.error().message();
    EXPECT_EQ((*snapshot)->commit(), version.commit);
  }
}

// d: its check for conflicts asked memory alone, and plain writes took no part in it.
TEST_F(HolesTest, HoleD_APlainWriteThatIsInARunByNowIsAConflict) {
  options_.memtable_bytes_max = 64 << 10;  // so that its key is not remembered for long
  Make(&disk_);
  Put({{1, "a"}});
  const auto in = *db_->Begin();
  ASSERT_TRUE(in->Upsert("t", RowsBatch({{1, "mine"}})));
  Put({{1, "theirs"}});
  for (std::int64_t i = 0; i < 1500; ++i) Put({{100 + i, "other"}});
  ASSERT_TRUE(db_->Flush());
  const auto info = in->Commit();
  ASSERT_FALSE(info) << "an update was lost";
  EXPECT_EQ(info.error().kind(), ErrorKind::kConflict) << info.error().message();
  EXPECT_EQ(Read()[1], "theirs");
}

// l: its transactions in the log had numbers that began anew after a crash, so that what one had
// left there could become part of another. Here nothing of one is in the log before its commit, and
// that is one unit: whatever a crash leaves of it is all or nothing, also for those that follow.
TEST_F(HolesTest, HoleL_WhatACrashLeftOfATransactionIsNeverAdopted) {
  const auto transact = [&](const std::string& value) {
    const auto in = *db_->Begin();
    ASSERT_TRUE(in->Upsert("t", RowsBatch({{1, value}, {2, value}})));
    ASSERT_TRUE(in->Upsert("u", RowsBatch({{1, value}})));
    (void)in->Commit();
  };
  Make(&disk_);
  int gone = 0, whole = 0;
  bool crashed = true;
  for (std::uint64_t event = 1; crashed; ++event) {
    for (const auto survival : kAllSurvivals) {
      SCOPED_TRACE("event " + std::to_string(event) + ", " + std::string(ToString(survival)));
      const auto left = disk_.Clone();
      Open(left.get());
      left->CrashAtEvent(left->events() + event);
      transact("lost");
      crashed = left->crashed();
      left->CrashAtEvent(0);
      db_.reset();
      left->Crash(survival, &random_);
      Open(left.get());
      const auto found = Read();
      EXPECT_TRUE(found.empty() || found == (Rows{{1, "lost"}, {2, "lost"}})) << found.size();
      EXPECT_EQ(Read("u").size(), found.size() / 2);
      ++(found.empty() ? gone : whole);
      const auto in = *db_->Begin();
      ASSERT_TRUE(in->Upsert("t", RowsBatch({{9, "next"}})));
      ASSERT_TRUE(in->Commit());
      auto expected = found;
      expected[9] = "next";
      EXPECT_EQ(Read(), expected);
      Open(left.get());
      EXPECT_EQ(Read(), expected);
    }
  }
  EXPECT_GT(gone, 0);
  EXPECT_GT(whole, 0);
}

// i: files were never synced, and the log that had their rows was cut all the same. Whatever of a
// flush is not durable when power goes, the log still has.
TEST_F(HolesTest, HoleI_TheLogIsCutOnlyOnceTheFilesAreDurable) {
  options_.log_segment_bytes_max = 64 << 10;
  Make(&disk_);
  for (std::int64_t i = 0; i < 12; ++i) Put({{i, std::string(20'000, 'i')}});
  const Rows rows = Read();
  const auto segments = [&] { return db_->Stats().log.segments.size(); };
  const std::size_t before = segments();
  ASSERT_GT(before, 2u);
  db_.reset();
  bool crashed = true;
  for (std::uint64_t event = 1; crashed; ++event) {
    for (const auto survival : kAllSurvivals) {
      SCOPED_TRACE("event " + std::to_string(event) + ", " + std::string(ToString(survival)));
      const auto left = disk_.Clone();
      Open(left.get());
      left->CrashAtEvent(left->events() + event);
      const auto flushed = db_->Flush();
      crashed = left->crashed();
      if (!crashed) {
        EXPECT_LT(segments(), before) << "else it shows nothing";
        EXPECT_TRUE(flushed);
      }
      left->CrashAtEvent(0);
      db_.reset();
      left->Crash(survival, &random_);
      Open(left.get());
      ASSERT_EQ(Read(), rows);
      db_.reset();
    }
  }
}

// j: a file that stood for a lock outlived who had made it, and nobody could write any more.
TEST_F(HolesTest, HoleJ_TheLockOfADeadProcessHoldsNobodyUp) {
  Make(&disk_);
  Put({{1, "a"}});
  disk_.KillProcess();
  EXPECT_TRUE(disk_.Info("/db/LOCK"));
  auto dead = std::move(db_);
  Open(&disk_);
  Put({{2, "b"}});
  ASSERT_TRUE(db_->Flush());
  EXPECT_EQ(Read(), (Rows{{1, "a"}, {2, "b"}}));
}

// m: a limit of the log's size deleted segments that had the only copy of rows. There is none of a
// database: a log grows until a flush has its rows, however small its segments are.
TEST_F(HolesTest, HoleM_NoLimitOfSizeDeletesWhatIsNeeded) {
  options_.log_segment_bytes_max = 64 << 10;
  options_.memtable_bytes_max = 64 << 20;
  Make(&disk_);
  Rows rows;
  for (std::int64_t i = 0; i < 60; ++i) {
    rows[i] = std::string(20'000, 'm');
    Put({{i, rows[i]}});
  }
  EXPECT_GT(db_->Stats().log.segments.size(), 10u);
  db_.reset();
  disk_.Crash(Survival::kAllLost, &random_);
  Open(&disk_);
  EXPECT_EQ(Read(), rows);
}

// n: where the log may be cut was found from the active rows alone, not from those that were sealed
// meanwhile and not yet in a file.
TEST_F(HolesTest, HoleN_RowsThatAreSealedAndNotFlushedKeepTheLog) {
  options_.log_segment_bytes_max = 64 << 10;
  options_.seal_policy = SealAt({.commits_max = 4});
  Make(&disk_);
  Rows rows;
  for (std::int64_t i = 0; i < 22; ++i) {  // several are sealed, and none of them is flushed
    rows[i] = std::string(20'000, 'n');
    Put({{i, rows[i]}});
  }
  while (executor_.RunOne()) {  // one step of the background at a time
    const auto left = disk_.Clone();
    left->Crash(Survival::kAllLost, &random_);
    ManualExecutor reads_ahead;  // which is no step of the writer's
    const Components world{.files = left.get(), .clock = &clock_, .random = &random_,
                           .executor = &reads_ahead};
    const auto after = Database::Open("/db", {.read_only = true, .lease = false}, world);
    ASSERT_TRUE(after) << after.error().message();
    ASSERT_EQ(ReadRows(**(*after)->GetSnapshot(), "t"), rows);
  }
}

// o: whoever asked about the log repaired the end of the segment that was being written.
TEST_F(HolesTest, HoleO_WhoLooksAtALogChangesNothingOfIt) {
  Make(&disk_);
  Put({{1, "a"}});
  const auto segment = "/db/log/" + db_->Stats().log.segments.back().name;
  const auto whole = disk_.Peek(segment);
  ASSERT_TRUE(whole);
  const Components world{
      .files = &disk_, .clock = &clock_, .random = &random_, .executor = &executor_};
  for (int i = 0; i < 3; ++i) {
    const auto reader = Database::Open("/db", {.read_only = true, .lease = false}, world);
    ASSERT_TRUE(reader) << reader.error().message();
    EXPECT_EQ((*reader)->Stats().visible, db_->Stats().visible);
    EXPECT_EQ(*disk_.Peek(segment), *whole);
  }
  Put({{2, "b"}});
  db_.reset();
  // With half a unit at its end, as a kill leaves it.
  std::string torn = *disk_.Peek(segment);
  torn.replace(3 * torn.size() / 4, 100, std::string(100, 'o'));
  disk_.Poke(segment, torn);
  (void)Database::Open("/db", {.read_only = true, .lease = false}, world);
  EXPECT_EQ(*disk_.Peek(segment), torn);
}

// p: a damaged length looked like the end of the log, in any segment, and all behind it was gone
// without a word.
TEST_F(HolesTest, HoleP_ADamagedLengthIsNoEndOfTheLog) {
  options_.log_segment_bytes_max = 64 << 10;
  Make(&disk_);
  for (std::int64_t i = 0; i < 12; ++i) Put({{i, std::string(20'000, 'p')}});
  const auto segments = db_->Stats().log.segments;
  ASSERT_GT(segments.size(), 2u);
  db_.reset();
  const auto path = "/db/log/" + segments.front().name;
  const auto whole = disk_.Peek(path);
  ASSERT_TRUE(whole);
  int refused = 0;
  for (std::size_t at = 4096; at < 4096 + 64; ++at) {  // the first frame's header
    std::string damaged = *whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x21);
    disk_.Poke(path, damaged);
    const Components world{
        .files = &disk_, .clock = &clock_, .random = &random_, .executor = &executor_};
    const auto opened = Database::Open("/db", options_, world);
    if (opened) {
      EXPECT_EQ(ReadRows(**(*opened)->GetSnapshot(), "t").size(), 12u) << "byte " << at;
    } else {
      EXPECT_EQ(opened.error().kind(), ErrorKind::kCorruption) << opened.error().message();
      ++refused;
    }
  }
  EXPECT_GT(refused, 30);
}

TEST_F(HolesTest, AThousandOpenTransactionsCostMemoryAndNothingElse) {
  constexpr int kMany = 1000;
  constexpr int kBytesEach = 4 << 10;  // of a snapshot and a row
  Make(&disk_);
  Put({{1, "a"}});
  std::vector<std::unique_ptr<Transaction>> open;
  open.reserve(kMany);
  const auto before = testing::HeapBytes();
  for (int i = 0; i < kMany; ++i) {
    open.push_back(*db_->Begin());
    ASSERT_TRUE(open.back()->Upsert("t", RowsBatch({{100 + i, "mine"}})));
    if (i % 100 == 0) Put({{1, "b" + std::to_string(i)}});
  }
  const auto held = testing::HeapBytes() - before;
  EXPECT_LT(held, kMany * kBytesEach);
  const auto events = disk_.events();
  Put({{2, "plain"}});
  EXPECT_LE(disk_.events() - events, 2u) << "a commit beside them does what it always does";
  ASSERT_TRUE(db_->Flush());
  EXPECT_EQ(Read().size(), 2u);
  const auto beside = testing::HeapBytes();
  for (std::size_t i = 1; i < kMany; i += 2) open[i]->Abort();
  if (testing::kCountsHeap) {
    EXPECT_LT(testing::HeapBytes(), beside - held * 2 / 5) << "half of them";
  }
  for (std::size_t i = 0; i < kMany; i += 2) {
    const auto info = open[i]->Commit();
    ASSERT_TRUE(info) << info.error().message();
  }
  open.clear();
  EXPECT_EQ(Read().size(), 2u + kMany / 2);
}

}  // namespace
}  // namespace varve
