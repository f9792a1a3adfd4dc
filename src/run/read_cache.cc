// SPDX-License-Identifier: Apache-2.0
#include "run/read_cache.h"

#include <arrow/array.h>
#include <arrow/record_batch.h>

#include <algorithm>
#include <utility>

namespace varve {

std::size_t ReadCache::IdHash::operator()(const Id& id) const {
  const std::uint64_t number = id.file << 33 ^ static_cast<std::uint64_t>(id.piece) << 1 ^
                               static_cast<std::uint64_t>(id.part);
  const std::uint64_t mixed = number * 0x9E3779B97F4A7C15u;  // the golden ratio: Knuth, 6.4
  return mixed ^ mixed >> 29;
}

CachedPiecePtr ReadCache::Find(const Id& id) {
  Shard& shard = ShardOf(id);
  std::lock_guard lock(shard.mutex);
  const auto at = shard.places.find(id);
  if (at == shard.places.end()) {
    ++shard.Of(id.part).misses;
    return nullptr;
  }
  ++shard.Of(id.part).hits;
  shard.entries.splice(shard.entries.begin(), shard.entries, at->second);
  return at->second->piece;
}

void ReadCache::Insert(const Id& id, CachedPiecePtr piece) {
  if (piece->bytes > shard_bytes_max_) return;
  std::list<Entry> removed;
  Shard& shard = ShardOf(id);
  std::lock_guard lock(shard.mutex);
  if (const auto at = shard.places.find(id); at != shard.places.end()) {
    Remove(&shard, at->second, &removed);  // two threads read it at once: one of them is enough
  }
  while (shard.bytes + piece->bytes > shard_bytes_max_) {
    Remove(&shard, std::prev(shard.entries.end()), &removed);
  }
  shard.bytes += piece->bytes;
  shard.Of(id.part).bytes += piece->bytes;
  shard.entries.push_front({id, std::move(piece)});
  shard.places[id] = shard.entries.begin();
}

void ReadCache::DropFile(std::uint64_t file, std::uint32_t pieces) {
  for (std::uint32_t piece = 0; piece < pieces; ++piece) {
    for (const Part part : {Part::kKeys, Part::kRows}) {
      std::list<Entry> removed;
      const Id id{file, piece, part};
      Shard& shard = ShardOf(id);
      std::lock_guard lock(shard.mutex);
      const auto at = shard.places.find(id);
      if (at != shard.places.end()) Remove(&shard, at->second, &removed);
    }
  }
}

// From each part as much of it as of the whole.
void ReadCache::GiveUp(std::uint64_t bytes) {
  const std::uint64_t all = stats().bytes;
  for (Shard& shard : shards_) {
    std::list<Entry> removed;
    std::lock_guard lock(shard.mutex);
    const double part = static_cast<double>(shard.bytes) / static_cast<double>(all + 1);
    const auto most = static_cast<std::uint64_t>(part * static_cast<double>(bytes)) + 1;
    const std::uint64_t left = shard.bytes - std::min(shard.bytes, most);
    while (shard.bytes > left) Remove(&shard, std::prev(shard.entries.end()), &removed);
  }
}

void ReadCache::Remove(Shard* shard, std::list<Entry>::iterator entry, std::list<Entry>* removed) {
  shard->bytes -= entry->piece->bytes;
  shard->Of(entry->id.part).bytes -= entry->piece->bytes;
  shard->places.erase(entry->id);
  removed->splice(removed->begin(), shard->entries, entry);
}

ReadCache::Stats ReadCache::stats(Part part) const {
  Stats stats;
  for (const Shard& shard : shards_) {
    std::lock_guard lock(shard.mutex);
    const Stats& of = shard.parts[static_cast<std::size_t>(part)];
    stats.bytes += of.bytes;
    stats.hits += of.hits;
    stats.misses += of.misses;
  }
  return stats;
}

ReadCache::Stats ReadCache::stats() const {
  const Stats keys = stats(Part::kKeys), rows = stats(Part::kRows);
  return {keys.bytes + rows.bytes, keys.hits + rows.hits, keys.misses + rows.misses};
}

}  // namespace varve
