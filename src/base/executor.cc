// SPDX-License-Identifier: Apache-2.0
#include "base/executor.h"

#include <utility>

namespace varve {
namespace {

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

ThreadPool::ThreadPool(int threads) {
  for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { Work(); });
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

void ThreadPool::Work() {
  while (true) {
    {
      std::unique_lock lock(mutex_);
      ready_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
      if (queue_.empty()) return;
    }
    PopAndRun(&mutex_, &queue_);
  }
}

void ManualExecutor::Submit(Task task) {
  std::lock_guard lock(mutex_);
  queue_.push_back(std::move(task));
}

bool ManualExecutor::RunOne() { return PopAndRun(&mutex_, &queue_); }

}  // namespace varve
