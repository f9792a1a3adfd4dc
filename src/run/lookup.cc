// SPDX-License-Identifier: Apache-2.0
// Run::Get. From cheap to dear: the run's key bounds, the footer's first keys, the bloom filters of
// the row group that may hold the key, its key and commit columns, and only for a row that is there
// the columns asked for.
#include <arrow/array.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <numeric>
#include <utility>

#include "base/result.h"
#include "run/group_keys.h"
#include "run/run.h"
#include "run/run_file_writer.h"
#include "run/run_opened.h"

namespace varve {
namespace {

// Where a version is.
struct Place {
  std::uint64_t commit = 0;
  int group = 0;
  std::int64_t row = 0;
};

class Lookup {
 public:
  Lookup(std::shared_ptr<const RunFile> file, std::string_view key, std::uint64_t as_of)
      : file_(std::move(file)), key_(key), as_of_(as_of) {
    // Bytes that are no key of this table are looked for all the same, without the filters.
    if (auto decoded = file_->schema()->key_codec().Decode({key})) key_batch_ = *decoded;
  }

  // Versions of one key may fill several row groups, the newest first.
  Result<std::optional<Place>> Find(bool distinct, std::atomic<std::uint64_t>* rejections) {
    const int groups = file_->row_groups();
    for (int group = file_->FirstGroup(key_, distinct);
         group < groups && file_->first_keys()[static_cast<std::size_t>(group)] <= key_; ++group) {
      if (key_batch_ != nullptr) {
        VARVE_ASSIGN(const bool may_contain, file_->MayContain(group, *key_batch_));
        if (!may_contain) {
          rejections->fetch_add(1, std::memory_order_relaxed);
          continue;
        }
      }
      VARVE_ASSIGN(auto place, FindIn(group));
      if (place) return place;
    }
    return std::nullopt;
  }

  Result<std::shared_ptr<arrow::RecordBatch>> Read(const Place& place,
                                                   const std::vector<int>& columns) {
    arrow::FieldVector fields;
    for (const int column : columns) fields.push_back(file_->columns()->field(column));
    return reader_->Read(place.group, columns, arrow::schema(std::move(fields)));
  }

 private:
  Result<std::optional<Place>> FindIn(int group) {
    if (reader_ == nullptr) {
      VARVE_ASSIGN(reader_, file_->NewReader());
    }
    file_->CountRowGroupRead();
    std::vector<int> fields = file_->key_fields();
    fields.push_back(file_->commit_field());
    const auto schema = WithCommitColumn(*file_->schema()->key_schema());
    VARVE_ASSIGN(const auto batch, reader_->Read(group, fields, schema));
    const auto& commits = static_cast<const arrow::Int64Array&>(*batch->columns().back());
    std::vector<int> key_columns(file_->key_fields().size());
    std::iota(key_columns.begin(), key_columns.end(), 0);
    GroupKeys keys(file_->schema(), batch, std::move(key_columns));
    VARVE_ASSIGN(std::int64_t row, keys.FirstAtLeast(0, batch->num_rows(), key_));
    for (; row < batch->num_rows(); ++row) {
      VARVE_ASSIGN(const std::string_view found, keys.At(row));
      if (found != key_) break;
      const auto commit = static_cast<std::uint64_t>(commits.Value(row));
      if (commit <= as_of_) return Place{commit, group, row};
    }
    return std::nullopt;
  }

  const std::shared_ptr<const RunFile> file_;
  const std::string_view key_;
  const std::uint64_t as_of_;
  std::shared_ptr<arrow::RecordBatch> key_batch_;  // null: not a key
  std::unique_ptr<RowGroupReader> reader_;
};

}  // namespace

Result<std::optional<Memtable::Hit>> Run::Get(std::string_view key, std::uint64_t as_of,
                                              const std::vector<int>& columns) const {
  if (key < meta_.min_key || key > meta_.max_key || as_of < meta_.min_commit) return std::nullopt;
  auto* const rejections = &opened_->bloom_rejections;
  std::optional<Place> deleted;
  if (opened_->deletes != nullptr) {
    VARVE_ASSIGN(deleted,
                 Lookup(opened_->deletes, key, as_of).Find(meta_.distinct_keys, rejections));
  }
  std::optional<Place> place;
  if (opened_->data != nullptr) {
    Lookup lookup(opened_->data, key, as_of);
    VARVE_ASSIGN(place, lookup.Find(meta_.distinct_keys, rejections));
    if (place && (!deleted || place->commit > deleted->commit)) {
      VARVE_ASSIGN(auto batch, lookup.Read(*place, columns));
      return Memtable::Hit{place->commit, RowKind::kUpsert, std::move(batch), place->row};
    }
  }
  if (!deleted) return std::nullopt;
  return Memtable::Hit{deleted->commit, RowKind::kDelete, nullptr, 0};
}

}  // namespace varve
