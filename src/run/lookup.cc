// SPDX-License-Identifier: Apache-2.0
// OpenRun::Get. From cheap to dear: the run's key bounds, the footer's first keys of pieces, and of
// the piece that may hold a key: its keys, when they are in the cache; else the bloom filters, and
// then its keys and commits from the file; and only for rows that are there, its rows.
//
// Keys come in order, so a piece is looked at once for all of its keys. What the cache keeps is
// shared; of what was read from the file just the rows found are held.
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/result.h"
#include "columns/gather.h"
#include "columns/key_component.h"
#include "run/column_map.h"
#include "run/open_run.h"
#include "run/run_source.h"

namespace varve {
namespace {

using Part = ReadCache::Part;

// Where a version is.
struct Place {
  std::uint64_t commit = 0;  // 0: there is none
  int piece = 0;
  std::int64_t row = 0;  // in the piece
};

// The eight bytes of a key behind the first `skipped`, as a number; missing ones are zeros.
std::uint64_t NumberIn(std::string_view key, std::size_t skipped) {
  char bytes[sizeof(std::uint64_t)] = {};
  const auto rest = key.substr(std::min(skipped, key.size()));
  std::memcpy(bytes, rest.data(), std::min(rest.size(), sizeof bytes));
  return LoadBig<std::uint64_t>(bytes);
}

// Where a key is among `rows` others that lie in [first, end), were they spread evenly: as ids
// that count up are, and times nearly. Only a guess: keys may be spread in any way.
class Spread {
 public:
  Spread() = default;
  Spread(std::string_view first, std::string_view end, std::int64_t rows)
      : skipped_(static_cast<std::size_t>(std::ranges::mismatch(first, end).in1 - first.begin())),
        first_(NumberIn(first, skipped_)),
        rows_(rows) {
    const std::uint64_t width = NumberIn(end, skipped_) - first_;
    rows_a_step_ = width == 0 ? 0 : static_cast<double>(rows) / static_cast<double>(width);
  }
  // From 0 to rows.
  std::int64_t Guess(std::string_view key) const {
    const std::uint64_t number = NumberIn(key, skipped_);
    if (number <= first_) return 0;
    const double row = static_cast<double>(number - first_) * rows_a_step_;
    return row < static_cast<double>(rows_) ? static_cast<std::int64_t>(row) : rows_;
  }

 private:
  std::size_t skipped_ = 0;  // bytes that all keys begin with
  std::uint64_t first_ = 0;
  std::int64_t rows_ = 0;
  double rows_a_step_ = 0;
};

// The first row from `low` on whose key is not below `key`; the number of keys when there is none.
// Gallops from `guess`: each look at a key that is far from the last one waits for memory.
std::int64_t FirstAtLeast(const EncodedKeys& keys, std::string_view key, std::int64_t low,
                          std::int64_t guess) {
  // Rows before `low` are below; row `high`, if any, is not.
  std::int64_t high = keys.size();
  guess = std::clamp(guess, low, high);
  const bool up = guess < high && keys[guess] < key;
  (up ? low : high) = up ? guess + 1 : guess;
  for (std::int64_t step = 1; low < high; step *= 2) {
    const auto row = up ? std::min(low + step, high) - 1 : std::max(high - step, low);
    const bool below = keys[row] < key;
    (below ? low : high) = below ? row + 1 : row;
    if (below != up) break;
  }
  while (low < high) {
    const std::int64_t middle = low + (high - low) / 2;
    const bool below = keys[middle] < key;
    (below ? low : high) = below ? middle + 1 : middle;
  }
  return low;
}

// Finds versions in one object. Not thread-safe.
class Finder {
 public:
  Finder(const RunFile& file, const RunMeta& meta, std::uint64_t as_of,
         std::atomic<std::uint64_t>* rejections)
      : file_(file), meta_(meta), as_of_(as_of), rejections_(*rejections) {}

  // The newest version of `key` that as_of sees. Keys ascend from call to call. Versions of one key
  // may fill several pieces, the newest first.
  Result<Place> Find(std::string_view key) {
    for (int piece = StillHere(key) ? piece_ : file_.FirstPiece(key, meta_.distinct_keys);
         piece < std::ssize(file_.piece_keys()) && FirstKey(piece) <= key; ++piece) {
      VARVE_ASSIGN(const bool may_contain, Enter(piece, key));
      if (!may_contain) continue;
      const Place place = FindHere(key);
      if (place.commit > 0) return place;
    }
    return Place();
  }

 private:
  const std::string& FirstKey(int piece) const {
    return file_.piece_keys()[static_cast<std::size_t>(piece)];
  }
  // The first key that is behind the piece.
  const std::string& EndKey(int piece) const {
    return piece + 1 < std::ssize(file_.piece_keys()) ? FirstKey(piece + 1) : meta_.max_key;
  }
  // Whether only the piece at hand can hold the key, which is not below the one before.
  bool StillHere(std::string_view key) const {
    return piece_ >= 0 && meta_.distinct_keys && key < EndKey(piece_);
  }
  // False when the piece cannot hold the key. The filters are asked only before keys are read.
  Result<bool> Enter(int piece, std::string_view key) {
    if (piece == piece_) return true;
    auto keys = file_.FindPiece(piece, Part::kKeys);
    if (keys == nullptr) {
      const int group = file_.pieces()[static_cast<std::size_t>(piece)].group;
      VARVE_ASSIGN(const bool may_contain, file_.MayContain(group, key));
      if (!may_contain) {
        rejections_.fetch_add(1, std::memory_order_relaxed);
        file_.life()->CountBloomRejection();
        return false;
      }
      if (std::exchange(group_read_, group) != group) file_.life()->CountRowGroupRead();
      VARVE_ASSIGN(keys, file_.ReadPiece(piece, Part::kKeys));
    }
    keys_ = std::move(keys);
    piece_ = piece;
    row_ = 0;
    spread_ = Spread(FirstKey(piece), EndKey(piece), keys_->keys.size());
    return true;
  }

  Place FindHere(std::string_view key) {
    const EncodedKeys& keys = keys_->keys;
    row_ = FirstAtLeast(keys, key, row_, spread_.Guess(key));
    for (std::int64_t row = row_; row < keys.size() && keys[row] == key; ++row) {
      const std::uint64_t commit = keys_->commits[static_cast<std::size_t>(row)];
      if (commit <= as_of_) return {commit, piece_, row};
    }
    return {};
  }

  const RunFile& file_;
  const RunMeta& meta_;
  const std::uint64_t as_of_;
  std::atomic<std::uint64_t>& rejections_;
  int group_read_ = -1;  // the last one of which something was read from the file
  // Of the piece at hand.
  int piece_ = -1;  // none
  CachedPiecePtr keys_;
  Spread spread_;         // of its keys
  std::int64_t row_ = 0;  // rows before it are below all keys to come
};

std::shared_ptr<arrow::RecordBatch> Project(const arrow::RecordBatch& batch,
                                            const std::vector<int>& columns) {
  arrow::FieldVector fields;
  arrow::ArrayVector arrays;
  for (const int column : columns) {
    fields.push_back(batch.schema()->field(column));
    arrays.push_back(batch.column(column));
  }
  return arrow::RecordBatch::Make(arrow::schema(std::move(fields)), batch.num_rows(),
                                  std::move(arrays));
}

// Rows of a piece as the hits of these lookups, from `begin` on, which are all in it.
Status ReadPieceRows(const RunFile& file, const std::vector<Place>& places,
                     const std::vector<std::size_t>& found, const std::vector<int>& columns,
                     std::vector<std::optional<Memtable::Hit>>* hits) {
  const int piece = places[found.front()].piece;
  std::shared_ptr<arrow::RecordBatch> rows;
  bool kept = true;  // by the cache; otherwise only the rows found are
  if (columns.empty()) {
    rows = arrow::RecordBatch::Make(arrow::schema(arrow::FieldVector()),
                                    file.pieces()[static_cast<std::size_t>(piece)].rows,
                                    arrow::ArrayVector());
  } else {
    auto cached = file.FindPiece(piece, Part::kRows);
    kept = cached != nullptr;
    if (!kept) {
      VARVE_ASSIGN(cached, file.ReadPiece(piece, Part::kRows));
    }
    const bool all = std::ssize(columns) == cached->rows->num_columns() &&
                     std::ranges::is_sorted(columns);
    rows = all ? cached->rows : Project(*cached->rows, columns);
  }
  std::vector<RowSlice> slices;
  for (const std::size_t i : found) {
    (*hits)[i] = Memtable::Hit{places[i].commit, RowKind::kUpsert, rows, places[i].row};
    if (!kept) slices.push_back({rows, places[i].row, 1});
  }
  if (kept) return {};
  VARVE_ASSIGN(const auto copied, CopyRows(rows->schema(), slices));
  std::int64_t row = 0;
  for (const std::size_t i : found) {
    (*hits)[i]->batch = copied;
    (*hits)[i]->row = row++;
  }
  return {};
}

// What some rows of a batch take in memory, about.
std::uint64_t BytesOf(std::size_t rows, const arrow::RecordBatch& batch) {
  return BatchBytes(batch) / static_cast<std::uint64_t>(batch.num_rows()) * rows;
}

// Reads the rows at `places` (ascending; those without a commit are left out) into `hits`, as many
// as *bytes_left allows, if it is given: of the places before the one that it returns.
Result<std::size_t> ReadRows(const RunFile& file, const std::vector<Place>& places,
                             const std::vector<int>& columns, std::uint64_t* bytes_left,
                             std::vector<std::optional<Memtable::Hit>>* hits) {
  std::vector<std::size_t> found;  // in one piece
  const auto read = [&]() -> Status {
    VARVE_TRY(ReadPieceRows(file, places, found, columns, hits));
    if (bytes_left != nullptr) {
      *bytes_left -= std::min(*bytes_left, BytesOf(found.size(), *(*hits)[found.front()]->batch));
    }
    found.clear();
    return {};
  };
  for (std::size_t i = 0; i < places.size(); ++i) {
    if (places[i].commit == 0) continue;
    if (!found.empty() && places[found.front()].piece != places[i].piece) {
      VARVE_TRY(read());
      if (bytes_left != nullptr && *bytes_left == 0) return i;
    }
    found.push_back(i);
  }
  if (!found.empty()) VARVE_TRY(read());
  return places.size();
}

}  // namespace

Result<OpenRun::Hits> OpenRun::Get(const std::vector<std::string_view>& keys, std::uint64_t as_of,
                                   const std::vector<int>& columns,
                                   std::uint64_t* bytes_left) const {
  return map() == nullptr ? GetOwn(keys, as_of, columns, bytes_left)
                         : GetShown(keys, as_of, columns, bytes_left);
}

// Only the rows found are shown, not the pieces that they are in.
Result<OpenRun::Hits> OpenRun::GetShown(const std::vector<std::string_view>& keys,
                                        std::uint64_t as_of, const std::vector<int>& columns,
                                        std::uint64_t* bytes_left) const {
  const auto selection = map()->Select(columns);
  VARVE_ASSIGN(Hits hits, GetOwn(keys, as_of, selection.read, bytes_left));
  std::vector<RowSlice> slices;
  for (const auto& hit : hits) {
    if (hit && hit->batch != nullptr) slices.push_back({hit->batch, hit->row, 1});
  }
  if (slices.empty()) return hits;
  auto rows = arrow::RecordBatch::Make(arrow::schema(arrow::FieldVector()), std::ssize(slices),
                                       arrow::ArrayVector());
  if (!selection.read.empty()) {
    VARVE_ASSIGN(rows, CopyRows(slices.front().batch->schema(), slices));
  }
  VARVE_ASSIGN(const auto shown, map()->Show(*rows, selection));
  std::int64_t row = 0;
  for (auto& hit : hits) {
    if (!hit || hit->batch == nullptr) continue;
    hit->batch = shown;
    hit->row = row++;
  }
  return hits;
}

Result<OpenRun::Hits> OpenRun::GetOwn(const std::vector<std::string_view>& keys,
                                      std::uint64_t as_of, const std::vector<int>& columns,
                                      std::uint64_t* bytes_left) const {
  Hits hits(keys.size());
  std::vector<Place> places(keys.size());
  if (as_of < meta().min_commit) return hits;
  const auto in_bounds = [&](std::string_view key) {
    return meta().min_key <= key && key <= meta().max_key;
  };
  auto* const rejections = &run_->source_->bloom_rejections;
  if (deletes() != nullptr) {
    Finder finder(*deletes(), meta(), as_of, rejections);
    for (std::size_t i = 0; i < keys.size(); ++i) {
      if (!in_bounds(keys[i])) continue;
      VARVE_ASSIGN(const Place place, finder.Find(keys[i]));
      if (place.commit > 0) hits[i] = Memtable::Hit{place.commit, RowKind::kDelete, nullptr, 0};
    }
  }
  if (data() == nullptr) return hits;
  Finder finder(*data(), meta(), as_of, rejections);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (!in_bounds(keys[i])) continue;
    VARVE_ASSIGN(const Place place, finder.Find(keys[i]));
    if (!hits[i] || place.commit > hits[i]->commit) places[i] = place;
  }
  VARVE_ASSIGN(const std::size_t answered,
               ReadRows(*data(), places, columns, bytes_left, &hits));
  hits.resize(answered);
  return hits;
}

}  // namespace varve
