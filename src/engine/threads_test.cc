// SPDX-License-Identifier: Apache-2.0
// Everything at once, in real threads: writers, readers, transactions, flushes, and a close among
// them. Also what ThreadSanitizer is given to look at (test/sanitizers_test.sh).
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/executor.h"
#include "base/random.h"
#include "files/simulated_disk.h"
#include "test/support/gated_files.h"
#include "test/support/rows.h"
#include "test/support/seed.h"
#include "varve/database.h"
#include "varve/trace.h"

namespace varve {
namespace {

using testing::Drain;
using testing::Rows;
using testing::RowsBatch;

constexpr int kWriters = 2;
constexpr int kCommits = 400;  // of each writer
constexpr std::int64_t kCounter = 1'000'000;

// A writer's commit number `i` puts i into both rows of a pair. Whoever sees one without the other,
// or an older value after a newer one, saw half a commit or a snapshot that moved.
class ThreadsTest : public ::testing::Test {
 protected:
  void Open() {
    db_.reset();
    const Components world{
        .files = files_.get(), .clock = SystemClock(), .random = &random_, .executor = &executor_};
    auto db = Database::Open("/db", {.create_if_missing = true, .memtable_bytes_max = 64 << 10,
                                     .log_segment_bytes_max = 256 << 10},
                             world);
    ASSERT_TRUE(db) << db.error().message();
    db_ = *std::move(db);
  }
  void Make() {
    Open();
    ASSERT_TRUE(db_->CreateTable("t", testing::RowsSchema(), {"id"}));
    ASSERT_TRUE(db_->Upsert("t", RowsBatch({{kCounter, "0"}})));
  }

  static std::int64_t PairOf(int writer, int i) { return writer * 10'000 + i % 16 * 2; }
  // Whether the database was open all along.
  bool Write(int writer) {
    for (int i = 1; i <= kCommits; ++i) {
      const auto pair = PairOf(writer, i);
      const std::string value = std::to_string(i);
      const auto info = db_->Upsert("t", RowsBatch({{pair, value}, {pair + 1, value}}));
      if (!info) return IsClosed(info.error());
      done_[static_cast<std::size_t>(writer)] = i;
    }
    return true;
  }
  static bool IsClosed(const Error& error) {
    EXPECT_EQ(error.reason(), ErrorReason::kClosed) << error.message();
    return false;
  }
  void Read() {
    std::map<std::int64_t, int> newest;
    while (!stop_) {
      const auto snapshot = db_->GetSnapshot();
      if (!snapshot) return static_cast<void>(IsClosed(snapshot.error()));
      const auto rows = testing::ReadRows(**snapshot);
      ASSERT_EQ(testing::ReadRows(**snapshot), rows) << "a snapshot moved";
      for (const auto& [id, value] : rows) {
        if (id == kCounter) continue;
        const auto pair = id / 2 * 2;
        ASSERT_TRUE(rows.contains(pair) && rows.contains(pair + 1)) << id;
        ASSERT_EQ(rows.at(pair), rows.at(pair + 1)) << "half a commit";
        ASSERT_GE(std::stoi(value), newest[id]) << "an older value after a newer one";
        newest[id] = std::stoi(value);
      }
    }
  }
  void Get() {
    while (!stop_) {
      const auto pair = PairOf(0, 3);
      const auto rows = db_->Get("t", RowsBatch({{pair, ""}, {pair + 1, ""}}));
      if (!rows) return static_cast<void>(IsClosed(rows.error()));
      auto reader = *arrow::RecordBatchReader::Make({*rows}, (*rows)->schema());
      const auto found = Drain(reader.get());
      ASSERT_TRUE(found.empty() || found.at(pair) == found.at(pair + 1)) << "half a commit";
    }
  }
  void Count() {
    while (!stop_) {
      const auto in = db_->Begin();
      if (!in) return static_cast<void>(IsClosed(in.error()));
      const auto now = (*in)->Get("t", RowsBatch({{kCounter, ""}}));
      if (!now) return static_cast<void>(IsClosed(now.error()));
      const auto value = std::stoi(
          static_cast<const arrow::StringArray&>(*(*now)->column(1)).GetString(0));
      const auto put = (*in)->Upsert("t", RowsBatch({{kCounter, std::to_string(value + 1)}}));
      if (!put) return static_cast<void>(IsClosed(put.error()));
      const auto info = (*in)->Commit();
      if (info) {
        ++counted_;
      } else if (info.error().kind() != ErrorKind::kConflict) {
        return static_cast<void>(IsClosed(info.error()));
      }
    }
  }
  void Flush() {
    while (!stop_) {
      if (const auto flushed = db_->Flush(); !flushed) {
        return static_cast<void>(IsClosed(flushed.error()));
      }
      std::this_thread::yield();
    }
  }
  std::vector<std::thread> StartOthers() {
    std::vector<std::thread> threads;
    for (const auto work : {&ThreadsTest::Read, &ThreadsTest::Read, &ThreadsTest::Get,
                            &ThreadsTest::Count, &ThreadsTest::Count, &ThreadsTest::Flush}) {
      threads.emplace_back([this, work] { (this->*work)(); });
    }
    return threads;
  }
  std::vector<std::thread> StartWriters() {
    std::vector<std::thread> threads;
    for (int writer = 0; writer < kWriters; ++writer) {
      threads.emplace_back([this, writer] { Write(writer); });
    }
    return threads;
  }
  static void Join(std::vector<std::thread> threads) {
    for (auto& thread : threads) thread.join();
  }
  // What was acknowledged is there.
  void CheckAll() {
    const auto rows = testing::ReadRows(**db_->GetSnapshot());
    EXPECT_GE(std::stoi(rows.at(kCounter)), counted_);
    for (int writer = 0; writer < kWriters; ++writer) {
      const int done = done_[static_cast<std::size_t>(writer)];
      for (int i = std::max(1, done - 15); i <= done; ++i) {
        EXPECT_GE(std::stoi(rows.at(PairOf(writer, i))), i);
      }
    }
  }

  const std::unique_ptr<Files> files_ = NewMemoryFiles();
  SeededRandom random_{testing::TestSeed()};
  ThreadPool executor_{2};
  std::unique_ptr<Database> db_;
  std::atomic<bool> stop_ = false;
  std::atomic<int> counted_ = 0;
  std::atomic<int> done_[kWriters] = {};
};

TEST_F(ThreadsTest, EverybodySeesWholeCommitsInOrder) {
  Make();
  auto others = StartOthers();
  Join(StartWriters());
  stop_ = true;
  Join(std::move(others));
  EXPECT_EQ(done_[0], kCommits);
  EXPECT_EQ(done_[1], kCommits);
  CheckAll();
  ASSERT_TRUE(db_->Close());
  Open();
  CheckAll();
  const auto rows = testing::ReadRows(**db_->GetSnapshot());
  EXPECT_EQ(std::stoi(rows.at(kCounter)), counted_) << "a refused transaction left something";
}

TEST_F(ThreadsTest, ACloseAmongThemLosesNothingThatWasAcknowledged) {
  Make();
  auto others = StartOthers();
  auto writers = StartWriters();
  while (done_[0] < kCommits / 8) std::this_thread::yield();
  const auto held = *db_->GetSnapshot();
  const auto rows = testing::ReadRows(*held);
  ASSERT_TRUE(db_->Close());
  Join(std::move(writers));
  stop_ = true;
  Join(std::move(others));
  EXPECT_EQ(testing::ReadRows(*held), rows) << "a snapshot is readable until the database is gone";
  EXPECT_EQ(db_->Close().error().reason(), ErrorReason::kClosed);
  Open();
  CheckAll();
}

// Transactions beside writes without one, on few keys. Each transaction that is committed notes its
// snapshot, its commit and what it wrote: nobody else may have written that in between.
class PlainWritesTest : public ThreadsTest {
 protected:
  static constexpr int kTransactions = 300;  // of a thread
  static constexpr std::uint64_t kHotKeys = 24;

  struct Noted {
    CommitNumber snapshot, commit;
    std::int64_t keys[2];
  };

  static std::int64_t PickKey(Random* chance) {
    return static_cast<std::int64_t>(chance->Below(kHotKeys));
  }
  // Reads both keys, gives the others time, and writes them, or deletes the second.
  void Transact(std::uint64_t seed, std::vector<Noted>* noted) {
    SeededRandom chance(seed);
    for (int i = 0; i < kTransactions; ++i) {
      const auto in = *db_->Begin();
      const auto first = PickKey(&chance), second = PickKey(&chance);
      ASSERT_TRUE(in->Get("t", RowsBatch({{first, ""}, {second, ""}})));
      std::this_thread::yield();
      ASSERT_TRUE(in->Upsert("t", RowsBatch({{first, "mine"}})));
      ASSERT_TRUE(chance.Below(2) == 0 ? in->Upsert("t", RowsBatch({{second, "mine"}}))
                                       : in->Delete("t", RowsBatch({{second, ""}})));
      const auto info = in->Commit();
      if (info) {
        noted->push_back({in->snapshot(), info->commit, {first, second}});
      } else {
        ASSERT_EQ(info.error().kind(), ErrorKind::kConflict) << info.error().message();
        ++refused_;
      }
    }
  }
  WriteRequest PlainWrite(Random* chance) {
    const auto key = PickKey(chance);
    const auto row = RowsBatch({{key, "plain"}});
    switch (chance->Below(3)) {
      case 0: return {.mode = WriteMode::kUpsert, .rows = row};
      case 1: return {.mode = WriteMode::kDelete, .rows = row};
      default:
        return {.mode = WriteMode::kDeleteWhere,
                .range = {.lower = *row->SelectColumns({0}),
                          .upper = *RowsBatch({{key + 2, ""}})->SelectColumns({0})}};
    }
  }
  void WritePlainly(std::uint64_t seed) {
    SeededRandom chance(seed);
    while (!stop_) {
      const auto ack = chance.Below(2) == 0 ? AckLevel::kBuffered : AckLevel::kDurable;
      const auto info = db_->Write("t", PlainWrite(&chance), {.ack = ack});
      ASSERT_TRUE(info) << info.error().message();
      std::this_thread::yield();
    }
  }
  std::map<std::int64_t, std::set<CommitNumber>> CommitsOfKeys() {
    std::map<std::int64_t, std::set<CommitNumber>> commits;
    const auto table = (*db_->Changes("t", CommitNumber{0}))->ToTable();
    EXPECT_TRUE(table.ok()) << table.status().ToString();
    const auto changes = *(*table)->CombineChunksToBatch();
    const auto& numbers =
        static_cast<const arrow::UInt64Array&>(*changes->GetColumnByName("_commit"));
    const auto& ids = static_cast<const arrow::Int64Array&>(*changes->GetColumnByName("id"));
    for (std::int64_t i = 0; i < changes->num_rows(); ++i) {
      commits[ids.Value(i)].insert({numbers.Value(i)});
    }
    return commits;
  }
  void ExpectNobodyBetween(const std::vector<Noted>& noted) {
    const auto commits = CommitsOfKeys();
    for (const auto& transaction : noted) {
      for (const auto key : transaction.keys) {
        const auto first = commits.at(key).upper_bound(transaction.snapshot);
        ASSERT_TRUE(first != commits.at(key).end());
        EXPECT_EQ(first->value, transaction.commit.value)
            << "key " << key << " was lost, of a snapshot at " << transaction.snapshot.value;
      }
    }
  }

  std::atomic<int> refused_ = 0;
};

TEST_F(PlainWritesTest, NoPlainWriteIsLostUnderATransaction) {
  Make();
  std::vector<Noted> noted[2];
  std::vector<std::thread> others, transactions;
  for (std::uint64_t seed = 1; seed <= 2; ++seed) {
    others.emplace_back([this, seed] { WritePlainly(10 + seed); });
    transactions.emplace_back([&, seed] { Transact(seed, &noted[seed - 1]); });
  }
  Join(std::move(transactions));
  stop_ = true;
  Join(std::move(others));
  ASSERT_TRUE(db_->Sync());
  EXPECT_GT(refused_, 0) << "they never met";
  EXPECT_GT(noted[0].size() + noted[1].size(), 0u);
  for (const auto& some : noted) ExpectNobodyBetween(some);
}

class HoldAt final : public TraceSink {
 public:
  explicit HoldAt(std::string_view event) : event_(event) {}
  void Event(std::string_view event, std::string_view, std::initializer_list<TraceField>) override {
    if (event == event_) gate.Pass();
  }
  testing::Gate gate;

 private:
  const std::string_view event_;
};

// A commit that finds memory full goes on when Close has ended, and the folder is somebody else's.
TEST(CloseTest, AFlushThatComesAfterwardsWritesNothing) {
  testing::GatedFiles files;
  SeededRandom random(testing::TestSeed());
  ManualExecutor executor;
  HoldAt trace("commit.stall");  // it has sealed and not yet flushed
  const Components world{.files = &files,
                         .clock = SystemClock(),
                         .random = &random,
                         .executor = &executor,
                         .trace = &trace};
  auto db = Database::Open("/db", {.create_if_missing = true, .memtable_bytes_max = 100}, world);
  ASSERT_TRUE(db) << db.error().message();
  ASSERT_TRUE((*db)->CreateTable("t", testing::RowsSchema(), {"id"}));
  ASSERT_TRUE((*db)->Upsert("t", RowsBatch({{1, "a"}, {2, "b"}})));
  trace.gate.Shut();
  std::optional<ErrorReason> refused;
  std::thread writer([&] {
    const auto info = (*db)->Upsert("t", RowsBatch({{3, "c"}}));
    if (!info) refused = info.error().reason();
  });
  trace.gate.AwaitHeld();
  files.no_descriptors = true;  // so the flush in the background leaves what is sealed
  ASSERT_TRUE((*db)->Close());
  files.no_descriptors = false;
  auto other = Database::Open("/db", {}, {.files = &files, .random = &random});
  EXPECT_TRUE(other) << other.error().message();
  trace.gate.Open();
  writer.join();
  EXPECT_EQ(refused, ErrorReason::kClosed);
  const Status flushed = (*other)->Flush();
  EXPECT_TRUE(flushed) << flushed.error().message();
  EXPECT_EQ(testing::ReadRows(**(*other)->GetSnapshot()), (Rows{{1, "a"}, {2, "b"}}));
}

// Shuts a gate after each flush, when told to.
class ShutAfterFlush final : public TraceSink {
 public:
  explicit ShutAfterFlush(testing::Gate* gate) : gate_(gate) {}
  void Event(std::string_view event, std::string_view, std::initializer_list<TraceField>) override {
    if (told && event == "flush.done") gate_->Shut();
  }
  bool told = false;

 private:
  testing::Gate* const gate_;
};

class BackPressureTest : public ::testing::Test {
 protected:
  static constexpr std::uint64_t kMemory = 64 << 10;

  void Open(std::uint64_t memtable_bytes_max = kMemory, SealLimits limits = {}) {
    const Components world{.files = &files_,
                           .clock = SystemClock(),
                           .random = &random_,
                           .executor = &executor_,
                           .trace = &trace_};
    auto db = Database::Open("/db",
                             {.create_if_missing = true,
                              .memtable_bytes_max = memtable_bytes_max,
                              .seal_policy = SealAt(limits)},
                             world);
    ASSERT_TRUE(db) << db.error().message();
    db_ = *std::move(db);
    ASSERT_TRUE(db_->CreateTable("t", testing::RowsSchema(), {"id"}));
  }
  Result<CommitInfo> Put(std::int64_t id, const std::string& value) {
    return db_->Upsert("t", RowsBatch({{id, value}}));
  }
  // Two generations are sealed, and memory is full. Only the executor's owner runs its tasks.
  void Fill() {
    ASSERT_TRUE(Put(1, half_));
    ASSERT_TRUE(Put(2, half_));
  }
  void AwaitStalled(std::uint64_t commits) {
    while (db_->Stats().commits_stalled < commits) std::this_thread::yield();
  }

  const std::string half_ = std::string(kMemory / 2, 'x');
  testing::GatedFiles files_;
  SeededRandom random_{testing::TestSeed()};
  ManualExecutor executor_;
  ShutAfterFlush trace_{&files_.gate};
  std::unique_ptr<Database> db_;
};

// Once the first of two is flushed there is room, though whoever flushes goes on with the second.
TEST_F(BackPressureTest, ACommitWaitsForRoomAndNotForWhatElseIsFlushed) {
  Open();
  Fill();
  files_.gate.Shut();
  std::thread flusher([&] { executor_.RunAll(); });
  files_.gate.AwaitHeld();
  auto written = std::async(std::launch::async, [&] {  // it syncs nothing
    return db_->Upsert("t", RowsBatch({{3, "c"}}), {.ack = AckLevel::kBuffered}).has_value();
  });
  AwaitStalled(1);
  trace_.told = true;
  files_.gate.Open();
  while (db_->Stats().flushes == 0) std::this_thread::yield();
  EXPECT_EQ(written.wait_for(std::chrono::seconds(20)), std::future_status::ready);
  EXPECT_EQ(db_->Stats().flushes, 1u);
  files_.gate.AwaitHeld();
  trace_.told = false;
  files_.gate.Open();
  flusher.join();
  EXPECT_TRUE(written.get());
}

// Several wait while somebody flushes; that flush fails, and then their own: each is told.
TEST_F(BackPressureTest, CommitsAreToldWhenTheFlushThatTheyWaitForFails) {
  Open();
  Fill();
  files_.gate.Shut();
  files_.faults.no_sync = true;
  std::thread flusher([&] { executor_.RunAll(); });
  files_.gate.AwaitHeld();
  std::vector<std::future<std::string>> writers;
  for (std::int64_t id = 3; id < 7; ++id) {
    writers.push_back(std::async(std::launch::async, [this, id] {
      const auto info = Put(id, "c");
      return info ? std::string("kept") : std::string(info.error().message());
    }));
  }
  AwaitStalled(writers.size());
  files_.gate.Open();
  for (auto& writer : writers) {
    const auto told = writer.get();
    EXPECT_TRUE(told.starts_with("nothing of this commit was kept: memory is full")) << told;
  }
  flusher.join();
  EXPECT_EQ(db_->Stats().commits_stalled, 0u);
  EXPECT_EQ(testing::ReadRows(**db_->GetSnapshot()), (Rows{{1, half_}, {2, half_}}));
}

// The task that would have flushed both failed. The next commit makes room with one of them.
TEST_F(BackPressureTest, WhatAFailedFlushLeftSealedIsFlushedWithoutAnotherCommit) {
  Open();
  files_.no_descriptors = true;
  Fill();
  executor_.RunAll();
  ASSERT_EQ(db_->Stats().flushes, 0u);
  files_.no_descriptors = false;
  ASSERT_TRUE(Put(3, "c"));
  executor_.RunAll();
  EXPECT_EQ(db_->Stats().flushes, 2u);
}

TEST_F(BackPressureTest, ALimitThatNothingFitsInHoldsNothingUpForEver) {
  for (const std::uint64_t bytes_max : {0, 1}) {
    db_.reset();
    Open(bytes_max);
    for (std::int64_t id = 0; id < 5; ++id) ASSERT_TRUE(Put(id, "x"));
    EXPECT_EQ(testing::ReadRows(**db_->GetSnapshot()).size(), 5u);
    ASSERT_TRUE(db_->DropTable("t"));
  }
}

TEST_F(BackPressureTest, CloseTellsACommitThatWaits) {
  Open();
  Fill();
  files_.gate.Shut();
  std::thread flusher([&] { executor_.RunOne(); });
  files_.gate.AwaitHeld();
  auto written = std::async(std::launch::async, [&] { return Put(3, "c").has_value(); });
  AwaitStalled(1);
  auto closed = std::async(std::launch::async, [&] { return db_->Close().has_value(); });
  files_.gate.Open();
  EXPECT_TRUE(closed.get());
  flusher.join();
  (void)written.get();  // it was faster, or was told that the database is closed
}

}  // namespace
}  // namespace varve
