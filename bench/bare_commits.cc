// SPDX-License-Identifier: Apache-2.0
#include "bench/bare_commits.h"

#include <unistd.h>

#include "base/futex.h"

namespace varve::bench {

void BareCommitter::Before() {
  stopped_ = false;
  flusher_ = std::thread([this] { FlushUntilStopped(); });
}

void BareCommitter::After(Slice*) {
  stopped_ = true;
  flusher_.join();
}

void BareCommitter::Commit(int) {
  auto& lane = lanes_[waking_ == Waking::kChain ? ProcessorOfThisThread() % kLanes : 0];
  const auto begun = flushes_begun_.load();
  auto done = lane.flushes_done.load();
  // A difference, because the words go round.
  while (static_cast<std::int32_t>(done - begun) <= 0) {
    FutexWait(lane.flushes_done, done);
    done = lane.flushes_done.load();
  }
  if (lane.wake_others.load() && lane.wake_others.exchange(false)) FutexWakeAll(lane.flushes_done);
}

void BareCommitter::FlushUntilStopped() {
  const int descriptor = file_->Open(method_);
  while (!stopped_) {
    const auto flush = ++flushes_begun_;
    file_->Flush(descriptor, method_);
    TellAll(flush);
  }
  ::close(descriptor);
}

void BareCommitter::TellAll(std::uint32_t flushes_done) {
  if (waking_ == Waking::kAll) {
    lanes_[0].flushes_done = flushes_done;
    return FutexWakeAll(lanes_[0].flushes_done);
  }
  for (auto& lane : lanes_) {
    lane.wake_others = true;
    lane.flushes_done = flushes_done;
    FutexWakeOne(lane.flushes_done);
  }
}

}  // namespace varve::bench
