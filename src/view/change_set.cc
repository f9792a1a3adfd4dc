// SPDX-License-Identifier: Apache-2.0
#include "view/change_set.h"

#include <arrow/record_batch.h>

#include <algorithm>
#include <utility>

#include "base/result.h"
#include "columns/gather.h"
#include "view/scan.h"

namespace varve {
namespace {

constexpr std::size_t kLookupRowsMax = 65536;
constexpr std::uint64_t kLookupParts = 8;  // of the bytes: one lookup takes a part at most

}  // namespace

void ChangeSet::Add(const VersionCursor& cursor) {
  const std::size_t begin = keys_.size();
  keys_.append(cursor.key());
  changes_.push_back({.commit = cursor.commit(),
                      .kind = cursor.kind(),
                      .key_begin = begin,
                      .key_end = keys_.size(),
                      .batch = cursor.batch(),
                      .row = cursor.row(),
                      .before = nullptr});
}

void ChangeSet::SortByKey() {
  const auto before = [this](const Change& a, const Change& b) {
    const int order = key(a).compare(key(b));
    return order != 0 ? order < 0 : a.commit < b.commit;
  };
  if (!std::ranges::is_sorted(changes_, before)) std::ranges::sort(changes_, before);
}

void ChangeSet::SortByCommit() {
  const auto before = [this](const Change& a, const Change& b) {
    return a.commit != b.commit ? a.commit < b.commit : key(a) < key(b);
  };
  if (!std::ranges::is_sorted(changes_, before)) std::ranges::sort(changes_, before);
}

Result<bool> ChangeSet::FindBefore(const TableView& table, std::uint64_t as_of,
                                   const std::vector<int>& columns, std::uint64_t bytes_max,
                                   std::size_t* lookup_rows) {
  std::vector<Change*> firsts;  // of their keys
  for (std::size_t i = 0; i < changes_.size(); ++i) {
    Change& change = changes_[i];
    if (i > 0 && key(changes_[i - 1]) == key(change)) {
      change.before = changes_[i - 1].batch;
      change.before_row = changes_[i - 1].row;
    } else {
      firsts.push_back(&change);
    }
  }
  for (std::size_t begin = 0; begin < firsts.size();) {
    if (begin > 0 && bytes_ > bytes_max) return false;
    VARVE_ASSIGN(begin, LookUp(table, as_of, columns, bytes_max, firsts, begin, lookup_rows));
  }
  DropDeletesOfNothing();
  return true;
}

Result<ChangeSet> ChangeSet::FindFirstBefore(const TableView& table, std::uint64_t as_of,
                                             const std::vector<int>& columns,
                                             std::uint64_t bytes_max, std::size_t* lookup_rows) {
  std::vector<Change*> all;
  for (Change& change : changes_) all.push_back(&change);
  ChangeSet others;
  if (all.empty()) return others;
  VARVE_ASSIGN(const std::size_t end,
               LookUp(table, as_of, columns, bytes_max, all, 0, lookup_rows));
  for (std::size_t i = end; i < changes_.size(); ++i) {
    Change& moved = others.changes_.emplace_back(changes_[i]);
    moved.key_begin = others.keys_.size();
    others.keys_.append(key(changes_[i]));
    moved.key_end = others.keys_.size();
  }
  changes_.resize(end);
  DropDeletesOfNothing();
  return others;
}

Result<std::size_t> ChangeSet::LookUp(const TableView& table, std::uint64_t as_of,
                                      const std::vector<int>& columns, std::uint64_t bytes_max,
                                      const std::vector<Change*>& changes, std::size_t begin,
                                      std::size_t* lookup_rows) {
  const std::uint64_t part = std::max<std::uint64_t>(1, bytes_max / kLookupParts);
  const std::size_t wanted = std::min(changes.size() - begin, *lookup_rows);
  std::vector<std::string_view> keys;
  for (std::size_t i = 0; i < wanted; ++i) keys.push_back(key(*changes[begin + i]));
  VARVE_ASSIGN(const FoundRows found, FindRows(table, {as_of}, keys, columns, part));
  for (std::size_t i = 0; i < found.row_of.size(); ++i) {
    const std::int64_t row = found.row_of[i];
    if (row < 0) continue;
    changes[begin + i]->before = found.rows;
    changes[begin + i]->before_row = row;
  }
  const std::uint64_t bytes = BatchBytes(*found.rows);
  bytes_ += bytes;
  if (found.row_of.size() < wanted) {
    *lookup_rows = found.row_of.size();
  } else if (bytes < part / 2) {
    *lookup_rows = std::min(kLookupRowsMax, *lookup_rows * 2);
  }
  return begin + found.row_of.size();
}

void ChangeSet::DropDeletesOfNothing() {
  std::erase_if(changes_, [](const Change& change) {
    return change.kind == RowKind::kDelete && change.before == nullptr;
  });
}

}  // namespace varve
