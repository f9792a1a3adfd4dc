// SPDX-License-Identifier: Apache-2.0
// One column of tokenized CSV as an Arrow array.
#pragma once

#include <arrow/array.h>
#include <arrow/type.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "failure.h"
#include "input/csv_tokenizer.h"

namespace varve::cli {

// What stands for null. In columns that are not strings: nothing at all, NA, N/A, NULL, null, and
// what the user names. In string and binary columns: only what the user names, and only unquoted,
// because there every text is a value.
class NullSpellings {
 public:
  explicit NullSpellings(const std::vector<std::string>& named);
  bool IsNull(std::string_view text, bool quoted, bool is_text) const {
    if (is_text && (quoted || !any_named_)) return false;
    if (!text.empty() && !first_byte_[static_cast<unsigned char>(text.front())]) return false;
    return Matches(text, is_text);
  }

 private:
  bool Matches(std::string_view text, bool is_text) const;

  std::vector<std::string> named_;
  bool any_named_ = false;
  bool first_byte_[256] = {};  // of any spelling: most values are told apart by it
};

// The cells of one column: every `columns`-th field, from `column` on.
struct CsvCells {
  std::string_view text;
  std::span<const CsvField> fields;
  std::size_t columns = 1;
  std::size_t column = 0;

  std::size_t size() const { return fields.size() / columns; }
  const CsvField& field(std::size_t row) const { return fields[row * columns + column]; }
  std::string_view raw(std::size_t row) const {
    return text.substr(field(row).begin, field(row).size);
  }
};

struct BadCell {
  std::size_t row = 0;
  std::string problem;  // expected what, found what
};

struct CsvColumn {
  std::shared_ptr<arrow::Array> array;  // null when a cell is bad
  std::optional<BadCell> bad;           // the first one
};

// Errors are Arrow's (memory); a cell that is no value of `type` is a result.
Outcome<CsvColumn> ParseCsvColumn(const CsvCells& cells,
                                  const std::shared_ptr<arrow::DataType>& type,
                                  const NullSpellings& nulls);

// String and binary types, whose empty text is a value.
bool IsTextual(const arrow::DataType& type);

}  // namespace varve::cli
