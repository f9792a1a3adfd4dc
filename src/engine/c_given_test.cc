// SPDX-License-Identifier: Apache-2.0
// Key ranges, stops and write modes that C gives: to scans, changes, writes and transactions.
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "engine/c_database_fixture.h"
#include "test/support/failing_memory.h"

namespace varve {
namespace {

using testing::CDatabase;
using testing::Rows;
using testing::RowsBatch;

std::shared_ptr<arrow::RecordBatch> IdRows(const std::vector<std::int64_t>& values,
                                           const char* name = "id") {
  arrow::Int64Builder ids;
  EXPECT_TRUE(ids.AppendValues(values).ok());
  return arrow::RecordBatch::Make(arrow::schema({arrow::field(name, arrow::int64())}),
                                  static_cast<std::int64_t>(values.size()), {*ids.Finish()});
}

// A range as C has it; null is no bound.
struct Range {
  explicit Range(const std::shared_ptr<arrow::RecordBatch>& lower,
                 const std::shared_ptr<arrow::RecordBatch>& upper = nullptr) {
    c.size = sizeof c;
    if (lower != nullptr) {
      EXPECT_TRUE(arrow::ExportRecordBatch(*lower, &arrays[0], &schemas[0]).ok());
      c.lower = &arrays[0];
      c.lower_schema = &schemas[0];
    }
    if (upper != nullptr) {
      EXPECT_TRUE(arrow::ExportRecordBatch(*upper, &arrays[1], &schemas[1]).ok());
      c.upper = &arrays[1];
      c.upper_schema = &schemas[1];
    }
  }
  Range(const Range&) = delete;
  ~Range() {
    for (ArrowArray& array : arrays) {
      if (array.release != nullptr) array.release(&array);
    }
    for (ArrowSchema& schema : schemas) {
      if (schema.release != nullptr) schema.release(&schema);
    }
  }
  bool taken() const {
    return arrays[0].release == nullptr && arrays[1].release == nullptr &&
           schemas[0].release == nullptr && schemas[1].release == nullptr;
  }
  varve_db_key_range c = {};
  ArrowArray arrays[2] = {};
  ArrowSchema schemas[2] = {};
};

varve_db_scan_options Within(const Range& range) {
  varve_db_scan_options options = {};
  options.size = sizeof options;
  options.range = &range.c;
  return options;
}

class CGiven : public CDatabase {
 protected:
  void SetUp() override {
    CDatabase::SetUp();
    Ok(Upsert({{1, "a"}, {2, "b"}, {3, "c"}, {4, "d"}, {5, "e"}}));
  }
  Rows ScanWithin(const Range& range) {
    const auto options = Within(range);
    const Rows rows = ScanAt(nullptr, &options);
    EXPECT_TRUE(range.taken());
    return rows;
  }
  std::string RefusedScan(const Range& range, const char* table = "t",
                          int kind = VARVE_LOG_INVALID) {
    varve_db_snapshot* snapshot = nullptr;
    Ok(varve_db_snapshot_take(db_, nullptr, &snapshot, &error_));
    const auto options = Within(range);
    ArrowArrayStream stream;
    auto message = Refused(varve_db_scan(snapshot, table, &options, &stream, &error_), kind);
    varve_db_snapshot_free(snapshot);
    return message;
  }
  static varve_db_write_options Mode(int mode) {
    varve_db_write_options options = {};
    options.size = sizeof options;
    options.mode = mode;
    return options;
  }
  varve_db_transaction* Begin(int isolation = VARVE_DB_SNAPSHOT) {
    varve_db_transaction* transaction = nullptr;
    Ok(varve_db_begin(db_, isolation, &transaction, &error_));
    return transaction;
  }
  int WriteIn(varve_db_transaction* transaction, const varve_db_write_options& options,
              const std::shared_ptr<arrow::RecordBatch>& rows = nullptr, const char* table = "t") {
    if (rows == nullptr) {
      return varve_db_transaction_write(transaction, table, nullptr, nullptr, &options, &error_);
    }
    Exported batch(*rows);
    const int code = varve_db_transaction_write(transaction, table, &batch.array, &batch.schema,
                                                &options, &error_);
    EXPECT_EQ(batch.array.release, nullptr) << "the rows were not taken";
    EXPECT_EQ(batch.schema.release, nullptr) << "the schema was not taken";
    return code;
  }
  void CommitAndFree(varve_db_transaction* transaction) {
    Ok(varve_db_transaction_commit(transaction, VARVE_LOG_DURABLE, nullptr, &error_));
    varve_db_transaction_free(transaction);
  }
};

TEST_F(CGiven, ARangeBoundsAScanOnBothSides) {
  EXPECT_EQ(ScanWithin(Range(IdRows({2}), IdRows({4}))), (Rows{{2, "b"}, {3, "c"}}));
  EXPECT_EQ(ScanWithin(Range(IdRows({4}))), (Rows{{4, "d"}, {5, "e"}}));
  EXPECT_EQ(ScanWithin(Range(nullptr, IdRows({2}))), (Rows{{1, "a"}}));
  EXPECT_EQ(ScanWithin(Range(nullptr)).size(), 5u);
  EXPECT_EQ(ScanWithin(Range(IdRows({4}), IdRows({2}))), Rows());
  Range turned(IdRows({2}), IdRows({4}));
  turned.c.lower_exclusive = 1;
  turned.c.upper_inclusive = 1;
  EXPECT_EQ(ScanWithin(turned), (Rows{{3, "c"}, {4, "d"}}));
  Range narrowed(IdRows({2}), IdRows({5}));
  auto options = Within(narrowed);
  options.filter = "v <> 'c'";
  options.reverse = 1;
  options.has_limit = 1;
  options.limit = 1;
  EXPECT_EQ(ScanAt(nullptr, &options), (Rows{{4, "d"}}));
  varve_db_snapshot* snapshot = nullptr;
  Ok(varve_db_snapshot_take(db_, nullptr, &snapshot, &error_));
  Range counted(IdRows({3}));
  options = Within(counted);
  std::uint64_t rows = 0;
  Ok(varve_db_count(snapshot, "t", &options, &rows, &error_));
  EXPECT_EQ(rows, 3u);
  EXPECT_TRUE(counted.taken());
  varve_db_snapshot_free(snapshot);
}

TEST_F(CGiven, ABoundOfFewerColumnsStandsForAllKeysThatBeginWithIt) {
  ArrowSchema schema;
  const auto fields = arrow::schema(
      {arrow::field("a", arrow::int64(), false), arrow::field("b", arrow::int64(), false)});
  ASSERT_TRUE(arrow::ExportSchema(*fields, &schema).ok());
  const char* key[] = {"a", "b"};
  Ok(varve_db_create_table(db_, "pairs", &schema, key, 2, &error_));
  const auto as = IdRows({1, 1, 2, 2, 3})->column(0), bs = IdRows({1, 2, 1, 2, 1})->column(0);
  Exported pairs(*arrow::RecordBatch::Make(fields, 5, {as, bs}));
  Ok(varve_db_upsert(db_, "pairs", &pairs.array, &pairs.schema, VARVE_LOG_DURABLE, nullptr,
                     &error_));
  varve_db_snapshot* snapshot = nullptr;
  Ok(varve_db_snapshot_take(db_, nullptr, &snapshot, &error_));
  const auto count = [&](bool lower_exclusive, bool upper_inclusive) {
    Range range(IdRows({1}, "a"), IdRows({2}, "a"));
    range.c.lower_exclusive = lower_exclusive;
    range.c.upper_inclusive = upper_inclusive;
    const auto options = Within(range);
    std::uint64_t rows = 0;
    Ok(varve_db_count(snapshot, "pairs", &options, &rows, &error_));
    return rows;
  };
  EXPECT_EQ(count(false, false), 2u);
  EXPECT_EQ(count(false, true), 4u);
  EXPECT_EQ(count(true, true), 2u);
  EXPECT_EQ(count(true, false), 0u);
  varve_db_snapshot_free(snapshot);
}

TEST_F(CGiven, ABoundOfAnotherShapeIsRefusedAndTaken) {
  Range two(IdRows({1, 2})), name(nullptr, IdRows({1}, "n")), half(IdRows({1})), gone(IdRows({1})),
      unknown(IdRows({1}), IdRows({2})),
      text(RowsBatch({{1, "a"}})->SelectColumns({1}).ValueOrDie());
  EXPECT_NE(RefusedScan(two).find("lower bound has 2 rows"), std::string::npos);
  EXPECT_TRUE(two.taken());
  EXPECT_NE(RefusedScan(name).find("upper bound has column 'n'"), std::string::npos);
  EXPECT_NE(RefusedScan(text).find("lower bound has column 'v'"), std::string::npos);
  half.c.lower_schema = nullptr;
  EXPECT_NE(RefusedScan(half).find("lower bound"), std::string::npos);
  gone.arrays[0].release(&gone.arrays[0]);
  EXPECT_NE(RefusedScan(gone).find("released already"), std::string::npos);
  RefusedScan(unknown, "no", VARVE_LOG_NOT_FOUND);
  EXPECT_TRUE(unknown.taken());
  Range nobody(IdRows({1}));
  const auto options = Within(nobody);
  ArrowArrayStream stream;
  Refused(varve_db_scan(nullptr, "t", &options, &stream, &error_), VARVE_LOG_INVALID);
  EXPECT_TRUE(nobody.taken());
  Range left(IdRows({1}));
  left.c.size = 7;
  EXPECT_NE(RefusedScan(left).find("varve_db_key_range"), std::string::npos);
  EXPECT_FALSE(left.taken()) << "who knows what it is";
}

TEST_F(CGiven, AnOlderProgramsOptionsHaveNoRange) {
  auto options = varve_db_scan_options{};
  options.size = offsetof(varve_db_scan_options, range);
  options.range = reinterpret_cast<const varve_db_key_range*>(1);  // behind what it has
  options.stop = reinterpret_cast<const varve_db_stop*>(1);
  EXPECT_EQ(ScanAt(nullptr, &options).size(), 5u);
}

TEST_F(CGiven, ChangesHaveARangeToo) {
  varve_db_snapshot* snapshot = nullptr;
  Ok(varve_db_snapshot_take(db_, nullptr, &snapshot, &error_));
  varve_db_changes_options options = {};
  options.size = sizeof options;
  Range some(IdRows({4}));
  options.range = &some.c;
  ArrowArrayStream stream;
  Ok(varve_db_changes(snapshot, "t", 0, &options, &stream, &error_));
  EXPECT_TRUE(some.taken());
  EXPECT_EQ((*(*arrow::ImportRecordBatchReader(&stream))->ToTable())->num_rows(), 2);
  varve_db_snapshot_free(snapshot);
  Range fewer(nullptr, IdRows({2}));
  options.range = &fewer.c;
  varve_db_cursor* cursor = nullptr;
  Ok(varve_db_follow(db_, "t", 0, &options, &cursor, &error_));
  ArrowArray rows;
  ArrowSchema schema;
  Ok(varve_db_cursor_next(cursor, 0, &rows, &schema, &error_));
  EXPECT_EQ((*arrow::ImportRecordBatch(&rows, &schema))->num_rows(), 1);
  varve_db_cursor_free(cursor);
  Range wrong(IdRows({1}, "n"));
  options.range = &wrong.c;
  Refused(varve_db_follow(db_, "t", 0, &options, &cursor, &error_), VARVE_LOG_INVALID);
  EXPECT_TRUE(wrong.taken());
}

TEST_F(CGiven, WhatIsStoppedSaysSo) {
  varve_db_stop* stop = nullptr;
  Ok(varve_db_stop_new(&stop, &error_));
  varve_db_scan_options options = {};
  options.size = sizeof options;
  options.stop = stop;
  EXPECT_EQ(ScanAt(nullptr, &options).size(), 5u) << "nobody asked yet";
  varve_db_snapshot* snapshot = nullptr;
  Ok(varve_db_snapshot_take(db_, nullptr, &snapshot, &error_));
  ArrowArrayStream stream;
  Ok(varve_db_scan(snapshot, "t", &options, &stream, &error_));
  varve_db_stop_request(stop);
  varve_db_stop_request(stop);
  ArrowArray batch;
  EXPECT_NE(stream.get_next(&stream, &batch), 0);
  EXPECT_NE(std::string(stream.get_last_error(&stream)).find("cancelled"), std::string::npos);
  std::uint64_t rows = 7;
  const int counted = varve_db_count(snapshot, "t", &options, &rows, &error_);
  EXPECT_NE(Refused(counted, VARVE_LOG_INVALID, VARVE_LOG_CLOSED).find("cancelled"),
            std::string::npos);
  EXPECT_EQ(rows, 7u);
  varve_db_changes_options changes = {};
  changes.size = sizeof changes;
  changes.stop = stop;
  varve_db_cursor* cursor = nullptr;
  Ok(varve_db_follow(db_, "t", 0, &changes, &cursor, &error_));
  varve_db_stop_free(stop);  // the others go on without the handle
  ArrowSchema schema;
  Refused(varve_db_cursor_next(cursor, 0, &batch, &schema, &error_), VARVE_LOG_INVALID,
          VARVE_LOG_CLOSED);
  EXPECT_NE(stream.get_next(&stream, &batch), 0);
  stream.release(&stream);
  varve_db_cursor_free(cursor);
  varve_db_snapshot_free(snapshot);
  Refused(varve_db_stop_new(nullptr, &error_), VARVE_LOG_INVALID);
  varve_db_stop_request(nullptr);
  varve_db_stop_free(nullptr);
}

// Of a scan and of changes, that were stopped: each call is refused memory at another place.
TEST_F(CGiven, AStreamThatIsRefusedTheMemoryToTellAnErrorThrowsNothing) {
  varve_db_stop* stop = nullptr;
  Ok(varve_db_stop_new(&stop, &error_));
  varve_db_scan_options scan = {};
  scan.size = sizeof scan;
  scan.stop = stop;
  varve_db_changes_options changes = {};
  changes.size = sizeof changes;
  changes.stop = stop;
  varve_db_snapshot* snapshot = nullptr;
  Ok(varve_db_snapshot_take(db_, nullptr, &snapshot, &error_));
  ArrowArrayStream streams[2];
  Ok(varve_db_scan(snapshot, "t", &scan, &streams[0], &error_));
  Ok(varve_db_changes(snapshot, "t", 0, &changes, &streams[1], &error_));
  varve_db_stop_request(stop);
  for (auto& stream : streams) {
    bool refused = true;
    for (int nth = 1; refused; ++nth) {
      SCOPED_TRACE(nth);
      ArrowArray batch;
      int code = 0;
      {
        const testing::FailingAllocation allocation(nth);
        EXPECT_NO_THROW(code = stream.get_next(&stream, &batch));
        refused = allocation.hit();
      }
      ASSERT_NE(code, 0);
      const char* const found = stream.get_last_error(&stream);
      ASSERT_NE(found, nullptr);
      if (refused) continue;  // the text may be cut short
      const std::string why = found;
      EXPECT_TRUE(why.contains("out of memory") || why.contains("cancelled")) << why;
    }
    stream.release(&stream);
    EXPECT_EQ(stream.release, nullptr);
  }
  varve_db_snapshot_free(snapshot);
  varve_db_stop_free(stop);
}

TEST_F(CGiven, AWriteDeletesARangeAndTellsWhatItPassedOver) {
  auto options = Mode(VARVE_DB_DELETE_WHERE);
  options.level = VARVE_LOG_DURABLE;
  Range middle(IdRows({2}), IdRows({5}));
  options.range = &middle.c;
  options.filter = "v <> 'c'";
  Ok(varve_db_write(db_, "t", nullptr, nullptr, &options, nullptr, &error_));
  EXPECT_TRUE(middle.taken());
  EXPECT_EQ(ScanAt(nullptr), (Rows{{1, "a"}, {3, "c"}, {5, "e"}}));
  options = Mode(VARVE_DB_INSERT_MISSING);
  options.level = VARVE_LOG_DURABLE;
  std::uint64_t passed = 9;
  options.rows_passed = &passed;
  Exported some(Rows{{1, "x"}, {2, "x"}, {3, "x"}});
  Ok(varve_db_write(db_, "t", &some.array, &some.schema, &options, nullptr, &error_));
  EXPECT_EQ(passed, 2u);
  const auto done = [](void* told, int code, const varve_db_commit*, const varve_error*) {
    EXPECT_EQ(code, VARVE_LOG_OK);
    *static_cast<bool*>(told) = true;
  };
  bool told = false;
  Exported all(Rows{{1, "x"}, {2, "x"}, {3, "x"}});
  Ok(varve_db_write_then(db_, "t", &all.array, &all.schema, &options, done, &told, &error_));
  Ok(varve_db_close(db_, &error_));
  EXPECT_TRUE(told);
  EXPECT_EQ(passed, 3u);
  Range late(IdRows({1}));
  options = Mode(VARVE_DB_DELETE_WHERE);
  options.range = &late.c;
  Refused(varve_db_write_then(db_, "t", nullptr, nullptr, &options, nullptr, nullptr, &error_),
          VARVE_LOG_INVALID);
  EXPECT_TRUE(late.taken()) << "also when there is nobody to tell";
}

TEST_F(CGiven, ATransactionHasEveryMode) {
  varve_db_transaction* const transaction = Begin();
  EXPECT_EQ(varve_db_transaction_snapshot(transaction), 1u);
  Ok(WriteIn(transaction, Mode(VARVE_DB_UPSERT), RowsBatch({{6, "f"}, {7, "g"}})));
  auto bits = Mode(VARVE_DB_UPSERT);
  const std::uint8_t deletes[] = {0b01};
  bits.deletes = deletes;
  Ok(WriteIn(transaction, bits, RowsBatch({{1, "x"}, {2, "B"}})));
  Ok(WriteIn(transaction, Mode(VARVE_DB_DELETE), IdRows({3})));
  Ok(WriteIn(transaction, Mode(VARVE_DB_INSERT), RowsBatch({{8, "h"}})));
  Refused(WriteIn(transaction, Mode(VARVE_DB_INSERT), RowsBatch({{8, "again"}, {9, "i"}})),
          VARVE_LOG_CONFLICT, VARVE_LOG_ALREADY_EXISTS);
  std::uint64_t passed = 9;
  auto missing = Mode(VARVE_DB_INSERT_MISSING);
  missing.rows_passed = &passed;
  Ok(WriteIn(transaction, missing, RowsBatch({{2, "no"}, {7, "no"}, {10, "j"}})));
  EXPECT_EQ(passed, 2u);
  Refused(WriteIn(transaction, Mode(VARVE_DB_UPDATE), RowsBatch({{99, "z"}})), VARVE_LOG_NOT_FOUND);
  Ok(WriteIn(transaction, Mode(VARVE_DB_UPDATE), RowsBatch({{8, "H"}})));
  auto existing = Mode(VARVE_DB_UPDATE_EXISTING);
  existing.rows_passed = &passed;
  Ok(WriteIn(transaction, existing, RowsBatch({{10, "J"}, {99, "z"}})));
  EXPECT_EQ(passed, 1u);
  Range range(IdRows({4}), IdRows({7}));
  auto where = Mode(VARVE_DB_DELETE_WHERE);
  where.range = &range.c;
  where.filter = "v <> 'e'";
  Ok(WriteIn(transaction, where));
  EXPECT_TRUE(range.taken());
  EXPECT_EQ(ScanAt(nullptr).size(), 5u) << "nobody else sees it";
  CommitAndFree(transaction);
  EXPECT_EQ(ScanAt(nullptr), (Rows{{2, "B"}, {5, "e"}, {7, "g"}, {8, "H"}, {10, "J"}}));
}

TEST_F(CGiven, AnUpdateInATransactionLeavesOtherColumnsAlone) {
  ArrowSchema field;
  ASSERT_TRUE(arrow::ExportField(*arrow::field("n", arrow::int64()), &field).ok());
  varve_db_column_change add = {};
  add.size = sizeof add;
  add.kind = VARVE_DB_ADD_COLUMN;
  add.field = &field;
  const varve_db_column_change* const changes[] = {&add};
  Ok(varve_db_alter_table(db_, "t", changes, 1, nullptr, &error_));
  varve_db_transaction* const transaction = Begin();
  const auto ids = IdRows({1, 2});
  const auto patch = arrow::RecordBatch::Make(
      arrow::schema({arrow::field("id", arrow::int64()), arrow::field("n", arrow::int64())}), 2,
      {ids->column(0), ids->column(0)});
  Ok(WriteIn(transaction, Mode(VARVE_DB_UPDATE), patch));
  CommitAndFree(transaction);
  varve_db_scan_options options = {};
  options.size = sizeof options;
  options.filter = "n is not null";
  EXPECT_EQ(ScanAt(nullptr, &options), (Rows{{1, "a"}, {2, "b"}}));
}

TEST_F(CGiven, ARolledBackWriteIsForgottenWhateverItsMode) {
  varve_db_transaction* const transaction = Begin();
  Ok(WriteIn(transaction, Mode(VARVE_DB_INSERT), RowsBatch({{6, "f"}})));
  std::uint64_t savepoint = 0;
  Ok(varve_db_transaction_savepoint(transaction, &savepoint, &error_));
  auto where = Mode(VARVE_DB_DELETE_WHERE);
  where.filter = "id > 0";
  Ok(WriteIn(transaction, where));
  Ok(varve_db_transaction_rollback_to(transaction, savepoint, &error_));
  Refused(varve_db_transaction_rollback_to(transaction, 77, &error_), VARVE_LOG_INVALID);
  CommitAndFree(transaction);
  EXPECT_EQ(ScanAt(nullptr).size(), 6u);
}

TEST_F(CGiven, WhatAWriteLookedAtCountsAsRead) {
  varve_db_transaction* const transaction = Begin(VARVE_DB_SERIALIZABLE);
  auto where = Mode(VARVE_DB_DELETE_WHERE);
  Range range(IdRows({10}), IdRows({20}));
  where.range = &range.c;
  Ok(WriteIn(transaction, where));
  Ok(WriteIn(transaction, Mode(VARVE_DB_UPSERT), RowsBatch({{1, "x"}})));
  Ok(Upsert({{15, "phantom"}}));
  Refused(varve_db_transaction_commit(transaction, VARVE_LOG_DURABLE, nullptr, &error_),
          VARVE_LOG_CONFLICT);
  varve_db_transaction_free(transaction);
  EXPECT_EQ(ScanAt(nullptr).at(1), "a");
}

TEST_F(CGiven, AWriteThatIsNoneIsRefusedAndTheTransactionGoesOn) {
  varve_db_transaction* const transaction = Begin();
  const auto row = RowsBatch({{6, "f"}});
  auto options = Mode(VARVE_DB_UPSERT);
  Refused(WriteIn(nullptr, options, row), VARVE_LOG_INVALID);
  Refused(WriteIn(transaction, options, row, nullptr), VARVE_LOG_INVALID);
  Refused(WriteIn(transaction, options, row, "no"), VARVE_LOG_NOT_FOUND);
  Refused(WriteIn(transaction, options), VARVE_LOG_INVALID);
  Refused(WriteIn(transaction, Mode(99), row), VARVE_LOG_INVALID);
  Refused(WriteIn(transaction, Mode(VARVE_DB_DELETE_WHERE)), VARVE_LOG_INVALID);
  Refused(WriteIn(transaction, options, IdRows({1}, "n")), VARVE_LOG_INVALID);
  Exported without(*row);
  Refused(varve_db_transaction_write(transaction, "t", &without.array, &without.schema, nullptr,
                                     &error_),
          VARVE_LOG_INVALID);
  EXPECT_EQ(without.array.release, nullptr);
  options.level = VARVE_LOG_DURABLE;
  EXPECT_NE(Refused(WriteIn(transaction, options, row), VARVE_LOG_INVALID).find("`level`"),
            std::string::npos);
  options = Mode(VARVE_DB_UPSERT);
  options.producer = "feed";
  EXPECT_NE(Refused(WriteIn(transaction, options, row), VARVE_LOG_INVALID).find("`producer`"),
            std::string::npos);
  options = Mode(VARVE_DB_UPSERT);
  options.sequence = 1;
  EXPECT_NE(Refused(WriteIn(transaction, options, row), VARVE_LOG_INVALID).find("`sequence`"),
            std::string::npos);
  options = Mode(VARVE_DB_DELETE_WHERE);
  options.filter = "w = 1";
  EXPECT_NE(Refused(WriteIn(transaction, options), VARVE_LOG_INVALID).find("'w'"),
            std::string::npos);
  Range range(IdRows({1}));
  options = Mode(VARVE_DB_UPSERT);
  options.range = &range.c;
  Refused(WriteIn(transaction, options, row), VARVE_LOG_INVALID);
  EXPECT_TRUE(range.taken());
  Ok(WriteIn(transaction, Mode(VARVE_DB_UPSERT), row));
  CommitAndFree(transaction);
  EXPECT_EQ(ScanAt(nullptr).size(), 6u) << "what was refused is not in it";
  EXPECT_EQ(varve_db_transaction_snapshot(nullptr), 0u);
}

TEST_F(CGiven, AWriteOfAnEndedTransactionOrAClosedDatabaseIsRefused) {
  varve_db_transaction* const ended = Begin();
  varve_db_transaction* const open = Begin();
  Ok(varve_db_transaction_commit(ended, VARVE_LOG_DURABLE, nullptr, &error_));
  auto where = Mode(VARVE_DB_DELETE_WHERE);
  where.filter = "id = 1";
  Refused(WriteIn(ended, where), VARVE_LOG_INVALID, VARVE_LOG_CLOSED);
  Ok(varve_db_close(db_, &error_));
  Refused(WriteIn(open, where), VARVE_LOG_INVALID, VARVE_LOG_CLOSED);
  varve_db_transaction_free(ended);
  varve_db_transaction_free(open);
}

}  // namespace
}  // namespace varve
