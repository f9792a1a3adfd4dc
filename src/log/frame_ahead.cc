// SPDX-License-Identifier: Apache-2.0
#include "log/frame_ahead.h"

#include <algorithm>
#include <new>
#include <utility>

#include "base/bytes.h"
#include "base/check.h"

namespace varve {

std::uint64_t FrameAhead::ReadBytes(std::uint64_t bytes_max) {
  const auto piece = bytes_max / kPieces;
  if (piece < 4 * kLogBlock) return 0;
  return std::clamp(piece / 8 / kLogBlock * kLogBlock, kLogBlock, kReadBytesMost);
}

FrameAhead::FrameAhead(Executor* executor, Pieces* pieces, File* file,
                       const SegmentHeader& header, std::shared_ptr<const SegmentCipher> cipher,
                       std::uint64_t from, std::uint64_t limit, std::uint64_t bytes_max)
    : executor_(executor),
      source_{file, header, limit, std::move(cipher), ReadBytes(bytes_max), bytes_max / kPieces},
      next_(from) {
  VARVE_CHECK(source_.read_bytes > 0);
  for (std::size_t i = 0; i < kPieces; ++i) slots_[i].piece = &(*pieces)[i];
  StartNext();
}

FrameAhead::~FrameAhead() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  HelpUntil([this] { return running_ == 0; });
}

// Runs tasks until `ready`, which is asked under the mutex.
template <typename Ready>
void FrameAhead::HelpUntil(const Ready& ready) {
  std::unique_lock lock(mutex_);
  while (!ready()) {
    const auto seen = events_;
    lock.unlock();
    const bool helped = executor_->RunOne();
    lock.lock();
    // What was submitted since may be ours to run: nobody else need do it.
    if (!helped && !ready() && events_ == seen) changed_.wait(lock);
  }
}

// Submits the task of the next piece if there is one and a slot is free.
void FrameAhead::StartNext() {
  Slot* slot = nullptr;
  {
    const std::lock_guard lock(mutex_);
    if (!next_ || used_ == kPieces || stopping_) return;
    slot = &slots_[(first_ + used_) % kPieces];
    slot->from = *std::exchange(next_, std::nullopt);
    slot->by_headers = next_by_headers_;
    slot->done = false;
    ++used_;
    ++running_;
  }
  try {
    executor_->Submit([this, slot] { Run(slot); });
  } catch (const std::bad_alloc&) {
    slot->piece->Clear(slot->from);
    Finish(slot);
    return;
  }
  const std::lock_guard lock(mutex_);
  ++events_;
  changed_.notify_all();
}

// Out of memory means here that nothing is prepared: the taker meets it too, or does with less.
void FrameAhead::Run(Slot* slot) {
  try {
    Prepare(slot);
  } catch (const std::bad_alloc&) {
    slot->piece->Clear(slot->from);
  }
  Finish(slot);
}

void FrameAhead::Prepare(Slot* slot) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return slot->piece->Clear(slot->from);
  }
  if (const auto next = slot->piece->Plan(source_, slot->from, slot->by_headers)) {
    {
      const std::lock_guard lock(mutex_);
      next_ = next;
      next_by_headers_ = slot->piece->has_large_frames();
    }
    StartNext();
  }
  slot->piece->Prepare();
}

void FrameAhead::Finish(Slot* slot) {
  const std::lock_guard lock(mutex_);
  slot->done = true;
  --running_;
  ++events_;
  changed_.notify_all();  // under the mutex: who waits may end this object as soon as it is free
}

// The first piece, when it is done; null when there is none and will be none.
FrameAhead::Slot* FrameAhead::AwaitFirst() {
  HelpUntil([this] { return used_ == 0 || slots_[first_].done; });
  const std::lock_guard lock(mutex_);
  return used_ == 0 ? nullptr : &slots_[first_];
}

void FrameAhead::DropFirst() {
  {
    const std::lock_guard lock(mutex_);
    first_ = (first_ + 1) % kPieces;
    --used_;
  }
  StartNext();
}

std::optional<LogFrame> FrameAhead::Take(std::uint64_t offset) {
  while (true) {
    if (at_hand_ == nullptr) at_hand_ = AwaitFirst();
    if (at_hand_ == nullptr) return {};
    if (offset < at_hand_->piece->end()) return at_hand_->piece->At(offset);
    at_hand_ = nullptr;
    DropFirst();
  }
}

}  // namespace varve
