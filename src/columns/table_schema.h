// SPDX-License-Identifier: Apache-2.0
// TableSchema: a table's columns and key, checked once, immutable afterwards, shared by all.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "columns/key_codec.h"
#include "varve/error.h"
#include "varve/options.h"

namespace arrow {
class Array;
class RecordBatch;
class Schema;
}  // namespace arrow

namespace varve {

// Columns that varve adds to its Parquet files; no user column may start with it.
inline constexpr std::string_view kReservedPrefix = "_varve_";
inline constexpr std::string_view kCommitColumn = "_varve_commit";  // int64: the row's commit

// What columns are besides their names and types.
struct ColumnIdentity {
  // A column keeps its id whatever it is called, and none is ever used for another. By place.
  std::vector<std::uint32_t> ids;
  std::uint32_t next_id = 1;
  // What rows show that were written before there was the column: one value; null: no value. By
  // place.
  std::vector<std::shared_ptr<arrow::Array>> defaults;

  // Of n columns that a table was made with.
  static ColumnIdentity Implied(int columns);
};

// Rows expire so long after the time in a column (TimeToLive), which it names by its id.
struct Lifetime {
  std::uint32_t column = 0;
  std::int64_t micros = 0;
  EpochUnit unit = EpochUnit::kMicros;
  bool operator==(const Lifetime&) const = default;
};

class TableSchema {
 public:
  // Errors: Invalid (no column, duplicate or reserved or empty column name at any place, key empty,
  // key column missing or named twice, key type that has no order), Invalid/kUnsupportedFormat (a
  // type that Parquet cannot hold; names the column and type). The type check is real: an empty and
  // a one-row batch of the schema are written to Parquet in memory, read back and compared.
  static Result<std::shared_ptr<const TableSchema>> Make(std::shared_ptr<arrow::Schema> schema,
                                                         const std::vector<std::string>& key);
  // The same of a table whose columns were changed.
  static Result<std::shared_ptr<const TableSchema>> Make(std::shared_ptr<arrow::Schema> schema,
                                                         const std::vector<std::string>& key,
                                                         ColumnIdentity identity);
  // The same columns, whose rows expire so, or do not. Errors: NotFound (column), Invalid (one of
  // another type, an impossible span, a unit where the column has its own).
  Result<std::shared_ptr<const TableSchema>> WithTimeToLive(
      const std::optional<TimeToLive>& time_to_live) const;

  // Arrow IPC bytes of the schema plus key indices; Parse gives Corruption on bytes not ours.
  std::string Serialize() const;
  static Result<std::shared_ptr<const TableSchema>> Parse(std::string_view bytes);

  const std::shared_ptr<arrow::Schema>& schema() const { return schema_; }
  const std::shared_ptr<arrow::Schema>& key_schema() const { return key_schema_; }
  const std::vector<int>& key_columns() const { return key_columns_; }
  const std::vector<std::string>& key_names() const { return key_names_; }
  const KeyCodec& key_codec() const { return key_codec_; }
  const ColumnIdentity& identity() const { return identity_; }
  // Whether identity() is that of a table as it was made.
  bool plain() const;
  // The place of the column with this id; -1: there is none.
  int FindColumn(std::uint32_t id) const;
  const std::optional<Lifetime>& lifetime() const { return lifetime_; }
  std::optional<TimeToLive> time_to_live() const;  // the same, with the column by its name

  // The batch with its columns in the table's order, checked: same column names and types,
  // validated lengths and offsets (PrepareUpsert also does arrow's ValidateFull), no null in key or
  // required columns. May differ: order, metadata, names of list elements, nested fields that the
  // batch calls nullable but that hold no null, index types of dictionaries. Errors are Invalid and
  // say which field differs and how, all of them up to ten, or which row and column is null.
  Result<std::shared_ptr<arrow::RecordBatch>> Conform(
      const std::shared_ptr<arrow::RecordBatch>& batch) const;
  // The key columns alone, in key order, found by name in `batch`; other columns are ignored.
  Result<std::shared_ptr<arrow::RecordBatch>> ConformKeys(
      const std::shared_ptr<arrow::RecordBatch>& batch) const;

 private:
  TableSchema() = default;
  static Result<std::shared_ptr<const TableSchema>> Assemble(std::shared_ptr<arrow::Schema> schema,
                                                             std::vector<int> key_columns,
                                                             ColumnIdentity identity,
                                                             std::optional<Lifetime> lifetime = {});
  std::shared_ptr<arrow::Schema> schema_;
  std::shared_ptr<arrow::Schema> key_schema_;
  std::vector<int> key_columns_;
  std::vector<std::string> key_names_;
  KeyCodec key_codec_;
  ColumnIdentity identity_;
  std::optional<Lifetime> lifetime_;
};

}  // namespace varve
