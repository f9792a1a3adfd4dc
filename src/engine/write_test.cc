// SPDX-License-Identifier: Apache-2.0
// Database::Write and Transaction::Write: what each mode does, what it refuses, and that a write
// which looks first decides on exactly what the commits before it left.
#include <arrow/compute/expression.h>
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/executor.h"
#include "base/random.h"
#include "files/simulated_disk.h"
#include "test/support/rows.h"
#include "test/support/seed.h"
#include "varve/database.h"

namespace varve {
namespace {

struct Row {
  std::int64_t id;
  std::int64_t a;
  std::string b;
};
using Table = std::map<std::int64_t, std::pair<std::int64_t, std::string>>;

std::shared_ptr<arrow::Schema> Schema() {
  return arrow::schema({arrow::field("id", arrow::int64(), false),
                        arrow::field("a", arrow::int64()),
                        arrow::field("b", arrow::utf8(), false)});
}

std::shared_ptr<arrow::RecordBatch> Batch(const std::vector<Row>& rows) {
  arrow::Int64Builder ids, as;
  arrow::StringBuilder bs;
  for (const Row& row : rows) {
    EXPECT_TRUE(ids.Append(row.id).ok() && as.Append(row.a).ok() && bs.Append(row.b).ok());
  }
  return arrow::RecordBatch::Make(Schema(), static_cast<std::int64_t>(rows.size()),
                                  {*ids.Finish(), *as.Finish(), *bs.Finish()});
}
std::shared_ptr<arrow::RecordBatch> Ids(const std::vector<std::int64_t>& ids) {
  std::vector<Row> rows;
  for (const auto id : ids) rows.push_back({id, 0, ""});
  return *Batch(rows)->SelectColumns({0});
}
// The columns id and a.
std::shared_ptr<arrow::RecordBatch> NewA(const std::vector<Row>& rows) {
  return *Batch(rows)->SelectColumns({1, 0});
}
std::shared_ptr<arrow::BooleanArray> Bits(const std::vector<bool>& values) {
  arrow::BooleanBuilder bits;
  EXPECT_TRUE(bits.AppendValues(values).ok());
  return std::static_pointer_cast<arrow::BooleanArray>(*bits.Finish());
}
KeyRange Range(std::int64_t from, std::int64_t to) {
  return {.lower = Ids({from}), .upper = Ids({to})};
}
std::shared_ptr<const arrow::compute::Expression> Filter(const std::string& text) {
  auto filter = ParseFilter(text, Schema());
  EXPECT_TRUE(filter) << filter.error().message();
  return *filter;
}

class WriteTest : public ::testing::Test {
 protected:
  WriteTest() : random_(1) {}

  void SetUp() override { Open(); }
  void Open() {
    db_.reset();
    const Components world{
        .files = &disk_, .clock = &clock_, .random = &random_, .executor = &executor_};
    auto db = Database::Open("/db", options_, world);
    ASSERT_TRUE(db) << db.error().message();
    db_ = *std::move(db);
    const auto made = db_->CreateTable("t", Schema(), {"id"});
    ASSERT_TRUE(made || made.error().kind() == ErrorKind::kConflict);
  }
  CommitInfo Write(const WriteRequest& request, const CommitOptions& options = {}) {
    auto info = db_->Write("t", request, options);
    EXPECT_TRUE(info) << info.error().message();
    return info ? *info : CommitInfo{};
  }
  void Put(const std::vector<Row>& rows, AckLevel ack = AckLevel::kDurable) {
    Write({.rows = Batch(rows)}, {.ack = ack});
  }
  void ExpectRefused(const WriteRequest& request, ErrorKind kind, const std::string& part,
                     ErrorReason reason = ErrorReason::kNone) {
    const auto before = db_->Stats().commit;
    const auto info = db_->Write("t", request);
    ASSERT_FALSE(info) << "commit " << info->commit.value;
    EXPECT_EQ(info.error().kind(), kind) << info.error().message();
    EXPECT_EQ(info.error().reason(), reason) << info.error().message();
    EXPECT_NE(info.error().message().find(part), std::string::npos) << info.error().message();
    EXPECT_EQ(db_->Stats().commit, before) << "something was kept";
  }
  static Table Drain(const Result<std::shared_ptr<arrow::RecordBatchReader>>& reader) {
    Table table;
    EXPECT_TRUE(reader) << reader.error().message();
    if (!reader) return table;
    const auto all = *(*reader)->ToTable();
    const auto rows = *all->CombineChunksToBatch();
    for (std::int64_t i = 0; i < rows->num_rows(); ++i) {
      const auto id = static_cast<const arrow::Int64Array&>(*rows->column(0)).Value(i);
      const auto a = static_cast<const arrow::Int64Array&>(*rows->column(1)).Value(i);
      const auto b = static_cast<const arrow::StringArray&>(*rows->column(2)).GetString(i);
      EXPECT_TRUE(table.try_emplace(id, a, b).second) << "key " << id << " comes twice";
    }
    return table;
  }
  Table Read() { return Drain(db_->Scan("t")); }

  OpenOptions options_{.create_if_missing = true};
  SimulatedDisk disk_;
  ManualClock clock_;
  SeededRandom random_;
  ManualExecutor executor_;
  std::unique_ptr<Database> db_;
};

TEST_F(WriteTest, OneBatchUpsertsAndDeletesAndTheLastRowOfAKeyWins) {
  Put({{1, 1, "a"}, {2, 2, "b"}, {3, 3, "c"}});
  const auto info = Write({.rows = Batch({{1, 0, ""}, {2, 9, "B"}, {4, 4, "d"}, {4, 0, ""},
                                          {5, 0, ""}, {5, 5, "e"}, {7, 0, ""}}),
                           .deletes = Bits({true, false, false, true, true, false, true})});
  EXPECT_EQ(info.commit.value, 2u) << "one commit";
  EXPECT_EQ(info.rows, 5u) << "keys 1, 2, 4, 5 and 7";
  const Table expected{{2, {9, "B"}}, {3, {3, "c"}}, {5, {5, "e"}}};
  EXPECT_EQ(Read(), expected);
  Open();
  EXPECT_EQ(Read(), expected) << "from the log";
  ASSERT_TRUE(db_->Flush());
  Open();
  EXPECT_EQ(Read(), expected) << "from runs";
}

TEST_F(WriteTest, ADeletedRowNeedsNothingButItsKey) {
  Put({{1, 1, "a"}});
  auto rows = Batch({{1, 0, ""}, {2, 2, "b"}});
  arrow::StringBuilder b;  // null in a required column
  ASSERT_TRUE(b.AppendNull().ok() && b.Append("b").ok());
  rows = arrow::RecordBatch::Make(rows->schema(), 2,
                                  {rows->column(0), rows->column(1), *b.Finish()});
  Write({.rows = rows, .deletes = Bits({true, false})});
  EXPECT_EQ(Read(), (Table{{2, {2, "b"}}}));
  ExpectRefused({.rows = rows, .deletes = Bits({false, true})}, ErrorKind::kInvalid, "'b'");
}

TEST_F(WriteTest, InsertKeepsAllOrNothingAndNamesTheKeyThatIsThere) {
  Write({.mode = WriteMode::kInsert, .rows = Batch({{1, 1, "a"}, {2, 2, "b"}})});
  ASSERT_TRUE(db_->Flush());
  Write({.mode = WriteMode::kInsert, .rows = Batch({{3, 3, "c"}, {3, 4, "C"}})});
  for (const std::int64_t there : {2, 3}) {
    ExpectRefused({.mode = WriteMode::kInsert, .rows = Batch({{8, 8, "h"}, {there, 0, ""}})},
                  ErrorKind::kConflict, "key " + std::to_string(there),
                  ErrorReason::kAlreadyExists);
  }
  Write({.mode = WriteMode::kDelete, .rows = Ids({2})});
  Write({.mode = WriteMode::kInsert, .rows = Batch({{2, 5, "again"}})});
  EXPECT_EQ(Read(), (Table{{1, {1, "a"}}, {2, {5, "again"}}, {3, {4, "C"}}}));
}

TEST_F(WriteTest, InsertMissingPassesOverWhatIsThere) {
  Put({{1, 1, "a"}});
  const WriteRequest request{.mode = WriteMode::kInsertMissing,
                             .rows = Batch({{1, 9, "x"}, {2, 2, "b"}})};
  const auto info = Write(request);
  EXPECT_EQ(info.rows, 1u);
  EXPECT_EQ(info.rows_passed, 1u);
  EXPECT_EQ(Read(), (Table{{1, {1, "a"}}, {2, {2, "b"}}}));
  const auto again = Write(request);
  EXPECT_EQ(again.commit.value, 2u) << "nothing to keep, no commit";
  EXPECT_EQ(again.rows_passed, 2u);
  EXPECT_EQ(db_->Stats().commit.value, 2u);
}

TEST_F(WriteTest, UpdateSetsTheNamedColumnsAlone) {
  Put({{1, 1, "a"}, {2, 2, "b"}, {3, 3, "c"}});
  ASSERT_TRUE(db_->Flush());
  const auto info =
      Write({.mode = WriteMode::kUpdate, .rows = NewA({{3, 30, ""}, {1, 7, ""}, {1, 10, ""}})});
  EXPECT_EQ(info.rows, 2u);
  EXPECT_EQ(Read(), (Table{{1, {10, "a"}}, {2, {2, "b"}}, {3, {30, "c"}}}));
  ExpectRefused({.mode = WriteMode::kUpdate, .rows = NewA({{1, 0, ""}, {9, 0, ""}})},
                ErrorKind::kNotFound, "key 9 is not there");
  const auto some =
      Write({.mode = WriteMode::kUpdateExisting, .rows = NewA({{9, 0, ""}, {2, 20, ""}})});
  EXPECT_EQ(some.rows, 1u);
  EXPECT_EQ(some.rows_passed, 1u);
  EXPECT_EQ(Read(), (Table{{1, {10, "a"}}, {2, {20, "b"}}, {3, {30, "c"}}}));
}

TEST_F(WriteTest, DeleteWhereDeletesByRangeAndByCondition) {
  Put({{1, 1, "a"}, {2, 2, "b"}, {3, 3, "c"}});
  ASSERT_TRUE(db_->Flush());
  Put({{2, 20, "b"}, {4, 4, "d"}, {5, 5, "e"}});
  const auto range = Write({.mode = WriteMode::kDeleteWhere, .range = Range(1, 3)});
  EXPECT_EQ(range.rows, 2u);
  EXPECT_EQ(range.commit.value, 3u) << "one commit";
  EXPECT_EQ(Read(), (Table{{3, {3, "c"}}, {4, {4, "d"}}, {5, {5, "e"}}}));
  const auto where = Write({.mode = WriteMode::kDeleteWhere, .filter = Filter("a = 3 or b = 'e'")});
  EXPECT_EQ(where.rows, 2u);
  EXPECT_EQ(Read(), (Table{{4, {4, "d"}}}));
  const auto none = Write({.mode = WriteMode::kDeleteWhere, .filter = Filter("a = 2")});
  EXPECT_EQ(none.rows, 0u) << "the stale version of key 2 is not a row";
  EXPECT_EQ(none.commit, where.commit);
  Open();
  EXPECT_EQ(Read(), (Table{{4, {4, "d"}}}));
}

// A commit that asked for less than durable has its number, but no snapshot shows it yet.
TEST_F(WriteTest, CommitsThatNobodySeesYetCountForOneThatLooks) {
  Put({{1, 1, "a"}}, AckLevel::kBuffered);
  ExpectRefused({.mode = WriteMode::kInsert, .rows = Batch({{1, 9, "x"}})}, ErrorKind::kConflict,
                "key 1", ErrorReason::kAlreadyExists);
  Put({{2, 2, "b"}}, AckLevel::kBuffered);
  Write({.mode = WriteMode::kUpdate, .rows = NewA({{2, 20, ""}})});
  Put({{3, 3, "c"}}, AckLevel::kBuffered);
  EXPECT_EQ(Write({.mode = WriteMode::kInsertMissing, .rows = Batch({{3, 0, ""}})}).rows, 0u);
  Put({{4, 4, "d"}}, AckLevel::kBuffered);
  EXPECT_EQ(Write({.mode = WriteMode::kDeleteWhere, .filter = Filter("a = 4")}).rows, 1u);
  EXPECT_EQ(Read(), (Table{{1, {1, "a"}}, {2, {20, "b"}}, {3, {3, "c"}}}));
}

TEST_F(WriteTest, ATransactionLooksAtItsOwnWrites) {
  Put({{1, 1, "a"}, {2, 2, "b"}});
  const auto in = *db_->Begin();
  ASSERT_TRUE(in->Write("t", {.mode = WriteMode::kInsert, .rows = Batch({{3, 3, "c"}})}));
  const auto twice = in->Write("t", {.mode = WriteMode::kInsert, .rows = Batch({{3, 0, ""}})});
  ASSERT_FALSE(twice);
  EXPECT_EQ(twice.error().reason(), ErrorReason::kAlreadyExists);
  ASSERT_TRUE(in->Write("t", {.mode = WriteMode::kUpdate, .rows = NewA({{3, 30, ""}})}));
  ASSERT_TRUE(in->Write("t", {.rows = Batch({{4, 4, "d"}, {1, 0, ""}}),
                              .deletes = Bits({false, true})}));
  std::uint64_t passed = 0;
  ASSERT_TRUE(in->Write("t", {.mode = WriteMode::kInsertMissing, .rows = Batch({{2, 0, ""}})},
                        &passed));
  EXPECT_EQ(passed, 1u);
  ASSERT_TRUE(in->Write("t", {.mode = WriteMode::kDeleteWhere, .filter = Filter("a = 4")}));
  EXPECT_EQ(Drain(in->Scan("t")), (Table{{2, {2, "b"}}, {3, {30, "c"}}}));
  EXPECT_EQ(Read(), (Table{{1, {1, "a"}}, {2, {2, "b"}}})) << "not yet";
  ASSERT_TRUE(in->Commit());
  EXPECT_EQ(Read(), (Table{{2, {2, "b"}}, {3, {30, "c"}}}));
  const auto after = in->Write("t", {.rows = Batch({{1, 1, "a"}})});
  ASSERT_FALSE(after);
  EXPECT_EQ(after.error().reason(), ErrorReason::kClosed);
}

TEST_F(WriteTest, WhatASerializableTransactionPassedOverCountsAsRead) {
  Put({{1, 1, "a"}});
  for (const auto isolation : {Isolation::kSnapshot, Isolation::kSerializable}) {
    const auto in = *db_->Begin({.isolation = isolation});
    ASSERT_TRUE(in->Write("t", {.mode = WriteMode::kInsertMissing,
                                .rows = Batch({{1, 0, ""}, {5, 5, "e"}})}));
    Put({{1, 2, "newer"}});
    const auto info = in->Commit();
    EXPECT_EQ(info.has_value(), isolation == Isolation::kSnapshot);
    Write({.mode = WriteMode::kDelete, .rows = Ids({5})});
  }
}

TEST_F(WriteTest, TheProfileIsMeasuredWhenAskedForAndOnlyThen) {
  EXPECT_FALSE(Write({.rows = Batch({{1, 1, "a"}})}).profile);
  const auto before = clock_.SteadyMicros();
  const auto info = Write({.mode = WriteMode::kInsert, .rows = Batch({{2, 2, "b"}})},
                          {.profile = true});
  const auto after = clock_.SteadyMicros();
  ASSERT_TRUE(info.profile);
  const WriteProfile& profile = *info.profile;
  const auto sum = profile.encode_micros + profile.stall_micros + profile.queue_micros +
                   profile.memtable_micros + profile.log_micros;
  EXPECT_GT(profile.encode_micros, 0) << "each question moves this clock";
  EXPECT_GT(profile.log_micros, 0);
  EXPECT_LE(sum, after - before);
  const auto in = *db_->Begin();
  ASSERT_TRUE(in->Upsert("t", Batch({{3, 3, "c"}})));
  EXPECT_TRUE(in->Commit({.profile = true})->profile);
}

TEST_F(WriteTest, OfManyThreadsThatInsertAKeyExactlyOneWins) {
  constexpr int kThreads = 6, kEach = 60;
  std::atomic<int> won = 0;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      for (int key = 0; key < kEach; ++key) {
        const auto ack = key % 3 == 0 ? AckLevel::kBuffered : AckLevel::kDurable;
        const auto info = db_->Write(
            "t", {.mode = WriteMode::kInsert, .rows = Batch({{key, thread, "x"}})}, {.ack = ack});
        if (info) {
          ++won;
        } else {
          ASSERT_EQ(info.error().reason(), ErrorReason::kAlreadyExists) << info.error().message();
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(won, kEach);
  ASSERT_TRUE(db_->Sync());
  EXPECT_EQ(Read().size(), static_cast<std::size_t>(kEach));
  EXPECT_EQ(db_->Stats().commit.value, static_cast<std::uint64_t>(kEach));
}

// As of each commit of a delete nothing is left of what it deletes, however many rows come beside
// it; and it always gets through.
TEST_F(WriteTest, DeleteWhereIsExactBesideThreadsThatInsert) {
  constexpr int kThreads = 3, kDeletes = 40;
  std::atomic<bool> done = false;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      for (std::int64_t i = 0; !done; ++i) {
        ASSERT_TRUE(db_->Upsert("t", Batch({{i % 50 * kThreads + thread, i % 2, "x"}})));
      }
    });
  }
  for (int i = 0; i < kDeletes; ++i) {
    const auto info = Write({.mode = WriteMode::kDeleteWhere, .filter = Filter("a = 1")});
    if (info.rows == 0) continue;
    const auto snapshot = db_->GetSnapshot(info.commit);
    EXPECT_TRUE(snapshot);
    EXPECT_EQ(Drain((*snapshot)->Scan("t", {.filter = Filter("a = 1")})), Table{});
    const auto before = db_->GetSnapshot(CommitNumber{info.commit.value - 1});
    EXPECT_EQ(Drain((*before)->Scan("t", {.filter = Filter("a = 1")})).size(), info.rows);
  }
  done = true;
  for (auto& thread : threads) thread.join();
}

// Random writes of every mode, by one thread, against a map.
class RandomWrites : public WriteTest {
 protected:
  void Step() {
    const auto kind = chance_.Below(9);
    if (kind == 7) return Where();
    if (kind == 8) return Disturb();
    std::vector<Row> rows;
    std::vector<bool> deletes;
    for (std::uint64_t i = 0; i <= chance_.Below(6); ++i) {
      const auto id = static_cast<std::int64_t>(chance_.Below(30));
      const auto a = static_cast<std::int64_t>(chance_.Below(100));
      rows.push_back({id, a, std::to_string(a)});
      deletes.push_back(chance_.Below(3) == 0);
    }
    switch (kind) {
      case 0: case 1: case 2: return Mixed(rows, deletes);
      case 3: return Insert(rows, WriteMode::kInsert);
      case 4: return Insert(rows, WriteMode::kInsertMissing);
      case 5: return Update(rows, WriteMode::kUpdate);
      default: return Update(rows, WriteMode::kUpdateExisting);
    }
  }
  void Mixed(const std::vector<Row>& rows, const std::vector<bool>& deletes) {
    Write({.rows = Batch(rows), .deletes = Bits(deletes)}, {.ack = Ack()});
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (deletes[i]) model_.erase(rows[i].id);
      else model_[rows[i].id] = {rows[i].a, rows[i].b};
    }
  }
  void Insert(const std::vector<Row>& rows, WriteMode mode) {
    Table fresh, there;
    for (const Row& row : rows) {
      (model_.contains(row.id) ? there : fresh)[row.id] = {row.a, row.b};
    }
    const WriteRequest request{.mode = mode, .rows = Batch(rows)};
    if (mode == WriteMode::kInsert && !there.empty()) {
      return ExpectRefused(request, ErrorKind::kConflict, "key ", ErrorReason::kAlreadyExists);
    }
    const auto info = Write(request, {.ack = Ack()});
    EXPECT_EQ(info.rows, fresh.size());
    EXPECT_EQ(info.rows_passed, there.size());
    model_.merge(fresh);
  }
  void Update(const std::vector<Row>& rows, WriteMode mode) {
    std::map<std::int64_t, std::int64_t> there, missing;
    for (const Row& row : rows) (model_.contains(row.id) ? there : missing)[row.id] = row.a;
    const WriteRequest request{.mode = mode, .rows = NewA(rows)};
    if (mode == WriteMode::kUpdate && !missing.empty()) {
      return ExpectRefused(request, ErrorKind::kNotFound, "key ");
    }
    const auto info = Write(request, {.ack = Ack()});
    EXPECT_EQ(info.rows, there.size());
    EXPECT_EQ(info.rows_passed, missing.size());
    for (const auto& [id, a] : there) model_[id].first = a;
  }
  void Where() {
    const auto from = static_cast<std::int64_t>(chance_.Below(30));
    const auto a = static_cast<std::int64_t>(chance_.Below(100));
    const auto info = Write({.mode = WriteMode::kDeleteWhere, .range = Range(from, from + 10),
                             .filter = Filter("a < " + std::to_string(a))}, {.ack = Ack()});
    const auto erased = std::erase_if(model_, [&](const auto& row) {
      return row.first >= from && row.first < from + 10 && row.second.first < a;
    });
    EXPECT_EQ(info.rows, erased);
  }
  void Disturb() {
    if (chance_.Below(3) == 0) {
      EXPECT_TRUE(db_->Flush());
    }
    if (chance_.Below(4) != 0) return;
    ASSERT_TRUE(db_->Close());
    Open();
  }
  AckLevel Ack() { return chance_.Below(2) == 0 ? AckLevel::kDurable : AckLevel::kBuffered; }

  SeededRandom chance_{testing::TestSeed()};
  Table model_;
};

TEST_F(RandomWrites, AgreeWithAMap) {
  SCOPED_TRACE(testing::SeedTrace(testing::TestSeed()));
  for (int step = 0; step < 600 && !HasFailure(); ++step) {
    Step();
    if (step % 10 == 0) {
      ASSERT_TRUE(db_->Sync());
      ASSERT_EQ(Read(), model_) << "after step " << step;
    }
  }
}

}  // namespace
}  // namespace varve
