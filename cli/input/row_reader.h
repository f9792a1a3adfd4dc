// SPDX-License-Identifier: Apache-2.0
// Rows of one input file, as Arrow batches of exactly the size the caller asks for.
//
// Memory is bounded by one batch. A bad row fails the Next that would have returned it; batches
// returned before it are whole. The message names file, line or row, column, value and what was
// expected.
#pragma once

#include <arrow/record_batch.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "failure.h"

namespace varve::cli {

struct InputOptions {
  std::string format = {};  // of --input-format; empty: by extension
  // Columns and types of the rows. Null: those of the file; types of text are inferred from its
  // first 16 MiB.
  std::shared_ptr<arrow::Schema> schema = nullptr;
  // Spellings of null in CSV. Not set: the usual ones, in columns that are not strings.
  std::vector<std::string> nulls = {};
  // Columns of the file that `schema` does not have are skipped instead of refused.
  bool ignore_other_columns = false;
  // Nothing is null that the input does not call null: a line of JSON without a field of schema()
  // is refused. Not set: the field is null there.
  bool whole_lines = false;
  // The columns of the key, which must not be null.
  std::vector<std::string> key = {};
  // Of `schema` the input must have the key only, and schema() is those columns that it has: in the
  // header, in the file's own schema, or in the first line of JSON.
  bool some_columns = false;
};

// For one thread at a time.
class RowReader {
 public:
  virtual ~RowReader() = default;
  virtual const std::shared_ptr<arrow::Schema>& schema() const = 0;
  // The next `rows` rows, fewer only at the end of the input; null after it.
  virtual Outcome<std::shared_ptr<arrow::RecordBatch>> Next(std::int64_t rows) = 0;
  // The types of schema() were taken from its values; without any, they are strings.
  virtual bool types_inferred() const { return false; }
  // Bytes of the stored file read so far, for progress; callable from any thread.
  virtual std::uint64_t stored_bytes() const = 0;
};

// `options.schema` without the columns that need not be there, and are not: `has` says which are.
std::shared_ptr<arrow::Schema> ColumnsFound(const InputOptions& options,
                                            const std::function<bool(const std::string&)>& has);

// Whether null in this column is an error of the row: in the key, or declared so.
bool MustHaveValue(const InputOptions& options, const arrow::Field& field);
inline constexpr const char* kNullRefused = "null, and every row needs a value there";

Outcome<std::unique_ptr<RowReader>> OpenRows(const std::string& path, const InputOptions& options);

}  // namespace varve::cli
