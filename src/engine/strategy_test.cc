// SPDX-License-Identifier: Apache-2.0
// Both strategies of compaction in whole databases: the same rows for every reader, whatever is
// chosen when, and what each costs.
#include <arrow/api.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/executor.h"
#include "base/random.h"
#include "files/files.h"
#include "files/simulated_disk.h"
#include "test/support/rows.h"
#include "test/support/seed.h"
#include "upkeep/flush.h"
#include "varve/database.h"
#include "varve/inspect.h"

namespace varve {
namespace {

using testing::Rows;

// A database whose background work is done after each flush.
class StrategyWorld {
 public:
  explicit StrategyWorld(CompactionStrategy strategy) { Open(strategy); }

  void Open(CompactionStrategy strategy) {
    db_.reset();
    OpenOptions options{.create_if_missing = true, .memtable_bytes_max = 16 << 10};
    options.history_micros = 0;
    options.compaction = strategy;
    auto db = Database::Open("/db", options, World());
    ASSERT_TRUE(db) << db.error().message();
    db_ = *std::move(db);
    ASSERT_TRUE(db_->CreateTable("t", testing::RowsSchema(), {"id"}, {.if_not_exists = true}));
  }
  void Put(const Rows& rows) {
    const auto info = db_->Upsert("t", testing::RowsBatch(rows));
    ASSERT_TRUE(info) << info.error().message();
    for (const auto& [id, value] : rows) now_[id] = value;
  }
  void Erase(std::int64_t id) {
    ASSERT_TRUE(db_->Delete("t", testing::RowsBatch({{id, ""}})));
    now_.erase(id);
  }
  void Flush() {
    ASSERT_TRUE(db_->Flush());
    executor_.RunAll();
    const auto levels = db_->Stats().tables.at(0).levels;
    std::uint64_t runs = 0, bytes = 0;
    for (const LevelStats& level : levels) {
      runs += level.runs;
      bytes += level.bytes;
    }
    runs_max_ = std::max(runs_max_, runs);
    bytes_max_ = std::max(bytes_max_, bytes);
  }
  void ExpectRows() {
    const auto snapshot = db_->GetSnapshot();
    ASSERT_TRUE(snapshot);
    EXPECT_EQ(testing::ReadRows(**snapshot), now_);
    EXPECT_EQ((*snapshot)->Count("t")->rows, now_.size());
  }
  // Of runs' objects, ever since.
  std::uint64_t BytesWritten() {
    const std::string text = db_->PrometheusText();
    const std::string name = "varve_store_put_bytes_total{kind=\"run\"} ";
    const auto at = text.find(name);
    EXPECT_NE(at, std::string::npos) << text;
    return at == std::string::npos ? 0 : std::stoull(text.substr(at + name.size()));
  }
  void ExpectSound() {
    db_.reset();
    const auto verified = VerifyDatabase("/db", {.deep = true}, World());
    ASSERT_TRUE(verified) << verified.error().message();
    EXPECT_TRUE(verified->damages.empty()) << verified->damages.front().message;
  }
  Database& db() { return *db_; }
  std::uint64_t runs_max() const { return runs_max_; }
  std::uint64_t bytes_max() const { return bytes_max_; }

 private:
  Components World() {
    return {.files = files_.get(), .clock = &clock_, .random = &random_, .executor = &executor_};
  }

  std::unique_ptr<Files> files_ = NewMemoryFiles();
  ManualClock clock_;
  SeededRandom random_{1};
  ManualExecutor executor_;
  std::unique_ptr<Database> db_;
  Rows now_;
  std::uint64_t runs_max_ = 0, bytes_max_ = 0;
};

constexpr CompactionStrategy kBoth[] = {CompactionStrategy::kLeveled, CompactionStrategy::kTiered};

// Uniform overwrite, of values that do not compress.
TEST(StrategyTest, OverwritingTieredWritesLessAndTakesMoreSpace) {
  std::map<CompactionStrategy, std::uint64_t> written, space;
  for (const auto strategy : kBoth) {
    StrategyWorld world(strategy);
    SeededRandom random(5);
    for (int flush = 0; flush < 240; ++flush) {
      Rows rows;
      for (int i = 0; i < 40; ++i) {
        std::string value;
        for (int word = 0; word < 8; ++word) value += fmt::format("{:016x}", random.Next());
        rows[static_cast<std::int64_t>(random.Below(1600))] = value;
      }
      ASSERT_NO_FATAL_FAILURE(world.Put(rows));
      ASSERT_NO_FATAL_FAILURE(world.Flush());
    }
    ASSERT_NO_FATAL_FAILURE(world.ExpectRows());
    written[strategy] = world.BytesWritten();
    space[strategy] = world.bytes_max();
    EXPECT_LE(world.runs_max(), 80u);
    world.ExpectSound();
  }
  const auto leveled = CompactionStrategy::kLeveled, tiered = CompactionStrategy::kTiered;
  fmt::print("written: leveled {}, tiered {}; space at most: {}, {}\n", written[leveled],
             written[tiered], space[leveled], space[tiered]);
  EXPECT_LT(written[tiered] * 5, written[leveled] * 4);
  EXPECT_GT(space[tiered], space[leveled]);
}

TEST(StrategyTest, WhateverIsChosenAtEachOpenEveryRowIsThere) {
  const std::uint64_t seed = testing::TestSeed();
  SCOPED_TRACE(testing::SeedTrace(seed));
  SeededRandom random(seed);
  CutsOfFlushes() = {.row_group_rows = 7, .piece_rows_max = 3};
  StrategyWorld world(CompactionStrategy::kTiered);
  for (int step = 0; step < 120; ++step) {
    Rows rows;
    for (std::uint64_t i = 1 + random.Below(30); i > 0; --i) {
      rows[static_cast<std::int64_t>(random.Below(200))] = std::to_string(random.Next());
    }
    ASSERT_NO_FATAL_FAILURE(world.Put(rows));
    ASSERT_NO_FATAL_FAILURE(world.Erase(static_cast<std::int64_t>(random.Below(200))));
    if (random.Below(2) == 0) {
      ASSERT_NO_FATAL_FAILURE(world.Flush());
    }
    if (random.Below(12) == 0) {
      ASSERT_NO_FATAL_FAILURE(world.Open(kBoth[random.Below(2)]));
    }
    if (random.Below(20) == 0) {
      ASSERT_TRUE(world.db().Compact());
    }
    ASSERT_NO_FATAL_FAILURE(world.ExpectRows());
  }
  ASSERT_TRUE(world.db().Compact());
  ASSERT_NO_FATAL_FAILURE(world.ExpectRows());
  world.ExpectSound();
  CutsOfFlushes() = {};
}

}  // namespace
}  // namespace varve
