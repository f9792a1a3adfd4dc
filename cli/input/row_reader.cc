// SPDX-License-Identifier: Apache-2.0
#include "input/row_reader.h"

#include "input/columnar_reader.h"
#include "input/csv_reader.h"
#include "input/json_reader.h"

namespace varve::cli {

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
