// SPDX-License-Identifier: Apache-2.0
// Backups, clones and what is restored of them, as users meet them.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/executor.h"
#include "base/random.h"
#include "files/files.h"
#include "files/simulated_disk.h"
#include "test/support/rows.h"
#include "test/support/seed.h"
#include "test/support/test_keys.h"
#include "varve/database.h"
#include "varve/inspect.h"
#include "varve/log_archive.h"

namespace varve {
namespace {

using testing::kHour;
using testing::Rows;
using testing::TestKeys;


class BackupTest : public ::testing::Test {
 protected:
  BackupTest() : files_(NewMemoryFiles()) { Open(); }

  Components World() {
    return {.files = files_.get(), .clock = &clock_, .random = &random_, .executor = &executor_};
  }
  std::unique_ptr<Database> OpenAt(const std::string& path, bool read_only = false) {
    auto db = Database::Open(path,
                             {.create_if_missing = !read_only, .read_only = read_only,
                              .history_micros = read_only ? std::optional<std::int64_t>()
                                                          : 1000 * kHour,
                              .keys = keys_, .log_archive = archive_.get(),
                              .log_archive_interval_ms = 0},
                             World());
    EXPECT_TRUE(db) << db.error().message();
    return db ? *std::move(db) : nullptr;
  }
  void Open(bool read_only = false) {
    db_.reset();
    db_ = OpenAt("/db", read_only);
    if (read_only) return;
    ASSERT_TRUE(db_->CreateTable("t", testing::RowsSchema(), {"id"}, {.if_not_exists = true}));
  }
  std::uint64_t Put(const Rows& rows) {
    clock_.Advance(1'000'000);
    const auto info = db_->Upsert("t", testing::RowsBatch(rows));
    EXPECT_TRUE(info) << info.error().message();
    for (const auto& [id, value] : rows) now_[id] = value;
    return Note(info->commit);
  }
  std::uint64_t Erase(std::int64_t id) {
    clock_.Advance(1'000'000);
    const auto info = db_->Delete("t", testing::RowsBatch({{id, "x"}}));
    EXPECT_TRUE(info) << info.error().message();
    now_.erase(id);
    return Note(info->commit);
  }
  std::uint64_t Note(CommitNumber commit) {
    then_[commit.value] = now_;
    const auto newest = db_->Versions(1);
    EXPECT_EQ(newest.front().commit, commit);
    times_[commit.value] = newest.front().time;
    return commit.value;
  }
  CopyInfo Backup(const std::string& to, const BackupOptions& options = {}) {
    const auto made = db_->Backup(to, options);
    EXPECT_TRUE(made) << made.error().message();
    return made ? *made : CopyInfo{};
  }
  std::string WhyNot(const std::string& to) {
    const auto made = db_->Backup(to);
    return made ? "it was made" : made.error().message();
  }
  // What the database at `path` shows, of now and of every commit before, and that it is sound.
  void ExpectHolds(const std::string& path, std::uint64_t commit, bool history = true) {
    const auto verified = VerifyDatabase(path, {.deep = true, .keys = keys_}, World());
    ASSERT_TRUE(verified) << verified.error().message();
    for (const Damage& damage : verified->damages) ADD_FAILURE() << damage.file << damage.message;
    archive_now_ = std::move(archive_);
    const auto copy = OpenAt(path, true);
    archive_ = std::move(archive_now_);
    ASSERT_NE(copy, nullptr);
    for (const auto& [number, rows] : then_) {
      if (number > commit || (!history && number < commit)) continue;
      const auto snapshot = copy->GetSnapshot(CommitNumber{number});
      ASSERT_TRUE(snapshot) << snapshot.error().message();
      EXPECT_EQ(testing::ReadRows(**snapshot), rows) << "as of " << number;
      const auto then = copy->GetSnapshot(times_.at(number));
      ASSERT_TRUE(then) << then.error().message();
      EXPECT_EQ((*then)->commit().value, number);
    }
    EXPECT_EQ(copy->Stats().visible.value, commit);
  }
  Result<CopyInfo> Restore(const std::string& from, const std::string& to, const AsOf& until = {}) {
    return Database::RestoreBackup(
        from, to, {.archive = archive_.get(), .to = until, .keys = keys_}, World());
  }
  std::string WhyNotRestored(const std::string& from, const std::string& to, const AsOf& until) {
    const auto made = Restore(from, to, until);
    return made ? "it was" : made.error().message();
  }
  bool IsThere(const std::string& path) { return files_->Info(path).has_value(); }

  std::unique_ptr<Files> files_;
  ManualClock clock_;
  SeededRandom random_{1};
  ManualExecutor executor_;
  KeyProvider* keys_ = nullptr;
  std::unique_ptr<LogArchive> archive_, archive_now_;
  std::unique_ptr<Database> db_;
  Rows now_;
  std::map<std::uint64_t, Rows> then_;  // by commit
  std::map<std::uint64_t, WallTime> times_;
};

void ExpectSays(const std::string& message, const std::string& part) {
  EXPECT_NE(message.find(part), std::string::npos) << message;
}

TEST_F(BackupTest, ABackupIsADatabaseThatHoldsTheVersion) {
  Put({{1, "a"}, {2, "b"}});
  ASSERT_TRUE(db_->Flush());
  Put({{2, "c"}, {3, "d"}});
  Erase(1);
  ASSERT_TRUE(db_->Tag("three"));
  const CopyInfo info = Backup("/b", {.verify = true});
  EXPECT_EQ(info.commit.value, 3u);
  EXPECT_GT(info.bytes_copied, 0u);
  EXPECT_EQ(info.files_reused, 0u);
  ExpectHolds("/b", 3);
  const auto copy = OpenAt("/b");  // and it takes writes
  EXPECT_EQ(copy->Tags().size(), 1u);
  EXPECT_EQ(copy->Upsert("t", testing::RowsBatch({{9, "own"}}))->commit.value, 4u);
  ASSERT_TRUE(copy->Flush());
  db_.reset();
  ExpectHolds("/db", 3);
}

TEST_F(BackupTest, TheNextOneCopiesWhatIsNew) {
  Put({{1, "a"}});
  const CopyInfo first = Backup("/b");
  Put({{2, "b"}});
  const CopyInfo second = Backup("/b");
  EXPECT_EQ(second.commit.value, 2u);
  EXPECT_EQ(second.files_reused, first.files);
  EXPECT_EQ(second.bytes_reused, first.bytes_copied);
  EXPECT_LT(second.bytes_copied, first.bytes_copied + 200);
  ExpectHolds("/b", 2);
  const CopyInfo third = Backup("/b");
  EXPECT_EQ(third.bytes_copied, 0u);
  EXPECT_EQ(third.files_removed, 0u);
  ExpectHolds("/b", 2);
}

TEST_F(BackupTest, WhatOnlyTheBackupBeforeNeedsGoesUnlessItIsToStay) {
  for (int i = 0; i < 5; ++i) {
    Put({{1, std::to_string(i)}, {2, "b"}});
    ASSERT_TRUE(db_->Flush());
  }
  const CopyInfo first = Backup("/b");
  ASSERT_TRUE(db_->Compact());
  ASSERT_TRUE(db_->Retire({.keep_micros = 0}));
  const CopyInfo kept = Backup("/b", {.keep_old = true});
  EXPECT_EQ(kept.files_removed, 0u);
  ExpectHolds("/b", 5, /*history=*/false);
  EXPECT_EQ(Backup("/b").files_removed, first.files - 1);  // but for the newest commit times
  ExpectHolds("/b", 5, /*history=*/false);
}

TEST_F(BackupTest, AReaderBacksUpWhatIsOnlyInTheLog) {
  Put({{1, "a"}});
  ASSERT_TRUE(db_->Flush());
  Put({{2, "b"}});
  Erase(1);
  Open(/*read_only=*/true);
  const CopyInfo info = Backup("/b", {.verify = true});
  EXPECT_EQ(info.commit.value, 3u);
  EXPECT_EQ(info.commits_from_log, 2u);
  ExpectHolds("/b", 3);
  EXPECT_EQ(Backup("/b").commit.value, 3u);  // again, over itself
  ExpectHolds("/b", 3);
  Open();
  Put({{3, "c"}});  // the writer's files take the place of the backup's own
  Backup("/b");
  ExpectHolds("/b", 4);
  db_.reset();
  ExpectHolds("/db", 4);
}

TEST_F(BackupTest, FilesStayWhileTheyAreCopied) {
  for (int i = 0; i < 5; ++i) {
    Put({{1, std::to_string(i)}, {i + 10, "b"}});
    ASSERT_TRUE(db_->Flush());
  }
  bool between = false;
  Backup("/b", {.progress = [&](std::uint64_t, std::uint64_t) {
    if (between) return;
    between = true;  // all of it is merged and let go of while the first file is copied
    Put({{1, "later"}});
    ASSERT_TRUE(db_->Compact());
    ASSERT_TRUE(db_->Retire({.keep_micros = 0}));
  }});
  ASSERT_TRUE(between);
  ExpectHolds("/b", 5);
  ASSERT_TRUE(db_->Flush());
  const auto held = db_->Retire({.keep_micros = 0});
  EXPECT_EQ(held->bytes_held, 0u);
  db_.reset();
  ExpectHolds("/db", 6, /*history=*/false);
}

TEST_F(BackupTest, DamageIsNotCopied) {
  Put({{1, "a"}});
  ASSERT_TRUE(db_->Flush());
  Backup("/b");
  Put({{2, "b"}});
  ASSERT_TRUE(db_->Flush());
  const auto data = files_->List("/db/data/t");
  ASSERT_EQ(data->size(), 2u);
  const std::string path = "/db/data/t/" + data->back().name;
  {
    const auto file = files_->Open(path, OpenMode::kReadWrite);
    char byte = 0;
    ASSERT_TRUE((*file)->ReadAt(10, 1, &byte));
    byte = static_cast<char>(byte ^ 1);
    ASSERT_TRUE((*file)->WriteAt(10, {&byte, 1}));
  }
  const auto made = db_->Backup("/b");
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().kind(), ErrorKind::kCorruption);
  ExpectSays(made.error().message(), path);
  ExpectHolds("/b", 1);  // the one before is as it was
}

TEST_F(BackupTest, BadDestinationsAreRefusedAndNothingIsMade) {
  Put({{1, "a"}});
  ExpectSays(WhyNot("/db"), "is the database itself");
  ExpectSays(WhyNot("/x/../db/"), "is the database itself");
  ExpectSays(WhyNot("/db/data/b"), "inside of the database '/db'");
  EXPECT_FALSE(IsThere("/db/data/b"));
  ASSERT_TRUE(files_->CreateDirectories("/full"));
  ASSERT_TRUE(files_->Open("/full/mine.txt", OpenMode::kCreate));
  ExpectSays(WhyNot("/full"), "holds 'mine.txt'; a backup is made in a new or empty folder");
  ExpectSays(WhyNot("/full/mine.txt"), "is a file");
  { const auto other = OpenAt("/other"); }
  ExpectSays(WhyNot("/other"), "holds a database that is no backup");
  ASSERT_TRUE(OpenAt("/other")->Backup("/b-of-other"));
  ExpectSays(WhyNot("/b-of-other"), "holds a backup of another database");
  Backup("/b");
  {
    const auto used = OpenAt("/b");
    ASSERT_TRUE(used->Upsert("t", testing::RowsBatch({{7, "x"}})));
  }
  ExpectSays(WhyNot("/b"), "was written to since it was a backup");
  { const auto used = OpenAt("/b"); ASSERT_TRUE(used->Flush()); }
  ExpectSays(WhyNot("/b"), "was written to since it was one");
  const auto clone = db_->Clone("/b");
  ExpectSays(clone.error().message(), "a clone is made in a new or empty folder");
  Backup("/held");
  const auto held = OpenAt("/held");
  EXPECT_EQ(db_->Backup("/held").error().reason(), ErrorReason::kLocked);
}

TEST_F(BackupTest, AnUnfinishedOneSaysSoAndIsGoneOnWith) {
  Put({{1, "a"}});
  ASSERT_TRUE(db_->Flush());
  Backup("/b");
  // As a crash before the manifest leaves it.
  ASSERT_TRUE(files_->Open("/b/UNFINISHED", OpenMode::kCreate));
  const auto manifests = files_->List("/b/manifest");
  for (const FileInfo& entry : *manifests) {
    ASSERT_TRUE(files_->Remove(JoinPath("/b/manifest", entry.name)));
  }
  const auto data = files_->List("/b/data/t");
  {  // and nobody vouches for what is there
    const auto file = files_->Open("/b/data/t/" + data->front().name, OpenMode::kReadWrite);
    ASSERT_TRUE((*file)->WriteAt(10, "?"));
  }
  const auto refused = Database::Open("/b", {.create_if_missing = true}, World());
  ASSERT_FALSE(refused);
  ExpectSays(refused.error().message(), "that is not complete: make it again there, or remove");
  Put({{2, "b"}});
  Backup("/b");
  EXPECT_FALSE(IsThere("/b/UNFINISHED"));
  ExpectHolds("/b", 2);
}

TEST_F(BackupTest, EncryptedOnesStayEncrypted) {
  TestKeys keys;
  keys_ = &keys;
  db_.reset();
  files_ = NewMemoryFiles();
  Open();
  Put({{1, "a"}});
  ASSERT_TRUE(db_->Flush());
  Put({{2, "b"}});
  Open(true);
  Backup("/b", {.verify = true});
  Backup("/b");
  ExpectHolds("/b", 2);
  Open();
  ASSERT_TRUE(db_->Flush());  // the same commits under other data keys
  Put({{3, "c"}});
  Backup("/b", {.verify = true});
  ExpectHolds("/b", 3);
  EXPECT_EQ(Database::Open("/b", {}, World()).error().reason(), ErrorReason::kMissingKey);
}

TEST_F(BackupTest, ACloneSharesFilesAndGoesItsOwnWay) {
  for (int i = 0; i < 5; ++i) {
    Put({{1, std::to_string(i)}, {i + 10, "b"}});
    ASSERT_TRUE(db_->Flush());
  }
  Put({{99, "in memory"}});
  const auto made = db_->Clone("/c");
  ASSERT_TRUE(made) << made.error().message();
  EXPECT_LT(made->bytes_copied, 1000u);  // commit times
  EXPECT_GT(made->bytes_reused, 0u);
  ExpectHolds("/c", 6);
  {  // what one lets go of stays the other's
    const auto clone = OpenAt("/c");
    ASSERT_TRUE(clone->Upsert("t", testing::RowsBatch({{1, "clone"}})));
    ASSERT_TRUE(clone->Compact());
    ASSERT_TRUE(clone->Retire({.keep_micros = 0}));
  }
  db_.reset();
  ExpectHolds("/db", 6);
  Open();
  const auto second = db_->Clone("/d", {.copy = true});
  ASSERT_TRUE(second) << second.error().message();
  EXPECT_GT(second->bytes_copied, 1000u);
  Put({{1, "db"}});
  ASSERT_TRUE(db_->Compact());
  ASSERT_TRUE(db_->Retire({.keep_micros = 0}));
  then_.erase(7);
  ExpectHolds("/d", 6);
}

TEST_F(BackupTest, ARestoredBackupIsTheVersionAgain) {
  Put({{1, "a"}});
  Put({{2, "b"}});
  Backup("/b");
  Put({{3, "c"}});
  const auto made = Restore("/b", "/r");
  ASSERT_TRUE(made) << made.error().message();
  EXPECT_EQ(made->commit.value, 2u);
  ExpectHolds("/r", 2);
  ExpectSays(WhyNotRestored("/b", "/r", {}), "a restored database is made in a new or empty");
  ExpectSays(WhyNotRestored("/b", "/r2", CommitNumber{1}), "is as of commit 2 of ");
  ExpectSays(WhyNotRestored("/b", "/r2", CommitNumber{3}), "give that too");
  ExpectSays(WhyNotRestored("/none", "/r2", {}), "there is no database at '/none'");
  EXPECT_FALSE(IsThere("/r2"));
}

class ArchiveTest : public BackupTest {
 protected:
  ArchiveTest() {
    archive_ = NewFolderArchive("/archive", {.files = files_.get(), .random = &random_});
    Open();
  }
  // Commits 1 and 2 in the backup, 3 to 6 later.
  void SixCommits() {
    Put({{1, "a"}});
    Put({{2, "b"}});
    Backup("/b");
    Put({{3, "c"}});
    Erase(1);
    ASSERT_TRUE(db_->Flush());
    Put({{4, "d"}});
    Put({{2, "e"}});
    db_.reset();  // Close archives the rest
  }
};

TEST_F(ArchiveTest, ABackupGoesOnToAnyCommitOfTheArchive) {
  SixCommits();
  db_ = nullptr;
  ASSERT_TRUE(OpenAt("/db")->Close());
  for (std::uint64_t commit = 2; commit <= 6; ++commit) {
    const auto to = "/r" + std::to_string(commit);
    const auto made = Restore("/b", to, CommitNumber{commit});
    ASSERT_TRUE(made) << made.error().message();
    EXPECT_EQ(made->commits_from_log, commit - 2);
    ExpectHolds(to, commit);
    const auto at_time = Restore("/b", to + "t", times_.at(commit));
    ASSERT_TRUE(at_time) << at_time.error().message();
    EXPECT_EQ(at_time->commit.value, commit);
  }
  const auto all = Restore("/b", "/all");
  ASSERT_TRUE(all) << all.error().message();
  ExpectHolds("/all", 6);
  ExpectSays(WhyNotRestored("/b", "/no", CommitNumber{7}),
             "the archive ends with commit 6, so commit 7 cannot be restored");
  EXPECT_FALSE(IsThere("/no"));
}

TEST_F(ArchiveTest, EncryptedOnesToo) {
  TestKeys keys;
  keys_ = &keys;
  db_.reset();
  files_ = NewMemoryFiles();
  archive_ = NewFolderArchive("/archive", {.files = files_.get(), .random = &random_});
  Open();
  SixCommits();
  ASSERT_TRUE(OpenAt("/db")->Close());
  const auto made = Restore("/b", "/r", CommitNumber{5});
  ASSERT_TRUE(made) << made.error().message();
  ExpectHolds("/r", 5);
}

TEST_F(ArchiveTest, WhatIsNotArchivedStaysInTheLog) {
  const auto put = [this] {
    for (int i = 0; i < 4; ++i) {
      Put({{i, std::string(600'000, 'x')}});
      ASSERT_TRUE(db_->Flush());
    }
  };
  const auto first = db_->Stats().log.first;
  put();  // nobody runs the archiver's tasks
  EXPECT_EQ(db_->Stats().log.first, first);
  EXPECT_GT(db_->Stats().archive->lag_bytes, 2'000'000u);
  executor_.RunAll();
  put();
  const auto stats = db_->Stats();
  EXPECT_FALSE(stats.archive->last_error) << stats.archive->last_error->message();
  EXPECT_GT(stats.archive->archived.value, first.value);
  EXPECT_GT(stats.log.first.value, first.value);
}

TEST_F(ArchiveTest, AGapBetweenBackupAndArchiveIsNamed) {
  Put({{1, "a"}});
  Backup("/b");
  ASSERT_TRUE(db_->Close());
  archive_now_ = std::move(archive_);
  db_.reset();
  Open();  // without an archive: the log is let go of
  for (int i = 0; i < 3; ++i) {
    Put({{2, std::string(600'000, 'x')}});
    Put({{2, std::string(600'000, 'y')}});
    ASSERT_TRUE(db_->Flush());
  }
  archive_ = NewFolderArchive("/archive2", {.files = files_.get(), .random = &random_});
  Open();
  Put({{3, "c"}});
  ASSERT_TRUE(db_->Close());
  ExpectSays(WhyNotRestored("/b", "/r", {}), "the archive begins after the backup, which ends with "
                                             "commit 1, LSN ");
  EXPECT_FALSE(IsThere("/r"));
  // And the old archive cannot be gone on with.
  const auto refused = Database::Open("/db", {.log_archive = archive_now_.get()}, World());
  ASSERT_FALSE(refused);
  ExpectSays(refused.error().message(), "Give an empty archive, and make a backup");
}

TEST_F(ArchiveTest, TablesThatChangedAreWhereItEnds) {
  SixCommits();
  Open();
  ASSERT_TRUE(db_->RenameTable("t", "u"));  // commit 7
  ASSERT_TRUE(db_->Upsert("u", testing::RowsBatch({{5, "f"}})));
  ASSERT_TRUE(db_->Close());
  ExpectSays(WhyNotRestored("/b", "/r", {}), "after commit 6 comes commit 8: the commits between "
                                             "changed or dropped a table");
  const auto made = Restore("/b", "/r", CommitNumber{6});
  ASSERT_TRUE(made) << made.error().message();
  ExpectHolds("/r", 6);
}

TEST_F(ArchiveTest, AnotherDatabasesArchiveIsRefused) {
  SixCommits();
  archive_ = NewFolderArchive("/archive2", {.files = files_.get(), .random = &random_});
  ASSERT_TRUE(OpenAt("/other")->Close());
  ExpectSays(WhyNotRestored("/b", "/r", {}), "give the archive of that database");
  const auto refused = Database::Open("/db", {.log_archive = archive_.get()}, World());
  ASSERT_FALSE(refused);
  ExpectSays(refused.error().message(), "this is the archive of another log");
}

// A backup beside random writes is the snapshot at its commit, whatever went on before and after.
TEST_F(BackupTest, PropertyBackupsEqualSnapshots) {
  const std::uint64_t seed = testing::TestSeed();
  SCOPED_TRACE(testing::SeedTrace(seed));
  SeededRandom random(seed);
  for (int round = 0; round < 12; ++round) {
    const auto write = [&] {
      for (std::uint64_t i = random.Next() % 6; i > 0; --i) {
        const auto id = static_cast<std::int64_t>(random.Next() % 30);
        switch (random.Next() % 8) {
          case 0: Erase(id); break;
          case 1: ASSERT_TRUE(db_->Flush()); break;
          case 2: ASSERT_TRUE(db_->Compact()); break;
          case 3: executor_.RunAll(); break;
          default: Put({{id, std::to_string(random.Next())}, {id + 1, "n"}});
        }
      }
    };
    write();
    const bool reader = random.Next() % 3 == 0;
    if (reader) Open(true);
    const auto to = "/b" + std::to_string(random.Next() % 3);
    int left = reader ? 0 : 3;  // or there would be ever more to read in the end
    const CopyInfo info = Backup(to, {.progress = [&](std::uint64_t, std::uint64_t) {
      if (left-- > 0) write();
    }});
    ExpectHolds(to, info.commit.value);
    if (reader) Open();
  }
}

}  // namespace
}  // namespace varve
