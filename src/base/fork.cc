// SPDX-License-Identifier: Apache-2.0
#include "base/fork.h"

#include <pthread.h>

#include <atomic>

namespace varve {
namespace {

std::atomic<std::uint64_t> generation = 0;

int CountForks() {
  return ::pthread_atfork(nullptr, nullptr,
                          [] { generation.fetch_add(1, std::memory_order_relaxed); });
}

}  // namespace

std::uint64_t ForkGeneration() {
  static const int counting = CountForks();
  (void)counting;
  return generation.load(std::memory_order_relaxed);
}

}  // namespace varve
