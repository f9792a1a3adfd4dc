// SPDX-License-Identifier: Apache-2.0
// Rows of Parquet files and of Arrow IPC files and streams. Columns are matched to the schema by
// name; a type that differs is converted when every value survives it (int32 to int64, timestamps
// to a finer unit, dictionaries, large and view strings), and refused otherwise.
#pragma once

#include <memory>

#include "input/input_file.h"
#include "input/row_reader.h"

namespace varve::cli {

Outcome<std::unique_ptr<RowReader>> OpenParquet(InputFile file, const InputOptions& options);
Outcome<std::unique_ptr<RowReader>> OpenArrow(InputFile file, const InputOptions& options);

}  // namespace varve::cli
