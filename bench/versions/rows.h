// SPDX-License-Identifier: Apache-2.0
// The rows of the benchmark: ten columns of integers, floats, strings and timestamps, some 110
// bytes a row, keyed by `id`.
#pragma once

#include <arrow/type_fwd.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace varve::bench {

using BatchPtr = std::shared_ptr<arrow::RecordBatch>;

inline constexpr const char* kTable = "orders";
inline constexpr const char* kKey = "id";
// One row is this many microseconds after the one before it: `ordered` is clustered by the key.
inline constexpr std::int64_t kMicrosPerRow = 1000;
inline constexpr std::int64_t kFirstMicros = 1'700'000'000'000'000;

const std::shared_ptr<arrow::Schema>& RowSchema();
std::vector<std::string> ColumnNames();

// Batches of `rows` rows. What is not the key comes from a pool that was made beforehand, so that
// making a batch costs next to nothing. From any thread.
class RowMaker {
 public:
  RowMaker(std::int64_t rows, std::uint64_t seed);

  // Keys first, first + 1, ...
  BatchPtr Ascending(std::int64_t first);
  // These keys; as many as the pool's batches have rows.
  BatchPtr WithKeys(const std::vector<std::int64_t>& keys);

  std::int64_t rows() const { return rows_; }

 private:
  BatchPtr Finish(std::shared_ptr<arrow::Array> keys, std::shared_ptr<arrow::Array> ordered);

  const std::int64_t rows_;
  std::vector<BatchPtr> pool_;
  std::atomic<std::size_t> next_ = 0;
};

// One-column batches, as Get takes them.
BatchPtr KeyBatch(const std::vector<std::int64_t>& keys);

// The columns of a batch as plain pointers, for whoever takes rows one value at a time.
struct Columns {
  explicit Columns(const arrow::RecordBatch& batch);

  std::int64_t rows;
  const std::int64_t* id;
  const std::int32_t* customer;
  const std::int64_t* quantity;
  const double* price;
  const float* discount;
  const arrow::StringArray *product, *city, *note;
  const std::int64_t *ordered, *shipped;
};

// A row without its key as bytes: the fixed columns, then each string behind its length.
void AppendRow(const Columns& columns, std::int64_t row, std::string* bytes);
// The key as eight bytes whose order is that of the numbers.
struct KeyBytes {
  explicit KeyBytes(std::int64_t key);
  char bytes[8];
};

}  // namespace varve::bench
