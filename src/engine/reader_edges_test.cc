// SPDX-License-Identifier: Apache-2.0
// What readers of other processes meet seldom: shapes of before, names that are not durable yet,
// forks, backups that somebody reads, and versions that one process made otherwise than another.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/executor.h"
#include "base/random.h"
#include "base/result.h"
#include "engine/lease.h"
#include "files/files.h"
#include "files/simulated_disk.h"
#include "test/support/forwarding_files.h"
#include "test/support/rows.h"
#include "varve/backup.h"
#include "varve/database.h"
#include "varve/inspect.h"

namespace varve {
namespace {

using testing::ReadRows;
using testing::Rows;

// Calls `before` before a folder is made durable, and refuses what `denies` says.
class WatchedFiles final : public testing::ForwardingFiles {
 public:
  explicit WatchedFiles(Files* files) : ForwardingFiles(files) {}
  std::function<void(const std::string& folder)> before_sync;
  std::string denied;  // a folder; empty: none

  Status SyncDirectory(const std::string& path) override {
    if (before_sync) before_sync(path);
    return files()->SyncDirectory(path);
  }
  Status CreateDirectories(const std::string& path) override {
    VARVE_TRY(Check(path));
    return files()->CreateDirectories(path);
  }
  Result<std::unique_ptr<FileLock>> Lock(const std::string& path, LockMode mode) override {
    VARVE_TRY(Check(path));
    return files()->Lock(path, mode);
  }

 private:
  Status Check(const std::string& path) const {
    if (denied.empty() || !path.starts_with(denied)) return {};
    return Fail(ErrorKind::kUnavailable, path + ": Permission denied", ErrorReason::kPermission);
  }
};

class ReaderEdgesTest : public ::testing::Test {
 protected:
  ReaderEdgesTest() {
    OpenWriter();
    EXPECT_TRUE(writer_->CreateTable("t", testing::RowsSchema(), {"id"}));
  }

  Components World(Files* files) {
    return {.files = files, .clock = &clock_, .random = &random_, .executor = &executor_};
  }
  void OpenWriter(std::shared_ptr<SealPolicy> seal = nullptr) {
    writer_.reset();
    auto db = Database::Open("/db",
                             {.create_if_missing = true, .seal_policy = std::move(seal),
                              .history_micros = 0},
                             World(&files_));
    ASSERT_TRUE(db) << db.error().message();
    writer_ = *std::move(db);
  }
  std::unique_ptr<Database> OpenReader(const std::string& path = "/db") {
    auto db = Database::Open(path, {.read_only = true}, World(&disk_));
    EXPECT_TRUE(db) << db.error().message();
    return db ? *std::move(db) : nullptr;
  }
  void Put(const Rows& rows) {
    const auto info = writer_->Upsert("t", testing::RowsBatch(rows));
    ASSERT_TRUE(info) << info.error().message();
    for (const auto& [id, value] : rows) now_[id] = value;
  }
  void PutAndFlush(const Rows& rows) {
    Put(rows);
    ASSERT_TRUE(writer_->Flush());
  }
  void Backup(Database* from, const std::string& to = "/b") {
    const auto made = from->Backup(to);
    ASSERT_TRUE(made) << made.error().message();
  }
  void ExpectWhole(const std::string& path, const Rows& rows) {
    const auto verified = VerifyDatabase(path, {.deep = true}, World(&disk_));
    ASSERT_TRUE(verified) << verified.error().message();
    for (const Damage& damage : verified->damages) ADD_FAILURE() << damage.file << damage.message;
    const auto reader = OpenReader(path);
    ASSERT_NE(reader, nullptr);
    EXPECT_EQ(ReadRows(**reader->GetSnapshot()), rows);
  }
  std::size_t RunsIn(const std::string& path) {
    const auto listed = disk_.List(path + "/data/t");
    std::size_t runs = 0;
    for (const FileInfo& entry : *listed) runs += entry.is_directory ? 0 : 1;
    return runs;
  }

  SimulatedDisk disk_;
  WatchedFiles files_{&disk_};
  ManualClock clock_;
  SeededRandom random_{1};
  ManualExecutor executor_;
  std::unique_ptr<Database> writer_;
  Rows now_;
};

// It is read by a view that was made of another one: the lease is for both.
TEST_F(ReaderEdgesTest, ASnapshotOfBeforeAChangeOfATableKeepsItsFiles) {
  PutAndFlush({{1, "a"}, {2, "a"}});
  const Rows then = now_;
  ASSERT_TRUE(writer_->RenameTable("t", "u"));
  ASSERT_TRUE(writer_->RenameTable("u", "t"));
  const auto reader = OpenReader();
  const auto held = *reader->GetSnapshot(CommitNumber{1});
  PutAndFlush({{1, "b"}, {2, "b"}});
  ASSERT_TRUE(writer_->Compact());
  EXPECT_EQ(ReadRows(**reader->GetSnapshot()), now_);
  for (int i = 0; i < 3; ++i) {
    PutAndFlush({{3, std::to_string(i)}});
    ASSERT_TRUE(writer_->Compact());
    ASSERT_TRUE(writer_->Retire({}));
    EXPECT_EQ(ReadRows(**reader->GetSnapshot()), now_);
  }
  EXPECT_EQ(ReadRows(*held), then);
}

// A change of a table is in the manifest alone; its name is there before it is durable.
TEST_F(ReaderEdgesTest, NoPowerCutTakesBackAChangeThatAReaderSaw) {
  PutAndFlush({{1, "a"}});
  const auto reader = OpenReader();
  int looks = 0;
  files_.before_sync = [&](const std::string& folder) {
    if (folder != "/db/manifest") return;
    const auto snapshot = reader->GetSnapshot();
    ASSERT_TRUE(snapshot) << snapshot.error().message();
    const auto left = disk_.Clone();
    left->Crash(Survival::kAllLost, &random_);
    const auto after =
        Database::Open("/db", {.read_only = true, .lease = false}, World(left.get()));
    ASSERT_TRUE(after) << after.error().message();
    EXPECT_GE((*after)->Stats().visible, (*snapshot)->commit());
    EXPECT_EQ((*after)->Tables().size(), reader->Tables().size());
    ++looks;
  };
  ASSERT_TRUE(writer_->DropTable("t"));
  files_.before_sync = nullptr;
  EXPECT_GT(looks, 0);
  EXPECT_TRUE(reader->Tables().empty());
}

// What it opened is its parent's, and so is the lease.
TEST_F(ReaderEdgesTest, AChildMadeByForkIsRefusedAndLeavesTheLeaseAlone) {
  PutAndFlush({{1, "a"}});
  const auto reader = OpenReader();
  auto snapshot = *reader->GetSnapshot();
  const auto note = [&] { return HeldLeases(&disk_, "/db")->at(0); };
  const pid_t child = ::fork();
  if (child == 0) {
    snapshot.reset();
    const auto again = reader->GetSnapshot();
    const bool refused = !again && again.error().message().contains("fork");
    std::_Exit(refused ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  EXPECT_EQ(note().commit.value, 1u);
  EXPECT_EQ(ReadRows(*snapshot), now_);
}

// A reader sees commits that the writer has sealed and not flushed: its backup takes them at once,
// where the database later has two versions.
TEST_F(ReaderEdgesTest, ABackupOfMoreCommitsAtOnceThanTheDatabaseFlushed) {
  for (const bool by_writer : {false, true}) {
    SCOPED_TRACE(by_writer);
    const std::string to = by_writer ? "/b2" : "/b1";
    OpenWriter(SealAt({.commits_max = 2}));
    Put({{1, "a" + to}});
    Put({{2, "b" + to}});  // sealed
    Put({{3, "c" + to}});
    Backup(OpenReader().get(), to);
    ExpectWhole(to, now_);
    executor_.RunAll();  // flushes the first two
    Backup(OpenReader().get(), to);
    ExpectWhole(to, now_);
    if (by_writer) Backup(writer_.get(), to);
    ExpectWhole(to, now_);
    Put({{4, "d" + to}});
    Backup(writer_.get(), to);
    ExpectWhole(to, now_);
  }
}

TEST_F(ReaderEdgesTest, TheNextBackupLeavesWhatSomebodyReadsOfTheOneBefore) {
  PutAndFlush({{1, "a"}});
  PutAndFlush({{2, "a"}});
  Backup(writer_.get());
  const Rows then = now_;
  auto reader = OpenReader("/b");
  auto held = *reader->GetSnapshot();
  PutAndFlush({{1, "b"}, {2, "b"}});
  ASSERT_TRUE(writer_->Compact());
  ASSERT_TRUE(writer_->Retire({}));
  Backup(writer_.get());
  EXPECT_EQ(ReadRows(*held), then);
  const auto next = reader->GetSnapshot();
  ASSERT_TRUE(next) << next.error().message();
  EXPECT_EQ(ReadRows(**next), now_);
  const std::size_t before = RunsIn("/b");
  held.reset();
  reader.reset();
  PutAndFlush({{3, "c"}});
  Backup(writer_.get());
  EXPECT_LT(RunsIn("/b"), before);
  ExpectWhole("/b", now_);
}

TEST_F(ReaderEdgesTest, ARepairIsRefusedWhileSomebodyReads) {
  PutAndFlush({{1, "a"}});
  writer_.reset();
  auto reader = OpenReader();
  const auto refused = RepairDatabase("/db", {.apply = true}, World(&disk_));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason(), ErrorReason::kLocked) << refused.error().message();
  reader.reset();
  const auto repaired = RepairDatabase("/db", {.apply = true}, World(&disk_));
  EXPECT_TRUE(repaired) << repaired.error().message();
}

TEST_F(ReaderEdgesTest, ABackupThatMayOnlyBeReadIsRestored) {
  PutAndFlush({{1, "a"}});
  Backup(writer_.get());
  files_.denied = "/b/";
  const auto restored = Database::RestoreBackup("/b", "/r", {}, World(&files_));
  ASSERT_TRUE(restored) << restored.error().message();
  files_.denied.clear();
  ExpectWhole("/r", now_);
}

}  // namespace
}  // namespace varve
