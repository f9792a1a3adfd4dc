// SPDX-License-Identifier: Apache-2.0
// RunMemory: the memory that runs of a database are read and written with. What is decoded and
// encoded is booked, by the bytes of Arrow's buffers; caches give way to it; and who reads is told
// when to do with less.
//
// Thread safety: any member from any thread.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "base/memory_budget.h"

namespace arrow {
class MemoryPool;
}  // namespace arrow

namespace varve {

class ReadCache;
class TailCache;

class RunMemory {
 public:
  // The caches, which may be null, are those that give way.
  RunMemory(std::shared_ptr<MemoryBudget> budget, std::shared_ptr<ReadCache> pieces,
            std::shared_ptr<TailCache> tails);

  const std::shared_ptr<MemoryBudget>& budget() const { return budget_; }
  // Of kReads, kFlush and kCompaction.
  arrow::MemoryPool* pool(MemoryHolder holder) const;

  // Before so many bytes are taken: caches give up what they lack, as far as they have it. Gives
  // whether there is room now.
  bool MakeRoom(std::uint64_t bytes) const;
  // Whether a reader may decode so many bytes at once: they fit into the budget, and with what is
  // decoded already into the holder's share of it.
  bool MayDecode(MemoryHolder holder, std::uint64_t bytes) const;
  // The same before it is needed: half as much, and no cache gives way.
  bool MayReadAhead(MemoryHolder holder, std::uint64_t bytes) const;
  // What one batch of a scan should take at most, about.
  std::uint64_t BatchBytesMax() const;

 private:
  std::uint64_t ShareOf(MemoryHolder holder) const;

  const std::shared_ptr<MemoryBudget> budget_;
  const std::shared_ptr<ReadCache> pieces_;
  const std::shared_ptr<TailCache> tails_;
  std::array<std::shared_ptr<arrow::MemoryPool>, 3> pools_;
};

// ArrowPool where nobody counts.
arrow::MemoryPool* PoolOf(const RunMemory* memory, MemoryHolder holder);

}  // namespace varve
