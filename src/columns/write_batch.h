// SPDX-License-Identifier: Apache-2.0
// WriteBatch: one table's part of a commit, made ready outside of every lock.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "columns/key_codec.h"
#include "columns/table_schema.h"
#include "varve/error.h"

namespace arrow {
class BooleanArray;
}  // namespace arrow

namespace varve {

// Bytes of one key, all columns, as KeyCodec encodes them. Keys stand in the manifest, in footers
// and in every index: longer ones are refused when they are written.
inline constexpr std::uint64_t kKeyBytesMax = 65536;

enum class RowKind : std::uint8_t { kUpsert = 0, kDelete = 1 };

// Rows of one kind with their keys. Keys are distinct: of rows with one key the last was kept.
struct WriteBatch {
  RowKind kind = RowKind::kUpsert;
  std::shared_ptr<arrow::RecordBatch> rows;  // table schema; key schema for deletes
  EncodedKeys keys;                          // one per row
};

// Conforms, encodes keys, drops earlier duplicates. Errors as TableSchema::Conform; Invalid for a
// key of more than kKeyBytesMax, with its row.
Result<WriteBatch> PrepareUpsert(const TableSchema& schema,
                                 const std::shared_ptr<arrow::RecordBatch>& rows);
Result<WriteBatch> PrepareDelete(const TableSchema& schema,
                                 const std::shared_ptr<arrow::RecordBatch>& keys);
// Both kinds in one batch: a row where `deletes` is true deletes its key and has no other values.
// Of rows with one key the last is kept, whatever its kind. Upserts, deletes, or one of each; none
// for no rows. Invalid also when `deletes` has another length than `rows`, or a null.
Result<std::vector<WriteBatch>> PrepareMixed(const TableSchema& schema,
                                             const std::shared_ptr<arrow::RecordBatch>& rows,
                                             const arrow::BooleanArray& deletes);

}  // namespace varve
