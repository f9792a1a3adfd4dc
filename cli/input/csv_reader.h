// SPDX-License-Identifier: Apache-2.0
// Rows of a CSV file with a header line. Columns are matched to the schema by name, in any order.
// Empty lines are skipped.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "input/csv_column.h"
#include "input/csv_tokenizer.h"
#include "input/row_reader.h"
#include "input/text_input.h"

namespace varve::cli {

class CsvReader final : public RowReader {
 public:
  static Outcome<std::unique_ptr<RowReader>> Open(InputFile file, const InputOptions& options);

  const std::shared_ptr<arrow::Schema>& schema() const override { return schema_; }
  Outcome<std::shared_ptr<arrow::RecordBatch>> Next(std::int64_t rows) override;
  bool types_inferred() const override { return types_inferred_; }
  std::uint64_t stored_bytes() const override { return input_.stored_bytes(); }

 private:
  CsvReader(InputFile file, const InputOptions& options);

  Done ReadHeader();
  Done CheckHeader() const;
  Done InferSchema();
  Done MatchColumns(const InputOptions& options);
  Done AppendRow(std::span<const CsvField> fields);
  // Splits more text until fields_ holds `rows` rows, or those of about `bytes_max` bytes.
  Done Tokenize(std::int64_t rows, std::size_t bytes_max);
  // True when a row was read at *at; false when there is none (blank line, or more text needed).
  Outcome<bool> TokenizeRow(std::size_t* at);
  std::string Where(std::size_t offset) const;

  TextInput input_;
  const char separator_;
  const NullSpellings nulls_;
  std::shared_ptr<arrow::Schema> schema_;
  const bool types_inferred_;
  std::vector<std::string> header_;
  std::vector<CsvColumn> columns_;      // of the schema
  std::vector<bool> required_;          // of them: null is refused
  std::vector<std::size_t> column_of_;  // schema column -> column of the file
  std::vector<CsvField> fields_;        // of the rows that are split, row by row
  std::size_t split_bytes_ = 0;         // of the window: the text of fields_
  std::size_t given_ = 0;               // of fields_: those of rows that Next gave out
};

}  // namespace varve::cli
