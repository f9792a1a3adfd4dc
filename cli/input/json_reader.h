// SPDX-License-Identifier: Apache-2.0
// Rows of JSON lines: one object a line, empty lines skipped. A field that is missing is null, or
// an error with InputOptions::whole_lines; one that the schema does not have is an error.
#pragma once

#include <arrow/builder.h>

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "input/infer_type.h"
#include "input/row_reader.h"
#include "input/text_input.h"
#include "json_value.h"

namespace varve::cli {

class JsonReader final : public RowReader {
 public:
  static Outcome<std::unique_ptr<RowReader>> Open(InputFile file, const InputOptions& options);

  const std::shared_ptr<arrow::Schema>& schema() const override { return schema_; }
  Outcome<std::shared_ptr<arrow::RecordBatch>> Next(std::int64_t rows) override;
  std::uint64_t stored_bytes() const override { return input_.stored_bytes(); }

 private:
  JsonReader(InputFile file, const InputOptions& options);

  // The line at `*at` of the window, without its end; moves *at behind it. False at the end.
  Outcome<bool> ReadLine(std::size_t* at, std::string_view* line);
  Outcome<JsonValue> ParseLine(std::string_view line, std::size_t at) const;
  Done InferSchema();
  // With InputOptions::some_columns: those of the first line.
  Done ChooseColumns();
  Done MakeBuilders(std::int64_t rows);
  Done AppendRow(const JsonValue& row, std::size_t at);
  std::unexpected<Failure> Missing(const std::string& name, std::size_t at) const;
  std::unexpected<Failure> Unknown(const std::string& name, std::size_t at) const;
  std::string Where(std::size_t offset) const;

  TextInput input_;
  const InputOptions options_;
  std::shared_ptr<arrow::Schema> schema_;
  std::vector<std::shared_ptr<arrow::DataType>> plain_types_;
  std::vector<bool> required_;  // of the columns: null is refused
  std::vector<std::unique_ptr<arrow::ArrayBuilder>> builders_;
};

// The type that holds every one of some JSON values: bool, int64, double, timestamps and dates
// written as ISO 8601 strings, string, list, struct. Values that are all null are strings.
class InferredJson {
 public:
  void Add(const JsonValue& value);
  // Null when the values, or those inside them, have no type in common.
  std::shared_ptr<arrow::DataType> type() const;
  // The members of the objects, each with its type or null, in order of appearance.
  arrow::FieldVector fields() const;

 private:
  std::shared_ptr<arrow::DataType> StringType() const;

  bool bools_ = false;
  bool has_numbers_ = false;
  bool has_strings_ = false;
  bool objects_ = false;
  InferredType numbers_;
  InferredType strings_;
  std::vector<std::string> names_;  // of the objects' members
  std::unordered_map<std::string, InferredJson> members_;
  std::unique_ptr<InferredJson> items_;
};

}  // namespace varve::cli
