// SPDX-License-Identifier: Apache-2.0
// Gather: builds one batch out of slices of others, column by column. What the merge emits.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "varve/error.h"

namespace arrow {
class RecordBatch;
class Schema;
}  // namespace arrow

namespace varve {

// Rows [start, start + length) of a batch.
struct RowSlice {
  std::shared_ptr<arrow::RecordBatch> batch;
  std::int64_t start = 0;
  std::int64_t length = 0;
};

// Lengthens the last slice by this row when it continues it, or begins one.
void AddRow(const std::shared_ptr<arrow::RecordBatch>& batch, std::int64_t row,
            std::vector<RowSlice>* slices);

// The rows of the slices, in order, as one batch of `schema`. One slice: no copy. Few long slices:
// concatenation. Many short ones: indices and take. Only rows of the slices are copied, never the
// rest of their batches, which together may pass what one array can hold. Works for every Arrow
// type that a table can have, dictionaries that differ between batches included.
Result<std::shared_ptr<arrow::RecordBatch>> Gather(const std::shared_ptr<arrow::Schema>& schema,
                                                   const std::vector<RowSlice>& slices);

// The same rows in memory of their own: nothing of the slices' batches is kept.
Result<std::shared_ptr<arrow::RecordBatch>> CopyRows(const std::shared_ptr<arrow::Schema>& schema,
                                                     const std::vector<RowSlice>& slices);

// Bytes of memory that the rows of this batch take (slices count their part only).
std::uint64_t BatchBytes(const arrow::RecordBatch& batch);

}  // namespace varve
