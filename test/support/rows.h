// SPDX-License-Identifier: Apache-2.0
// Rows: a tiny table (id int64, v utf8) as a std::map, for tests that compare with a model.
#pragma once

#include <arrow/api.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "varve/database.h"

namespace varve::testing {

inline constexpr std::int64_t kHour = 3'600'000'000;  // in microseconds

using Rows = std::map<std::int64_t, std::string>;

inline std::shared_ptr<arrow::Schema> RowsSchema() {
  return arrow::schema(
      {arrow::field("id", arrow::int64(), false), arrow::field("v", arrow::utf8())});
}

inline std::shared_ptr<arrow::RecordBatch> RowsBatch(const Rows& rows) {
  arrow::Int64Builder ids;
  arrow::StringBuilder values;
  for (const auto& [id, value] : rows) {
    EXPECT_TRUE(ids.Append(id).ok());
    EXPECT_TRUE(values.Append(value).ok());
  }
  return arrow::RecordBatch::Make(RowsSchema(), static_cast<std::int64_t>(rows.size()),
                                  {*ids.Finish(), *values.Finish()});
}

// What a reader streams; a key that comes twice, or out of order, is a failure.
inline Rows Drain(arrow::RecordBatchReader* reader) {
  Rows rows;
  std::shared_ptr<arrow::RecordBatch> batch;
  while (true) {
    const arrow::Status read = reader->ReadNext(&batch);
    EXPECT_TRUE(read.ok()) << read.ToString();
    if (!read.ok() || batch == nullptr) return rows;
    const auto& ids = static_cast<const arrow::Int64Array&>(*batch->column(0));
    const auto& values = static_cast<const arrow::StringArray&>(*batch->column(1));
    for (std::int64_t i = 0; i < batch->num_rows(); ++i) {
      EXPECT_TRUE(rows.empty() || rows.rbegin()->first < ids.Value(i)) << "key " << ids.Value(i);
      rows.emplace_hint(rows.end(), ids.Value(i), values.GetString(i));
    }
  }
}

inline Rows ReadRows(const Snapshot& snapshot, const std::string& table = "t",
                     const ScanOptions& options = {}) {
  auto reader = snapshot.Scan(table, options);
  EXPECT_TRUE(reader) << reader.error().message();
  return reader ? Drain(reader->get()) : Rows{};
}

}  // namespace varve::testing
