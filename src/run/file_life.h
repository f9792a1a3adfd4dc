// SPDX-License-Identifier: Apache-2.0
// FileLife: what stays of a run's object while its RunFile comes and goes: the pieces that the
// cache keeps of it, and counts.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "run/read_cache.h"
#include "run/run_memory.h"

namespace varve {

class FileLife {
 public:
  // Both may be null.
  explicit FileLife(std::shared_ptr<ReadCache> cache,
                    std::shared_ptr<const RunMemory> memory = nullptr)
      : cache_(std::move(cache)),
        id_(cache_ == nullptr ? 0 : cache_->NewFile()),
        memory_(std::move(memory)) {}
  ~FileLife() {
    if (cache_ != nullptr) cache_->DropFile(id_, pieces_.load(std::memory_order_relaxed));
  }
  FileLife(const FileLife&) = delete;
  FileLife& operator=(const FileLife&) = delete;

  // The same at each opening: they are in the file.
  void NotePieces(std::size_t pieces) {
    pieces_.store(static_cast<std::uint32_t>(pieces), std::memory_order_relaxed);
  }
  // Null: it is not in the cache.
  CachedPiecePtr Find(int piece, ReadCache::Part part) const {
    if (cache_ == nullptr) return nullptr;
    return cache_->Find({id_, static_cast<std::uint32_t>(piece), part});
  }
  void Keep(int piece, ReadCache::Part part, const CachedPiecePtr& decoded) const {
    if (cache_ != nullptr) cache_->Insert({id_, static_cast<std::uint32_t>(piece), part}, decoded);
  }

  const RunMemory* memory() const { return memory_.get(); }  // null: nobody counts
  // So much of it, booked.
  Booking Book(MemoryHolder holder, std::uint64_t bytes) const {
    return memory_ == nullptr ? Booking() : Booking(memory_->budget(), holder, bytes);
  }

  // Row groups that were read in whole or part, each once a cursor or lookup.
  void CountRowGroupRead() {
    row_groups_read_.fetch_add(1, std::memory_order_relaxed);
    if (cache_ != nullptr) cache_->Count("row_groups_read_total");
  }
  void CountBloomRejection() const {
    if (cache_ != nullptr) cache_->Count("bloom_rejections_total");
  }
  std::uint64_t row_groups_read() const {
    return row_groups_read_.load(std::memory_order_relaxed);
  }

 private:
  const std::shared_ptr<ReadCache> cache_;
  const std::uint64_t id_;  // what the file is called there
  const std::shared_ptr<const RunMemory> memory_;
  std::atomic<std::uint32_t> pieces_ = 0;
  std::atomic<std::uint64_t> row_groups_read_ = 0;
};

}  // namespace varve
