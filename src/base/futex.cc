// SPDX-License-Identifier: Apache-2.0
#include "base/futex.h"

#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <climits>

namespace varve {
namespace {

static_assert(sizeof(std::atomic<std::uint32_t>) == sizeof(std::uint32_t));

void Wake(const std::atomic<std::uint32_t>& word, int waiters) {
  ::syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, waiters, nullptr, nullptr, 0);
}

}  // namespace

void FutexWait(const std::atomic<std::uint32_t>& word, std::uint32_t seen,
               std::optional<std::int64_t> micros) {
  timespec limit{};
  if (micros) {
    limit.tv_sec = *micros / 1'000'000;
    limit.tv_nsec = *micros % 1'000'000 * 1000;
  }
  ::syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, seen, micros ? &limit : nullptr, nullptr, 0);
}

void FutexWakeOne(const std::atomic<std::uint32_t>& word) { Wake(word, 1); }
void FutexWakeAll(const std::atomic<std::uint32_t>& word) { Wake(word, INT_MAX); }

std::uint32_t FewSleepers() { return 24; }

std::size_t ProcessorOfThisThread() {
  const int processor = ::sched_getcpu();
  return processor < 0 ? 0 : static_cast<std::size_t>(processor);
}

std::size_t Processors() {
  static const long processors = ::sysconf(_SC_NPROCESSORS_ONLN);
  return processors < 1 ? 1 : static_cast<std::size_t>(processors);
}

}  // namespace varve
