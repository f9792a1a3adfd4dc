// SPDX-License-Identifier: Apache-2.0
// The engine through its public face, over memory files and one thread: commit, reopen, flush,
// snapshots.
#include "varve/database.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <map>

#include "base/clock.h"
#include "base/executor.h"
#include "base/random.h"
#include "base/result.h"
#include "files/object_store.h"
#include "files/simulated_disk.h"
#include "manifest/manifest.h"
#include "test/support/forwarding_files.h"
#include "test/support/rows.h"
#include "varve/inspect.h"

namespace varve {
namespace {

using testing::Rows;

class DatabaseTest : public ::testing::Test {
 protected:
  DatabaseTest() : files_(NewMemoryFiles()), random_(1) {}

  Components World() {
    return {.files = files_.get(), .clock = &clock_, .random = &random_, .executor = &executor_};
  }
  void Open(OpenOptions options = {.create_if_missing = true}) {
    db_.reset();
    auto db = Database::Open("/db", options, World());
    ASSERT_TRUE(db) << db.error().message();
    db_ = *std::move(db);
  }
  void Reopen() {
    ASSERT_TRUE(db_->Close());
    Open();
  }
  static std::shared_ptr<arrow::Schema> Schema() { return testing::RowsSchema(); }
  static std::shared_ptr<arrow::RecordBatch> Batch(const Rows& rows) {
    return testing::RowsBatch(rows);
  }
  void Create(const std::string& table = "t") {
    const auto created = db_->CreateTable(table, Schema(), {"id"});
    ASSERT_TRUE(created) << created.error().message();
  }
  std::uint64_t Put(const Rows& rows, const std::string& table = "t") {
    auto info = db_->Upsert(table, Batch(rows));
    EXPECT_TRUE(info) << info.error().message();
    return info ? info->commit.value : 0;
  }
  std::uint64_t Erase(const Rows& keys) {
    auto info = db_->Delete("t", Batch(keys));
    EXPECT_TRUE(info) << info.error().message();
    return info ? info->commit.value : 0;
  }
  static Rows Read(const Snapshot& snapshot, const std::string& table = "t") {
    return testing::ReadRows(snapshot, table);
  }
  Rows Read(const AsOf& as_of = {}) {
    auto snapshot = db_->GetSnapshot(as_of);
    EXPECT_TRUE(snapshot) << snapshot.error().message();
    return snapshot ? Read(**snapshot) : Rows{};
  }

  std::unique_ptr<Files> files_;
  ManualClock clock_;
  SeededRandom random_;
  ManualExecutor executor_;
  std::unique_ptr<Database> db_;
};

TEST_F(DatabaseTest, CommitsAreNumberedFromOneAndReadBack) {
  Open();
  Create();
  EXPECT_EQ(Put({{1, "a"}, {2, "b"}}), 1u);
  EXPECT_EQ(Put({{2, "B"}, {3, "c"}}), 2u);
  EXPECT_EQ(Erase({{1, ""}}), 3u);
  EXPECT_EQ(Read(), (Rows{{2, "B"}, {3, "c"}}));
}

TEST_F(DatabaseTest, EverythingIsThereAfterReopening) {
  Open();
  Create();
  Put({{1, "a"}, {2, "b"}});
  Erase({{1, ""}});
  Reopen();
  EXPECT_EQ(Read(), (Rows{{2, "b"}}));
  EXPECT_EQ(Put({{9, "z"}}), 3u) << "numbers go on";
}

TEST_F(DatabaseTest, SingleRowsAndBatchesOf100000StandBesideEachOther) {
  Open();
  Create();
  Rows expected;
  for (int i = 0; i < 100'000; ++i) expected[i] = std::to_string(i);
  ASSERT_EQ(Put(expected), 1u);
  for (int i = 0; i < 300; ++i) {
    ASSERT_EQ(Put({{i * 333, "single"}}), 2u + static_cast<unsigned>(i));
    expected[i * 333] = "single";
  }
  for (int i = 50'000; i < 150'000; ++i) expected[i] = "again";
  ASSERT_EQ(Put(Rows(expected.lower_bound(50'000), expected.end())), 302u);
  EXPECT_EQ(Read(), expected);
  Reopen();
  EXPECT_EQ(Read(), expected);
  ASSERT_TRUE(db_->Flush());
  EXPECT_EQ(Read(), expected);
  EXPECT_EQ(Read(CommitNumber{301}).at(299 * 333), "single");
}

TEST_F(DatabaseTest, AKilledProcessLosesNothingAcknowledged) {
  Open();
  Create();
  Put({{1, "a"}});
  db_.reset();  // no Close
  Open();
  EXPECT_EQ(Read(), (Rows{{1, "a"}}));
}

TEST_F(DatabaseTest, FlushMovesRowsToRunsAndChangesNoRead) {
  Open();
  Create();
  Put({{1, "a"}, {2, "b"}});
  ASSERT_TRUE(db_->Flush());
  Put({{2, "B"}});
  Erase({{1, ""}});
  ASSERT_TRUE(db_->Flush());
  EXPECT_EQ(Read(), (Rows{{2, "B"}}));
  const auto stats = db_->Stats();
  EXPECT_EQ(stats.tables[0].levels[0].runs, 2u);
  EXPECT_EQ(stats.tables[0].memtable_rows, 0u);
  Reopen();
  EXPECT_EQ(Read(), (Rows{{2, "B"}}));
}

TEST_F(DatabaseTest, ASnapshotIsStableOverCommitsFlushAndClose) {
  Open();
  Create();
  Put({{1, "a"}});
  auto snapshot = *db_->GetSnapshot();
  Put({{1, "b"}, {2, "c"}});
  EXPECT_EQ(Read(*snapshot), (Rows{{1, "a"}}));
  ASSERT_TRUE(db_->Flush());
  EXPECT_EQ(Read(*snapshot), (Rows{{1, "a"}}));
  Erase({{1, ""}});
  ASSERT_TRUE(db_->Flush());
  ASSERT_TRUE(db_->Close());
  EXPECT_EQ(Read(*snapshot), (Rows{{1, "a"}}));
}

TEST_F(DatabaseTest, EveryCommitCanBeReadAgainByNumber) {
  Open();
  Create();
  Put({{1, "a"}});
  Put({{1, "b"}});
  ASSERT_TRUE(db_->Flush());
  Erase({{1, ""}});
  Put({{1, "d"}});
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(Read(CommitNumber{0}), (Rows{}));
    EXPECT_EQ(Read(CommitNumber{1}), (Rows{{1, "a"}}));
    EXPECT_EQ(Read(CommitNumber{2}), (Rows{{1, "b"}}));
    EXPECT_EQ(Read(CommitNumber{3}), (Rows{}));
    EXPECT_EQ(Read(CommitNumber{4}), (Rows{{1, "d"}}));
    ASSERT_TRUE(db_->Flush());
    Reopen();
  }
  const auto future = db_->GetSnapshot(CommitNumber{5});
  ASSERT_FALSE(future);
  EXPECT_EQ(future.error().kind(), ErrorKind::kNotFound);
  EXPECT_NE(future.error().message().find("newest visible commit of '/db' is 4"),
            std::string::npos);
}

TEST_F(DatabaseTest, AMomentNamesTheNewestCommitNotAfterIt) {
  Open();
  Create();
  Put({{1, "a"}});
  const WallTime between = clock_.Now();
  clock_.Advance(1000);
  Put({{1, "b"}});
  EXPECT_EQ(Read(between), (Rows{{1, "a"}}));
  EXPECT_EQ(db_->GetSnapshot(WallTime{1}).error().kind(), ErrorKind::kNotFound);
}

// Arrow arrays made from a caller's memory, as numpy's, change when that does.
TEST_F(DatabaseTest, WhatTheCallerDoesToItsArraysAfterwardsChangesNothing) {
  Open();
  Create();
  const auto given = Batch({{1, "a"}, {2, "b"}, {3, "c"}});
  const auto slice = given->Slice(1, 1);
  ASSERT_TRUE(db_->Upsert("t", slice));
  auto* values = reinterpret_cast<std::int64_t*>(
      const_cast<std::uint8_t*>(given->column_data(0)->buffers[1]->data()));
  for (int i = 0; i < 3; ++i) values[i] = 100 * (i + 1);
  EXPECT_EQ(Read(), (Rows{{2, "b"}}));
  ASSERT_TRUE(db_->Flush());
  EXPECT_EQ(Read(), (Rows{{2, "b"}}));
}

TEST_F(DatabaseTest, AMemtableKeepsNoMemoryOfTheCallers) {
  Open();
  Create();
  auto given = Batch({{1, "a"}, {2, "b"}, {3, "c"}});
  const std::weak_ptr<arrow::Buffer> ids = given->column_data(0)->buffers[1];
  ASSERT_TRUE(db_->Upsert("t", given->Slice(1, 1)));
  given.reset();
  EXPECT_TRUE(ids.expired()) << "a slice of a row would hold the whole batch";
}

TEST_F(DatabaseTest, AFullDiskDoesNotKeepADatabaseFromOpening) {
  SimulatedDisk disk;
  Components world = World();
  world.files = &disk;
  {
    auto db = *Database::Open("/db", {.create_if_missing = true}, world);
    ASSERT_TRUE(db->CreateTable("t", Schema(), {"id"}));
    ASSERT_TRUE(db->Upsert("t", Batch({{1, "a"}})));
    ASSERT_TRUE(db->Close());
  }
  disk.SetCapacity(1);
  {
    const auto db = Database::Open("/db", {}, world);
    ASSERT_TRUE(db) << db.error().message();
    EXPECT_EQ(Read(**(*db)->GetSnapshot()), (Rows{{1, "a"}}));
    const auto full = (*db)->Upsert("t", Batch({{2, "b"}}));
    ASSERT_FALSE(full);
    EXPECT_EQ(full.error().reason(), ErrorReason::kNoSpace);
    disk.SetCapacity(UINT64_MAX);
    ASSERT_TRUE((*db)->Upsert("t", Batch({{2, "b"}})));
    ASSERT_TRUE((*db)->Close());
  }
}

TEST_F(DatabaseTest, AChildMadeByForkIsRefusedAndLeavesTheDatabaseAlone) {
  Open();
  Create();
  Put({{1, "a"}});
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const bool refused = !db_->Upsert("t", Batch({{2, "b"}})) && !db_->Flush() && !db_->Close();
    db_.reset();  // must not wait for threads that are not here
    ::_exit(refused ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  Put({{3, "c"}});
  ASSERT_TRUE(db_->Flush());
  EXPECT_EQ(Read(), (Rows{{1, "a"}, {3, "c"}}));
}

TEST_F(DatabaseTest, BufferedCommitsAreVisibleOnceTheyAreDurable) {
  Open();
  Create();
  ASSERT_TRUE(db_->Upsert("t", Batch({{1, "a"}}), {.ack = AckLevel::kBuffered}));
  ASSERT_TRUE(db_->Sync());
  EXPECT_EQ(Read(), (Rows{{1, "a"}}));
  EXPECT_EQ(db_->Stats().durable.value, 1u);
}

TEST_F(DatabaseTest, AFullMemtableIsFlushedInTheBackground) {
  Open({.create_if_missing = true, .memtable_bytes_max = 4096});
  Create();
  Rows all;
  for (std::int64_t i = 0; i < 200; ++i) {
    Put({{i, std::string(20, 'x')}});
    all[i] = std::string(20, 'x');
    executor_.RunAll();
  }
  EXPECT_GT(db_->Stats().flushes, 3u);
  EXPECT_EQ(Read(), all);
}

TEST_F(DatabaseTest, BackPressureFlushesInTheCommitterWhenNobodyElseDoes) {
  Open({.create_if_missing = true, .memtable_bytes_max = 4096});
  Create();
  for (std::int64_t i = 0; i < 200; ++i) Put({{i, std::string(20, 'x')}});  // no task ever runs
  const auto stats = db_->Stats();
  EXPECT_LT(stats.memtable_bytes, 3 * 4096u);
  EXPECT_GT(stats.commit_stall_micros, 0u);
  EXPECT_EQ(Read().size(), 200u);
}

TEST_F(DatabaseTest, TheLogIsLetGoAfterAFlush) {
  Open({.create_if_missing = true, .log_segment_bytes_max = 1 << 20});
  Create();
  for (int i = 0; i < 40; ++i) Put({{i, std::string(100'000, 'x')}});
  const auto before = db_->Stats().log.segments.size();
  ASSERT_TRUE(db_->Flush());
  EXPECT_GT(before, 2u);
  EXPECT_LE(db_->Stats().log.segments.size(), 2u);
  Reopen();
  EXPECT_EQ(Read().size(), 40u);
}

TEST_F(DatabaseTest, AFlushKeepsTheLogOfWhatWasCommittedSinceTheSeal) {
  Open({.create_if_missing = true, .memtable_bytes_max = 1 << 16});
  Create();
  const std::string large(1 << 15, 'x');
  Put({{1, large}});  // seals: its flush waits in the executor
  Put({{2, "since"}});
  executor_.RunAll();
  ASSERT_EQ(db_->Stats().flushes, 1u);
  ASSERT_EQ(db_->Stats().tables[0].memtable_rows, 1u);
  db_.reset();  // no Close
  Open();
  EXPECT_EQ(Read()[2], "since");
  EXPECT_EQ(Read().size(), 2u);
}

TEST_F(DatabaseTest, TablesAreKeptApartUnderOneOrder) {
  Open();
  Create("a");
  Create("b");
  EXPECT_EQ(Put({{1, "x"}}, "a"), 1u);
  EXPECT_EQ(Put({{1, "y"}}, "b"), 2u);
  ASSERT_TRUE(db_->Flush());
  Reopen();
  EXPECT_EQ(Read(**db_->GetSnapshot(), "a"), (Rows{{1, "x"}}));
  EXPECT_EQ(Read(**db_->GetSnapshot(), "b"), (Rows{{1, "y"}}));
}

TEST_F(DatabaseTest, ATableMadeAfterCommitsIsThereAfterAKill) {
  Open();
  Create("a");
  Put({{1, "x"}}, "a");
  Create("b");
  Put({{2, "y"}}, "b");
  db_.reset();
  Open();
  EXPECT_EQ(Read(**db_->GetSnapshot(), "b"), (Rows{{2, "y"}}));
}

TEST_F(DatabaseTest, AnEmptyBatchIsNoCommit) {
  Open();
  Create();
  Put({{1, "a"}});
  const auto info = db_->Upsert("t", Batch({}));
  ASSERT_TRUE(info);
  EXPECT_EQ(info->commit.value, 1u);
  EXPECT_EQ(Put({{2, "b"}}), 2u);
}

TEST_F(DatabaseTest, ASecondOpenerLearnsThatItIsOpen) {
  Open();
  const auto second = Database::Open("/db", {}, World());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().reason(), ErrorReason::kLocked);
}

TEST_F(DatabaseTest, ReadOnlyChangesNothingAndRefusesWrites) {
  Open();
  Create();
  Put({{1, "a"}});
  ASSERT_TRUE(db_->Close());
  Open({.read_only = true});
  EXPECT_EQ(Read(), (Rows{{1, "a"}}));
  EXPECT_EQ(db_->Upsert("t", Batch({{2, "b"}})).error().reason(), ErrorReason::kReadOnly);
  EXPECT_EQ(db_->Flush().error().reason(), ErrorReason::kReadOnly);
  const auto other = Database::Open("/db", {.read_only = true}, World());
  EXPECT_TRUE(other) << "readers share";
}

TEST_F(DatabaseTest, AFolderThatHoldsSomethingElseIsLeftAlone) {
  ASSERT_TRUE(files_->CreateDirectories("/other"));
  ASSERT_TRUE(files_->Open("/other/notes.txt", OpenMode::kCreate));
  const auto db = Database::Open("/other", {.create_if_missing = true}, World());
  ASSERT_FALSE(db);
  EXPECT_EQ(db.error().kind(), ErrorKind::kInvalid);
  EXPECT_NE(db.error().message().find("notes.txt"), std::string::npos);
  EXPECT_EQ(files_->List("/other")->size(), 1u);
}

TEST_F(DatabaseTest, VersionsListFlushesAndCommitsSince) {
  Open();
  Create();
  Put({{1, "a"}});
  Put({{2, "b"}});
  ASSERT_TRUE(db_->Flush());
  Put({{3, "c"}});
  const auto versions = db_->Versions();
  ASSERT_EQ(versions.size(), 2u);
  EXPECT_EQ(versions[0].commit.value, 3u);
  EXPECT_FALSE(versions[0].flushed);
  EXPECT_EQ(versions[1].commit.value, 2u);
  EXPECT_TRUE(versions[1].flushed);
  std::uint64_t bytes = 0;
  const auto files = *files_->List("/db/data/t");
  for (const FileInfo& file : files) bytes += file.size;
  for (const Version& version : versions) {  // of the flush that the newer one comes after
    EXPECT_EQ(version.rows, 2u);
    EXPECT_EQ(version.runs, files.size());
    EXPECT_EQ(version.bytes, bytes);
  }
}

// Counts what is asked of the files, by whatever call.
class CountedFile final : public testing::ForwardingFile {
 public:
  CountedFile(std::unique_ptr<File> file, std::uint64_t* calls)
      : ForwardingFile(std::move(file)), calls_(calls) {}
  Result<std::uint64_t> ReadAt(std::uint64_t offset, std::uint64_t size, char* into) override {
    ++*calls_;
    return file()->ReadAt(offset, size, into);
  }
  Status WriteAt(std::uint64_t offset, std::string_view bytes) override {
    ++*calls_;
    return file()->WriteAt(offset, bytes);
  }
  Status Sync() override {
    ++*calls_;
    return file()->Sync();
  }
  Result<std::uint64_t> Size() override {
    ++*calls_;
    return file()->Size();
  }

 private:
  std::uint64_t* const calls_;
};

class CountedFiles final : public testing::ForwardingFiles {
 public:
  using ForwardingFiles::ForwardingFiles;
  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override {
    ++calls;
    VARVE_ASSIGN(auto file, files()->Open(path, mode));
    return std::make_unique<CountedFile>(std::move(file), &calls);
  }
  Result<FileInfo> Info(const std::string& path) override {
    ++calls;
    return files()->Info(path);
  }
  Result<std::vector<FileInfo>> List(const std::string& path) override {
    ++calls;
    return files()->List(path);
  }
  std::uint64_t calls = 0;
};

// Of now, of a commit, of a tag, and for a transaction; whether there are files to read or not.
TEST_F(DatabaseTest, TakingASnapshotDoesNoInputAndNoOutput) {
  CountedFiles files(files_.get());
  auto world = World();
  world.files = &files;
  const auto db = *Database::Open("/db", {.create_if_missing = true}, world);
  ASSERT_TRUE(db->CreateTable("t", Schema(), {"id"}));
  ASSERT_TRUE(db->Upsert("t", Batch({{1, "a"}})));
  ASSERT_TRUE(db->Flush());
  ASSERT_TRUE(db->Upsert("t", Batch({{1, "b"}, {2, "b"}})));
  ASSERT_TRUE(db->Tag("first", CommitNumber{1}));
  const auto before = files.calls;
  std::vector<std::shared_ptr<Snapshot>> held;
  for (const AsOf& as_of : {AsOf(), AsOf(CommitNumber{1}), AsOf(TagName{"first"})}) {
    held.push_back(*db->GetSnapshot(as_of));
  }
  auto in = *db->Begin();
  EXPECT_EQ(files.calls, before);
  EXPECT_EQ(Read(*held[0]), (Rows{{1, "b"}, {2, "b"}}));
  EXPECT_EQ(Read(*held[1]), (Rows{{1, "a"}}));
  EXPECT_EQ(Read(*held[2]), (Rows{{1, "a"}}));
  EXPECT_GT(files.calls, before) << "reading is counted";
}

TEST_F(DatabaseTest, VerifyFindsASoundDatabaseSound) {
  Open();
  Create();
  Put({{1, "a"}, {2, "b"}});
  ASSERT_TRUE(db_->Flush());
  Put({{3, "c"}});
  ASSERT_TRUE(db_->Close());
  const auto verified = VerifyDatabase("/db", {.deep = true}, World());
  ASSERT_TRUE(verified) << verified.error().message();
  for (const Damage& damage : verified->damages) ADD_FAILURE() << damage.file << damage.message;
  EXPECT_EQ(verified->commit.value, 2u);
  EXPECT_EQ(verified->rows, 3u);
  EXPECT_EQ(verified->runs, 1u);
}

TEST_F(DatabaseTest, AnOrphanOfACutShortFlushIsRemovedAndItsNumberUsedAgain) {
  Open();
  Create();
  Put({{1, "a"}});
  ASSERT_TRUE(db_->Close());
  const std::string orphan = "/db/data/t/00000000000000000001.parquet";
  ASSERT_TRUE(files_->CreateDirectories("/db/data/t"));
  ASSERT_TRUE(files_->Open(orphan, OpenMode::kCreate));
  Open();
  EXPECT_FALSE(files_->Info(orphan));
  ASSERT_TRUE(db_->Flush());
  EXPECT_EQ(Read(), (Rows{{1, "a"}}));
}

// The floor says what of the log is needed at least: a writer may keep more.
class LogFloorTest : public DatabaseTest {
 protected:
  // Publishes the first flush again, as by a writer that lets go of nothing.
  void LowerFloor() {
    const auto store = NewFolderStore(files_.get(), "/db", &random_);
    const auto flushed = (*Manifest::Open(store.get()))->state();
    ASSERT_TRUE(store->Delete(ManifestName(flushed->number)));
    const auto manifest = *Manifest::Open(store.get());
    const Lsn floor = manifest->state()->log_floor;
    ASSERT_LT(floor, flushed->log_floor);
    std::vector<Edit> edits;
    for (const auto& run : flushed->FindTable(1)->runs) edits.push_back(AddRunEdit{run});
    edits.push_back(AdvanceEdit{.commit = flushed->commit,
                                .commit_time = flushed->commit_time,
                                .floor = floor,
                                .durable = flushed->log_durable});
    ASSERT_TRUE(manifest->Commit(edits, clock_.Now()));
  }
  void ExpectSound() {
    const auto verified = VerifyDatabase("/db", {.deep = true}, World());
    ASSERT_TRUE(verified) << verified.error().message();
    for (const Damage& damage : verified->damages) ADD_FAILURE() << damage.file << damage.message;
  }
};

TEST_F(LogFloorTest, CommitsThatTheRunsHoldAreNotTakenFromTheLogAgain) {
  Open();
  Create();
  Put({{1, "a"}, {2, "b"}});
  Put({{2, "B"}});
  ASSERT_TRUE(db_->Flush());
  Put({{3, "c"}});
  db_.reset();  // no Close
  LowerFloor();
  ExpectSound();
  Open();
  EXPECT_EQ(db_->Stats().tables[0].memtable_rows, 1u);
  ASSERT_TRUE(db_->Flush());
  const auto stats = db_->Stats().tables[0];
  EXPECT_EQ(stats.levels[0].rows + stats.history.rows, 4u) << "versions of rows, each once";
  EXPECT_EQ(Read(), (Rows{{1, "a"}, {2, "B"}, {3, "c"}}));
  EXPECT_EQ(Put({{4, "d"}}), 4u);
  ASSERT_TRUE(db_->Close());
  ExpectSound();
}

class LostFilesTest : public DatabaseTest {
 protected:
  void Remove(const std::string& folder) {
    const auto entries = *files_->List(folder);
    for (const auto& entry : entries) {
      if (entry.is_directory) {
        Remove(JoinPath(folder, entry.name));
      } else if (entry.name != "LOCK") {
        ASSERT_TRUE(files_->Remove(JoinPath(folder, entry.name)));
      }
    }
  }
  // To open, read-only or not, and to verify.
  void ExpectCorruption(const std::string& part) {
    db_.reset();
    for (const bool read_only : {true, false}) {
      const auto opened = Database::Open(
          "/db", {.create_if_missing = !read_only, .read_only = read_only}, World());
      ASSERT_FALSE(opened);
      EXPECT_EQ(opened.error().kind(), ErrorKind::kCorruption);
      EXPECT_NE(opened.error().message().find(part), std::string::npos)
          << opened.error().message();
    }
    const auto verified = VerifyDatabase("/db", {}, World());
    ASSERT_TRUE(verified) << verified.error().message();
    EXPECT_FALSE(verified->damages.empty());
  }
};

TEST_F(LostFilesTest, TheLogOfADatabaseThatWasNeverFlushed) {
  Open();
  Create();
  Put({{1, "a"}});
  ASSERT_TRUE(db_->Close());
  Remove("/db/log");
  ExpectCorruption("the log of '/db' is missing");
}

TEST_F(LostFilesTest, TheLogOfADatabaseThatIsNew) {
  Open();
  db_.reset();
  Remove("/db/log");
  ExpectCorruption("the log of '/db' is missing");
}

TEST_F(LostFilesTest, TheManifestWithTheLogLeft) {
  Open();
  Create();
  Put({{1, "a"}});
  db_.reset();
  Remove("/db/manifest");
  ExpectCorruption("its manifest is missing");
}

TEST_F(LostFilesTest, TheManifestWithTheRunsLeft) {
  Open();
  Create();
  Put({{1, "a"}});
  ASSERT_TRUE(db_->Flush());
  db_.reset();
  Remove("/db/manifest");
  Remove("/db/log");
  ExpectCorruption("its manifest is missing");
}

TEST_F(LostFilesTest, AnotherDatabasesLogIsNotTaken) {
  Open();
  Create();
  Put({{1, "theirs"}});
  ASSERT_TRUE(db_->Close());
  std::map<std::string, std::string> theirs;
  const auto segments = *files_->List("/db/log");
  for (const auto& entry : segments) {
    theirs[entry.name] = *ReadWholeFile(files_.get(), JoinPath("/db/log", entry.name));
  }
  Remove("/db");
  Open();
  Create();
  Put({{1, "ours"}});
  ASSERT_TRUE(db_->Close());
  Remove("/db/log");
  for (const auto& [name, bytes] : theirs) {
    if (name == "LOCK") continue;
    auto file = files_->Open(JoinPath("/db/log", name), OpenMode::kCreate);
    ASSERT_TRUE(file && (*file)->WriteAt(0, bytes));
  }
  ExpectCorruption("the files of another log");
}

TEST_F(LostFilesTest, ACreationThatWasCutShortIsTakenOver) {
  Open();
  db_.reset();
  Remove("/db/manifest");
  EXPECT_EQ(Database::Open("/db", {.read_only = true}, World()).error().kind(),
            ErrorKind::kNotFound);
  EXPECT_EQ(VerifyDatabase("/db", {}, World()).error().kind(), ErrorKind::kNotFound);
  Open();
  Create();
  Put({{1, "a"}});
  Reopen();
  EXPECT_EQ(Read(), (Rows{{1, "a"}}));
}

TEST_F(DatabaseTest, LookupsAreAnsweredFromACacheOfBoundedSize) {
  Open({.create_if_missing = true, .read_cache_bytes_max = 1 << 20});
  Create();
  Put({{1, "a"}, {2, "b"}, {3, "c"}});
  ASSERT_TRUE(db_->Flush());
  const auto ask = [&] { return db_->Get("t", Batch({{1, ""}, {3, ""}, {4, ""}})); };
  ASSERT_EQ((*ask())->num_rows(), 2);
  const ReadCacheStats first = db_->Stats().read_cache;
  EXPECT_GT(first.misses, 0u);
  EXPECT_GT(first.bytes, 0u);
  EXPECT_EQ(first.bytes_max, std::uint64_t{1} << 20);
  ASSERT_EQ((*ask())->num_rows(), 2);
  EXPECT_GT(db_->Stats().read_cache.hits, first.hits);
  EXPECT_EQ(db_->Stats().read_cache.misses, first.misses);
  Put({{1, "new"}});
  EXPECT_EQ((*db_->Get("t", Batch({{1, ""}})))->column(1)->GetScalar(0).ValueOrDie()->ToString(),
            "new");
}

}  // namespace
}  // namespace varve
