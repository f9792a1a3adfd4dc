// SPDX-License-Identifier: Apache-2.0
#include "engine/pressure.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/futex.h"

namespace varve {
namespace {

constexpr double kLessWhenWorse = 0.8;
constexpr double kMoreWhenBetter = 1.25;
constexpr double kBytesPerSecondMin = 1 << 20;
constexpr double kBytesPerSecondFirst = 16 << 20;  // when no flush was measured
constexpr double kSleepMicrosMin = 1000;
constexpr double kSleepMicrosMax = 100'000;  // of one commit, however large

bool Reaches(const CompactionDebt& debt, const CompactionDebt& limit) {
  return debt.level0_runs >= limit.level0_runs || debt.bytes >= limit.bytes;
}

bool IsMore(const CompactionDebt& a, const CompactionDebt& b) {
  return a.level0_runs > b.level0_runs || (a.level0_runs == b.level0_runs && a.bytes > b.bytes);
}

}  // namespace

void Pressure::Look(const std::string& table, const CompactionDebt& debt) {
  {
    std::lock_guard lock(mutex_);
    if (ended_) return;
    const Force before = force_.load();
    const Force now = Reaches(debt, limits_.stop)   ? Force::kStop
                      : Reaches(debt, limits_.slow) ? Force::kSlow
                                                    : Force::kNone;
    if (now == Force::kNone) {
      reason_.clear();
      bytes_per_second_ = owed_micros_ = 0;
    } else {
      reason_ = fmt::format(
          "compaction of table {} is behind: {} runs at level 0, {} bytes to move", table,
          debt.level0_runs, debt.bytes);
      if (before == Force::kNone) {
        bytes_per_second_ = flush_rate_ > 0 ? std::max(kBytesPerSecondMin, flush_rate_)
                                            : kBytesPerSecondFirst;
      } else if (IsMore(debt, last_)) {
        bytes_per_second_ = std::max(kBytesPerSecondMin, bytes_per_second_ * kLessWhenWorse);
      } else if (IsMore(last_, debt)) {
        bytes_per_second_ *= kMoreWhenBetter;
      }
    }
    last_ = debt;
    force_.store(now, std::memory_order_release);
    changed_.fetch_add(1, std::memory_order_release);
  }
  WakeAll();
}

void Pressure::NoteFlush(std::uint64_t bytes) {
  std::lock_guard lock(mutex_);
  const std::int64_t now = clock_->SteadyMicros();
  if (last_flush_ != 0 && now > last_flush_) {
    flush_rate_ = static_cast<double>(bytes) * 1e6 / static_cast<double>(now - last_flush_);
  }
  last_flush_ = now;
}

void Pressure::End() {
  {
    std::lock_guard lock(mutex_);
    ended_ = true;
    reason_.clear();
    force_.store(Force::kNone, std::memory_order_release);
    changed_.fetch_add(1, std::memory_order_release);
  }
  WakeAll();
}

void Pressure::Slow(std::uint64_t bytes) {
  double left = 0;
  {
    std::lock_guard lock(mutex_);
    if (force_.load() != Force::kSlow) return;
    owed_micros_ += static_cast<double>(bytes) * 1e6 / bytes_per_second_;
    if (owed_micros_ < kSleepMicrosMin) return;
    left = std::min(owed_micros_, kSleepMicrosMax);
    owed_micros_ = 0;
  }
  const std::int64_t start = clock_->SteadyMicros();
  const std::int64_t end = start + static_cast<std::int64_t>(left);
  std::int64_t now = start;
  while (now < end) {
    const std::uint32_t seen = this->seen();
    if (force() != Force::kSlow) break;
    clock_->WaitWord(changed_, seen, end - now);
    now = clock_->SteadyMicros();
  }
  std::lock_guard lock(mutex_);
  slowed_micros_ += static_cast<std::uint64_t>(now - start);
}

void Pressure::NoteEnded() noexcept {
  changed_.fetch_add(1, std::memory_order_release);
  WakeAll();
}

// By the futex those that wait with a deadline, the others by what the library waits on.
void Pressure::WakeAll() noexcept {
  FutexWakeAll(changed_);
  changed_.notify_all();
}

void Pressure::NoteStopped(std::int64_t micros) {
  std::lock_guard lock(mutex_);
  stopped_micros_ += static_cast<std::uint64_t>(micros);
}

Pressure::Stats Pressure::stats() const {
  std::lock_guard lock(mutex_);
  return {force_.load(), reason_, slowed_micros_, stopped_micros_};
}

}  // namespace varve
