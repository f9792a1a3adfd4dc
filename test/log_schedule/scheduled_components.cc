// SPDX-License-Identifier: Apache-2.0
#include "test/log_schedule/scheduled_components.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/futex.h"
#include "base/result.h"

namespace varve::testing {
namespace {

class PiecewiseFile final : public ForwardingFile {
 public:
  using ForwardingFile::ForwardingFile;

  Status WriteAt(std::uint64_t offset, std::string_view bytes) override {
    VARVE_TRY(WriteOnePiece(offset, bytes));
    return file()->WriteAt(offset, bytes);
  }
  Status WriteDurably(std::uint64_t offset, std::string_view bytes) override {
    VARVE_TRY(WriteOnePiece(offset, bytes));
    return file()->WriteDurably(offset, bytes);
  }
  Status UseSyncMethod(SyncMethod method) override { return file()->UseSyncMethod(method); }

 private:
  // Any part of what is to be written. A file that exists has its size before it is written to, as
  // the log makes them: so a piece never makes one longer than the whole would.
  Status WriteOnePiece(std::uint64_t offset, std::string_view bytes) {
    auto* const scheduler = Scheduler::Current();
    if (scheduler == nullptr || bytes.size() < 2 || scheduler->chooser().OneIn(2)) return {};
    const auto cut = 1 + scheduler->chooser().Below(bytes.size() - 1);
    const bool front = scheduler->chooser().OneIn(2);
    const auto piece = front ? bytes.substr(0, cut) : bytes.substr(cut);
    VARVE_TRY(file()->WriteAt(front ? offset : offset + cut, piece));
    scheduler->Point(PointKind::kFile, this);
    return {};
  }
};

}  // namespace

std::int64_t ScheduledClock::SteadyMicros() {
  auto* const scheduler = Scheduler::Current();
  return scheduler == nullptr ? 0 : scheduler->Tick();
}

void ScheduledClock::WaitWord(const std::atomic<std::uint32_t>& word, std::uint32_t seen,
                              std::int64_t micros) {
  if (micros > 0) FutexWait(word, seen, micros);
}

ScheduledExecutor::ScheduledExecutor(Scheduler* scheduler, int threads) : scheduler_(scheduler) {
  for (int i = 0; i < threads; ++i) {
    threads_.push_back(scheduler->Start(fmt::format("executor {}", i), [this] { Work(); }));
  }
}

void ScheduledExecutor::Submit(Task task) {
  scheduler_->Point(PointKind::kTask, this);
  queue_.push_back(std::move(task));
  scheduler_->Wake(this, 1);
  scheduler_->Point(PointKind::kTask, this);
}

void ScheduledExecutor::SubmitAfter(std::int64_t micros, Task task) {
  scheduler_->Point(PointKind::kTask, this);
  later_.emplace(scheduler_->now() + micros, std::move(task));
  scheduler_->Wake(this);
}

bool ScheduledExecutor::RunOne() {
  if (queue_.empty()) return false;
  const auto task = std::move(queue_.front());
  queue_.pop_front();
  task();
  return true;
}

void ScheduledExecutor::Work() {
  while (true) {
    scheduler_->Point(PointKind::kTask, this);
    if (!later_.empty() && later_.begin()->first <= scheduler_->now()) {
      queue_.push_back(std::move(later_.begin()->second));
      later_.erase(later_.begin());
    }
    if (RunOne()) continue;
    if (stopping_) return;
    std::optional<std::int64_t> due;
    if (!later_.empty()) due = later_.begin()->first - scheduler_->now();
    scheduler_->Wait(PointKind::kTask, this, due);
  }
}

void ScheduledExecutor::Stop() {
  stopping_ = true;
  scheduler_->Wake(this);
  for (const int thread : std::exchange(threads_, {})) scheduler_->Join(thread);
  later_.clear();
  queue_.clear();
}

Result<std::unique_ptr<File>> PiecewiseFiles::Open(const std::string& path, OpenMode mode) {
  VARVE_ASSIGN(auto file, files()->Open(path, mode));
  return std::make_unique<PiecewiseFile>(std::move(file));
}

}  // namespace varve::testing
