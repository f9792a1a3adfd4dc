// SPDX-License-Identifier: Apache-2.0
#include "view/scan.h"

#include "base/clock.h"
#include "test/support/seed.h"
#include "view/random_rows.h"
#include "view/view_fixture.h"

namespace varve {
namespace {

namespace cp = arrow::compute;
using testing::BatchPtr;
using testing::ExpectSame;
using testing::KeyBatch;
using testing::Ok;
using testing::Row;
using testing::RowKey;
using TablePtr = std::shared_ptr<arrow::Table>;

TablePtr ReadAll(const Snapshot& snapshot, const ScanOptions& options) {
  auto reader = Ok(snapshot.Scan("t", options));
  std::vector<BatchPtr> batches;
  for (BatchPtr batch;;) {
    const auto status = reader->ReadNext(&batch);
    EXPECT_TRUE(status.ok()) << status;
    if (!status.ok() || batch == nullptr) break;
    EXPECT_GT(batch->num_rows(), 0);
    EXPECT_LE(batch->num_rows(), options.batch_rows_max);
    EXPECT_TRUE(batch->ValidateFull().ok());
    batches.push_back(batch);
  }
  return arrow::Table::FromRecordBatches(reader->schema(), batches).ValueOrDie();
}

ScanOptions Where(const std::string& filter) {
  ScanOptions options;
  options.filter = Ok(ParseFilter(filter, testing::RowSchema()));
  return options;
}

// What the scan must give, computed by Arrow from the model's rows.
TablePtr Expected(const testing::RowModel& model, std::uint64_t as_of, const ScanOptions& options) {
  BatchPtr batch = testing::ToBatch(model.Rows(as_of));
  if (options.filter) {
    auto mask = cp::ExecuteScalarExpression(*options.filter, *batch->schema(), batch).ValueOrDie();
    if (mask.is_scalar()) {
      mask = *arrow::MakeArrayFromScalar(*mask.scalar(), batch->num_rows());
    }
    batch = cp::Filter(batch, mask).ValueOrDie().record_batch();
  }
  if (options.reverse) {
    arrow::Int64Builder order;
    for (std::int64_t i = batch->num_rows(); i-- > 0;) EXPECT_TRUE(order.Append(i).ok());
    batch = cp::Take(batch, *order.Finish()).ValueOrDie().record_batch();
  }
  if (options.limit) batch = batch->Slice(0, static_cast<std::int64_t>(*options.limit));
  std::vector<int> columns;
  for (const auto& name : options.columns.value_or(batch->schema()->field_names())) {
    columns.push_back(batch->schema()->GetFieldIndex(name));
  }
  const auto projected = batch->SelectColumns(columns).ValueOrDie();
  return arrow::Table::FromRecordBatches(projected->schema(), {projected}).ValueOrDie();
}

class ScanTest : public ::testing::Test {
 protected:
  testing::RowTable table_;

  void ExpectScan(const ScanOptions& options) {
    ExpectSame(ReadAll(table_.Newest(), options),
               Expected(table_.model(), table_.commit(), options));
  }
  // Rows (k, "a") with f = k, for k in [begin, end).
  std::uint64_t UpsertRange(std::int32_t begin, std::int32_t end) {
    std::vector<Row> rows;
    for (std::int32_t k = begin; k < end; ++k) rows.push_back({k, "a", k, "s", k, k});
    return table_.Upsert(rows);
  }
};

TEST_F(ScanTest, MergesMemtablesAndRuns) {
  UpsertRange(0, 10);
  table_.Flush();
  table_.Upsert({{3, "a", 30.0, "new", 1, 1}, {20, "b", {}, {}, {}, {}}});
  table_.Seal();
  table_.Delete({{4, "a"}, {99, "z"}});
  ExpectScan({});
  ExpectScan({.reverse = true});
  ExpectScan({.limit = 3});
  ExpectScan({.limit = 3, .reverse = true});
  ExpectScan({.batch_rows_max = 1});
  ExpectScan({.columns = {{"f", "k"}}});
}

// The newest version fails the filter and an older one passes it: the row must not appear. Tonbo
// evaluates filters inside each file.
TEST_F(ScanTest, HoleA_StaleVersionNeverPassesTheFilterInsteadOfTheNewest) {
  table_.Upsert({{1, "a", 5.0, {}, {}, {}}, {2, "a", 5.0, {}, {}, {}}});
  table_.Flush();
  table_.Upsert({{1, "a", 50.0, {}, {}, {}}});
  table_.Flush();  // (1, a): in different runs
  table_.Upsert({{2, "a", 50.0, {}, {}, {}}});  // (2, a): in the memtable and a run
  EXPECT_EQ(ReadAll(table_.Newest(), Where("f < 10"))->num_rows(), 0);
  EXPECT_EQ(ReadAll(table_.Newest(), Where("f > 10"))->num_rows(), 2);
  EXPECT_EQ(ReadAll(table_.At(1), Where("f < 10"))->num_rows(), 2);
  table_.Seal();
  EXPECT_EQ(ReadAll(table_.Newest(), Where("f < 10"))->num_rows(), 0);
}

// What cannot be read must not pass for a version that a transaction conflicts with.
TEST_F(ScanTest, DamageIsNoNewerVersion) {
  table_.Upsert({{1, "a", {}, {}, {}, {}}});
  table_.Upsert({{2, "b", {}, {}, {}, {}}});
  table_.Flush();
  table_.Damage(0);
  const auto found = FindNewer(*table_.View()->tables.at("t"), KeyBounds{}, CommitNumber{1});
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().kind(), ErrorKind::kCorruption) << found.error().message();
}

// Both versions in one source: the newer one fails the filter.
TEST_F(ScanTest, HoleA_StaleVersionInTheSameMemtableOrRunStaysHidden) {
  table_.Upsert({{1, "a", 5.0, {}, 5, {}}});
  table_.Upsert({{1, "a", 50.0, {}, 50, {}}});
  EXPECT_EQ(ReadAll(table_.Newest(), Where("n < 10"))->num_rows(), 0);
  table_.Flush();
  EXPECT_EQ(ReadAll(table_.Newest(), Where("n < 10"))->num_rows(), 0);
  EXPECT_EQ(ReadAll(table_.Newest(), Where("n > 10"))->num_rows(), 1);
  EXPECT_EQ(ReadAll(table_.At(1), Where("n < 10"))->num_rows(), 1);
}

// By their statistics only the group of the older version can hold what the filter accepts.
TEST_F(ScanTest, HoleA_AVersionInTheNextRowGroupStaysHidden) {
  table_.row_group_rows = 1;
  table_.Upsert({{1, "a", {}, {}, 5, {}}});
  table_.Upsert({{1, "a", {}, {}, 50, {}}});
  table_.Flush();
  ASSERT_EQ(table_.runs()[0]->Open()->row_group_keys().size(), 2u);
  for (const bool reverse : {false, true}) {
    ScanOptions options = Where("n < 10");
    options.reverse = reverse;
    EXPECT_EQ(ReadAll(table_.Newest(), options)->num_rows(), 0);
    EXPECT_EQ(ReadAll(table_.At(1), options)->num_rows(), 1);
  }
}

// By its statistics the newer run has nothing that the filter accepts. It must be read all the
// same: its rows hide those of the older one.
TEST_F(ScanTest, HoleA_ARunThatHidesOlderRowsIsNotLeftOutForItsValues) {
  UpsertRange(0, 100);
  table_.Flush();
  std::vector<Row> newer;
  for (std::int32_t k = 10; k < 90; ++k) newer.push_back({k, "a", k, "s", k + 1000, k});
  table_.Upsert(newer);
  table_.Flush();
  const auto plan = Ok(table_.Newest().Explain("t", Where("n < 50")));
  EXPECT_EQ(plan.sources[2].row_groups_read, 1u);
  ExpectScan(Where("n < 50"));  // 0 to 9 alone
  ExpectScan(Where("n >= 1000"));
}

TEST_F(ScanTest, RowGroupsWithoutAValueThatTheFilterAcceptsAreLeftOut) {
  UpsertRange(0, 200000);  // n = k
  table_.Flush();
  table_.Upsert({{100, "a", {}, {}, 199999, {}}});  // newer: hides, and is found
  ScanOptions options = Where("n >= 199000");
  const auto plan = Ok(table_.Newest().Explain("t", options));
  EXPECT_EQ(plan.sources[1].row_groups_read, 1u);
  EXPECT_EQ(plan.sources[1].reason, "3 of 4 row groups without a value that the filter accepts");
  ExpectScan(options);
  EXPECT_EQ(table_.runs()[0]->row_groups_read(), 1u);
  for (const char* filter :
       {"n is null", "n = 70000 or n = 5", "not (n < 199999)", "n + 1 > 199999", "n in (3, 150000)",
        "n < 0", "s = 's' and n < 10", "f > 199998"}) {
    SCOPED_TRACE(filter);
    ExpectScan(Where(filter));
    options = Where(filter);
    options.reverse = true;
    ExpectScan(options);
  }
}

TEST_F(ScanTest, NullsAreFoundInRowGroupsWhoseValuesAreOutside) {
  table_.Upsert({{1, "a", {}, {}, 5, {}}, {2, "a", {}, {}, {}, {}}, {3, "a", {}, {}, {}, {}}});
  table_.Flush();
  for (const char* filter : {"n is null", "n is null or n > 9", "n > 9", "n is not null",
                             "not (n = 5)", "not (n is null)"}) {
    SCOPED_TRACE(filter);
    ExpectScan(Where(filter));
  }
}

TEST_F(ScanTest, ACancelledScanSaysSoAndLetsEverythingGo) {
  UpsertRange(0, 5000);
  table_.Flush();
  std::stop_source stop;
  auto view = table_.View();
  const std::weak_ptr<const Superversion> watched = view;
  auto reader = Ok(Snapshot(std::move(view), {1}).Scan("t", {.stop = stop.get_token(),
                                                             .batch_rows_max = 100}));
  BatchPtr batch;
  ASSERT_TRUE(reader->ReadNext(&batch).ok());
  stop.request_stop();
  const auto status = reader->ReadNext(&batch);
  EXPECT_TRUE(status.IsCancelled()) << status;
  EXPECT_EQ(batch, nullptr);
  EXPECT_TRUE(watched.expired());
  EXPECT_TRUE(reader->ReadNext(&batch).IsCancelled());
  EXPECT_TRUE(reader->Close().ok());
}

// The filter drops every row: the read would otherwise run to the end of the table.
// Nothing is read for it any more, though it has not given a row yet.
TEST_F(ScanTest, AScanIsCancelledWhileItLooksForItsFirstRow) {
  table_.row_group_rows = 10;
  std::stop_source stop;
  stop.request_stop();
  for (int runs = 1; runs <= 3; ++runs) {
    UpsertRange(0, 500);
    table_.Flush();
    for (const int order : {0, 1, 2}) {
      ScanOptions options = Where("n + k < 0");
      options.stop = stop.get_token();
      options.batch_rows_max = 1;
      options.reverse = order == 1;
      options.unordered = order == 2;
      BatchPtr batch;
      EXPECT_TRUE(Ok(table_.Newest().Scan("t", options))->ReadNext(&batch).IsCancelled());
    }
  }
  for (const auto& run : table_.runs()) EXPECT_EQ(run->row_groups_read(), 0u);
}

// Time goes on by 10 us with each question.
class CountingClock final : public Clock {
 public:
  WallTime Now() override { return {}; }
  std::int64_t SteadyMicros() override { return 10 * ++questions; }
  void WaitWord(const std::atomic<std::uint32_t>&, std::uint32_t, std::int64_t) override {}
  std::int64_t questions = 0;
};

TEST_F(ScanTest, AProfileSaysWhereTheTimeWent) {
  UpsertRange(0, 25);
  CountingClock clock;
  auto view = std::make_shared<Superversion>(*table_.View());
  view->clock = &clock;
  const Snapshot snapshot(view, {table_.commit()});
  ReadAll(snapshot, {});
  EXPECT_EQ(clock.questions, 0);  // nobody wants to know

  ScanOptions options{.batch_rows_max = 10, .profile = std::make_shared<ScanProfile>()};
  auto reader = Ok(snapshot.Scan("t", options));
  const ScanProfile& profile = *options.profile;
  EXPECT_EQ(profile.plan_micros, 10);
  EXPECT_EQ(profile.read_micros, 0);
  BatchPtr batch;
  ASSERT_TRUE(reader->ReadNext(&batch).ok());
  EXPECT_EQ(profile.first_micros, 10);
  EXPECT_EQ(profile.read_micros, 30);  // around the questions of the other
  EXPECT_EQ(profile.rows, 10u);
  while (batch != nullptr) ASSERT_TRUE(reader->ReadNext(&batch).ok());
  EXPECT_EQ(profile.first_micros, 10);
  EXPECT_EQ(profile.read_micros, 60);
  EXPECT_EQ(profile.rows, 25u);
  EXPECT_EQ(profile.batches, 3u);
  EXPECT_EQ(profile.plan_micros, 10);
}

TEST_F(ScanTest, DeleteHidesWhatAFilterWouldFind) {
  table_.Upsert({{1, "a", 5.0, {}, {}, {}}});
  table_.Flush();
  table_.Delete({{1, "a"}});
  EXPECT_EQ(ReadAll(table_.Newest(), Where("f = 5"))->num_rows(), 0);
  table_.Flush();
  EXPECT_EQ(ReadAll(table_.Newest(), Where("f = 5"))->num_rows(), 0);
  EXPECT_EQ(ReadAll(table_.At(1), Where("f = 5"))->num_rows(), 1);
}

TEST_F(ScanTest, FiltersOnColumnsThatItDoesNotGive) {
  UpsertRange(0, 10);
  table_.Flush();
  ScanOptions options = Where("f >= 3 and s = 's' and k < 8");
  for (const auto& columns : {std::vector<std::string>{"at"}, {"name", "f"}, {}}) {
    options.columns = columns;
    const auto found = ReadAll(table_.Newest(), options);
    EXPECT_EQ(found->num_columns(), static_cast<int>(columns.size()));
    EXPECT_EQ(found->num_rows(), 5);
    options.reverse = !options.reverse;
  }
}

TEST_F(ScanTest, NoColumnsStillCount) {
  UpsertRange(0, 10);
  table_.Flush();
  table_.Upsert({{3, "a", 0.0, {}, {}, {}}, {77, "a", 0.0, {}, {}, {}}});
  EXPECT_EQ(ReadAll(table_.Newest(), {.columns = {{}}})->num_rows(), 11);
  EXPECT_EQ(ReadAll(table_.Newest(), {.columns = {{}}, .limit = 4})->num_rows(), 4);
  EXPECT_EQ(ReadAll(table_.Newest(), {.columns = {{}}, .reverse = true})->num_rows(), 11);
}

TEST_F(ScanTest, WholeRunIsPassedOnWithoutACopy) {
  UpsertRange(0, 5000);
  table_.Flush();
  auto reader = Ok(table_.Newest().Scan("t"));
  BatchPtr batch;
  ASSERT_TRUE(reader->ReadNext(&batch).ok());
  EXPECT_EQ(batch->num_rows(), 5000);
  EXPECT_EQ(batch->column(0)->offset(), 0);
}

TEST_F(ScanTest, ReadsOnlyTheRowGroupsOfTheRange) {
  UpsertRange(0, 200000);
  table_.Flush();
  const auto plan = Ok(table_.Newest().Explain("t", Where("k between 70000 and 70010")));
  const auto& run = plan.sources.back();
  EXPECT_EQ(run.row_groups, 4u);
  EXPECT_EQ(run.row_groups_read, 1u);
  EXPECT_EQ(run.reason, "3 of 4 row groups outside the key range");
  EXPECT_LT(run.bytes_read, run.bytes / 2);
  EXPECT_EQ(plan.key_range, "k >= 70000 and k <= 70010");
  ExpectScan(Where("k between 70000 and 70010"));
  EXPECT_EQ(table_.runs()[0]->row_groups_read(), 1u);
}

TEST_F(ScanTest, ReverseReadsFromTheEnd) {
  UpsertRange(0, 200000);
  table_.Flush();
  ExpectScan({.limit = 10, .reverse = true});
  EXPECT_LE(table_.runs()[0]->row_groups_read(), 2u);
  ExpectScan({.columns = {{"k"}}, .reverse = true});
}

TEST_F(ScanTest, ExplainSaysWhatIsSkippedAndWhy) {
  UpsertRange(0, 10);
  table_.Flush();
  UpsertRange(100, 110);
  table_.Flush();
  UpsertRange(200, 210);
  const auto plan = Ok(table_.At(1).Explain("t", Where("k >= 50 and f > 3")));
  EXPECT_EQ(plan.as_of, CommitNumber{1});
  ASSERT_EQ(plan.sources.size(), 3u);
  EXPECT_EQ(plan.sources[0].name, "memtable");
  EXPECT_EQ(plan.sources[0].rows, 10u);
  EXPECT_EQ(plan.sources[1].reason, "all keys outside the range");
  EXPECT_EQ(plan.sources[1].row_groups_read, 0u);
  EXPECT_EQ(plan.sources[2].reason, "newer than commit 1");
  EXPECT_EQ(plan.sources[2].bytes_read, 0u);
  EXPECT_EQ(plan.key_range, "k >= 50");
  EXPECT_NE(plan.filter.find("f > 3"), std::string::npos) << plan.filter;
  EXPECT_EQ(Ok(table_.Newest().Explain("t")).key_range, "all");
}

TEST_F(ScanTest, RefusesWhatItCannotDo) {
  const auto error = [&](const ScanOptions& options) {
    auto reader = table_.Newest().Scan("t", options);
    return reader ? "scanned" : reader.error().message();
  };
  EXPECT_EQ(error({.columns = {{"k", "k"}}}), "table 't': column 'k' is asked for twice");
  EXPECT_EQ(error({.columns = {{"nam"}}}), "table 't': no column 'nam'; did you mean 'name'?");
  EXPECT_EQ(error({.batch_rows_max = 0}), "table 't': batch_rows_max is 0; expected at least 1");
  ScanOptions options;
  options.filter = std::make_shared<cp::Expression>(cp::field_ref("k"));
  EXPECT_NE(error(options).find("gives int32"), std::string::npos);
  options.filter = std::make_shared<cp::Expression>();
  EXPECT_NE(error(options).find("empty"), std::string::npos);
}

TEST_F(ScanTest, CallersExpressionNeedNotBeBound) {
  UpsertRange(0, 10);
  ScanOptions options;
  options.columns = {{"name"}};
  for (const auto& ref : {arrow::FieldRef("f"), arrow::FieldRef(2)}) {
    options.filter =
        std::make_shared<cp::Expression>(cp::greater(cp::field_ref(ref), cp::literal(7)));
    EXPECT_EQ(ReadAll(table_.Newest(), options)->num_rows(), 2);
  }
}

TEST_F(ScanTest, ErrorWhileFilteringEndsTheScan) {
  table_.Upsert({{1, "a", {}, {}, INT64_MAX, {}}});
  auto reader = Ok(table_.Newest().Scan("t", Where("n + 1 > 0")));
  BatchPtr batch;
  const auto status = reader->ReadNext(&batch);
  EXPECT_EQ(ErrorFromArrow(status).kind(), ErrorKind::kInvalid) << status;
  EXPECT_NE(status.message().find("overflow"), std::string::npos) << status;
  EXPECT_FALSE(reader->ReadNext(&batch).ok());
}

TEST_F(ScanTest, ClosedReaderSaysSo) {
  UpsertRange(0, 10);
  auto reader = Ok(table_.Newest().Scan("t"));
  ASSERT_TRUE(reader->Close().ok());
  ASSERT_TRUE(reader->Close().ok());
  BatchPtr batch;
  const Error error = ErrorFromArrow(reader->ReadNext(&batch));
  EXPECT_EQ(error.reason(), ErrorReason::kClosed);
  EXPECT_EQ(batch, nullptr);
}

TEST_F(ScanTest, ReaderKeepsWhatItReads) {
  UpsertRange(0, 10);
  std::weak_ptr<const Superversion> watched;
  std::shared_ptr<arrow::RecordBatchReader> reader;
  {
    auto view = table_.View();
    watched = view;
    reader = Ok(Snapshot(view, {1}).Scan("t", {.batch_rows_max = 4}));
  }
  BatchPtr batch;
  ASSERT_TRUE(reader->ReadNext(&batch).ok());
  EXPECT_FALSE(watched.expired());
  ASSERT_TRUE(reader->Close().ok());
  EXPECT_TRUE(watched.expired());
  EXPECT_TRUE(batch->ValidateFull().ok());  // what was given stays
}

TEST_F(ScanTest, SnapshotKnowsItsTables) {
  const Snapshot snapshot = table_.Newest();
  EXPECT_EQ(snapshot.Tables(), std::vector<std::string>{"t"});
  EXPECT_EQ(Ok(snapshot.Key("t")), (std::vector<std::string>{"k", "name"}));
  EXPECT_TRUE(Ok(snapshot.Schema("t"))->Equals(*testing::RowSchema()));
  const auto missing = snapshot.Schema("orders");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().kind(), ErrorKind::kNotFound);
  EXPECT_EQ(missing.error().message(), "no table 'orders'; tables: t");
  EXPECT_EQ(snapshot.Scan("x").error().kind(), ErrorKind::kNotFound);
}

// Tonbo's transactions look in memory alone, pass over deletes, and let the oldest sealed memtable
// win.
TEST_F(ScanTest, HoleE_GetSeesRunsDeletesAndTheNewestOfSeveralSealed) {
  UpsertRange(0, 3);
  table_.Delete({{1, "a"}});
  table_.Flush();
  for (const double f : {10.0, 20.0, 30.0}) {
    table_.Upsert({{2, "a", f, {}, {}, {}}, {7, "a", f, {}, {}, {}}});
    table_.Seal();
  }
  table_.Delete({{7, "a"}});
  table_.Seal();
  std::vector<bool> found;
  const auto rows =
      Ok(table_.Newest().Get("t", KeyBatch({{0, "a"}, {1, "a"}, {2, "a"}, {7, "a"}}), &found));
  EXPECT_EQ(found, (std::vector<bool>{true, false, true, false}));
  const auto& f = static_cast<const arrow::DoubleArray&>(*rows->column(2));
  EXPECT_EQ(f.Value(0), 0.0);
  EXPECT_EQ(f.Value(1), 30.0);
}

TEST_F(ScanTest, GetFindsTheNewestVersionWhereverItIs) {
  UpsertRange(0, 10);
  table_.Flush();
  table_.Upsert({{3, "a", 30.0, "run", 1, 1}});
  table_.Flush();
  table_.Upsert({{4, "a", 40.0, "sealed", 1, 1}});
  table_.Delete({{5, "a"}});
  table_.Seal();
  table_.Upsert({{6, "a", 60.0, "active", 1, 1}});
  std::vector<bool> found;
  const auto keys =
      KeyBatch({{6, "a"}, {5, "a"}, {4, "a"}, {3, "a"}, {2, "a"}, {2, "b"}, {6, "a"}});
  const auto rows = Ok(table_.Newest().Get("t", keys, &found));
  EXPECT_EQ(found, (std::vector<bool>{true, false, true, true, true, false, true}));
  const auto& f = static_cast<const arrow::DoubleArray&>(*rows->column(2));
  ASSERT_EQ(rows->num_rows(), 5);
  EXPECT_EQ(f.Value(0), 60.0);
  EXPECT_EQ(f.Value(1), 40.0);
  EXPECT_EQ(f.Value(2), 30.0);
  EXPECT_EQ(f.Value(3), 2.0);
  EXPECT_EQ(f.Value(4), 60.0);
  EXPECT_EQ(Ok(table_.At(1).Get("t", keys, &found))->num_rows(), 6);
  EXPECT_EQ(Ok(table_.Newest().Get("t", KeyBatch({}), &found))->num_rows(), 0);
  EXPECT_TRUE(found.empty());
}

// After a compaction the run with the newest commit need not hold the newest version of each key.
TEST_F(ScanTest, GetTrustsCommitsAndNotTheOrderOfRuns) {
  table_.UpsertAt({{1, "a", 1.0, {}, {}, {}}}, 1);
  table_.UpsertAt({{2, "a", 5.0, {}, {}, {}}}, 5);
  table_.Flush();
  table_.UpsertAt({{1, "a", 3.0, {}, {}, {}}}, 3);
  table_.Flush();
  const auto rows = Ok(table_.At(5).Get("t", KeyBatch({{1, "a"}})));
  ASSERT_EQ(rows->num_rows(), 1);
  EXPECT_EQ(static_cast<const arrow::DoubleArray&>(*rows->column(2)).Value(0), 3.0);
  EXPECT_EQ(ReadAll(table_.At(5), Where("f = 1"))->num_rows(), 0);
}

// The seeded life of a table: commits, deletes, seals and flushes in any order.
void Live(testing::RowTable* table, Random& random, int steps) {
  for (int step = 0; step < steps; ++step) {
    std::map<RowKey, Row> rows;
    for (std::uint64_t i = 0; i <= random.Below(12); ++i) {
      const Row row = testing::RandomRow(random);
      rows[{row.k, row.name}] = row;
    }
    std::vector<Row> upserts;
    std::vector<RowKey> deletes;
    for (const auto& [key, row] : rows) {
      upserts.push_back(row);
      deletes.push_back(key);
    }
    switch (random.Below(8)) {
      case 0: table->Seal(); break;
      case 1:
        table->row_group_rows = testing::RandomGroupRows(random);
        table->Flush();
        break;
      case 2: table->Delete(deletes); break;
      default: table->Upsert(upserts); break;
    }
  }
}

ScanOptions RandomOptions(Random& random) {
  ScanOptions options = random.Below(4) != 0 ? Where(testing::RandomFilter(random)) : ScanOptions{};
  options.reverse = random.Below(3) == 0;
  options.batch_rows_max = static_cast<std::int64_t>(1 + random.Below(20));
  if (random.Below(3) == 0) options.limit = random.Below(20);
  if (random.Below(2) == 0) {
    std::vector<std::string> columns = {"s", "k", "at", "f", "v", "n", "name"};
    for (std::size_t i = columns.size(); i-- > 1;) {
      std::swap(columns[i], columns[random.Below(i + 1)]);
    }
    columns.resize(1 + random.Below(columns.size()));
    options.columns = columns;
  }
  return options;
}

TEST(ScanModel, EverySnapshotShowsWhatTheModelSays) {
  const std::uint64_t seed = testing::TestSeed(5);
  for (std::uint64_t life = 0; life < 25; ++life) {
    SCOPED_TRACE(testing::SeedTrace(seed) + ", life " + std::to_string(life));
    SeededRandom random(seed * 1000 + life);
    testing::RowTable table;
    Live(&table, random, 40);
    for (int i = 0; i < 40; ++i) {
      const std::uint64_t as_of = random.Below(table.commit() + 1);
      const ScanOptions options = RandomOptions(random);
      SCOPED_TRACE("as of " + std::to_string(as_of) + ", limit " +
                   std::to_string(options.limit.value_or(999)) +
                   (options.reverse ? ", reverse, " : ", ") +
                   (options.filter ? options.filter->ToString() : ""));
      ExpectSame(ReadAll(table.At(as_of), options), Expected(table.model(), as_of, options));
      if (::testing::Test::HasFailure()) return;
    }
  }
}

// A caller's range gives the same rows as the filter that says the same.
TEST(ScanModel, RangesAgreeWithFilters) {
  const std::uint64_t seed = testing::TestSeed(6);
  SCOPED_TRACE(testing::SeedTrace(seed));
  SeededRandom random(seed);
  testing::RowTable table;
  Live(&table, random, 60);
  for (int i = 0; i < 200; ++i) {
    const auto low = static_cast<std::int32_t>(random.Below(10)) - 1;
    const auto high = static_cast<std::int32_t>(random.Below(10)) - 1;
    ScanOptions ranged;
    ranged.range.lower = KeyBatch({{low, ""}})->SelectColumns({0}).ValueOrDie();
    ranged.range.upper = KeyBatch({{high, ""}})->SelectColumns({0}).ValueOrDie();
    ranged.range.lower_inclusive = random.Below(2) == 0;
    ranged.range.upper_inclusive = random.Below(2) == 0;
    ranged.reverse = random.Below(2) == 0;
    ScanOptions filtered = Where(std::string("k >") + (ranged.range.lower_inclusive ? "= " : " ") +
                                 std::to_string(low) + " and k <" +
                                 (ranged.range.upper_inclusive ? "= " : " ") +
                                 std::to_string(high));
    filtered.reverse = ranged.reverse;
    ExpectSame(ReadAll(table.Newest(), ranged), ReadAll(table.Newest(), filtered));
  }
}

TEST(ScanModel, GetAgreesWithTheModel) {
  const std::uint64_t seed = testing::TestSeed(8);
  SCOPED_TRACE(testing::SeedTrace(seed));
  SeededRandom random(seed);
  testing::RowTable table;
  Live(&table, random, 80);
  for (int i = 0; i < 200; ++i) {
    const std::uint64_t as_of = random.Below(table.commit() + 1);
    std::vector<RowKey> keys;
    std::vector<Row> expected;
    std::vector<bool> expected_found;
    for (std::uint64_t j = 0; j < random.Below(12); ++j) {
      const Row row = testing::RandomRow(random);
      keys.push_back({row.k, row.name});
      const auto known = table.model().Find(keys.back(), as_of);
      expected_found.push_back(known.has_value());
      if (known) expected.push_back(*known);
    }
    std::vector<bool> found;
    const auto rows = Ok(table.At(as_of).Get("t", KeyBatch(keys), &found));
    EXPECT_EQ(found, expected_found);
    EXPECT_TRUE(rows->Equals(*testing::ToBatch(expected))) << rows->ToString();
  }
}

}  // namespace
}  // namespace varve
