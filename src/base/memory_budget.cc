// SPDX-License-Identifier: Apache-2.0
#include "base/memory_budget.h"

namespace varve {

std::string_view NameOf(MemoryHolder holder) {
  switch (holder) {
    case MemoryHolder::kMemtables: return "memtables";
    case MemoryHolder::kSealed: return "sealed";
    case MemoryHolder::kSnapshots: return "snapshots";
    case MemoryHolder::kTransactions: return "transactions";
    case MemoryHolder::kRecentKeys: return "recent_keys";
    case MemoryHolder::kPieces: return "pieces";
    case MemoryHolder::kTails: return "tails";
    case MemoryHolder::kReads: return "reads";
    case MemoryHolder::kFlush: return "flush";
    case MemoryHolder::kCompaction: return "compaction";
    case MemoryHolder::kReserve: return "reserve";
  }
  return "";
}

}  // namespace varve
