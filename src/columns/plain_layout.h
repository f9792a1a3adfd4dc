// SPDX-License-Identifier: Apache-2.0
// PlainLayout: the short way of batches whose columns are all plain: numbers, times, text, bytes.
//
// A commit of one row must not cost thirty of Arrow's objects. A batch of plain columns is checked
// in one pass over its buffers, becomes the log's bytes without Arrow's writer, and stays these
// bytes in memory until somebody reads it. Two batches of one schema differ in their numbers alone
// ("head"): an Arrow IPC message whose flatbuffer has every number at the same place. So the head
// is made once, by Arrow, and filled in.
//
//   head   what Arrow writes before the body: rows, null counts, offsets and sizes of the buffers
//   body   the buffers of each column in turn, each from a multiple of 8 on: validity (empty when
//          nothing is null), values; or validity, offsets, text
//
// What is not certain here is left to Conform, CheckRequiredValues and Arrow: they say what is
// wrong. Immutable; any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "varve/error.h"

namespace arrow {
class Buffer;
class DataType;
class Field;
class RecordBatch;
class Schema;
struct ArrayData;
}  // namespace arrow

namespace varve {

// Rows [start, start + length) of the bytes of one batch.
struct PlainSlice {
  const arrow::Buffer* bytes;
  std::int64_t start;
  std::int64_t length;
};

class PlainLayout {
 public:
  // Null when a column is not plain: nested, a dictionary, a view, an extension, or of a type that
  // has values which Parquet has not (storable_values.h).
  static std::shared_ptr<const PlainLayout> Make(const std::shared_ptr<arrow::Schema>& schema);

  // One layout for each table's schema, as long as that lives: a table's schema is remembered when
  // it is made. Of() gives its layout; null when it has none, or it is not a table's. By identity:
  // an equal schema is another one.
  static void Remember(const std::shared_ptr<arrow::Schema>& schema);
  static std::shared_ptr<const PlainLayout> Of(const std::shared_ptr<arrow::Schema>& schema);

  // True: the batch has the columns of the schema in their order, every value of them is as
  // PrepareUpsert wants it, but for keys, and there is a row. False: that is not certain.
  bool Fits(const arrow::RecordBatch& batch) const;

  // What DecodeBatch reads. Requires a batch that fits, or that was conformed and has a row.
  std::shared_ptr<arrow::Buffer> Encode(const arrow::RecordBatch& batch) const;

  // Whether the bytes, which are those of a batch of the schema, have the places that Encode gives
  // them. A batch without rows has not.
  bool Made(const arrow::Buffer& bytes) const;
  // What follows requires such bytes; `schema` is that of the layout, or its equal. The batch is in
  // their memory.
  std::shared_ptr<arrow::RecordBatch> View(const std::shared_ptr<arrow::Buffer>& bytes,
                                           const std::shared_ptr<arrow::Schema>& schema) const;
  std::int64_t Rows(const arrow::Buffer& bytes) const;
  std::uint64_t columns() const { return columns_.size(); }
  std::uint64_t BodyBytes(const arrow::Buffer& bytes) const;
  // The rows of the slices, in order, in memory of their own. Fails when text passes what a column
  // can hold, or without memory.
  Result<std::shared_ptr<arrow::RecordBatch>> Gather(
      const std::vector<PlainSlice>& slices, const std::shared_ptr<arrow::Schema>& schema) const;

 private:
  enum class Form : std::uint8_t { kBits, kFixed, kText, kLargeText };
  struct Column {
    Form form = Form::kFixed;
    bool required = false;
    bool utf8 = false;
    bool has_parameters = false;   // types of the same id may differ
    bool arrow_checks = false;     // not every bit pattern is a value
    std::int64_t width = 0;        // of kFixed
    std::size_t first_buffer = 0;  // place of its validity among all buffers
  };
  struct Piece;
  class Gatherer;

  PlainLayout() = default;
  static bool Describe(const arrow::DataType& type, Column* column);
  bool TakeHead(const std::shared_ptr<arrow::Schema>& schema);
  static bool IsSound(const Column& column, const arrow::ArrayData& data);
  static void AddPieces(const Column& column, const arrow::ArrayData& data,
                        std::vector<Piece>* pieces);

  std::vector<std::shared_ptr<arrow::Field>> fields_;  // not the schema, which keeps the layout
  std::vector<Column> columns_;
  std::size_t buffers_ = 0;  // of all columns
  std::string head_;
  // Where in the head: the number of rows, the size of the body; null count of each column, offset
  // and size of each buffer, 16 bytes apart.
  std::size_t rows_at_ = 0, body_size_at_ = 0, nodes_at_ = 0, buffers_at_ = 0;
};

}  // namespace varve
