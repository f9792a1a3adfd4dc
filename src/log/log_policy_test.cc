// SPDX-License-Identifier: Apache-2.0
// What the options promise: sync policies, limits, rotation, retention, checkpoints, keys.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/crc32c.h"
#include "log/log_fixture.h"
#include "varve/log_reader.h"
#include "varve/trace.h"

namespace varve {
namespace {

class Keys final : public KeyProvider {
 public:
  std::map<std::string, std::string, std::less<>> keys = {{"k1", std::string(32, '1')},
                                                          {"k2", std::string(32, '2')}};
  std::string current = "k1";
  Result<std::string> CurrentKeyId() override { return current; }
  Result<std::string> Key(std::string_view id) override {
    const auto key = keys.find(id);
    if (key != keys.end()) return key->second;
    return std::unexpected(Error(ErrorKind::kNotFound, "no such key"));
  }
};

class LogPolicyTest : public testing::LogTest {
 protected:
  // Enqueued, and nobody waits.
  LogTicket Leave(const std::string& record) {
    const LogRecord records[] = {record};
    const auto ticket = log_->Enqueue(records);
    EXPECT_TRUE(ticket);
    appended_.push_back({ticket->lsn, {record}});
    return *ticket;
  }
  void LimitTo3Segments() {
    options_.segment_bytes_max = kSegmentBytesMin;
    options_.log_bytes_max = 3 * kSegmentBytesMin;
    options_.queue_wait_ms_max = 0;
  }
  int FileCount() {
    return static_cast<int>(std::ranges::count_if(
        Names(), [](const auto& name) { return name.ends_with(".log"); }));
  }
  std::string AllBytes() {
    std::string all;
    for (const auto& [name, bytes] : Picture()) all += bytes;
    return all;
  }

  Keys keys_;
};

TEST_F(LogPolicyTest, T1_NothingIsCalledDurableThatWasNotSynced) {
  options_.sync_policy = LogSyncPolicy::kNever;
  Open();
  const auto ticket = Leave("x");
  const auto ack = *log_->Wait(ticket, AckLevel::kWritten);
  executor_.RunAll();
  EXPECT_EQ(log_->positions().written, ack.end);
  EXPECT_LT(log_->positions().durable, ack.end);
  ASSERT_TRUE(log_->Wait(ticket, AckLevel::kDurable));  // whoever asks is given a sync
  EXPECT_EQ(log_->positions().durable, ack.end);
}

TEST_F(LogPolicyTest, AFlushThatWantsNoSyncHasNoneAfterThoseThatDid) {
  options_.sync_policy = LogSyncPolicy::kNever;
  Open();
  for (int i = 0; i < 3; ++i) Append("durable");
  const auto syncs = log_->stats().syncs;
  for (int i = 0; i < 3; ++i) Append("written", AckLevel::kWritten);
  EXPECT_EQ(log_->stats().syncs, syncs);
}

TEST_F(LogPolicyTest, TheIntervalPolicySyncsLaterAndNotWhenIdle) {
  options_.sync_policy = LogSyncPolicy::kInterval;
  Open();
  const auto syncs = log_->stats().syncs;
  const auto ticket = Leave("x");
  executor_.RunAll();
  EXPECT_LT(log_->positions().durable, ticket.end);
  EXPECT_TRUE(executor_.RunLater());
  EXPECT_EQ(log_->positions().durable, ticket.end);
  EXPECT_EQ(log_->stats().syncs, syncs + 1);
  EXPECT_FALSE(executor_.RunLater()) << "L11: a sync was asked for though nothing was appended";
}

TEST_F(LogPolicyTest, TheBytesPolicySyncsWhenSoManyAreWritten) {
  options_.sync_policy = LogSyncPolicy::kBytes;
  options_.sync_bytes = 10'000;
  Open();
  for (int i = 0; i < 3; ++i) Leave(std::string(3000, 'x'));
  executor_.RunAll();
  EXPECT_EQ(log_->positions().durable, Lsn{});
  for (int i = 0; i < 3; ++i) Leave(std::string(3000, 'x'));
  executor_.RunAll();
  EXPECT_GT(log_->positions().durable, Lsn{});
}

TEST_F(LogPolicyTest, TheBytesPolicyCountsWhatTheWaitingWrote) {
  options_.sync_policy = LogSyncPolicy::kBytes;
  options_.sync_bytes = 12'000;
  Open();
  for (int i = 0; i < 3; ++i) Append(std::string(3000, 'x'), AckLevel::kWritten);
  EXPECT_EQ(log_->positions().durable, Lsn{});
  const auto ack = Append(std::string(3000, 'x'), AckLevel::kWritten);
  EXPECT_EQ(log_->positions().durable, ack.end) << "and no task ran";
}

TEST_F(LogPolicyTest, TheIntervalPolicySyncsBesideTheWaitingWhenItsTaskIsLate) {
  options_.sync_policy = LogSyncPolicy::kInterval;
  Open();
  Append("first", AckLevel::kWritten);
  clock_.Advance(49'000);
  Append("within 50 ms", AckLevel::kWritten);
  EXPECT_EQ(log_->positions().durable, Lsn{});
  clock_.Advance(2'000);
  const auto late = Append("later", AckLevel::kWritten);
  EXPECT_EQ(log_->positions().durable, late.end) << "and no task ran";
  clock_.Advance(49'000);
  Append("counts from the sync", AckLevel::kWritten);
  EXPECT_EQ(log_->positions().durable, late.end);
}

TEST_F(LogPolicyTest, ACallbackIsServedByWhoeverFlushesNext) {
  options_.sync_policy = LogSyncPolicy::kNever;
  Open();
  bool called = false;
  const LogRecord records[] = {std::string_view("a callback waits")};
  log_->AppendThen(records, AckLevel::kDurable, [&](const auto& ack) { called = ack.has_value(); });
  EXPECT_FALSE(called);
  ASSERT_TRUE(log_->Append({"a caller waits"}, AckLevel::kWritten));
  EXPECT_TRUE(called) << "and no task ran";
}

TEST_F(LogPolicyTest, R22_EverySyncMethodKeepsWhatWasAcknowledged) {
  SimulatedDisk disk;
  files_ = &disk;
  for (const auto method : {LogSyncMethod::kFdatasync, LogSyncMethod::kFsync,
                            LogSyncMethod::kDsync, LogSyncMethod::kDirectDsync}) {
    options_.sync_method = method;
    Open();
    Append("one write");
    EXPECT_EQ(log_->stats().sync_method, method);
    Append(std::string(3u << 20, 'x'));
    Append("not durable alone", AckLevel::kWritten);
    Append("but with this one");
    log_.reset();
    disk.Crash(Survival::kAllLost, &random_);
    Open();
    ExpectEverythingBack();
    Close();
  }
}

TEST_F(LogPolicyTest, AGroupHasAsManyUnitsAsAreAllowed) {
  options_.group_units_max = 4;
  Open();
  std::vector<LogTicket> tickets;
  for (int i = 0; i < 10; ++i) tickets.push_back(Leave("x"));
  for (const auto& ticket : tickets) EXPECT_LE(log_->Wait(ticket)->group_units, 4u);
  EXPECT_EQ(log_->stats().groups, 3u);
}

TEST_F(LogPolicyTest, R12_AGroupHasAsManyBytesAsAreAllowed) {
  options_.group_bytes_max = 64 << 10;
  Open();
  std::vector<LogTicket> tickets;
  for (int i = 0; i < 40; ++i) tickets.push_back(Leave(std::string(10'000, 'x')));
  ASSERT_TRUE(log_->Wait(tickets.back()));
  EXPECT_GE(log_->stats().groups, 6u);
}

TEST_F(LogPolicyTest, R13_LingerIsADeadlineFromTheFirstUnit) {
  options_.linger_us = 1000;
  Open();
  const auto began = clock_.SteadyMicros();
  Append("alone");
  const auto waited = clock_.SteadyMicros() - began;
  EXPECT_GE(waited, 1000);
  EXPECT_LT(waited, 1100);
}

TEST_F(LogPolicyTest, ALingerOfManyYearsIsLong) {
  for (const std::uint64_t linger : {(1ull << 63) - 1, 1ull << 63, ~0ull}) {
    options_.linger_us = linger;
    Open();
    const auto began = clock_.SteadyMicros();
    Append("alone");
    EXPECT_GE(clock_.SteadyMicros() - began, MicrosOf(365ull * 24 * 3600 * 1000));
    Close();
  }
}

TEST_F(LogPolicyTest, AFullQueueGivesUpAtItsDeadline) {
  options_.segment_bytes_max = 32 << 10;
  options_.log_bytes_max = 96 << 10;
  options_.queue_wait_ms_max = 20;
  Open();
  std::vector<LogAck> acks;
  Result<LogAck> ack = LogAck();
  while (ack) {
    ack = log_->Append({std::string(8000, 'x')});
    if (ack) acks.push_back(*ack);
  }
  EXPECT_EQ(ack.error().reason(), ErrorReason::kTimedOut);
  EXPECT_NE(ack.error().message().find("log_bytes_max"), std::string::npos);
  EXPECT_EQ(log_->stats().first, log_->stats().segments.front().base) << "T5: nothing was deleted";
  EXPECT_EQ(log_->stats().segments.front().sequence, 1u);
  ASSERT_TRUE(log_->TruncateBefore(acks.back().lsn));
  EXPECT_TRUE(log_->Append({"goes on"}));
}

TEST_F(LogPolicyTest, ACheckpointPassesTheCapSoThatATruncationCanMakeRoom) {
  LimitTo3Segments();
  Open();
  ASSERT_TRUE(log_->Checkpoint(log_->positions().durable));
  while (log_->Append({std::string(3'900, 'x')})) {
  }
  const auto durable = log_->positions().durable;
  EXPECT_EQ(log_->TruncateBefore(durable)->segments, 0u) << "the checkpoint holds all of them";
  EXPECT_FALSE(log_->Append({"no room"}));
  const auto checkpoint = log_->Checkpoint(durable);
  ASSERT_TRUE(checkpoint) << checkpoint.error().message();
  EXPECT_GT(log_->TruncateBefore(durable)->segments, 0u);
  EXPECT_TRUE(log_->Append({std::string(9'000, 'x')}));
}

TEST_F(LogPolicyTest, MetricsTellHowManyAppendsWaitForATruncation) {
  LimitTo3Segments();
  options_.queue_wait_ms_max = LogOptions().queue_wait_ms_max;
  Open();
  for (int i = 0; i < 3; ++i) Append(std::string(9'000, 'x'));
  EXPECT_EQ(log_->stats().waiting_for_truncation, 0u);
  std::thread waits([this] { EXPECT_TRUE(log_->Append({std::string(9'000, 'x')})); });
  while (log_->stats().waiting_for_truncation == 0) std::this_thread::yield();
  const auto text = log_->PrometheusText();
  EXPECT_NE(text.find("varve_log_appends_waiting_for_truncation 1\n"), std::string::npos);
  EXPECT_NE(text.find("varve_log_log_bytes_max 98304\n"), std::string::npos);
  ASSERT_TRUE(log_->TruncateBefore(log_->positions().durable));
  waits.join();
  EXPECT_EQ(log_->stats().waiting_for_truncation, 0u);
}

TEST_F(LogPolicyTest, TheCapCountsSegmentsThatNothingWasWrittenTo) {
  LimitTo3Segments();
  options_.sync_policy = LogSyncPolicy::kNever;
  Open();
  const std::string fills_a_segment(9'000, 'x');
  const LogRecord records[] = {fills_a_segment};
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(log_->Enqueue(records));
  const auto refused = log_->Enqueue(records);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason(), ErrorReason::kTimedOut);
  EXPECT_EQ(FileCount(), 3);
}

TEST_F(LogPolicyTest, AUnitThatNoTruncationMakesRoomForIsRefusedAtOnce) {
  LimitTo3Segments();
  options_.queue_wait_ms_max = LogOptions().queue_wait_ms_max;
  Open();
  Append("before");
  const auto refused = log_->Append({std::string(40'000, 'x')});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind(), ErrorKind::kInvalid);
  EXPECT_NE(refused.error().message().find("log_bytes_max"), std::string::npos);
  EXPECT_LE(FileCount(), 2) << "what it took is given back";
  Append("after");
  Close();
  Open();
  ExpectEverythingBack();
}

TEST_F(LogPolicyTest, ASegmentThatWasMadeAheadIsYoungWhenItBegins) {
  options_.segment_bytes_max = 128 << 10;
  options_.segment_age_ms_max = 1000;
  Open();
  Append(std::string(60'000, 'x'));
  Append("the next segment is asked for");
  executor_.RunAll();
  EXPECT_EQ(FileCount(), 2);
  clock_.Advance(10'000'000);
  Append("begins a segment");
  Append("goes on in it");
  EXPECT_EQ(log_->stats().segments.size(), 2u);
}

TEST_F(LogPolicyTest, ASegmentIsEndedByItsAge) {
  options_.segment_age_ms_max = 1000;
  Open();
  Append("young");
  const auto segments = log_->stats().segments.size();
  Append("still young");
  EXPECT_EQ(log_->stats().segments.size(), segments);
  clock_.Advance(1'100'000);
  Append("old");
  EXPECT_EQ(log_->stats().segments.size(), segments + 1);
  Close();
  Open();
  ExpectEverythingBack();
}

TEST_F(LogPolicyTest, L10_APinHoldsTruncationBackAndADryRunTellsIt) {
  Open();
  std::vector<LogAck> acks;
  for (int i = 0; i < 4; ++i) {
    acks.push_back(Append("x"));
    ASSERT_TRUE(log_->Rotate());
  }
  Append("last");
  auto pin = log_->Pin(acks[1].lsn);
  ASSERT_TRUE(pin);
  const auto plan = *log_->TruncateBefore(acks[3].lsn, true);
  EXPECT_EQ(plan.segments, 1u);
  EXPECT_EQ(plan.held_at, acks[1].lsn);
  EXPECT_EQ(log_->stats().segments.size(), 5u);
  EXPECT_EQ(log_->TruncateBefore(acks[3].lsn)->segments, 1u);
  *pin = LogPin();
  EXPECT_EQ(log_->TruncateBefore(acks[3].lsn)->segments, 2u);
  EXPECT_EQ(log_->Pin(acks[0].lsn).error().kind(), ErrorKind::kNotFound);
}

TEST_F(LogPolicyTest, ADryRunNeedsNoRightToWriteAndChangesNothing) {
  SimulatedDisk disk;
  files_ = &disk;
  Open();
  std::vector<LogAck> acks;
  for (int i = 0; i < 4; ++i) {
    acks.push_back(Append("x"));
    ASSERT_TRUE(log_->Rotate());
  }
  ASSERT_TRUE(log_->Checkpoint(acks[2].lsn));
  const auto plan = *log_->TruncateBefore(acks[3].lsn, true);
  Kill();
  const auto events = disk.events();
  options_.read_only = true;
  Open();
  const auto told = *log_->TruncateBefore(acks[3].lsn, true);
  EXPECT_EQ(told.segments, 2u);
  EXPECT_EQ(told.bytes, plan.bytes);
  EXPECT_EQ(told.first, plan.first);
  EXPECT_EQ(told.held_at, acks[2].lsn);
  EXPECT_EQ(log_->TruncateBefore(acks[3].lsn).error().reason(), ErrorReason::kReadOnly);
  EXPECT_EQ(disk.events(), events) << "of writing, or of a sync";
  Kill();
}

TEST_F(LogPolicyTest, R9_AFileThatIsUsedAgainNeverShowsWhatItHeldBefore) {
  options_.segment_bytes_max = 64 << 10;
  Open();
  for (int i = 0; i < 60; ++i) {
    const auto ack = Append(std::string(7000, static_cast<char>('a' + i % 26)));
    ASSERT_TRUE(log_->TruncateBefore(ack.lsn));
  }
  const auto first = log_->stats().first;
  std::erase_if(appended_, [&](const auto& unit) { return unit.lsn < first; });
  Kill();
  Open();
  const auto kept = replayed_;
  EXPECT_EQ(kept, appended_);
  EXPECT_EQ(log_->recovery().torn_bytes, 0u);
}

TEST_F(LogPolicyTest, ReplayStartsWhereTheCheckpointSays) {
  Open();
  Append("flushed elsewhere");
  ASSERT_TRUE(log_->Rotate());
  const auto second = Append("not flushed");
  const auto checkpoint = *log_->Checkpoint(second.lsn, "my state");
  Append("after");
  Close();
  Open({.from_checkpoint = true});
  ASSERT_EQ(replayed_.size(), 3u);
  EXPECT_EQ(replayed_.front().lsn, second.lsn);
  ASSERT_TRUE(log_->recovery().checkpoint);
  EXPECT_EQ(log_->recovery().checkpoint->lsn, checkpoint.lsn);
  EXPECT_EQ(log_->recovery().checkpoint->note, "my state");
  EXPECT_EQ(log_->Checkpoint({log_->positions().durable.value + 1}).error().kind(),
            ErrorKind::kInvalid);
}

TEST_F(LogPolicyTest, R3_ACheckpointOfAnotherLogOrADamagedOneIsNotBelieved) {
  Open();
  Append("one");
  const auto two = Append("two");
  ASSERT_TRUE(log_->Checkpoint(two.lsn));
  Close();
  const auto path = JoinPath(testing::kLogDir, "CHECKPOINT");
  auto bytes = Bytes(path);
  auto foreign = bytes;  // whole, and of another log
  foreign[4096 + 8] ^= 1;
  StoreLittle(foreign.data() + 4096 + 48, Crc32c(std::string_view(foreign).substr(4096, 48)));
  Put(path, foreign);
  Open({.from_checkpoint = true});
  EXPECT_EQ(replayed_.size(), 3u);
  Kill();
  for (std::size_t at = 0; at < 52; ++at) {
    auto damaged = bytes;
    damaged[4096 + at] ^= 1;
    Put(path, damaged);
    Open({.from_checkpoint = true});
    EXPECT_EQ(replayed_.size(), 3u) << at;
    Kill();
  }
}

// Such a header would not validate, and what was acknowledged behind it would be lost.
TEST_F(LogPolicyTest, NoSegmentIsMadeWherePositionsEnd) {
  Open();
  Append("one");
  Close();
  const Lsn last{UINT64_MAX - kSegmentBytesMost};
  const auto opened = TryOpen({.mode = RecoveryMode::kPointInTime, .known_durable = last});
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().reason(), ErrorReason::kNoSpace) << opened.error().message();
  Open();
  ExpectEverythingBack();
}

// The next checkpoint would be written over it, and a crash meanwhile leave none.
TEST_F(LogPolicyTest, ACheckpointInTheSlotOfAnotherIsNotBelieved) {
  Open();
  Append("one");
  ASSERT_TRUE(log_->Checkpoint(Append("two").lsn));
  Close();
  const auto path = JoinPath(testing::kLogDir, "CHECKPOINT");
  const auto slot = Bytes(path).substr(4096, 4096);
  Put(path, slot + std::string(4096, '\0'));
  Open({.from_checkpoint = true});
  EXPECT_EQ(replayed_.size(), 3u);
  ASSERT_TRUE(log_->Checkpoint(log_->positions().durable));
  EXPECT_EQ(Bytes(path), slot + Bytes(path).substr(4096)) << "written over";
}

// Nothing could be newer than the one, and the other is none.
TEST_F(LogPolicyTest, ACheckpointWithANumberThatCannotBeIsNotBelieved) {
  Open();
  Append("one");
  ASSERT_TRUE(log_->Checkpoint(Append("two").lsn));
  Close();
  const auto path = JoinPath(testing::kLogDir, "CHECKPOINT");
  for (const auto number : {0ull, (1ull << 62) + 2}) {
    SCOPED_TRACE(number);
    auto slot = Bytes(path).substr(4096, 4096);
    StoreLittle(slot.data() + 24, number);
    StoreLittle(slot.data() + 48, Crc32c(std::string_view(slot).substr(0, 48)));
    const auto sound = Bytes(path).substr(4096);
    Put(path, slot + std::string(4096, '\0'));
    Open({.from_checkpoint = true});
    EXPECT_EQ(replayed_.size(), 3u);
    Kill();
    Put(path, std::string(4096, '\0') + sound);
  }
}

TEST_F(LogPolicyTest, ACheckpointIsDurableWhenItReturns) {
  SimulatedDisk disk;
  files_ = &disk;
  Open();
  Append("flushed elsewhere");
  const auto second = Append("not flushed");
  ASSERT_TRUE(log_->Checkpoint({}));
  ASSERT_TRUE(log_->Checkpoint(second.lsn));
  log_.reset();
  disk.Crash(Survival::kAllLost, &random_);
  Open({.from_checkpoint = true});
  ASSERT_FALSE(replayed_.empty());
  EXPECT_EQ(replayed_.front().lsn, second.lsn);
  log_.reset();
}

// Its slot was read from the page cache: the process that wrote it could not sync it.
TEST_F(LogPolicyTest, ATruncationDoesNotRestOnACheckpointThatIsNotOnTheDevice) {
  std::uint64_t sync = 0;  // of the second checkpoint's slot
  for (const bool fails : {false, true}) {
    SimulatedDisk disk;
    files_ = &disk;
    if (fails) disk.FailEvent(sync, Error(ErrorKind::kUnavailable, "sync", ErrorReason::kIo));
    Open();
    ASSERT_TRUE(log_->Checkpoint(Append("flushed elsewhere").lsn));
    ASSERT_TRUE(log_->Rotate());
    const auto second = Append("not flushed");
    EXPECT_EQ(log_->Checkpoint(second.lsn).has_value(), !fails);
    sync = disk.events();
    ASSERT_EQ(disk.trace().back().path, JoinPath(testing::kLogDir, "CHECKPOINT"));
    Kill();
    Open();
    ASSERT_TRUE(log_->TruncateBefore(second.lsn));
    Kill();
    disk.Crash(Survival::kAllLost, &random_);
    Open({.from_checkpoint = true});
    ASSERT_FALSE(replayed_.empty());
    EXPECT_GE(second.lsn, replayed_.front().lsn);
    Kill();
  }
}

// Which of the two is on the device is not known.
TEST_F(LogPolicyTest, AfterACheckpointThatFailedTruncationStopsAtTheLowerOne) {
  std::uint64_t sync = 0;
  for (const bool fails : {false, true}) {
    SimulatedDisk disk;
    files_ = &disk;
    if (fails) disk.FailEvent(sync, Error(ErrorKind::kUnavailable, "sync", ErrorReason::kIo));
    Open();
    const auto first = Append("one");
    ASSERT_TRUE(log_->Rotate());
    const auto second = Append("two");
    ASSERT_TRUE(log_->Checkpoint(second.lsn));
    EXPECT_EQ(log_->Checkpoint(first.lsn).has_value(), !fails);
    sync = disk.events();
    const auto truncated = log_->TruncateBefore(second.lsn);
    ASSERT_TRUE(truncated) << truncated.error().message();
    EXPECT_EQ(truncated->segments, 0u);
    EXPECT_EQ(truncated->held_at, first.lsn);
    Kill();
  }
}

TEST_F(LogPolicyTest, NoCrashMakesReplayStartBehindWhatTheNewestCheckpointSays) {
  for (const auto survival : kAllSurvivals) {
    bool done = false;
    for (std::uint64_t event = 1; !done; ++event) {
      SCOPED_TRACE(fmt::format("event {} of the second checkpoint, {}", event, ToString(survival)));
      SimulatedDisk disk;
      files_ = &disk;
      Open();
      const auto first = Append("one");
      ASSERT_TRUE(log_->Rotate());
      ASSERT_TRUE(log_->Checkpoint(Append("two").lsn));
      disk.CrashAtEvent(disk.events() + event);
      done = log_->Checkpoint(first.lsn).has_value();
      Kill();
      disk.Crash(survival, &random_);
      disk.CrashAtEvent(0);
      Open({.from_checkpoint = true});
      const auto& newest = log_->recovery().checkpoint;
      ASSERT_TRUE(newest);
      EXPECT_TRUE(!done || newest->replay_from == first.lsn);
      EXPECT_LE(replayed_.front().lsn, newest->replay_from);
      Kill();
    }
  }
}

TEST_F(LogPolicyTest, ACheckpointThatACrashLeftWithoutItsFileHoldsTruncationBack) {
  for (const auto survival : kAllSurvivals) {
    bool done = false;
    for (std::uint64_t event = 1; !done; ++event) {
      SCOPED_TRACE(fmt::format("event {} of the checkpoint, {}", event, ToString(survival)));
      SimulatedDisk disk;
      files_ = &disk;
      Open();
      const auto first = Append("one");
      ASSERT_TRUE(log_->Rotate());
      const auto second = Append("two");
      disk.CrashAtEvent(disk.events() + event);
      done = log_->Checkpoint(first.lsn).has_value();
      Kill();
      disk.Crash(survival, &random_);
      disk.CrashAtEvent(0);
      Open();
      ASSERT_TRUE(log_->TruncateBefore(second.lsn));
      Kill();
      Open({.from_checkpoint = true});
      const auto& newest = log_->recovery().checkpoint;
      EXPECT_TRUE(newest || !done);
      EXPECT_TRUE(!newest || replayed_.front().lsn <= newest->replay_from);
      Kill();
    }
  }
}

TEST_F(LogPolicyTest, ACheckpointThatPointsIntoWhatWasTruncatedIsRefused) {
  Open();
  const auto first = Append("one");
  ASSERT_TRUE(log_->Rotate());
  const auto second = Append("two");
  ASSERT_TRUE(log_->TruncateBefore(second.lsn));
  const auto refused = log_->Checkpoint(first.lsn);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind(), ErrorKind::kNotFound) << refused.error().message();
  ASSERT_TRUE(log_->Checkpoint({}));
  ASSERT_TRUE(log_->Checkpoint(first.end));
  Kill();
  Open({.from_checkpoint = true});
  EXPECT_EQ(replayed_.front().lsn, second.lsn);
}

TEST_F(LogPolicyTest, ACheckpointKnowsThatALostTailIsDamage) {
  Open();
  Append("one");
  ASSERT_TRUE(log_->Checkpoint({}));
  Kill();
  Overwrite(PathOf(1), 3 * 4096, std::string(4096, '\0'));
  ExpectCorruption(TryOpen({.from_checkpoint = true}));
}

TEST_F(LogPolicyTest, R16_NoPlainTextReachesTheDisk) {
  options_.keys = &keys_;
  for (const auto mode : {LogEncodeMode::kParallel, LogEncodeMode::kSerial}) {
    options_.encode_mode = mode;
    Open();
    Append("canary in the coal mine");
    Append(std::string(2u << 20, 'c') + "canary");
    Close();
  }
  EXPECT_EQ(AllBytes().find("canary"), std::string::npos);
  Open();
  ExpectEverythingBack();
}

TEST_F(LogPolicyTest, KeysRotateAndEarlierSegmentsKeepTheirs) {
  options_.keys = &keys_;
  Open();
  Append("by the first key");
  Close();
  keys_.current = "k2";
  Open();
  Append("by the second");
  Close();
  Open();
  ExpectEverythingBack();
  Close();
  keys_.keys.erase("k1");
  EXPECT_EQ(TryOpen().error().reason(), ErrorReason::kMissingKey);
}

TEST_F(LogPolicyTest, MissingWrongAndDamagedAreThreeErrorsAndChangeNothing) {
  options_.keys = &keys_;
  Open();
  Append("secret");
  Append("more");
  Kill();
  const auto before = Picture();
  options_.keys = nullptr;
  EXPECT_EQ(TryOpen().error().reason(), ErrorReason::kMissingKey);
  options_.keys = &keys_;
  keys_.keys["k1"] = std::string(32, 'x');
  EXPECT_EQ(TryOpen().error().reason(), ErrorReason::kWrongKey);
  EXPECT_EQ(Picture(), before);
  EXPECT_TRUE(VerifyLog(testing::kLogDir, World())->damages.empty());
}

TEST_F(LogPolicyTest, AProviderThatFailsKeepsTheUnitOutOfTheLog) {
  options_.keys = &keys_;
  keys_.current = "none";
  const auto opened = TryOpen();
  ASSERT_FALSE(opened);
  EXPECT_EQ(AllBytes().find("VFRM"), std::string::npos);
}

TEST_F(LogPolicyTest, EachPresetMovesOneAxis) {
  const LogOptions plain;
  EXPECT_GT(LogOptions::Throughput().queue_bytes_max, plain.queue_bytes_max);
  EXPECT_LT(LogOptions::Latency().queue_bytes_max, plain.queue_bytes_max);
  EXPECT_LT(LogOptions::Latency().group_bytes_max, plain.group_bytes_max);
  EXPECT_EQ(LogOptions::Durable().sync_method, LogSyncMethod::kFsync);
}

TEST_F(LogPolicyTest, TheEnvironmentSetsOptionsAndUnknownOnesAreErrors) {
  const char* good[] = {"PATH=/bin", "VARVE_LOG_COMPRESSION=zstd", "VARVE_LOG_LINGER_US=7",
                        "VARVE_LOG_SYNC_POLICY=never", nullptr};
  const auto options = LogOptions::FromEnvironment({}, good);
  ASSERT_TRUE(options);
  EXPECT_EQ(options->compression, LogCompression::kZstd);
  EXPECT_EQ(options->linger_us, 7u);
  EXPECT_EQ(options->sync_policy, LogSyncPolicy::kNever);
  for (const char* bad : {"VARVE_LOG_COMPRESSION=gzip", "VARVE_LOG_LINGER_US=-1",
                          "VARVE_LOG_LINGER_US=1x", "VARVE_LOG_LINGER_US=", "VARVE_LOG_NONE=1",
                          "VARVE_LOG_SHADOW_PER_MILLE=99999999999"}) {
    const char* environment[] = {bad, nullptr};
    const auto refused = LogOptions::FromEnvironment({}, environment);
    ASSERT_FALSE(refused) << bad;
    const std::string_view text = bad;
    EXPECT_NE(refused.error().message().find(text.substr(0, text.find('='))), std::string::npos);
  }
}

class Diary final : public TraceSink {
 public:
  void Event(std::string_view event, std::string_view text,
             std::initializer_list<TraceField> fields) override {
    std::string line(event);
    for (const auto& field : fields) {
      if (field.name != "micros") line += fmt::format(" {}={}", field.name, field.value);
    }
    lines.push_back(std::move(line));
    texts.emplace_back(text);
  }
  std::vector<std::string> lines;
  std::vector<std::string> texts;
};

TEST_F(LogPolicyTest, ATraceTellsWhatTheLogDoes) {
  Diary diary;
  auto world = World();
  world.trace = &diary;
  options_.segment_bytes_max = kSegmentBytesMin;
  log_ = *Log::Open(testing::kLogDir, options_, {}, {}, world);
  Append("x");
  ASSERT_TRUE(log_->Rotate());
  ASSERT_TRUE(log_->Checkpoint(log_->positions().durable));
  const auto first = log_->stats().segments.back().base.value;
  ASSERT_TRUE(log_->TruncateBefore(log_->positions().durable));
  Close();
  const std::vector<std::string> events = {
      "log.open units=0 records=0 bytes=0 torn_bytes=0 cut_bytes=0",
      "log.flush units=1 bytes=22 synced=1",
      "log.rotate sequence=1",
      "log.flush units=0 bytes=0 synced=1",
      "log.flush units=1 bytes=29 synced=1",
      fmt::format("log.checkpoint lsn={} replay_from={}", first + 4160, 8278),
      fmt::format("log.truncate segments=1 bytes=20480 first={}", first),
      "log.rotate sequence=2",
      "log.flush units=0 bytes=0 synced=1",
      "log.close"};
  EXPECT_EQ(diary.lines, events);
}

// It asks what it is told about; were it called under a lock of the log, this would never end.
class CuriousSink final : public TraceSink {
 public:
  void Event(std::string_view event, std::string_view,
             std::initializer_list<TraceField>) override {
    events.emplace(event);
    if (log == nullptr) return;
    (void)log->positions();
    (void)log->stats();
  }
  const Log* log = nullptr;
  std::set<std::string> events;
};

TEST_F(LogPolicyTest, ASinkMayAskTheLogInEveryEvent) {
  CuriousSink sink;
  SimulatedDisk disk;
  files_ = &disk;
  auto world = World();
  world.trace = &sink;
  LimitTo3Segments();
  log_ = *Log::Open(testing::kLogDir, options_, {}, {}, world);
  sink.log = log_.get();
  while (log_->Append({std::string(8'000, 'x')})) {
  }
  ASSERT_TRUE(log_->Rotate());
  ASSERT_TRUE(log_->Checkpoint(log_->positions().durable));
  ASSERT_TRUE(log_->TruncateBefore(log_->positions().durable));
  disk.FailEvent(disk.events() + 1, Error(ErrorKind::kUnavailable, "injected", ErrorReason::kIo));
  EXPECT_FALSE(log_->Append({"fails"}));
  const std::set<std::string> events = {"log.open",     "log.flush",      "log.rotate", "log.alert",
                                        "log.truncate", "log.checkpoint", "log.stopped"};
  EXPECT_EQ(sink.events, events);
  sink.log = nullptr;
  log_.reset();
}

TEST_F(LogPolicyTest, AnAlertSaysThatAppendsWaitForATruncation) {
  Diary diary;
  auto world = World();
  world.trace = &diary;
  options_.segment_bytes_max = kSegmentBytesMin;
  options_.log_bytes_max = 3 * kSegmentBytesMin;
  options_.queue_wait_ms_max = 0;
  log_ = *Log::Open(testing::kLogDir, options_, {}, {}, world);
  while (log_->Append({std::string(8'000, 'x')})) {
  }
  EXPECT_FALSE(log_->Append({std::string(8'000, 'x')}));
  EXPECT_EQ(std::ranges::count(diary.lines, "log.alert"), 1) << "once until there is room";
  EXPECT_EQ(diary.lines.back(), "log.alert");
  EXPECT_NE(diary.texts.back().find("wait for a truncation"), std::string::npos);
}

TEST_F(LogPolicyTest, MetricsCountWhatHappened) {
  Open();
  Append("x");
  Append("y");
  const auto stats = log_->stats();
  EXPECT_EQ(stats.units, 2u);
  EXPECT_EQ(stats.flush_micros.count, 2u);
  EXPECT_EQ(stats.ack_micros.count, 2u);
  const auto text = log_->PrometheusText();
  EXPECT_NE(text.find("varve_log_units_total 2\n"), std::string::npos);
  EXPECT_NE(text.find("varve_log_flush_seconds_count 2\n"), std::string::npos);
  EXPECT_NE(text.find("le=\"+Inf\"} 2\n"), std::string::npos);
}

}  // namespace
}  // namespace varve
