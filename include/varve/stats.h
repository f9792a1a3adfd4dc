// SPDX-License-Identifier: Apache-2.0
// How large a database is and how far it has come (Database::Stats).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "varve/log.h"
#include "varve/types.h"

namespace varve {

struct LevelStats {
  std::uint64_t runs = 0;
  std::uint64_t bytes = 0;
  std::uint64_t rows = 0;  // versions of rows, deletes included
};

struct TableStats {
  std::string name;
  std::uint32_t id = 0;
  std::vector<std::string> key;
  std::uint64_t rows_estimate = 0;  // upper bound, exact when each key was written once
  std::uint64_t memtable_rows = 0;
  std::uint64_t memtable_bytes = 0;
  std::vector<LevelStats> levels;  // what readers of now take
  LevelStats history;              // what only readers as of older commits do
};

// What lookups by key found in memory: pieces of files, a few thousand rows each.
struct ReadCacheStats {
  std::uint64_t bytes = 0;
  std::uint64_t bytes_max = 0;
  std::uint64_t hits = 0;    // since open
  std::uint64_t misses = 0;  // read from a file, or certainly not there
};

struct DatabaseStats {
  CommitNumber commit;   // last one given out
  CommitNumber visible;  // last one that new snapshots show
  CommitNumber durable;  // last one known to be on the device
  std::vector<TableStats> tables;
  LogStats log;
  RecoveryReport recovery;  // of the open
  std::uint64_t manifest_number = 0;
  std::uint64_t memtable_bytes = 0;
  ReadCacheStats read_cache;
  std::uint64_t flushes = 0;      // since open
  std::uint64_t compactions = 0;  // since open
  std::uint64_t commit_stall_micros = 0;  // time commits waited for memtable room since open
  std::uint64_t commits_stalled = 0;      // that wait for it now
  // Why commits are slowed or stopped now, as compaction is behind; empty: they are not.
  std::string pressure;
  std::uint64_t commit_slowed_micros = 0;   // since open, all commits together
  std::uint64_t commit_stopped_micros = 0;
};

}  // namespace varve
