// SPDX-License-Identifier: Apache-2.0
// What would make the rows of a table again what they were as of an earlier commit.
#pragma once

#include <cstdint>
#include <memory>

#include "varve/error.h"
#include "varve/types.h"
#include "view/superversion.h"

namespace arrow {
class RecordBatch;
}  // namespace arrow

namespace varve {

struct Difference {
  std::shared_ptr<arrow::RecordBatch> upserts;  // rows as they were and now are not
  std::shared_ptr<arrow::RecordBatch> deletes;  // keys that were not there and now are
  std::uint64_t versions = 0;                   // that were looked at to find this out
};

// From `now`, which is visible, back to `then`, which is not after it. Only versions in between are
// looked at, so files without one are not read; where some of these were let go, all keys. Invalid
// when the rows and keys take more than `bytes_max`.
Result<Difference> FindDifference(const TableView& table, CommitNumber then, CommitNumber now,
                                  std::uint64_t bytes_max);

}  // namespace varve
