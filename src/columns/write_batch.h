// SPDX-License-Identifier: Apache-2.0
// WriteBatch: one table's part of a commit, made ready outside of every lock.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "columns/key_codec.h"
#include "columns/table_schema.h"
#include "varve/error.h"

namespace varve {

enum class RowKind : std::uint8_t { kUpsert = 0, kDelete = 1 };

// Rows of one kind with their keys. Keys are distinct: of rows with one key the last was kept.
struct WriteBatch {
  RowKind kind = RowKind::kUpsert;
  std::shared_ptr<arrow::RecordBatch> rows;  // table schema; key schema for deletes
  EncodedKeys keys;                          // one per row
};

// Conforms, encodes keys, drops earlier duplicates. Errors as TableSchema::Conform.
Result<WriteBatch> PrepareUpsert(const TableSchema& schema,
                                 const std::shared_ptr<arrow::RecordBatch>& rows);
Result<WriteBatch> PrepareDelete(const TableSchema& schema,
                                 const std::shared_ptr<arrow::RecordBatch>& keys);

}  // namespace varve
