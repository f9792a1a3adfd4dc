// SPDX-License-Identifier: Apache-2.0
// Retiring as users meet it: what the window, tags, snapshots and transactions need stays, the rest
// goes, from the manifest and from the disk.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/executor.h"
#include "base/random.h"
#include "files/files.h"
#include "files/simulated_disk.h"
#include "test/support/rows.h"
#include "test/support/seed.h"
#include "varve/database.h"
#include "varve/inspect.h"

namespace varve {
namespace {

using testing::kHour;
using testing::Rows;


class RetireDatabaseTest : public ::testing::Test {
 protected:
  RetireDatabaseTest() : files_(NewMemoryFiles()) { Open(1000 * kHour); }

  Components World() {
    return {.files = files_.get(), .clock = &clock_, .random = &random_, .executor = &executor_};
  }
  void Open(std::optional<std::int64_t> history = {}) {
    db_.reset();
    auto db = Database::Open("/db", {.create_if_missing = true, .history_micros = history},
                             World());
    ASSERT_TRUE(db) << db.error().message();
    db_ = *std::move(db);
    ASSERT_TRUE(db_->CreateTable("t", testing::RowsSchema(), {"id"}, {.if_not_exists = true}));
  }
  // One commit and one flush.
  std::uint64_t Put(const Rows& rows) {
    const auto info = db_->Upsert("t", testing::RowsBatch(rows));
    EXPECT_TRUE(info) << info.error().message();
    for (const auto& [id, value] : rows) now_[id] = value;
    then_[info->commit.value] = now_;
    EXPECT_TRUE(db_->Flush());
    return info->commit.value;
  }
  // Commits 1 to 3 with the whole table each, compacted.
  void ThreeVersions() {
    for (const char* value : {"a", "b", "c"}) {
      Put({{1, value}, {2, value}, {3, value}});
      clock_.Advance(kHour);
    }
    ASSERT_TRUE(db_->Compact());
  }
  RetireInfo Retire(std::int64_t keep) {
    const auto info = db_->Retire({.keep_micros = keep});
    EXPECT_TRUE(info) << info.error().message();
    return info ? *info : RetireInfo{};
  }
  void ExpectReadable(std::uint64_t commit) {
    const auto snapshot = db_->GetSnapshot(CommitNumber{commit});
    ASSERT_TRUE(snapshot) << snapshot.error().message();
    EXPECT_EQ(testing::ReadRows(**snapshot), then_.at(commit)) << commit;
  }
  std::string WhyNotReadable(std::uint64_t commit) {
    const auto snapshot = db_->GetSnapshot(CommitNumber{commit});
    if (snapshot) return "it is";
    EXPECT_EQ(snapshot.error().kind(), ErrorKind::kNotFound);
    return snapshot.error().message();
  }
  std::size_t FilesIn(const std::string& folder) {
    const auto listed = files_->List("/db/" + folder);
    if (!listed) return 0;
    return static_cast<std::size_t>(std::ranges::count(*listed, false, &FileInfo::is_directory));
  }
  std::vector<std::string> Damages() {
    db_.reset();
    const auto verified = VerifyDatabase("/db", {.deep = true}, World());
    EXPECT_TRUE(verified) << verified.error().message();
    std::vector<std::string> damages;
    for (const Damage& damage : verified->damages) damages.push_back(damage.message);
    return damages;
  }

  using Strings = std::vector<std::string>;
  std::unique_ptr<Files> files_;
  ManualClock clock_;
  SeededRandom random_{1};
  ManualExecutor executor_;
  std::unique_ptr<Database> db_;
  Rows now_;
  std::map<std::uint64_t, Rows> then_;  // by commit
};

TEST_F(RetireDatabaseTest, WhatIsOlderThanTheWindowGoesAndSaysSo) {
  ThreeVersions();
  EXPECT_EQ(FilesIn("data/t"), 4u);
  const auto would = db_->Retire({.keep_micros = 0, .dry_run = true});
  ASSERT_TRUE(would);
  EXPECT_EQ(would->oldest.value, 3u);
  EXPECT_EQ(would->runs, 3u);
  EXPECT_GT(would->bytes, 0u);
  for (const std::uint64_t commit : {1, 2, 3}) ExpectReadable(commit);
  const RetireInfo did = Retire(0);
  EXPECT_EQ(did.bytes, would->bytes);
  EXPECT_EQ(did.bytes_held, 0u);
  EXPECT_EQ(FilesIn("data/t"), 1u);
  EXPECT_EQ(FilesIn("times"), 1u);
  ExpectReadable(3);
  EXPECT_NE(WhyNotReadable(2).find("commit 2 of '/db' cannot be read any more: older versions were "
                                   "let go, and the oldest that is left is commit 3"),
            std::string::npos)
      << WhyNotReadable(2);
  EXPECT_EQ(db_->Versions().size(), 1u);
  EXPECT_EQ(Retire(0).files, 0u);
  Open();
  ExpectReadable(3);
  EXPECT_NE(WhyNotReadable(1), "it is");
  EXPECT_EQ(Damages(), Strings());
}

TEST_F(RetireDatabaseTest, WithinTheWindowEveryCommitStays) {
  ThreeVersions();  // three hours, two hours and one hour ago
  EXPECT_EQ(Retire(3 * kHour).runs, 0u);
  for (const std::uint64_t commit : {1, 2, 3}) ExpectReadable(commit);
  EXPECT_EQ(Retire(2 * kHour).oldest.value, 2u);
  EXPECT_NE(WhyNotReadable(1), "it is");
  for (const std::uint64_t commit : {2, 3}) ExpectReadable(commit);
  const auto then = db_->GetSnapshot(WallTime{clock_.Now().micros - 2 * kHour});
  ASSERT_TRUE(then);
  EXPECT_EQ((*then)->commit().value, 2u);
  const auto before = db_->GetSnapshot(WallTime{clock_.Now().micros - 2 * kHour - kHour / 2});
  ASSERT_FALSE(before);
  EXPECT_NE(before.error().message().find("the oldest is commit 2"), std::string::npos)
      << before.error().message();
}

TEST_F(RetireDatabaseTest, ATagKeepsItsVersionForEver) {
  ThreeVersions();
  ASSERT_TRUE(db_->Tag("v1", CommitNumber{1}));
  Retire(0);
  ExpectReadable(1);
  EXPECT_NE(WhyNotReadable(2), "it is");
  Open();
  ExpectReadable(1);
  const auto changes = db_->Changes("t", TagName{"v1"});
  ASSERT_FALSE(changes);
  EXPECT_EQ(changes.error().kind(), ErrorKind::kNotFound);
  const auto restored = db_->RestoreTable("t", TagName{"v1"});  // though what came after is gone
  ASSERT_TRUE(restored) << restored.error().message();
  EXPECT_EQ(restored->rows_written, 3u);
  EXPECT_EQ(testing::ReadRows(**db_->GetSnapshot()), then_[1]);
  ASSERT_TRUE(db_->Untag("v1"));
  Retire(0);
  EXPECT_NE(WhyNotReadable(1), "it is");
  EXPECT_EQ(Damages(), Strings());
}

TEST_F(RetireDatabaseTest, ATagThatIsMadeOfATagHasItsTime) {
  ThreeVersions();
  const auto first = db_->Tag("v1", CommitNumber{1});
  ASSERT_TRUE(first);
  Retire(0);
  const auto second = db_->Tag("w", TagName{"v1"});
  ASSERT_TRUE(second) << second.error().message();
  EXPECT_EQ(second->time, first->time);
  EXPECT_EQ(db_->Tag("x", CommitNumber{1})->time, first->time);
  EXPECT_EQ(db_->Tag("x", CommitNumber{2}).error().kind(), ErrorKind::kNotFound);
}

TEST_F(RetireDatabaseTest, ASnapshotKeepsItsFilesUntilItEnds) {
  ThreeVersions();
  auto held = *db_->GetSnapshot(CommitNumber{1});
  auto reader = *held->Scan("t", {.batch_rows_max = 1});
  std::uint64_t times = 0;
  const auto listed = *files_->List("/db/times");
  for (const FileInfo& file : listed) times += file.size;
  times -= times / 3;  // the newest version's stays
  const RetireInfo info = Retire(0);
  EXPECT_EQ(info.bytes_held, info.bytes - times) << "its view holds all runs of then";
  EXPECT_EQ(FilesIn("data/t"), 4u);
  EXPECT_EQ(testing::Drain(reader.get()), then_[1]);
  EXPECT_EQ(testing::ReadRows(*held), then_[1]);
  reader = *held->Scan("t", {.batch_rows_max = 1});
  held.reset();
  EXPECT_GT(Retire(0).bytes_held, 0u) << "the reader";
  EXPECT_EQ(testing::Drain(reader.get()), then_[1]);
  reader.reset();
  EXPECT_EQ(Retire(0).bytes_held, 0u);
  EXPECT_EQ(FilesIn("data/t"), 1u);
}

TEST_F(RetireDatabaseTest, AnOpenTransactionKeepsWhatItComparesWith) {
  ThreeVersions();
  auto transaction = *db_->Begin();
  ASSERT_TRUE(transaction->Upsert("t", testing::RowsBatch({{2, "mine"}})));
  clock_.Advance(kHour);
  Put({{2, "theirs"}});
  clock_.Advance(kHour);
  Put({{1, "later"}});
  clock_.Advance(kHour);
  ASSERT_TRUE(db_->Compact());
  EXPECT_EQ(Retire(0).oldest.value, 3u);
  const auto committed = transaction->Commit();
  ASSERT_FALSE(committed);
  EXPECT_EQ(committed.error().kind(), ErrorKind::kConflict);
  EXPECT_EQ(Retire(0).oldest.value, 5u);
}

TEST_F(RetireDatabaseTest, AFollowerThatIsTooFarBehindIsTold) {
  ThreeVersions();
  auto follower = db_->FollowChanges("t", CommitNumber{1});
  ASSERT_TRUE(follower);
  Retire(0);
  const auto next = (*follower)->Next(0);
  ASSERT_FALSE(next);
  EXPECT_EQ(next.error().kind(), ErrorKind::kNotFound);
  EXPECT_NE(next.error().message().find("the oldest that is left is commit 3"), std::string::npos)
      << next.error().message();
}

TEST_F(RetireDatabaseTest, ATableThatWasDroppedGoesWithItsLastVersion) {
  ThreeVersions();
  auto follower = db_->FollowChanges("t", CommitNumber{3});
  ASSERT_TRUE(db_->DropTable("t"));
  clock_.Advance(kHour);
  Retire(2 * kHour);
  ExpectReadable(3);
  EXPECT_EQ(Retire(0).oldest.value, 4u);
  EXPECT_EQ(FilesIn("data/t"), 0u);
  EXPECT_EQ((*follower)->Next(0).error().kind(), ErrorKind::kNotFound);
  EXPECT_EQ(Damages(), Strings());
}

TEST_F(RetireDatabaseTest, TheDatabaseRemembersItsWindow) {
  Open(5 * kHour);
  ThreeVersions();
  Open();
  Put({{1, "d"}});  // whose flush retires by the window
  for (const std::uint64_t commit : {1, 2, 3}) ExpectReadable(commit);
  EXPECT_EQ(db_->Retire()->runs, 0u);
  Open(kHour);
  Put({{1, "e"}});
  EXPECT_NE(WhyNotReadable(2), "it is");
  ExpectReadable(3);
}

TEST_F(RetireDatabaseTest, AWindowBelowZeroIsRefused) {
  EXPECT_EQ(db_->Retire({.keep_micros = -1}).error().kind(), ErrorKind::kInvalid);
}

// Whoever prepared rows for former columns, or a table that is gone, learns it though nothing of
// them is left.
TEST_F(RetireDatabaseTest, WritersBesideChangesThatAreLetGoAtOnceAreKeptOrToldWhy) {
  Open(0);
  ASSERT_TRUE(db_->CreateTable("u", testing::RowsSchema(), {"id"}));
  std::atomic<bool> stop = false;
  std::atomic<std::int64_t> tried = 0;
  std::vector<std::thread> writers;
  for (std::int64_t writer = 0; writer < 3; ++writer) {
    writers.emplace_back([&, writer] {
      while (!stop) {
        const std::int64_t id = 3 * ++tried + writer;
        const auto info = db_->Upsert("t", testing::RowsBatch({{id, "x"}}));
        EXPECT_TRUE(info || info.error().kind() == ErrorKind::kNotFound)
            << info.error().message();
        const auto other = db_->Upsert("u", testing::RowsBatch({{id, "x"}}));
        EXPECT_TRUE(other || other.error().kind() == ErrorKind::kInvalid)  // it lacks a column
            << other.error().message();
      }
    });
  }
  for (int round = 0; round < 30; ++round) {
    const auto target = tried + 4;
    while (tried < target) std::this_thread::yield();
    const auto altered = db_->AlterTable("u", {AddColumn{arrow::field("n", arrow::int8())}});
    ASSERT_TRUE(altered) << altered.error().message();
    ASSERT_TRUE(db_->AlterTable("u", {DropColumn{"n"}}));
    ASSERT_TRUE(db_->DropTable("t"));
    Retire(0);
    ASSERT_TRUE(db_->CreateTable("t", testing::RowsSchema(), {"id"}));
  }
  stop = true;
  for (auto& writer : writers) writer.join();
  EXPECT_EQ(Damages(), Strings());
}

// Compactions and flushes retire by themselves, so files do not grow in number.
TEST_F(RetireDatabaseTest, ALifeOfOverwritesKeepsFewFiles) {
  Open(kHour);
  const std::uint64_t seed = testing::TestSeed();
  SCOPED_TRACE(testing::SeedTrace(seed));
  SeededRandom random(seed);
  std::uint64_t last = 0;
  for (int step = 0; step < 200; ++step) {
    last = Put({{static_cast<std::int64_t>(random.Below(30)), std::to_string(step)}});
    executor_.RunAll();
    clock_.Advance(kHour / 8);
    EXPECT_LE(FilesIn("data/t"), 30u);
    EXPECT_LE(FilesIn("manifest"), 3 * 32u);
    for (int back = 0; back < 8 && last > 8; ++back) {
      ExpectReadable(last - static_cast<std::uint64_t>(back));
    }
    if (random.Below(20) == 0) Open();
  }
  EXPECT_EQ(Damages(), Strings());
}

}  // namespace
}  // namespace varve
