// SPDX-License-Identifier: Apache-2.0
#include "test/log_schedule/scheduler.h"

#include <fmt/format.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <thread>
#include <utility>

namespace varve::testing {
namespace {

constexpr const char* kPointNames[] = {
    "starts", "load", "store", "swap", "after a swap", "lock", "after an unlock", "condition wait",
    "condition notify", "futex wait", "futex wake", "yield", "file", "task", "join", "step"};

// The word is 0 until somebody posts; real threads, the real futex.
void Post(std::uint32_t* word) {
  __atomic_store_n(word, 1, __ATOMIC_RELEASE);
  ::syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
}

void AwaitPost(std::uint32_t* word) {
  while (__atomic_exchange_n(word, 0, __ATOMIC_ACQUIRE) == 0) {
    ::syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, 0, nullptr, nullptr, 0);
  }
}

}  // namespace

const char* ToString(PointKind kind) { return kPointNames[static_cast<int>(kind)]; }

struct Scheduler::Thread {
  int id = 0;
  std::string name;
  Scheduler* scheduler = nullptr;
  bool done = false;
  const volatile void* waits_for = nullptr;
  std::optional<std::int64_t> deadline;  // of a wait
  bool timed_out = false;
  PointKind last = PointKind::kStart;
  const volatile void* object = nullptr;
  int loads_in_a_row = 0;
  int undisturbed = 0;
  std::uint32_t baton = 0;
  std::thread os;

  bool ready() const { return !done && waits_for == nullptr; }
};

namespace {
thread_local Scheduler* current = nullptr;
}

Scheduler::Scheduler(std::uint64_t seed, std::string replay)
    : replay_(std::move(replay)), chooser_(seed) {}
Scheduler::~Scheduler() = default;

Scheduler* Scheduler::Current() { return current; }

void Scheduler::Run(Body body) {
  Start("body", std::move(body));
  HandTo(threads_.front().get());
  AwaitPost(&ended_);
  for (auto& thread : threads_) thread->os.join();
}

int Scheduler::Start(std::string name, Body body) {
  auto* const thread = threads_.emplace_back(std::make_unique<Thread>()).get();
  thread->id = static_cast<int>(threads_.size()) - 1;
  thread->name = std::move(name);
  thread->scheduler = this;
  chooser_.AddThread();
  thread->os = std::thread([this, thread, run = std::move(body)]() mutable {
    AwaitPost(&thread->baton);
    current = this;
    run();
    run = nullptr;
    thread->done = true;
    Wake(thread);
    current = nullptr;  // what runs when a thread ends is no part of the schedule
    for (const auto& other : threads_) {
      if (!other->done) return HandTo(Next(false));
    }
    Post(&ended_);
  });
  if (current != nullptr) Point(PointKind::kStart, thread);
  return thread->id;
}

void Scheduler::Join(int thread) {
  const auto* const joined = threads_[static_cast<std::size_t>(thread)].get();
  Point(PointKind::kJoin, joined);
  while (!joined->done) Wait(PointKind::kJoin, joined);
}

void Scheduler::Point(PointKind kind, const volatile void* object) {
  auto* const me = running_;
  me->last = kind;
  me->object = object;
  me->loads_in_a_row = kind == PointKind::kLoad ? me->loads_in_a_row + 1 : 0;
  const bool touches = kind == PointKind::kSwap || kind == PointKind::kLock;
  if (touches_ && touches) ++(*touches_)[object][me->id];
  if (me->undisturbed > 0) return;
  if (++steps_ > kStepsMax) Fail("the schedule does not end");
  const bool spins = me->loads_in_a_row > kLoadsOfASpin;
  if (spins) me->loads_in_a_row = 0;
  PassOn(spins || kind == PointKind::kYield);
}

std::uint64_t Scheduler::TouchesShared(int one, int other) const {
  std::uint64_t times = 0;
  for (const auto& [object, touches] : *touches_) {
    const auto mine = touches.find(one), theirs = touches.find(other);
    if (mine != touches.end() && theirs != touches.end()) times += mine->second + theirs->second;
  }
  return times;
}

void Scheduler::PassOn(bool yields) {
  if (chooser_.TimePasses()) EndAWait();
  auto* const me = running_;
  auto* const next = Next(yields);
  fingerprint_ = (fingerprint_ ^ static_cast<std::uint64_t>(next->id)) * 1099511628211ull;
  if (next == me) return;
  HandTo(next);
  AwaitPost(&me->baton);
}

void Scheduler::HandTo(Thread* next) {
  running_ = next;
  Post(&next->baton);
}

Scheduler::Thread* Scheduler::Next(bool yields) {
  WakeThoseInTime();
  while (true) {
    ready_.clear();
    for (const auto& thread : threads_) {
      if (thread->ready()) ready_.push_back(thread->id);
    }
    if (!ready_.empty()) break;
    if (!EndAWait()) Fail("nobody can run: a deadlock, or a wake-up that was lost");
  }
  const auto picked = chooser_.Pick(ready_, running_->id, yields);
  return threads_[static_cast<std::size_t>(picked)].get();
}

// Time goes on to the earliest deadline; false when nobody has one.
bool Scheduler::EndAWait() {
  std::optional<std::int64_t> earliest;
  for (const auto& thread : threads_) {
    if (!thread->deadline) continue;
    earliest = std::min(earliest.value_or(*thread->deadline), *thread->deadline);
  }
  if (!earliest) return false;
  now_ = std::max(now_, *earliest);
  WakeThoseInTime();
  return true;
}

void Scheduler::WakeThoseInTime() {
  for (const auto& thread : threads_) {
    if (!thread->deadline || *thread->deadline > now_) continue;
    thread->deadline.reset();
    thread->waits_for = nullptr;
    thread->timed_out = true;
  }
}

bool Scheduler::Wait(PointKind kind, const volatile void* object,
                     std::optional<std::int64_t> micros) {
  auto* const me = running_;
  me->last = kind;
  me->object = object;
  me->waits_for = object;
  me->timed_out = false;
  if (micros) me->deadline = now_ + std::max<std::int64_t>(*micros, 0);
  PassOn(false);
  return !me->timed_out;
}

void Scheduler::Wake(const volatile void* object, std::uint64_t most) {
  std::vector<Thread*> waiters;
  for (const auto& thread : threads_) {
    if (thread->waits_for == object) waiters.push_back(thread.get());
  }
  for (; most > 0 && !waiters.empty(); --most) {
    const auto i = chooser_.Below(waiters.size());
    waiters[i]->waits_for = nullptr;
    waiters[i]->deadline.reset();
    waiters.erase(waiters.begin() + static_cast<std::ptrdiff_t>(i));
  }
}

void Scheduler::Lock(const volatile void* mutex) {
  Point(PointKind::kLock, mutex);
  while (!owners_.try_emplace(mutex, running_).second) Wait(PointKind::kLock, mutex);
}

bool Scheduler::TryLock(const volatile void* mutex) {
  Point(PointKind::kLock, mutex);
  return owners_.try_emplace(mutex, running_).second;
}

void Scheduler::Unlock(const volatile void* mutex) {
  const auto owner = owners_.find(mutex);
  if (owner == owners_.end() || owner->second != running_) {
    Fail("a mutex is unlocked by who does not hold it");
  }
  owners_.erase(owner);
  Wake(mutex);
}

Scheduler::Undisturbed::Undisturbed() { ++current->running_->undisturbed; }
Scheduler::Undisturbed::~Undisturbed() { --current->running_->undisturbed; }

std::string Scheduler::Describe() const {
  std::string text;
  for (const auto& thread : threads_) {
    const char* state = thread->done                   ? "ended"
                        : thread->waits_for != nullptr ? "waits"
                        : thread.get() == running_     ? "runs"
                                                       : "could run";
    text += fmt::format("  thread {} ({}) {}, last point: {} of {}\n", thread->id, thread->name,
                        state, ToString(thread->last),
                        const_cast<const void*>(thread->object));
  }
  return text;
}

void Scheduler::Fail(const std::string& what) const {
  std::fprintf(stderr, "%s, after %llu steps\n%s%s\n", what.c_str(),
               static_cast<unsigned long long>(steps_), Describe().c_str(), replay_.c_str());
  std::fflush(nullptr);
  std::_Exit(1);
}

}  // namespace varve::testing
