// SPDX-License-Identifier: Apache-2.0
// Rows to stdout or a file, as a table for a person, CSV, JSON lines, Arrow IPC or Parquet.
// Streams: memory is bounded by a batch (Parquet: by a row group).
#pragma once

#include <arrow/io/interfaces.h>
#include <arrow/record_batch.h>
#include <arrow/util/type_fwd.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "failure.h"

namespace varve::cli {

enum class OutputFormat { kTable, kCsv, kJson, kArrow, kParquet };

struct OutputOptions {
  std::string format;  // of --format; empty: by the file's extension, or as the terminal suggests
  std::string path;    // of -o; empty: stdout
  bool json = false;   // of --json: JSON lines unless --format says otherwise
  bool color = false;
  bool overwrite = false;  // of --yes: replace the file when there is one
};

// For one thread.
class RowWriter {
 public:
  virtual ~RowWriter() = default;
  virtual Done Write(const arrow::RecordBatch& batch) = 0;
  // Writes what is still due. Without it a file does not appear.
  virtual Done Finish() = 0;
};

// Errors: wrong usage (unknown format, Parquet to a terminal, a device, a place inside a database),
// Conflict when the file exists and may not be replaced, and those of making it.
Outcome<std::unique_ptr<RowWriter>> OpenOutput(const OutputOptions& options,
                                               const std::shared_ptr<arrow::Schema>& schema);

// Refuses places where a new file would do damage: wrong usage, and Conflict when there is one and
// it may not be replaced.
Done CheckPlace(const std::string& path, bool overwrite);

// The format that OpenOutput would use. Check it before any work.
Outcome<OutputFormat> ChooseFormat(const OutputOptions& options);

// The writers that OpenOutput chooses from.
using ByteStream = std::shared_ptr<arrow::io::OutputStream>;
std::unique_ptr<RowWriter> MakeCsvWriter(ByteStream to, const arrow::Schema& schema);
std::unique_ptr<RowWriter> MakeJsonWriter(ByteStream to, const arrow::Schema& schema);
Outcome<std::unique_ptr<RowWriter>> MakeArrowWriter(ByteStream to,
                                                    const std::shared_ptr<arrow::Schema>& schema,
                                                    bool as_file);
Outcome<std::unique_ptr<RowWriter>> MakeParquetWriter(ByteStream to,
                                                      const std::shared_ptr<arrow::Schema>& schema);

// `columns_max`: cut cells and leave columns out so that lines fit the terminal; 0: no limit.
std::unique_ptr<RowWriter> MakeTableWriter(ByteStream to,
                                           const std::shared_ptr<arrow::Schema>& schema,
                                           std::size_t columns_max, bool color);

}  // namespace varve::cli
