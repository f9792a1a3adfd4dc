// SPDX-License-Identifier: Apache-2.0
#include "engine/flush_pace.h"

#include <algorithm>

#include "base/futex.h"

namespace varve {
namespace {

constexpr double kOfRoom = 0.75;    // that is taken until the flush ends
constexpr double kSlower = 0.5;     // weight of the last flush among all, where it was slower
constexpr double kFaster = 0.125;   // and where it was faster
constexpr std::uint64_t kPartThatTells = 8;  // smaller ones are mostly syncs
constexpr double kEarlyMicros = 500;  // for less nobody waits
constexpr double kSleepMicrosMax = 100'000;

}  // namespace

FlushPace::Flushing::Flushing(FlushPace* pace, std::uint64_t bytes, std::uint64_t bytes_max)
    : pace_(pace), bytes_(bytes), tells_(bytes >= bytes_max / kPartThatTells) {
  std::lock_guard lock(pace->mutex_);
  pace->began_ = pace->clock_->SteadyMicros();
  if (pace->ended_ || pace->bytes_per_micro_ <= 0) return;
  pace->takes_micros_ = static_cast<double>(bytes) / pace->bytes_per_micro_;
  pace->planned_ = pace->began_;
  pace->plan_micros_ = pace->takes_micros_;
  pace->plan_room_ = 0;
  pace->keeps_.store(true, std::memory_order_release);
}

FlushPace::Flushing::~Flushing() {
  {
    std::lock_guard lock(pace_->mutex_);
    const auto took = static_cast<double>(pace_->clock_->SteadyMicros() - pace_->began_);
    if (done_ && tells_ && took > 0 && bytes_ > 0) {
      const double rate = static_cast<double>(bytes_) / took;
      double& known = pace_->bytes_per_micro_;
      const double weight = known <= 0 ? 1 : rate < known ? kSlower : kFaster;
      known += weight * (rate - known);
    }
  }
  pace_->LetGo();
}

void FlushPace::LetGo() {
  keeps_.store(false, std::memory_order_release);
  slows_.store(false, std::memory_order_relaxed);
  ends_.fetch_add(1, std::memory_order_release);
  FutexWakeAll(ends_);
}

void FlushPace::End() {
  {
    std::lock_guard lock(mutex_);
    ended_ = true;
  }
  LetGo();
}

void FlushPace::Await(std::uint64_t room) {
  const std::uint32_t ends = ends_.load(std::memory_order_acquire);
  if (!keeps()) return;
  std::int64_t start = 0;
  double wait = 0;
  {
    std::lock_guard lock(mutex_);
    start = clock_->SteadyMicros();
    if (static_cast<double>(start - planned_) >= plan_micros_) {
      planned_ = start;
      plan_micros_ = std::max(static_cast<double>(start - began_), 1.0);
      plan_room_ = 0;
    }
    if (plan_room_ == 0) plan_room_ = std::max<std::uint64_t>(room, 1);
    const auto taken = static_cast<double>(plan_room_ - std::min(room, plan_room_));
    const double due = plan_micros_ * taken / (kOfRoom * static_cast<double>(plan_room_));
    wait = std::min(due - static_cast<double>(start - planned_), kSleepMicrosMax);
  }
  if (wait < kEarlyMicros) return;
  slows_.store(true, std::memory_order_relaxed);
  const std::int64_t end = start + static_cast<std::int64_t>(wait);
  std::int64_t now = start;
  while (now < end && ends_.load(std::memory_order_acquire) == ends) {
    clock_->WaitWord(ends_, ends, end - now);
    now = clock_->SteadyMicros();
  }
  slowed_micros_.fetch_add(static_cast<std::uint64_t>(now - start), std::memory_order_relaxed);
}

}  // namespace varve
