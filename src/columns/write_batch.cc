// SPDX-License-Identifier: Apache-2.0
#include "columns/write_batch.h"

#include <arrow/array/array_primitive.h>
#include <arrow/record_batch.h>
#include <fmt/format.h>

#include <functional>
#include <numeric>
#include <vector>

#include "base/result.h"
#include "columns/gather.h"
#include "columns/plain_layout.h"
#include "columns/storable_values.h"

namespace varve {
namespace {

using BatchPtr = std::shared_ptr<arrow::RecordBatch>;

// Which rows are the last with their key. Open addressing over row numbers: no key is copied.
std::vector<bool> LastOfEachKey(const EncodedKeys& keys) {
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
  return kept;
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

Result<EncodedKeys> EncodeKeys(const BatchPtr& rows, const KeyCodec& codec,
                               const std::vector<int>& key_columns) {
  VARVE_ASSIGN(auto keys, codec.Encode(*rows, key_columns, 0, rows->num_rows()));
  for (std::int64_t row = 0; row < keys.size(); ++row) {
    if (keys[row].size() <= kKeyBytesMax) continue;
    return Fail(ErrorKind::kInvalid,
                fmt::format("row {}: its key has {} bytes; a key may have {}: shorten it", row,
                            keys[row].size(), kKeyBytesMax));
  }
  return keys;
}

std::vector<int> AllColumns(const arrow::RecordBatch& batch) {
  std::vector<int> all(static_cast<std::size_t>(batch.num_columns()));
  std::iota(all.begin(), all.end(), 0);
  return all;
}

// Of rows that are checked.
Result<WriteBatch> Prepare(RowKind kind, BatchPtr rows, const KeyCodec& codec,
                           const std::vector<int>& key_columns) {
  VARVE_ASSIGN(auto keys, EncodeKeys(rows, codec, key_columns));
  if (!Ascending(keys)) {
    const auto kept = LastOfEachKey(keys);
    std::vector<RowSlice> slices;
    for (std::int64_t row = 0; row < keys.size(); ++row) {
      if (kept[static_cast<std::size_t>(row)]) AddRow(rows, row, &slices);
    }
    if (slices.size() > 1 || slices.front().length < rows->num_rows()) {
      VARVE_ASSIGN(rows, Gather(rows->schema(), slices));
      VARVE_ASSIGN(keys, codec.Encode(*rows, key_columns, 0, rows->num_rows()));
    }
  }
  return WriteBatch{kind, std::move(rows), std::move(keys)};
}

// Rows that are checked and distinct.
Status AddBatch(RowKind kind, const std::vector<RowSlice>& slices, const KeyCodec& codec,
                const std::vector<int>& key_columns, std::vector<WriteBatch>* batches) {
  if (slices.empty()) return {};
  VARVE_ASSIGN(auto rows, Gather(slices.front().batch->schema(), slices));
  VARVE_ASSIGN(auto keys, codec.Encode(*rows, key_columns, 0, rows->num_rows()));
  batches->push_back({kind, std::move(rows), std::move(keys)});
  return {};
}

Status CheckBitmap(const arrow::RecordBatch& rows, const arrow::BooleanArray& deletes) {
  if (deletes.length() != rows.num_rows()) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("`deletes` has {} values for {} rows; expected one a row",
                            deletes.length(), rows.num_rows()));
  }
  for (std::int64_t row = 0; deletes.null_count() > 0 && row < deletes.length(); ++row) {
    if (!deletes.IsNull(row)) continue;
    return Fail(
        ErrorKind::kInvalid,
        fmt::format("row {}: `deletes` is null; expected true (delete the key) or false", row));
  }
  return {};
}

// The rows that are to be upserted, conformed and checked.
Result<BatchPtr> UpsertsOf(const TableSchema& schema, const BatchPtr& rows,
                           const arrow::BooleanArray& deletes) {
  VARVE_TRY(schema.Conform(rows->Slice(0, 0)));  // says what is wrong with the columns
  std::vector<RowSlice> slices;
  for (std::int64_t row = 0; row < rows->num_rows(); ++row) {
    if (!deletes.Value(row)) AddRow(rows, row, &slices);
  }
  if (slices.empty()) return schema.Conform(rows->Slice(0, 0));
  VARVE_ASSIGN(auto upserts, Gather(rows->schema(), slices));
  auto conformed = schema.Conform(upserts);
  if (conformed) {
    if (auto sound = CheckValues(**conformed); !sound) {
      conformed = std::unexpected(std::move(sound).error());
    }
  }
  if (conformed || slices.front().length == rows->num_rows()) return conformed;
  return std::unexpected(
      conformed.error().Within("rows to upsert, counted without those that delete"));
}

}  // namespace

Result<WriteBatch> PrepareUpsert(const TableSchema& schema, const BatchPtr& rows) {
  const auto layout = PlainLayout::Of(schema.schema());
  if (rows && layout && layout->Fits(*rows)) {
    auto fitting = arrow::RecordBatch::Make(schema.schema(), rows->num_rows(), rows->column_data());
    return Prepare(RowKind::kUpsert, std::move(fitting), schema.key_codec(), schema.key_columns());
  }
  VARVE_ASSIGN(auto conformed, schema.Conform(rows));
  VARVE_TRY(CheckValues(*conformed));
  return Prepare(RowKind::kUpsert, std::move(conformed), schema.key_codec(), schema.key_columns());
}

Result<WriteBatch> PrepareDelete(const TableSchema& schema, const BatchPtr& keys) {
  VARVE_ASSIGN(auto conformed, schema.ConformKeys(keys));
  VARVE_TRY(CheckValues(*conformed));
  const auto all = AllColumns(*conformed);
  return Prepare(RowKind::kDelete, std::move(conformed), schema.key_codec(), all);
}

Result<std::vector<WriteBatch>> PrepareMixed(const TableSchema& schema, const BatchPtr& rows,
                                             const arrow::BooleanArray& deletes) {
  VARVE_ASSIGN(const auto key_rows, schema.ConformKeys(rows));
  VARVE_TRY(CheckBitmap(*rows, deletes));
  if (const auto valid = rows->ValidateFull(); !valid.ok()) {
    return Fail(ErrorKind::kInvalid, "malformed batch: " + valid.message());
  }
  VARVE_TRY(CheckStorable(*key_rows));
  const auto key_columns = AllColumns(*key_rows);
  VARVE_ASSIGN(const auto keys, EncodeKeys(key_rows, schema.key_codec(), key_columns));
  VARVE_ASSIGN(const auto upserts, UpsertsOf(schema, rows, deletes));
  const auto kept = LastOfEachKey(keys);
  std::vector<RowSlice> put, erased;
  std::int64_t place = 0;  // in `upserts`
  for (std::int64_t row = 0; row < rows->num_rows(); ++row) {
    const bool keep = kept[static_cast<std::size_t>(row)];
    if (deletes.Value(row)) {
      if (keep) AddRow(key_rows, row, &erased);
    } else {
      if (keep) AddRow(upserts, place, &put);
      ++place;
    }
  }
  std::vector<WriteBatch> batches;
  VARVE_TRY(AddBatch(RowKind::kUpsert, put, schema.key_codec(), schema.key_columns(), &batches));
  VARVE_TRY(AddBatch(RowKind::kDelete, erased, schema.key_codec(), key_columns, &batches));
  return batches;
}

}  // namespace varve
