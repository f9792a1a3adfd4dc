// SPDX-License-Identifier: Apache-2.0
// varve_db.h, as a program in C would call it.
#include <arrow/c/bridge.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "engine/c_database_fixture.h"

namespace varve {
namespace {

using testing::CDatabase;
using testing::Rows;
using testing::RowsBatch;
using testing::RowsSchema;

TEST_F(CDatabase, RowsComeBackAsOfEachCommit) {
  varve_db_commit first = {}, second = {};
  Ok(Upsert({{1, "a"}, {2, "b"}}, &first));
  Exported keys(Rows{{1, ""}});
  Ok(varve_db_delete(db_, "t", &keys.array, &keys.schema, VARVE_LOG_DURABLE, &second, &error_));
  EXPECT_EQ(first.commit, 1u);
  EXPECT_EQ(first.rows, 2u);
  EXPECT_EQ(second.commit, 2u);
  Ok(varve_db_flush(db_, &error_));
  EXPECT_EQ(ScanAt(nullptr), (Rows{{2, "b"}}));
  EXPECT_EQ(ScanAt(&first.commit), (Rows{{1, "a"}, {2, "b"}}));
  const std::uint64_t future = 99;
  varve_db_snapshot* snapshot = nullptr;
  Refused(varve_db_snapshot_take(db_, &future, &snapshot, &error_), VARVE_LOG_NOT_FOUND);
  EXPECT_EQ(snapshot, nullptr);
}

TEST_F(CDatabase, ChangesAreStreamedAndFollowed) {
  Ok(Upsert({{1, "a"}}));
  Ok(Upsert({{1, "b"}, {2, "c"}}));
  varve_db_snapshot* snapshot = nullptr;
  Ok(varve_db_snapshot_take(db_, nullptr, &snapshot, &error_));
  const char* columns[] = {"v"};
  varve_db_changes_options options = {};
  options.size = sizeof options;
  options.columns = columns;
  options.columns_size = 1;
  options.before_images = 1;
  ArrowArrayStream stream;
  Ok(varve_db_changes(snapshot, "t", 1, &options, &stream, &error_));
  const auto changes = *(*arrow::ImportRecordBatchReader(&stream))->ToTable();
  EXPECT_EQ(changes->ColumnNames(),
            (std::vector<std::string>{"_commit", "_kind", "v", "_before_v"}));
  EXPECT_EQ(changes->num_rows(), 2);
  Refused(varve_db_changes(snapshot, "t", 3, nullptr, &stream, &error_), VARVE_LOG_INVALID);
  Refused(varve_db_changes(snapshot, "no", 0, nullptr, &stream, &error_), VARVE_LOG_NOT_FOUND);
  varve_db_snapshot_free(snapshot);

  varve_db_cursor* cursor = nullptr;
  Refused(varve_db_follow(db_, "t", 9, nullptr, &cursor, &error_), VARVE_LOG_NOT_FOUND);
  EXPECT_EQ(cursor, nullptr);
  Ok(varve_db_follow(db_, "t", 1, nullptr, &cursor, &error_));
  ArrowArray rows;
  ArrowSchema schema;
  Ok(varve_db_cursor_next(cursor, 0, &rows, &schema, &error_));
  EXPECT_EQ((*arrow::ImportRecordBatch(&rows, &schema))->num_rows(), 2);
  EXPECT_EQ(varve_db_cursor_position(cursor), 2u);
  Ok(varve_db_cursor_next(cursor, 1, &rows, &schema, &error_));
  EXPECT_EQ(rows.release, nullptr);
  varve_db_cursor_cancel(cursor);
  Refused(varve_db_cursor_next(cursor, 0, &rows, &schema, &error_), VARVE_LOG_INVALID,
          VARVE_LOG_CLOSED);
  varve_db_cursor_free(cursor);
  varve_db_cursor_free(nullptr);
}

TEST_F(CDatabase, WhatWasAcknowledgedIsThereAfterOpeningAgain) {
  Ok(Upsert({{1, "a"}}));
  varve_db_free(db_);  // not closed
  Open();
  EXPECT_EQ(ScanAt(nullptr), (Rows{{1, "a"}}));
  Ok(varve_db_close(db_, &error_));
  Refused(Upsert({{2, "b"}}), VARVE_LOG_INVALID, VARVE_LOG_CLOSED);
}

// A ring of one key, whose name is told by the context: the month.
int CurrentKey(void* context, char name[64], std::size_t* size) {
  *size = static_cast<std::string*>(context)->copy(name, 64);
  return VARVE_LOG_OK;
}
int KeyOf(void* context, const char* name, std::size_t size, unsigned char key[32]) {
  if (*static_cast<std::string*>(context) == "none") return VARVE_LOG_NOT_FOUND;
  if (std::string(name, size) == "march") return VARVE_LOG_INVALID | VARVE_LOG_EXPIRED_KEY << 8;
  std::fill_n(key, 32, static_cast<unsigned char>(name[0]));
  return VARVE_LOG_OK;
}

TEST_F(CDatabase, ADatabaseIsEncryptedByCallbacks) {
  const std::string path = folder_ + "/secret";
  std::string month = "april";
  varve_db_options options = {};
  options.size = sizeof options;
  options.create_if_missing = 1;
  options.key = KeyOf;
  const auto open = [&] {
    varve_db_free(db_);
    db_ = nullptr;
    return varve_db_open(path.c_str(), &options, &db_, &error_);
  };
  Refused(open(), VARVE_LOG_INVALID);
  options.current_key = CurrentKey;
  options.key_context = &month;
  Ok(open());
  MakeTable("t");
  Ok(Upsert({{1, "a"}}));
  month = "may";
  std::uint64_t older = 9;
  Ok(varve_db_rekey(db_, &older, &error_));
  EXPECT_EQ(older, 0u);
  EXPECT_EQ(ScanAt(nullptr), (Rows{{1, "a"}}));
  month = "march";
  Refused(open(), VARVE_LOG_INVALID, VARVE_LOG_EXPIRED_KEY);
  month = "none";
  Refused(open(), VARVE_LOG_NOT_FOUND, VARVE_LOG_MISSING_KEY);
  options.size = offsetof(varve_db_options, current_key);  // a program of before there were keys
  Refused(open(), VARVE_LOG_NOT_FOUND, VARVE_LOG_MISSING_KEY);
}

TEST_F(CDatabase, AScanHasColumnsFilterLimitAndOrder) {
  Ok(Upsert({{1, "a"}, {2, "b"}, {3, "c"}, {4, "d"}}));
  const char* columns[] = {"id", "v"};
  varve_db_scan_options options = {};
  options.size = sizeof options;
  options.columns = columns;
  options.columns_size = 2;
  options.filter = "id > 1 and v < 'd'";
  options.has_limit = 1;
  options.limit = 1;
  EXPECT_EQ(ScanAt(nullptr, &options), (Rows{{2, "b"}}));
  options.reverse = 1;
  EXPECT_EQ(ScanAt(nullptr, &options), (Rows{{3, "c"}}));

  varve_db_snapshot* snapshot = nullptr;
  Ok(varve_db_snapshot_take(db_, nullptr, &snapshot, &error_));
  EXPECT_EQ(varve_db_snapshot_commit(snapshot), 1u);
  ArrowArrayStream stream;
  options.filter = "id > 'x'";
  EXPECT_NE(Refused(varve_db_scan(snapshot, "t", &options, &stream, &error_), VARVE_LOG_INVALID)
                .find("'x'"),
            std::string::npos);
  Refused(varve_db_scan(snapshot, "no", nullptr, &stream, &error_), VARVE_LOG_NOT_FOUND);
  varve_db_snapshot_free(snapshot);
}

TEST_F(CDatabase, AWriteHasModesDeletesAndAProducer) {
  varve_db_write_options options = {};
  options.size = sizeof options;
  options.level = VARVE_LOG_DURABLE;
  const auto write = [&](const Rows* rows, varve_db_commit* commit) {
    if (rows == nullptr) {
      return varve_db_write(db_, "t", nullptr, nullptr, &options, commit, &error_);
    }
    Exported batch(*rows);
    return varve_db_write(db_, "t", &batch.array, &batch.schema, &options, commit, &error_);
  };
  const Rows first = {{1, "a"}, {2, "b"}, {3, "c"}};
  options.producer = "feed";
  options.sequence = 7;
  varve_db_commit commit = {}, again = {};
  Ok(write(&first, &commit));
  EXPECT_EQ(commit.repeat, 0u);
  Ok(write(&first, &again));
  EXPECT_EQ(again.commit, commit.commit);
  EXPECT_EQ(again.repeat, 1u);
  options.sequence = 6;
  Refused(write(&first, &again), VARVE_LOG_CONFLICT, VARVE_LOG_STALE_SEQUENCE);
  std::uint8_t known = 9;
  std::uint64_t sequence = 0, at = 0;
  Ok(varve_db_last_of(db_, "feed", &known, &sequence, &at, &error_));
  EXPECT_EQ(known, 1);
  EXPECT_EQ(sequence, 7u);
  EXPECT_EQ(at, commit.commit);
  Ok(varve_db_last_of(db_, "nobody", &known, &sequence, &at, &error_));
  EXPECT_EQ(known, 0);

  options.producer = nullptr;
  const std::uint8_t deletes[] = {0b010};
  options.deletes = deletes;
  Ok(write(&first, nullptr));
  EXPECT_EQ(ScanAt(nullptr), (Rows{{1, "a"}, {3, "c"}}));
  options.deletes = nullptr;
  options.mode = VARVE_DB_INSERT;
  const Rows there = {{3, "x"}};
  Refused(write(&there, nullptr), VARVE_LOG_CONFLICT, VARVE_LOG_ALREADY_EXISTS);
  options.mode = VARVE_DB_DELETE_WHERE;
  options.filter = "v = 'c'";
  Ok(write(nullptr, nullptr));
  EXPECT_EQ(ScanAt(nullptr), (Rows{{1, "a"}}));
  options.filter = "w = 'c'";
  EXPECT_NE(Refused(write(nullptr, nullptr), VARVE_LOG_INVALID).find("'w'"), std::string::npos);
  options.mode = 99;
  Refused(write(nullptr, nullptr), VARVE_LOG_INVALID);
  Refused(varve_db_write(db_, "t", nullptr, nullptr, nullptr, nullptr, &error_), VARVE_LOG_INVALID);
}

TEST_F(CDatabase, RowsAreCounted) {
  Ok(Upsert({{1, "a"}, {2, "b"}}));
  varve_db_snapshot* snapshot = nullptr;
  Ok(varve_db_snapshot_take(db_, nullptr, &snapshot, &error_));
  std::uint64_t rows = 0;
  Ok(varve_db_count(snapshot, "t", nullptr, &rows, &error_));
  EXPECT_EQ(rows, 2u);
  varve_db_scan_options options = {};
  options.size = sizeof options;
  options.filter = "id = 2";
  Ok(varve_db_count(snapshot, "t", &options, &rows, &error_));
  EXPECT_EQ(rows, 1u);
  options.reverse = 1;
  Refused(varve_db_count(snapshot, "t", &options, &rows, &error_), VARVE_LOG_INVALID);
  varve_db_snapshot_free(snapshot);
}

TEST_F(CDatabase, GetGivesTheRowsThatAreThere) {
  Ok(Upsert({{1, "a"}, {2, "b"}}));
  varve_db_snapshot* snapshot = nullptr;
  Ok(varve_db_snapshot_take(db_, nullptr, &snapshot, &error_));
  Exported keys(Rows{{2, ""}, {7, ""}});
  ArrowArray rows;
  ArrowSchema schema;
  Ok(varve_db_get(snapshot, "t", &keys.array, &keys.schema, &rows, &schema, &error_));
  const auto found = *arrow::ImportRecordBatch(&rows, &schema);
  EXPECT_TRUE(found->Equals(*RowsBatch({{2, "b"}}))) << found->ToString();
  varve_db_snapshot_free(snapshot);
}

TEST_F(CDatabase, AStreamIsACommitForEachBatch) {
  const auto reader = *arrow::RecordBatchReader::Make(
      {RowsBatch({{1, "a"}}), RowsBatch({{2, "b"}, {3, "c"}})}, RowsSchema());
  ArrowArrayStream stream;
  ASSERT_TRUE(arrow::ExportRecordBatchReader(reader, &stream).ok());
  varve_db_commit commit = {};
  Ok(varve_db_upsert_stream(db_, "t", &stream, VARVE_LOG_DURABLE, &commit, &error_));
  EXPECT_EQ(stream.release, nullptr);
  EXPECT_EQ(commit.commit, 2u);
  EXPECT_EQ(commit.rows, 3u);
  EXPECT_EQ(ScanAt(nullptr), (Rows{{1, "a"}, {2, "b"}, {3, "c"}}));
}

// Gives one batch, then fails.
class FailingReader final : public arrow::RecordBatchReader {
 public:
  std::shared_ptr<arrow::Schema> schema() const override { return RowsSchema(); }
  arrow::Status ReadNext(std::shared_ptr<arrow::RecordBatch>* batch) override {
    if (given_) return arrow::Status::IOError("the wire was cut");
    given_ = true;
    *batch = RowsBatch({{1, "a"}});
    return arrow::Status::OK();
  }

 private:
  bool given_ = false;
};

TEST_F(CDatabase, AStreamThatFailsKeepsWhatCameBefore) {
  ArrowArrayStream stream;
  ASSERT_TRUE(arrow::ExportRecordBatchReader(std::make_shared<FailingReader>(), &stream).ok());
  varve_db_commit commit = {};
  const int code = varve_db_upsert_stream(db_, "t", &stream, VARVE_LOG_DURABLE, &commit, &error_);
  EXPECT_NE(Refused(code, VARVE_LOG_UNAVAILABLE, VARVE_LOG_IO).find("the wire was cut"),
            std::string::npos);
  EXPECT_EQ(commit.commit, 1u);
  EXPECT_EQ(commit.rows, 1u);
  EXPECT_EQ(ScanAt(nullptr), (Rows{{1, "a"}}));
}

TEST_F(CDatabase, TransactionsReadTheirOwnWritesAndConflict) {
  Ok(Upsert({{1, "a"}}));
  varve_db_transaction* one = nullptr;
  varve_db_transaction* other = nullptr;
  Ok(varve_db_begin(db_, VARVE_DB_SNAPSHOT, &one, &error_));
  Ok(varve_db_begin(db_, VARVE_DB_SERIALIZABLE, &other, &error_));
  Exported rows(Rows{{1, "one"}, {2, "two"}}), keys(Rows{{1, ""}}), late(Rows{{1, "late"}});
  Ok(varve_db_transaction_upsert(one, "t", &rows.array, &rows.schema, &error_));
  std::uint64_t savepoint = 0;
  Ok(varve_db_transaction_savepoint(one, &savepoint, &error_));
  Ok(varve_db_transaction_delete(one, "t", &keys.array, &keys.schema, &error_));
  Ok(varve_db_transaction_rollback_to(one, savepoint, &error_));
  ArrowArrayStream stream;
  Ok(varve_db_transaction_scan(one, "t", nullptr, &stream, &error_));
  EXPECT_EQ(testing::Drain((*arrow::ImportRecordBatchReader(&stream)).get()),
            (Rows{{1, "one"}, {2, "two"}}));
  Exported asked(Rows{{2, ""}, {7, ""}, {1, ""}});
  ArrowArray found;
  ArrowSchema schema;
  Ok(varve_db_transaction_get(one, "t", &asked.array, &asked.schema, &found, &schema, &error_));
  EXPECT_TRUE((*arrow::ImportRecordBatch(&found, &schema))
                  ->Equals(*RowsBatch({{2, "two"}, {1, "one"}})));
  varve_db_commit commit = {};
  Ok(varve_db_transaction_commit(one, VARVE_LOG_DURABLE, &commit, &error_));
  EXPECT_EQ(commit.commit, 2u);
  Exported again(Rows{{1, ""}});
  Refused(varve_db_transaction_get(one, "t", &again.array, &again.schema, &found, &schema, &error_),
          VARVE_LOG_INVALID, VARVE_LOG_CLOSED);
  EXPECT_EQ(commit.rows, 2u);
  Refused(varve_db_transaction_commit(one, VARVE_LOG_DURABLE, &commit, &error_), VARVE_LOG_INVALID,
          VARVE_LOG_CLOSED);
  Refused(varve_db_transaction_scan(one, "t", nullptr, &stream, &error_), VARVE_LOG_INVALID,
          VARVE_LOG_CLOSED);
  Ok(varve_db_transaction_upsert(other, "t", &late.array, &late.schema, &error_));
  EXPECT_NE(Refused(varve_db_transaction_commit(other, VARVE_LOG_DURABLE, &commit, &error_),
                    VARVE_LOG_CONFLICT)
                .find("'t'"),
            std::string::npos);
  varve_db_transaction_free(one);
  varve_db_transaction_free(other);
  EXPECT_EQ(ScanAt(nullptr), (Rows{{1, "one"}, {2, "two"}}));
}

TEST_F(CDatabase, WhatIsNoArgumentIsRefusedAndNamed) {
  varve_db* none = nullptr;
  EXPECT_NE(
      Refused(varve_db_open(nullptr, nullptr, &none, &error_), VARVE_LOG_INVALID).find("path"),
      std::string::npos);
  Refused(varve_db_open("x", nullptr, nullptr, &error_), VARVE_LOG_INVALID);
  Refused(varve_db_open((folder_ + "/missing").c_str(), nullptr, &none, &error_),
          VARVE_LOG_NOT_FOUND);
  Refused(varve_db_open((folder_ + "/db").c_str(), nullptr, &none, &error_), VARVE_LOG_UNAVAILABLE,
          VARVE_LOG_LOCKED);
  Refused(varve_db_upsert(db_, "t", nullptr, nullptr, VARVE_LOG_DURABLE, nullptr, &error_),
          VARVE_LOG_INVALID);
  Exported batch(Rows{{1, "a"}});
  EXPECT_NE(Refused(varve_db_upsert(db_, "t", &batch.array, &batch.schema, 9, nullptr, &error_),
                    VARVE_LOG_INVALID)
                .find("level"),
            std::string::npos);
  EXPECT_EQ(batch.array.release, nullptr) << "what was given is released all the same";
  Refused(
      varve_db_upsert(db_, "t", &batch.array, &batch.schema, VARVE_LOG_DURABLE, nullptr, &error_),
      VARVE_LOG_INVALID);
  varve_db_transaction* transaction = nullptr;
  Refused(varve_db_begin(db_, 7, &transaction, &error_), VARVE_LOG_INVALID);
  varve_db_options options = {};
  EXPECT_NE(Refused(varve_db_open("x", &options, &none, &error_), VARVE_LOG_INVALID).find("size"),
            std::string::npos);
  struct {
    varve_db_options options;
    std::uint64_t more;
  } later = {};
  later.options.size = sizeof later;
  Refused(varve_db_open((folder_ + "/missing").c_str(), &later.options, &none, &error_),
          VARVE_LOG_NOT_FOUND);
  later.more = 1;
  EXPECT_NE(Refused(varve_db_open((folder_ + "/missing").c_str(), &later.options, &none, &error_),
                    VARVE_LOG_INVALID)
                .find("does not know"),
            std::string::npos);
  varve_db_snapshot_free(nullptr);
  varve_db_transaction_free(nullptr);
  varve_db_free(nullptr);
  EXPECT_EQ(varve_db_abi(), VARVE_DB_ABI);
}

TEST_F(CDatabase, ABatchOfAnotherSchemaSaysHow) {
  const auto wrong = arrow::schema({arrow::field("id", arrow::utf8())});
  arrow::StringBuilder ids;
  ASSERT_TRUE(ids.Append("x").ok());
  Exported batch(*arrow::RecordBatch::Make(wrong, 1, {*ids.Finish()}));
  const auto message = Refused(
      varve_db_upsert(db_, "t", &batch.array, &batch.schema, VARVE_LOG_DURABLE, nullptr, &error_),
      VARVE_LOG_INVALID);
  EXPECT_NE(message.find("id"), std::string::npos) << message;
  EXPECT_EQ(ScanAt(nullptr), Rows());
}

}  // namespace
}  // namespace varve
