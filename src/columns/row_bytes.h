// SPDX-License-Identifier: Apache-2.0
// How large single rows are, so that what is gathered out of them stays small enough: text and
// lists with 32-bit offsets end at 2 GiB a column.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "columns/gather.h"

namespace arrow {
struct ArrayData;
}  // namespace arrow

namespace varve {

// Larger batches are not gathered, unless one row alone is larger.
inline constexpr std::uint64_t kGatherBytesMax = 1ull << 30;

// Bytes of memory that rows [begin, end) of the batch take. Told from offsets and sizes: no value
// is read. A dictionary's values, which rows share, do not count.
class RowBytes {
 public:
  // Keeps the batch.
  explicit RowBytes(std::shared_ptr<arrow::RecordBatch> batch);
  std::uint64_t operator()(std::int64_t begin, std::int64_t end) const;

 private:
  std::shared_ptr<arrow::RecordBatch> batch_;
  std::uint64_t fixed_ = 0;  // of the columns whose rows are all equally large
  std::vector<std::shared_ptr<arrow::ArrayData>> variable_;
};

// The same rows in the same order, in parts of at most `bytes_max` bytes or one row. No row may be
// in two slices. Slices may be cut.
std::vector<std::vector<RowSlice>> SplitByBytes(std::vector<RowSlice> slices,
                                                std::uint64_t bytes_max);

}  // namespace varve
