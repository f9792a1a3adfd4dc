// SPDX-License-Identifier: Apache-2.0
// Runs are opened when they are first read: what that costs, and whose error a damaged one is.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/executor.h"
#include "base/random.h"
#include "base/result.h"
#include "files/object_store.h"
#include "files/simulated_disk.h"
#include "test/support/rows.h"
#include "varve/database.h"
#include "varve/inspect.h"

namespace varve {
namespace {

using testing::Rows;

// A folder's store whose readers may give other bytes at the end of an object than were written.
class TwistedStore final : public ObjectStore {
 public:
  explicit TwistedStore(std::unique_ptr<ObjectStore> store) : store_(std::move(store)) {}
  bool twisted = false;

  Status Put(const std::string& name, std::string_view bytes) override {
    return store_->Put(name, bytes);
  }
  Status PutIfAbsent(const std::string& name, std::string_view bytes) override {
    return store_->PutIfAbsent(name, bytes);
  }
  Result<std::unique_ptr<ObjectWriter>> NewWriter(const std::string& name) override {
    return store_->NewWriter(name);
  }
  Result<std::string> Get(const std::string& name) override { return store_->Get(name); }
  Result<std::string> GetRange(const std::string& name, std::uint64_t offset,
                               std::uint64_t size) override {
    return store_->GetRange(name, offset, size);
  }
  Result<std::unique_ptr<ObjectReader>> OpenReader(const std::string& name) override {
    VARVE_ASSIGN(auto reader, store_->OpenReader(name));
    return std::make_unique<Reader>(std::move(reader), twisted);
  }
  Result<ObjectInfo> Head(const std::string& name) override { return store_->Head(name); }
  Result<std::vector<ObjectInfo>> List(const std::string& prefix,
                                       const std::string& start_after) override {
    return store_->List(prefix, start_after);
  }
  Status Delete(const std::string& name) override { return store_->Delete(name); }
  std::string Describe(const std::string& name) const override { return store_->Describe(name); }

 private:
  class Reader final : public ObjectReader {
   public:
    Reader(std::unique_ptr<ObjectReader> reader, bool twisted)
        : reader_(std::move(reader)), twisted_(twisted) {}
    std::uint64_t size() const override { return reader_->size(); }
    Status ReadAt(std::uint64_t offset, std::uint64_t size, char* into) override {
      VARVE_TRY(reader_->ReadAt(offset, size, into));
      if (twisted_ && offset + size == reader_->size()) into[size - 1] ^= 1;
      return {};
    }

   private:
    const std::unique_ptr<ObjectReader> reader_;
    const bool twisted_;
  };

  const std::unique_ptr<ObjectStore> store_;
};

class LazyRunsTest : public ::testing::Test {
 protected:
  LazyRunsTest() { Open(); }

  Components World() {
    return {.files = files_.get(), .store = &store_, .clock = &clock_, .random = &random_,
            .executor = &executor_};
  }
  void Open(std::uint64_t tail_bytes = 64 << 20) {
    db_.reset();
    auto db = Database::Open(
        "/db", {.create_if_missing = true, .tail_cache_bytes_max = tail_bytes}, World());
    ASSERT_TRUE(db) << db.error().message();
    db_ = *std::move(db);
    for (const char* table : {"t", "u"}) {
      ASSERT_TRUE(
          db_->CreateTable(table, testing::RowsSchema(), {"id"}, {.if_not_exists = true}));
    }
  }
  // Rows of a run of their own; its file.
  std::string Put(const std::string& table, const Rows& rows) {
    EXPECT_TRUE(db_->Upsert(table, testing::RowsBatch(rows)));
    EXPECT_TRUE(db_->Flush());
    const auto runs = (*db_->GetSnapshot())->Runs(table);
    EXPECT_TRUE(runs) << runs.error().message();
    std::string newest;
    for (const RunInfo& run : *runs) newest = std::max(newest, run.name);
    return "/db/" + newest;
  }
  Result<std::int64_t> Get(const std::string& table, std::int64_t id) {
    VARVE_ASSIGN(const auto snapshot, db_->GetSnapshot());
    const auto keys = testing::RowsBatch({{id, ""}})->SelectColumns({0}).ValueOrDie();
    VARVE_ASSIGN(const auto rows, snapshot->Get(table, keys));
    return rows->num_rows();
  }
  std::string Value(const std::string& metric) {
    const std::string text = db_->PrometheusText();
    const auto at = text.find("\nvarve_" + metric + " ");
    if (at == std::string::npos) return "";
    const auto begin = text.find(' ', at + 1) + 1;
    return text.substr(begin, text.find('\n', begin) - begin);
  }
  std::uint64_t Opened() { return db_->Stats().tail_cache.misses; }
  void Flip(const std::string& path) {
    const auto file = *files_->Open(path, OpenMode::kReadWrite);
    const std::uint64_t at = *file->Size() - 10;
    char byte = 0;
    ASSERT_TRUE(file->ReadAt(at, 1, &byte));
    byte = static_cast<char>(byte ^ 4);
    ASSERT_TRUE(file->WriteAt(at, {&byte, 1}));
  }
  void ExpectDamage(const Error& error, const std::string& file, const std::string& what) {
    EXPECT_EQ(error.kind(), ErrorKind::kCorruption);
    EXPECT_NE(error.message().find(file), std::string::npos) << error.message();
    EXPECT_NE(error.message().find(what), std::string::npos) << error.message();
  }
  // Of table t, whose run of the keys from 11 to 20 is `file`.
  void ExpectOnlyItsReadsFail(const std::string& file, const std::string& what) {
    Open();
    EXPECT_EQ(testing::ReadRows(**db_->GetSnapshot(), "u"), (Rows{{1, "u"}}));
    EXPECT_EQ(*Get("t", 1), 1);
    EXPECT_EQ(*Get("t", 40), 0);
    const auto snapshot = *db_->GetSnapshot();
    const auto range = [](std::int64_t from, std::int64_t to) {
      return *ParseFilter("id >= " + std::to_string(from) + " and id <= " + std::to_string(to),
                          testing::RowsSchema());
    };
    EXPECT_EQ(testing::ReadRows(*snapshot, "t", {.filter = range(1, 10)}),
              (Rows{{1, "a"}, {10, "a"}}));
    ExpectDamage(Get("t", 11).error(), file, what);
    ExpectDamage(snapshot->Scan("t").error(), file, what);
    ExpectDamage(snapshot->Scan("t", {.unordered = true}).error(), file, what);
    ExpectDamage(snapshot->Scan("t", {.reverse = true}).error(), file, what);
    ExpectDamage(snapshot->Scan("t", {.filter = range(5, 15)}).error(), file, what);
    ExpectDamage(snapshot->Explain("t").error(), file, what);
    EXPECT_EQ(snapshot->Count("t")->rows, 4u) << "by the manifest alone";
    ExpectDamage(snapshot->MinMax("t", "id").error(), file, what);
    // Writing goes on.
    Put("t", {{100, "new"}});
    EXPECT_EQ(*Get("t", 100), 1);
    db_.reset();
    const auto verified = VerifyDatabase("/db", {}, World());
    ASSERT_TRUE(verified) << verified.error().message();
    ASSERT_EQ(verified->damages.size(), 1u);
    EXPECT_EQ(verified->damages[0].file, file);
  }

  const std::unique_ptr<Files> files_ = NewMemoryFiles();
  ManualClock clock_;
  SeededRandom random_{1};
  TwistedStore store_{NewFolderStore(files_.get(), "/db", &random_)};
  ManualExecutor executor_;
  std::unique_ptr<Database> db_;
};

TEST_F(LazyRunsTest, OpeningReadsNoRunAndALookupOpensThatOfItsKeyAlone) {
  for (std::int64_t i = 0; i < 5; ++i) Put("t", {{10 * i, "a"}, {10 * i + 5, "b"}});
  Open();
  EXPECT_EQ(Value("store_read_bytes_total{kind=\"run\"}"), "0");
  EXPECT_EQ(db_->Stats().tail_cache.runs, 0u);
  EXPECT_EQ(*Get("t", 7), 0);
  EXPECT_EQ(*Get("t", 99), 0);
  EXPECT_EQ(Opened(), 0u) << "between the keys of two runs, and behind all";
  EXPECT_EQ(*Get("t", 3), 0);
  EXPECT_EQ(Opened(), 1u) << "between the keys of one";
  EXPECT_EQ(*Get("t", 20), 1);
  EXPECT_EQ(Opened(), 2u);
  const auto snapshot = *db_->GetSnapshot();
  EXPECT_EQ(testing::ReadRows(*snapshot, "t",
                              {.filter = *ParseFilter("id = 35 and v = 'b'",
                                                      testing::RowsSchema())}),
            (Rows{{35, "b"}}));
  EXPECT_EQ(Opened(), 3u);
  EXPECT_EQ(snapshot->Count("t")->rows, 10u);
  EXPECT_EQ(snapshot->Runs("t")->size(), 5u);
  EXPECT_EQ(Opened(), 3u) << "what the manifest answers opens none";
  EXPECT_EQ(testing::ReadRows(*snapshot).size(), 10u);
  const auto stats = db_->Stats().tail_cache;
  EXPECT_EQ(stats.misses, 5u);
  EXPECT_EQ(stats.runs, 5u);
  EXPECT_GT(stats.hits, 0u);
  EXPECT_GT(stats.bytes, 0u);
}

TEST_F(LazyRunsTest, ARunThatIsNewerOrOlderThanTheReaderIsNotOpened) {
  for (const char* value : {"a", "b", "c"}) Put("t", {{1, value}, {2, value}});
  ASSERT_TRUE(db_->Compact());
  Open();
  EXPECT_EQ(testing::ReadRows(**db_->GetSnapshot()), (Rows{{1, "c"}, {2, "c"}}));
  EXPECT_EQ(Opened(), 1u) << "the one that compaction made";
  EXPECT_EQ(testing::ReadRows(**db_->GetSnapshot(CommitNumber{1})), (Rows{{1, "a"}, {2, "a"}}));
  EXPECT_EQ(Opened(), 2u) << "the first one, alone";
}

TEST_F(LazyRunsTest, ADamagedRunIsAnErrorOfItsReadsAlone) {
  Put("u", {{1, "u"}});
  Put("t", {{1, "a"}, {10, "a"}});
  const std::string file = Put("t", {{11, "b"}, {20, "b"}});
  Flip(file);
  ExpectOnlyItsReadsFail(file, "(the footer) are damaged");
}

TEST_F(LazyRunsTest, AMissingRunIsAnErrorOfItsReadsAlone) {
  Put("u", {{1, "u"}});
  Put("t", {{1, "a"}, {10, "a"}});
  const std::string file = Put("t", {{11, "b"}, {20, "b"}});
  ASSERT_TRUE(files_->Remove(file));
  ExpectOnlyItsReadsFail(file, "missing");
}

// Whatever is forgotten is read again, and gives the same.
TEST_F(LazyRunsTest, ASmallBudgetIsKeptAndChangesNoAnswer) {
  Rows all;
  for (std::int64_t i = 0; i < 12; ++i) {
    Put("t", {{i, "a"}, {i + 6, "b"}});
    all[i] = "a";
    all[i + 6] = "b";
  }
  for (const std::uint64_t budget : {std::uint64_t{0}, std::uint64_t{20'000}}) {
    Open(budget);
    for (int round = 0; round < 2; ++round) {
      const auto snapshot = *db_->GetSnapshot();
      EXPECT_EQ(testing::ReadRows(*snapshot), all);
      for (const auto& [id, value] : all) EXPECT_EQ(*Get("t", id), 1) << id;
      EXPECT_EQ(testing::ReadRows(*snapshot, "t", {.filter = *ParseFilter("v = 'a'",
                                                      testing::RowsSchema())}).size(),
                std::size_t(std::ranges::count(all, "a", &Rows::value_type::second)));
      EXPECT_LE(db_->Stats().tail_cache.bytes, budget);
    }
    EXPECT_GT(Opened(), 24u);
  }
}

// Whether somebody reads a run is not told by what of it is in memory.
TEST_F(LazyRunsTest, ASnapshotKeepsTheFilesOfRunsThatItHasNotOpened) {
  for (const char* value : {"a", "b"}) Put("t", {{1, value}, {2, value}});
  Open(/*tail_bytes=*/0);
  auto snapshot = *db_->GetSnapshot(CommitNumber{1});
  ASSERT_TRUE(db_->Compact());
  auto info = db_->Retire({.keep_micros = 0});
  ASSERT_TRUE(info) << info.error().message();
  EXPECT_GT(info->bytes_held, 0u);
  EXPECT_EQ(testing::ReadRows(*snapshot), (Rows{{1, "a"}, {2, "a"}}));
  snapshot.reset();
  ASSERT_TRUE(db_->Flush());
  info = db_->Retire({.keep_micros = 0});
  ASSERT_TRUE(info);
  EXPECT_EQ(info->bytes_held, 0u);
  EXPECT_EQ(files_->List("/db/data/t")->size(), 1u);
}

// Before the log lets go of the rows.
TEST_F(LazyRunsTest, AFlushThatCannotBeReadBackIsNotPublished) {
  ASSERT_TRUE(db_->Upsert("t", testing::RowsBatch({{1, "a"}})));
  store_.twisted = true;
  const Status flushed = db_->Flush();
  ASSERT_FALSE(flushed);
  EXPECT_EQ(flushed.error().kind(), ErrorKind::kCorruption);
  EXPECT_EQ(testing::ReadRows(**db_->GetSnapshot()), (Rows{{1, "a"}}));
  store_.twisted = false;
  Open();
  EXPECT_EQ(testing::ReadRows(**db_->GetSnapshot()), (Rows{{1, "a"}})) << "from the log";
  EXPECT_TRUE((*db_->GetSnapshot())->Runs("t")->empty());
}

}  // namespace
}  // namespace varve
