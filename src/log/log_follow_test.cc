// SPDX-License-Identifier: Apache-2.0
// Cursors that follow a log while it grows, rotates, is truncated, closed, opened again, cut by a
// power failure, and damaged.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "log/log_reader_fixture.h"

namespace varve {
namespace {

using testing::kLogDir;
using testing::LogReaderTest;
using testing::SeenUnit;

class LogFollowTest : public LogReaderTest {
 protected:
  LogFollowTest() { options_.segment_bytes_max = 16 * kLogBlock; }
  void Follow(AckLevel level = AckLevel::kWritten) {
    OpenReader({.level = level, .follow = true});
  }
  void ExpectCaughtUp() { EXPECT_EQ(ReadAll(), appended_); }
  // The folder's files are gone, and then it holds these.
  void ReplaceFolder(const std::vector<std::pair<std::string, std::string>>& files) {
    log_.reset();
    for (const auto& name : Names()) ASSERT_TRUE(files_->Remove(JoinPath(kLogDir, name)));
    for (const auto& [name, bytes] : files) Put(JoinPath(kLogDir, name), bytes);
  }
  void ExpectConflict(std::string_view part) {
    for (int call = 0; call < 2; ++call) {
      const auto error = ReadToError();
      EXPECT_EQ(error.kind(), ErrorKind::kConflict) << error.message();
      EXPECT_NE(error.message().find(part), std::string::npos) << error.message();
    }
  }
};

// Time passes only while somebody waits, and then something happens.
class EventfulClock final : public Clock {
 public:
  std::function<void()> event;
  std::int64_t waited = 0;
  WallTime Now() override { return {waited}; }
  std::int64_t SteadyMicros() override { return waited; }
  void WaitWord(const std::atomic<std::uint32_t>&, std::uint32_t, std::int64_t micros) override {
    waited += micros;
    if (event) std::exchange(event, nullptr)();
  }
};

TEST_F(LogFollowTest, GoesOnAcrossRotationCloseAndReopening) {
  Open();
  Append("first");
  Follow();
  ExpectCaughtUp();
  for (int i = 0; i < 40; ++i) {
    Append({"unit", std::string(i * 700, 'u')});
    if (i % 10 == 3) Append(std::string(150'000, 'b'));
    if (i % 7 == 0) {
      ASSERT_TRUE(log_->Rotate());
    }
    if (i % 9 == 4) Close();
    if (i % 9 == 8) Kill();
    ExpectCaughtUp();
    if (!log_) Open();
    ExpectCaughtUp();
  }
  EXPECT_GT(log_->stats().segments.size(), 10u);
}

TEST_F(LogFollowTest, ATruncatedFollowerIsToldSoAndOneThatIsThereGoesOn) {
  options_.recycled_segments_max = 2;
  Open();
  Append("first");
  Follow();
  ExpectCaughtUp();
  auto behind = std::move(cursor_);
  Follow();
  for (int i = 0; i < 60; ++i) {
    Append(std::string(9'000, static_cast<char>('a' + i % 26)));
    ExpectCaughtUp();
    ASSERT_TRUE(log_->TruncateBefore(last_ack_.lsn));
    executor_.RunAll();
  }
  cursor_ = std::move(behind);
  read_.clear();
  const auto error = ReadToError();
  EXPECT_EQ(error.kind(), ErrorKind::kNotFound) << error.message();
  EXPECT_NE(error.message().find("was truncated"), std::string::npos);
  EXPECT_EQ(cursor_->Next().error().kind(), ErrorKind::kNotFound) << "and again";
}

TEST_F(LogFollowTest, AFrameThatIsBeingWrittenIsTheEndForNow) {
  Open();
  Append("first");
  Append("second, written last");
  const auto segment = log_->stats().segments.back();
  const auto offset = last_ack_.lsn.value / kLogBlock * kLogBlock - segment.base.value + kLogBlock;
  const auto frame = Bytes(PathOf(1)).substr(offset, kLogBlock);
  for (std::uint64_t written = 0; written <= 100; written += 5) {
    auto torn = frame.substr(0, written);
    torn.resize(kLogBlock, '\0');
    Overwrite(PathOf(1), offset, torn);
    Follow();
    EXPECT_EQ(ReadAll().size(), 1u) << "of 105 bytes, " << written << " are there";
    Overwrite(PathOf(1), offset, frame);
    EXPECT_EQ(ReadAll().size(), 2u);
    ExpectPrefix();
  }
}

TEST_F(LogFollowTest, DamageUnderAFollowerIsCorruptionWithItsPlace) {
  Open();
  Append("first");
  Follow();
  ExpectCaughtUp();
  Append("second");
  const auto offset = last_ack_.lsn.value / kLogBlock * kLogBlock -
                      log_->stats().segments.back().base.value + kLogBlock;
  FlipByte(PathOf(1), offset + 70);
  EXPECT_EQ(ReadAll().size(), 1u) << "it may be that the writer is not through";
  Append("third, which says that the second was durable");
  const auto error = ReadToError();
  EXPECT_EQ(error.kind(), ErrorKind::kCorruption) << error.message();
  EXPECT_NE(error.message().find("offset " + std::to_string(offset)), std::string::npos);
  FlipByte(PathOf(1), offset + 70);
  ExpectCaughtUp();
}

TEST_F(LogFollowTest, DurableUnitsAloneAreGivenWhenThatIsAskedFor) {
  options_.sync_policy = LogSyncPolicy::kNever;
  Open();
  Append("durable");
  Follow(AckLevel::kDurable);
  EXPECT_TRUE(ReadAll().empty()) << "nothing in the files says that it is";
  Append("written", AckLevel::kWritten);
  EXPECT_EQ(ReadAll().size(), 1u);
  Append("written too", AckLevel::kWritten);
  EXPECT_EQ(ReadAll().size(), 1u);
  Append("all durable now");
  Append("and this says so", AckLevel::kWritten);
  EXPECT_EQ(ReadAll().size(), 4u);
  Close();
  ExpectCaughtUp();
}

TEST_F(LogFollowTest, AUnitThatSpansSegmentsIsGivenDurableInTheEnd) {
  Open();
  Append("before");
  Follow(AckLevel::kDurable);
  Append(std::string(200'000, 's'));
  Append("after");
  EXPECT_EQ(ReadAll().size(), 2u);
  ASSERT_TRUE(log_->Rotate());
  ExpectCaughtUp();
}

TEST_F(LogFollowTest, ALiveCursorNeverPassesThePositionOfItsLevel) {
  options_.sync_policy = LogSyncPolicy::kNever;
  Open();
  Append("durable");
  OpenLiveReader({.level = AckLevel::kDurable, .follow = true});
  ExpectCaughtUp();
  Append("written", AckLevel::kWritten);
  EXPECT_EQ(ReadAll().size(), 1u);
  ASSERT_TRUE(log_->Sync());
  ExpectCaughtUp();
  OpenLiveReader({.from = log_->positions().appended, .follow = true});
  ExpectEnd();
  Append("the first one after");
  EXPECT_EQ(ReadAll().size(), 1u);
  auto beyond = OpenCursor(log_.get(), kLogDir, {.from = {log_->positions().appended.value + 1}},
                           {files_, &clock_});
  EXPECT_EQ(beyond.error().kind(), ErrorKind::kInvalid);
}

TEST_F(LogFollowTest, ALiveCursorHoldsTruncationBackAndLetsItFollow) {
  Open();
  Append("first");
  OpenLiveReader({.follow = true});
  for (int i = 0; i < 30; ++i) Append(std::string(9'000, 'p'));
  const auto held = log_->TruncateBefore(last_ack_.lsn);
  ASSERT_TRUE(held);
  EXPECT_EQ(held->segments, 0u);
  EXPECT_GT(held->held_at.value, 0u);
  ExpectCaughtUp();
  EXPECT_GT(log_->TruncateBefore(last_ack_.lsn)->segments, 2u);
  Append("more");
  ExpectCaughtUp();
}

TEST_F(LogFollowTest, DamageBelowTheDurablePositionIsToldAtOnceByALiveCursor) {
  Open();
  Append("first");
  OpenLiveReader({.follow = true});
  ExpectCaughtUp();
  Append("second");
  FlipByte(PathOf(1), kFirstGroupOffset + kLogBlock + 70);
  EXPECT_EQ(ReadToError().kind(), ErrorKind::kCorruption);
}

TEST_F(LogFollowTest, WaitsWithoutAWatchUntilSomethingIsAppendedOrTimeIsOver) {
  Open();
  Append("first");
  EventfulClock clock;
  auto cursor = LogCursor::Open(kLogDir, {.follow = true}, {files_, &clock});
  ASSERT_TRUE(cursor);
  cursor_ = *std::move(cursor);
  EXPECT_TRUE(*cursor_->WaitForMore(0));
  ExpectCaughtUp();
  EXPECT_FALSE(*cursor_->WaitForMore(50));
  EXPECT_EQ(clock.waited, 50'000);
  clock.event = [this] { Append("while it waits"); };
  EXPECT_TRUE(*cursor_->WaitForMore(10'000));
  EXPECT_LT(clock.waited, 200'000);
  ExpectCaughtUp();
}

TEST_F(LogFollowTest, AReadErrorIsNoDamageAndTheNextCallGoesOn) {
  auto* disk = new SimulatedDisk();
  NewWorld();
  owned_files_.reset(disk);
  files_ = disk;
  Open();
  Append("first");
  Follow();
  ExpectCaughtUp();
  Append("second");
  disk->FailReads(PathOf(1), Error(ErrorKind::kUnavailable, "bad cable", ErrorReason::kIo));
  EXPECT_EQ(ReadToError().reason(), ErrorReason::kIo);
  disk->FailReads(PathOf(1), {});
  ExpectCaughtUp();
}

TEST_F(LogFollowTest, UnitsLostToAPowerCutAreAConflictAndNeverReplacedInSilence) {
  auto* disk = new SimulatedDisk();
  NewWorld();
  owned_files_.reset(disk);
  files_ = disk;
  options_.sync_policy = LogSyncPolicy::kNever;
  Open();
  Append("durable");
  Append("not durable", AckLevel::kWritten);
  Follow();
  ExpectCaughtUp();
  disk->Crash(Survival::kAllLost, &random_);
  log_.reset();
  appended_.pop_back();
  Open();
  ExpectEverythingBack();
  Append("another unit");
  const auto error = ReadToError();  // its file handles died with the power
  if (error.kind() != ErrorKind::kConflict) {
    EXPECT_EQ(error.reason(), ErrorReason::kIo) << error.message();
    EXPECT_EQ(ReadToError().kind(), ErrorKind::kConflict);
  }
}

TEST_F(LogFollowTest, AnotherLogThatTakesTheFoldersPlaceIsAConflict) {
  for (int segments = 1; segments <= 4; ++segments) {
    SCOPED_TRACE(segments);
    NewWorld();
    Open();
    for (int i = 0; i < 5; ++i) Append("unit " + std::to_string(i));
    Follow();
    ExpectCaughtUp();
    ReplaceFolder({});
    Open();
    for (int i = 1; i < segments; ++i) {
      Append(std::string(9'000, 'x'));
      ASSERT_TRUE(log_->Rotate());
    }
    for (int i = 0; i < 5; ++i) Append("of another log " + std::to_string(i));
    ExpectConflict("another log");
  }
}

// Nothing was read of the first one.
TEST_F(LogFollowTest, ACursorOfALogWithoutUnitsDoesNotGoOnInAnotherLog) {
  Open();
  Follow();
  ExpectCaughtUp();
  ReplaceFolder({});
  Open();
  Append("of another log");
  ExpectConflict("another log");
}

// A backup of the folder, put back in its place.
TEST_F(LogFollowTest, AHistoryThatWentAnotherWayIsAConflict) {
  for (const bool rotated : {false, true}) {
    SCOPED_TRACE(rotated);
    NewWorld();
    Open();
    Append("in both");
    if (rotated) Kill();
    const auto backup = Picture();
    if (rotated) Open();
    Append("in the first one only");
    Follow();
    ExpectCaughtUp();
    ReplaceFolder(backup);
    Open();
    for (int i = 0; i < 5; ++i) Append("in the second one only");
    ExpectConflict("open a cursor");
    ASSERT_TRUE(log_->Rotate());
    Append("in the second one only");
    ExpectConflict("open a cursor");
  }
}

TEST_F(LogFollowTest, ABackupThatHoldsWhatWasReadIsFollowed) {
  for (const bool closed : {false, true}) {
    SCOPED_TRACE(closed);
    NewWorld();
    Open();
    Append("in both");
    Follow();
    ExpectCaughtUp();
    if (closed) Close();
    const auto backup = Picture();
    ReplaceFolder(backup);
    Open();
    ExpectCaughtUp();
    Append("after it was put back");
    ExpectCaughtUp();
    ASSERT_TRUE(log_->Rotate());
    Append("and again");
    ExpectCaughtUp();
  }
}

// It waits until a unit is known to be durable, in a file that is gone.
TEST_F(LogFollowTest, WhoWaitsForADurableUnitIsToldOfAnotherLogToo) {
  for (const bool put_back : {false, true}) {
    SCOPED_TRACE(put_back);
    NewWorld();
    Open();
    Append("durable");
    Append("says that the first one is");
    Follow(AckLevel::kDurable);
    EXPECT_EQ(ReadAll().size(), 1u);
    Kill();
    ReplaceFolder(put_back ? Picture() : std::vector<std::pair<std::string, std::string>>());
    Open();
    if (!put_back) appended_.clear();
    Append("one more");
    ASSERT_TRUE(log_->Rotate());
    Append("and in the next segment");
    if (!put_back) {
      ExpectConflict("another log");
      continue;
    }
    EXPECT_EQ(ReadAll().size(), 3u);
    Close();
    ExpectCaughtUp();
  }
}

TEST_F(LogFollowTest, ALiveCursorGivesEachUnitThoughTheLogWasClosed) {
  Open();
  for (int i = 0; i < 5; ++i) {
    Append("unit " + std::to_string(i));
    ASSERT_TRUE(log_->Rotate());
  }
  OpenLiveReader({.follow = true});
  ASSERT_TRUE(log_->Close());
  ExpectCaughtUp();
}

TEST_F(LogFollowTest, RandomDamageWhileFollowingNeverGivesWrongBytes) {
  const auto seed = testing::TestSeed();
  SCOPED_TRACE(testing::SeedTrace(seed));
  int refused = 0;
  for (int round = 0; round < 150; ++round) {
    SCOPED_TRACE(round);
    NewWorld();
    options_.compression = static_cast<LogCompression>(round % 3);
    Open();
    Append("first");
    Follow(round % 2 == 0 ? AckLevel::kWritten : AckLevel::kDurable);
    bool ended = false;
    for (int step = 0; step < 40 && !ended; ++step) {
      const auto size = random_.Next() % (step % 8 == 0 ? 90'000 : 900);
      Append({"unit", std::string(size, static_cast<char>(random_.Next()))});
      if (step > 4 && random_.Next() % 3 == 0) {
        const auto segments = log_->stats().segments;
        const auto& segment = segments[random_.Next() % segments.size()];
        const auto used = segment.end.value - segment.base.value + kLogBlock;
        const auto length = 1 + random_.Next() % 32;
        std::string noise;
        for (std::uint64_t i = 0; i < length; ++i) noise += static_cast<char>(random_.Next());
        Overwrite(PathOf(segment.sequence), random_.Next() % used, noise);
      }
      if (random_.Next() % 2 == 0) ended = ReadToEnd().has_value();
      ExpectPrefix();
      if (HasFailure()) return;
    }
    refused += ended;
  }
  EXPECT_GT(refused, 20) << "the damage was never met";
}

// On the real disk.
class LogFollowDiskTest : public ::testing::Test {
 protected:
  LogFollowDiskTest() {
    std::string name = ::testing::TempDir() + "varve_follow_XXXXXX";
    dir_ = ::mkdtemp(name.data());
  }
  ~LogFollowDiskTest() override {
    log_.reset();
    std::filesystem::remove_all(dir_);
  }
  void Open(const LogOptions& options) {
    auto log = Log::Open(dir_, options, {});
    ASSERT_TRUE(log) << log.error().message();
    log_ = *std::move(log);
  }
  static std::string RecordOf(int i) {
    return std::to_string(i) + ":" + std::string(i % 50 == 49 ? 150'000 : i * 7 % 3000, 'r');
  }
  // Appends `count` units, rotating, and truncating behind `read` so that files are used again.
  void Write(int count, const std::atomic<std::uint64_t>* read) {
    for (int i = 0; i < count; ++i) {
      const auto ack = log_->Append({RecordOf(i)}, static_cast<AckLevel>(i % 3));
      ASSERT_TRUE(ack) << ack.error().message();
      if (i % 40 == 39) {
        ASSERT_TRUE(log_->Rotate());
      }
      if (i % 10 == 0 && read != nullptr) {
        const Lsn fence = std::min(Lsn{read->load()}, log_->positions().durable);
        ASSERT_TRUE(log_->TruncateBefore(fence));
      }
    }
    ASSERT_TRUE(log_->Sync());
  }
  static void ExpectAll(LogCursor* cursor, int count, std::atomic<std::uint64_t>* read) {
    for (int i = 0; i < count;) {
      const auto unit = cursor->Next();
      ASSERT_TRUE(unit) << unit.error().message();
      if (*unit) {
        ASSERT_EQ((*unit)->records.size(), 1u);
        ASSERT_EQ((*unit)->records[0].bytes, RecordOf(i)) << "unit " << i;
        if (read != nullptr) read->store((*unit)->end.value);
        ++i;
        continue;
      }
      const auto more = cursor->WaitForMore(60'000);
      ASSERT_TRUE(more && *more) << "nothing came after unit " << i;
    }
  }

  std::string dir_;
  std::unique_ptr<Log> log_;
};

TEST_F(LogFollowDiskTest, AFollowerSeesEachUnitOnceWhileFilesAreTruncatedAndUsedAgain) {
  Open({.segment_bytes_max = 128 << 10, .recycled_segments_max = 2});
  std::atomic<std::uint64_t> read = 0;
  auto cursor = LogCursor::Open(dir_, {.follow = true});
  ASSERT_TRUE(cursor) << cursor.error().message();
  std::jthread writer([&] { Write(600, &read); });
  ExpectAll(cursor->get(), 600, &read);
  writer.join();
  EXPECT_GT(log_->stats().first.value, kFirstBase) << "nothing was truncated";
}

TEST_F(LogFollowDiskTest, ALiveDurableFollowerWaitsInTheLogAndHoldsTruncationBack) {
  Open({.segment_bytes_max = 128 << 10, .recycled_segments_max = 2});
  const std::atomic<std::uint64_t> everything = UINT64_MAX;
  auto cursor = OpenCursor(log_.get(), dir_, {.level = AckLevel::kDurable, .follow = true});
  ASSERT_TRUE(cursor) << cursor.error().message();
  std::jthread writer([&] { Write(300, &everything); });
  ExpectAll(cursor->get(), 300, nullptr);
  writer.join();
}

TEST_F(LogFollowDiskTest, AFollowerThatIsOvertakenIsToldAndNeverGivesOtherBytes) {
  Open({.segment_bytes_max = 64 << 10, .recycled_segments_max = 2});
  const std::atomic<std::uint64_t> everything = UINT64_MAX;
  std::atomic<bool> done = false;
  std::jthread writer([&] {
    Write(400, &everything);
    done = true;
  });
  int overtaken = 0;
  while (!done) {
    auto cursor = LogCursor::Open(dir_, {.follow = true});
    ASSERT_TRUE(cursor) << cursor.error().message();
    std::optional<int> last;
    while (!done) {
      const auto unit = (*cursor)->Next();
      if (!unit) {
        ASSERT_EQ(unit.error().kind(), ErrorKind::kNotFound) << unit.error().message();
        ++overtaken;
        break;
      }
      if (!*unit) continue;
      const auto bytes = (*unit)->records[0].bytes;
      const int i = std::atoi(std::string(bytes.substr(0, 9)).c_str());
      ASSERT_EQ(bytes, RecordOf(i));
      if (last) {
        ASSERT_EQ(i, *last + 1);
      }
      last = i;
    }
  }
  writer.join();
  RecordProperty("overtaken", overtaken);
}

TEST_F(LogFollowDiskTest, ReadsAFolderThatNobodyMayWriteTo) {
  Open({});
  Write(5, nullptr);
  log_.reset();
  std::filesystem::permissions(dir_, std::filesystem::perms(0500));
  auto cursor = LogCursor::Open(dir_);
  ASSERT_TRUE(cursor) << cursor.error().message();
  ExpectAll(cursor->get(), 5, nullptr);
  std::filesystem::permissions(dir_, std::filesystem::perms(0700));
}

}  // namespace
}  // namespace varve
