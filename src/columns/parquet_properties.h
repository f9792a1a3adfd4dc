// SPDX-License-Identifier: Apache-2.0
// How tables cross into Parquet and back. The check of a new table's types (TableSchema::Make) and
// the runs use the same functions, so that a table that was accepted can be read.
//
//   write: ToParquet(batch), with ArrowWriterSettings, into a file of ParquetSchema(schema)
//   read:  with ArrowReaderSettings, then CastToSchema(batch, schema)
//
// Most types cross unchanged. Parquet, or Arrow's way with it, has no
//   fixed-size lists with nulls               written as lists
//   dictionaries, but of strings and binary,
//   and those inside of other types           written as their values
//   seconds, date64                           read as milliseconds, date32
// and CastToSchema undoes all of it.
#pragma once

#include <memory>

#include <parquet/properties.h>

#include "varve/error.h"

namespace arrow {
class RecordBatch;
class Schema;
}  // namespace arrow

namespace varve {

// `threads`: encodes the columns of a buffered row group at once.
std::shared_ptr<parquet::ArrowWriterProperties> ArrowWriterSettings(bool threads = false);
parquet::ArrowReaderProperties ArrowReaderSettings();

// The schema of the file that holds rows of `schema`: the same field names and order.
std::shared_ptr<arrow::Schema> ParquetSchema(const arrow::Schema& schema);

// The batch as ParquetSchema has it. Columns that need no change are shared. Required fields inside
// of nulls are given values, which Parquet's writer insists on and nobody can see.
Result<std::shared_ptr<arrow::RecordBatch>> ToParquet(
    const std::shared_ptr<arrow::RecordBatch>& batch);

// What was read from Parquet, with the fields of `schema`: as many, in the same order (names are
// not compared). Corruption when the stored values cannot be values of that type.
Result<std::shared_ptr<arrow::RecordBatch>> CastToSchema(
    const std::shared_ptr<arrow::RecordBatch>& batch, const std::shared_ptr<arrow::Schema>& schema);

}  // namespace varve
