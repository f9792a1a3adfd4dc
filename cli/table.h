// SPDX-License-Identifier: Apache-2.0
// Tables, schemas and keys as the command line speaks of them.
#pragma once

#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <memory>
#include <string>
#include <vector>

#include "session.h"

namespace varve::cli {

// A table of a snapshot, with what nearly every verb asks of it.
struct Table {
  std::shared_ptr<Snapshot> snapshot;
  std::string name;
  std::shared_ptr<arrow::Schema> schema;
  std::vector<std::string> key;

  // The key columns, in key order.
  std::shared_ptr<arrow::Schema> KeySchema() const;
  // Wrong usage when a name is no column, or is named twice.
  Done CheckColumns(const std::vector<std::string>& names) const;
};

// NotFound when the database has no such table (names those it has, and what became of this one) or
// no such version.
Outcome<Table> FindTable(const Database& database, const std::string& name, const AsOf& as_of = {});

// ParseSchema and ParseFilter, whose errors are wrong usage.
Outcome<std::shared_ptr<arrow::Schema>> ParseSchemaFlag(const std::string& text);
Outcome<std::shared_ptr<const arrow::compute::Expression>> ParseWhere(const std::string& text,
                                                                      const Table& table);

// "1 column", "3 columns".
std::string Columns(const arrow::Schema& schema);
// [{"name":..,"type":..,"nullable":..}]
Json DescribeColumns(const arrow::Schema& schema);

// The KEY arguments of `get`: each a JSON value, or an array of them when the key has several
// columns. For a key of one string column, text that is no string or array of JSON is taken as it
// is, also 42 and true.
Outcome<std::shared_ptr<arrow::RecordBatch>> ParseKeys(const Table& table,
                                                       const std::vector<std::string>& arguments);

}  // namespace varve::cli
