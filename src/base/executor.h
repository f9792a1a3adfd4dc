// SPDX-License-Identifier: Apache-2.0
// Background threads, injected. A task is a function that must not throw and must not wait for
// another task; whoever must wait for a task calls RunOne meanwhile, so that a program with one
// thread (a simulation) makes progress too.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

namespace varve {

// Thread-safe.
class Executor {
 public:
  using Task = std::function<void()>;
  virtual ~Executor() = default;
  virtual void Submit(Task task) = 0;
  // Runs the task once `micros` have passed. One that is not due when the executor ends never runs.
  virtual void SubmitAfter(std::int64_t micros, Task task) = 0;
  // Runs one waiting task in the calling thread; false when none waits.
  virtual bool RunOne() = 0;
};

// A fixed number of threads over one queue; what is due comes first. The destructor runs what was
// submitted, then joins.
class ThreadPool final : public Executor {
 public:
  // Fewer threads when no more can be made; throws (std::system_error, std::bad_alloc) when it is
  // not even one.
  // kBackground: where processors lack, other threads of the process come first.
  enum class Priority : std::uint8_t { kNormal, kBackground };
  explicit ThreadPool(int threads, Priority priority = Priority::kNormal);
  ~ThreadPool() override;
  void Submit(Task task) override;
  void SubmitAfter(std::int64_t micros, Task task) override;
  bool RunOne() override;

 private:
  using Time = std::chrono::steady_clock::time_point;

  void Work();
  bool Next(std::unique_lock<std::mutex>* lock, Task* task);
  std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<Task> queue_;  // guarded by mutex_
  std::multimap<Time, Task> later_;  // guarded by mutex_
  const Priority priority_;
  bool stopping_ = false;   // guarded by mutex_
  std::vector<std::thread> threads_;
};

// Runs nothing by itself: tasks run when a test, or somebody who waits, calls RunOne.
class ManualExecutor final : public Executor {
 public:
  void Submit(Task task) override;
  void SubmitAfter(std::int64_t micros, Task task) override;
  // What was submitted for later, whatever its time: run by RunLater, not by RunOne.
  bool RunLater();
  bool RunOne() override;
  std::size_t waiting() {
    std::lock_guard lock(mutex_);
    return queue_.size();
  }
  void RunAll() {
    while (RunOne()) {
    }
  }

 private:
  std::mutex mutex_;
  std::deque<Task> queue_;  // guarded by mutex_
  std::deque<Task> later_;  // guarded by mutex_
};

}  // namespace varve
