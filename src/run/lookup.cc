// SPDX-License-Identifier: Apache-2.0
// Run::Get. From cheap to dear: the run's key bounds, the footer's first keys, the bloom filters of
// the row group that may hold a key, its key and commit columns, and only for rows that are there
// the columns asked for.
//
// Keys come in order, so a row group is decoded once for all of its keys, and only one is held at a
// time: of the values just the rows found are kept.
#include <arrow/array.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "base/result.h"
#include "columns/arrow_errors.h"
#include "columns/compact.h"
#include "columns/take_rows.h"
#include "run/group_keys.h"
#include "run/run.h"
#include "run/run_file_writer.h"
#include "run/run_opened.h"

namespace varve {
namespace {

// Where a version is.
struct Place {
  std::uint64_t commit = 0;  // 0: there is none
  int group = 0;
  std::int64_t row = 0;
};

// Finds versions in one object. Not thread-safe.
class Finder {
 public:
  Finder(std::shared_ptr<const RunFile> file, std::uint64_t as_of, bool distinct,
         std::atomic<std::uint64_t>* rejections)
      : file_(std::move(file)), as_of_(as_of), distinct_(distinct), rejections_(*rejections) {}

  // The newest version of `key` that as_of sees. Keys ascend from call to call. Versions of one key
  // may fill several row groups, the newest first.
  Result<Place> Find(std::string_view key) {
    const auto& first_keys = file_->first_keys();
    for (int group = file_->FirstGroup(key, distinct_);
         group < file_->row_groups() && first_keys[static_cast<std::size_t>(group)] <= key;
         ++group) {
      if (group != group_) {
        VARVE_ASSIGN(const bool may_contain, MayContain(group, key));
        if (!may_contain) {
          rejections_.fetch_add(1, std::memory_order_relaxed);
          continue;
        }
        VARVE_TRY(Enter(group));
      }
      VARVE_ASSIGN(const Place place, FindHere(key));
      if (place.commit > 0) return place;
    }
    return Place();
  }

  // Those rows of a group, as a batch of their own that holds nothing else.
  Result<std::shared_ptr<arrow::RecordBatch>> Read(int group, const std::vector<std::int64_t>& rows,
                                                   const std::vector<int>& columns) {
    arrow::FieldVector fields;
    for (const int column : columns) fields.push_back(file_->columns()->field(column));
    VARVE_ASSIGN(const auto whole, reader_->Read(group, columns, arrow::schema(std::move(fields))));
    const arrow::Int64Array indices(std::ssize(rows), arrow::Buffer::Wrap(rows));
    VARVE_ASSIGN(const auto taken, FromArrow(TakeRows(*whole, indices)));
    return FromArrow(CompactBatch(*taken));
  }

 private:
  // Bytes that are no key of this table are looked for all the same, without the filters.
  Result<bool> MayContain(int group, std::string_view key) const {
    const auto decoded = file_->schema()->key_codec().Decode({key});
    if (!decoded) return true;
    return file_->MayContain(group, **decoded);
  }

  Status Enter(int group) {
    if (reader_ == nullptr) {
      VARVE_ASSIGN(reader_, file_->NewReader());
    }
    keys_ = GroupKeys();
    file_->CountRowGroupRead();
    std::vector<int> fields = file_->key_fields();
    std::vector<int> key_columns(fields.size());
    std::iota(key_columns.begin(), key_columns.end(), 0);
    fields.push_back(file_->commit_field());
    const auto schema = WithCommitColumn(*file_->schema()->key_schema());
    VARVE_ASSIGN(const auto batch, reader_->Read(group, fields, schema));
    keys_ = GroupKeys(file_->schema(), batch, std::move(key_columns));
    commits_ = std::static_pointer_cast<arrow::Int64Array>(batch->columns().back());
    group_ = group;
    row_ = 0;
    return {};
  }

  Result<Place> FindHere(std::string_view key) {
    VARVE_ASSIGN(row_, keys_.FirstAtLeast(row_, commits_->length(), key));
    for (std::int64_t row = row_; row < commits_->length(); ++row) {
      VARVE_ASSIGN(const std::string_view found, keys_.At(row));
      if (found != key) break;
      const auto commit = static_cast<std::uint64_t>(commits_->Value(row));
      if (commit <= as_of_) return Place{commit, group_, row};
    }
    return Place();
  }

  const std::shared_ptr<const RunFile> file_;
  const std::uint64_t as_of_;
  const bool distinct_;
  std::atomic<std::uint64_t>& rejections_;
  std::unique_ptr<RowGroupReader> reader_;  // null before the first group
  // Of the group at hand.
  int group_ = -1;  // none
  GroupKeys keys_;
  std::shared_ptr<arrow::Int64Array> commits_;
  std::int64_t row_ = 0;  // rows before it are below all keys to come
};

// Reads the rows at `places` (ascending; those without a commit are left out) into `hits`.
Status ReadRows(Finder* finder, const std::vector<Place>& places, const std::vector<int>& columns,
                std::vector<std::optional<Memtable::Hit>>* hits) {
  std::vector<std::size_t> found;
  for (std::size_t i = 0; i < places.size(); ++i) {
    if (places[i].commit > 0) found.push_back(i);
  }
  for (auto begin = found.begin(), end = begin; begin != found.end(); begin = end) {
    const int group = places[*begin].group;
    std::vector<std::int64_t> rows;
    for (end = begin; end != found.end() && places[*end].group == group; ++end) {
      rows.push_back(places[*end].row);
    }
    VARVE_ASSIGN(const auto batch, finder->Read(group, rows, columns));
    for (std::int64_t row = 0; begin + row != end; ++row) {
      const std::size_t i = begin[row];
      (*hits)[i] = Memtable::Hit{places[i].commit, RowKind::kUpsert, batch, row};
    }
  }
  return {};
}

}  // namespace

Result<std::vector<std::optional<Memtable::Hit>>> Run::Get(
    const std::vector<std::string_view>& keys, std::uint64_t as_of,
    const std::vector<int>& columns) const {
  std::vector<std::optional<Memtable::Hit>> hits(keys.size());
  std::vector<Place> places(keys.size());
  if (as_of < meta_.min_commit) return hits;
  const auto in_bounds = [&](std::string_view key) {
    return meta_.min_key <= key && key <= meta_.max_key;
  };
  auto* const rejections = &opened_->bloom_rejections;
  if (opened_->deletes != nullptr) {
    Finder finder(opened_->deletes, as_of, meta_.distinct_keys, rejections);
    for (std::size_t i = 0; i < keys.size(); ++i) {
      if (!in_bounds(keys[i])) continue;
      VARVE_ASSIGN(const Place place, finder.Find(keys[i]));
      if (place.commit > 0) hits[i] = Memtable::Hit{place.commit, RowKind::kDelete, nullptr, 0};
    }
  }
  if (opened_->data == nullptr) return hits;
  Finder finder(opened_->data, as_of, meta_.distinct_keys, rejections);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (!in_bounds(keys[i])) continue;
    VARVE_ASSIGN(const Place place, finder.Find(keys[i]));
    if (!hits[i] || place.commit > hits[i]->commit) places[i] = place;
  }
  VARVE_TRY(ReadRows(&finder, places, columns, &hits));
  return hits;
}

}  // namespace varve
