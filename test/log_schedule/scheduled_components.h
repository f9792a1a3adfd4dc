// SPDX-License-Identifier: Apache-2.0
// Clock, executor and files of a log that runs in a schedule.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/executor.h"
#include "files/files.h"
#include "files/simulated_disk.h"
#include "test/log_schedule/scheduler.h"
#include "test/support/forwarding_files.h"

namespace varve::testing {

// The schedule's time. For threads of no schedule it stands still.
class ScheduledClock final : public Clock {
 public:
  WallTime Now() override { return {SteadyMicros()}; }
  std::int64_t SteadyMicros() override;
  void WaitWord(const std::atomic<std::uint32_t>& word, std::uint32_t seen,
                std::int64_t micros) override;
};

// As ThreadPool, with threads of the schedule.
class ScheduledExecutor final : public Executor {
 public:
  ScheduledExecutor(Scheduler* scheduler, int threads);
  void Submit(Task task) override;
  void SubmitAfter(std::int64_t micros, Task task) override;
  bool RunOne() override;
  // Runs what was submitted, but nothing that is not due, and ends the threads.
  void Stop();

 private:
  void Work();

  Scheduler* const scheduler_;
  std::deque<Task> queue_;
  std::multimap<std::int64_t, Task> later_;  // by the time at which they are due
  bool stopping_ = false;
  std::vector<int> threads_;
};

// The disk, where a write shows in two pieces, in either order: others may look in between.
class PiecewiseFiles final : public ForwardingFiles {
 public:
  explicit PiecewiseFiles(SimulatedDisk* disk) : ForwardingFiles(disk) {}
  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override;
};

}  // namespace varve::testing
