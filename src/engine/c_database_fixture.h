// SPDX-License-Identifier: Apache-2.0
// A database with the table "t" (id int64, v utf8), as a program in C would use it.
#pragma once

#include <arrow/c/bridge.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "test/support/rows.h"
#include "varve_db.h"

namespace varve::testing {

class CDatabase : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "varve_c_XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
    Open();
    MakeTable("t");
  }
  void TearDown() override {
    varve_db_free(db_);
    std::filesystem::remove_all(folder_);
  }

  void Open() {
    varve_db_options options = {};
    options.size = sizeof options;
    options.create_if_missing = 1;
    Ok(varve_db_open((folder_ + "/db").c_str(), &options, &db_, &error_));
  }
  void MakeTable(const char* table) {
    const char* key[] = {"id"};
    ArrowSchema schema;
    ASSERT_TRUE(arrow::ExportSchema(*RowsSchema(), &schema).ok());
    Ok(varve_db_create_table(db_, table, &schema, key, 1, &error_));
    EXPECT_EQ(schema.release, nullptr) << "the schema was not taken";
  }
  void Ok(int code) {
    EXPECT_EQ(code, VARVE_LOG_OK) << varve_log_error_message(error_);
    EXPECT_EQ(error_, nullptr);
    Forget();
  }
  // The message of what must have failed with `code`.
  std::string Refused(int found, int kind, int reason = VARVE_LOG_NO_REASON) {
    EXPECT_EQ(VARVE_LOG_KIND(found), kind) << varve_log_error_message(error_);
    EXPECT_EQ(VARVE_LOG_REASON(found), reason) << varve_log_error_message(error_);
    EXPECT_EQ(varve_log_error_code(error_), found);
    std::string message = varve_log_error_message(error_);
    EXPECT_NE(message, "");
    Forget();
    return message;
  }
  void Forget() {
    varve_log_error_free(error_);
    error_ = nullptr;
  }
  // A batch as C has it.
  struct Exported {
    explicit Exported(const Rows& rows) : Exported(*RowsBatch(rows)) {}
    explicit Exported(const arrow::RecordBatch& batch) {
      EXPECT_TRUE(arrow::ExportRecordBatch(batch, &array, &schema).ok());
    }
    ArrowArray array;
    ArrowSchema schema;
  };
  int Upsert(const Rows& rows, varve_db_commit* commit = nullptr) {
    Exported batch(rows);
    const int code =
        varve_db_upsert(db_, "t", &batch.array, &batch.schema, VARVE_LOG_DURABLE, commit, &error_);
    EXPECT_EQ(batch.array.release, nullptr) << "the rows were not taken";
    EXPECT_EQ(batch.schema.release, nullptr) << "the schema was not taken";
    return code;
  }
  Rows ScanAt(const std::uint64_t* commit, const varve_db_scan_options* options = nullptr) {
    varve_db_snapshot* snapshot = nullptr;
    Ok(varve_db_snapshot_take(db_, commit, &snapshot, &error_));
    ArrowArrayStream stream;
    Ok(varve_db_scan(snapshot, "t", options, &stream, &error_));
    varve_db_snapshot_free(snapshot);
    auto reader = *arrow::ImportRecordBatchReader(&stream);
    return Drain(reader.get());
  }

  std::string folder_;
  varve_db* db_ = nullptr;
  varve_error* error_ = nullptr;
};

}  // namespace varve::testing
