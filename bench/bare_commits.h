// SPDX-License-Identifier: Apache-2.0
// What commits would cost if a log did nothing: writers that only wait, and a flusher that only
// writes 4 KiB, syncs and wakes them. Nothing that puts its callers to sleep until the device is
// done, and has one flush on its way at a time, can be much faster on the same machine.
#pragma once

#include <atomic>
#include <memory>
#include <thread>

#include "bench/peer.h"
#include "bench/raw_file.h"

namespace varve::bench {

enum class Waking : std::uint8_t {
  kAll,    // the flusher wakes everybody
  kChain,  // it wakes one of each processor, who wakes its neighbours
};

class BareCommitter final : public Committer {
 public:
  BareCommitter(PreparedFile* file, LogSyncMethod method, Waking waking)
      : file_(file), method_(method), waking_(waking) {}

  void Before() override;
  void After(Slice* slice) override;
  // Returns when a flush is done that began after this was called.
  void Commit(int) override;

 private:
  static constexpr std::size_t kLanes = 8;
  struct alignas(64) Lane {
    std::atomic<std::uint32_t> flushes_done = 0;  // a futex word
    std::atomic<bool> wake_others = false;
  };

  void FlushUntilStopped();
  void TellAll(std::uint32_t flushes_done);

  PreparedFile* const file_;
  const LogSyncMethod method_;
  const Waking waking_;
  alignas(64) std::atomic<std::uint32_t> flushes_begun_ = 0;
  std::atomic<bool> stopped_ = false;
  Lane lanes_[kLanes];
  std::thread flusher_;
};

}  // namespace varve::bench
