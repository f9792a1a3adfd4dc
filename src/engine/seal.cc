// SPDX-License-Identifier: Apache-2.0
// Sealing: when commits go on in a new generation, and the old one is ready to be flushed.
#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "base/out_of_memory.h"
#include "engine/engine.h"
#include "engine/link.h"

namespace varve {
namespace {

class Limits final : public SealPolicy {
 public:
  explicit Limits(const SealLimits& limits) : limits_(limits) {}
  bool ShouldSeal(const MemtableState& state) noexcept override {
    const auto reached = [](std::uint64_t value, std::uint64_t most) {
      return most != 0 && value >= most;
    };
    return reached(state.bytes, limits_.bytes_max) || reached(state.rows, limits_.rows_max) ||
           reached(state.commits, limits_.commits_max) ||
           (limits_.age_ms_max != 0 && state.age_micros >= AgeMicrosMax());
  }
  std::int64_t AgeMicrosMax() const override { return MicrosOf(limits_.age_ms_max); }

 private:
  const SealLimits limits_;
};

}  // namespace

std::shared_ptr<SealPolicy> SealAt(const SealLimits& limits) {
  return std::make_shared<Limits>(limits);
}

// From here on commits go to a new generation. No commit is half placed: we hold commit_mutex_.
// Throws std::bad_alloc, and nothing changed.
void Database::Impl::Seal() {
  if (active_->commits == 0) return;
  auto next = std::make_shared<Generation>();
  next->log_start = log_->positions().appended;
  for (const auto& [id, memtable] : active_->memtables) {
    next->memtables[id] =
        std::make_shared<Memtable>(memtable->schema(), environment_.executor(), memory());
  }
  sealed_.push_back(active_);
  active_.swap(next);
  if (HadMemory([this] { InstallView(); })) {
    for (const auto& [id, memtable] : next->memtables) memtable->BookAs(MemoryHolder::kSealed);
    return;
  }
  active_.swap(next);
  sealed_.pop_back();
  throw std::bad_alloc();
}

std::int64_t Database::Impl::AgeMicros() const {
  return environment_.clock()->SteadyMicros() - active_->first_micros;
}

std::int64_t Database::Impl::AgeMicrosMax() const {
  return options_.seal_policy == nullptr ? 0 : options_.seal_policy->AgeMicrosMax();
}

bool Database::Impl::IsDue() const {
  const auto bytes = active_->bytes();
  if (bytes >= *options_.memtable_bytes_max / 2) return true;
  // Small commits take a block of the log each, however little memory.
  const std::uint64_t log_bytes = active_->log_end.value - active_->log_start.value;
  if (active_->log_end > active_->log_start && log_bytes >= *options_.memtable_bytes_max) {
    return true;
  }
  return options_.seal_policy != nullptr &&
         options_.seal_policy->ShouldSeal(
             {bytes, active_->rows(), active_->commits, AgeMicros()});
}

// The commit is made whatever comes of this: without memory for it the next one asks again.
void Database::Impl::SealIfDue() noexcept {
  PublishSoon();
  (void)HadMemory([this] {
    {
      std::lock_guard lock(commit_mutex_);
      if (closed_ || active_->commits == 0) return;
      if (!IsDue()) return AskAgainIn(AgeMicrosMax());
      Seal();
    }
    ScheduleFlush();
  });
}

// A timer's task. The generation may be a younger one than when the timer was set.
void Database::Impl::SealIfOld() {
  {
    std::lock_guard lock(commit_mutex_);
    timer_armed_ = false;
    if (closed_ || active_->commits == 0) return;
    const auto left = AgeMicrosMax() - AgeMicros();
    if (left > 0) return AskAgainIn(left);
    Seal();
  }
  ScheduleFlush();
}

// One timer at a time: the next commit, or the task itself, sets another.
void Database::Impl::AskAgainIn(std::int64_t micros) {
  if (micros <= 0 || timer_armed_) return;
  environment_.executor()->SubmitAfter(micros, [link = link_] {
    std::lock_guard lock(link->mutex);
    if (link->database == nullptr) return;
    (void)HadMemory([&] { link->database->SealIfOld(); });  // else with the next commit
  });
  timer_armed_ = true;  // its task waits for commit_mutex_
}

}  // namespace varve
