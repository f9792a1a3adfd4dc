// SPDX-License-Identifier: Apache-2.0
#include "engine/footprint.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/check.h"

namespace varve {
namespace {

bool Has(const EncodedKeys& ascending, std::string_view key) {
  std::int64_t begin = 0;
  std::int64_t end = ascending.size();
  while (begin < end) {
    const std::int64_t middle = begin + (end - begin) / 2;
    if (ascending[middle] < key) {
      begin = middle + 1;
    } else {
      end = middle;
    }
  }
  return begin < ascending.size() && ascending[begin] == key;
}

std::string_view FirstOf(const EncodedKeys* keys) { return (*keys)[0]; }

std::uint64_t RangeBytes(const KeyBounds& range) {
  const auto upper = range.upper ? range.upper->capacity() : 0;
  return 2 * sizeof(KeyBounds) + range.lower.capacity() + upper;
}

}  // namespace

void KeySet::Add(std::string_view key) {
  if (size() >= sort_at_) {
    Sort();
    sort_at_ = std::max(kSortFirstAt, 2 * size());
  }
  sorted_ = sorted_ && (places_.empty() || At(places_.back()) < key);
  places_.push_back({bytes_.size(), static_cast<std::uint32_t>(key.size())});
  bytes_ += key;
}

void KeySet::Sort() {
  if (sorted_) return;
  std::ranges::sort(places_, {}, [this](const Place& place) { return At(place); });
  DropRepeated();
  sorted_ = true;
}

void KeySet::DropRepeated() {
  const auto same = [this](const Place& a, const Place& b) { return At(a) == At(b); };
  if (std::ranges::adjacent_find(places_, same) == places_.end()) return;
  KeySet distinct;
  for (auto at = places_.begin(); at != places_.end();) {
    distinct.places_.push_back({distinct.bytes_.size(), at->size});
    distinct.bytes_ += At(*at);
    at = std::find_if_not(at, places_.end(), [&](const Place& next) { return same(*at, next); });
  }
  bytes_ = std::move(distinct.bytes_);
  places_ = std::move(distinct.places_);
}

bool KeySet::Contains(std::string_view key) const {
  VARVE_CHECK(sorted_);
  return std::ranges::binary_search(places_, key, {},
                                    [this](const Place& place) { return At(place); });
}

void Footprint::OfTable::AddKeys(const EncodedKeys& keys) {
  for (std::int64_t i = 0; i < keys.size(); ++i) keys_.Add(keys[i]);
}

void Footprint::OfTable::AddRange(KeyBounds range) {
  range_bytes_ += RangeBytes(range);
  ranges_.push_back(std::move(range));
}

void Footprint::OfTable::Add(OfTable more) {
  VARVE_CHECK(more.written_.empty());
  if (keys_.size() == 0) {
    keys_ = std::move(more.keys_);
  } else {
    for (std::int64_t i = 0; i < more.keys_.size(); ++i) keys_.Add(more.keys_[i]);
  }
  for (KeyBounds& range : more.ranges_) AddRange(std::move(range));
}

void Footprint::OfTable::LendWritten(const EncodedKeys* keys) {
  if (keys->size() > 0) written_.push_back(keys);
}

void Footprint::OfTable::MakeReady() {
  keys_.Sort();
  std::ranges::sort(written_, {}, FirstOf);
}

bool Footprint::OfTable::Touches(std::string_view key) const {
  const auto contains = [&](const KeyBounds& range) { return range.Contains(key); };
  return keys_.Contains(key) || Wrote(key) || std::ranges::any_of(ranges_, contains);
}

bool Footprint::OfTable::Wrote(std::string_view key) const {
  auto at = std::ranges::upper_bound(written_, key, {}, FirstOf);
  for (int overlapping = 0; overlapping < 2 && at != written_.begin(); ++overlapping) {
    if (Has(**--at, key)) return true;
  }
  return false;
}

void Footprint::LendWritten(const KeysOfCommit& commit) {
  for (const auto& [table, keys] : commit.tables) tables[table].LendWritten(&keys);
}

void Footprint::MakeReady() {
  for (auto& [id, table] : tables) table.MakeReady();
}

std::uint64_t Footprint::bytes() const {
  std::uint64_t bytes = 0;
  for (const auto& [id, table] : tables) bytes += table.bytes();
  return bytes;
}

std::optional<Clash> FindClash(const Footprint& footprint, const KeysOfCommit& commit) {
  for (const auto& [table, keys] : commit.tables) {
    const auto at = footprint.tables.find(table);
    if (at == footprint.tables.end()) continue;
    for (std::int64_t row = 0; row < keys.size(); ++row) {
      const auto key = keys[row];
      if (at->second.Touches(key)) return Clash{table, std::string(key), commit.commit};
    }
  }
  return {};
}

}  // namespace varve
