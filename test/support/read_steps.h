// SPDX-License-Identifier: Apache-2.0
// Files in memory that do something amid a read of Parquet.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "base/result.h"
#include "files/simulated_disk.h"
#include "test/support/forwarding_files.h"

namespace varve::testing {

class ReadSteps final : public ForwardingFiles {
 public:
  ReadSteps() : ForwardingFiles(NewMemoryFiles()) {}

  // At the `nth` read of a run's data from now on, counted from 1, `step` is called, once.
  void At(int nth, std::function<void()> step) {
    left_ = nth;
    step_ = std::move(step);
  }
  // Whether it was called; if not, it is no more.
  bool Came() { return !std::exchange(step_, nullptr); }

  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override {
    VARVE_ASSIGN(auto file, files()->Open(path, mode));
    if (mode != OpenMode::kRead || !path.ends_with(".parquet")) return file;
    return std::make_unique<Read>(std::move(file), this);
  }

 private:
  class Read final : public ForwardingFile {
   public:
    Read(std::unique_ptr<File> file, ReadSteps* steps)
        : ForwardingFile(std::move(file)), steps_(steps) {}
    Result<std::uint64_t> ReadAt(std::uint64_t offset, std::uint64_t size, char* into) override {
      if (steps_->step_ && --steps_->left_ == 0) std::exchange(steps_->step_, nullptr)();
      return file()->ReadAt(offset, size, into);
    }

   private:
    ReadSteps* const steps_;
  };

  int left_ = 0;
  std::function<void()> step_;
};

}  // namespace varve::testing
