// SPDX-License-Identifier: Apache-2.0
// One budget of memory: which limits follow from it, who holds what of it, and what commits do when
// it is taken (docs/design/0026).
#include <arrow/util/thread_pool.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "base/clock.h"
#include "base/executor.h"
#include "base/random.h"
#include "files/simulated_disk.h"
#include "test/support/rows.h"
#include "varve/database.h"
#include "varve/transaction.h"

namespace varve {
namespace {

using testing::Rows;
using testing::RowsBatch;

constexpr std::uint64_t kMib = 1 << 20;

class MemoryBudgetOfDatabase : public ::testing::Test {
 protected:
  Result<std::unique_ptr<Database>> TryOpen(OpenOptions options) {
    options.create_if_missing = true;
    return Database::Open(
        "/db", options,
        {.files = &disk_, .clock = &clock_, .random = &random_, .executor = &executor_});
  }
  void Open(const OpenOptions& options) {
    db_.reset();
    auto db = TryOpen(options);
    ASSERT_TRUE(db) << db.error().message();
    db_ = *std::move(db);
    ASSERT_TRUE(db_->CreateTable("t", testing::RowsSchema(), {"id"}, {.if_not_exists = true}));
  }
  void ExpectRefused(const OpenOptions& options, const std::string& least) {
    const auto db = TryOpen(options);
    ASSERT_FALSE(db);
    EXPECT_EQ(db.error().kind(), ErrorKind::kInvalid);
    EXPECT_NE(db.error().message().find(least), std::string::npos) << db.error().message();
    EXPECT_FALSE(disk_.Info("/db")) << "nothing was made";
  }
  // Rows of 1 KiB.
  static Rows Kibibytes(std::int64_t first, std::int64_t count) {
    Rows rows;
    for (std::int64_t i = first; i < first + count; ++i) rows[i] = std::string(1024, 'v');
    return rows;
  }
  std::uint64_t Held(const std::string& name) {
    // Arrow's threads let go of what they decoded a moment after they have handed it over.
    arrow::internal::GetCpuThreadPool()->WaitForIdle();
    for (const auto& holder : db_->Stats().memory.holders) {
      if (holder.name == name) return holder.bytes;
    }
    ADD_FAILURE() << "no holder " << name;
    return 0;
  }
  std::string Metric(const std::string& name) {
    const std::string text = db_->PrometheusText();
    const auto at = text.find("\nvarve_" + name + " ");
    if (at == std::string::npos) return "none";
    const auto from = at + name.size() + 8;
    return text.substr(from, text.find('\n', from) - from);
  }

  SimulatedDisk disk_;
  ManualClock clock_;
  SeededRandom random_{1};
  ManualExecutor executor_;
  std::unique_ptr<Database> db_;
};

TEST_F(MemoryBudgetOfDatabase, LimitsArePartsOfIt) {
  Open({.memory_bytes = 64 * kMib});
  const auto stats = db_->Stats();
  EXPECT_EQ(stats.memory.bytes_max, 64 * kMib);
  EXPECT_EQ(Held("reserve"), 12 * kMib);
  EXPECT_EQ(stats.read_cache.bytes_max, 8 * kMib);
  EXPECT_EQ(stats.tail_cache.bytes_max, 8 * kMib);
  EXPECT_EQ(Metric("memtable_bytes_max"), std::to_string(16 * kMib));
  EXPECT_EQ(Metric("memory_bytes_max"), std::to_string(64 * kMib));
}

TEST_F(MemoryBudgetOfDatabase, WithoutAWordItIsHalfAGibibyte) {
  Open({});
  const auto stats = db_->Stats();
  EXPECT_EQ(stats.memory.bytes_max, 512 * kMib);
  EXPECT_EQ(stats.read_cache.bytes_max, 64 * kMib);
  EXPECT_EQ(Metric("memtable_bytes_max"), std::to_string(128 * kMib));
}

TEST_F(MemoryBudgetOfDatabase, ALimitThatIsSetOverridesItsPart) {
  Open({.memory_bytes = 64 * kMib, .memtable_bytes_max = 5 * kMib, .read_cache_bytes_max = 0});
  EXPECT_EQ(Metric("memtable_bytes_max"), std::to_string(5 * kMib));
  EXPECT_EQ(db_->Stats().read_cache.bytes_max, 0u);
  EXPECT_EQ(db_->Stats().tail_cache.bytes_max, 8 * kMib);
}

TEST_F(MemoryBudgetOfDatabase, LargeLimitsAloneMakeItLarger) {
  Open({.memtable_bytes_max = 3072 * kMib});
  EXPECT_EQ(db_->Stats().memory.bytes_max, 8192 * kMib);
}

TEST_F(MemoryBudgetOfDatabase, SizesThatCannotWorkAreRefusedWithTheLeast) {
  ExpectRefused({.memory_bytes = 16 * kMib - 1}, "16777216");
  ExpectRefused({.memory_bytes = 0}, "16777216");
  ExpectRefused({.memory_bytes = 64 * kMib, .memtable_bytes_max = 60 * kMib},
                std::to_string(80 * kMib));
  ExpectRefused({.memory_bytes = 64 * kMib, .tail_cache_bytes_max = UINT64_MAX}, "or more");
  Open({.memory_bytes = 80 * kMib, .memtable_bytes_max = 60 * kMib});
}

TEST_F(MemoryBudgetOfDatabase, RowsAreBookedUntilNobodyShowsThem) {
  Open({.memory_bytes = 64 * kMib});
  ASSERT_TRUE(db_->Upsert("t", RowsBatch(Kibibytes(0, 1000))));
  EXPECT_GT(Held("memtables"), 1000u * 1024);
  EXPECT_LE(db_->Stats().memtable_bytes - Held("memtables"), 64u) << "the commit's own number";
  auto snapshot = *db_->GetSnapshot();
  ASSERT_TRUE(db_->Flush());
  EXPECT_EQ(Held("memtables"), 0u);
  EXPECT_EQ(Held("sealed"), 0u);
  EXPECT_GT(Held("snapshots"), 1000u * 1024);
  snapshot.reset();
  EXPECT_EQ(Held("snapshots"), 0u);
  EXPECT_EQ(Held("flush"), 0u);
  EXPECT_GT(Held("tails"), 0u) << "a flush reads back what it wrote";
}

TEST_F(MemoryBudgetOfDatabase, SealedRowsAreBookedUntilTheirFlush) {
  Open({.memory_bytes = 64 * kMib, .seal_policy = SealAt({.commits_max = 1})});
  ASSERT_TRUE(db_->Upsert("t", RowsBatch(Kibibytes(0, 1000))));
  EXPECT_EQ(Held("memtables"), 0u);
  EXPECT_GT(Held("sealed"), 1000u * 1024);
  executor_.RunAll();
  EXPECT_EQ(Held("sealed"), 0u);
  EXPECT_EQ(Held("snapshots"), 0u);
}

TEST_F(MemoryBudgetOfDatabase, ATransactionBooksItsRows) {
  Open({.memory_bytes = 64 * kMib});
  {
    const auto in = *db_->Begin();
    ASSERT_TRUE(in->Upsert("t", RowsBatch(Kibibytes(0, 1000))));
    EXPECT_GT(Held("transactions"), 1000u * 1024);
    EXPECT_EQ(Held("memtables"), 0u);
    ASSERT_TRUE(db_->Upsert("t", RowsBatch(Kibibytes(5000, 10))));
    EXPECT_GT(Held("recent_keys"), 0u) << "it will be compared with them";
    ASSERT_TRUE(in->Commit());
  }
  EXPECT_EQ(Held("transactions"), 0u);
  EXPECT_GT(Held("memtables"), 1000u * 1024);
}

TEST_F(MemoryBudgetOfDatabase, AScanBooksWhatItDecodes) {
  Open({.memory_bytes = 64 * kMib});
  ASSERT_TRUE(db_->Upsert("t", RowsBatch(Kibibytes(0, 1000))));
  ASSERT_TRUE(db_->Flush());
  auto reader = *db_->Scan("t");
  std::shared_ptr<arrow::RecordBatch> batch;
  ASSERT_TRUE(reader->ReadNext(&batch).ok());
  EXPECT_GT(Held("reads"), 500u * 1024);
  reader.reset();
  EXPECT_GT(Held("reads"), 500u * 1024) << "the program has rows of it";
  batch.reset();
  EXPECT_EQ(Held("reads"), 0u);
}

// Whoever holds it, commits flush what they can, and go on.
TEST_F(MemoryBudgetOfDatabase, WhenItIsTakenCommitsWaitForAFlush) {
  Open({.memory_bytes = 16 * kMib, .memtable_bytes_max = 4 * kMib});
  const auto in = *db_->Begin();
  ASSERT_TRUE(in->Upsert("t", RowsBatch(Kibibytes(0, 17'000))));
  EXPECT_EQ(Metric("commit_waits_total{reason=\"memory\"}"), "0");
  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE(db_->Upsert("t", RowsBatch(Kibibytes(100'000 + 300 * i, 300))));
  }
  EXPECT_NE(Metric("commit_waits_total{reason=\"memory\"}"), "0");
  EXPECT_EQ(Metric("commit_waits_total{reason=\"memtables_full\"}"), "0");
  EXPECT_LT(Held("memtables"), 4 * kMib / 4) << "what there was is flushed";
  in->Abort();
  const auto waits = Metric("commit_waits_total{reason=\"memory\"}");
  ASSERT_TRUE(db_->Upsert("t", RowsBatch(Kibibytes(200'000, 900))));
  ASSERT_TRUE(db_->Upsert("t", RowsBatch(Kibibytes(300'000, 900))));
  EXPECT_EQ(Metric("commit_waits_total{reason=\"memory\"}"), waits) << "there is room again";
}

}  // namespace
}  // namespace varve
