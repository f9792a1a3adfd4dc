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
class PiecewiseFiles final : public Files {
 public:
  explicit PiecewiseFiles(SimulatedDisk* disk) : disk_(disk) {}

  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override;
  Result<FileInfo> Info(const std::string& path) override { return disk_->Info(path); }
  Result<std::vector<FileInfo>> List(const std::string& directory) override {
    return disk_->List(directory);
  }
  Status CreateDirectories(const std::string& directory) override {
    return disk_->CreateDirectories(directory);
  }
  Status Rename(const std::string& from, const std::string& to) override {
    return disk_->Rename(from, to);
  }
  Status Link(const std::string& from, const std::string& to) override {
    return disk_->Link(from, to);
  }
  Status Remove(const std::string& path) override { return disk_->Remove(path); }
  Status SyncDirectory(const std::string& directory) override {
    return disk_->SyncDirectory(directory);
  }
  Result<std::unique_ptr<FileLock>> Lock(const std::string& path, LockMode mode) override {
    return disk_->Lock(path, mode);
  }

 private:
  SimulatedDisk* const disk_;
};

}  // namespace varve::testing
