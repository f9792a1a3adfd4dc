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
  if (!encoded()) {
    VARVE_ASSIGN(all_, schema_->key_codec().Encode(*batch_, columns_, 0, batch_->num_rows()));
  }
  return &all_;
}

Result<std::string_view> GroupKeys::At(std::int64_t row) {
  if (encoded()) return all_[row];
  if (++singles_ > kSingleKeysMax) {
    VARVE_TRY(All());
    return all_[row];
  }
  VARVE_ASSIGN(single_, schema_->key_codec().Encode(*batch_, columns_, row, 1));
  return single_[0];
}

namespace {

// The first row in [from, to) that is not below; `to` when there is none. `is_below` gives
// Result<bool>. Gallops: a near answer is found in few steps.
template <typename IsBelow>
Result<std::int64_t> FirstNotBelow(std::int64_t from, std::int64_t to, IsBelow is_below) {
  // Invariant: rows before `from` are below; row `to`, if any, is not.
  for (std::int64_t step = 1; from + step - 1 < to; step *= 2) {
    VARVE_ASSIGN(const bool below, is_below(from + step - 1));
    if (!below) {
      to = from + step - 1;
      break;
    }
    from += step;
  }
  while (from < to) {
    const std::int64_t middle = from + (to - from) / 2;
    VARVE_ASSIGN(const bool below, is_below(middle));
    if (below) {
      from = middle + 1;
    } else {
      to = middle;
    }
  }
  return from;
}

}  // namespace

Result<std::int64_t> GroupKeys::FirstAtLeast(std::int64_t from, std::int64_t to,
                                             std::string_view key) {
  if (encoded()) {
    const std::uint64_t prefix = KeyPrefix(key);
    return FirstNotBelow(from, to, [&](std::int64_t row) -> Result<bool> {
      const std::string_view found = all_[row];
      return CompareKeys(KeyPrefix(found), found, prefix, key) < 0;
    });
  }
  return FirstNotBelow(from, to, [&](std::int64_t row) -> Result<bool> {
    VARVE_ASSIGN(const std::string_view found, At(row));
    return found < key;
  });
}

}  // namespace varve
