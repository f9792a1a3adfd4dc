// SPDX-License-Identifier: Apache-2.0
// A scan of one table, as it is asked for, and which rows it has to give.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "test/model/batches.h"
#include "test/model/reference.h"

namespace varve::testing {

// Which rows: those within the range that the condition accepts.
struct Wanted {
  Range range;
  std::optional<Condition> condition;

  bool Accepts(const Key& key, const Row& row) const;
  TableRows Of(const TableRows& rows) const;
};

struct TableScan {
  Wanted wanted;
  ShapePtr shape;  // the columns of the result; the key's are among them
  std::optional<std::uint64_t> limit;
  bool reverse = false;
  bool unordered = false;
  std::int64_t batch_rows_max = 1;
};

Wanted PickWanted(const Shape& shape, Random* chance);
TableScan PickScan(const Shape& shape, Random* chance);
// `shape` is that of the table.
ScanOptions OptionsOf(const TableScan& scan, const Shape& shape);
// Throws Broken when these are not the rows that the scan of the table gives.
void RequireRows(const TableScan& scan, const Table& table, RowList found, const std::string& what);

std::string Describe(const Wanted& wanted);
std::string Describe(const TableScan& scan);

}  // namespace varve::testing
