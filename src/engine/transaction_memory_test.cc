// SPDX-License-Identifier: Apache-2.0
// What a transaction holds: it is counted, it is refused where the limit is, and all of it is free
// again however the transaction ends. (Ten million rows: test/large_transaction.)
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/executor.h"
#include "base/random.h"
#include "files/files_test_worlds.h"
#include "test/support/heap.h"
#include "test/support/rows.h"
#include "varve/database.h"

namespace varve {
namespace {

using testing::ReadRows;
using testing::Rows;
using testing::RowsBatch;
using TransactionPtr = std::unique_ptr<Transaction>;

constexpr std::uint64_t kOfAStatement = 2000;  // bytes that are not counted before it is there

class TransactionMemoryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Open();
    ASSERT_TRUE(db_->CreateTable("t", testing::RowsSchema(), {"id"}));
  }
  void Open() {
    db_.reset();
    const Components components{
        .files = world_.files(), .clock = &clock_, .random = &random_, .executor = &executor_};
    auto db =
        Database::Open(JoinPath(world_.root(), "db"), {.create_if_missing = true}, components);
    ASSERT_TRUE(db) << db.error().message();
    db_ = *std::move(db);
  }
  TransactionPtr Begin(const TransactionOptions& options = {}) { return *db_->Begin(options); }
  TransactionPtr BeginSerializable(std::uint64_t bytes_max) {
    return Begin({.isolation = Isolation::kSerializable, .bytes_max = bytes_max});
  }
  static Rows Some(std::int64_t first, std::int64_t count, const std::string& value = "v") {
    Rows rows;
    for (std::int64_t i = 0; i < count; ++i) rows.emplace_hint(rows.end(), first + i, value);
    return rows;
  }
  void Put(const Rows& rows) { ASSERT_TRUE(db_->Upsert("t", RowsBatch(rows))); }
  Rows Read() { return ReadRows(**db_->GetSnapshot()); }
  // Of the key `id` and so many after it.
  static Status Get(Transaction* in, std::int64_t id, std::int64_t count = 1) {
    const auto got = in->Get("t", RowsBatch(Some(id, count)));
    return got ? Status() : Status(std::unexpected(got.error()));
  }
  static Status ScanFrom(Transaction* in, std::int64_t id) {
    const auto lower = *RowsBatch(Some(id, 1))->SelectColumns({0});
    const auto reader = in->Scan("t", {.range = {.lower = lower}});
    return reader ? Status() : Status(std::unexpected(reader.error()));
  }
  // Calls until it is refused, at which the transaction still holds what it held before.
  static std::int64_t UntilRefused(Transaction* in, const std::string& what,
                                   const std::function<Status(std::int64_t)>& call) {
    for (std::int64_t made = 0; made < 5000; ++made) {
      const auto held = in->stats().bytes;
      const Status done = call(made);
      if (done && in->stats().bytes <= in->stats().bytes_max + kOfAStatement) continue;
      EXPECT_FALSE(done) << "it holds " << in->stats().bytes << " bytes";
      EXPECT_EQ(in->stats().bytes, held);
      if (done) return made;
      const auto& error = done.error();
      const auto limit = "bytes_max (" + std::to_string(in->stats().bytes_max) + ")";
      EXPECT_EQ(error.kind(), ErrorKind::kInvalid);
      for (const std::string& part :
           {limit, "this " + what + " is not part of it", std::string("raise the limit")}) {
        EXPECT_NE(error.message().find(part), std::string::npos) << error.message();
      }
      return made;
    }
    ADD_FAILURE() << "5,000 calls, and none was refused";
    return 0;
  }

  ManualClock clock_;
  SeededRandom random_{1};
  ManualExecutor executor_;
  PosixWorld world_;  // whose files are not in memory
  std::unique_ptr<Database> db_;
};

TEST_F(TransactionMemoryTest, TellsWhatItHolds) {
  const auto in = Begin({.bytes_max = 5'000'000});
  EXPECT_EQ(in->stats().rows + in->stats().bytes, 0u);
  EXPECT_EQ(in->stats().bytes_max, 5'000'000u);
  ASSERT_TRUE(in->Upsert("t", RowsBatch(Some(0, 1000))));
  EXPECT_EQ(in->stats().rows, 1000u);
  EXPECT_GT(in->stats().bytes, 1000u * (8 + 8 + 24));
  const auto savepoint = *in->Savepoint();
  const auto held = in->stats().bytes;
  ASSERT_TRUE(in->Upsert("t", RowsBatch(Some(500, 1000))));
  ASSERT_TRUE(in->Delete("t", RowsBatch(Some(0, 10))));
  EXPECT_EQ(in->stats().rows, 2010u);
  EXPECT_GT(in->stats().bytes, held);
  ASSERT_TRUE(in->RollbackTo(savepoint));
  EXPECT_EQ(in->stats().rows, 1000u);
  EXPECT_EQ(in->stats().bytes, held);
  in->Abort();
  EXPECT_EQ(in->stats().rows + in->stats().bytes, 0u);
  EXPECT_EQ(in->stats().bytes_max, 5'000'000u);
}

TEST_F(TransactionMemoryTest, WritesAreRefusedAtTheLimitAndTheRestIsCommitted) {
  const auto in = Begin({.bytes_max = 1 << 20});
  const auto kept = UntilRefused(in.get(), "write", [&](std::int64_t made) {
    return in->Upsert("t", RowsBatch(Some(1000 * made, 1000)));
  });
  EXPECT_GT(kept, 5);
  ASSERT_TRUE(in->Commit());
  EXPECT_EQ(Read(), Some(0, 1000 * kept));
}

// One write that holds more than its data: its keys and their index count before it is taken.
TEST_F(TransactionMemoryTest, OneWriteIsRefusedByAllThatItTakes) {
  const auto rows = RowsBatch(Some(0, 20'000));
  const auto measured = Begin();
  ASSERT_TRUE(measured->Upsert("t", rows));
  const auto bytes = measured->stats().bytes;
  EXPECT_FALSE(Begin({.bytes_max = bytes - bytes / 50})->Upsert("t", rows));
  EXPECT_TRUE(Begin({.bytes_max = bytes + bytes / 50})->Upsert("t", rows));
}

TEST_F(TransactionMemoryTest, ASerializableOneIsRefusedReadsAtTheLimit) {
  const auto gets = BeginSerializable(100'000);
  const auto got = UntilRefused(gets.get(), "read", [&](std::int64_t made) {
    return Get(gets.get(), 100 * made, 100);
  });
  const auto scans = BeginSerializable(100'000);
  const auto scanned = UntilRefused(scans.get(), "read", [&](std::int64_t made) {
    return ScanFrom(scans.get(), 1'000'000 - made);
  });
  EXPECT_GT(scanned, 100);
  const auto updates = BeginSerializable(100'000);  // of nothing: they only look
  UntilRefused(updates.get(), "write", [&](std::int64_t made) {
    return updates->Write("t", {.mode = WriteMode::kUpdateExisting,
                                .rows = RowsBatch(Some(100 * made, 100))});
  });
  // The last read of `gets` is not part of it, those before are.
  Put({{100 * got, "not read"}});
  ASSERT_TRUE(gets->Upsert("t", RowsBatch({{-2, "mine"}})));
  EXPECT_TRUE(gets->Commit());
  const auto again = BeginSerializable(100'000);
  UntilRefused(again.get(), "read", [&](std::int64_t made) {
    return Get(again.get(), 100 * made, 100);
  });
  Put({{100 * got - 1, "read"}});
  ASSERT_TRUE(again->Upsert("t", RowsBatch({{-2, "mine"}})));
  EXPECT_EQ(again->Commit().error().kind(), ErrorKind::kConflict);
}

TEST_F(TransactionMemoryTest, ReadsOfASnapshotTakeNothing) {
  const auto in = Begin({.bytes_max = 1000});
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(Get(in.get(), 100 * i, 100));
    ASSERT_TRUE(ScanFrom(in.get(), i));
  }
  EXPECT_EQ(in->stats().bytes, 0u);
}

TEST_F(TransactionMemoryTest, WhoReadsAFewKeysForEverIsNotRefused) {
  const auto in = BeginSerializable(200'000);
  for (int i = 0; i < 20'000; ++i) ASSERT_TRUE(Get(in.get(), i % 7));
  EXPECT_LE(in->stats().bytes, 100'000u);
  Put({{6, "theirs"}});
  ASSERT_TRUE(in->Upsert("t", RowsBatch({{100, "mine"}})));
  EXPECT_EQ(in->Commit().error().kind(), ErrorKind::kConflict);
}

// More than one part of each kind: they are all there, also from the log; each key still counts.
TEST_F(TransactionMemoryTest, ManyRowsAreOneCommit) {
  constexpr std::int64_t kRows = 150'000;
  Put(Some(0, kRows, "old"));
  const auto write = [&] {
    auto in = Begin();
    Rows odd, even;
    for (std::int64_t i = 0; i < kRows; ++i) (i % 2 == 0 ? even : odd)[i] = "new";
    EXPECT_TRUE(in->Upsert("t", RowsBatch(even)));
    EXPECT_TRUE(in->Delete("t", RowsBatch(odd)));
    return std::pair(std::move(in), even);
  };
  std::uint64_t commit = 1;
  for (const std::int64_t key : {0, 1, 65'534, 65'535, 65'536, 65'537, 131'072, 149'999}) {
    const auto [in, expected] = write();
    Put({{key, "theirs"}});
    ++commit;
    const auto refused = in->Commit();
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().message().find("key " + std::to_string(key) + ":"),
              std::string::npos)
        << refused.error().message();
  }
  const auto [in, expected] = write();
  Put({{-1, "beside"}});
  const auto info = in->Commit();
  ASSERT_TRUE(info) << info.error().message();
  EXPECT_EQ(info->commit.value, commit + 2);
  EXPECT_EQ(info->rows, static_cast<std::uint64_t>(kRows));
  auto all = expected;
  all[-1] = "beside";
  EXPECT_EQ(Read(), all);
  Open();  // recovers it from the log
  EXPECT_EQ(Read(), all);
  ASSERT_TRUE(db_->Flush());
  EXPECT_EQ(Read(), all);
}

// Its rows, and those of its snapshot, which the database flushes meanwhile. First each once: the
// log keeps buffers for what comes.
TEST_F(TransactionMemoryTest, HoweverItEndsItLetsEverythingGo) {
  if (!testing::kCountsHeap) GTEST_SKIP();
  const std::string value(10'000, 'v');
  constexpr std::int64_t kCount = 400;  // 4 MB
  constexpr std::int64_t kMuch = 3'500'000, kLittle = 300'000;
  const std::vector<std::pair<std::string, std::function<void(TransactionPtr*)>>> ends = {
      {"abort", [](auto* in) { (*in)->Abort(); }},
      {"commit", [](auto* in) { EXPECT_TRUE((*in)->Commit()); }},
      {"commit without waiting", [this](auto* in) {
         auto told = (*in)->CommitAsync();
         executor_.RunAll();
         EXPECT_TRUE(told.get());
       }},
      {"conflict", [this](auto* in) {
         Put({{5000, "theirs"}});
         EXPECT_FALSE((*in)->Commit());
       }},
      {"destructor", [](auto* in) { in->reset(); }}};
  for (const bool first : {true, false}) {
    for (const auto& [name, end] : ends) {
      SCOPED_TRACE(name);
      const auto before = testing::HeapBytes();
      Put(Some(0, kCount, value));
      auto in = BeginSerializable(1 << 30);
      ASSERT_TRUE(db_->Flush());
      EXPECT_GT(testing::HeapBytes() - before, kMuch) << "the rows of its snapshot";
      ASSERT_TRUE(in->Upsert("t", RowsBatch(Some(5000, kCount, value))));
      ASSERT_TRUE(Get(in.get(), 0, kCount));
      ASSERT_TRUE(ScanFrom(in.get(), 0));
      EXPECT_GT(testing::HeapBytes() - before, 2 * kMuch) << "and its own";
      end(&in);
      ASSERT_TRUE(db_->Flush());
      executor_.RunAll();
      EXPECT_LT(testing::HeapBytes() - before, first ? 3 * kMuch : kLittle);
    }
  }
}

}  // namespace
}  // namespace varve
