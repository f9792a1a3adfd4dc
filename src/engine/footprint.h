// SPDX-License-Identifier: Apache-2.0
// Footprint: what a transaction would not share with a later commit: keys and ranges that it read,
// and keys that it wrote.
//
// A transaction may have millions of keys. Those that it read lie back to back in one buffer, which
// is sorted before it is asked; those that it wrote are lent by the commit, which has them in their
// order. Both are compared byte by byte, none is hashed: only the same key is a conflict.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "columns/key_codec.h"
#include "columns/version_cursor.h"
#include "engine/recent_keys.h"
#include "varve/types.h"

namespace varve {

// Keys of at most kKeyBytesMax bytes. What comes twice is dropped when it is sorted: at the latest
// when half of the keys are new since the last time, so who reads a few keys for ever needs memory
// for these.
class KeySet {
 public:
  void Add(std::string_view key);
  void Sort();  // ascending, each once

  std::int64_t size() const { return static_cast<std::int64_t>(places_.size()); }
  std::string_view operator[](std::int64_t i) const {
    return At(places_[static_cast<std::size_t>(i)]);
  }
  bool Contains(std::string_view key) const;  // requires Sort since the last Add

  // Of memory, at most: arrays that double as they grow may be half empty.
  std::uint64_t bytes() const { return BytesOf(size(), bytes_.size()); }
  static std::uint64_t BytesOf(std::int64_t keys, std::uint64_t key_bytes) {
    return 2 * (key_bytes + static_cast<std::uint64_t>(keys) * sizeof(Place));
  }

 private:
  static constexpr std::int64_t kSortFirstAt = 1024;
  struct Place {
    std::uint64_t begin;  // in bytes_
    std::uint32_t size;
  };
  std::string_view At(const Place& place) const {
    return std::string_view(bytes_).substr(place.begin, place.size);
  }
  void DropRepeated();

  std::string bytes_;
  std::vector<Place> places_;
  std::int64_t sort_at_ = kSortFirstAt;
  bool sorted_ = true;
};

struct Footprint {
  class OfTable {
   public:
    void AddKeys(const EncodedKeys& keys);
    void AddRange(KeyBounds range);
    void Add(OfTable more);  // what was read
    // Keys that ascend, lent. At most two of those that are added may overlap.
    void LendWritten(const EncodedKeys* keys);

    void MakeReady();  // for Touches
    bool Touches(std::string_view key) const;
    const KeySet& keys() const { return keys_; }  // that were read
    const std::vector<KeyBounds>& ranges() const { return ranges_; }
    const std::vector<const EncodedKeys*>& written() const { return written_; }
    bool empty() const { return keys_.size() == 0 && ranges_.empty() && written_.empty(); }
    std::uint64_t bytes() const { return keys_.bytes() + range_bytes_; }  // of what was read

   private:
    bool Wrote(std::string_view key) const;

    KeySet keys_;
    std::vector<KeyBounds> ranges_;
    std::uint64_t range_bytes_ = 0;
    std::vector<const EncodedKeys*> written_;  // by their first keys, once ready
  };

  void LendWritten(const KeysOfCommit& commit);  // each table's keys as OfTable wants them
  void MakeReady();
  std::uint64_t bytes() const;  // of what was read

  std::map<std::uint32_t, OfTable> tables;  // by id
};

struct Clash {
  std::uint32_t table;
  std::string key;
  CommitNumber commit;
};
// Requires MakeReady.
std::optional<Clash> FindClash(const Footprint& footprint, const KeysOfCommit& commit);

}  // namespace varve
