// SPDX-License-Identifier: Apache-2.0
#include "columns/write_batch.h"

#include <arrow/record_batch.h>

#include <functional>
#include <numeric>
#include <vector>

#include "base/result.h"
#include "columns/gather.h"
#include "columns/storable_values.h"

namespace varve {
namespace {

using BatchPtr = std::shared_ptr<arrow::RecordBatch>;

// The rows that are the last with their key, as runs of neighbours; one run when keys are distinct.
// Open addressing over row numbers: no key is copied.
std::vector<RowSlice> LastOfEachKey(const BatchPtr& rows, const EncodedKeys& keys) {
  const auto count = static_cast<std::size_t>(keys.size());
  const std::size_t mask = std::bit_ceil(count * 2 + 1) - 1;
  constexpr std::int64_t kFree = -1;
  std::vector<std::int64_t> table(mask + 1, kFree);
  std::vector<bool> kept(count);
  for (std::int64_t row = keys.size() - 1; row >= 0; --row) {
    const std::string_view key = keys[row];
    std::size_t at = std::hash<std::string_view>{}(key) & mask;
    while (table[at] != kFree && keys[table[at]] != key) at = (at + 1) & mask;
    if (table[at] != kFree) continue;
    table[at] = row;
    kept[static_cast<std::size_t>(row)] = true;
  }
  std::vector<RowSlice> slices;
  for (std::size_t i = 0; i < count; ++i) {
    if (!kept[i]) continue;
    if (i > 0 && kept[i - 1]) {
      ++slices.back().length;
    } else {
      slices.push_back({rows, static_cast<std::int64_t>(i), 1});
    }
  }
  return slices;
}

// Strictly ascending keys, as sorted input has, are distinct: no table is needed.
bool Ascending(const EncodedKeys& keys) {
  for (std::int64_t i = 1; i < keys.size(); ++i) {
    if (keys[i - 1] >= keys[i]) return false;
  }
  return true;
}

// What passes here is decoded again after a crash, where every value is checked, and goes to
// Parquet: so every value is checked now.
Status CheckValues(const arrow::RecordBatch& rows) {
  const auto valid = rows.ValidateFull();
  if (!valid.ok()) return Fail(ErrorKind::kInvalid, "malformed batch: " + valid.message());
  return CheckStorable(rows);
}

Result<WriteBatch> Prepare(RowKind kind, BatchPtr rows, const KeyCodec& codec,
                           const std::vector<int>& key_columns) {
  VARVE_TRY(CheckValues(*rows));
  VARVE_ASSIGN(auto keys, codec.Encode(*rows, key_columns, 0, rows->num_rows()));
  if (!Ascending(keys)) {
    const auto slices = LastOfEachKey(rows, keys);
    if (slices.size() > 1 || slices.front().length < rows->num_rows()) {
      VARVE_ASSIGN(rows, Gather(rows->schema(), slices));
      VARVE_ASSIGN(keys, codec.Encode(*rows, key_columns, 0, rows->num_rows()));
    }
  }
  return WriteBatch{kind, std::move(rows), std::move(keys)};
}

}  // namespace

Result<WriteBatch> PrepareUpsert(const TableSchema& schema, const BatchPtr& rows) {
  VARVE_ASSIGN(auto conformed, schema.Conform(rows));
  return Prepare(RowKind::kUpsert, std::move(conformed), schema.key_codec(), schema.key_columns());
}

Result<WriteBatch> PrepareDelete(const TableSchema& schema, const BatchPtr& keys) {
  VARVE_ASSIGN(auto conformed, schema.ConformKeys(keys));
  std::vector<int> all(static_cast<std::size_t>(conformed->num_columns()));
  std::iota(all.begin(), all.end(), 0);
  return Prepare(RowKind::kDelete, std::move(conformed), schema.key_codec(), all);
}

}  // namespace varve
