// SPDX-License-Identifier: Apache-2.0
// A writer and readers of one database, each as if in a process of its own: what readers see, what
// the writer keeps for them, and what it does not do to them.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/executor.h"
#include "base/random.h"
#include "engine/lease.h"
#include "files/files.h"
#include "files/simulated_disk.h"
#include "test/support/forwarding_files.h"
#include "test/support/rows.h"
#include "varve/changes.h"
#include "varve/database.h"
#include "varve/inspect.h"

namespace varve {
namespace {

using testing::ReadRows;
using testing::Rows;

class ReaderTest : public ::testing::Test {
 protected:
  ReaderTest() : files_(NewMemoryFiles()) {
    OpenWriter();
    EXPECT_TRUE(writer_->CreateTable("t", testing::RowsSchema(), {"id"}));
  }

  Components World() {
    return {.files = files_.get(), .clock = &clock_, .random = &random_, .executor = &executor_};
  }
  void OpenWriter(std::int64_t history = 0) {
    writer_.reset();
    auto db =
        Database::Open("/db", {.create_if_missing = true, .history_micros = history}, World());
    ASSERT_TRUE(db) << db.error().message();
    writer_ = *std::move(db);
  }
  std::unique_ptr<Database> OpenReader(bool lease = true) {
    auto db = Database::Open("/db", {.read_only = true, .lease = lease}, World());
    EXPECT_TRUE(db) << db.error().message();
    return db ? *std::move(db) : nullptr;
  }
  std::uint64_t Put(const Rows& rows, AckLevel ack = AckLevel::kDurable) {
    const auto info = writer_->Upsert("t", testing::RowsBatch(rows), {.ack = ack});
    EXPECT_TRUE(info) << info.error().message();
    for (const auto& [id, value] : rows) now_[id] = value;
    return info->commit.value;
  }
  void Expect(const Database& reader, const Rows& rows) {
    const auto snapshot = reader.GetSnapshot();
    ASSERT_TRUE(snapshot) << snapshot.error().message();
    EXPECT_EQ(ReadRows(**snapshot), rows);
  }
  std::size_t FilesIn(const std::string& folder) {
    const auto listed = files_->List("/db/" + folder);
    if (!listed) return 0;
    return static_cast<std::size_t>(std::ranges::count(*listed, false, &FileInfo::is_directory));
  }
  std::vector<HeldLease> Leases() { return *HeldLeases(files_.get(), "/db"); }

  std::unique_ptr<Files> files_;
  ManualClock clock_;
  SeededRandom random_{1};
  ManualExecutor executor_;
  std::unique_ptr<Database> writer_;
  Rows now_;
};

TEST_F(ReaderTest, SeesCommitsThatAreOnlyInTheLogAndThoseThatCome) {
  Put({{1, "a"}});
  const auto reader = OpenReader();
  Expect(*reader, now_);
  Put({{2, "b"}});
  Expect(*reader, now_);
  ASSERT_TRUE(writer_->Flush());
  Expect(*reader, now_);
  Put({{1, "c"}, {3, "d"}});
  Expect(*reader, now_);
  EXPECT_EQ(reader->Stats().visible.value, 3u);
  EXPECT_EQ(reader->Versions(10).size(), 2u);  // a flush, and a commit since
}

TEST_F(ReaderTest, FollowsFlushesCompactionsAndChangesOfTables) {
  const auto reader = OpenReader();
  for (int i = 0; i < 200; ++i) {
    Put({{i % 17, "v" + std::to_string(i)}});
    ASSERT_TRUE(i % 5 != 0 || writer_->Flush());
    ASSERT_TRUE(i % 31 != 0 || writer_->Compact());
    ASSERT_TRUE(i % 47 != 0 || writer_->Retire({}));
    if (i % 7 == 0) {
      ASSERT_TRUE(writer_->Delete("t", testing::RowsBatch({{i % 17, ""}})));
      now_.erase(i % 17);
    }
    if (i % 3 == 0) Expect(*reader, now_);
  }
  ASSERT_TRUE(writer_->RenameTable("t", "u"));
  ASSERT_TRUE(writer_->CreateTable("t", testing::RowsSchema(), {"id"}));
  now_.clear();
  Put({{5, "of another table"}});
  Expect(*reader, now_);
  EXPECT_EQ(reader->Tables().size(), 2u);
  ASSERT_TRUE(writer_->DropTable("u"));
  Put({{6, "behind the drop"}});
  Expect(*reader, now_);
  EXPECT_EQ(reader->Tables().size(), 1u);
}

TEST_F(ReaderTest, ASnapshotStaysAsItIsWhileTheWriterLetsGoOfIt) {
  Put({{1, "a"}, {2, "a"}});
  ASSERT_TRUE(writer_->Flush());
  const auto reader = OpenReader();
  const auto snapshot = *reader->GetSnapshot();
  const Rows then = now_;
  Put({{1, "b"}, {2, "b"}});
  ASSERT_TRUE(writer_->Flush());
  ASSERT_TRUE(writer_->Compact());
  for (int i = 0; i < 3; ++i) {
    Put({{3, std::to_string(i)}});
    ASSERT_TRUE(writer_->Compact());
  }
  Expect(*reader, now_);
  EXPECT_EQ(ReadRows(*snapshot), then);
  EXPECT_EQ(Leases().at(0).commit.value, 1u);
}

TEST_F(ReaderTest, TheLeaseIsOfTheOldestOfSeveralSnapshots) {
  const auto reader = OpenReader();
  std::vector<std::shared_ptr<Snapshot>> snapshots;
  for (const char* value : {"a", "b", "c"}) {
    Put({{1, value}});
    ASSERT_TRUE(writer_->Flush());
    snapshots.push_back(*reader->GetSnapshot());
  }
  EXPECT_EQ(Leases().at(0).commit.value, 1u);
  snapshots.erase(snapshots.begin());
  Expect(*reader, now_);
  EXPECT_EQ(Leases().at(0).commit.value, 2u);
  snapshots.clear();
  Expect(*reader, now_);
  EXPECT_EQ(Leases().at(0).commit.value, 3u);
}

// Calls back once, when somebody looks for segments of the log.
class LogWatcher final : public testing::ForwardingFiles {
 public:
  using ForwardingFiles::ForwardingFiles;
  std::function<void()> before_log;

  Result<std::vector<FileInfo>> List(const std::string& path) override {
    if (path.ends_with("/log") && before_log) std::exchange(before_log, nullptr)();
    return ForwardingFiles::List(path);
  }
};

class ReaderRaceTest : public ReaderTest {
 protected:
  // Between the reader's look at the manifest and that at the log something happens.
  void OpenWhile(const std::function<void()>& something) {
    LogWatcher files(files_.get());
    files.before_log = something;
    Components world = World();
    world.files = &files;
    const auto reader = Database::Open("/db", {.read_only = true}, world);
    EXPECT_EQ(files.before_log, nullptr);
    ASSERT_TRUE(reader) << reader.error().message();
    Expect(**reader, now_);
  }
};

TEST_F(ReaderRaceTest, AFlushThatCutsTheLog) {
  for (int i = 0; i < 50; ++i) Put({{i, std::string(200'000, 'x')}});  // segments of the log
  OpenWhile([&] {
    ASSERT_TRUE(writer_->Flush());
    Put({{1, "behind the flush"}});
  });
}

TEST_F(ReaderRaceTest, ATableThatIsMade) {
  OpenWhile([&] {
    ASSERT_TRUE(writer_->RenameTable("t", "u"));
    ASSERT_TRUE(writer_->CreateTable("t", testing::RowsSchema(), {"id"}));
    Put({{1, "in the new one"}});
  });
}

TEST_F(ReaderRaceTest, ManifestsThatAreMadeAndGo) {
  Put({{1, "a"}});
  OpenWhile([&] {
    for (int i = 0; i < 200; ++i) {
      Put({{i, "x"}});
      ASSERT_TRUE(writer_->Flush());
    }
  });
}

TEST_F(ReaderTest, FilesGoOnceNoLeaseNeedsThem) {
  Put({{1, "a"}});
  ASSERT_TRUE(writer_->Flush());
  auto reader = OpenReader();
  auto snapshot = *reader->GetSnapshot();
  Put({{1, "b"}});
  ASSERT_TRUE(writer_->Compact());
  Put({{1, "c"}});
  ASSERT_TRUE(writer_->Compact());
  const std::size_t held = FilesIn("data/t");
  Expect(*reader, now_);
  snapshot.reset();
  Expect(*reader, now_);  // notes that nobody reads the older one any more
  const auto retired = writer_->Retire({.keep_micros = 0});
  ASSERT_TRUE(retired);
  EXPECT_GT(retired->bytes_held, 0u) << "the reader could ask for older versions until it looks";
  EXPECT_EQ(FilesIn("data/t"), held);
  Expect(*reader, now_);
  ASSERT_TRUE(writer_->Retire({}));
  EXPECT_EQ(FilesIn("data/t"), 1u);
  Expect(*reader, now_);
}

TEST_F(ReaderTest, ALeaseEndsWithItsDatabase) {
  auto reader = OpenReader();
  ASSERT_EQ(Leases().size(), 1u);
  EXPECT_EQ(Leases()[0].holder, "1 (memory)");
  ASSERT_TRUE(reader->Close());
  EXPECT_TRUE(Leases().empty());
  EXPECT_EQ(FilesIn("leases"), 0u);
  EXPECT_EQ(reader->GetSnapshot().error().reason(), ErrorReason::kClosed);
}

TEST_F(ReaderTest, ALeaseOfADeadProcessHoldsNothing) {
  ASSERT_TRUE(files_->CreateDirectories("/db/leases"));
  ASSERT_TRUE(files_->Open("/db/leases/0123.lease", varve::OpenMode::kCreate));
  EXPECT_TRUE(Leases().empty());
  EXPECT_EQ(FilesIn("leases"), 0u);
}

TEST_F(ReaderTest, AReaderThatSaidNothingYetNeedsAll) {
  Put({{1, "a"}});
  ASSERT_TRUE(writer_->Flush());
  const auto lease = Lease::Take(files_.get(), &random_, "/db");
  ASSERT_TRUE(lease);
  Put({{1, "b"}});
  ASSERT_TRUE(writer_->Compact());
  ASSERT_TRUE(writer_->Retire({.keep_micros = 0}));
  EXPECT_EQ(FilesIn("data/t"), 3u);
  ASSERT_TRUE((*lease)->Note(1000, CommitNumber{2}));
  ASSERT_TRUE(writer_->Retire({.keep_micros = 0}));
  EXPECT_EQ(FilesIn("data/t"), 1u);
}

TEST_F(ReaderTest, AWindowShorterThanALeaseIsRefused) {
  Put({{1, "a"}});
  ASSERT_TRUE(writer_->Flush());
  const auto reader = OpenReader();
  const auto snapshot = *reader->GetSnapshot();
  Put({{1, "b"}});
  ASSERT_TRUE(writer_->Flush());
  const auto refused = writer_->Retire({.keep_micros = 0});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason(), ErrorReason::kLocked);
  EXPECT_NE(refused.error().message().find("process 1 (memory) reads as of commit 1"),
            std::string::npos)
      << refused.error().message();
  ASSERT_TRUE(writer_->GetSnapshot(CommitNumber{1}));
}

// What the reader may still ask its own manifest for.
TEST_F(ReaderTest, ALeasedFileOutlivesTheWriter) {
  OpenWriter(/*history=*/1'000'000'000'000);
  Put({{1, "a"}});
  ASSERT_TRUE(writer_->Flush());
  Put({{1, "b"}});
  ASSERT_TRUE(writer_->Compact());
  auto reader = OpenReader();
  ASSERT_TRUE(writer_->Retire({.keep_micros = 0}));
  EXPECT_EQ(FilesIn("data/t"), 3u);
  ASSERT_TRUE(writer_->Close());
  OpenWriter();  // which removes what nobody needs
  EXPECT_EQ(FilesIn("data/t"), 3u);
  EXPECT_EQ(FilesIn("times"), 2u);
  Put({{1, "d"}});
  ASSERT_TRUE(writer_->Flush());
  EXPECT_EQ(FilesIn("data/t"), 4u);
  Expect(*reader, now_);
  reader.reset();
  ASSERT_TRUE(writer_->Retire({}));
  EXPECT_EQ(FilesIn("data/t"), 2u);
}

TEST_F(ReaderTest, WithoutALeaseNothingIsWrittenAndNothingKept) {
  Rows many;  // more than is kept of a file that was opened
  for (int i = 0; i < 20'000; ++i) many[i] = std::to_string(random_.Next());
  Put(many);
  ASSERT_TRUE(writer_->Flush());
  const auto reader = OpenReader(/*lease=*/false);
  const auto snapshot = *reader->GetSnapshot();
  EXPECT_EQ(FilesIn("leases"), 0u);
  Put({{1, "b"}});
  ASSERT_TRUE(writer_->Compact());
  Put({{1, "c"}});
  ASSERT_TRUE(writer_->Compact());
  ASSERT_TRUE(writer_->Retire({}));
  ASSERT_EQ(FilesIn("data/t"), 1u);
  const auto stream = snapshot->Scan("t");
  ASSERT_FALSE(stream);
  EXPECT_EQ(stream.error().kind(), ErrorKind::kUnavailable);
  EXPECT_NE(stream.error().message().find("data/t/"), std::string::npos);
  EXPECT_NE(stream.error().message().find("reads without a lease"), std::string::npos);
  Expect(*reader, now_);
}

TEST_F(ReaderTest, ManifestsThatAReaderHasYetToReadStay) {
  const auto reader = OpenReader();
  for (int i = 0; i < 200; ++i) {
    Put({{i, "x"}});
    ASSERT_TRUE(writer_->Flush());
  }
  ASSERT_TRUE(writer_->Retire({}));
  EXPECT_GE(FilesIn("manifest"), 200u);
  Expect(*reader, now_);
  const std::size_t before = FilesIn("manifest");
  for (int i = 0; i < 100; ++i) {
    Put({{i, "y"}});
    ASSERT_TRUE(writer_->Flush());
  }
  EXPECT_LT(FilesIn("manifest"), before + 100);
  Expect(*reader, now_);
}

TEST_F(ReaderTest, AReaderWithoutALeaseFindsItsWayPastManifestsThatWent) {
  const auto reader = OpenReader(/*lease=*/false);
  for (int i = 0; i < 200; ++i) {
    Put({{i, "x"}});
    ASSERT_TRUE(writer_->Flush());
  }
  ASSERT_LT(FilesIn("manifest"), 150u);
  Expect(*reader, now_);
  EXPECT_EQ(reader->Stats().manifest_number, writer_->Stats().manifest_number);
}

TEST_F(ReaderTest, AFollowerOfAnotherProcessIsGivenWhatComes) {
  Put({{1, "a"}});
  const auto reader = OpenReader();
  auto cursor = reader->FollowChanges("t", CommitNumber{0}, {});
  ASSERT_TRUE(cursor) << cursor.error().message();
  auto batch = (*cursor)->Next(1000);
  ASSERT_TRUE(batch) << batch.error().message();
  ASSERT_NE(*batch, nullptr);
  EXPECT_EQ((*batch)->num_rows(), 1);
  batch = (*cursor)->Next(5);
  ASSERT_TRUE(batch);
  EXPECT_EQ(*batch, nullptr);
  Put({{2, "b"}, {3, "b"}});
  ASSERT_TRUE(writer_->Flush());
  batch = (*cursor)->Next(1000);
  ASSERT_TRUE(batch) << batch.error().message();
  ASSERT_NE(*batch, nullptr);
  EXPECT_EQ((*batch)->num_rows(), 2);
}

TEST_F(ReaderTest, SequencesOfProducersAreKnown) {
  const auto reader = OpenReader();
  const auto send = [&](std::uint64_t sequence) {
    return writer_->Upsert("t", testing::RowsBatch({{1, "p"}}),
                           {.producer = Producer{"loader", sequence}});
  };
  ASSERT_TRUE(send(1));
  Expect(*reader, {{1, "p"}});
  EXPECT_EQ((*reader->LastOf("loader"))->sequence, 1u);
  ASSERT_TRUE(writer_->Flush());
  ASSERT_TRUE(send(2));
  Expect(*reader, {{1, "p"}});
  EXPECT_EQ((*reader->LastOf("loader"))->sequence, 2u);
}

TEST_F(ReaderTest, ABackupBesideAWriterThatFlushesAndCutsTheLog) {
  const auto fill = [&](int from, char with) {  // some segments of the log
    for (int i = from; i < from + 50; ++i) Put({{i, std::string(200'000, with)}});
  };
  fill(0, 'a');
  ASSERT_TRUE(writer_->Flush());
  fill(100, 'b');
  const auto reader = OpenReader();
  bool flushed = false;
  const auto info = reader->Backup("/backup", {.progress = [&](std::uint64_t, std::uint64_t) {
    if (std::exchange(flushed, true)) return;
    fill(150, 'c');
    ASSERT_TRUE(writer_->Flush());
    ASSERT_TRUE(writer_->Compact());
    Put({{1, "in the log alone"}});
  }});
  ASSERT_TRUE(info) << info.error().message();
  EXPECT_TRUE(flushed);
  EXPECT_EQ(info->commit.value, 151u);
  EXPECT_EQ(info->commits_from_log, 1u);
  const auto backup = Database::Open("/backup", {.read_only = true}, World());
  ASSERT_TRUE(backup) << backup.error().message();
  Expect(**backup, now_);
  const auto verified = VerifyDatabase("/backup", {.deep = true}, World());
  ASSERT_TRUE(verified);
  EXPECT_TRUE(verified->damages.empty());
}

TEST_F(ReaderTest, ABackupOfTheWritersGoesOnByAReaderThatWasBehindIt) {
  Put({{1, "a"}});
  const auto reader = OpenReader();
  ASSERT_TRUE(reader->GetSnapshot());
  Put({{2, "b"}});
  ASSERT_TRUE(writer_->Backup("/backup"));
  const auto info = reader->Backup("/backup");
  ASSERT_TRUE(info) << info.error().message();
  EXPECT_EQ(info->commit.value, 2u);
}

TEST_F(ReaderTest, StatsSayWhoReadsAndWhoWrites) {
  Put({{1, "a"}});
  const auto reader = OpenReader();
  const DatabaseStats seen = reader->Stats();
  ASSERT_EQ(seen.readers.size(), 1u);
  EXPECT_EQ(seen.readers[0].holder, "1 (memory)");
  EXPECT_EQ(seen.readers[0].commit.value, 1u);
  EXPECT_EQ(seen.readers[0].manifest_number, seen.manifest_number);
  EXPECT_NE(seen.writer.find("LOCK is held by"), std::string::npos) << seen.writer;
  EXPECT_EQ(writer_->Stats().readers.size(), 1u);
  EXPECT_EQ(writer_->Stats().writer, "");
  EXPECT_GT(seen.log.segments.size(), 0u);
  EXPECT_EQ(seen.log.positions.durable, writer_->Stats().log.positions.durable);
  writer_.reset();
  EXPECT_EQ(reader->Stats().writer, "");
}

TEST_F(ReaderTest, WritesAreRefused) {
  const auto reader = OpenReader();
  EXPECT_EQ(reader->Upsert("t", testing::RowsBatch({{1, "a"}})).error().reason(),
            ErrorReason::kReadOnly);
  EXPECT_EQ(reader->Retire({}).error().reason(), ErrorReason::kReadOnly);
  EXPECT_TRUE(reader->Retire({.dry_run = true}));
}

TEST_F(ReaderTest, ASecondWriterLearnsWhoHasItOrWaits) {
  const auto again = Database::Open("/db", {}, World());
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().reason(), ErrorReason::kLocked);
  const std::int64_t before = clock_.SteadyMicros();
  const auto waited = Database::Open("/db", {.lock_wait_micros = 50'000}, World());
  ASSERT_FALSE(waited);
  EXPECT_EQ(waited.error().reason(), ErrorReason::kLocked);
  const std::int64_t took = clock_.SteadyMicros() - before;
  EXPECT_GE(took, 50'000);
  EXPECT_LT(took, 51'000);
}

}  // namespace
}  // namespace varve
