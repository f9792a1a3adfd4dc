// SPDX-License-Identifier: Apache-2.0
// Work that a task does ahead of whoever will want its result.
//
// Nobody waits for a task that has not begun: whoever wants the result takes the work back and does
// it. So a busy executor, or one that runs nothing, costs no time.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "base/executor.h"
#include "base/out_of_memory.h"
#include "varve/error.h"

namespace varve {

// For one caller at a time. What the work uses must live until Take or the destructor is through.
template <typename T>
class Ahead {
 public:
  using Work = std::function<Result<T>()>;

  explicit Ahead(Executor* executor) : executor_(executor), state_(std::make_shared<State>()) {}
  Ahead(const Ahead&) = delete;
  Ahead& operator=(const Ahead&) = delete;
  // Waits for a task that works at this moment; one that has not begun finds nothing to do.
  ~Ahead() { (void)Take(); }

  // Asks for the work. False: nothing was asked for, as there is one that nobody took.
  bool Ask(Work work) {
    {
      const std::lock_guard lock(state_->mutex);
      if (state_->phase != Phase::kIdle) return false;
      state_->phase = Phase::kAsked;
      state_->work = std::move(work);
    }
    if (!HadMemory([this] { executor_->Submit([state = state_] { state->Run(); }); })) {
      (void)Take();
    }
    return true;
  }

  // What the task made of it, waiting for one that works at this moment. Nothing when no task has
  // begun to: then the caller does the work, and the next Ask asks anew.
  std::optional<Result<T>> Take() {
    std::unique_lock lock(state_->mutex);
    state_->ended.wait(lock, [this] { return state_->phase != Phase::kWorking; });
    state_->phase = Phase::kIdle;
    state_->work = nullptr;
    return std::exchange(state_->done, {});
  }

 private:
  enum class Phase : std::uint8_t { kIdle, kAsked, kWorking, kDone };
  // Shared with the task, which may come late: then what it keeps alive is an empty state.
  struct State {
    void Run() {
      std::unique_lock lock(mutex);
      if (phase != Phase::kAsked) return;
      phase = Phase::kWorking;
      lock.unlock();
      auto result = OrOutOfMemory(work);
      lock.lock();
      done = std::move(result);
      phase = Phase::kDone;
      ended.notify_all();
    }

    std::mutex mutex;
    std::condition_variable ended;
    Phase phase = Phase::kIdle;     // guarded by mutex
    Work work;                      // guarded by mutex, but constant while a task works
    std::optional<Result<T>> done;  // guarded by mutex
  };

  Executor* const executor_;
  const std::shared_ptr<State> state_;
};

}  // namespace varve
