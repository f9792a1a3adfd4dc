// SPDX-License-Identifier: Apache-2.0
// What writers, flushes and background tasks tell each other.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>

#include "engine/flush_pace.h"

namespace varve {

// Of memory for memtables. Guarded by the engine's commit_mutex.
struct Room {
  explicit Room(Clock* clock) : pace(clock) {}

  std::condition_variable changed;  // a generation was flushed, or whoever flushed is through
  int flushes = 0;                  // under way, or about to be
  std::uint64_t waiting = 0;        // commits that wait for room
  std::uint64_t waited_micros = 0;  // since open, all commits together
  FlushPace pace;                   // has its own synchronization
};

// Tasks of this database that the executor has or runs.
struct Tasks {
  std::mutex mutex;
  std::condition_variable done;
  int count = 0;               // guarded by mutex
  bool flush_waiting = false;  // guarded by mutex: a flush is queued, not yet begun
  bool compaction = false;        // guarded by mutex: one is queued or runs
  bool compaction_again = false;  // guarded by mutex: and looks again afterwards
};

// When a flush is enough.
enum class FlushUntil : std::uint8_t { kAllFlushed, kRoom };

}  // namespace varve
