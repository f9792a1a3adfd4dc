// SPDX-License-Identifier: Apache-2.0
#include "input/row_reader.h"

#include <arrow/type.h>

#include <algorithm>

#include "input/columnar_reader.h"
#include "input/csv_reader.h"
#include "input/json_reader.h"

namespace varve::cli {

std::shared_ptr<arrow::Schema> ColumnsFound(const InputOptions& options,
                                            const std::function<bool(const std::string&)>& has) {
  const auto& needed = options.needed;
  if (options.schema == nullptr || needed.empty()) return options.schema;
  arrow::FieldVector fields;
  for (const auto& field : options.schema->fields()) {
    const bool keep = std::ranges::find(needed, field->name()) != needed.end();
    if (keep || has(field->name())) fields.push_back(field);
  }
  return arrow::schema(std::move(fields));
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
