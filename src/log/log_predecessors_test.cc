// SPDX-License-Identifier: Apache-2.0
// What went wrong in the four logs that came before this one (rivven R, lora L, fsqlite F, tonbo
// T), as far as no test of another file bears its number: `grep -rE "_?(R|L|F|T)[0-9]+_" src test`
// finds them all.
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <thread>

#include "log/log_fixture.h"
#include "test/support/gated_files.h"

namespace varve::testing {
namespace {

class LogPredecessorsTest : public LogTest {
 protected:
  LogPredecessorsTest() { files_ = &disk_; }

  // What the disk was asked to do since `from`.
  std::vector<DiskEvent> EventsSince(std::uint64_t from) {
    auto events = disk_.trace();
    events.erase(events.begin(), events.begin() + static_cast<std::ptrdiff_t>(from));
    return events;
  }
  static std::uint64_t BytesOf(const std::vector<DiskEvent>& events) {
    std::uint64_t bytes = 0;
    for (const auto& event : events) {
      if (event.operation.starts_with("write")) bytes += event.bytes;
    }
    return bytes;
  }
  std::size_t Segments() {
    const auto names = Names();
    return static_cast<std::size_t>(
        std::ranges::count_if(names, [](const auto& name) { return name.ends_with(".log"); }));
  }
  // What a power cut would leave now.
  std::string DurableBytes() {
    const auto picture = disk_.Clone();
    SeededRandom random(1);
    picture->Crash(Survival::kAllLost, &random);
    std::string all;
    const auto entries = picture->List(kLogDir);
    for (const auto& entry : *entries) all += *picture->Peek(JoinPath(kLogDir, entry.name));
    return all;
  }
  // What is deferred again and again is left.
  void RunEverythingDeferred() {
    executor_.RunAll();
    for (int i = 0; i < 10 && executor_.RunLater(); ++i) executor_.RunAll();
  }

  SimulatedDisk disk_;
};

// A folder of the real disk.
class RealFolder {
 public:
  RealFolder() {
    std::string name = ::testing::TempDir() + "varve_log_XXXXXX";
    path_ = ::mkdtemp(name.data());
  }
  ~RealFolder() { std::filesystem::remove_all(path_); }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

// tonbo synced once for each command of a batch, and wrote a state file beside.
TEST_F(LogPredecessorsTest, T2_T7_AUnitOfManyRecordsIsOneWriteAndOneSync) {
  Open();
  Append("the first makes the segment");
  const auto before = disk_.events();
  Append(std::vector<std::string>(1000, "record"));
  const auto events = EventsSince(before);
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].operation, "write-durably");
}

// tonbo wrote the whole file again, in place, to cut a torn tail.
TEST_F(LogPredecessorsTest, T6_RecoveryLeavesWhatIsSoundWhereItIs) {
  Open();
  for (int i = 0; i < 50; ++i) Append(std::string(10'000, 'x'));
  const auto segment = log_->stats().segments.back();
  ASSERT_EQ(segment.sequence, 1u) << "the one that recovery cuts";
  const auto end = segment.end.value - segment.base.value + kLogBlock;
  Kill();
  Overwrite(PathOf(1), end, "torn by the kill");
  const auto sound = Bytes(PathOf(1)).substr(0, end);
  const auto before = disk_.events();
  Open();
  EXPECT_GT(log_->recovery().torn_bytes, 0u);
  Append("and goes on");
  auto events = EventsSince(before);
  std::erase_if(events, [&](const auto& event) { return event.path != PathOf(1); });
  EXPECT_LE(BytesOf(events), 32u << 10) << "of " << sound.size();
  EXPECT_EQ(Bytes(PathOf(1)).substr(0, end), sound);
}

// lora's group mode gave the ack while the bytes were in the memory of the process.
TEST_F(LogPredecessorsTest, L4_AWrittenUnitOutlivesItsProcess) {
  Open();
  Append("durable");
  Append("written", AckLevel::kWritten);
  disk_.KillProcess();
  Open();
  ExpectEverythingBack();
}

// lora's flusher synced at every interval, also when nobody had written.
TEST_F(LogPredecessorsTest, L11_AnIdleLogLeavesTheDiskAlone) {
  for (const auto policy : {LogSyncPolicy::kEveryGroup, LogSyncPolicy::kInterval,
                            LogSyncPolicy::kBytes, LogSyncPolicy::kNever}) {
    options_.sync_policy = policy;
    Open();
    Append("x", AckLevel::kBuffered);
    RunEverythingDeferred();
    ASSERT_TRUE(log_->Sync());
    const auto before = disk_.events();
    clock_.Advance(3600ll * 1'000'000);
    EXPECT_FALSE(executor_.RunOne() || executor_.RunLater()) << "something is yet to be done";
    ASSERT_TRUE(log_->Sync());
    EXPECT_EQ(disk_.events(), before);
    Close();
  }
}

// In fsqlite the durable epoch was the largest that had been flushed, whatever became of smaller
// ones; a flush that failed had no way back.
TEST_F(LogPredecessorsTest, F1_F17_NothingIsDurableBehindAFlushThatFailed) {
  Open();
  Append("before");
  const auto durable = log_->positions().durable;
  const LogRecord record[] = {"fails"};
  const auto lost = *log_->Enqueue(record);
  disk_.FailEvent(disk_.events() + 1, Error(ErrorKind::kUnavailable, "sync", ErrorReason::kIo));
  EXPECT_EQ(log_->Wait(lost).error().reason(), ErrorReason::kUnknownOutcome);
  EXPECT_FALSE(log_->Append({"later"}));
  EXPECT_FALSE(log_->Sync());
  EXPECT_FALSE(log_->WaitUntil(lost.end, AckLevel::kDurable, 0));
  EXPECT_EQ(log_->positions().durable, durable);
}

// fsqlite's flusher went without the last batch; what was submitted later was taken and dropped;
// and switched off it still called everything durable.
TEST_F(LogPredecessorsTest, F12_ClosingFlushesAndNothingIsTakenLater) {
  options_.sync_policy = LogSyncPolicy::kNever;
  Open();
  Append("only in memory", AckLevel::kBuffered);
  EXPECT_EQ(log_->positions().durable, Lsn{});
  ASSERT_TRUE(log_->Close());
  EXPECT_EQ(log_->Append({"late"}, AckLevel::kBuffered).error().reason(), ErrorReason::kClosed);
  log_.reset();
  disk_.Crash(Survival::kAllLost, &random_);
  Open();
  ExpectEverythingBack();
}

// In fsqlite an epoch could be called durable while a record of it was still on its way into a
// lane, or flushed by another thread; and appends beside a seal failed.
TEST_F(LogPredecessorsTest, F2_F3_F13_F14_AnAckIsNeverAheadOfTheDisk) {
  options_.segment_bytes_max = kSegmentBytesMin;
  Open();
  std::atomic<int> left = 4;
  const auto append = [&](int thread) {
    for (int i = 0; i < 40; ++i) {
      const auto record = "ack " + std::to_string(thread) + ":" + std::to_string(i) + ";";
      EXPECT_TRUE(log_->Append({record}));
      EXPECT_NE(DurableBytes().find(record), std::string::npos) << record;
    }
    --left;
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) threads.emplace_back(append, i);
  while (left > 0) {
    EXPECT_TRUE(log_->Rotate());
    EXPECT_TRUE(log_->Sync());
    executor_.RunOne();
  }
  for (auto& thread : threads) thread.join();
}

// The same, looked at while the flush is on its way.
TEST_F(LogPredecessorsTest, F2_F3_NothingIsDurableWhileTheDiskIsStillAtIt) {
  GatedFiles gated(&disk_);
  files_ = &gated;
  Open();
  const auto before = Append("has made a segment");
  const LogRecord record[] = {"on its way"};
  const auto ticket = *log_->Enqueue(record, AckLevel::kDurable);
  gated.gate.Shut();
  std::thread leader([&] { EXPECT_TRUE(log_->Wait(ticket)); });
  gated.gate.AwaitHeld();
  EXPECT_EQ(log_->positions().durable, before.end);
  EXPECT_FALSE(log_->WaitUntil(ticket.end, AckLevel::kDurable, 0));
  EXPECT_EQ(DurableBytes().find("on its way"), std::string::npos);
  gated.gate.Open();
  leader.join();
  EXPECT_NE(DurableBytes().find("on its way"), std::string::npos);
  Kill();
}

// fsqlite made a hundred files a second and removed none.
TEST_F(LogPredecessorsTest, F15_AThousandFlushesAreAFewFiles) {
  Open();
  for (int i = 0; i < 1000; ++i) Append("x");
  EXPECT_EQ(Segments(), 3u) << "of 1, 2 and 4 MiB; each flush takes 4 KiB";
}

// fsqlite's registry compared paths as they were spelled.
TEST(LogPredecessors, F15_TheSameFolderByAnotherNameIsTheSameLog) {
  const RealFolder folder;
  const auto log = Log::Open(folder / "wal", {}, {});
  ASSERT_TRUE(log) << log.error().message();
  std::filesystem::create_symlink(folder / "wal", folder / "link");
  for (const auto* name : {"link", "./wal", "wal/../wal"}) {
    const auto second = Log::Open(folder / name, {}, {});
    ASSERT_FALSE(second) << name;
    EXPECT_EQ(second.error().reason(), ErrorReason::kLocked) << second.error().message();
  }
}

// rivven's preallocated files were holes; and a stray one with a large number made positions jump.
TEST(LogPredecessors, R18_ASegmentHasItsBlocksBeforeAnythingIsWrittenToIt) {
  const RealFolder folder;
  auto log = Log::Open(folder / "wal", {}, {});
  ASSERT_TRUE(log) << log.error().message();
  ASSERT_TRUE((*log)->Append({"x"}));
  struct stat facts;
  const auto path = folder / ("wal/" + (*log)->stats().segments.back().name);
  ASSERT_EQ(::stat(path.c_str(), &facts), 0);
  EXPECT_GE(facts.st_size, 64 << 10);
  EXPECT_GE(facts.st_blocks * 512, facts.st_size);
}

TEST_F(LogPredecessorsTest, R18_ASegmentThatStoodByMakesNoPositionJump) {
  Open();
  const auto room = log_->stats().segments.back().file_bytes;
  Append(std::string(room / 2, 'b'));
  const auto before = Append("asks for the next").end;
  RunEverythingDeferred();
  ASSERT_EQ(Segments(), 2u) << "one stands by when half of the other is used";
  Kill();
  Open();
  EXPECT_LE(Append("after").lsn.value, before.value + 4 * room);
}

// rivven's compression was a flag that nobody looked at.
TEST_F(LogPredecessorsTest, R22_CompressionMakesTheLogSmaller) {
  std::vector<std::uint64_t> written;
  for (const auto compression :
       {LogCompression::kNone, LogCompression::kLz4, LogCompression::kZstd}) {
    options_.compression = compression;
    Open();
    Append("the first makes the segment");
    const auto before = disk_.events();
    Append(std::string(100'000, 'c'));
    written.push_back(BytesOf(EventsSince(before)));
    Close();
  }
  EXPECT_GT(written[0], 100'000u);
  EXPECT_LT(written[1], 10'000u);
  EXPECT_LT(written[2], 10'000u);
}

}  // namespace
}  // namespace varve::testing
