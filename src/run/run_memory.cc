// SPDX-License-Identifier: Apache-2.0
#include "run/run_memory.h"

#include <utility>

#include "base/check.h"
#include "columns/arrow_pool.h"
#include "columns/booked_pool.h"
#include "run/read_cache.h"
#include "run/tail_cache.h"

namespace varve {
namespace {

// Parts of the budget.
constexpr std::uint64_t kReadsPart = 4;
constexpr std::uint64_t kCompactionPart = 8;
constexpr std::uint64_t kBatchPart = 64;
// Decoding takes compressed and decompressed pages beside the values.
constexpr std::uint64_t kDecodingFactor = 2;

std::size_t PlaceOf(MemoryHolder holder) {
  switch (holder) {
    case MemoryHolder::kReads: return 0;
    case MemoryHolder::kFlush: return 1;
    case MemoryHolder::kCompaction: return 2;
    default: break;
  }
  VARVE_CHECK(false);
  return 0;
}

}  // namespace

RunMemory::RunMemory(std::shared_ptr<MemoryBudget> budget, std::shared_ptr<ReadCache> pieces,
                     std::shared_ptr<TailCache> tails)
    : budget_(std::move(budget)), pieces_(std::move(pieces)), tails_(std::move(tails)) {
  for (const auto holder :
       {MemoryHolder::kReads, MemoryHolder::kFlush, MemoryHolder::kCompaction}) {
    pools_[PlaceOf(holder)] = NewBookedPool(budget_, holder);
  }
}

arrow::MemoryPool* RunMemory::pool(MemoryHolder holder) const {
  return pools_[PlaceOf(holder)].get();
}

bool RunMemory::MakeRoom(std::uint64_t bytes) const {
  if (budget_->Lacking(bytes) == 0) return true;
  if (pieces_ != nullptr) pieces_->GiveUp(budget_->Lacking(bytes));
  if (tails_ != nullptr && budget_->Lacking(bytes) > 0) tails_->GiveUp(budget_->Lacking(bytes));
  return budget_->Lacking(bytes) == 0;
}

std::uint64_t RunMemory::ShareOf(MemoryHolder holder) const {
  const bool reads = holder == MemoryHolder::kReads;
  return budget_->bytes_max() / (reads ? kReadsPart : kCompactionPart);
}

bool RunMemory::MayDecode(MemoryHolder holder, std::uint64_t bytes) const {
  const std::uint64_t wanted = kDecodingFactor * bytes;
  return budget_->held(holder).bytes + wanted <= ShareOf(holder) && MakeRoom(wanted);
}

std::uint64_t RunMemory::BatchBytesMax() const { return budget_->bytes_max() / kBatchPart; }

bool RunMemory::MayReadAhead(MemoryHolder holder, std::uint64_t bytes) const {
  const std::uint64_t wanted = kDecodingFactor * bytes;
  return budget_->held(holder).bytes + wanted <= ShareOf(holder) / 2 &&
         budget_->Lacking(wanted) == 0;
}

arrow::MemoryPool* PoolOf(const RunMemory* memory, MemoryHolder holder) {
  return memory == nullptr ? ArrowPool() : memory->pool(holder);
}

}  // namespace varve
