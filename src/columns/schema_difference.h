// SPDX-License-Identifier: Apache-2.0
// How a schema that somebody expects differs from that of a table.
#pragma once

#include <string>

#include "columns/table_schema.h"

namespace varve {

// Empty when they are the same: key columns in order; and column by column, whatever their order,
// name, type and whether it may be null. Metadata does not count. Else a text such as: column 'at':
// the table has date32[day], expected timestamp[us]; column 'note' (string) is not in the table.
std::string DescribeDifference(const TableSchema& table, const TableSchema& expected);

}  // namespace varve
