// SPDX-License-Identifier: Apache-2.0
// A write of any mode to one table, as it is asked for and as what it means.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "test/model/reference.h"
#include "test/model/table_scan.h"
#include "varve/database.h"

namespace varve::testing {

struct TableWrite {
  WriteMode mode = WriteMode::kUpsert;
  ShapePtr shape;             // the columns of the rows: of an update those that it names
  RowList rows;
  std::vector<bool> deletes;  // which of them delete their key; none when it is empty
  Wanted wanted;              // kDeleteWhere

  bool looks_first() const { return mode != WriteMode::kUpsert && mode != WriteMode::kDelete; }
};

// What it comes to.
struct Outcome {
  std::optional<ErrorKind> refusal = {};
  RowList written = {};      // each key once, what was deleted too
  std::uint64_t passed = 0;  // keys that the mode left out
  TableRows rows = {};       // of the table, afterwards
};
// In a table, which may have other columns than the one that it was made for; kDeleteWhere not.
Outcome OutcomeOf(const TableWrite& write, const Table& table);

TableWrite PickWrite(const Table& table, Random* chance);
WriteRequest RequestOf(const TableWrite& write);
std::string Describe(const TableWrite& write);
// By the function of its own that the mode has, if it has one.
Result<CommitInfo> Make(const TableWrite& write, const std::string& table, Database* db,
                        const CommitOptions& options = {});

}  // namespace varve::testing
