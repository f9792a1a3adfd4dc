// SPDX-License-Identifier: Apache-2.0
// What Arrow gives of a run's file, or why it does not. Errors of the store carry an Error of ours
// through Arrow (columns/arrow_errors.h). All else that Arrow says comes from bytes that were read
// well: somebody wrote other bytes than we did and made their checksums agree, so it is Corruption,
// and no want of the store's.
#pragma once

#include <arrow/result.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "varve/error.h"

namespace arrow {
class RecordBatch;
class Schema;
}  // namespace arrow

namespace varve {

class RunFile;

inline constexpr int kFooter = -1;  // in place of a row group's number

// Of a status that is not OK. Names the file and the row group.
Error DecodeError(const RunFile& file, int group, const arrow::Status& status);

template <typename T>
Result<T> Decoded(const RunFile& file, int group, arrow::Result<T> result) {
  if (!result.ok()) return std::unexpected(DecodeError(file, group, result.status()));
  return std::move(result).ValueUnsafe();
}

// `read`, which are `rows` rows of the file's fields at `fields`, as `schema` has them. Corruption
// when they are not: no key and no commit is null.
Result<std::shared_ptr<arrow::RecordBatch>> DecodedRows(
    const RunFile& file, int group, std::int64_t rows, const std::vector<int>& fields,
    const std::shared_ptr<arrow::Schema>& schema,
    arrow::Result<std::shared_ptr<arrow::RecordBatch>> read);

}  // namespace varve
