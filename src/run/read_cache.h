// SPDX-License-Identifier: Apache-2.0
// ReadCache: decoded pieces of runs, kept for the lookups to come, within a budget of bytes.
//
// A piece is kept twice, apart: its keys with their commits, which find a row or its absence, and
// its rows, which only a row found needs. What was used least recently goes first. Entries are
// shared: one that is being read lives on after it was dropped.
//
// The budget is divided among kShards parts, each with a lock of its own that is held for a few
// pointer moves; so an entry larger than a part is not kept.
//
// Thread safety: any member from any thread.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/memory_budget.h"
#include "base/telemetry.h"
#include "columns/key_codec.h"

namespace arrow {
class RecordBatch;
}  // namespace arrow

namespace varve {

// Either the keys and commits of a piece, or its rows.
struct CachedPiece {
  EncodedKeys keys;
  std::vector<std::uint64_t> commits;
  std::shared_ptr<arrow::RecordBatch> rows;
  std::uint64_t bytes = 0;  // of memory
  Booking booking;          // of these, for as long as anybody reads it
};
using CachedPiecePtr = std::shared_ptr<const CachedPiece>;

class ReadCache {
 public:
  // What is read of the files beside it is counted there, when it is given.
  explicit ReadCache(std::uint64_t bytes_max, std::shared_ptr<Telemetry> telemetry = nullptr)
      : shard_bytes_max_(bytes_max / kShards), telemetry_(std::move(telemetry)) {}

  enum class Part : std::uint8_t { kKeys, kRows };
  struct Id {
    std::uint64_t file = 0;
    std::uint32_t piece = 0;
    Part part = Part::kKeys;
    bool operator==(const Id&) const = default;
  };

  // What a file that was just opened is called here.
  std::uint64_t NewFile() { return ++files_; }
  // Null: not there. Counts a hit or a miss.
  CachedPiecePtr Find(const Id& id);
  void Insert(const Id& id, CachedPiecePtr piece);
  // Forgets the pieces below `pieces` of a file that nobody will read any more.
  void DropFile(std::uint64_t file, std::uint32_t pieces);
  // Forgets what was used least recently, about so many bytes of it.
  void GiveUp(std::uint64_t bytes);

  struct Stats {
    std::uint64_t bytes = 0;
    std::uint64_t hits = 0;
    std::uint64_t misses = 0;
  };
  Stats stats() const;
  Stats stats(Part part) const;
  void Count(CounterId counter) const noexcept {
    if (telemetry_ != nullptr) telemetry_->metrics.Add(counter);
  }

 private:
  static constexpr std::size_t kShards = 8;
  struct IdHash {
    std::size_t operator()(const Id& id) const;
  };
  struct Entry {
    Id id;
    CachedPiecePtr piece;
  };
  struct Shard {
    mutable std::mutex mutex;
    std::list<Entry> entries;  // used last comes first; guarded by mutex
    std::unordered_map<Id, std::list<Entry>::iterator, IdHash> places;  // guarded by mutex
    std::uint64_t bytes = 0;                                            // guarded by mutex
    std::array<Stats, 2> parts;                                         // guarded by mutex
    Stats& Of(Part part) { return parts[static_cast<std::size_t>(part)]; }
  };
  Shard& ShardOf(const Id& id) { return shards_[IdHash()(id) >> 32 & (kShards - 1)]; }
  // Moves the entry into `removed`, which the caller destroys after the lock.
  static void Remove(Shard* shard, std::list<Entry>::iterator entry, std::list<Entry>* removed);

  const std::uint64_t shard_bytes_max_;
  const std::shared_ptr<Telemetry> telemetry_;  // may be null
  std::atomic<std::uint64_t> files_ = 0;
  std::array<Shard, kShards> shards_;
};

}  // namespace varve
