// SPDX-License-Identifier: Apache-2.0
// TailCache: what is known of the files of runs before their rows are read, within a budget of
// bytes. A run's tails (footer, filters, first keys) are read when the run is first read, and kept
// here for the reads to come.
//
// Each run has a slot of its own, whose lock is held for a few moves of a pointer: readers of other
// runs are not met. What was not asked for since the hand last came by goes first (the clock of
// Corbato, 1968). Tails that are in use live on after they were dropped, and are then not counted;
// who reads the run meanwhile shares them.
//
// Thread safety: any member from any thread.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>

namespace varve {

class RunFile;

// Of one run. The files say how much memory they take, which may grow while they are read.
struct Tails {
  std::shared_ptr<const RunFile> data;     // null: no such object
  std::shared_ptr<const RunFile> deletes;  // null: no such object
  std::uint64_t memory_bytes() const;
};
using TailsPtr = std::shared_ptr<const Tails>;

class TailCache {
 public:
  explicit TailCache(std::uint64_t bytes_max) : bytes_max_(bytes_max) {}

  // A run's place here. Must not outlive the cache.
  class Slot {
   public:
    Slot() = default;
    Slot(const Slot&) = delete;
    Slot& operator=(const Slot&) = delete;

   private:
    friend class TailCache;
    std::mutex mutex_;
    TailsPtr tails_;                    // guarded by mutex_
    std::weak_ptr<const Tails> used_by_;  // tails_, or what somebody still uses; guarded by mutex_
    bool used_ = false;                 // since the hand came by; guarded by mutex_
    std::uint64_t counted_ = 0;         // bytes_ as readers see it; guarded by mutex_
    std::uint64_t bytes_ = 0;           // that tails_ counts for; guarded by the cache's mutex_
    std::list<Slot*>::iterator place_;  // when it counts for any; guarded by the cache's mutex_
  };

  // Null: they are not there, and nobody uses them. Counts a hit or a miss.
  TailsPtr Find(Slot* slot);
  // Gives those that are there already, if somebody was faster.
  TailsPtr Insert(Slot* slot, TailsPtr tails);
  // Drops what was not used lately, so many bytes of it or all.
  void GiveUp(std::uint64_t bytes);
  // Before the slot ends.
  void Drop(Slot* slot);

  struct Stats {
    std::uint64_t bytes = 0;
    std::uint64_t runs = 0;
    std::uint64_t hits = 0;
    std::uint64_t misses = 0;
  };
  Stats stats() const;
  std::uint64_t bytes_max() const { return bytes_max_; }

 private:
  struct alignas(64) Counts {
    std::atomic<std::uint64_t> hits = 0;
    std::atomic<std::uint64_t> misses = 0;
  };
  Counts& CountsOf(const Slot* slot) {
    return counts_[reinterpret_cast<std::uintptr_t>(slot) / 64 % counts_.size()];
  }
  void Recount(Slot* slot, const TailsPtr& tails);
  // Both require mutex_. What they drop the caller destroys after the lock.
  void MakeRoom(std::uint64_t bytes_max, const Slot* but, std::list<TailsPtr>* dropped);
  void Forget(Slot* slot, TailsPtr* dropped);

  const std::uint64_t bytes_max_;
  std::array<Counts, 8> counts_;
  mutable std::mutex mutex_;
  std::list<Slot*> slots_;                          // with tails; guarded by mutex_
  std::list<Slot*>::iterator hand_ = slots_.end();  // guarded by mutex_
  std::uint64_t bytes_ = 0;                         // guarded by mutex_
};

}  // namespace varve
