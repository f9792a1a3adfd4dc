// SPDX-License-Identifier: Apache-2.0
// Making, listing, renaming and dropping tables, each a commit; what older snapshots show of it,
// and what becomes of those who write meanwhile.
#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/executor.h"
#include "base/random.h"
#include "files/simulated_disk.h"
#include "test/support/rows.h"
#include "varve/database.h"
#include "varve/inspect.h"

namespace varve {
namespace {

using testing::Rows;
using testing::RowsBatch;
using testing::RowsSchema;

class TablesTest : public ::testing::Test {
 protected:
  TablesTest() : random_(1) {}
  void SetUp() override {
    Open();
    Create("t");
  }
  Components World() {
    return {.files = &disk_, .clock = &clock_, .random = &random_, .executor = &executor_};
  }
  void Open(OpenOptions options = {.create_if_missing = true}) {
    db_.reset();
    auto db = Database::Open("/db", options, World());
    ASSERT_TRUE(db) << db.error().message();
    db_ = *std::move(db);
  }
  void Create(const std::string& table) {
    const auto made = db_->CreateTable(table, RowsSchema(), {"id"});
    ASSERT_TRUE(made) << made.error().message();
  }
  std::uint64_t Put(const Rows& rows, const std::string& table = "t") {
    const auto info = db_->Upsert(table, RowsBatch(rows));
    EXPECT_TRUE(info) << info.error().message();
    return info ? info->commit.value : 0;
  }
  std::uint64_t Drop(const std::string& table) {
    const auto commit = db_->DropTable(table);
    EXPECT_TRUE(commit) << commit.error().message();
    return commit ? commit->value : 0;
  }
  std::uint64_t Rename(const std::string& from, const std::string& to) {
    const auto commit = db_->RenameTable(from, to);
    EXPECT_TRUE(commit) << commit.error().message();
    return commit ? commit->value : 0;
  }
  std::shared_ptr<Snapshot> At(std::uint64_t commit) {
    auto snapshot = db_->GetSnapshot(CommitNumber{commit});
    EXPECT_TRUE(snapshot) << snapshot.error().message();
    return *std::move(snapshot);
  }
  Rows Read(std::uint64_t commit, const std::string& table) {
    return testing::ReadRows(*At(commit), table);
  }
  Rows Read(const std::string& table = "t") {
    return testing::ReadRows(**db_->GetSnapshot(), table);
  }
  using Names = std::vector<std::string>;
  Names NamesAt(std::uint64_t commit) { return At(commit)->Tables(); }
  static void ExpectError(const Error& error, ErrorKind kind, const std::string& part) {
    EXPECT_EQ(error.kind(), kind) << error.message();
    EXPECT_NE(error.message().find(part), std::string::npos) << error.message();
  }
  void ExpectSound() {
    ASSERT_TRUE(db_->Close());
    db_.reset();
    const auto verified = VerifyDatabase("/db", {.deep = true}, World());
    ASSERT_TRUE(verified) << verified.error().message();
    ASSERT_TRUE(verified->damages.empty()) << verified->damages[0].message;
  }

  SimulatedDisk disk_;
  ManualClock clock_;
  SeededRandom random_;
  ManualExecutor executor_;
  std::unique_ptr<Database> db_;
};

// What a database is asked once, and again after each reopening.
template <typename Check>
void EveryTime(TablesTest*, const Check& check, const std::function<void()>& reopen) {
  check();
  reopen();
  check();
  reopen();
  check();
}

TEST_F(TablesTest, ADroppedTableIsGoneAndOlderVersionsShowIt) {
  Create("u");
  Put({{1, "a"}}, "u");
  Put({{1, "t"}});
  ASSERT_TRUE(db_->Flush());
  Put({{2, "b"}}, "u");  // in memory when it is dropped
  EXPECT_EQ(Drop("u"), 4u);
  Put({{2, "T"}});
  const auto check = [&] {
    const auto gone = db_->Upsert("u", RowsBatch({{1, "x"}}));
    ASSERT_FALSE(gone);
    ExpectError(gone.error(), ErrorKind::kNotFound, "tables: t");
    EXPECT_EQ((*db_->GetSnapshot())->Scan("u").error().kind(), ErrorKind::kNotFound);
    EXPECT_EQ(NamesAt(4), Names{"t"});
    EXPECT_EQ(NamesAt(3), (Names{"t", "u"}));
    EXPECT_EQ(Read(3, "u"), (Rows{{1, "a"}, {2, "b"}}));
    EXPECT_EQ(Read(1, "u"), (Rows{{1, "a"}}));
    EXPECT_EQ(Read(3, "t"), (Rows{{1, "t"}})) << "the other table, at that time";
    EXPECT_EQ(Read(), (Rows{{1, "t"}, {2, "T"}}));
  };
  EveryTime(this, check, [this] { Open(); });
  ExpectSound();
}

TEST_F(TablesTest, ARenamedTableKeepsItsRowsAndWasCalledAsItWas) {
  Put({{1, "a"}});
  EXPECT_EQ(Rename("t", "u"), 2u);
  Put({{2, "b"}}, "u");
  ASSERT_TRUE(db_->Flush());
  EXPECT_EQ(Rename("u", "v"), 4u);
  const auto check = [&] {
    EXPECT_EQ(NamesAt(1), Names{"t"});
    EXPECT_EQ(NamesAt(2), Names{"u"});
    EXPECT_EQ(NamesAt(3), Names{"u"});
    EXPECT_EQ(NamesAt(4), Names{"v"});
    EXPECT_EQ(Read(1, "t"), (Rows{{1, "a"}}));
    EXPECT_EQ(Read(2, "u"), (Rows{{1, "a"}}));
    EXPECT_EQ(Read("v"), (Rows{{1, "a"}, {2, "b"}}));
  };
  EveryTime(this, check, [this] { Open(); });
  EXPECT_EQ(Put({{3, "c"}}, "v"), 5u);
  EXPECT_EQ(Read("v"), (Rows{{1, "a"}, {2, "b"}, {3, "c"}}));
  ExpectSound();
}

// Three tables had this name, one after the other, and one of them has another by now.
TEST_F(TablesTest, ANameIsTheTablesThatHadItThen) {
  Put({{1, "first"}});
  EXPECT_EQ(Drop("t"), 2u);
  Create("t");
  Put({{2, "second"}});
  EXPECT_EQ(Rename("t", "old"), 4u);
  Create("t");
  Put({{3, "third"}});
  const auto check = [&] {
    EXPECT_EQ(Read(1, "t"), (Rows{{1, "first"}}));
    EXPECT_EQ(Read(2, "t"), Rows{});
    EXPECT_EQ(Read(3, "t"), (Rows{{2, "second"}}));
    EXPECT_EQ(Read(5, "t"), (Rows{{3, "third"}}));
    EXPECT_EQ(Read(5, "old"), (Rows{{2, "second"}}));
    EXPECT_EQ(Read(4, "old"), (Rows{{2, "second"}}));
    EXPECT_EQ(Read("t"), (Rows{{3, "third"}}));
  };
  EveryTime(this, check, [this] { Open(); });
  ExpectSound();
}

TEST_F(TablesTest, SnapshotsThatWereTakenBeforeDoNotMove) {
  Put({{1, "flushed"}});
  ASSERT_TRUE(db_->Flush());
  Put({{2, "in memory"}});
  const auto before = *db_->GetSnapshot();
  auto reader = *before->Scan("t", {.batch_rows_max = 1});
  std::shared_ptr<arrow::RecordBatch> batch;
  ASSERT_TRUE(reader->ReadNext(&batch).ok());
  Rename("t", "u");
  Drop("u");
  Create("t");
  Put({{1, "another"}});
  ASSERT_TRUE(db_->Flush());
  EXPECT_EQ(testing::ReadRows(*before), (Rows{{1, "flushed"}, {2, "in memory"}}));
  EXPECT_EQ(before->Tables(), Names{"t"});
  EXPECT_EQ(testing::Drain(reader.get()), (Rows{{2, "in memory"}}));
}

TEST_F(TablesTest, AChangeIsAVersionLikeAnyCommit) {
  clock_.Advance(1'000'000);
  Put({{1, "a"}});
  clock_.Advance(1'000'000);
  EXPECT_EQ(Drop("t"), 2u);
  const auto versions = db_->Versions();
  ASSERT_EQ(versions.size(), 2u);
  EXPECT_EQ(versions[0].commit.value, 2u);
  EXPECT_TRUE(versions[0].flushed);
  EXPECT_GE(versions[0].time.micros - versions[1].time.micros, 1'000'000);
  EXPECT_EQ((*db_->GetSnapshot(versions[1].time))->Tables(), Names{"t"});
  EXPECT_EQ((*db_->GetSnapshot(versions[0].time))->Tables(), Names{});
  const auto stats = db_->Stats();
  EXPECT_EQ(stats.commit.value, 2u);
  EXPECT_EQ(stats.visible.value, 2u);
  EXPECT_EQ(stats.durable.value, 2u);
}

TEST_F(TablesTest, TheFirstCommitMayBeAChange) {
  EXPECT_EQ(Drop("t"), 1u);
  Create("t");
  EXPECT_EQ(Put({{1, "a"}}), 2u);
  Open();
  EXPECT_EQ(Read(), (Rows{{1, "a"}}));
  EXPECT_EQ(Put({{1, "b"}}), 3u);
  EXPECT_EQ(Rename("t", "u"), 4u);
  EXPECT_EQ(Rename("u", "t"), 5u) << "one after the other, with nothing between";
  Open();
  EXPECT_EQ(Read(), (Rows{{1, "b"}}));
  EXPECT_EQ(NamesAt(4), Names{"u"});
}

TEST_F(TablesTest, TheTablesAreListed) {
  Create("u");
  ASSERT_TRUE(db_->CreateTable("k", RowsSchema(), {"v", "id"}));
  Rename("u", "a");
  Drop("t");
  const auto tables = db_->Tables();
  ASSERT_EQ(tables.size(), 2u);
  EXPECT_EQ(tables[0].name, "a");
  EXPECT_EQ(tables[0].id, 2u);
  EXPECT_EQ(tables[1].name, "k");
  EXPECT_EQ(tables[1].key, (Names{"v", "id"}));
  EXPECT_TRUE(tables[1].schema->Equals(RowsSchema()));
}

TEST_F(TablesTest, WhatCannotBeChangedIsSaidAndNothingIsCommitted) {
  Create("u");
  Put({{1, "a"}});
  ExpectError(db_->DropTable("w").error(), ErrorKind::kNotFound, "(tables: t, u)");
  ExpectError(db_->RenameTable("w", "x").error(), ErrorKind::kNotFound, "'w'");
  ExpectError(db_->RenameTable("t", "u").error(), ErrorKind::kConflict, "'u' exists already");
  ExpectError(db_->RenameTable("t", "t").error(), ErrorKind::kConflict, "'t' exists already");
  ExpectError(db_->RenameTable("t", "a/b").error(), ErrorKind::kInvalid, "a/b");
  EXPECT_EQ(db_->Stats().commit.value, 1u);
  EXPECT_EQ(db_->Stats().flushes, 0u) << "a refusal costs nothing";
  Open({.read_only = true});
  EXPECT_EQ(db_->DropTable("t").error().reason(), ErrorReason::kReadOnly);
  Open();
  ASSERT_TRUE(db_->Close());
  EXPECT_EQ(db_->DropTable("t").error().reason(), ErrorReason::kClosed);
}

TEST_F(TablesTest, IfNotExistsTakesTheSameTableAndNamesEachDifference) {
  const auto create = [&](const arrow::FieldVector& fields, const std::vector<std::string>& key) {
    return db_->CreateTable("t", arrow::schema(fields), key, {.if_not_exists = true});
  };
  const auto id = arrow::field("id", arrow::int64(), false);
  const auto v = arrow::field("v", arrow::utf8());
  EXPECT_TRUE(create({id, v}, {"id"}));
  EXPECT_TRUE(create({v, id}, {"id"})) << "in any order";
  EXPECT_TRUE(db_->CreateTable("u", RowsSchema(), {"id"}, {.if_not_exists = true}));
  EXPECT_EQ(db_->Tables().size(), 2u);
  const auto differs = [&](const arrow::FieldVector& fields, const std::vector<std::string>& key,
                           const std::string& how) {
    const auto made = create(fields, key);
    ASSERT_FALSE(made) << how;
    EXPECT_EQ(made.error().reason(), ErrorReason::kAlreadyExists);
    ExpectError(made.error(), ErrorKind::kConflict, how);
  };
  differs({id, arrow::field("v", arrow::binary())}, {"id"},
          "column 'v': the table has string, expected binary");
  differs({id->WithNullable(true), v}, {"id"},
          "column 'id': the table has int64 not null, expected int64");
  differs({id, v, arrow::field("w", arrow::int8())}, {"id"},
          "column 'w' (int8) is not in the table");
  differs({id}, {"id"}, "the table has a column 'v' (string) that is not expected");
  differs({id, v}, {"v"}, "the table's key is id, expected v");
  differs({id->WithType(arrow::int32())}, {"id"}, "int64 not null, expected int32 not null; the");
  EXPECT_EQ(db_->CreateTable("t", RowsSchema(), {"id"}).error().reason(),
            ErrorReason::kAlreadyExists);
}

// --- those who write meanwhile ---

TEST_F(TablesTest, ATransactionWhoseTableWasDroppedIsRefused) {
  Create("u");
  Put({{1, "a"}}, "u");
  const auto writes = *db_->Begin();
  ASSERT_TRUE(writes->Upsert("u", RowsBatch({{2, "b"}})));
  const auto reads = *db_->Begin({.isolation = Isolation::kSerializable});
  ASSERT_TRUE(reads->Get("u", RowsBatch({{1, ""}})));
  ASSERT_TRUE(reads->Upsert("t", RowsBatch({{1, "t"}})));
  const auto others = *db_->Begin();
  ASSERT_TRUE(others->Get("u", RowsBatch({{1, ""}})));
  ASSERT_TRUE(others->Upsert("t", RowsBatch({{2, "t"}})));
  Drop("u");
  EXPECT_EQ(testing::Drain(writes->Scan("u")->get()), (Rows{{1, "a"}, {2, "b"}}));
  ExpectError(writes->Commit().error(), ErrorKind::kConflict, "table 'u' was dropped by commit 2");
  ExpectError(reads->Commit().error(), ErrorKind::kConflict, "table 'u' was dropped by commit 2");
  EXPECT_TRUE(others->Commit()) << "a snapshot's reads conflict with nothing";
  EXPECT_EQ(Read(), (Rows{{2, "t"}}));
}

TEST_F(TablesTest, ATransactionThatTookItsWritesBackGoesOnWithoutTheirTable) {
  Create("u");
  for (const auto isolation : {Isolation::kSnapshot, Isolation::kSerializable}) {
    const auto in = *db_->Begin({.isolation = isolation});
    ASSERT_TRUE(in->Upsert("t", RowsBatch({{1, "t"}})));
    const auto savepoint = *in->Savepoint();
    ASSERT_TRUE(in->Upsert("u", RowsBatch({{2, "b"}})));
    ASSERT_TRUE(in->Delete("u", RowsBatch({{3, ""}})));
    ASSERT_TRUE(in->RollbackTo(savepoint));
    Drop("u");
    const auto info = in->Commit();
    EXPECT_TRUE(info) << info.error().message();
    Create("u");
  }
  EXPECT_EQ(Read(), (Rows{{1, "t"}}));
}

TEST_F(TablesTest, ATransactionGoesOnInATableThatWasRenamed) {
  Put({{1, "a"}});
  const auto in = *db_->Begin({.isolation = Isolation::kSerializable});
  ASSERT_TRUE(in->Get("t", RowsBatch({{1, ""}})));
  ASSERT_TRUE(in->Upsert("t", RowsBatch({{2, "b"}})));
  const auto loser = *db_->Begin();
  ASSERT_TRUE(loser->Upsert("t", RowsBatch({{2, "c"}})));
  Rename("t", "u");
  Create("t");
  EXPECT_TRUE(in->Commit());
  EXPECT_EQ(Read("u"), (Rows{{1, "a"}, {2, "b"}}));
  EXPECT_EQ(Read("t"), Rows{});
  ExpectError(loser->Commit().error(), ErrorKind::kConflict, "table 'u', key");
}

// Conflicts are told though the keys' table is gone.
TEST_F(TablesTest, AConflictInATableThatIsGoneIsOne) {
  const auto in = *db_->Begin();
  ASSERT_TRUE(in->Upsert("t", RowsBatch({{1, "mine"}})));
  Put({{1, "theirs"}});
  Drop("t");
  ExpectError(in->Commit().error(), ErrorKind::kConflict,
              "table 't', key 1: commit 1 wrote it after this transaction began (at commit 0), and "
              "commit 2 dropped the table; ");
}

TEST_F(TablesTest, AProducersCommitsAreKnownAfterItsTableIsGone) {
  const CommitOptions first{.producer = Producer{"p", 1}};
  ASSERT_TRUE(db_->Upsert("t", RowsBatch({{1, "a"}}), first));
  Drop("t");
  const auto again = db_->Upsert("t", RowsBatch({{1, "a"}}), first);
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_TRUE(again->repeat);
  EXPECT_EQ(again->commit.value, 1u);
  Open();
  EXPECT_EQ((*db_->LastOf("p"))->sequence, 1u);
}

// Writers in threads, while tables are dropped, made and renamed under them: each write is kept
// whole where its table is, or says that there is none.
TEST_F(TablesTest, WritersBesideChangesAreKeptWholeOrRefused) {
  constexpr int kWriters = 3;
  std::atomic<bool> stop = false;
  std::atomic<int> kept = 0;
  std::vector<std::thread> writers;
  for (int writer = 0; writer < kWriters; ++writer) {
    writers.emplace_back([&, writer] {
      for (std::int64_t i = 0; !stop; ++i) {
        const std::int64_t id = (i % 100) * kWriters + writer;
        const auto info = db_->Upsert("t", RowsBatch({{id, "x"}}));
        if (info) {
          ++kept;
        } else {
          EXPECT_EQ(info.error().kind(), ErrorKind::kNotFound) << info.error().message();
        }
      }
    });
  }
  std::uint64_t last = 0;
  for (int round = 0; round < 40; ++round) {
    const int target = kept + 5;
    while (kept < target) std::this_thread::yield();
    const auto commit = round % 2 == 0 ? Drop("t") : Rename("t", "t" + std::to_string(round));
    EXPECT_GT(commit, last);
    last = commit;
    Create("t");
  }
  stop = true;
  for (auto& writer : writers) writer.join();
  EXPECT_EQ(db_->Stats().commit.value, static_cast<std::uint64_t>(kept) + 40) << "no gaps";
  Open();
  EXPECT_EQ(db_->Tables().size(), 21u);
  ExpectSound();
}

// --- crashes and failures ---

// A change whose outcome nobody knows: no commit may take its number, and reopening tells.
TEST_F(TablesTest, AfterAChangeOfUnknownOutcomeNoCommitFollows) {
  Put({{1, "a"}});
  const std::uint64_t before = disk_.events();
  const auto at_start = disk_.Clone();
  Drop("t");
  const std::uint64_t events = disk_.events() - before;
  int unknown = 0;
  for (std::uint64_t event = 1; event <= events; ++event) {
    for (const bool later_fails_too : {false, true}) {
      SCOPED_TRACE(event);
      const auto disk = at_start->Clone();
      disk->KillProcess();
      ManualClock clock;
      SeededRandom random(2);
      ManualExecutor executor;
      const Components world{
          .files = disk.get(), .clock = &clock, .random = &random, .executor = &executor};
      auto db = *Database::Open("/db", {}, world);
      const Error error(ErrorKind::kUnavailable, "injected", ErrorReason::kIo);
      const std::uint64_t from = disk->events() + event;
      for (std::uint64_t i = from; i < from + (later_fails_too ? 8 : 1); ++i) {
        disk->FailEvent(i, error);
      }
      const auto dropped = db->DropTable("t");
      const auto put = db->Upsert("t", RowsBatch({{2, "b"}}));
      if (!dropped && dropped.error().reason() == ErrorReason::kUnknownOutcome) {
        ++unknown;
        EXPECT_FALSE(put);
      }
      EXPECT_FALSE(dropped && put) << "into a table that is gone";
      db.reset();
      disk->KillProcess();
      auto again = Database::Open("/db", {}, world);
      for (int i = 0; i < 8 && !again; ++i) {  // what is left of the failures
        disk->KillProcess();
        again = Database::Open("/db", {}, world);
      }
      ASSERT_TRUE(again) << again.error().message();
      db = *std::move(again);
      const bool there = !db->Tables().empty();
      EXPECT_FALSE(dropped && there);
      if (put) {
        ASSERT_TRUE(there);
        EXPECT_EQ(testing::ReadRows(**db->GetSnapshot()), (Rows{{1, "a"}, {2, "b"}}));
      }
      EXPECT_EQ(testing::ReadRows(**db->GetSnapshot(CommitNumber{1})), (Rows{{1, "a"}}));
    }
  }
  EXPECT_GT(unknown, 0) << "the test reaches what it is about";
}

// One of which nobody knows whether it was published, and which is no commit: commits go on, and a
// change of a table, which needs what it cannot have, is refused and stops nothing.
TEST_F(TablesTest, AfterATagOrATableOfUnknownOutcomeCommitsGoOn) {
  Put({{1, "a"}});
  ASSERT_TRUE(db_->Flush());  // so the first change has nothing to flush before
  const auto at_start = disk_.Clone();
  int unknown = 0;
  for (std::uint64_t event = 1; event <= 12; ++event) {
    for (const bool tag : {false, true}) {
      SCOPED_TRACE(std::to_string(event) + (tag ? " of a tag" : " of a table"));
      const auto disk = at_start->Clone();
      disk->KillProcess();
      const Components world{
          .files = disk.get(), .clock = &clock_, .random = &random_, .executor = &executor_};
      auto db = *Database::Open("/db", {}, world);
      disk->FailEvent(disk->events() + event,
                      Error(ErrorKind::kUnavailable, "injected", ErrorReason::kIo));
      const auto made = [&]() -> Status {
        if (!tag) return db->CreateTable("u", RowsSchema(), {"id"});
        const auto tagged = db->Tag("first", CommitNumber{1});
        return tagged ? Status() : std::unexpected(tagged.error());
      }();
      if (made || made.error().reason() != ErrorReason::kUnknownOutcome) continue;
      ++unknown;
      for (const bool in_memory : {false, true}) {
        const auto dropped = db->DropTable("t");
        ASSERT_FALSE(dropped);
        ExpectError(dropped.error(), ErrorKind::kUnavailable, "table 't' was not changed");
        EXPECT_EQ(dropped.error().reason(), ErrorReason::kIo) << "it is known: it was not made";
        const auto put = db->Upsert("t", RowsBatch({{in_memory ? 3 : 2, "b"}}));
        ASSERT_TRUE(put) << put.error().message();
      }
      db.reset();
      db = *Database::Open("/db", {}, world);
      EXPECT_EQ(testing::ReadRows(**db->GetSnapshot()), (Rows{{1, "a"}, {2, "b"}, {3, "b"}}));
      EXPECT_TRUE(db->DropTable("t"));
    }
  }
  EXPECT_GT(unknown, 2) << "the test reaches what it is about";
}

// Each try would leave a file that only reopening removes; and who waits for room in memory is told
// that nothing of its commit was kept.
TEST_F(TablesTest, AfterAnUnknownOutcomeNothingIsFlushedForNothing) {
  Open({.memtable_bytes_max = 64 << 10});
  const auto runs = [&] { return disk_.List("/db/data/t")->size(); };
  Put({{1, "a"}});
  ASSERT_TRUE(db_->Flush());
  const auto before = runs();
  disk_.FailEvent(disk_.events() + 1, Error(ErrorKind::kUnavailable, "injected", ErrorReason::kIo));
  ASSERT_EQ(db_->Tag("first", CommitNumber{1}).error().reason(), ErrorReason::kUnknownOutcome);
  Result<CommitInfo> put;
  for (int i = 2; put && i < 200; ++i) {
    put = db_->Upsert("t", RowsBatch({{i, std::string(4096, 'x')}}));
  }
  ASSERT_FALSE(put) << "memory is full";
  ExpectError(put.error(), ErrorKind::kUnavailable, "nothing of this commit was kept");
  EXPECT_EQ(put.error().reason(), ErrorReason::kIo);
  EXPECT_EQ(db_->Flush().error().reason(), ErrorReason::kUnknownOutcome);
  EXPECT_EQ(runs(), before);
  Open();
  EXPECT_TRUE(db_->Flush());
  ExpectSound();
}

TEST_F(TablesTest, WhatADroppedTableHeldIsNoOrphan) {
  Put({{1, "a"}});
  Drop("t");
  Open();  // looks for orphans
  Open();
  EXPECT_EQ(Read(1, "t"), (Rows{{1, "a"}}));
}

}  // namespace
}  // namespace varve
