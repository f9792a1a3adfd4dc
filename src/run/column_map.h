// SPDX-License-Identifier: Apache-2.0
// ColumnMap: rows that were written under one schema of a table, shown under a later one.
//
// Columns are found by id, never by name or place: one that the rows do not have shows its default,
// one of a narrower type is cast, one under another name is the same. Immutable; use it from any
// thread.
#pragma once

#include <memory>
#include <vector>

#include "columns/table_schema.h"
#include "columns/version_cursor.h"
#include "varve/error.h"

namespace arrow {
struct Scalar;
}  // namespace arrow

namespace varve {

class ColumnMap {
 public:
  // `to` must follow `from` (columns/alter_schema.h).
  ColumnMap(const TableSchema& from, std::shared_ptr<const TableSchema> to);

  // Of a column (an index into the later schema): its index in the rows' own; -1: they lack it.
  int SourceOf(int column) const { return sources_[static_cast<std::size_t>(column)]; }
  const std::shared_ptr<arrow::DataType>& TypeOf(int column) const;
  // What rows show that lack it: one value; null: no value.
  const std::shared_ptr<arrow::Array>& DefaultOf(int column) const;

  // Some columns of the later schema, and what has to be read for them.
  struct Selection {
    std::vector<int> columns;
    std::vector<int> read;    // indices into the rows' own schema, each once
    std::vector<int> places;  // of each of `columns`, its place in `read`; -1: not read
  };
  Selection Select(const std::vector<int>& columns) const;

  // A batch of the columns `read`, as the columns asked for.
  Result<std::shared_ptr<arrow::RecordBatch>> Show(const arrow::RecordBatch& rows,
                                                   const Selection& selection) const;

 private:
  const std::shared_ptr<const TableSchema> to_;
  std::vector<int> sources_;
};

// A cursor over rows with the columns `read`, as one with the columns asked for. Batches are shown
// whole, each once.
std::unique_ptr<VersionCursor> ShowUnder(std::unique_ptr<VersionCursor> of,
                                         std::shared_ptr<const ColumnMap> map,
                                         ColumnMap::Selection selection);

}  // namespace varve
