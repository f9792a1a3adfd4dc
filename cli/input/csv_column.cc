// SPDX-License-Identifier: Apache-2.0
#include "input/csv_column.h"

#include <arrow/builder.h>
#include <arrow/util/utf8.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "format_cell.h"
#include "parse_cell.h"

namespace varve::cli {
namespace {

constexpr std::string_view kUsualSpellings[] = {"", "NA", "N/A", "NULL", "null"};

std::string Expected(const arrow::DataType& type, std::string_view text) {
  if (IsString(type) && !arrow::util::ValidateUTF8(text)) {
    return "expected UTF-8 text, found bytes that are not";
  }
  return "expected " + type.ToString() + ", found " + Quoted(text);
}

std::optional<std::string> AppendNestedText(const arrow::DataType& type, std::string_view text,
                                            arrow::ArrayBuilder* builder) {
  const auto value = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (value.is_discarded()) {
    return "expected " + type.ToString() + " as JSON, found " + Quoted(text);
  }
  return AppendParsedJson(type, value, builder);
}

// Appends one cell that is not null.
std::optional<std::string> AppendCell(const arrow::DataType& type, std::string_view text,
                                      bool nested, arrow::ArrayBuilder* builder) {
  if (nested) return AppendNestedText(type, text, builder);
  if (AppendParsed(type, text, builder)) return std::nullopt;
  return Expected(type, text);
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

bool IsTextual(const arrow::DataType& type) {
  return arrow::is_base_binary_like(type.id()) || arrow::is_binary_view_like(type.id());
}

Outcome<CsvColumn> ParseCsvColumn(const CsvCells& cells,
                                  const std::shared_ptr<arrow::DataType>& type,
                                  const NullSpellings& nulls) {
  const auto plain_type = PlainType(type);
  const arrow::DataType& plain = *plain_type;
  const bool textual = IsTextual(plain);
  const bool nested = IsNested(plain);
  CLI_ARROW(auto builder, arrow::MakeBuilder(plain_type));
  CLI_ARROW_TRY(builder->Reserve(static_cast<std::int64_t>(cells.size())));
  for (std::size_t row = 0; row < cells.size(); ++row) {
    const CsvField& field = cells.field(row);
    const std::string_view raw = cells.raw(row);
    if (nulls.IsNull(raw, field.quoted, textual)) {
      CLI_ARROW_TRY(builder->AppendNull());
      continue;
    }
    auto problem = field.escaped ? AppendCell(plain, UnescapeCsv(raw), nested, builder.get())
                                 : AppendCell(plain, raw, nested, builder.get());
    if (problem) return CsvColumn{nullptr, BadCell{row, *std::move(problem)}};
  }
  std::shared_ptr<arrow::Array> array;
  CLI_ARROW_TRY(builder->Finish(&array));
  CLI_ARROW(array, RestoreColumn(array, type));
  return CsvColumn{std::move(array), std::nullopt};
}

}  // namespace varve::cli
