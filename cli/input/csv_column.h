// SPDX-License-Identifier: Apache-2.0
// One column of tokenized CSV as an Arrow array.
#pragma once

#include <arrow/array.h>
#include <arrow/builder.h>
#include <arrow/type.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "failure.h"
#include "input/csv_tokenizer.h"
#include "parse_cell.h"

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

// Takes the cells of one column one by one. `nulls` must outlive it.
class CsvColumn {
 public:
  static Outcome<CsvColumn> Make(const std::shared_ptr<arrow::DataType>& type,
                                 const NullSpellings* nulls);

  // `text` is the field as written. False when it is no value of the type; then problem() says why,
  // and the column is good for nothing.
  bool Append(const CsvField& field, std::string_view text) {
    if (nulls_->IsNull(text, field.quoted, textual_)) return builder_->AppendNull().ok();
    if (field.escaped) return AppendText(UnescapeCsv(text));
    return AppendText(text);
  }
  // Expected what, found what.
  const std::string& problem() const { return problem_; }
  bool has_null() const { return builder_->null_count() > 0; }
  // What was appended since the last Take.
  Outcome<std::shared_ptr<arrow::Array>> Take();

 private:
  CsvColumn() = default;
  bool AppendText(std::string_view text) {
    if (append_ != nullptr && append_(*plain_, text, builder_.get())) return true;
    return append_ == nullptr ? AppendJson(text) : Refuse(text);
  }
  bool AppendJson(std::string_view text);
  bool Refuse(std::string_view text);

  std::shared_ptr<arrow::DataType> type_;
  std::shared_ptr<arrow::DataType> plain_;
  const NullSpellings* nulls_ = nullptr;
  bool textual_ = false;           // empty text is a value
  TextAppender append_ = nullptr;  // null: cells are JSON
  std::unique_ptr<arrow::ArrayBuilder> builder_;
  std::string problem_;
};

}  // namespace varve::cli
