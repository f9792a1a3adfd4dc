// SPDX-License-Identifier: Apache-2.0
// Included before every source that runs under the scheduler, and precompiled: from here on
// `std::atomic` is one whose operations are schedule points. So the rooms are compiled as they are,
// and know nothing of it. Mutexes and conditions need no such thing: intercepted.cc stands in for
// the functions of pthread, at link time.
//
// Every operation happens in one order that all threads agree on: a weaker memory order than
// sequential consistency is not simulated (ThreadSanitizer judges the orders). A relaxed addition
// is a count for statistics, and no point.
#pragma once

// All that names std::atomic itself.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <barrier>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <expected>
#include <filesystem>
#include <functional>
#include <future>
#include <iostream>
#include <latch>
#include <map>
#include <memory>
#include <memory_resource>
#include <mutex>
#include <optional>
#include <semaphore>
#include <shared_mutex>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "schedule_point.h"

namespace varve::testing {

// As std::atomic, as far as the rooms use it; what is missing does not compile.
template <typename T>
class ScheduledAtomic {
  using Order = std::memory_order;
  static constexpr Order kStrict = std::memory_order_seq_cst;

 public:
  static constexpr bool is_always_lock_free = std::atomic<T>::is_always_lock_free;

  constexpr ScheduledAtomic() noexcept : value_() {}
  constexpr ScheduledAtomic(T value) noexcept : value_(value) {}  // NOLINT: as std::atomic
  ScheduledAtomic(const ScheduledAtomic&) = delete;
  ScheduledAtomic& operator=(const ScheduledAtomic&) = delete;

  T load(Order = kStrict) const {
    SchedulePoint(PointKind::kLoad, this);
    return value_.load();
  }
  operator T() const { return load(); }  // NOLINT: as std::atomic
  void store(T value, Order = kStrict) {
    SchedulePoint(PointKind::kStore, this);
    value_.store(value);
    SchedulePoint(PointKind::kSwapped, this);
  }
  T operator=(T value) {
    store(value);
    return value;
  }
  T exchange(T value, Order = kStrict) {
    return Swap([&] { return value_.exchange(value); });
  }
  bool compare_exchange_weak(T& expected, T wanted, Order = kStrict, Order = kStrict) {
    return Swap([&] { return value_.compare_exchange_strong(expected, wanted); });
  }
  bool compare_exchange_strong(T& expected, T wanted, Order = kStrict, Order = kStrict) {
    return Swap([&] { return value_.compare_exchange_strong(expected, wanted); });
  }
  T fetch_add(T value, Order order = kStrict) {
    if (order == std::memory_order_relaxed) {
      auto* const count = CountOfSchedule(this);
      if (count == nullptr) return value_.fetch_add(value, order);
      return static_cast<T>(std::exchange(*count, *count + static_cast<std::uint64_t>(value)));
    }
    return Swap([&] { return value_.fetch_add(value); });
  }
  T fetch_or(T value, Order = kStrict) {
    return Swap([&] { return value_.fetch_or(value); });
  }
  T fetch_sub(T value, Order = kStrict) {
    return Swap([&] { return value_.fetch_sub(value); });
  }
  T operator+=(T value) { return fetch_add(value) + value; }
  T operator-=(T value) { return fetch_sub(value) - value; }
  T operator++() { return fetch_add(1) + 1; }
  T operator++(int) { return fetch_add(1); }
  T operator--() { return fetch_sub(1) - 1; }
  T operator--(int) { return fetch_sub(1); }

 private:
  // After a swap come plain accesses that it gave leave for: others may run before those.
  template <typename Change>
  auto Swap(const Change& change) {
    SchedulePoint(PointKind::kSwap, this);
    const auto result = change();
    SchedulePoint(PointKind::kSwapped, this);
    return result;
  }

  std::atomic<T> value_;
};
static_assert(sizeof(ScheduledAtomic<std::uint64_t>) == sizeof(std::uint64_t));

}  // namespace varve::testing

namespace std {
using varve::testing::ScheduledAtomic;
}
#define atomic ScheduledAtomic
