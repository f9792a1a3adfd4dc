// SPDX-License-Identifier: Apache-2.0
#include "base/executor.h"

#include <sys/resource.h>

#include <exception>
#include <utility>

namespace varve {
namespace {

// A third of what other threads get, where processors lack.
constexpr int kBackgroundNice = 5;

// Of this thread alone; not above that of a process which has less. A system that does not allow it
// leaves it as it is.
void LowerPriority() {
  const int now = getpriority(PRIO_PROCESS, 0);
  if (now < kBackgroundNice) (void)setpriority(PRIO_PROCESS, 0, kBackgroundNice);
}

bool PopAndRun(std::mutex* mutex, std::deque<Executor::Task>* queue) {
  Executor::Task task;
  {
    std::lock_guard lock(*mutex);
    if (queue->empty()) return false;
    task = std::move(queue->front());
    queue->pop_front();
  }
  task();
  return true;
}

}  // namespace

ThreadPool::ThreadPool(int threads, Priority priority) : priority_(priority) {
  threads_.reserve(static_cast<std::size_t>(threads));
  try {
    while (threads_.size() < static_cast<std::size_t>(threads)) {
      threads_.emplace_back([this] { Work(); });
    }
  } catch (const std::exception&) {  // no memory for it, or too many threads already
    if (threads_.empty()) throw;
  }
}

ThreadPool::~ThreadPool() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  ready_.notify_all();
  for (auto& thread : threads_) thread.join();
}

void ThreadPool::Submit(Task task) {
  {
    std::lock_guard lock(mutex_);
    queue_.push_back(std::move(task));
  }
  ready_.notify_one();
}

bool ThreadPool::RunOne() { return PopAndRun(&mutex_, &queue_); }

void ThreadPool::SubmitAfter(std::int64_t micros, Task task) {
  {
    std::lock_guard lock(mutex_);
    later_.emplace(std::chrono::steady_clock::now() + std::chrono::microseconds(micros),
                   std::move(task));
  }
  ready_.notify_one();
}

// The next task that may run; false when there will be none.
bool ThreadPool::Next(std::unique_lock<std::mutex>* lock, Task* task) {
  while (true) {
    if (!later_.empty() && later_.begin()->first <= std::chrono::steady_clock::now()) {
      *task = std::move(later_.begin()->second);
      later_.erase(later_.begin());
      return true;
    }
    if (!queue_.empty()) {
      *task = std::move(queue_.front());
      queue_.pop_front();
      return true;
    }
    if (stopping_) return false;
    if (later_.empty()) {
      ready_.wait(*lock);
    } else {
      const auto due = later_.begin()->first;
      ready_.wait_until(*lock, due);
    }
  }
}

void ThreadPool::Work() {
  if (priority_ == Priority::kBackground) LowerPriority();
  Task task;
  std::unique_lock lock(mutex_);
  while (Next(&lock, &task)) {
    lock.unlock();
    task();
    task = nullptr;  // what it holds is let go before the next wait
    lock.lock();
  }
}

void ManualExecutor::Submit(Task task) {
  std::lock_guard lock(mutex_);
  queue_.push_back(std::move(task));
}

void ManualExecutor::SubmitAfter(std::int64_t, Task task) {
  std::lock_guard lock(mutex_);
  later_.push_back(std::move(task));
}

bool ManualExecutor::RunLater() { return PopAndRun(&mutex_, &later_); }

bool ManualExecutor::RunOne() { return PopAndRun(&mutex_, &queue_); }

}  // namespace varve
