// SPDX-License-Identifier: Apache-2.0
// IoBudget: how many bytes a second background work may read and write; and a store that asks it.
//
// The simple version is a token bucket: who took bytes owes their time, and the next waits until it
// is paid. What it adds: flushes go first. They wait for what flushes took alone, and compactions
// for what both took, and while a flush waits. So together they keep the rate, and a flush is never
// held up by what a compaction owes. What was not used is kept for a tenth of a second.
//
// The limit must not stop the world: where somebody waits for this very work, it is lifted.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>

#include "base/clock.h"
#include "files/object_store.h"

namespace varve {

// Thread-safe.
class IoBudget {
 public:
  enum class Work : std::uint8_t { kFlush, kCompaction };
  struct Used {
    std::uint64_t bytes = 0;
    std::uint64_t waited_micros = 0;  // all threads together
  };

  // `bytes_per_second` > 0. `is_lifted` is asked by whoever is about to wait, and again within
  // kLookMicros: true lets it go on, and what it takes meanwhile is not owed. It may take locks
  // that no caller of Take holds.
  IoBudget(Clock* clock, std::uint64_t bytes_per_second, std::function<bool()> is_lifted);

  // Before so many bytes are read or written: waits until they may be. A requested `stop` ends the
  // wait within kLookMicros, and End at once, as if the time had come. It takes no processor.
  void Take(Work work, std::uint64_t bytes, const std::stop_token& stop);
  // From now on nobody waits.
  void End();
  Used used(Work work) const;

  static constexpr std::int64_t kLookMicros = 50'000;
  static constexpr std::int64_t kKeptMicros = 100'000;  // of time in which nobody took anything

 private:
  // Until when the limit makes it wait; in the past: it need not.
  std::int64_t DueAt(Work work, std::int64_t now) const;  // requires mutex_
  void Owe(Work work, std::uint64_t bytes, std::int64_t now);  // so does this
  bool AwaitTurn(Work work, const std::stop_token& stop, std::unique_lock<std::mutex>* lock);
  Used& UsedBy(Work work) { return work == Work::kFlush ? flushes_ : compactions_; }
  void WakeAll();

  Clock* const clock_;
  const double micros_per_byte_;
  const std::function<bool()> is_lifted_;
  std::atomic<std::uint32_t> changed_ = 0;  // what a wait may depend on
  mutable std::mutex mutex_;      // guards all below
  bool ended_ = false;
  int flushes_waiting_ = 0;
  std::int64_t flushes_paid_at_ = 0;  // when what flushes took is paid, by the steady clock
  std::int64_t all_paid_at_ = 0;      // and what all took
  Used flushes_, compactions_;
};

// `store` as work of that kind has it: what is read and written through it is taken off the budget.
// Both outlive it.
std::unique_ptr<ObjectStore> NewBudgetedStore(ObjectStore* store, IoBudget* budget,
                                              IoBudget::Work work, std::stop_token stop = {});

}  // namespace varve
