// SPDX-License-Identifier: Apache-2.0
// CommitInfo::profile: a commit is held at one place while the clock moves, and that time is in the
// part that this place belongs to, and in no other.
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/executor.h"
#include "base/random.h"
#include "test/support/gated_files.h"
#include "test/support/rows.h"
#include "test/support/seed.h"
#include "varve/database.h"

namespace varve {
namespace {

using testing::RowsBatch;

// Moves when told to, or at a question of the thread that is watched.
class ScriptedClock final : public Clock {
 public:
  WallTime Now() override { return {micros_.load()}; }
  std::int64_t SteadyMicros() override {
    if (watched_ != std::this_thread::get_id()) return micros_;
    if (const auto at = steps.find(asked_ + 1); at != steps.end()) Advance(at->second);
    const std::int64_t now = micros_;
    ++asked_;  // from here on whoever awaited this question may move the clock
    return now;
  }
  void WaitWord(const std::atomic<std::uint32_t>&, std::uint32_t, std::int64_t) override {}
  void Advance(std::int64_t micros) { micros_ += micros; }

  void Watch() { watched_ = std::this_thread::get_id(); }
  void CountAgain() { asked_ = 0; }
  void AwaitQuestion(int question) const {
    while (asked_ < question) std::this_thread::yield();
  }
  std::map<int, std::int64_t> steps;  // by question, the first is 1: how far it moves before it

 private:
  std::atomic<std::int64_t> micros_ = 1'700'000'000'000'000;
  std::atomic<std::thread::id> watched_;
  std::atomic<int> asked_ = 0;
};

class WriteProfileTest : public ::testing::Test {
 protected:
  static constexpr std::uint64_t kMemory = 64 << 10;

  void SetUp() override {
    db_ = *Database::Open("/db", {.create_if_missing = true, .memtable_bytes_max = kMemory},
                          {.files = &files_, .clock = &clock_, .random = &random_,
                           .executor = &executor_});
    ASSERT_TRUE(db_->CreateTable("t", testing::RowsSchema(), {"id"}));
  }

  using Write = std::function<Result<CommitInfo>(const CommitOptions&)>;
  // Asks for the profile of a write by a thread of its own, which is watched.
  std::future<WriteProfile> Start(Write write, AckLevel ack) {
    clock_.CountAgain();
    return std::async(std::launch::async, [this, write = std::move(write), ack] {
      clock_.Watch();
      const auto info = write({.ack = ack, .profile = true});
      EXPECT_TRUE(info) << info.error().message();
      return info && info->profile ? *info->profile : WriteProfile{-1, -1, -1, -1, -1};
    });
  }
  Write Put(std::int64_t id, const std::string& value) {
    return [this, id, value](const CommitOptions& options) {
      return db_->Upsert("t", RowsBatch({{id, value}}), options);
    };
  }

  static void Expect(const WriteProfile& profile, const WriteProfile& expected) {
    EXPECT_EQ(profile.encode_micros, expected.encode_micros);
    EXPECT_EQ(profile.stall_micros, expected.stall_micros);
    EXPECT_EQ(profile.queue_micros, expected.queue_micros);
    EXPECT_EQ(profile.memtable_micros, expected.memtable_micros);
    EXPECT_EQ(profile.log_micros, expected.log_micros);
  }

  testing::GatedFiles files_;
  ScriptedClock clock_;
  SeededRandom random_{testing::TestSeed()};
  ManualExecutor executor_;
  std::unique_ptr<Database> db_;
};

TEST_F(WriteProfileTest, PreparingTheRowsIsApartFromTakingThemIntoMemory) {
  clock_.steps = {{2, 10}, {4, 3000}};  // when it is prepared; when it could be inserted
  Expect(Start(Put(1, "a"), AckLevel::kBuffered).get(),
         {.encode_micros = 10, .memtable_micros = 3000});
}

TEST_F(WriteProfileTest, WaitingForRoomIsAStall) {
  const std::string half(kMemory / 2, 'x');
  ASSERT_TRUE(Put(1, half)({}));
  ASSERT_TRUE(Put(2, half)({}));
  files_.gate.Shut();
  std::thread flusher([&] { executor_.RunAll(); });
  files_.gate.AwaitHeld();
  auto profile = Start(Put(3, "c"), AckLevel::kBuffered);
  while (db_->Stats().commits_stalled == 0) std::this_thread::yield();
  clock_.Advance(2000);
  files_.gate.Open();
  Expect(profile.get(), {.stall_micros = 2000});
  flusher.join();
}

// It waits behind a change of its table, which has the writers' turn.
TEST_F(WriteProfileTest, WaitingForItsNumberIsTheQueue) {
  files_.gate.Shut();
  auto changed = std::async(std::launch::async, [&] { return db_->RenameTable("t", "u"); });
  files_.gate.AwaitHeld();
  auto profile = Start(Put(3, "c"), AckLevel::kBuffered);
  clock_.AwaitQuestion(4);
  clock_.Advance(500);
  files_.gate.Open();
  const auto change = changed.get();
  ASSERT_TRUE(change) << change.error().message();
  Expect(profile.get(), {.queue_micros = 500});
}

TEST_F(WriteProfileTest, WaitingForTheDeviceIsTheLog) {
  files_.gate.Shut();
  auto profile = Start(Put(1, "a"), AckLevel::kDurable);
  files_.gate.AwaitHeld();
  clock_.Advance(700);
  files_.gate.Open();
  Expect(profile.get(), {.log_micros = 700});
}

TEST_F(WriteProfileTest, ItComesWithEveryCommitThatAskedForIt) {
  const auto has_one = [](const Result<CommitInfo>& info) {
    ASSERT_TRUE(info) << info.error().message();
    EXPECT_TRUE(info->profile);
  };
  const auto rows = RowsBatch({{1, "a"}});
  for (const WriteMode mode : {WriteMode::kUpsert, WriteMode::kInsertMissing, WriteMode::kDelete}) {
    has_one(db_->Write("t", {.mode = mode, .rows = rows}, {.profile = true}));
  }
  for (int time = 0; time < 2; ++time) {  // the second one is a repeat
    has_one(db_->Upsert("t", rows, {.producer = Producer{"p", 1}, .profile = true}));
  }
  has_one(db_->Upsert("t", rows->Slice(0, 0), {.profile = true}));
  for (const bool writes : {true, false}) {
    const auto in = *db_->Begin();
    if (writes) {
      ASSERT_TRUE(in->Upsert("t", rows));
    }
    has_one(in->Commit({.profile = true}));
  }
  EXPECT_FALSE(db_->Upsert("t", rows)->profile);
}

}  // namespace
}  // namespace varve
