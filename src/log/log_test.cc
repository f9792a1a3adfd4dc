// SPDX-License-Identifier: Apache-2.0
// The promises of varve/log.h, in a world without faults.
#include "varve/log.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <functional>

#include "base/result.h"
#include "log/log_fixture.h"
#include "log/log_format.h"
#include "varve/log_reader.h"

namespace varve {
namespace {

using testing::kLogDir;
using testing::LogTest;

TEST_F(LogTest, WhatWasAppendedComesBackWithItsLsnAndBytes) {
  Open();
  Append("one");
  Append({"two", "", "three"});
  Append(std::string(100'000, 'x'));
  Close();
  Open();
  ExpectEverythingBack();
  EXPECT_EQ(log_->recovery().units, 3u);
  EXPECT_EQ(log_->recovery().records, 5u);
  EXPECT_EQ(log_->recovery().torn_bytes, 0u);
}

TEST_F(LogTest, WhatWasAcknowledgedAsDurableSurvivesAKillWithoutClose) {
  Open();
  const auto ack = Append("kept");
  Kill();
  Open();
  ExpectEverythingBack();
  EXPECT_EQ(log_->recovery().end, ack.end);
}

TEST_F(LogTest, OpeningAndClosingWithoutAppendingSealsOnceAndThenChangesNothing) {
  Open();
  Append("a");
  Kill();
  Open();
  Close();
  const auto before = Picture();
  for (int i = 0; i < 3; ++i) {
    Open();
    Close();
  }
  EXPECT_TRUE(Picture() == before);
}

TEST_F(LogTest, F4_EveryReopenContinuesInANewSegmentWithPositionsThatOnlyGrow) {
  Lsn last;
  for (std::uint64_t round = 1; round <= 5; ++round) {
    Open();
    ExpectEverythingBack();
    const auto ack = Append("round");
    EXPECT_GT(ack.lsn, last);
    last = ack.end;
    EXPECT_EQ(log_->stats().segments.back().sequence, round);
    round % 2 == 0 ? Close() : Kill();
  }
}

TEST_F(LogTest, R1_R2_PositionsAndBytesAreTheSameAcrossRandomLives) {
  const auto seed = testing::TestSeed(11);
  SCOPED_TRACE(testing::SeedTrace(seed));
  SeededRandom random(seed);
  options_.segment_bytes_max = 128 << 10;
  for (int life = 0; life < 12; ++life) {
    Open();
    ExpectEverythingBack();
    for (auto units = random.Below(30); units > 0; --units) {
      std::vector<std::string> records(1 + random.Below(4));
      const auto size = random.Below(10) == 0 ? 300'000 : 3'000;
      for (auto& record : records) record.assign(random.Below(size), 'a' + random.Below(26));
      Append(records);
      if (random.Below(8) == 0) {
        ASSERT_TRUE(log_->Rotate());
      }
      if (random.Below(4) == 0) executor_.RunAll();
    }
    random.Below(2) == 0 ? Close() : Kill();
  }
  EXPECT_TRUE(std::is_sorted(appended_.begin(), appended_.end(),
                             [](const auto& a, const auto& b) { return a.lsn < b.lsn; }));
}

TEST_F(LogTest, AUnitLargerThanASegmentSpansSeveralAndComesBackWhole) {
  options_.segment_bytes_max = 64 << 10;
  Open();
  Append("before");
  std::string big(1'000'000, '\0');
  for (std::size_t i = 0; i < big.size(); ++i) big[i] = static_cast<char>(i * 2654435761u >> 13);
  const auto ack = Append({big, "", big});
  EXPECT_GT(ack.bytes, 2 * big.size());
  Append("after");
  EXPECT_GT(log_->stats().segments.size(), 30u);
  Kill();
  Open();
  ExpectEverythingBack();
}

TEST_F(LogTest, R22_AUnitLargerThanAFrameComesBackWhole) {
  Open();
  Append(std::string(40u << 20, 'b'));
  Append("after");
  Close();
  Open();
  ExpectEverythingBack();
}

TEST_F(LogTest, EmptyRecordsAreLegalAndUnitsWithoutRecordsAreNot) {
  Open();
  Append({"", "", ""});
  const auto ack = log_->Append(LogRecords());
  ASSERT_FALSE(ack);
  EXPECT_EQ(ack.error().kind(), ErrorKind::kInvalid);
  Close();
  Open();
  ExpectEverythingBack();
}

TEST_F(LogTest, R6_AnEmptyRecordHidesNothingBehindIt) {
  Open();
  Append("");
  Append("behind");
  Kill();
  Open();
  Append("");
  Append("behind again");
  Kill();
  Open();
  ExpectEverythingBack();
}

TEST_F(LogTest, R7_AUnitLargerThanTheLimitIsRefusedByTheWriter) {
  Open();
  const std::string record(1u << 20, 'x');
  const std::vector<LogRecord> records(2048, LogRecord(record));
  const auto ack = log_->Append(records);
  ASSERT_FALSE(ack);
  EXPECT_EQ(ack.error().kind(), ErrorKind::kInvalid);
  Append("still works");
}

TEST_F(LogTest, EnqueueGivesTheOrderAndOneFlushCarriesAll) {
  Open();
  const auto syncs = log_->stats().syncs;
  const LogRecord a[] = {"a"}, b[] = {"b"}, c[] = {"c"};
  const auto first = *log_->Enqueue(a), second = *log_->Enqueue(b), third = *log_->Enqueue(c);
  EXPECT_LT(first.lsn, second.lsn);
  EXPECT_EQ(log_->positions().durable, Lsn{});
  const auto ack = *log_->Wait(second);
  EXPECT_EQ(ack.group_units, 3u);
  EXPECT_EQ(ack.bytes, second.end.value - second.lsn.value);
  EXPECT_GT(ack.wait_micros, 0);
  EXPECT_EQ(log_->positions().durable, third.end);
  EXPECT_EQ(log_->Wait(first)->group_units, 3u);
  EXPECT_EQ(log_->stats().syncs, syncs + 1);
}

TEST_F(LogTest, BufferedAndWrittenUnitsBecomeDurableWithoutAFurtherCall) {
  Open();
  const auto buffered = Append("buffered", AckLevel::kBuffered);
  EXPECT_EQ(buffered.group_units, 0u);
  EXPECT_LT(log_->positions().written, buffered.end);
  const auto written = Append("written", AckLevel::kWritten);
  EXPECT_EQ(log_->positions().written, written.end);
  EXPECT_LT(log_->positions().durable, written.end);
  executor_.RunAll();
  EXPECT_EQ(log_->positions().durable, written.end);
  const auto syncs = log_->stats().syncs;
  executor_.RunAll();
  EXPECT_EQ(log_->stats().syncs, syncs) << "an idle log syncs nothing";
}

TEST_F(LogTest, R15_SyncCoversEverythingAppendedBefore) {
  Open();
  Append("a", AckLevel::kBuffered);
  const auto last = Append("b", AckLevel::kWritten);
  ASSERT_TRUE(log_->Sync());
  EXPECT_EQ(log_->positions().durable, last.end);
}

TEST_F(LogTest, R14_CloseKeepsWhatIsStillInTheQueue) {
  Open();
  for (int i = 0; i < 10; ++i) Append("queued", AckLevel::kBuffered);
  Close();
  Open();
  ExpectEverythingBack();
}

TEST_F(LogTest, T1_NothingIsCalledDurableBeforeASync) {
  Open();
  const auto syncs = log_->stats().syncs;
  Append("a", AckLevel::kWritten);
  EXPECT_EQ(log_->stats().syncs, syncs);
  EXPECT_EQ(log_->positions().durable, Lsn{});
}

TEST_F(LogTest, L7_WhatAKilledProcessWroteIsSyncedBeforeItIsCalledDurable) {
  Open();
  const auto ack = Append("written", AckLevel::kWritten);
  Kill();
  Open();
  EXPECT_EQ(log_->positions().durable, ack.end);
}

TEST_F(LogTest, AFullQueueMakesTheCallerHelpInsteadOfWaiting) {
  options_.queue_bytes_max = 10'000;
  Open();
  for (int i = 0; i < 50; ++i) Append(std::string(3'000, 'q'), AckLevel::kBuffered);
  EXPECT_GT(log_->positions().written, Lsn{100'000});
  Close();
  Open();
  ExpectEverythingBack();
}

TEST_F(LogTest, SegmentsDoubleUpToTheMaximumAndAreMadeAhead) {
  options_.segment_bytes_max = 4 << 20;
  Open();
  for (int i = 0; i < 120; ++i) {
    Append(std::string(100'000, 's'));
    executor_.RunAll();
  }
  std::vector<std::uint64_t> sizes;
  for (const auto& name : Names()) {
    if (name.ends_with(".log")) sizes.push_back(files_->Info(JoinPath(kLogDir, name))->size >> 20);
  }
  EXPECT_LE(sizes.front(), 1u);
  EXPECT_EQ(sizes.back(), 4u);
  Kill();
  Open();
  ExpectEverythingBack();
}

TEST_F(LogTest, AStandbyThatACrashLeftIsReplacedAndPositionsDoNotRepeat) {
  Open();
  for (int i = 0; i < 7; ++i) Append(std::string(100'000, 's'));
  executor_.RunAll();
  Append("buffered and lost", AckLevel::kBuffered);
  const auto lost = appended_.back();
  appended_.pop_back();
  Kill();
  ASSERT_EQ(Names().size(), 3u) << "LOCK, the segment, the standby";
  Open();
  ExpectEverythingBack();
  EXPECT_GT(Append("new").lsn, lost.lsn);
  EXPECT_EQ(Names().size(), 3u);
  Kill();
  Open();
  ExpectEverythingBack();
}

TEST_F(LogTest, AllStandbysThatACrashLeftAreGoneAfterTheFirstAppend) {
  options_.segment_bytes_max = 64 << 10;
  Open();
  Append("one");
  Append(std::string(300'000, 'b'), AckLevel::kBuffered);
  appended_.pop_back();
  Kill();
  ASSERT_GT(Names().size(), 5u) << "segments were made for the large unit";
  Open();
  Append("two");
  EXPECT_EQ(Names(), (std::vector<std::string>{"0000000000000001.log", "0000000000000002.log",
                                               "LOCK"}));
  Kill();
  Open();
  ExpectEverythingBack();
}

TEST_F(LogTest, CloseSealsGivesSpaceBackAndRemovesTheStandby) {
  Open();
  for (int i = 0; i < 7; ++i) Append(std::string(100'000, 's'));
  executor_.RunAll();
  ASSERT_EQ(Names().size(), 3u) << "LOCK, the segment, the standby";
  Close();
  EXPECT_EQ(Names(), (std::vector<std::string>{"0000000000000001.log", "LOCK"}));
  EXPECT_LT(files_->Info(PathOf(1))->size, 800'000u);
}

TEST_F(LogTest, TheLastSegmentIsSealedWhenTheLogWasClosed) {
  Open();
  Append("one");
  Kill();
  Open();
  EXPECT_FALSE(log_->stats().segments.back().sealed);
  Append("goes on");
  Close();
  Open();
  EXPECT_TRUE(log_->stats().segments.back().sealed);
  EXPECT_TRUE(VerifyLog(kLogDir, World())->segments.back().sealed);
  Append("two");
  EXPECT_FALSE(log_->stats().segments.back().sealed);
}

TEST_F(LogTest, RotateEndsTheSegment) {
  Open();
  Append("one");
  ASSERT_TRUE(log_->Rotate());
  ASSERT_TRUE(log_->Rotate());
  Append("two");
  const auto segments = log_->stats().segments;
  ASSERT_EQ(segments.size(), 2u);
  EXPECT_TRUE(segments[0].sealed);
  EXPECT_FALSE(segments[1].sealed);
  EXPECT_EQ(segments[0].file_bytes, 5 * kLogBlock) << "header, link, group, two seals";
  Close();
  Open();
  ExpectEverythingBack();
}

TEST_F(LogTest, TruncateRemovesOnlyWhatLiesWhollyBeforeTheFence) {
  Open();
  Append("one");
  ASSERT_TRUE(log_->Rotate());
  const auto two = Append("two");
  ASSERT_TRUE(log_->Rotate());
  const auto three = Append("three");
  ASSERT_TRUE(log_->TruncateBefore(two.lsn));
  EXPECT_EQ(log_->stats().segments.size(), 2u);
  ASSERT_TRUE(log_->TruncateBefore(two.lsn));
  EXPECT_EQ(log_->stats().segments.size(), 2u);
  ASSERT_TRUE(log_->TruncateBefore(three.end));
  EXPECT_EQ(log_->stats().segments.size(), 1u) << "never the active one";
  EXPECT_EQ(log_->stats().first, log_->stats().segments[0].base);
  Close();
  Open();
  EXPECT_EQ(replayed_, (std::vector{appended_[2]}));
}

TEST_F(LogTest, L10_AFenceBeyondWhatIsDurableIsRefused) {
  Open();
  Append("one");
  const auto two = Append("two", AckLevel::kWritten);
  const auto truncated = log_->TruncateBefore(two.end);
  ASSERT_FALSE(truncated);
  EXPECT_EQ(truncated.error().kind(), ErrorKind::kInvalid);
}

TEST_F(LogTest, T5_TheLastSegmentIsKeptEvenWhenAllOfItIsBeforeTheFence) {
  Open();
  const auto ack = Append("one");
  Close();
  Open();
  ASSERT_TRUE(log_->TruncateBefore(ack.end));
  Close();
  Open();
  EXPECT_GT(Append("two").lsn, ack.lsn);
}

TEST_F(LogTest, ReplayFromReadsOnlyTheSegmentsThatMatter) {
  Open();
  std::vector<Lsn> ends;
  for (int i = 0; i < 5; ++i) {
    ends.push_back(Append("unit").end);
    ASSERT_TRUE(log_->Rotate());
  }
  Close();
  Open({.replay_from = ends[2]});
  EXPECT_EQ(replayed_, (std::vector{appended_[3], appended_[4]}));
  EXPECT_EQ(log_->recovery().segments, 2u);
  EXPECT_EQ(log_->stats().segments.size(), 5u);
  EXPECT_EQ(log_->recovery().end, ends[4]);
}

TEST_F(LogTest, AnErrorOfTheReplayEndsOpenWithThatError) {
  Open();
  Append("poison pill");
  Close();
  const auto log = Log::Open(
      kLogDir, {}, [](const LogUnit&) { return Status(Fail(ErrorKind::kConflict, "no")); }, {},
      World());
  ASSERT_FALSE(log);
  EXPECT_EQ(log.error().kind(), ErrorKind::kConflict);
}

TEST_F(LogTest, ReadOnlyNeedsALogChangesNothingAndRefusesToWrite) {
  options_.read_only = true;
  EXPECT_EQ(TryOpen().error().kind(), ErrorKind::kNotFound);
  options_.read_only = false;
  Open();
  Append("one");
  Kill();
  const auto before = Picture();
  options_.read_only = true;
  Open();
  ExpectEverythingBack();
  EXPECT_EQ(log_->Append({"no"}).error().reason(), ErrorReason::kReadOnly);
  EXPECT_EQ(log_->TruncateBefore({}).error().reason(), ErrorReason::kReadOnly);
  Close();
  EXPECT_EQ(Picture(), before);
}

TEST_F(LogTest, R17_ASecondOpenerIsRefusedAndReadersShare) {
  Open();
  const auto second = Log::Open(kLogDir, {}, {}, {}, World());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().reason(), ErrorReason::kLocked);
  Append("one");
  Close();
  const auto reader = Log::Open(kLogDir, {.read_only = true}, {}, {}, World());
  const auto other = Log::Open(kLogDir, {.read_only = true}, {}, {}, World());
  EXPECT_TRUE(reader && other);
}

TEST_F(LogTest, AfterCloseEveryCallIsRefused) {
  Open();
  const auto ack = Append("one");
  ASSERT_TRUE(log_->Close());
  EXPECT_EQ(log_->Append({"two"}).error().reason(), ErrorReason::kClosed);
  EXPECT_EQ(log_->Sync().error().reason(), ErrorReason::kClosed);
  EXPECT_EQ(log_->Rotate().error().reason(), ErrorReason::kClosed);
  EXPECT_EQ(log_->TruncateBefore(ack.lsn).error().reason(), ErrorReason::kClosed);
  EXPECT_EQ(log_->Close().error().reason(), ErrorReason::kClosed);
}

TEST_F(LogTest, BadOptionsAreRefused) {
  options_.segment_bytes_max = 4096;
  EXPECT_EQ(TryOpen().error().kind(), ErrorKind::kInvalid);
  options_ = {};
  EXPECT_EQ(TryOpen({.mode = RecoveryMode::kSalvage}).error().kind(), ErrorKind::kInvalid);
  const std::pair<std::string, std::function<void(LogOptions*)>> bad[] = {
      {"queue_bytes_max", [](LogOptions* options) { options->queue_bytes_max = 0; }},
      {"group_bytes_max", [](LogOptions* options) { options->group_bytes_max = 0; }},
      {"sync_bytes", [](LogOptions* options) { options->sync_bytes = 0; }},
      {"shadow_per_mille", [](LogOptions* options) { options->shadow_per_mille = 1001; }}};
  for (const auto& [name, spoil] : bad) {
    options_ = {};
    spoil(&options_);
    const auto refused = TryOpen();
    ASSERT_FALSE(refused) << name;
    EXPECT_EQ(refused.error().kind(), ErrorKind::kInvalid);
    EXPECT_TRUE(refused.error().message().starts_with(name)) << refused.error().message();
  }
}

TEST_F(LogTest, ACapBelowThreeSegmentsIsRefusedWithWhatToRaiseOrLower) {
  options_.segment_bytes_max = 1 << 20;
  options_.log_bytes_max = 2'000'000;
  const auto refused = TryOpen();
  ASSERT_FALSE(refused);
  const auto& message = refused.error().message();
  EXPECT_NE(message.find("raise log_bytes_max to 3145728"), std::string::npos) << message;
  EXPECT_NE(message.find("lower segment_bytes_max to 666666"), std::string::npos) << message;
  options_.log_bytes_max = 1;
  EXPECT_EQ(TryOpen().error().message().find("lower"), std::string::npos)
      << "no segment is so small";
}

// Forks when it is asked for the time: the child then owns what the asking thread has locked.
class ForkingClock final : public Clock {
 public:
  WallTime Now() override { return {1}; }
  std::int64_t SteadyMicros() override {
    if (questions_left-- == 0) {
      child = ::fork();
      if (child == 0) in_child();
    }
    return ++micros_;
  }
  void WaitWord(const std::atomic<std::uint32_t>&, std::uint32_t, std::int64_t micros) override {
    micros_ += micros;
  }
  int questions_left = -1;  // then it forks
  pid_t child = -1;
  std::function<void()> in_child;

 private:
  std::int64_t micros_ = 0;
};

TEST_F(LogTest, AChildMadeByForkAsksWithoutWaiting) {
  ForkingClock clock;
  options_.linger_us = 1;  // then the time is asked for under the queue's mutex too
  auto world = World();
  world.clock = &clock;
  log_ = *Log::Open(kLogDir, options_, {}, {}, world);
  clock.in_child = [this] {
    ::alarm(20);  // ends a child that waits
    const auto stats = log_->stats();
    ::_exit(stats.positions.durable == log_->positions().durable ? 0 : 1);
  };
  for (int question = 0; question < 4; ++question) {
    clock.questions_left = question;
    Append("parent");
    int status = 1;
    ASSERT_EQ(::waitpid(clock.child, &status, 0), clock.child);
    EXPECT_EQ(status, 0) << question;
  }
  log_.reset();
}

TEST_F(LogTest, AChildMadeByForkIsRefusedAndLeavesTheLogAlone) {
  Open();
  Append("parent");
  const pid_t child = ::fork();
  if (child == 0) {
    const auto ack = log_->Append({"child"});
    log_.reset();
    ::_exit(!ack && ack.error().reason() == ErrorReason::kClosed ? 0 : 1);
  }
  int status = 1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  Append("parent again");
  Close();
  Open();
  ExpectEverythingBack();
}

}  // namespace
}  // namespace varve
