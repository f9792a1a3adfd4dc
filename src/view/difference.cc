// SPDX-License-Identifier: Apache-2.0
#include "view/difference.h"

#include <arrow/api.h>
#include <fmt/format.h>

#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "run/open_run.h"
#include "columns/arrow_errors.h"
#include "columns/gather.h"
#include "columns/same_value.h"
#include "run/merge.h"
#include "view/change_windows.h"
#include "view/scan.h"

namespace varve {
namespace {

using BatchPtr = std::shared_ptr<arrow::RecordBatch>;

// Keys that are looked up together.
constexpr std::size_t kKeysAtOnce = 4096;

bool SameRow(const arrow::RecordBatch& a, std::int64_t row_a, const arrow::RecordBatch& b,
             std::int64_t row_b) {
  for (int column = 0; column < a.num_columns(); ++column) {
    if (!SameValue(*a.column(column), row_a, *b.column(column), row_b)) return false;
  }
  return true;
}

// Every key that one of the two may see, and others: for when versions in between were let go.
Result<std::unique_ptr<VersionCursor>> KeysOfBoth(const TableView& table, CommitNumber then,
                                                  CommitNumber now) {
  std::vector<std::unique_ptr<VersionCursor>> cursors;
  for (const auto& run : table.runs) {
    const RunMeta& meta = run->meta();
    if (!meta.IsShownAt(then.value) && !meta.IsShownAt(now.value)) continue;
    VARVE_ASSIGN(const OpenRun open, run->Open());
    cursors.push_back(open.NewCursor({}, KeyBounds{}));
  }
  for (const auto& sealed : table.sealed) cursors.push_back(sealed->NewCursor({}, KeyBounds{}));
  if (table.active != nullptr) cursors.push_back(table.active->NewCursor({}, KeyBounds{}));
  return MergeVersions(std::move(cursors));
}

// The versions of the commits of a window, keys only; null: there are none. Costs as much as these:
// of memtables nothing else is looked at, of runs the commits.
Result<std::unique_ptr<VersionCursor>> VersionsOf(const TableView& table,
                                                  const CommitWindow& window) {
  std::vector<std::unique_ptr<VersionCursor>> cursors;
  VARVE_ASSIGN(auto sources, OpenWindow(table, {}, KeyBounds{}, window));
  for (auto& source : sources) {
    cursors.push_back(std::move(source.cursor));
  }
  return cursors.empty() ? nullptr : MergeVersions(std::move(cursors));
}

class Differ {
 public:
  Differ(const TableView& table, CommitNumber then, CommitNumber now, std::uint64_t bytes_max)
      : table_(table),
        then_(then),
        now_(now),
        bytes_max_(bytes_max),
        key_schema_(table.schema->key_schema()) {}

  Result<Difference> Find() {
    VARVE_TRY(CompareAll());
    Difference difference;
    difference.versions = versions_;
    VARVE_ASSIGN(difference.upserts, Joined(upserts_, table_.schema->schema()));
    VARVE_ASSIGN(difference.deletes, Joined(deletes_, key_schema_));
    return difference;
  }

 private:
  Status CompareAll() {
    VARVE_ASSIGN(const auto versions,
                 then_ < table_.oldest ? KeysOfBoth(table_, then_, now_)
                                       : VersionsOf(table_, {then_.value, now_.value}));
    if (versions == nullptr) return {};
    std::vector<std::string> keys;
    VARVE_TRY(versions->Next());
    while (versions->valid()) {
      ++versions_;
      if (keys.empty() || keys.back() != versions->key()) {
        if (keys.size() == kKeysAtOnce) {
          VARVE_TRY(Compare(keys));
          keys.clear();
        }
        keys.emplace_back(versions->key());
      }
      VARVE_TRY(versions->Next());
    }
    return Compare(keys);
  }

  // `keys` are distinct.
  Status Compare(const std::vector<std::string>& keys) {
    if (keys.empty()) return {};
    VARVE_ASSIGN(
        const BatchPtr batch,
        table_.schema->key_codec().Decode(std::vector<std::string_view>(keys.begin(), keys.end())));
    std::vector<bool> was;
    std::vector<bool> is;
    VARVE_ASSIGN(const BatchPtr before, GetRows(table_, then_, batch, &was));
    VARVE_ASSIGN(const BatchPtr after, GetRows(table_, now_, batch, &is));
    std::vector<RowSlice> upserts;
    std::vector<RowSlice> deletes;
    std::int64_t row_before = 0;
    std::int64_t row_after = 0;
    for (std::size_t i = 0; i < keys.size(); ++i) {
      const bool same = was[i] && is[i] && SameRow(*before, row_before, *after, row_after);
      if (was[i] && !same) upserts.push_back({before, row_before, 1});
      if (is[i] && !was[i]) deletes.push_back({batch, static_cast<std::int64_t>(i), 1});
      row_before += was[i] ? 1 : 0;
      row_after += is[i] ? 1 : 0;
    }
    VARVE_TRY(Keep(table_.schema->schema(), upserts, &upserts_));
    return Keep(key_schema_, deletes, &deletes_);
  }

  Status Keep(const std::shared_ptr<arrow::Schema>& schema, const std::vector<RowSlice>& rows,
              std::vector<RowSlice>* kept) {
    if (rows.empty()) return {};
    VARVE_ASSIGN(const BatchPtr copy, CopyRows(schema, rows));
    bytes_ += BatchBytes(*copy);
    kept->push_back({copy, 0, copy->num_rows()});
    if (bytes_ <= bytes_max_) return {};
    return Fail(ErrorKind::kInvalid,
                fmt::format("table '{}': what changed since commit {} takes more than {} bytes, "
                            "which is too much for one commit: scan as of that version and write "
                            "the rows back in parts",
                            table_.name, then_.value, bytes_max_));
  }

  static Result<BatchPtr> Joined(const std::vector<RowSlice>& batches,
                                 const std::shared_ptr<arrow::Schema>& schema) {
    if (!batches.empty()) return Gather(schema, batches);
    return FromArrow(arrow::RecordBatch::MakeEmpty(schema));
  }

  const TableView& table_;
  const CommitNumber then_;
  const CommitNumber now_;
  const std::uint64_t bytes_max_;
  const std::shared_ptr<arrow::Schema> key_schema_;
  std::vector<RowSlice> upserts_;
  std::vector<RowSlice> deletes_;
  std::uint64_t bytes_ = 0;
  std::uint64_t versions_ = 0;
};

}  // namespace

Result<Difference> FindDifference(const TableView& table, CommitNumber then, CommitNumber now,
                                  std::uint64_t bytes_max) {
  return Differ(table, then, now, bytes_max).Find();
}

}  // namespace varve
