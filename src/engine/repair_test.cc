// SPDX-License-Identifier: Apache-2.0
// Repairs as operators meet them: each kind of damage, what the report says it costs, and that the
// database is then what the report says, sound, and takes writes.
#include <arrow/io/memory.h>
#include <arrow/table.h>
#include <gtest/gtest.h>
#include <parquet/arrow/reader.h>

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
#include "varve/backup.h"

namespace varve {
namespace {

using testing::kHour;
using testing::Rows;


class RepairTest : public ::testing::Test {
 protected:
  RepairTest() : files_(NewMemoryFiles()) { Open(); }

  Components World() {
    return {.files = files_.get(), .clock = &clock_, .random = &random_, .executor = &executor_};
  }
  void Open() {
    db_.reset();
    auto db = Database::Open("/db", {.create_if_missing = true, .history_micros = 1000 * kHour,
                                     .keys = keys_},
                             World());
    ASSERT_TRUE(db) << db.error().message();
    db_ = *std::move(db);
    ASSERT_TRUE(db_->CreateTable("t", testing::RowsSchema(), {"id"}, {.if_not_exists = true}));
  }
  std::uint64_t Put(const Rows& rows) {
    clock_.Advance(1'000'000);
    const auto info = db_->Upsert("t", testing::RowsBatch(rows));
    EXPECT_TRUE(info) << info.error().message();
    for (const auto& [id, value] : rows) now_[id] = value;
    then_[info->commit.value] = now_;
    return info->commit.value;
  }
  void PutAndFlush(const Rows& rows) {
    Put(rows);
    ASSERT_TRUE(db_->Flush());
  }
  void Close() {
    if (db_ != nullptr) {
      ASSERT_TRUE(db_->Close());
    }
    db_.reset();
  }
  // The data file that was made n-th; files are named after the order in which they are made.
  std::string RunPath(std::size_t n) {
    std::vector<std::string> names;
    for (const std::string& name : Names("/db/data")) {
      if (name.find("_deletes") == std::string::npos) names.push_back(name);
    }
    std::ranges::sort(names);
    return n <= names.size() ? names[n - 1] : "none";
  }
  void Flip(const std::string& path, std::uint64_t offset) {
    const auto file = files_->Open(path, OpenMode::kReadWrite);
    ASSERT_TRUE(file) << path;
    char byte = 0;
    ASSERT_EQ(*(*file)->ReadAt(offset, 1, &byte), 1u);
    byte = static_cast<char>(byte ^ 0x40);
    ASSERT_TRUE((*file)->WriteAt(offset, {&byte, 1}));
  }
  std::string NewestIn(const std::string& folder) {
    const auto listed = files_->List(folder);
    return JoinPath(folder, listed->back().name);
  }
  RepairReport Repair(bool apply) {
    const auto report = RepairDatabase("/db", {.apply = apply, .keys = keys_}, World());
    EXPECT_TRUE(report) << report.error().message();
    return report ? *report : RepairReport{};
  }
  // A dry run changes nothing and says what the repair then does; afterwards all is sound.
  RepairReport DryThenApply() {
    Close();
    const auto before = Names("/db");
    const RepairReport dry = Repair(false);
    EXPECT_EQ(Names("/db"), before);
    EXPECT_FALSE(dry.applied);
    RepairReport done = Repair(true);
    EXPECT_TRUE(done.applied);
    EXPECT_EQ(done.commit.value, dry.commit.value);
    EXPECT_EQ(done.runs.size(), dry.runs.size());
    EXPECT_EQ(done.log_commits_lost, dry.log_commits_lost);
    EXPECT_EQ(done.damages.size(), dry.damages.size());
    ExpectSound();
    for (const std::string& name : before) {  // nothing is deleted
      if (name.starts_with("/db/tmp") || name.starts_with("/db/log/calib")) continue;
      const bool stays = files_->Info(name).has_value();
      EXPECT_TRUE(stays || files_->Info(done.set_aside + name.substr(3)).has_value()) << name;
    }
    EXPECT_TRUE(Repair(false).damages.empty());
    return done;
  }
  void ExpectSound() {
    const auto verified = VerifyDatabase("/db", {.deep = true, .keys = keys_}, World());
    ASSERT_TRUE(verified) << verified.error().message();
    for (const Damage& damage : verified->damages) {
      ADD_FAILURE() << damage.file << ": " << damage.message;
    }
  }
  std::vector<std::string> Names(const std::string& folder) {
    std::vector<std::string> names;
    const auto entries = files_->List(folder);
    for (const FileInfo& entry : *entries) {
      const auto path = JoinPath(folder, entry.name);
      if (!entry.is_directory) {
        names.push_back(path);
        continue;
      }
      const auto below = Names(path);
      names.insert(names.end(), below.begin(), below.end());
    }
    return names;
  }
  Rows Read(std::uint64_t commit) {
    const auto snapshot = db_->GetSnapshot(CommitNumber{commit});
    EXPECT_TRUE(snapshot) << snapshot.error().message();
    return snapshot ? testing::ReadRows(**snapshot) : Rows{};
  }
  // It opens, shows these rows, takes a write under the next number, and is sound again.
  void ExpectGoesOn(const Rows& rows, std::uint64_t commit) {
    Open();
    ASSERT_EQ(db_->Stats().visible.value, commit);
    EXPECT_EQ(Read(commit), rows);
    EXPECT_EQ(Put({{77, "later"}}), commit + 1);
    ASSERT_TRUE(db_->Flush());
    ASSERT_TRUE(db_->Compact());
    Close();
    ExpectSound();
    Open();
    Rows with = rows;
    with[77] = "later";
    EXPECT_EQ(Read(commit + 1), with);
  }

  std::unique_ptr<Files> files_;
  ManualClock clock_;
  SeededRandom random_{1};
  ManualExecutor executor_;
  KeyProvider* keys_ = nullptr;
  std::unique_ptr<Database> db_;
  Rows now_;
  std::map<std::uint64_t, Rows> then_;  // by commit
};

TEST_F(RepairTest, ASoundDatabaseIsLeftAlone) {
  PutAndFlush({{1, "a"}});
  Put({{2, "b"}});
  Close();
  const auto before = Names("/db");
  const RepairReport report = Repair(true);
  EXPECT_TRUE(report.damages.empty());
  EXPECT_FALSE(report.applied);
  EXPECT_EQ(report.commit.value, 2u);
  EXPECT_EQ(Names("/db"), before);
  ExpectGoesOn(now_, 2);
}

TEST_F(RepairTest, OneThatIsOpenIsRefusedAndNamesWho) {
  PutAndFlush({{1, "a"}});
  for (const bool apply : {false, true}) {
    const auto refused = RepairDatabase("/db", {.apply = apply}, World());
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().reason(), ErrorReason::kLocked);
    EXPECT_NE(refused.error().message().find("process"), std::string::npos);
  }
  EXPECT_EQ(RepairDatabase("/none", {}, World()).error().kind(), ErrorKind::kNotFound);
}

TEST_F(RepairTest, ADamagedRunCostsItsRowsAndOlderOnesComeBack) {
  PutAndFlush({{1, "a"}, {2, "a"}});
  PutAndFlush({{2, "b"}, {3, "b"}});
  PutAndFlush({{9, "c"}});
  Flip(RunPath(2), 20);
  const RepairReport report = DryThenApply();
  ASSERT_EQ(report.runs.size(), 1u);
  const LostRun& lost = report.runs.front();
  EXPECT_EQ(lost.table, "t");
  EXPECT_EQ(lost.rows, 2u);
  EXPECT_EQ(lost.first.value, 2u);
  EXPECT_EQ(lost.last.value, 2u);
  EXPECT_EQ(lost.min_key, "2");
  EXPECT_EQ(lost.max_key, "3");
  EXPECT_TRUE(lost.shows_older);
  EXPECT_FALSE(lost.replaced);
  EXPECT_EQ(report.commit.value, 3u);
  ExpectGoesOn({{1, "a"}, {2, "a"}, {9, "c"}}, 3);
}

TEST_F(RepairTest, WithNothingOlderBelowNothingComesBack) {
  PutAndFlush({{1, "a"}});
  PutAndFlush({{5, "b"}});
  Close();
  ASSERT_TRUE(files_->Remove(RunPath(2)));
  const RepairReport report = DryThenApply();
  ASSERT_EQ(report.runs.size(), 1u);
  EXPECT_FALSE(report.runs.front().shows_older);
  ExpectGoesOn({{1, "a"}}, 2);
}

TEST_F(RepairTest, ADamagedCompactionIsUndoneWithoutLoss) {
  for (int i = 0; i < 4; ++i) PutAndFlush({{1, std::to_string(i)}, {i + 10, "x"}});
  ASSERT_TRUE(db_->Compact());
  PutAndFlush({{2, "after"}});
  Flip(RunPath(5), 20);
  const RepairReport report = DryThenApply();
  ASSERT_EQ(report.runs.size(), 1u);
  EXPECT_TRUE(report.runs.front().replaced);
  EXPECT_FALSE(report.runs.front().shows_older);
  Open();
  for (const auto& [commit, rows] : then_) EXPECT_EQ(Read(commit), rows) << commit;
  ExpectGoesOn(now_, 5);
}

TEST_F(RepairTest, CompactionsAfterADamagedOneAreUndoneToo) {
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 2; ++i) PutAndFlush({{1, std::to_string(round)}, {i + 10 * round, "x"}});
    ASSERT_TRUE(db_->Compact());
  }
  Flip(RunPath(3), 20);  // the first one's
  const RepairReport report = DryThenApply();
  ASSERT_EQ(report.runs.size(), 1u);
  EXPECT_TRUE(report.runs.front().replaced);
  EXPECT_FALSE(report.not_needed.empty());
  Open();
  for (const auto& [commit, rows] : then_) EXPECT_EQ(Read(commit), rows) << commit;
  ExpectGoesOn(now_, 6);
}

TEST_F(RepairTest, WhereTheInputsAreGoneTheRowsAre) {
  for (int i = 0; i < 4; ++i) PutAndFlush({{1, std::to_string(i)}, {i + 10, "x"}});
  ASSERT_TRUE(db_->Compact());
  ASSERT_TRUE(db_->Retire({.keep_micros = 0}));
  PutAndFlush({{2, "after"}});
  Flip(RunPath(1), 20);
  const RepairReport report = DryThenApply();
  ASSERT_EQ(report.runs.size(), 1u);
  EXPECT_FALSE(report.runs.front().replaced);
  EXPECT_EQ(report.runs.front().rows, 5u);
  ExpectGoesOn({{2, "after"}}, 5);
}

TEST_F(RepairTest, DamagedHistoryCostsHistoryAlone) {
  PutAndFlush({{1, "a"}});
  ASSERT_TRUE(db_->Tag("first"));
  for (int i = 0; i < 3; ++i) PutAndFlush({{1, std::to_string(i)}, {i + 10, "x"}});
  ASSERT_TRUE(db_->Tag("last"));
  ASSERT_TRUE(db_->Compact());
  Flip(RunPath(1), 20);
  const RepairReport report = DryThenApply();
  ASSERT_EQ(report.runs.size(), 1u);
  EXPECT_TRUE(report.runs.front().only_history);
  EXPECT_EQ(report.oldest.value, 4u);
  EXPECT_EQ(report.tags, std::vector<std::string>{"first"});
  Open();
  EXPECT_FALSE(db_->GetSnapshot(CommitNumber{3}));  // refused, since it would miss rows
  EXPECT_FALSE(db_->GetSnapshot(TagName{"first"}));
  EXPECT_TRUE(db_->GetSnapshot(TagName{"last"}));
  ExpectGoesOn(now_, 4);
}

TEST_F(RepairTest, OlderVersionsOfAFlushAreShownWhenTheNewestAreLost) {
  Put({{1, "a"}, {2, "a"}});
  PutAndFlush({{1, "b"}});  // two runs: the newest versions, and the older one of 1
  Flip(RunPath(1), 20);
  Close();
  const bool newest_lost = true;
  const RepairReport report = DryThenApply();
  ASSERT_EQ(report.runs.size(), 1u);
  EXPECT_EQ(report.runs.front().only_history, !newest_lost);
  Open();
  EXPECT_EQ(Read(2), (Rows{{1, "a"}}));
}

TEST_F(RepairTest, ADamagedManifestFallsBackToTheNewestThatCanBeProved) {
  PutAndFlush({{1, "a"}});
  PutAndFlush({{2, "b"}});
  Close();
  const std::string second = RunPath(2).substr(3);
  Flip(NewestIn("/db/manifest"), 100);
  const RepairReport report = DryThenApply();
  EXPECT_TRUE(report.older_manifest);
  EXPECT_GT(report.manifests, 0u);
  EXPECT_EQ(report.commit.value, 2u);  // the log still has the second
  EXPECT_TRUE(files_->Info(report.set_aside + second));
  ExpectGoesOn(now_, 2);
}

TEST_F(RepairTest, AnOldDamagedManifestCostsNothing) {
  for (int i = 0; i < 40; ++i) PutAndFlush({{i, "a"}});
  Close();
  const auto listed = files_->List("/db/manifest");
  Flip(JoinPath("/db/manifest", (*listed)[3].name), 100);
  const RepairReport report = DryThenApply();
  EXPECT_FALSE(report.older_manifest);
  EXPECT_TRUE(report.runs.empty());
  ExpectGoesOn(now_, 40);
}

TEST_F(RepairTest, TheFirstManifestSaysNothingThatTheSecondDoesNot) {
  PutAndFlush({{1, "a"}});
  Close();
  Flip("/db/manifest/00000000000000000001", 50);
  const RepairReport report = DryThenApply();
  EXPECT_FALSE(report.older_manifest);
  ExpectGoesOn({{1, "a"}}, 1);
}

TEST_F(RepairTest, WithoutAnyManifestThatCanBeProvedNothingIsDone) {
  PutAndFlush({{1, "a"}});
  Close();
  const auto listed = files_->List("/db/manifest");
  for (const FileInfo& entry : *listed) Flip(JoinPath("/db/manifest", entry.name), 50);
  const auto refused = RepairDatabase("/db", {.apply = true}, World());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind(), ErrorKind::kCorruption);
  EXPECT_NE(refused.error().message().find("restore a backup"), std::string::npos);
  EXPECT_FALSE(files_->Info("/db/set-aside"));
}

TEST_F(RepairTest, OfADamagedLogTheCommitsBeforeTheDamageAreKept) {
  PutAndFlush({{1, "a"}});
  std::vector<std::uint64_t> ends;
  for (int i = 0; i < 4; ++i) {
    Put({{i + 10, "log"}});
    ends.push_back(db_->Stats().log.positions.durable.value);
  }
  const auto log = db_->Stats().log.segments.back();
  Close();
  // In the third commit of the log: its first byte lies behind the end of the second.
  Flip("/db/log/" + log.name, ends[1] - log.base.value + 4096 + 4096 + 70);
  const RepairReport report = DryThenApply();
  EXPECT_TRUE(report.log_damaged);
  EXPECT_EQ(report.commit.value, report.log_commits_kept + 1);
  EXPECT_GT(report.log_commits_lost, 0u);
  EXPECT_EQ(report.log_lost_last.value, 5u);
  EXPECT_EQ(report.commit_before.value, 5u);
  ExpectGoesOn(then_.at(report.commit.value), report.commit.value);
}

TEST_F(RepairTest, AnOlderManifestWhoseLogIsGoneCostsWhatCameSince) {
  for (int i = 0; i < 4; ++i) {
    Put({{i, std::string(600'000, 'a')}});
    PutAndFlush({{i, std::string(600'000, 'b')}});
  }
  Put({{50, "log"}});
  Put({{51, "log"}});
  Close();
  const auto listed = files_->List("/db/manifest");
  for (std::size_t i = listed->size() - 3; i < listed->size(); ++i) {
    Flip(JoinPath("/db/manifest", (*listed)[i].name), 100);
  }
  const RepairReport report = DryThenApply();
  EXPECT_TRUE(report.older_manifest);
  EXPECT_TRUE(report.log_damaged);
  EXPECT_EQ(report.commit.value, 2u);
  EXPECT_EQ(report.log_lost_last.value, 10u);
  EXPECT_EQ(report.commit_before.value, 10u);
  EXPECT_GE(report.log_commits_lost, 2u);
  ExpectGoesOn(then_.at(2), 2);
}

TEST_F(RepairTest, AMissingLogIsMadeAnew) {
  PutAndFlush({{1, "a"}});
  Put({{2, "b"}});
  ASSERT_TRUE(db_->Tag("lost"));
  Close();
  const auto listed = files_->List("/db/log");
  for (const FileInfo& entry : *listed) ASSERT_TRUE(files_->Remove("/db/log/" + entry.name));
  const RepairReport report = DryThenApply();
  EXPECT_TRUE(report.log_damaged);
  EXPECT_EQ(report.commit.value, 1u);
  EXPECT_EQ(report.tags, std::vector<std::string>{"lost"});
  ExpectGoesOn({{1, "a"}}, 1);
}

TEST_F(RepairTest, DamagedTimesCostTimesAlone) {
  for (int i = 0; i < 4; ++i) PutAndFlush({{i, "a"}});
  Close();
  Flip("/db/times/00000000000000000002", 20);
  const RepairReport report = DryThenApply();
  EXPECT_EQ(report.times, 2u);
  Open();
  for (const auto& [commit, rows] : then_) EXPECT_EQ(Read(commit), rows) << commit;
  ExpectGoesOn(now_, 4);
}

TEST_F(RepairTest, EncryptedOnesAreRepairedUnderTheirKeys) {
  testing::TestKeys keys;
  keys_ = &keys;
  db_.reset();
  files_ = NewMemoryFiles();
  Open();
  PutAndFlush({{1, "a"}});
  Put({{2, "b"}});
  Close();
  EXPECT_EQ(RepairDatabase("/db", {}, World()).error().reason(), ErrorReason::kMissingKey);
  Flip(RunPath(1), 100);
  const RepairReport report = DryThenApply();
  ASSERT_EQ(report.runs.size(), 1u);
  ExpectGoesOn({{2, "b"}}, 2);
}

TEST_F(RepairTest, TheLogsRowsAreExportedWhateverElseIsDamaged) {
  PutAndFlush({{1, "a"}, {2, "a"}});
  Put({{2, "b"}, {3, "b"}});
  ASSERT_TRUE(db_->Delete("t", testing::RowsBatch({{1, "x"}})));
  Close();
  Flip(RunPath(1), 20);
  const auto exported = ExportLog("/db", "/out", {}, World());
  ASSERT_TRUE(exported) << exported.error().message();
  EXPECT_EQ(exported->commits, 2u);
  EXPECT_EQ(exported->first.value, 2u);
  EXPECT_EQ(exported->last.value, 3u);
  ASSERT_EQ(exported->tables.size(), 1u);
  EXPECT_EQ(exported->tables[0].rows, 3u);
  EXPECT_EQ(exported->tables[0].deletes, 1u);
  const auto bytes = ReadWholeFile(files_.get(), exported->tables[0].file);
  ASSERT_TRUE(bytes);
  auto source = std::make_shared<arrow::io::BufferReader>(arrow::Buffer::FromString(*bytes));
  auto reader = *parquet::arrow::OpenFile(source, arrow::default_memory_pool());
  const auto table = *reader->ReadTable();
  EXPECT_EQ(table->num_rows(), 3);
  EXPECT_EQ(table->schema()->field_names(),
            (std::vector<std::string>{"varve_commit", "varve_time", "varve_kind", "id", "v"}));
  EXPECT_EQ(table->column(2)->GetScalar(2).ValueOrDie()->ToString(), "delete");
  EXPECT_EQ(table->column(3)->GetScalar(2).ValueOrDie()->ToString(), "1");
  EXPECT_FALSE(table->column(4)->GetScalar(2).ValueOrDie()->is_valid);
  EXPECT_EQ(ExportLog("/db", "/out", {}, World()).error().kind(), ErrorKind::kInvalid);
}

TEST_F(RepairTest, WithoutAManifestTheLogIsCountedAtLeast) {
  Put({{2, "b"}, {3, "b"}});
  Close();
  const auto listed = files_->List("/db/manifest");
  for (const FileInfo& entry : *listed) ASSERT_TRUE(files_->Remove("/db/manifest/" + entry.name));
  const auto exported = ExportLog("/db", "/out", {}, World());
  ASSERT_TRUE(exported) << exported.error().message();
  EXPECT_EQ(exported->commits, 1u);
  ASSERT_EQ(exported->tables.size(), 1u);
  EXPECT_EQ(exported->tables[0].file, "");
  EXPECT_EQ(exported->tables[0].rows, 2u);
  EXPECT_FALSE(exported->damages.empty());
}

// Any byte of any file: the repaired database is sound, and shows what the report says or more.
TEST_F(RepairTest, AnyFlippedByteIsRepaired) {
  const std::uint64_t seed = testing::TestSeed();
  SCOPED_TRACE(testing::SeedTrace(seed));
  SeededRandom random(seed);
  for (int round = 0; round < 60; ++round) {
    files_ = NewMemoryFiles();
    now_.clear();
    then_.clear();
    Open();
    for (int i = 0; i < 6; ++i) {
      Put({{static_cast<std::int64_t>(random.Next() % 8), std::to_string(i)}, {i + 10, "x"}});
      const auto then = random.Next() % 8;
      ASSERT_TRUE(then > 3 || db_->Flush());
      ASSERT_TRUE(then > 1 || db_->Compact());
    }
    Close();
    auto names = Names("/db");
    std::erase_if(names, [](const std::string& name) {
      return name.ends_with("LOCK") || name.find("/tmp/") != std::string::npos;
    });
    const std::string& name = names[random.Next() % names.size()];
    const auto size = files_->Info(name)->size;
    if (size == 0) continue;
    SCOPED_TRACE(name);
    Flip(name, random.Next() % size);
    const auto report = RepairDatabase("/db", {.apply = true}, World());
    ASSERT_TRUE(report) << report.error().message();
    ExpectSound();
    Open();
    EXPECT_EQ(db_->Stats().visible.value, report->commit.value);
    bool lossless = true;
    for (const LostRun& run : report->runs) {
      lossless = lossless && (run.replaced || run.only_history);
    }
    if (lossless && report->commit.value > 0) {
      EXPECT_EQ(Read(report->commit.value), then_.at(report->commit.value));
    }
    EXPECT_EQ(Put({{50, "next"}}), report->commit.value + 1);
    Close();
  }
}

}  // namespace
}  // namespace varve
