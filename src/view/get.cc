// SPDX-License-Identifier: Apache-2.0
// Lookups by key. For each distinct key the newest version with commit <= as_of wins, whichever
// source holds it; a run is asked only while it can hold a newer one than the best so far.
#include <arrow/api.h>

#include <algorithm>
#include <functional>
#include <numeric>
#include <unordered_map>

#include "base/result.h"
#include "columns/arrow_errors.h"
#include "columns/gather.h"
#include "columns/row_bytes.h"
#include "run/open_run.h"
#include "view/change_windows.h"
#include "view/own_rows.h"
#include "view/scan.h"
#include "view/scan_plan.h"

namespace varve {
namespace {

using Hit = Memtable::Hit;

struct Lookup {
  std::string_view key = {};
  Hit best = {};             // commit 0: nothing found
  bool all_columns = false;  // its batch has those of the table, not those asked for
};

void Offer(Lookup* lookup, Hit hit, bool all_columns) {
  if (hit.commit <= lookup->best.commit) return;
  lookup->best = std::move(hit);
  lookup->all_columns = all_columns;
}

void LookIn(const Memtable& memtable, std::uint64_t as_of, std::vector<Lookup>* lookups) {
  if (memtable.rows() == 0) return;
  for (Lookup& lookup : *lookups) {
    if (auto hit = memtable.Get(lookup.key, as_of)) Offer(&lookup, *std::move(hit), true);
  }
}

// A transaction's own rows are newer than all others, whatever their numbers.
void LookInOwn(const Memtable& own, std::vector<Lookup>* lookups) {
  for (Lookup& lookup : *lookups) {
    auto hit = own.Get(lookup.key, kNewest);
    if (!hit) continue;
    lookup.best = *std::move(hit);
    lookup.best.commit = kNewest;
    lookup.all_columns = true;
  }
}

// Leaves out the lookups, the last ones, that *bytes_left does not allow, if it is given.
Status LookIn(const Run& run, std::uint64_t as_of, const std::vector<int>& columns,
              std::vector<Lookup>* lookups, std::uint64_t* bytes_left) {
  const RunMeta& meta = run.meta();
  std::vector<Lookup*> wanted;
  std::vector<std::string_view> keys;
  auto at = std::ranges::lower_bound(*lookups, std::string_view(meta.min_key), {}, &Lookup::key);
  for (; at != lookups->end() && at->key <= meta.max_key; ++at) {
    if (at->best.commit >= meta.max_commit) continue;
    wanted.push_back(&*at);
    keys.push_back(at->key);
  }
  if (keys.empty()) return {};
  VARVE_ASSIGN(const OpenRun open, run.Open());
  VARVE_ASSIGN(auto hits, open.Get(keys, as_of, columns, bytes_left));
  for (std::size_t i = 0; i < hits.size(); ++i) {
    if (hits[i]) Offer(wanted[i], *std::move(hits[i]), false);
  }
  if (hits.size() < wanted.size()) {
    lookups->resize(static_cast<std::size_t>(wanted[hits.size()] - lookups->data()));
  }
  return {};
}

using Takes = std::function<bool(const RunMeta&)>;

// Those that may hold a key of the lookups, newest commits first: so that most need not be asked.
std::vector<const Run*> NewestFirst(const TableView& table, const std::vector<Lookup>& lookups,
                                    const Takes& takes) {
  std::vector<const Run*> runs;
  for (const auto& run : table.runs) {
    const RunMeta& meta = run->meta();
    if (lookups.front().key > meta.max_key || lookups.back().key < meta.min_key) continue;
    if (!takes(meta)) continue;
    runs.push_back(run.get());
  }
  std::stable_sort(runs.begin(), runs.end(), [](const Run* a, const Run* b) {
    return a->meta().max_commit > b->meta().max_commit;
  });
  return runs;
}

// In the runs that it takes. As LookIn with *bytes_left, for what is copied out of them; one lookup
// is left at least.
Status LookEverywhere(const TableView& table, const Takes& takes, std::uint64_t as_of,
                      const std::vector<int>& columns, std::vector<Lookup>* lookups,
                      std::uint64_t* bytes_left = nullptr) {
  if (lookups->empty()) return {};
  if (table.own != nullptr) LookInOwn(*table.own, lookups);
  if (table.active != nullptr) LookIn(*table.active, as_of, lookups);
  for (auto sealed = table.sealed.rbegin(); sealed != table.sealed.rend(); ++sealed) {
    LookIn(**sealed, as_of, lookups);
  }
  for (const Run* const run : NewestFirst(table, *lookups, takes)) {
    VARVE_TRY(LookIn(*run, as_of, columns, lookups, bytes_left));
  }
  return {};
}

// What has expired is not there. An older version that has not yet, is not either: it is no more.
void ForgetExpired(const TableView& table, const std::vector<int>& columns,
                   std::vector<Lookup>* lookups) {
  if (!table.expiry) return;
  const int column = table.expiry->column();
  const auto place = static_cast<int>(std::ranges::find(columns, column) - columns.begin());
  for (Lookup& lookup : *lookups) {
    const Hit& hit = lookup.best;
    if (hit.commit == 0 || hit.kind != RowKind::kUpsert) continue;
    const auto& times = hit.batch->column(lookup.all_columns ? column : place);
    if (table.expiry->Has(*times, hit.row)) lookup.best = {};
  }
}

// As above in the runs that are shown; `columns` has that which rows expire by.
Status LookEverywhere(const TableView& table, std::uint64_t as_of, const std::vector<int>& columns,
                      std::vector<Lookup>* lookups, std::uint64_t* bytes_left = nullptr) {
  const auto shown = [&](const RunMeta& meta) { return meta.IsShownAt(as_of); };
  VARVE_TRY(LookEverywhere(table, shown, as_of, columns, lookups, bytes_left));
  ForgetExpired(table, columns, lookups);
  return {};
}

// These columns, and behind them that which rows expire by, if it is not one of them.
std::vector<int> WithTimes(const TableView& table, std::vector<int> columns) {
  if (table.expiry && std::ranges::find(columns, table.expiry->column()) == columns.end()) {
    columns.push_back(table.expiry->column());
  }
  return columns;
}

// Lookups of distinct keys, ascending, and which of them each key is.
struct Asked {
  std::vector<Lookup> lookups;
  std::vector<std::size_t> place_of;

  const Lookup& Of(std::int64_t key) const {
    return lookups[place_of[static_cast<std::size_t>(key)]];
  }
};

Asked DistinctKeys(const EncodedKeys& keys) {
  std::vector<std::pair<std::string_view, std::size_t>> sorted;
  sorted.reserve(static_cast<std::size_t>(keys.size()));
  for (std::int64_t i = 0; i < keys.size(); ++i) sorted.emplace_back(keys[i], sorted.size());
  if (!std::ranges::is_sorted(sorted)) std::ranges::sort(sorted);
  Asked asked{{}, std::vector<std::size_t>(sorted.size())};
  asked.lookups.reserve(sorted.size());
  for (const auto& [key, place] : sorted) {
    if (asked.lookups.empty() || asked.lookups.back().key != key) asked.lookups.push_back({key});
    asked.place_of[place] = asked.lookups.size() - 1;
  }
  return asked;
}

}  // namespace

Result<std::shared_ptr<arrow::RecordBatch>> GetRows(const TableView& table, CommitNumber as_of,
                                                    const std::shared_ptr<arrow::RecordBatch>& keys,
                                                    std::vector<bool>* found) {
  VARVE_ASSIGN(const auto conformed, table.schema->ConformKeys(keys));
  std::vector<int> places(static_cast<std::size_t>(conformed->num_columns()));
  std::iota(places.begin(), places.end(), 0);
  VARVE_ASSIGN(const EncodedKeys encoded, table.schema->key_codec().Encode(*conformed, places, 0,
                                                                           conformed->num_rows()));
  Asked asked = DistinctKeys(encoded);
  std::vector<int> columns(static_cast<std::size_t>(table.schema->schema()->num_fields()));
  std::iota(columns.begin(), columns.end(), 0);
  VARVE_TRY(LookEverywhere(table, as_of.value, columns, &asked.lookups));

  if (found != nullptr) found->assign(static_cast<std::size_t>(encoded.size()), false);
  std::vector<RowSlice> slices;
  slices.reserve(asked.place_of.size());
  for (std::int64_t i = 0; i < encoded.size(); ++i) {
    const Hit& hit = asked.Of(i).best;
    if (hit.commit == 0 || hit.kind == RowKind::kDelete) continue;
    if (found != nullptr) (*found)[static_cast<std::size_t>(i)] = true;
    slices.push_back({hit.batch, hit.row, 1});
  }
  return CopyRows(table.schema->schema(), slices);
}

namespace {

// Of rows found, and what is said of the keys before the first that is left out, those that take at
// most `bytes_max`, or one.
void KeepFirst(std::uint64_t bytes_max, std::vector<RowSlice>* slices,
               std::vector<std::int64_t>* row_of) {
  auto parts = SplitByBytes(std::move(*slices), bytes_max);
  *slices = std::move(parts.front());
  std::int64_t rows = 0;
  for (const RowSlice& slice : *slices) rows += slice.length;
  row_of->erase(std::ranges::find(*row_of, rows), row_of->end());
}

}  // namespace

Result<FoundRows> FindRows(const TableView& table, CommitNumber as_of,
                           const std::vector<std::string_view>& keys,
                           const std::vector<int>& columns, std::uint64_t bytes_max) {
  std::vector<Lookup> lookups;
  for (const std::string_view key : keys) lookups.push_back({key});
  std::uint64_t bytes_left = bytes_max;
  const std::vector<int> read = WithTimes(table, columns);
  VARVE_TRY(LookEverywhere(table, as_of.value, read, &lookups, &bytes_left));
  std::vector<int> asked(columns.size());  // places in `read`
  std::iota(asked.begin(), asked.end(), 0);
  const auto schema = SelectFields(*table.schema->schema(), columns);
  std::unordered_map<const arrow::RecordBatch*, std::shared_ptr<arrow::RecordBatch>> projected;
  FoundRows found;
  std::vector<RowSlice> slices;
  std::int64_t row = 0;
  for (const Lookup& lookup : lookups) {
    const Hit& hit = lookup.best;
    const bool is_row = hit.commit != 0 && hit.kind == RowKind::kUpsert;
    found.row_of.push_back(is_row ? row++ : -1);
    if (!is_row) continue;
    if (!lookup.all_columns && read.size() == columns.size()) {
      AddRow(hit.batch, hit.row, &slices);
      continue;
    }
    auto& batch = projected[hit.batch.get()];
    if (batch == nullptr) {
      VARVE_ASSIGN(batch,
                   FromArrow(hit.batch->SelectColumns(lookup.all_columns ? columns : asked)));
    }
    AddRow(batch, hit.row, &slices);
  }
  if (!slices.empty()) KeepFirst(bytes_max, &slices, &found.row_of);
  VARVE_ASSIGN(found.rows, CopyRows(schema, slices));
  return found;
}

Result<std::vector<bool>> WhichExist(const TableView& table, CommitNumber as_of,
                                     const EncodedKeys& keys) {
  Asked asked = DistinctKeys(keys);
  VARVE_TRY(LookEverywhere(table, as_of.value, WithTimes(table, {}), &asked.lookups));
  std::vector<bool> exist;
  for (std::int64_t i = 0; i < keys.size(); ++i) {
    const Hit& hit = asked.Of(i).best;
    exist.push_back(hit.commit != 0 && hit.kind == RowKind::kUpsert);
  }
  return exist;
}

Result<std::optional<Newer>> FindNewer(const TableView& table,
                                       const std::vector<std::string_view>& keys,
                                       CommitNumber than) {
  std::vector<Lookup> lookups;
  for (const std::string_view key : keys) lookups.push_back({key});
  const auto has_newer = [&](const RunMeta& meta) {
    return meta.HoldsAllVersions() && meta.max_commit > than.value;
  };
  VARVE_TRY(LookEverywhere(table, has_newer, kNewest, {}, &lookups));
  for (const Lookup& lookup : lookups) {
    if (lookup.best.commit > than.value) {
      return Newer{std::string(lookup.key), {lookup.best.commit}};
    }
  }
  return std::optional<Newer>();
}

Result<std::optional<Newer>> FindNewer(const TableView& table, const KeyBounds& bounds,
                                       CommitNumber than) {
  VARVE_ASSIGN(const auto sources, OpenWindow(table, {}, bounds, {than.value, kNewest}));
  for (const auto& source : sources) {
    VersionCursor& cursor = *source.cursor;
    VARVE_TRY(cursor.Next());
    if (!cursor.valid()) continue;
    const Newer found{std::string(cursor.key()), {cursor.commit()}};
    VARVE_TRY(cursor.Next());  // which tells whether they could be read
    return found;
  }
  return std::optional<Newer>();
}

}  // namespace varve
