// SPDX-License-Identifier: Apache-2.0
// The shares of a database's memory (OpenOptions::memory_bytes): which limits follow from it, and
// which sizes cannot work (docs/design/0026).
#pragma once

#include <cstdint>
#include <memory>

#include "base/telemetry.h"
#include "run/run.h"
#include "upkeep/flush.h"
#include "varve/error.h"
#include "varve/options.h"
#include "varve/stats.h"

namespace varve {

class MemoryBudget;

inline constexpr std::uint64_t kMemoryBytes = 512ull << 20;  // when nobody says
inline constexpr std::uint64_t kMemoryBytesMin = 16ull << 20;
// Below it pages are smaller, and all of what is freed goes back to the system at once, malloc's
// too: for the whole process, from the first such database on (columns/arrow_pool.h).
inline constexpr std::uint64_t kAmpleMemoryBytes = 256ull << 20;

// Invalid: the least that would do.
Status CheckMemory(const OpenOptions& options);
// With memory_bytes and each limit of memory set.
OpenOptions WithMemory(const OpenOptions& options);

// Of options that WithMemory gave.
RunCaches MakeCaches(const OpenOptions& options, const std::shared_ptr<Telemetry>& telemetry);
// What a flush or a compaction gathers and encodes at once, and what its readers have to.
FlushRoom FlushRoomOf(const OpenOptions& options, const RunCaches& caches);
std::uint64_t LogQueueBytesMax(const OpenOptions& options);
std::uint64_t LogGroupBytesMax(const OpenOptions& options);
std::uint64_t LogReadAheadBytes(const OpenOptions& options);

MemoryStats StatsOf(const MemoryBudget& budget);

}  // namespace varve
