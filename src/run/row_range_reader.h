// SPDX-License-Identifier: Apache-2.0
// RowRangeReader: some rows of a row group, reading only the pages that hold them.
//
// Arrow reads column chunks from their beginning. Here it is given a file whose chunks have a few
// pages only: of each chunk the dictionary page, and those data pages that the offset index names
// for the rows. Everything else (types, nesting, levels) is Arrow's own reading. The leaves of a
// nested column must begin at one row; where their pages do not, more pages are read, in the end
// all of them. What is read and not asked for is cut off.
//
// Not thread-safe. The file outlives it.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "varve/error.h"

namespace arrow {
class MemoryPool;
class RecordBatch;
class Schema;
}  // namespace arrow

namespace varve {

class RunFile;

class RowRangeReader {
 public:
  // `pool`: what it decodes takes memory of this one; null: of Arrow's own.
  static Result<std::unique_ptr<RowRangeReader>> Open(const RunFile& file,
                                                      arrow::MemoryPool* pool = nullptr);
  ~RowRangeReader();

  // The top-level fields at `fields` of rows [first_row, first_row + rows) of a row group, in this
  // order, as `schema` has them. At least one row, and all of them in the group.
  Result<std::shared_ptr<arrow::RecordBatch>> Read(int group, std::int64_t first_row,
                                                   std::int64_t rows,
                                                   const std::vector<int>& fields,
                                                   const std::shared_ptr<arrow::Schema>& schema);

 private:
  struct Parts;
  explicit RowRangeReader(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace varve
