// SPDX-License-Identifier: Apache-2.0
// What writers, flushes and background tasks tell each other.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace varve {

// Of memory for memtables. Guarded by the engine's commit_mutex.
struct Room {
  std::condition_variable changed;  // a generation was flushed, or whoever flushed is through
  int flushes = 0;                  // under way, or about to be
  std::uint64_t waiting = 0;        // commits that wait for room
  std::uint64_t waited_micros = 0;  // since open, all commits together
};

// Tasks of this database that the executor has or runs.
struct Tasks {
  std::mutex mutex;
  std::condition_variable done;
  int count = 0;               // guarded by mutex
  bool flush_waiting = false;  // guarded by mutex: a flush is queued, not yet begun
  bool compaction_waiting = false;  // the same of a compaction
};

// When a flush is enough.
enum class FlushUntil : std::uint8_t { kAllFlushed, kRoom };

}  // namespace varve
