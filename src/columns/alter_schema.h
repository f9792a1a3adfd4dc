// SPDX-License-Identifier: Apache-2.0
// Changes of a table's columns: what they lead to, and whether one schema can follow another.
#pragma once

#include <memory>
#include <vector>

#include "columns/table_schema.h"
#include "varve/options.h"

namespace varve {

// `before` with the changes, one after the other. Errors: Invalid (no change; a change that is not
// allowed: says which column and why), NotFound (column), and those of TableSchema::Make.
Result<std::shared_ptr<const TableSchema>> AlterSchema(const TableSchema& before,
                                                       const std::vector<ColumnChange>& changes);

// Whether every value of the one type is one of the other, by a cast that keeps order.
bool CanWiden(const arrow::DataType& from, const arrow::DataType& to);

// Invalid unless rows of `before` can be shown as rows of `after`: the key is the same columns, in
// order and of the same types; every column that both have is of the same type or a wider one, and
// as nullable; a new one has an id that was never used, and a default when it must not be null.
Status CheckFollows(const TableSchema& before, const TableSchema& after);

}  // namespace varve
