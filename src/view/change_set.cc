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
constexpr std::uint64_t kLookupParts = 8;  // of the bytes, so that one lookup stays well below them

void Adapt(std::uint64_t found_bytes, std::uint64_t bytes_max, std::size_t* lookup_rows) {
  const std::uint64_t aim = bytes_max / kLookupParts;
  if (found_bytes > aim) {
    *lookup_rows = std::max<std::size_t>(1, *lookup_rows / 2);
  } else if (found_bytes < aim / 2) {
    *lookup_rows = std::min(kLookupRowsMax, *lookup_rows * 2);
  }
}

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
    const std::size_t end = std::min(firsts.size(), begin + *lookup_rows);
    std::vector<std::string_view> keys;
    for (std::size_t i = begin; i < end; ++i) keys.push_back(key(*firsts[i]));
    VARVE_ASSIGN(const FoundRows found, FindRows(table, {as_of}, keys, columns));
    for (std::size_t i = begin; i < end; ++i) {
      const std::int64_t row = found.row_of[i - begin];
      if (row < 0) continue;
      firsts[i]->before = found.rows;
      firsts[i]->before_row = row;
    }
    const std::uint64_t found_bytes = BatchBytes(*found.rows);
    bytes_ += found_bytes;
    Adapt(found_bytes, bytes_max, lookup_rows);
    begin = end;
  }
  std::erase_if(changes_, [](const Change& change) {
    return change.kind == RowKind::kDelete && change.before == nullptr;
  });
  return true;
}

}  // namespace varve
