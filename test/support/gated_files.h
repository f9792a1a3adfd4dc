// SPDX-License-Identifier: Apache-2.0
// Files that stop at a sync when told to, and fail when told to.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "base/result.h"
#include "files/files.h"
#include "files/simulated_disk.h"
#include "test/support/forwarding_files.h"

namespace varve::testing {

// Holds the first sync that comes after Shut, until Open; others pass.
class Gate {
 public:
  void Shut() {
    std::lock_guard lock(mutex_);
    shut_ = true;
    held_ = false;
  }
  void Open() {
    std::lock_guard lock(mutex_);
    shut_ = false;
    changed_.notify_all();
  }
  void Pass() {
    std::unique_lock lock(mutex_);
    if (!shut_ || held_) return;
    held_ = true;
    changed_.notify_all();
    changed_.wait(lock, [this] { return !shut_; });
  }
  void AwaitHeld() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return held_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool shut_ = false;
  bool held_ = false;
};

inline std::unexpected<Error> Injected(const std::string& what) {
  return Fail(ErrorKind::kUnavailable, what, ErrorReason::kIo);
}

struct Faults {
  Gate gate;
  std::atomic<bool> no_sync = false;
  std::atomic<int> reads_until_failure = -1;  // one read fails; negative: none
};

class GatedFile final : public ForwardingFile {
 public:
  GatedFile(std::unique_ptr<File> file, Faults* faults)
      : ForwardingFile(std::move(file)), faults_(faults) {}
  Result<std::uint64_t> ReadAt(std::uint64_t offset, std::uint64_t size, char* into) override {
    if (faults_->reads_until_failure-- == 0) return Injected("read");
    return file()->ReadAt(offset, size, into);
  }
  Status Sync() override {
    faults_->gate.Pass();
    if (faults_->no_sync) return Injected("fsync");
    return file()->Sync();
  }

 private:
  Faults* const faults_;
};

// In memory, or those of somebody else.
class GatedFiles final : public ForwardingFiles {
 public:
  GatedFiles() : ForwardingFiles(NewMemoryFiles()) {}
  explicit GatedFiles(Files* files) : ForwardingFiles(files) {}

  Faults faults;
  Gate& gate = faults.gate;
  std::atomic<bool> no_descriptors = false;
  std::atomic<bool> no_directory_sync = false;

  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override {
    if (no_descriptors && mode == OpenMode::kCreate) return Injected("open: too many open files");
    VARVE_ASSIGN(auto file, files()->Open(path, mode));
    return std::make_unique<GatedFile>(std::move(file), &faults);
  }
  Status SyncDirectory(const std::string& path) override {
    if (no_directory_sync) return Injected("fsync of the folder");
    return files()->SyncDirectory(path);
  }
};

}  // namespace varve::testing
