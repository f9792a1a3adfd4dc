// SPDX-License-Identifier: Apache-2.0
#include "test/model/table_write.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

namespace varve::testing {
namespace {

bool IsUpdate(WriteMode mode) {
  return mode == WriteMode::kUpdate || mode == WriteMode::kUpdateExisting;
}
bool IsInsert(WriteMode mode) {
  return mode == WriteMode::kInsert || mode == WriteMode::kInsertMissing;
}

// The columns of a table that the rows must have.
Shape Taken(const TableWrite& write, const Shape& table) {
  Shape taken = table;
  const auto is_named = [&](const Column& column) {
    return IsUpdate(write.mode) && std::ranges::find(write.shape->columns, column.name,
                                                     &Column::name) != write.shape->columns.end();
  };
  if (!IsUpdate(write.mode) && write.mode != WriteMode::kDelete) return taken;
  std::erase_if(taken.columns,
                [&](const Column& column) { return column.key_place < 0 && !is_named(column); });
  return taken;
}

// Nothing when they do not fit.
std::optional<RowList> RowsFor(const TableWrite& write, const Shape& taken) {
  const bool all = write.mode != WriteMode::kDelete;  // which ignores what else there is
  if (all && taken.columns.size() != write.shape->columns.size()) return {};
  return Refitted(*write.shape, write.rows, taken);
}

struct Asked {
  Row values;
  bool erase = false;
};

// The last word on each key.
std::map<Key, Asked> LastOf(const TableWrite& write, const RowList& rows) {
  std::map<Key, Asked> last;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const bool erase =
        write.mode == WriteMode::kDelete || (!write.deletes.empty() && write.deletes[i]);
    last[rows[i].first] = {rows[i].second, erase};
  }
  return last;
}

// Whether a row that is to be there afterwards has no value where there must be one.
bool Lacks(const TableWrite& write, const Shape& taken, const RowList& rows,
           const TableRows& table) {
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto& [key, row] = rows[i];
    if (!write.deletes.empty() && write.deletes[i]) continue;
    if (IsUpdate(write.mode) && !table.contains(key)) continue;
    if (LacksRequired(taken, row)) return true;
  }
  return false;
}

// Of a write with rows that fit.
std::optional<ErrorKind> RefusalOf(const TableWrite& write, const Shape& taken, const RowList& rows,
                                   const TableRows& table) {
  const bool lacks = Lacks(write, taken, rows, table);
  if (lacks && !IsUpdate(write.mode)) return ErrorKind::kInvalid;
  for (const auto& [key, row] : rows) {
    const bool there = table.contains(key);
    if (write.mode == WriteMode::kInsert && there) return ErrorKind::kConflict;
    if (write.mode == WriteMode::kUpdate && !there) return ErrorKind::kNotFound;
  }
  return lacks ? std::optional(ErrorKind::kInvalid) : std::nullopt;
}

// Leaves out what makes the database refuse it, if something is left.
void Mend(const TableRows& table, TableWrite* write) {
  auto rows = write->rows;
  std::erase_if(rows, [&](const auto& row) {
    return table.contains(row.first) == (write->mode == WriteMode::kInsert);
  });
  if (!rows.empty()) write->rows = std::move(rows);
}

}  // namespace

Outcome OutcomeOf(const TableWrite& write, const Table& table) {
  Outcome outcome{.rows = table.rows};
  if (write.mode == WriteMode::kDeleteWhere) {
    outcome.written = Listed(write.wanted.Of(table.rows));
    for (const auto& [key, row] : outcome.written) outcome.rows.erase(key);
    return outcome;
  }
  const Shape taken = Taken(write, *table.shape);
  const auto rows = RowsFor(write, taken);
  outcome.refusal =
      rows ? RefusalOf(write, taken, *rows, table.rows) : std::optional(ErrorKind::kInvalid);
  if (outcome.refusal) return outcome;
  for (const auto& [key, asked] : LastOf(write, *rows)) {
    const bool there = table.rows.contains(key);
    if ((IsInsert(write.mode) && there) || (IsUpdate(write.mode) && !there)) {
      ++outcome.passed;
      continue;
    }
    outcome.written.emplace_back(key, asked.values);
    if (asked.erase) {
      outcome.rows.erase(key);
    } else if (IsUpdate(write.mode)) {
      SetPart(taken, asked.values, *table.shape, &outcome.rows.at(key));
    } else {
      outcome.rows[key] = asked.values;
    }
  }
  return outcome;
}

TableWrite PickWrite(const Table& table, Random* chance) {
  constexpr WriteMode kModes[] = {
      WriteMode::kUpsert,         WriteMode::kUpsert,        WriteMode::kUpsert,
      WriteMode::kUpsert,         WriteMode::kUpsert,        WriteMode::kDelete,
      WriteMode::kDelete,         WriteMode::kInsert,        WriteMode::kInsertMissing,
      WriteMode::kUpdate,         WriteMode::kUpdate,        WriteMode::kUpdateExisting,
      WriteMode::kUpdateExisting, WriteMode::kDeleteWhere,   WriteMode::kDeleteWhere};
  TableWrite write{.mode = kModes[chance->Below(std::size(kModes))], .shape = table.shape};
  if (write.mode == WriteMode::kDeleteWhere) {
    write.wanted = PickWanted(*table.shape, chance);
    return write;
  }
  if (IsUpdate(write.mode)) write.shape = PickPart(*table.shape, chance);
  write.rows = PickRows(*write.shape, chance);
  const bool refusable = write.mode == WriteMode::kInsert || write.mode == WriteMode::kUpdate;
  if (refusable && chance->Below(3) > 0) Mend(table.rows, &write);
  if (write.mode == WriteMode::kUpsert && chance->Below(4) == 0) {
    for (std::size_t i = 0; i < write.rows.size(); ++i) {
      write.deletes.push_back(chance->Below(2) == 0);
    }
  }
  return write;
}

WriteRequest RequestOf(const TableWrite& write) {
  WriteRequest request{.mode = write.mode};
  if (write.mode == WriteMode::kDeleteWhere) {
    request.range = KeyRangeOf(*write.shape, write.wanted.range);
    request.filter = FilterOf(*write.shape, write.wanted.condition);
    return request;
  }
  request.rows = MakeBatch(*write.shape, write.rows);
  if (write.deletes.empty()) return request;
  arrow::BooleanBuilder bits;
  Require(bits.AppendValues(write.deletes).ok(), "memory");
  request.deletes =
      std::static_pointer_cast<arrow::BooleanArray>(Take(bits.Finish(), "which rows delete"));
  return request;
}

std::string Describe(const TableWrite& write) {
  constexpr const char* kNames[] = {"upsert",           "delete", "insert",
                                    "insert what is missing", "update", "update what is there",
                                    "delete"};
  std::string text = kNames[std::to_underlying(write.mode)];
  if (write.mode == WriteMode::kDeleteWhere) return text + Describe(write.wanted);
  if (IsUpdate(write.mode)) {
    for (const Column& column : write.shape->columns) text += " " + column.name;
  }
  text += ":" + Describe(write.rows);
  for (std::size_t i = 0; i < write.deletes.size(); ++i) {
    if (write.deletes[i]) text += fmt::format(", row {} deletes", i);
  }
  return text;
}

Result<CommitInfo> Make(const TableWrite& write, const std::string& table, Database* db,
                        const CommitOptions& options) {
  const auto request = RequestOf(write);
  if (write.looks_first() || request.deletes != nullptr) return db->Write(table, request, options);
  return write.mode == WriteMode::kDelete ? db->Delete(table, request.rows, options)
                                          : db->Upsert(table, request.rows, options);
}

}  // namespace varve::testing
