// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

namespace varve::testing {

// Calls `run(i)` once for each i < count, in several threads; returns when all is done.
template <typename Run>
void InThreads(int threads, std::uint64_t count, const Run& run) {
  std::atomic<std::uint64_t> next = 0;
  std::vector<std::thread> workers;
  for (int t = 0; t < threads; ++t) {
    workers.emplace_back([&] {
      for (auto i = next++; i < count; i = next++) run(i);
    });
  }
  for (auto& worker : workers) worker.join();
}

}  // namespace varve::testing
