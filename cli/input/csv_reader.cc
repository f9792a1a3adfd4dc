// SPDX-License-Identifier: Apache-2.0
#include "input/csv_reader.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "format_cell.h"
#include "input/infer_type.h"
#include "names.h"

namespace varve::cli {
namespace {

constexpr std::size_t kInferBytes = 4 << 20;
constexpr std::int64_t kInferRows = 16 << 20;
// A row of more text than this is taken for a quote that was never closed.
constexpr std::size_t kRowBytesMax = 64 << 20;
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

}  // namespace

CsvReader::CsvReader(InputFile file, const InputOptions& options)
    : input_(std::move(file)),
      separator_(input_.format() == InputFormat::kTsv ? '\t' : ','),
      nulls_(options.nulls),
      schema_(options.schema),
      types_inferred_(options.schema == nullptr) {}

Outcome<std::unique_ptr<RowReader>> CsvReader::Open(InputFile file, const InputOptions& options) {
  std::unique_ptr<CsvReader> reader(new CsvReader(std::move(file), options));
  CLI_TRY(reader->ReadHeader());
  CLI_TRY(reader->CheckHeader());
  reader->schema_ = ColumnsFound(options, [&header = reader->header_](const std::string& name) {
    return std::ranges::find(header, name) != header.end();
  });
  if (reader->schema_ == nullptr) CLI_TRY(reader->InferSchema());
  CLI_TRY(reader->MatchColumns(options));
  return reader;
}

std::string CsvReader::Where(std::size_t offset) const {
  return fmt::format("{}: line {}", input_.name(), input_.LineAt(offset));
}

Outcome<bool> CsvReader::TokenizeRow(std::size_t* at) {
  const std::string_view window = input_.window();
  std::size_t next = *at;
  switch (TokenizeCsvRow(window, *at, input_.at_end(), separator_, &fields_, &next)) {
    case CsvRowEnd::kRow: *at = next; return true;
    case CsvRowEnd::kBlank: *at = next; return false;
    case CsvRowEnd::kMoreText:
      if (window.size() - *at > kRowBytesMax) {
        return BadData(fmt::format("{}: the row that starts here is over {} long; is a quote left "
                                   "open?", Where(*at), FormatBytes(kRowBytesMax)));
      }
      CLI_TRY(input_.Fill());
      return false;
    case CsvRowEnd::kOpenQuote:
      return BadData(Where(next) + ": the quote that opens here is never closed");
    case CsvRowEnd::kTextAfterQuote:
      return BadData(fmt::format("{}: expected a separator after the closing quote, found {}; "
                                 "double a quote that belongs to the text",
                                 Where(next), Quoted(window.substr(next, 10))));
  }
  return false;
}

Done CsvReader::ReadHeader() {
  CLI_TRY(input_.Fill());
  if (input_.window().starts_with(kByteOrderMark)) input_.Consume(kByteOrderMark.size());
  std::size_t at = 0;
  while (fields_.empty()) {
    if (input_.at_end() && at == input_.window().size()) {
      return BadData(input_.name() + ": is empty: expected a header line with the column names");
    }
    CLI_TRY(TokenizeRow(&at));
  }
  for (const CsvField& field : fields_) {
    const std::string_view raw = input_.window().substr(field.begin, field.size);
    header_.push_back(field.escaped ? UnescapeCsv(raw) : std::string(raw));
  }
  fields_.clear();
  input_.Consume(at);
  return {};
}

Done CsvReader::CheckHeader() const {
  for (std::size_t i = 0; i < header_.size(); ++i) {
    if (header_[i].empty()) {
      return BadData(fmt::format("{}: line 1: column {} of the header has no name", input_.name(),
                                 i + 1));
    }
    for (std::size_t k = 0; k < i; ++k) {
      if (header_[k] != header_[i]) continue;
      return BadData(fmt::format("{}: line 1: the header names column {} twice (columns {} and {})",
                                 input_.name(), header_[i], k + 1, i + 1));
    }
  }
  return {};
}

Done CsvReader::Tokenize(std::int64_t rows, std::size_t bytes_max) {
  const std::size_t width = header_.size();
  const std::size_t end = given_ + static_cast<std::size_t>(rows) * width;
  while (fields_.size() < end && split_bytes_ < bytes_max) {
    if (split_bytes_ == input_.window().size()) {
      if (input_.at_end()) break;
      CLI_TRY(input_.Fill());
      continue;
    }
    const std::size_t start = split_bytes_;
    const std::size_t before = fields_.size();
    CLI_ASSIGN(const bool is_row, TokenizeRow(&split_bytes_));
    const std::size_t found = fields_.size() - before;
    if (!is_row || found == width) continue;
    fields_.resize(before);
    split_bytes_ = start;
    return BadData(fmt::format("{}: expected {} fields, as the header has, found {}", Where(start),
                               width, found));
  }
  return {};
}

Done CsvReader::InferSchema() {
  // A row that cannot be read ends the sample, not the load: rows before it are to be kept. Next
  // will meet it again.
  if (Done split = Tokenize(kInferRows, kInferBytes); !split && fields_.empty()) return split;
  std::vector<InferredType> inferred(header_.size());
  for (std::size_t i = 0; i < fields_.size(); ++i) {
    const CsvField& field = fields_[i];
    const std::string_view raw = input_.window().substr(field.begin, field.size);
    if (nulls_.IsNull(raw, field.quoted, /*is_text=*/false)) continue;
    InferredType& column = inferred[i % header_.size()];
    if (field.escaped) column.Add(UnescapeCsv(raw));
    else column.Add(raw);
  }
  std::vector<std::shared_ptr<arrow::Field>> fields;
  for (std::size_t column = 0; column < header_.size(); ++column) {
    fields.push_back(arrow::field(header_[column], inferred[column].type()));
  }
  schema_ = arrow::schema(std::move(fields));
  return {};
}

Done CsvReader::MatchColumns(const InputOptions& options) {
  for (const auto& field : schema_->fields()) {
    const auto found = std::ranges::find(header_, field->name());
    if (found == header_.end()) {
      return BadData(fmt::format("{}: line 1: the header has no column {}; expected {}, found {}",
                                 input_.name(), field->name(),
                                 fmt::join(schema_->field_names(), ","), fmt::join(header_, ",")));
    }
    column_of_.push_back(static_cast<std::size_t>(found - header_.begin()));
    CLI_ASSIGN(auto column, CsvColumn::Make(field->type(), &nulls_));
    columns_.push_back(std::move(column));
    required_.push_back(MustHaveValue(options, *field));
  }
  if (options.ignore_other_columns || header_.size() == column_of_.size()) return {};
  for (const std::string& name : header_) {
    if (schema_->GetFieldByName(name) != nullptr) continue;
    const auto expected = (options.schema != nullptr ? options.schema : schema_)->field_names();
    return BadData(fmt::format("{}: line 1: the header has column {}, which is not in the schema; "
                               "expected {}{}", input_.name(), name, fmt::join(expected, ","),
                               DidYouMean(name, expected)));
  }
  return {};
}

Done CsvReader::AppendRow(std::span<const CsvField> fields) {
  const std::string_view window = input_.window();
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    const CsvField& field = fields[column_of_[i]];
    const bool good = columns_[i].Append(field, window.substr(field.begin, field.size));
    const bool null = required_[i] && columns_[i].has_null();
    if (good && !null) continue;
    return BadData(fmt::format("{}, column {}: {}", Where(field.begin),
                               schema_->field(static_cast<int>(i))->name(),
                               null ? kNullRefused : columns_[i].problem()));
  }
  return {};
}

Outcome<std::shared_ptr<arrow::RecordBatch>> CsvReader::Next(std::int64_t rows) {
  CLI_TRY(Tokenize(rows, TextInput::kWindowBytesMax));
  const std::size_t width = header_.size();
  const auto count = std::min(static_cast<std::size_t>(rows), (fields_.size() - given_) / width);
  if (count == 0) return nullptr;
  for (std::size_t row = 0; row < count; ++row, given_ += width) {
    CLI_TRY(AppendRow(std::span(fields_).subspan(given_, width)));
  }
  std::vector<std::shared_ptr<arrow::Array>> arrays;
  for (CsvColumn& column : columns_) {
    CLI_ASSIGN(auto array, column.Take());
    arrays.push_back(std::move(array));
  }
  // The fields point into the window: it moves on when the last of them is given out.
  if (given_ == fields_.size()) {
    input_.Consume(std::exchange(split_bytes_, 0));
    fields_.clear();
    given_ = 0;
  }
  return arrow::RecordBatch::Make(schema_, static_cast<std::int64_t>(count), std::move(arrays));
}

}  // namespace varve::cli
