// SPDX-License-Identifier: Apache-2.0
// Many threads, one log, the real disk.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "varve/log.h"

namespace varve {
namespace {

class LogThreadsTest : public ::testing::Test {
 protected:
  LogThreadsTest() {
    std::string name = ::testing::TempDir() + "varve_log_XXXXXX";
    dir_ = ::mkdtemp(name.data());
  }
  ~LogThreadsTest() override {
    log_.reset();
    std::filesystem::remove_all(dir_);
  }
  void Open(const LogOptions& options = {}) {
    log_.reset();
    replayed_.clear();
    auto log = Log::Open(dir_ + "/wal", options, [this](const LogUnit& unit) {
      replayed_[unit.lsn.value] = std::string(unit.records[0].bytes);
      return Status();
    });
    ASSERT_TRUE(log) << log.error().message();
    log_ = *std::move(log);
  }
  // Each of `threads` calls `work` with its number.
  template <typename Work>
  static void Run(int threads, const Work& work) {
    std::vector<std::thread> running;
    for (int i = 0; i < threads; ++i) running.emplace_back([&work, i] { work(i); });
    for (auto& thread : running) thread.join();
  }
  void Append(const std::string& record, AckLevel level = AckLevel::kDurable) {
    const auto ack = log_->Append({record}, level);
    if (!ack) {
      ADD_FAILURE() << ack.error().message();
      return;
    }
    if (level == AckLevel::kDurable) {
      EXPECT_GE(log_->positions().durable, ack->end);
    }
    std::lock_guard lock(mutex_);
    acked_[ack->lsn.value] = record;
    shared_ = std::max(shared_, ack->group_units);
  }

  std::string dir_;
  std::unique_ptr<Log> log_;
  std::mutex mutex_;
  std::map<std::uint64_t, std::string> acked_;
  std::map<std::uint64_t, std::string> replayed_;
  std::uint64_t shared_ = 0;
};

TEST_F(LogThreadsTest, L6_EightThreadsShareSyncs) {
  Open();
  Run(8, [this](int thread) {
    for (int i = 0; i < 200; ++i) Append(std::to_string(thread) + ":" + std::to_string(i));
  });
  const auto stats = log_->stats();
  EXPECT_EQ(stats.units, 1600u);
  EXPECT_LT(stats.syncs, stats.units);
  EXPECT_GT(stats.syncs, 0u);
  EXPECT_GT(shared_, 1u);
  log_.reset();
  Open();
  EXPECT_EQ(replayed_, acked_);
}

TEST_F(LogThreadsTest, MixedSizesAndLevelsWhileSegmentsRollAndAreTruncated) {
  Open({.segment_bytes_max = 256 << 10, .queue_bytes_max = 64 << 10});
  Run(6, [this](int thread) {
    for (int i = 0; i < 60; ++i) {
      const auto level = static_cast<AckLevel>((thread + i) % 3);
      const std::size_t size = i % 20 == 7 ? 400'000 : 100 * (i % 50);
      Append(std::to_string(thread) + ":" + std::to_string(i) + std::string(size, 'x'), level);
      if (i % 25 == 24) {
        EXPECT_TRUE(log_->Rotate());
      }
      if (i % 30 == 29) {
        EXPECT_TRUE(log_->Sync());
      }
      if (thread == 0 && i % 10 == 0) {
        EXPECT_TRUE(log_->TruncateBefore({}));
      }
    }
  });
  ASSERT_TRUE(log_->Close());
  Open();
  EXPECT_EQ(replayed_, acked_);
}

TEST_F(LogThreadsTest, TicketsOfOneThreadAreWaitedForInAnother) {
  Open();
  std::vector<LogTicket> tickets;
  for (int i = 0; i < 100; ++i) {
    const std::string record = "ticket " + std::to_string(i);
    const LogRecord records[] = {record};
    tickets.push_back(*log_->Enqueue(records));
  }
  Run(4, [&](int thread) {
    for (std::size_t i = thread; i < tickets.size(); i += 4) {
      EXPECT_TRUE(log_->Wait(tickets[i]));
    }
  });
  EXPECT_EQ(log_->positions().durable, tickets.back().end);
}

TEST_F(LogThreadsTest, R14_DestroyingALogWithDeferredWorkNeitherHangsNorLeaksTheLock) {
  for (int i = 0; i < 20; ++i) {
    Open();
    Append("deferred", AckLevel::kWritten);
    log_.reset();
  }
  Open();
  EXPECT_EQ(replayed_, acked_);
}

}  // namespace
}  // namespace varve
