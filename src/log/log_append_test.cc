// SPDX-License-Identifier: Apache-2.0
// The ways to append: transactions, kinds, callbacks, futures, and what each refuses.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "log/log_fixture.h"
#include "log/unit_codec.h"

namespace varve {
namespace {

class LogAppendTest : public testing::LogTest {
 protected:
  LogRecord Of(const std::string& bytes) { return {bytes}; }
  void AppendTo(LogTransaction transaction, const std::string& record) {
    const LogRecord records[] = {record};
    ASSERT_TRUE(log_->AppendTo(transaction, records));
  }
  void Reopen() {
    Close();
    Open();
  }
};

TEST_F(LogAppendTest, L9_TransactionsInterleaveAndEachIsOneUnitInCommitOrder) {
  Open();
  const auto a = *log_->Begin();
  const auto b = *log_->Begin();
  AppendTo(a, "a1");
  AppendTo(b, "b1");
  AppendTo(a, "a2");
  ASSERT_TRUE(log_->Rotate());
  const auto second = *log_->Commit(b);
  ASSERT_TRUE(log_->TruncateBefore(second.lsn));
  const auto first = *log_->Commit(a);
  EXPECT_LT(second.lsn, first.lsn);
  Reopen();
  const std::vector<testing::SeenUnit> expected = {{second.lsn, {"b1"}}, {first.lsn, {"a1", "a2"}}};
  EXPECT_EQ(replayed_, expected);
}

TEST_F(LogAppendTest, AbortedAndOpenTransactionsLeaveNothing) {
  Open();
  const auto before = log_->positions().appended;
  const auto aborted = *log_->Begin();
  const auto open = *log_->Begin();
  AppendTo(aborted, "never");
  AppendTo(open, "never either");
  EXPECT_EQ(log_->stats().open_transactions, 2u);
  ASSERT_TRUE(log_->Abort(aborted));
  EXPECT_EQ(log_->stats().open_transactions, 1u);
  EXPECT_EQ(log_->Commit(aborted).error().kind(), ErrorKind::kNotFound);
  EXPECT_EQ(log_->positions().appended, before);
  Reopen();
  EXPECT_TRUE(replayed_.empty());
}

TEST_F(LogAppendTest, AnUnknownOrEndedTransactionIsNotFound) {
  Open();
  const auto ended = *log_->Begin();
  AppendTo(ended, "x");
  ASSERT_TRUE(log_->Commit(ended));
  for (const auto transaction : {ended, LogTransaction{77}, LogTransaction{}}) {
    const LogRecord records[] = {std::string_view("y")};
    EXPECT_EQ(log_->AppendTo(transaction, records).error().kind(), ErrorKind::kNotFound);
    EXPECT_EQ(log_->Commit(transaction).error().kind(), ErrorKind::kNotFound);
    EXPECT_EQ(log_->Abort(transaction).error().kind(), ErrorKind::kNotFound);
  }
}

TEST_F(LogAppendTest, AnEmptyTransactionCannotCommitAndStaysOpen) {
  Open();
  const auto transaction = *log_->Begin();
  EXPECT_EQ(log_->Commit(transaction).error().kind(), ErrorKind::kInvalid);
  AppendTo(transaction, "now");
  EXPECT_TRUE(log_->Commit(transaction));
}

TEST_F(LogAppendTest, L13_ATransactionThatCouldNotBeAppendedCanBeCommittedLater) {
  options_.segment_bytes_max = 32 << 10;
  options_.log_bytes_max = 96 << 10;
  options_.queue_wait_ms_max = 0;
  Open();
  std::vector<LogAck> acks;
  while (true) {
    const auto ack = log_->Append({std::string(8000, 'x')});
    if (!ack) break;
    acks.push_back(*ack);
  }
  const auto transaction = *log_->Begin();
  AppendTo(transaction, std::string(20000, 't'));
  const auto refused = log_->Commit(transaction);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason(), ErrorReason::kTimedOut);
  ASSERT_TRUE(log_->TruncateBefore(acks.back().lsn));
  EXPECT_TRUE(log_->Commit(transaction));
}

TEST_F(LogAppendTest, R5_KindsComeBackWithTheirRecords) {
  Open();
  const LogRecord records[] = {{std::string_view("data"), LogKind::kData},
                               {std::string_view(""), LogKind{7}},
                               {std::string_view("last"), LogKind::kUserLast}};
  ASSERT_TRUE(log_->Append(records));
  Close();
  std::vector<LogKind> kinds;
  auto log = Log::Open(testing::kLogDir, {}, [&](const LogUnit& unit) {
    for (const auto& record : unit.records) kinds.push_back(record.kind);
    return Status();
  }, {}, World());
  ASSERT_TRUE(log);
  EXPECT_EQ(kinds, (std::vector<LogKind>{LogKind::kData, LogKind{7}, LogKind::kUserLast}));
}

TEST_F(LogAppendTest, ACallbackComesOnceItsUnitIsDurable) {
  Open();
  const LogRecord records[] = {std::string_view("later")};
  std::vector<Lsn> acked;
  for (int i = 0; i < 3; ++i) {
    log_->AppendThen(records, AckLevel::kDurable, [&](const Result<LogAck>& ack) {
      ASSERT_TRUE(ack);
      EXPECT_LE(ack->end, log_->positions().durable);
      EXPECT_EQ(ack->group_units, 3u);
      acked.push_back(ack->lsn);
    });
  }
  ASSERT_TRUE(log_->WaitUntil(log_->positions().appended, AckLevel::kWritten));
  EXPECT_TRUE(acked.empty()) << "written is not durable";
  executor_.RunAll();
  EXPECT_EQ(acked.size(), 3u);
  EXPECT_TRUE(std::is_sorted(acked.begin(), acked.end()));
}

TEST_F(LogAppendTest, ACallbackOfAClosedLogHearsOfIt) {
  Open();
  const LogRecord records[] = {std::string_view("x")};
  int failed = 0;
  const LogCallback count = [&](const Result<LogAck>& ack) { failed += ack ? 0 : 1; };
  log_->AppendThen(records, AckLevel::kDurable, count);
  Kill();  // never flushed
  EXPECT_EQ(failed, 1);
  Open();
  ASSERT_TRUE(log_->Close());
  log_->AppendThen(records, AckLevel::kDurable, count);
  EXPECT_EQ(failed, 2);
}

// Written and not synced: a crash of the process keeps it, and so does a log that is let go of.
TEST_F(LogAppendTest, WhoWasWrittenIsNotToldThatItWasNotKept) {
  Open();
  const LogRecord records[] = {std::string_view("written")};
  std::vector<ErrorReason> reasons;
  const LogCallback note = [&](const Result<LogAck>& ack) {
    ASSERT_FALSE(ack);
    reasons.push_back(ack.error().reason());
  };
  log_->AppendThen(records, AckLevel::kDurable, note);
  Append("takes it along", AckLevel::kWritten);
  log_->AppendThen(records, AckLevel::kDurable, note);
  Kill();
  EXPECT_EQ(reasons,
            (std::vector<ErrorReason>{ErrorReason::kUnknownOutcome, ErrorReason::kClosed}));
  Open();
  EXPECT_EQ(replayed_.size(), 2u);
}

// Whoever orders its units under a lock of its own may take that lock in its callbacks too.
TEST_F(LogAppendTest, AnEnqueueThatMakesRoomRunsNoCallbacks) {
  options_.queue_bytes_max = 16 << 10;
  Open();
  const std::string record(1000, 'x');
  const LogRecord records[] = {record};
  bool enqueues = false;
  int told = 0;
  log_->AppendThen(records, AckLevel::kWritten, [&](const Result<LogAck>& ack) {
    EXPECT_TRUE(ack);
    EXPECT_FALSE(enqueues) << "whoever enqueues may hold what a callback waits for";
    ++told;
  });
  enqueues = true;
  for (int i = 0; i < 40; ++i) ASSERT_TRUE(log_->Enqueue(records, AckLevel::kDurable));
  enqueues = false;
  EXPECT_GT(log_->positions().written, Lsn{}) << "there was no room for all of them";
  executor_.RunAll();
  EXPECT_EQ(told, 1);
}

TEST_F(LogAppendTest, AFutureGivesTheAck) {
  Open();
  const LogRecord records[] = {std::string_view("x")};
  auto future = log_->AppendAsync(records);
  executor_.RunAll();
  const auto ack = future.get();
  ASSERT_TRUE(ack);
  EXPECT_EQ(ack->end, log_->positions().durable);
}

TEST_F(LogAppendTest, WaitUntilReachesAPositionOrTimesOut) {
  Open();
  const LogRecord records[] = {std::string_view("x")};
  const auto ticket = *log_->Enqueue(records);
  EXPECT_EQ(log_->WaitUntil({ticket.end.value + 1}).error().kind(), ErrorKind::kInvalid);
  ASSERT_TRUE(log_->WaitUntil(ticket.end, AckLevel::kDurable, 1000));
  EXPECT_EQ(log_->positions().durable, ticket.end);
}

TEST_F(LogAppendTest, WhoWaitsUntilAMomentLingersNoLonger) {
  options_.linger_us = 10'000'000;
  Open();
  const LogRecord records[] = {std::string_view("x")};
  const auto ticket = *log_->Enqueue(records, AckLevel::kDurable);
  const auto began = clock_.SteadyMicros();
  (void)log_->WaitUntil(ticket.end, AckLevel::kDurable, 1);
  EXPECT_LT(clock_.SteadyMicros() - began, 2'000);
}

TEST_F(LogAppendTest, WhoWaitsUntilAMomentLeadsNoFlushAfterIt) {
  options_.group_units_max = 1;
  Open();
  const LogRecord records[] = {std::string_view("x")};
  Lsn end;
  for (int i = 0; i < 10; ++i) end = log_->Enqueue(records, AckLevel::kDurable)->end;
  const auto waited = log_->WaitUntil(end, AckLevel::kDurable, 0);
  ASSERT_FALSE(waited);
  EXPECT_EQ(waited.error().reason(), ErrorReason::kTimedOut);
  EXPECT_EQ(log_->stats().groups, 1u);
  ASSERT_TRUE(log_->WaitUntil(end));
}

TEST_F(LogAppendTest, AFullQueueWaitsForNobodyToJoin) {
  options_.linger_us = 10'000'000;
  options_.queue_bytes_max = 16 << 10;
  Open();
  const std::string record(1000, 'x');
  const LogRecord records[] = {record};
  const auto began = clock_.SteadyMicros();
  for (int i = 0; i < 40; ++i) ASSERT_TRUE(log_->Enqueue(records, AckLevel::kDurable));
  EXPECT_GT(log_->stats().groups, 0u);
  EXPECT_LT(clock_.SteadyMicros() - began, 1'000'000);
}

TEST_F(LogAppendTest, AfterCloseEveryWayToAppendSaysClosed) {
  Open();
  const auto transaction = *log_->Begin();
  AppendTo(transaction, "x");
  ASSERT_TRUE(log_->Close());
  EXPECT_EQ(log_->Append({"x"}).error().reason(), ErrorReason::kClosed);
  EXPECT_EQ(log_->Begin().error().reason(), ErrorReason::kClosed);
  const LogRecord record[] = {"x"};
  EXPECT_EQ(log_->AppendTo(transaction, record).error().reason(), ErrorReason::kClosed);
  EXPECT_EQ(log_->Commit(transaction).error().reason(), ErrorReason::kClosed);
  EXPECT_EQ(log_->Abort(transaction).error().reason(), ErrorReason::kClosed);
  EXPECT_EQ(log_->Pin(Lsn{0}).error().reason(), ErrorReason::kClosed);
  EXPECT_EQ(log_->Checkpoint({}).error().reason(), ErrorReason::kClosed);
}

// The two encoders are run against each other; a mismatch is mended and named.
TEST_F(LogAppendTest, ShadowModeMendsAMismatchAndGoesOnSerially) {
  options_.encode_mode = LogEncodeMode::kShadow;
  Open();
  Append("sound");
  EXPECT_EQ(log_->stats().encode_mode, LogEncodeMode::kShadow);
  BreakNextParallelUnit();
  Append("would be wrong");
  EXPECT_EQ(log_->stats().encode_mode, LogEncodeMode::kSerial);
  EXPECT_NE(log_->stats().serial_reason.find("differed"), std::string::npos);
  BreakNextParallelUnit();
  Append("serial now");
  Close();
  Open();
  ExpectEverythingBack();
  Append("takes the broken one");
}

TEST_F(LogAppendTest, SerialAndParallelModesWriteTheSameLog) {
  std::string pictures[2];
  for (const auto mode : {LogEncodeMode::kParallel, LogEncodeMode::kSerial}) {
    owned_files_ = NewMemoryFiles();
    files_ = owned_files_.get();
    // A segment says when it was made, and some units, which ones depends on the tests before, are
    // timed: so the clock stands still.
    ManualClock clock(1'700'000'000'000'000, 0);
    SeededRandom random(testing::TestSeed());
    LogOptions options{.segment_bytes_max = 64 << 10};
    options.encode_mode = mode;
    options.compression = LogCompression::kLz4;
    {
      auto log = *Log::Open(testing::kLogDir, options, {}, {}, {files_, &clock, &random,
                                                                &executor_, nullptr});
      for (int i = 0; i < 40; ++i) {
        ASSERT_TRUE(log->Append({std::string(i * 700, 'x'), std::to_string(i)}));
      }
      ASSERT_TRUE(log->Close());
    }
    for (const auto& [name, bytes] : Picture()) pictures[static_cast<int>(mode)] += name + bytes;
  }
  EXPECT_FALSE(pictures[0].empty());
  EXPECT_TRUE(pictures[0] == pictures[1]);
}

}  // namespace
}  // namespace varve
