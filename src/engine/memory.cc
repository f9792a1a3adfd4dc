// SPDX-License-Identifier: Apache-2.0
#include "engine/memory.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "base/memory_budget.h"
#include "base/result.h"
#include "columns/arrow_pool.h"
#include "run/read_cache.h"
#include "run/run_memory.h"
#include "run/run_writer.h"
#include "run/tail_cache.h"
#include "varve/log_options.h"

namespace varve {
namespace {

// Parts of memory_bytes.
constexpr std::uint64_t kMemtablePart = 4;
constexpr std::uint64_t kReadCachePart = 8;
constexpr std::uint64_t kTailCachePart = 8;
constexpr std::uint64_t kRowGroupPart = 32;  // encoded beside it, and once for each who writes
constexpr std::uint64_t kPiecePart = 512;     // each merge has one of each run that overlaps
constexpr std::int64_t kSmallPieceRows = 1024;
constexpr std::uint64_t kLogQueuePart = 16;
constexpr std::uint64_t kLogGroupPart = 32;
constexpr std::uint64_t kLogReadAheadPart = 16;
constexpr std::uint64_t kKeptPart = 32;  // freed, and kept for the next to come
constexpr std::uint64_t kReservePart = 8;
constexpr std::uint64_t kReserveFixed = 4 << 20;
constexpr std::uint64_t kReservePartMax = 4;

constexpr std::uint64_t kBytesMost = 1ull << 50;  // so that sums of limits stay in their type

// What nobody books, as test/memory measures it: a part of the budget, and as much of any.
std::uint64_t Reserve(std::uint64_t memory_bytes) {
  return std::min(memory_bytes / kReservePart + kReserveFixed, memory_bytes / kReservePartMax);
}

std::uint64_t Bounded(std::uint64_t bytes) { return std::min(bytes, kBytesMost); }

// What limits that somebody set take together, and how much must be left beside them: flushes,
// compaction and readers have at least a quarter.
std::uint64_t NeededBy(const OpenOptions& options) {
  const std::uint64_t limits = Bounded(options.memtable_bytes_max.value_or(0)) +
                               Bounded(options.read_cache_bytes_max.value_or(0)) +
                               Bounded(options.tail_cache_bytes_max.value_or(0));
  return limits + limits / 3;
}

}  // namespace

Status CheckMemory(const OpenOptions& options) {
  if (!options.memory_bytes) return {};
  const std::uint64_t given = *options.memory_bytes;
  if (given < kMemoryBytesMin) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("memory_bytes is {}: a database works with {} or more", given,
                            kMemoryBytesMin));
  }
  if (given < NeededBy(options)) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("memory_bytes is {}, of which the limits set for memtables and caches "
                            "may take three quarters: lower them, or give {} or more",
                            given, NeededBy(options)));
  }
  return {};
}

OpenOptions WithMemory(const OpenOptions& options) {
  OpenOptions all = options;
  all.memory_bytes = options.memory_bytes.value_or(std::max(kMemoryBytes, 2 * NeededBy(options)));
  const std::uint64_t bytes = *all.memory_bytes;
  all.memtable_bytes_max = options.memtable_bytes_max.value_or(bytes / kMemtablePart);
  all.read_cache_bytes_max = options.read_cache_bytes_max.value_or(bytes / kReadCachePart);
  all.tail_cache_bytes_max = options.tail_cache_bytes_max.value_or(bytes / kTailCachePart);
  return all;
}

RunCaches MakeCaches(const OpenOptions& options, const std::shared_ptr<Telemetry>& telemetry) {
  GiveMemoryBack(*options.memory_bytes < kAmpleMemoryBytes ? 0
                                                           : *options.memory_bytes / kKeptPart);
  RunCaches caches{
      .pieces = std::make_shared<ReadCache>(*options.read_cache_bytes_max, telemetry),
      .tails = std::make_shared<TailCache>(*options.tail_cache_bytes_max)};
  const auto budget = std::make_shared<MemoryBudget>(*options.memory_bytes);
  budget->Book(MemoryHolder::kReserve,
               static_cast<std::int64_t>(Reserve(*options.memory_bytes)));
  caches.memory = std::make_shared<const RunMemory>(budget, caches.pieces, caches.tails);
  return caches;
}

FlushRoom FlushRoomOf(const OpenOptions& options, const RunCaches& caches) {
  const std::uint64_t bytes = *options.memory_bytes;
  FlushRoom room{.row_group_bytes_max = std::min(kRowGroupBytesMax, bytes / kRowGroupPart),
                 .memory = caches.memory};
  if (bytes < kAmpleMemoryBytes) {
    room.piece_rows_max = kSmallPieceRows;
    room.piece_bytes = bytes / kPiecePart;
  }
  return room;
}

std::uint64_t LogQueueBytesMax(const OpenOptions& options) {
  return std::min(LogOptions().queue_bytes_max, *options.memory_bytes / kLogQueuePart);
}

std::uint64_t LogGroupBytesMax(const OpenOptions& options) {
  return std::min(LogOptions().group_bytes_max, *options.memory_bytes / kLogGroupPart);
}

std::uint64_t LogReadAheadBytes(const OpenOptions& options) {
  return std::min(RecoveryOptions().read_ahead_bytes, *options.memory_bytes / kLogReadAheadPart);
}

MemoryStats StatsOf(const MemoryBudget& budget) {
  MemoryStats stats{.bytes_max = budget.bytes_max(),
                    .bytes = budget.all().bytes,
                    .peak = budget.all().peak,
                    .holders = {}};
  for (std::size_t i = 0; i < kMemoryHolders; ++i) {
    const auto holder = static_cast<MemoryHolder>(i);
    const auto held = budget.held(holder);
    stats.holders.push_back({std::string(NameOf(holder)), held.bytes, held.peak});
  }
  return stats;
}

}  // namespace varve
