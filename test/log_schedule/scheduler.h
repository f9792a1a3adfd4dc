// SPDX-License-Identifier: Apache-2.0
// Real threads, of which exactly one runs: it holds the baton. At every schedule point a chooser,
// from a seed, decides who holds it next. A thread that waits (mutex, condition, futex, time) is
// known to wait, so that "nobody can run" is seen at once and named: a deadlock or a lost wake-up.
// Time is virtual: it moves when nobody can run, and at a choice of the chooser.
//
// Because one thread runs at a time, nothing in here needs a lock, nor does what a test notes. The
// same seed gives the same schedule, and the same schedule the same bytes on the disk.
//
// What fails a schedule inside it cannot be unwound (threads stand where they wait), so it ends the
// process, after it said how to replay it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "test/log_schedule/chooser.h"
#include "test/log_schedule/schedule_point.h"

namespace varve::testing {

class Scheduler {
 public:
  using Body = std::function<void()>;

  // `replay`: a line for people who want to see a failure again.
  Scheduler(std::uint64_t seed, std::string replay);
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  // Runs `body` as the first thread, in one schedule, until it and all that it started have ended.
  void Run(Body body);
  // The schedule of the calling thread; null when it belongs to none.
  static Scheduler* Current();

  // The rest: threads of the schedule. A thread that was started must be joined.
  int Start(std::string name, Body body);
  void Join(int thread);
  void Point(PointKind kind, const volatile void* object);
  // Waits until Wake(object), or until `micros` have passed; false: they have.
  bool Wait(PointKind kind, const volatile void* object, std::optional<std::int64_t> micros = {});
  // At most `most` of those who wait for it, in any order.
  void Wake(const volatile void* object, std::uint64_t most = ~0ull);
  // A mutex that only this schedule knows, by its address.
  void Lock(const volatile void* mutex);
  bool TryLock(const volatile void* mutex);
  void Unlock(const volatile void* mutex);
  std::int64_t now() const { return now_; }
  // A clock's question for the time moves it a little.
  std::int64_t Tick() { return now_++; }
  Chooser& chooser() { return chooser_; }
  // See CountOfSchedule.
  std::uint64_t* CountOf(const volatile void* object) { return &counts_[object]; }
  // From here on it is counted what threads swap and lock; then: how often two of them swapped or
  // locked what both did.
  void CountTouches() { touches_.emplace(); }
  std::uint64_t TouchesShared(int one, int other) const;
  // Says what is wrong and how to replay it, and ends the process.
  [[noreturn]] void Fail(const std::string& what) const;

  const std::string& replay() const { return replay_; }
  std::uint64_t steps() const { return steps_; }
  // Equal for equal schedules.
  std::uint64_t fingerprint() const { return fingerprint_; }

  // While it lives the calling thread runs on through all points, unless it has to wait.
  class Undisturbed {
   public:
    Undisturbed();
    ~Undisturbed();
    Undisturbed(const Undisturbed&) = delete;
    Undisturbed& operator=(const Undisturbed&) = delete;
  };

 private:
  struct Thread;
  void Enter(Thread* thread);
  void PassOn(bool yields);
  Thread* Next(bool yields);
  bool EndAWait();
  void WakeThoseInTime();
  void HandTo(Thread* next);
  std::string Describe() const;

  static constexpr std::uint64_t kStepsMax = 2'000'000;
  static constexpr int kLoadsOfASpin = 48;

  const std::string replay_;
  Chooser chooser_;
  std::vector<std::unique_ptr<Thread>> threads_;
  Thread* running_ = nullptr;
  std::unordered_map<const volatile void*, Thread*> owners_;  // of mutexes
  std::unordered_map<const volatile void*, std::uint64_t> counts_;
  // Of an object: how often each thread swapped or locked it.
  using Touches = std::unordered_map<int, std::uint64_t>;
  std::optional<std::unordered_map<const volatile void*, Touches>> touches_;
  std::vector<int> ready_;  // used again by Next
  std::int64_t now_ = 1'000'000;
  std::uint64_t steps_ = 0;
  std::uint64_t fingerprint_ = 14695981039346656037ull;
  std::uint32_t ended_ = 0;  // a futex word: of Run
};

}  // namespace varve::testing
