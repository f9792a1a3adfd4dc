// SPDX-License-Identifier: Apache-2.0
// The columns of a life's table: its id, a text, and numbers that come and go. A row is kept as one
// text: its own, and each of its numbers that is not null: "a;n=7".
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "test/support/rows.h"

namespace varve::testing {

struct Columns {
  struct Number {
    std::string name;
    bool wide = false;  // int64; otherwise int32
  };
  std::string values = "v";  // the name of that of the texts
  std::vector<Number> numbers = {};

  std::vector<std::string> names() const;  // all of them
};

std::shared_ptr<arrow::Schema> SchemaOf(const Columns& columns);
std::shared_ptr<arrow::Field> FieldOf(const Columns::Number& number);
std::shared_ptr<arrow::RecordBatch> BatchOf(const Rows& rows, const Columns& columns);
// A table's rows, whatever its columns are.
Rows ReadTexts(const Snapshot& snapshot, const std::string& table);

// The rows that are there, with these columns of others.
Rows Updated(Rows rows, const Rows& from, const std::vector<std::string>& names,
             const Columns& columns);
// With one number more, the last, or one less.
Rows WithNumber(Rows rows, const std::string& name, std::int64_t value);
Rows WithoutNumber(Rows rows, const std::string& name);

}  // namespace varve::testing
