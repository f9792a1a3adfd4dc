// SPDX-License-Identifier: Apache-2.0
#include "engine/background_io.h"

#include <utility>
#include <vector>

#include "run/run.h"

namespace varve {

BackgroundIo::BackgroundIo(Clock* clock, ObjectStore* store, std::uint64_t bytes_per_second,
                           std::function<bool()> is_lifted)
    : store_(store),
      bytes_per_second_(bytes_per_second),
      budget_(bytes_per_second == 0 ? nullptr
                                    : std::make_unique<IoBudget>(clock, bytes_per_second,
                                                                 std::move(is_lifted))),
      store_of_flushes_(budget_ == nullptr ? nullptr
                                           : NewBudgetedStore(store, budget_.get(),
                                                              IoBudget::Work::kFlush)) {}

ObjectStore* BackgroundIo::store_of_flushes() const {
  return budget_ == nullptr ? store_ : store_of_flushes_.get();
}

// The inputs are held as they are, so that nobody lets go of their files.
Result<std::vector<std::shared_ptr<const RunMeta>>> BackgroundIo::Compact(
    const Compaction& compaction, const std::function<std::uint64_t()>& next_run_id) {
  if (budget_ == nullptr) return CompactRuns(store_, compaction, next_run_id);
  const auto store = NewBudgetedStore(store_, budget_.get(), IoBudget::Work::kCompaction,
                                      compaction.stop);
  Compaction through = compaction;
  for (auto& run : through.inputs) run = Run::Through(run, store.get());
  return CompactRuns(store.get(), through, next_run_id);
}

void BackgroundIo::End() {
  if (budget_ != nullptr) budget_->End();
}

BackgroundIoStats BackgroundIo::stats() const {
  if (budget_ == nullptr) return {};
  const auto flushes = budget_->used(IoBudget::Work::kFlush);
  const auto compactions = budget_->used(IoBudget::Work::kCompaction);
  return {.bytes_per_second_max = bytes_per_second_,
          .flush_bytes = flushes.bytes,
          .compaction_bytes = compactions.bytes,
          .flush_waited_micros = flushes.waited_micros,
          .compaction_waited_micros = compactions.waited_micros};
}

}  // namespace varve
