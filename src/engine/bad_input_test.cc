// SPDX-License-Identifier: Apache-2.0
// Whatever a caller does wrong has an error of its own, which says what, where and what to do; and
// nothing of it is kept: after each refusal the tables hold what they held, no commit was made, and
// after each test the database takes a good write and reopens with it.
//
// A version beyond the retention window cannot be asked for yet: nothing is ever retired, so every
// commit from 0 on can be read. Too old is only a moment before the first commit.
#include <arrow/compute/expression.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/executor.h"
#include "base/random.h"
#include "files/simulated_disk.h"
#include "test/support/rows.h"
#include "varve/database.h"

namespace varve {
namespace {

namespace cp = arrow::compute;
using testing::Rows;
using testing::RowsBatch;
using BatchPtr = std::shared_ptr<arrow::RecordBatch>;
using Parts = std::vector<std::string>;

constexpr WriteMode kModesWithRows[] = {WriteMode::kUpsert, WriteMode::kDelete,
                                        WriteMode::kInsert, WriteMode::kInsertMissing,
                                        WriteMode::kUpdate, WriteMode::kUpdateExisting};

std::shared_ptr<arrow::Array> Ints(const std::vector<std::int64_t>& values) {
  arrow::Int64Builder builder;
  EXPECT_TRUE(builder.AppendValues(values).ok());
  return *builder.Finish();
}
// A null where there is no text.
std::shared_ptr<arrow::Array> Texts(const std::vector<const char*>& values) {
  arrow::StringBuilder builder;
  for (const char* value : values) {
    EXPECT_TRUE((value == nullptr ? builder.AppendNull() : builder.Append(value)).ok());
  }
  return *builder.Finish();
}
std::shared_ptr<arrow::BooleanArray> Bits(const std::vector<bool>& values, bool null = false) {
  arrow::BooleanBuilder bits;
  EXPECT_TRUE(bits.AppendValues(values).ok());
  EXPECT_TRUE(!null || bits.AppendNull().ok());
  return std::static_pointer_cast<arrow::BooleanArray>(*bits.Finish());
}
BatchPtr Columns(
    const std::vector<std::pair<std::string, std::shared_ptr<arrow::Array>>>& columns) {
  arrow::FieldVector fields;
  arrow::ArrayVector arrays;
  for (const auto& [name, array] : columns) {
    fields.push_back(arrow::field(name, array->type()));
    arrays.push_back(array);
  }
  return arrow::RecordBatch::Make(arrow::schema(fields), arrays.at(0)->length(), arrays);
}
std::shared_ptr<const cp::Expression> Shared(cp::Expression expression) {
  return std::make_shared<cp::Expression>(std::move(expression));
}

// "orders" (id int64, v utf8) holds a row in a run and one in memory; "names" (k utf8, n int64), a
// table whose keys are text, holds none.
class BadInputTest : public ::testing::Test {
 protected:
  BadInputTest() : random_(1) {}

  void SetUp() override {
    Open();
    ASSERT_TRUE(db_->CreateTable("orders", testing::RowsSchema(), {"id"}));
    ASSERT_TRUE(db_->CreateTable(
        "names",
        arrow::schema({arrow::field("k", arrow::utf8()), arrow::field("n", arrow::int64())}),
        {"k"}));
    ASSERT_TRUE(db_->Upsert("orders", RowsBatch({{1, "a"}})));
    ASSERT_TRUE(db_->Flush());
    ASSERT_TRUE(db_->Upsert("orders", RowsBatch({{2, "b"}})));
  }
  // Whatever was refused: the database goes on, and keeps that over a restart.
  void TearDown() override {
    if (closed_) Open();
    ExpectUnchanged();
    const auto good = db_->Upsert("orders", RowsBatch({{3, "good"}}));
    ASSERT_TRUE(good) << good.error().message();
    EXPECT_EQ(good->commit.value, ++commits_);
    rows_[3] = "good";
    Open();
    ExpectUnchanged();
  }
  void Open() {
    closed_ = false;
    db_.reset();
    const Components world{
        .files = &disk_, .clock = &clock_, .random = &random_, .executor = &executor_};
    auto db = Database::Open("/shop", {.create_if_missing = true}, world);
    ASSERT_TRUE(db) << db.error().message();
    db_ = *std::move(db);
  }
  void Put(const Rows& rows, const CommitOptions& options) {
    ASSERT_TRUE(db_->Upsert("orders", RowsBatch(rows), options));
    for (const auto& [id, value] : rows) rows_[id] = value;
    ++commits_;
  }
  void Close() {
    ASSERT_TRUE(db_->Close());
    closed_ = true;
  }
  void ExpectUnchanged() {
    if (closed_) return;
    EXPECT_EQ(db_->Stats().commit.value, commits_) << "something was committed";
    const auto snapshot = *db_->GetSnapshot();
    EXPECT_EQ(testing::ReadRows(*snapshot, "orders"), rows_);
    EXPECT_EQ(snapshot->Count("names")->rows, 0u);
    EXPECT_EQ(snapshot->Tables(), (std::vector<std::string>{"names", "orders"}));
    EXPECT_TRUE(db_->Tags().empty());
  }
  void ExpectError(const Error& error, ErrorKind kind, const Parts& parts,
                   ErrorReason reason = ErrorReason::kNone) {
    EXPECT_EQ(error.kind(), kind) << error.message();
    EXPECT_EQ(error.reason(), reason) << error.message();
    for (const std::string& part : parts) {
      EXPECT_NE(error.message().find(part), std::string::npos)
          << "'" << part << "' is not said in: " << error.message();
    }
  }
  template <typename T>
  void Refused(const Result<T>& result, ErrorKind kind, const Parts& parts,
               ErrorReason reason = ErrorReason::kNone) {
    ASSERT_FALSE(result) << "it was taken";
    ExpectError(result.error(), kind, parts, reason);
    ExpectUnchanged();
  }
  // In each of the ways in which a table is written to.
  void WriteRefused(const std::string& table, const WriteRequest& request, ErrorKind kind,
                    const Parts& parts, ErrorReason reason = ErrorReason::kNone) {
    Refused(db_->Write(table, request), kind, parts, reason);
    Refused(WriteThen(table, request), kind, parts, reason);
    const auto in = *db_->Begin();
    Refused(in->Write(table, request), kind, parts, reason);
    Refused(db_->Write(table, request, {.producer = Producer{"p", 1}}), kind, parts, reason);
    EXPECT_FALSE(*db_->LastOf("p")) << "a refused write took its sequence";
  }
  // What WriteThen says before it returns, as of everything that is refused. (A future would wait
  // for ever for what is taken: nobody runs tasks here.)
  Result<CommitInfo> WriteThen(const std::string& table, const WriteRequest& request,
                               const CommitOptions& options = {}) {
    const auto told = std::make_shared<Result<CommitInfo>>(CommitInfo{});
    db_->WriteThen(table, request, options, [told](const auto& info) { *told = info; });
    return *told;
  }
  void FilterRefused(const std::shared_ptr<const cp::Expression>& filter, const Parts& parts) {
    const auto snapshot = *db_->GetSnapshot();
    Refused(snapshot->Scan("orders", {.filter = filter}), ErrorKind::kInvalid, parts);
    Refused(snapshot->Scan("orders", {.filter = filter, .unordered = true}), ErrorKind::kInvalid,
            parts);
    Refused(snapshot->Explain("orders", {.filter = filter}), ErrorKind::kInvalid, parts);
    Refused(snapshot->Count("orders", {.filter = filter}), ErrorKind::kInvalid, parts);
    Refused(snapshot->MinMax("orders", "v", {.filter = filter}), ErrorKind::kInvalid, parts);
    Refused((*db_->Begin())->Scan("orders", {.filter = filter}), ErrorKind::kInvalid, parts);
    WriteRefused("orders", {.mode = WriteMode::kDeleteWhere, .filter = filter}, ErrorKind::kInvalid,
                 parts);
  }

  SimulatedDisk disk_;
  ManualClock clock_;
  SeededRandom random_;
  ManualExecutor executor_;
  std::unique_ptr<Database> db_;
  bool closed_ = false;
  std::uint64_t commits_ = 2;
  Rows rows_ = {{1, "a"}, {2, "b"}};
};

TEST_F(BadInputTest, AnUnknownTableIsNamedWithThoseThatThereAre) {
  const Parts parts = {"no table 'oders'", "orders"};
  const auto not_found = ErrorKind::kNotFound;
  for (const WriteMode mode : kModesWithRows) {
    WriteRefused("oders", {.mode = mode, .rows = RowsBatch({{1, "x"}})}, not_found, parts);
  }
  const auto snapshot = *db_->GetSnapshot();
  Refused(snapshot->Scan("oders"), not_found, parts);
  Refused(snapshot->Count("oders"), not_found, parts);
  Refused(snapshot->MinMax("oders", "v"), not_found, parts);
  Refused(snapshot->Get("oders", RowsBatch({{1, ""}})), not_found, parts);
  Refused(snapshot->Changes("oders", CommitNumber{0}), not_found, parts);
  Refused(snapshot->Schema("oders"), not_found, parts);
  Refused(db_->FollowChanges("oders", CommitNumber{0}), not_found, parts);
  Refused(db_->RestoreTable("oders", CommitNumber{1}), not_found, parts);
  Refused(db_->DropTable("oders"), not_found, parts);
  Refused(db_->RenameTable("oders", "other"), not_found, parts);
  Refused(db_->AlterTable("oders", {DropColumn{"v"}}), not_found, parts);
  const auto in = *db_->Begin();
  Refused(in->Scan("oders"), not_found, parts);
  Refused(in->Get("oders", RowsBatch({{1, ""}})), not_found, parts);
}

TEST_F(BadInputTest, AnUnknownColumnIsNamedWithItsTable) {
  const auto snapshot = *db_->GetSnapshot();
  const Parts parts = {"table 'orders'", "no column 'w'"};
  Refused(snapshot->Scan("orders", {.columns = {{"w"}}}), ErrorKind::kNotFound, parts);
  Refused(snapshot->MinMax("orders", "w"), ErrorKind::kNotFound, parts);
  Refused(snapshot->Changes("orders", CommitNumber{0}, {.columns = {{"w"}}}), ErrorKind::kNotFound,
          parts);
  Refused(db_->FollowChanges("orders", CommitNumber{0}, {.columns = {{"w"}}}), ErrorKind::kNotFound,
          parts);
  Refused(db_->AlterTable("orders", {DropColumn{"w"}}), ErrorKind::kNotFound,
          {"table 'orders'", "no column 'w'", "has id, v"});
  Refused(db_->AlterTable("orders", {RenameColumn{"w", "x"}}), ErrorKind::kNotFound,
          {"table 'orders'", "no column 'w'", "has id, v"});
  FilterRefused(Shared(cp::equal(cp::field_ref("w"), cp::literal(1))),
                {"table 'orders'", "unknown column 'w'"});
  const KeyRange range{.lower = Columns({{"w", Ints({1})}})};
  Refused(snapshot->Scan("orders", {.range = range}), ErrorKind::kInvalid,
          {"table 'orders'", "column 'w'", "expected 'id' of type int64"});
}

TEST_F(BadInputTest, AFilterOfTheWrongTypeSaysBothTypesOrThePlace) {
  FilterRefused(Shared(cp::greater(cp::field_ref("id"), cp::literal("x"))),
                {"table 'orders'", "filter", "int64", "string", "cast"});
  FilterRefused(Shared(cp::field_ref("id")), {"table 'orders'", "gives int64, not true or false"});
  FilterRefused(Shared(cp::Expression()), {"table 'orders'", "filter", "empty"});
  const auto parsed = ParseFilter("v = 'a' and id > 'x'", testing::RowsSchema());
  Refused(parsed, ErrorKind::kInvalid, {"'x'", "^", "int64"});
}

TEST_F(BadInputTest, ABatchWhoseSchemaDiffersSaysHow) {
  const auto ids = Ints({1});
  const auto text = Texts({"x"});
  const auto refused = [&](const BatchPtr& rows, const Parts& parts) {
    for (const auto mode : {WriteMode::kUpsert, WriteMode::kInsert, WriteMode::kInsertMissing}) {
      WriteRefused("orders", {.mode = mode, .rows = rows}, ErrorKind::kInvalid, parts);
    }
  };
  const std::string table = "table 'orders'", advice = "give the columns that it has";
  refused(Columns({{"id", ids}}), {table, "column 'v' (string) is missing", advice});
  refused(Columns({{"id", ids}, {"v", text}, {"w", text}}),
          {table, "column 'w' (string) is not in the table", advice});
  refused(Columns({{"id", text}, {"v", text}}),
          {table, "column 'id': table has int64, batch has string", advice});
  refused(Columns({{"id", ids}, {"v", text}, {"v", text}}),
          {table, "column 'v' appears 2 times", advice});
  refused(nullptr, {table, "no batch given"});
  refused(arrow::RecordBatch::Make(testing::RowsSchema(), 2, {Ints({1, 2}), text}),
          {table, "malformed batch"});
  for (const auto mode : {WriteMode::kDelete, WriteMode::kUpdate, WriteMode::kUpdateExisting}) {
    WriteRefused("orders", {.mode = mode, .rows = Columns({{"v", text}})}, ErrorKind::kInvalid,
                 {table, "column 'id' (int64) is missing", advice});
  }
  WriteRefused("orders", {.mode = WriteMode::kUpdate, .rows = Columns({{"id", ids}, {"v", ids}})},
               ErrorKind::kInvalid, {table, "column 'v': table has string, batch has int64"});
  WriteRefused("orders", {.mode = WriteMode::kUpdate, .rows = Columns({{"id", ids}, {"w", ids}})},
               ErrorKind::kInvalid, {table, "column 'w' (int64) is not in the table"});
  Refused((*db_->GetSnapshot())->Get("orders", Columns({{"id", text}})), ErrorKind::kInvalid,
          {table, "column 'id': table has int64, batch has string", advice});
}

TEST_F(BadInputTest, WhatAWriteModeDoesNotUseIsNamed) {
  const auto filter = Shared(cp::literal(true));
  const auto rows = RowsBatch({{1, "x"}});
  const auto refused = [&](const WriteRequest& request, const Parts& parts) {
    WriteRefused("orders", request, ErrorKind::kInvalid, parts);
  };
  refused({.mode = WriteMode::kDeleteWhere}, {"table 'orders'", "neither", "literal(true)"});
  refused({.mode = WriteMode::kDeleteWhere, .rows = rows, .filter = filter},
          {"table 'orders'", "takes no `rows`"});
  refused({.mode = WriteMode::kDelete, .rows = rows, .filter = filter},
          {"table 'orders'", "go with kDeleteWhere alone"});
  refused({.mode = WriteMode::kInsert, .rows = rows, .deletes = Bits({true})},
          {"table 'orders'", "`deletes` goes with kUpsert alone", "in a write of its own"});
  refused({.mode = static_cast<WriteMode>(77), .rows = rows}, {"table 'orders'", "mode 77"});
}

TEST_F(BadInputTest, ANullKeyNamesRowAndColumn) {
  const auto rows = Columns({{"k", Texts({"x", nullptr})}, {"n", Ints({1, 2})}});
  const Parts parts = {"table 'names'", "row 1: key column 'k' is null", "needs a value"};
  for (const WriteMode mode : kModesWithRows) {
    WriteRefused("names", {.mode = mode, .rows = rows}, ErrorKind::kInvalid, parts);
  }
  WriteRefused("names", {.rows = rows, .deletes = Bits({true, true})}, ErrorKind::kInvalid, parts);
  Refused((*db_->GetSnapshot())->Get("names", rows), ErrorKind::kInvalid, parts);
  Refused((*db_->Begin())->Get("names", rows), ErrorKind::kInvalid, parts);
}

TEST_F(BadInputTest, AnOversizedKeyNamesRowAndSizes) {
  const std::string longer(65535, 'x');  // and two bytes that end it
  const auto rows = Columns({{"k", Texts({"x", longer.c_str()})}, {"n", Ints({1, 2})}});
  const Parts parts = {"table 'names'", "row 1: its key has 65537 bytes", "may have 65536",
                       "shorten"};
  for (const WriteMode mode : kModesWithRows) {
    WriteRefused("names", {.mode = mode, .rows = rows}, ErrorKind::kInvalid, parts);
  }
  WriteRefused("names", {.rows = rows, .deletes = Bits({true, true})}, ErrorKind::kInvalid, parts);
}

TEST_F(BadInputTest, ATombstoneBitmapThatDoesNotFitSaysBothLengthsOrTheRow) {
  const auto rows = RowsBatch({{1, "x"}, {5, "y"}});
  WriteRefused("orders", {.rows = rows, .deletes = Bits({true})}, ErrorKind::kInvalid,
               {"table 'orders'", "`deletes` has 1 values for 2 rows", "one a row"});
  WriteRefused("orders", {.rows = rows, .deletes = Bits({true, true, true})}, ErrorKind::kInvalid,
               {"table 'orders'", "`deletes` has 3 values for 2 rows", "one a row"});
  WriteRefused("orders", {.rows = rows, .deletes = Bits({true}, /*null=*/true)},
               ErrorKind::kInvalid, {"table 'orders'", "row 1: `deletes` is null", "true"});
}

TEST_F(BadInputTest, ACommitInTheFutureSaysWhichIsTheNewest) {
  const CommitNumber future{9};
  const Parts parts = {"commit 9 lies in the future", "newest", "'/shop' is 2", "earlier"};
  const auto not_found = ErrorKind::kNotFound;
  Refused(db_->GetSnapshot(future), not_found, parts);
  Refused(db_->Changes("orders", future), not_found, parts);
  Refused(db_->Changes("orders", CommitNumber{0}, future), not_found, parts);
  Refused(db_->FollowChanges("orders", future), not_found, parts);
  Refused(db_->RestoreTable("orders", future), not_found, parts);
  Refused(db_->RestoreTable("orders", future, {.dry_run = true}), not_found, parts);
  Refused(db_->Tag("tomorrow", future), not_found, parts);
  Refused((*db_->GetSnapshot())->Changes("orders", future), ErrorKind::kInvalid,
          {"changes after commit 9", "commit 2"});
  Refused(db_->Changes("orders", CommitNumber{2}, CommitNumber{1}), ErrorKind::kInvalid,
          {"changes after commit 2", "commit 1"});
}

TEST_F(BadInputTest, AVersionThatIsTooOldOrUnknownSaysWhatThereIs) {
  const auto not_found = ErrorKind::kNotFound;
  const Parts parts = {"'/shop' has no version as old as 1970-01-01", "the oldest is commit 1",
                       "a later one"};
  Refused(db_->GetSnapshot(WallTime{1}), not_found, parts);
  Refused(db_->RestoreTable("orders", WallTime{1}), not_found, parts);
  Refused(db_->Tag("old", WallTime{1}), not_found, parts);
  Refused(db_->FollowChanges("orders", WallTime{1}), not_found, parts);
  Refused(db_->GetSnapshot(TagName{"release"}), not_found,
          {"no tag 'release'", "the database has none"});
  Refused(db_->RestoreTable("orders", TagName{"release"}), not_found, {"no tag 'release'"});
  Refused(db_->Untag("release"), not_found, {"no tag 'release'"});
  EXPECT_TRUE(testing::ReadRows(**db_->GetSnapshot(CommitNumber{0}), "orders").empty())
      << "nothing is too old as long as nothing is retired";
}

TEST_F(BadInputTest, AProducerSequenceThatGoesBackNamesBoth) {
  Put({{1, "once"}}, {.producer = Producer{"feed", 5}});
  Put({{1, "twice"}}, {.producer = Producer{"feed", 9}});  // gaps are allowed
  const CommitOptions stale{.producer = Producer{"feed", 8}};
  const Parts parts = {"producer feed", "sequence 8", "sequence 9 was committed (commit 4)",
                       "nothing was kept", "go on after 9"};
  for (int round = 0; round < 2; ++round) {
    const auto refused = [&](const auto& result) {
      Refused(result, ErrorKind::kConflict, parts, ErrorReason::kStaleSequence);
    };
    refused(db_->Upsert("orders", RowsBatch({{1, "late"}}), stale));
    refused(WriteThen("orders", {.rows = RowsBatch({{1, "late"}})}, stale));
    refused(db_->RestoreTable("orders", CommitNumber{1}, {}, stale));
    const auto in = *db_->Begin();
    ASSERT_TRUE(in->Upsert("orders", RowsBatch({{1, "late"}})));
    refused(in->Commit(stale));
    EXPECT_EQ((*db_->LastOf("feed"))->sequence, 9u);
    ASSERT_TRUE(db_->Flush());
    Open();
  }
  for (const std::string& id : {std::string(), std::string("a b"), std::string(129, 'x')}) {
    Refused(db_->Upsert("orders", RowsBatch({{1, "x"}}), {.producer = Producer{id, 1}}),
            ErrorKind::kInvalid, {"producer", "1 to 128"});
    Refused(db_->LastOf(id), ErrorKind::kInvalid, {"producer", "1 to 128"});
  }
}

TEST_F(BadInputTest, ATransactionUsedAfterItsEndSaysSo) {
  const auto rows = RowsBatch({{1, "late"}});
  const auto expect_ended = [&](Transaction* ended) {
    const auto refused = [&](const auto& result) {
      Refused(result, ErrorKind::kInvalid, {"the transaction has ended", "begin another"},
              ErrorReason::kClosed);
    };
    refused(ended->Upsert("orders", rows));
    refused(ended->Delete("orders", rows));
    refused(ended->Write("orders", {.mode = WriteMode::kInsertMissing, .rows = rows}));
    refused(ended->Scan("orders"));
    refused(ended->Get("orders", rows));
    refused(ended->Savepoint());
    refused(ended->RollbackTo(0));
    refused(ended->Commit());
    const auto told = std::make_shared<Result<CommitInfo>>(CommitInfo{});
    ended->CommitThen({}, [told](const auto& info) { *told = info; });
    refused(*told);
    ended->Abort();
  };
  const auto loser = *db_->Begin();
  const auto aborted = *db_->Begin();
  const auto winner = *db_->Begin();
  for (const auto& in : {loser.get(), aborted.get(), winner.get()}) {
    ASSERT_TRUE(in->Upsert("orders", RowsBatch({{1, "once"}})));
  }
  ASSERT_TRUE(winner->Commit());
  rows_[1] = "once";
  ++commits_;
  expect_ended(winner.get());
  Refused(loser->Commit(), ErrorKind::kConflict, {"table 'orders'", "key 1", "commit 3"});
  expect_ended(loser.get());
  aborted->Abort();
  expect_ended(aborted.get());
  const auto open = *db_->Begin();
  Refused(open->RollbackTo(7), ErrorKind::kInvalid, {"no savepoint 7"});
}

// What a transaction refuses is not part of it; the rest of it is.
TEST_F(BadInputTest, ATransactionGoesOnWithoutWhatItRefused) {
  const auto in = *db_->Begin({.bytes_max = 10'000});
  ASSERT_TRUE(in->Upsert("orders", RowsBatch({{1, "kept"}})));
  EXPECT_FALSE(in->Upsert("orders", Columns({{"id", Ints({2})}})));
  EXPECT_FALSE(in->Upsert("oders", RowsBatch({{2, "no"}})));
  Refused(in->Upsert("orders", RowsBatch({{2, std::string(20'000, 'b')}})), ErrorKind::kInvalid,
          {"bytes_max (10000)", "this write is not part of it", "raise the limit"});
  ASSERT_TRUE(in->Commit());
  rows_[1] = "kept";
  ++commits_;
  ExpectUnchanged();
}

// Closing is done once however often it is asked for; what comes after is told.
TEST_F(BadInputTest, AReaderClosedTwiceSaysSoWhenItIsRead) {
  const auto expect_closed = [&](const std::shared_ptr<arrow::RecordBatchReader>& reader,
                                 const std::string& what) {
    std::shared_ptr<arrow::RecordBatch> batch;
    ASSERT_TRUE(reader->ReadNext(&batch).ok());
    EXPECT_TRUE(reader->Close().ok());
    EXPECT_TRUE(reader->Close().ok());
    for (int i = 0; i < 2; ++i) {
      const auto read = reader->ReadNext(&batch);
      ASSERT_FALSE(read.ok());
      EXPECT_EQ(batch, nullptr);
      ExpectError(ErrorFromArrow(read), ErrorKind::kInvalid, {what, "again"}, ErrorReason::kClosed);
    }
    ExpectUnchanged();
  };
  const ScanOptions one{.batch_rows_max = 1};
  expect_closed(*db_->Scan("orders", one), "reader was closed");
  expect_closed(*db_->Scan("orders", {.unordered = true, .batch_rows_max = 1}),
                "reader was closed");
  const auto in = *db_->Begin();
  expect_closed(*in->Scan("orders", one), "reader was closed");
  expect_closed(*db_->Changes("orders", CommitNumber{0}, {}, {.batch_rows_max = 1}),
                "reader of changes was closed");
  std::stop_source stop;
  const auto stopped = *db_->Scan("orders", {.stop = stop.get_token(), .batch_rows_max = 1});
  stop.request_stop();
  std::shared_ptr<arrow::RecordBatch> batch;
  EXPECT_TRUE(stopped->ReadNext(&batch).IsCancelled());
  EXPECT_TRUE(stopped->Close().ok());
}

TEST_F(BadInputTest, ADatabaseClosedUnderWhatIsOpenIsReadOnAndNothingElse) {
  const auto snapshot = *db_->GetSnapshot();
  const auto reader = *db_->Scan("orders", {.batch_rows_max = 1});
  const auto in = *db_->Begin();
  ASSERT_TRUE(in->Upsert("orders", RowsBatch({{1, "lost"}})));
  const auto cursor = *db_->FollowChanges("orders", CommitNumber{0});
  Close();
  EXPECT_EQ(testing::ReadRows(*snapshot, "orders"), rows_);
  EXPECT_EQ(testing::Drain(reader.get()), rows_);
  const auto rows = RowsBatch({{1, "late"}});
  const auto refused = [&](const auto& result) {
    Refused(result, ErrorKind::kInvalid, {"the database is closed", "open '/shop' again"},
            ErrorReason::kClosed);
  };
  refused(db_->Upsert("orders", rows));
  refused(WriteThen("orders", {.rows = rows}));
  refused(db_->RestoreTable("orders", CommitNumber{1}));
  refused(db_->CreateTable("new", testing::RowsSchema(), {"id"}));
  refused(db_->DropTable("orders"));
  refused(db_->Scan("orders"));
  refused(db_->GetSnapshot());
  refused(db_->FollowChanges("orders", CommitNumber{0}));
  refused(db_->Begin());
  refused(db_->Flush());
  refused(db_->Sync());
  refused(db_->Tag("x"));
  refused(db_->LastOf("feed"));
  refused(db_->Close());
  refused(in->Upsert("orders", rows));
  refused(in->Commit());
  const auto next = cursor->Next(0);
  ASSERT_FALSE(next);
  ExpectError(next.error(), ErrorKind::kInvalid, {"'orders' from commit 0", "open it again"},
              ErrorReason::kClosed);
}

TEST_F(BadInputTest, ATableThatCannotBeMadeSaysWhy) {
  const auto schema = testing::RowsSchema();
  Refused(db_->CreateTable("orders", schema, {"id"}), ErrorKind::kConflict, {"'orders'"},
          ErrorReason::kAlreadyExists);
  Refused(db_->CreateTable("../x", schema, {"id"}), ErrorKind::kInvalid, {"../x", "letters"});
  Refused(db_->CreateTable("new", schema, {"w"}), ErrorKind::kInvalid, {"'w'"});
  Refused(db_->CreateTable("new", schema, {}), ErrorKind::kInvalid, {"key"});
  Refused(db_->RenameTable("orders", "names"), ErrorKind::kConflict, {"'names'"},
          ErrorReason::kAlreadyExists);
  Refused(db_->AlterTable("orders", {DropColumn{"id"}}), ErrorKind::kInvalid,
          {"table 'orders'", "key column"});
}

}  // namespace
}  // namespace varve
