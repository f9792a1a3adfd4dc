// SPDX-License-Identifier: Apache-2.0
#include "run/group_keys.h"

#include <arrow/record_batch.h>

#include <algorithm>
#include <utility>

#include "base/result.h"

namespace varve {

GroupKeys::GroupKeys(std::shared_ptr<const TableSchema> schema,
                     std::shared_ptr<arrow::RecordBatch> batch, std::vector<int> columns)
    : schema_(std::move(schema)), batch_(std::move(batch)), columns_(std::move(columns)) {}

Result<const EncodedKeys*> GroupKeys::All() {
  if (all_.size() == 0) {
    VARVE_ASSIGN(all_, schema_->key_codec().Encode(*batch_, columns_, 0, batch_->num_rows()));
  }
  return &all_;
}

Result<std::string_view> GroupKeys::At(std::int64_t row) {
  if (all_.size() > 0) return all_[row];
  if (++singles_ > kSingleKeysMax) {
    VARVE_TRY(All());
    return all_[row];
  }
  VARVE_ASSIGN(single_, schema_->key_codec().Encode(*batch_, columns_, row, 1));
  return single_[0];
}

Result<std::int64_t> GroupKeys::FirstAtLeast(std::int64_t from, std::int64_t to,
                                             std::string_view key) {
  // Invariant: rows before `from` are below; row `to`, if any, is not.
  for (std::int64_t step = 1; from + step - 1 < to; step *= 2) {
    VARVE_ASSIGN(const std::string_view found, At(from + step - 1));
    if (found >= key) {
      to = from + step - 1;
      break;
    }
    from += step;
  }
  while (from < to) {
    const std::int64_t middle = from + (to - from) / 2;
    VARVE_ASSIGN(const std::string_view found, At(middle));
    if (found < key) {
      from = middle + 1;
    } else {
      to = middle;
    }
  }
  return from;
}

}  // namespace varve
