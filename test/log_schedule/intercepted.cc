// SPDX-License-Identifier: Apache-2.0
// What the rooms call to wait and to wake, for threads of a schedule: base/futex.h, which this
// program links instead of base/futex.cc, and the functions of pthread under std::mutex and
// std::condition_variable, which a program may define before the C library does. Threads of no
// schedule get the real ones.
#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/futex.h"
#include "test/log_schedule/schedule_point.h"
#include "test/log_schedule/scheduler.h"

namespace varve {

using testing::PointKind;
using testing::Scheduler;

void testing::SchedulePoint(PointKind kind, const volatile void* object) {
  if (auto* const scheduler = Scheduler::Current()) scheduler->Point(kind, object);
}

extern "C" {
extern const char __executable_start;  // of the linker
extern const char _end;
}

std::uint64_t* testing::CountOfSchedule(const volatile void* object) {
  const auto* const at = static_cast<const volatile char*>(object);
  auto* const scheduler = Scheduler::Current();
  if (scheduler == nullptr || at < &__executable_start || at >= &_end) return nullptr;
  return scheduler->CountOf(object);
}

void FutexWait(const std::atomic<std::uint32_t>& word, std::uint32_t seen,
               std::optional<std::int64_t> micros) {
  auto* const scheduler = Scheduler::Current();
  if (scheduler == nullptr) return;  // "for no reason at all"
  scheduler->Point(PointKind::kFutexWait, &word);
  const Scheduler::Undisturbed looks;
  if (word.load() != seen || scheduler->chooser().WakesForNothing()) return;
  scheduler->Wait(PointKind::kFutexWait, &word, micros);
}

namespace {

void FutexWake(const std::atomic<std::uint32_t>& word, std::uint64_t most) {
  auto* const scheduler = Scheduler::Current();
  if (scheduler == nullptr) return;
  scheduler->Point(PointKind::kFutexWake, &word);
  scheduler->Wake(&word, most);
}

}  // namespace

void FutexWakeOne(const std::atomic<std::uint32_t>& word) { FutexWake(word, 1); }
void FutexWakeAll(const std::atomic<std::uint32_t>& word) { FutexWake(word, ~0ull); }

// Threads move between a few processors as the seed says.
std::uint32_t FewSleepers() { return 1; }  // so that they wake one another

std::size_t Processors() { return 3; }

std::size_t ProcessorOfThisThread() {
  auto* const scheduler = Scheduler::Current();
  return scheduler == nullptr ? 0 : scheduler->chooser().Below(Processors());
}

}  // namespace varve

namespace {

using varve::testing::PointKind;
using varve::testing::Scheduler;

// The function of the C library.
template <typename Function>
Function* Real(Function*, const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

void Notify(pthread_cond_t* condition, std::uint64_t most) {
  Scheduler::Current()->Point(PointKind::kCondNotify, condition);
  Scheduler::Current()->Wake(condition, most);
}

}  // namespace

extern "C" {

int pthread_mutex_lock(pthread_mutex_t* mutex) noexcept {
  static const auto real = Real(&pthread_mutex_lock, "pthread_mutex_lock");
  auto* const scheduler = Scheduler::Current();
  if (scheduler == nullptr) return real(mutex);
  scheduler->Lock(mutex);
  return 0;
}

int pthread_mutex_trylock(pthread_mutex_t* mutex) noexcept {
  static const auto real = Real(&pthread_mutex_trylock, "pthread_mutex_trylock");
  auto* const scheduler = Scheduler::Current();
  if (scheduler == nullptr) return real(mutex);
  return scheduler->TryLock(mutex) ? 0 : EBUSY;
}

int pthread_mutex_unlock(pthread_mutex_t* mutex) noexcept {
  static const auto real = Real(&pthread_mutex_unlock, "pthread_mutex_unlock");
  auto* const scheduler = Scheduler::Current();
  if (scheduler == nullptr) return real(mutex);
  scheduler->Unlock(mutex);
  scheduler->Point(PointKind::kUnlocked, mutex);
  return 0;
}

int pthread_cond_wait(pthread_cond_t* condition, pthread_mutex_t* mutex) {
  static const auto real = Real(&pthread_cond_wait, "pthread_cond_wait");
  auto* const scheduler = Scheduler::Current();
  if (scheduler == nullptr) return real(condition, mutex);
  scheduler->Point(PointKind::kCondWait, condition);
  scheduler->Unlock(mutex);
  if (!scheduler->chooser().WakesForNothing()) scheduler->Wait(PointKind::kCondWait, condition);
  scheduler->Lock(mutex);
  return 0;
}

int pthread_cond_clockwait(pthread_cond_t* condition, pthread_mutex_t* mutex, clockid_t clock,
                           const timespec* until) {
  static const auto real = Real(&pthread_cond_clockwait, "pthread_cond_clockwait");
  auto* const scheduler = Scheduler::Current();
  if (scheduler == nullptr) return real(condition, mutex, clock, until);
  scheduler->Fail("a thread of a schedule waits for the real time: give it the schedule's clock");
}

int pthread_cond_signal(pthread_cond_t* condition) noexcept {
  static const auto real = Real(&pthread_cond_signal, "pthread_cond_signal");
  if (Scheduler::Current() == nullptr) return real(condition);
  Notify(condition, 1);
  return 0;
}

int pthread_cond_broadcast(pthread_cond_t* condition) noexcept {
  static const auto real = Real(&pthread_cond_broadcast, "pthread_cond_broadcast");
  if (Scheduler::Current() == nullptr) return real(condition);
  Notify(condition, ~0ull);
  return 0;
}

int sched_yield() noexcept {
  static const auto real = Real(&sched_yield, "sched_yield");
  auto* const scheduler = Scheduler::Current();
  if (scheduler == nullptr) return real();
  scheduler->Point(PointKind::kYield, nullptr);
  return 0;
}

}  // extern "C"

// What is freed is overwritten: a task that uses a log which is gone does not get away with it.
void operator delete(void* freed) noexcept { std::free(freed); }
void operator delete(void* freed, std::size_t size) noexcept {
  if (freed == nullptr) return;
  std::memset(freed, 0xa5, size);
  asm volatile("" : : "r"(freed) : "memory");  // or the compiler drops it
  std::free(freed);
}
