// SPDX-License-Identifier: Apache-2.0
// BackgroundIo: the budget of flushes and compactions (OpenOptions::background_bytes_per_second),
// if there is one, and the stores through which they keep to it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>

#include "base/clock.h"
#include "files/io_budget.h"
#include "files/object_store.h"
#include "upkeep/compact.h"
#include "varve/stats.h"

namespace varve {

// Thread-safe.
class BackgroundIo {
 public:
  // 0: no limit. `is_lifted` as IoBudget.
  BackgroundIo(Clock* clock, ObjectStore* store, std::uint64_t bytes_per_second,
               std::function<bool()> is_lifted);

  ObjectStore* store_of_flushes() const;
  // CompactRuns, which reads and writes by it.
  Result<std::vector<std::shared_ptr<const RunMeta>>> Compact(
      const Compaction& compaction, const std::function<std::uint64_t()>& next_run_id);
  void End();  // of the limit: nobody waits any more
  BackgroundIoStats stats() const;

 private:
  ObjectStore* const store_;
  const std::uint64_t bytes_per_second_;
  const std::unique_ptr<IoBudget> budget_;             // null: no limit
  const std::unique_ptr<ObjectStore> store_of_flushes_;  // so is this
};

}  // namespace varve
