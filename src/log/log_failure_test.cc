// SPDX-License-Identifier: Apache-2.0
// What a failure beside a flush does to those who wait: the log's queue with a disk that stops when
// told to.
#include <gtest/gtest.h>

#include <atomic>
#include <new>
#include <stdexcept>
#include <string_view>
#include <thread>

#include "files/simulated_disk.h"
#include "log/log_fixture.h"
#include "log/log_format.h"
#include "test/support/gated_files.h"
#include "varve/trace.h"

namespace varve::testing {
namespace {

class LogFailureTest : public LogTest {
 protected:
  LogFailureTest() {
    files_ = &gated_;
    options_.segment_bytes_max = kSegmentBytesMin;
  }
  // A thread that appends, and is known to have its place when this returns.
  std::thread AppendInThread(const std::string& record, Result<LogAck>* ack) {
    const Lsn before = log_->positions().appended;
    std::thread thread([this, record, ack] { *ack = log_->Append({record}); });
    while (log_->positions().appended == before) std::this_thread::yield();
    return thread;
  }

  // As Open, with somebody who is told.
  void OpenWith(TraceSink* sink) {
    auto world = World();
    world.trace = sink;
    auto log = Log::Open(kLogDir, options_, {}, {}, world);
    ASSERT_TRUE(log) << log.error().message();
    log_ = *std::move(log);
  }

  GatedFiles gated_;
};

// Checkpoints, and truncations, stop at their sync when told to; commits do not.
class GatedUpkeep final : public ForwardingFiles {
 public:
  GatedUpkeep() : ForwardingFiles(NewMemoryFiles()) {}
  Faults faults;

  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override {
    VARVE_ASSIGN(auto file, files()->Open(path, mode));
    if (!path.ends_with("CHECKPOINT")) return file;
    return std::make_unique<GatedFile>(std::move(file), &faults);
  }
  Status SyncDirectory(const std::string& path) override {
    faults.gate.Pass();
    return files()->SyncDirectory(path);
  }
};

// Fails whenever it is told of `event`, or of anything.
class FailingSink final : public TraceSink {
 public:
  explicit FailingSink(std::string_view event = {}) : event_(event) {}
  void Event(std::string_view event, std::string_view,
             std::initializer_list<TraceField>) override {
    if (!event_.empty() && event != event_) return;
    ++failures;
    if (failures % 2 == 1) throw std::bad_alloc();
    throw std::runtime_error("the sink's disk is full");
  }
  std::atomic<int> failures = 0;

 private:
  const std::string_view event_;
};

// The failure is of a segment being made, by a third thread; the flush on its way succeeds.
TEST_F(LogFailureTest, APoisonBesideAFlushAcknowledgesNobodyElse) {
  for (int round = 0; round < 20; ++round) {
    gated_.no_directory_sync = false;
    Open();
    const auto replayed = replayed_.size();
    Append("before");
    gated_.gate.Shut();
    Result<LogAck> first, second;
    std::thread leader = AppendInThread("in the flush", &first);
    gated_.gate.AwaitHeld();
    std::thread waiter = AppendInThread("waits for the next", &second);
    gated_.no_directory_sync = true;
    const auto third = log_->Append({std::string(kSegmentBytesMin, 'x')});
    EXPECT_FALSE(third);
    gated_.gate.Open();
    leader.join();
    waiter.join();
    EXPECT_TRUE(first);
    ASSERT_FALSE(second) << "acknowledged, but never written";
    EXPECT_EQ(second.error().reason(), ErrorReason::kUnknownOutcome);
    gated_.no_directory_sync = false;
    Open();
    EXPECT_EQ(replayed_.size(), replayed + 2);
  }
}

// Both units are in the flush that fails; who does not lead it waits for it.
TEST_F(LogFailureTest, L5_AFailedFlushTellsEverybodyWhoseUnitItCarried) {
  for (int round = 0; round < 50; ++round) {
    gated_.faults.no_sync = false;
    Open();
    Append("has made a segment");
    gated_.gate.Shut();
    const LogRecord records[] = {std::string_view("x")};
    const LogTicket tickets[] = {*log_->Enqueue(records), *log_->Enqueue(records)};
    Result<LogAck> acks[2];
    std::thread leader([&] { acks[0] = log_->Wait(tickets[0]); });
    gated_.gate.AwaitHeld();
    std::thread follower([&] { acks[1] = log_->Wait(tickets[1]); });
    for (int i = 0; i < 200; ++i) std::this_thread::yield();  // until it waits, most likely
    gated_.faults.no_sync = true;
    gated_.gate.Open();
    leader.join();
    follower.join();
    for (const auto& ack : acks) {
      ASSERT_FALSE(ack);
      EXPECT_EQ(ack.error().reason(), ErrorReason::kUnknownOutcome);
    }
  }
}

// Two wait for the flush that fails, one for the next; then the log ends.
TEST_F(LogFailureTest, ASinkThatThrowsWhenTheLogStopsLeavesNobodyAsleep) {
  FailingSink sink("log.stopped");
  ASSERT_NO_FATAL_FAILURE(OpenWith(&sink));
  Append("has made a segment");
  gated_.gate.Shut();
  const LogRecord records[] = {std::string_view("x")};
  const auto carried = *log_->Enqueue(records);
  Result<LogAck> acks[3];
  std::thread leader([&] { acks[0] = log_->Wait(carried); });
  gated_.gate.AwaitHeld();
  const auto next = *log_->Enqueue(records);
  std::thread second([&] { acks[1] = log_->Wait(carried); });
  std::thread third([&] { acks[2] = log_->Wait(next); });
  for (int i = 0; i < 200; ++i) std::this_thread::yield();  // until they wait, most likely
  gated_.faults.no_sync = true;
  gated_.gate.Open();
  for (auto* thread : {&leader, &second, &third}) thread->join();
  for (const auto& ack : acks) {
    ASSERT_FALSE(ack);
    EXPECT_EQ(ack.error().reason(), ErrorReason::kUnknownOutcome);
  }
  Kill();
  EXPECT_EQ(sink.failures, 1);
}

TEST_F(LogFailureTest, ASinkThatAlwaysThrowsChangesNothing) {
  FailingSink sink;
  ASSERT_NO_FATAL_FAILURE(OpenWith(&sink));
  Append("first");
  Append("second");
  ASSERT_TRUE(log_->Rotate());
  ASSERT_TRUE(log_->Checkpoint(log_->positions().durable));
  ASSERT_TRUE(log_->TruncateBefore({}));
  Close();
  EXPECT_GE(sink.failures, 6);
  Open();
  ASSERT_GE(replayed_.size(), 2u);
  EXPECT_EQ(replayed_[0], appended_[0]);
  EXPECT_EQ(replayed_[1], appended_[1]);
}

TEST_F(LogFailureTest, MetricsTellThatTheLogStopped) {
  Open();
  Append("before");
  EXPECT_NE(log_->PrometheusText().find("varve_log_stopped 0\n"), std::string::npos);
  gated_.faults.no_sync = true;
  EXPECT_FALSE(log_->Append({"fails"}));
  EXPECT_TRUE(log_->stats().stopped);
  EXPECT_NE(log_->PrometheusText().find("varve_log_stopped 1\n"), std::string::npos);
}

// Every read of an open fails once: the log opens whole, or not at all and unchanged.
TEST_F(LogFailureTest, L3_AReadErrorIsNeverTakenForTheEnd) {
  Open();
  for (int i = 0; i < 12; ++i) Append(std::string(6'000, 'r'));
  Kill();
  options_.read_only = true;
  bool failed = true;
  for (int n = 0; failed; ++n) {
    gated_.faults.reads_until_failure = n;
    const auto opened = TryOpen();
    failed = gated_.faults.reads_until_failure < 0;
    gated_.faults.reads_until_failure = -1;
    if (opened) {
      ExpectEverythingBack();
    } else {
      EXPECT_EQ(opened.error().reason(), ErrorReason::kIo) << n << opened.error().message();
    }
  }
}

TEST_F(LogFailureTest, ASegmentThatCannotBeBegunRefusesTheUnitAndStopsNothing) {
  Open();
  Append("before");
  gated_.no_descriptors = true;
  const auto refused = log_->Append({std::string(kSegmentBytesMin, 'x')});
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().reason(), ErrorReason::kUnknownOutcome);
  Append("small, has room");
  gated_.no_descriptors = false;
  Append(std::string(kSegmentBytesMin, 'x'));
  Close();
  Open();
  ExpectEverythingBack();
}

// One of two segments for a unit is there, the other one perhaps: neither may go.
TEST_F(LogFailureTest, CloseBesideAHalfMadeSegmentRemovesNothing) {
  options_.segment_bytes_max = 128 << 10;
  Open();
  Append(std::string(60'000, 'x'));
  Append("the next segment is asked for");
  executor_.RunAll();
  gated_.gate.Shut();
  std::thread appends([this] { EXPECT_FALSE(log_->Append({std::string(200'000, 'y')})); });
  gated_.gate.AwaitHeld();  // in the second segment that it needs
  std::thread closes([this] { EXPECT_FALSE(log_->Close()); });
  while (!log_->stats().segments.back().sealed) std::this_thread::yield();
  gated_.no_directory_sync = true;
  gated_.gate.Open();
  appends.join();
  closes.join();
  gated_.no_directory_sync = false;
  Open();
  ExpectEverythingBack();
}

// With the lock the folder goes to others: what is left of a checkpoint, or a truncation, would be
// done to the log of whoever opens it then.
TEST_F(LogFailureTest, CloseWaitsForACheckpointAndForATruncation) {
  GatedUpkeep files;
  files_ = &files;
  for (const bool truncates : {false, true}) {
    Open();
    Append("one");
    ASSERT_TRUE(log_->Rotate());
    const auto fence = Append("two").end;
    ASSERT_TRUE(log_->Checkpoint(fence));
    files.faults.gate.Shut();
    std::thread keeps([&] {
      if (truncates) {
        EXPECT_TRUE(log_->TruncateBefore(fence));
      } else {
        EXPECT_TRUE(log_->Checkpoint(fence));
      }
    });
    files.faults.gate.AwaitHeld();
    std::atomic<bool> may_close = false;
    std::thread closes([&] {
      EXPECT_TRUE(log_->Close());
      EXPECT_TRUE(may_close) << "the lock was given back beside a "
                             << (truncates ? "truncation" : "checkpoint");
    });
    while (!log_->stats().segments.back().sealed) std::this_thread::yield();
    for (int i = 0; i < 1000; ++i) std::this_thread::yield();  // until it could be through
    may_close = true;
    files.faults.gate.Open();
    keeps.join();
    closes.join();
  }
  Kill();
  files_ = &gated_;
}

// A crash between a seal and the link it promises; then a full disk; then a clean close.
TEST_F(LogFailureTest, CloseKeepsTheSegmentThatASealPromises) {
  for (std::uint64_t event = 1;; ++event) {
    SCOPED_TRACE(event);
    SimulatedDisk disk;
    files_ = &disk;
    appended_.clear();
    disk.CrashAtEvent(event);
    std::size_t acknowledged = 0;
    if (TryOpen()) {
      for (int i = 0; i < 6 && log_->Append({std::string(9'000, 'a')}); ++i) ++acknowledged;
    }
    if (!disk.crashed()) break;
    log_.reset();
    SeededRandom random(event);
    disk.Crash(Survival::kAllLost, &random);
    Open();
    std::uint64_t used = 0;
    const auto entries = *disk.List(kLogDir);
    for (const auto& entry : entries) used += entry.size;
    disk.SetCapacity(used + 40 * 1024);
    EXPECT_FALSE(log_->Append({std::string(200'000, 'z')}));
    disk.SetCapacity(UINT64_MAX);
    Close();
    Open();
    EXPECT_GE(replayed_.size(), acknowledged);
    log_.reset();
    if (HasFailure()) return;
  }
  files_ = &gated_;
}

}  // namespace
}  // namespace varve::testing
