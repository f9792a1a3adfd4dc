// SPDX-License-Identifier: Apache-2.0
#include "input/csv_column.h"

#include <arrow/util/utf8.h>

#include <algorithm>

#include "format_cell.h"

namespace varve::cli {
namespace {

constexpr std::string_view kUsualSpellings[] = {"", "NA", "N/A", "NULL", "null"};

// String and binary types, whose empty text is a value.
bool IsTextual(const arrow::DataType& type) {
  return arrow::is_base_binary_like(type.id()) || arrow::is_binary_view_like(type.id());
}

}  // namespace

NullSpellings::NullSpellings(const std::vector<std::string>& named)
    : named_(named), any_named_(!named.empty()) {
  for (const std::string_view text : kUsualSpellings) {
    if (!text.empty()) first_byte_[static_cast<unsigned char>(text.front())] = true;
  }
  for (const std::string& text : named) {
    if (!text.empty()) first_byte_[static_cast<unsigned char>(text.front())] = true;
  }
}

bool NullSpellings::Matches(std::string_view text, bool is_text) const {
  if (!is_text && std::ranges::find(kUsualSpellings, text) != std::end(kUsualSpellings)) {
    return true;
  }
  return std::ranges::find(named_, text) != named_.end();
}

Outcome<CsvColumn> CsvColumn::Make(const std::shared_ptr<arrow::DataType>& type,
                                   const NullSpellings* nulls) {
  CsvColumn column;
  column.type_ = type;
  column.plain_ = PlainType(type);
  column.nulls_ = nulls;
  column.textual_ = IsTextual(*column.plain_);
  column.append_ = TextAppenderOf(*column.plain_);
  CLI_ARROW(column.builder_, arrow::MakeBuilder(column.plain_));
  return column;
}

bool CsvColumn::AppendJson(std::string_view text) {
  const auto value = ParseJson(text);
  if (!value) {
    problem_ = "expected " + plain_->ToString() + " as JSON, found " + Quoted(text) + ": " +
               value.error();
    return false;
  }
  const auto problem = AppendParsedJson(*plain_, *value, builder_.get());
  problem_ = problem.value_or("");
  return !problem;
}

bool CsvColumn::Refuse(std::string_view text) {
  const bool not_utf8 = IsString(*plain_) && !arrow::util::ValidateUTF8(text);
  problem_ = not_utf8 ? "expected UTF-8 text, found bytes that are not"
                      : "expected " + plain_->ToString() + ", found " + Quoted(text);
  return false;
}

Outcome<std::shared_ptr<arrow::Array>> CsvColumn::Take() {
  const std::int64_t rows = builder_->length();
  std::shared_ptr<arrow::Array> plain;
  CLI_ARROW_TRY(builder_->Finish(&plain));
  CLI_ARROW_TRY(builder_->Reserve(rows));  // the next batch will be as large
  CLI_ARROW(auto column, RestoreColumn(plain, type_));
  return column;
}

}  // namespace varve::cli
