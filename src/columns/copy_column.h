// SPDX-License-Identifier: Apache-2.0
// Copying rows out of many batches, value by value, for the types that most columns have: what
// single rows want. Arrow's Concatenate and Take cost some hundred nanoseconds a piece.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include <arrow/type_fwd.h>

#include "columns/gather.h"

namespace varve {

// The batches that slices are of, numbered in the order in which they are first met. A merge of
// runs has many slices of few batches; a memtable whose keys came in any order has slices of many
// batches that take turns, and what is looked up for each of them and column costs more than the
// rows that are copied: so each is to have one number.
class SliceSources {
 public:
  std::uint32_t NumberOf(const arrow::RecordBatch* batch);
  const std::vector<const arrow::RecordBatch*>& batches() const { return batches_; }

 private:
  struct Known {
    const arrow::RecordBatch* batch = nullptr;
    std::uint32_t number = 0;
  };
  static constexpr int kFewBits = 4;

  // The batch's place, or the one where it would be.
  Known* Find(const arrow::RecordBatch* batch);
  void Grow();

  std::vector<const arrow::RecordBatch*> batches_;
  // By the batch's address: which of a merge's batches comes next no processor foresees, so a
  // search would cost more than the slice. At most half full; of few batches it needs no memory.
  int bits_ = kFewBits;
  std::array<Known, 1u << kFewBits> few_;
  std::vector<Known> many_;  // instead, once it is larger
};

// Copies columns of the slices' rows, in order. The slices' batches must outlive it.
//
// Of few rows what costs is not the copying: it is Arrow's objects, a dozen pieces of memory for
// each column, and the wait for columns that lie anywhere. So then all columns share two pieces of
// memory, and what is copied is fetched into the cache for all of them at once.
class ColumnCopier {
 public:
  // `columns`: how many each batch has.
  ColumnCopier(const std::vector<RowSlice>& slices, int columns);
  ~ColumnCopier();

  // Column `column` of all rows, in memory of the copy's own. Null when it is of a type that is not
  // copied here: nested, dictionaries, views. Each column once.
  arrow::Result<std::shared_ptr<arrow::ArrayData>> Copy(int column);

  struct Part {
    std::int64_t start;
    std::int64_t length;  // at least 1
    std::uint32_t source;
  };

 private:
  class FewRows;

  SliceSources sources_;
  std::unique_ptr<FewRows> few_;  // null: there are many
  std::vector<Part> parts_;
  std::int64_t rows_ = 0;
};

}  // namespace varve
