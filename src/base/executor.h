// SPDX-License-Identifier: Apache-2.0
// Background threads, injected. A task is a function that must not throw and must not wait for
// another task; whoever must wait for a task calls RunOne meanwhile, so that a program with one
// thread (a simulation) makes progress too.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
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
  // Runs one waiting task in the calling thread; false when none waits.
  virtual bool RunOne() = 0;
};

// A fixed number of threads over one queue. The destructor runs what was submitted, then joins.
class ThreadPool final : public Executor {
 public:
  explicit ThreadPool(int threads);
  ~ThreadPool() override;
  void Submit(Task task) override;
  bool RunOne() override;

 private:
  void Work();
  std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<Task> queue_;  // guarded by mutex_
  bool stopping_ = false;   // guarded by mutex_
  std::vector<std::thread> threads_;
};

// Runs nothing by itself: tasks run when a test, or somebody who waits, calls RunOne.
class ManualExecutor final : public Executor {
 public:
  void Submit(Task task) override;
  bool RunOne() override;
  void RunAll() {
    while (RunOne()) {
    }
  }

 private:
  std::mutex mutex_;
  std::deque<Task> queue_;  // guarded by mutex_
};

}  // namespace varve
