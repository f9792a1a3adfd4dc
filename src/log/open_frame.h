// SPDX-License-Identifier: Apache-2.0
// One frame that many threads fill at once: reserve, then copy.
//
// A producer takes its place by one compare-and-swap on the frame's state, fills it under no lock,
// and says that it did in a counter of its own lane. The leader of a flush closes the frame, after
// which nobody gets a place in it any more, and waits until the lanes together say that every byte
// that was given out is filled.
//
// The state is one word: what is left, not what is taken. So whether a unit fits is decided by the
// very word that is swapped, and a thread that holds a pointer to a frame which was meanwhile
// written and begun anew gets a place in the new one, or none: frames are used again, and none is
// freed before the queue is.
//
//    bit 63: closed     bits 40..62: units that may still come     bits 0..39: bytes left
#pragma once

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <optional>
#include <utility>

#include "log/log_format.h"
#include "log/segment_supply.h"
#include "varve/types.h"

namespace varve {

// Memory for a frame, aligned as direct I/O needs it, with uninitialised bytes.
class FrameMemory {
 public:
  FrameMemory() = default;
  explicit FrameMemory(std::uint64_t bytes)  // a multiple of kLogBlock
      : data_(static_cast<char*>(std::aligned_alloc(kLogBlock, bytes))), bytes_(bytes) {
    if (!data_) throw std::bad_alloc();
  }
  char* data() const { return data_.get(); }
  std::uint64_t size() const { return data_ ? bytes_ : 0; }

 private:
  struct Free {
    void operator()(char* data) const { std::free(data); }
  };
  std::unique_ptr<char, Free> data_;
  std::uint64_t bytes_ = 0;
};

class OpenFrame {
 public:
  static constexpr std::uint32_t kUnitsMost = (1u << 23) - 1;

  struct Place {
    Lsn lsn;
    char* to;
  };

  // Any thread. Nothing when the frame is closed or has no room.
  std::optional<Place> Reserve(std::uint64_t bytes) {
    auto state = state_.load(std::memory_order_acquire);
    do {
      const auto left = state & (kOneUnit - 1);
      if ((state & kClosed) != 0 || left < bytes || state < kOneUnit) return {};
    } while (!state_.compare_exchange_weak(state, state - bytes - kOneUnit,
                                           std::memory_order_seq_cst, std::memory_order_acquire));
    const auto at = payload_max_ - (state & (kOneUnit - 1));
    return Place{{PayloadLsn().value + at}, memory_.data() + kFrameHeaderBytes + at};
  }
  // Once for each reservation, when its bytes are there.
  void Complete(std::uint64_t bytes, std::uint32_t records) {
    lanes_[LaneOfThisThread()].done.fetch_add(records * kOneRecord + bytes,
                                              std::memory_order_release);
  }

  // The rest: under the queue's mutex, or of the leader once the frame was taken.
  // Takes the memory for that much payload; until Release, to begin with no more needs none.
  void TakeMemory(std::uint64_t payload_bytes);
  // Begins anew with a place of `bytes` for its first unit, for payload of at most `payload_max`
  // bytes. Both at once: whoever still points at the frame that it was may reserve from here on.
  Place Begin(OpenSegmentPtr segment, std::uint64_t offset, std::uint64_t bytes,
              std::uint64_t payload_max, std::uint32_t units_max);
  // Begins anew with `bytes` of a unit that spans frames, and closed.
  Place BeginClosed(OpenSegmentPtr segment, std::uint64_t offset, std::uint64_t bytes);
  void Close() { state_.fetch_or(kClosed, std::memory_order_acq_rel); }
  void Release();  // forgets the segment, and memory that is larger than usual

  std::uint64_t payload_bytes() const { return payload_max_ - Left(); }
  std::uint64_t FileBytes() const;  // of the frame as it is now, padded
  std::uint64_t memory_bytes() const { return memory_.size(); }
  std::uint32_t units() const;
  bool IsComplete(std::uint64_t* records) const;
  // Waits until every reservation was completed; gives the records. Closed before.
  std::uint64_t AwaitComplete() const;
  // Zeros behind the payload, up to the end of its last block. Once it is complete.
  void Pad();

  const OpenSegmentPtr& segment() const { return segment_; }
  std::uint64_t offset() const { return offset_; }
  char* data() const { return memory_.data(); }
  Lsn PayloadLsn() const { return {segment_->header.LsnAt(offset_).value + kFrameHeaderBytes}; }
  // Of the last whole unit up to and with this frame.
  Lsn UnitEnd() const;

  // Set by the layout for parts of a unit that spans frames.
  std::uint16_t flags = 0;
  Lsn unit_end_before;  // of the last whole unit before this frame
  Lsn open_unit;        // that goes on behind it; 0: none

 private:
  static constexpr std::uint64_t kClosed = 1ull << 63;
  static constexpr std::uint64_t kOneUnit = 1ull << 40;
  static constexpr std::uint64_t kOneRecord = 1ull << 32;
  static constexpr std::size_t kLanesMost = 8;
  struct alignas(64) Lane {
    std::atomic<std::uint64_t> done = 0;  // records * kOneRecord + bytes
  };

  Place BeginAs(OpenSegmentPtr segment, std::uint64_t offset, std::uint64_t payload_max,
                std::uint32_t units_max, std::uint64_t state);
  // Sequentially consistent, as Reserve is: see CommitQueue::AskForFlush.
  std::uint64_t Left() const { return state_.load() & (kOneUnit - 1); }
  // As many as there are processors: each is a line of memory that the leader reads.
  static std::size_t Lanes();
  static std::size_t LaneOfThisThread();

  OpenSegmentPtr segment_;
  std::uint64_t offset_ = 0;
  std::uint64_t payload_max_ = 0;
  std::uint32_t units_max_ = 0;
  FrameMemory memory_;
  // Of the memory: zeros since it was padded last, and what was not written to since.
  std::uint64_t zeros_begin_ = 0;
  std::uint64_t zeros_end_ = 0;
  alignas(64) std::atomic<std::uint64_t> state_ = kClosed;
  Lane lanes_[kLanesMost];
};

}  // namespace varve
