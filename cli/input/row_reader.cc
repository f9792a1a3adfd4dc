// SPDX-License-Identifier: Apache-2.0
#include "input/row_reader.h"

#include <arrow/type.h>

#include <algorithm>

#include "input/columnar_reader.h"
#include "input/csv_reader.h"
#include "input/json_reader.h"

namespace varve::cli {
namespace {

bool IsKey(const InputOptions& options, const std::string& name) {
  return std::ranges::find(options.key, name) != options.key.end();
}

}  // namespace

std::shared_ptr<arrow::Schema> ColumnsFound(const InputOptions& options,
                                            const std::function<bool(const std::string&)>& has) {
  if (options.schema == nullptr || !options.some_columns) return options.schema;
  arrow::FieldVector fields;
  for (const auto& field : options.schema->fields()) {
    if (IsKey(options, field->name()) || has(field->name())) fields.push_back(field);
  }
  return arrow::schema(std::move(fields));
}

bool MustHaveValue(const InputOptions& options, const arrow::Field& field) {
  return !field.nullable() || IsKey(options, field.name());
}

Outcome<std::unique_ptr<RowReader>> OpenRows(const std::string& path, const InputOptions& options) {
  CLI_ASSIGN(InputFile file, OpenInputFile(path, options.format));
  switch (file.format) {
    case InputFormat::kCsv:
    case InputFormat::kTsv: return CsvReader::Open(std::move(file), options);
    case InputFormat::kJsonLines: return JsonReader::Open(std::move(file), options);
    case InputFormat::kParquet: return OpenParquet(std::move(file), options);
    case InputFormat::kArrow: return OpenArrow(std::move(file), options);
  }
  return WrongUsage(path + ": no reader for this format");
}

}  // namespace varve::cli
