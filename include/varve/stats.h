// SPDX-License-Identifier: Apache-2.0
// How large a database is and how far it has come (Database::Stats).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "varve/log.h"
#include "varve/log_archive.h"
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

// Another process, or another opener of this one, that reads the database.
struct ReaderStats {
  std::string holder;                 // "4711 (python3)"
  std::uint64_t manifest_number = 0;  // of the oldest that it reads by; 0: it is just opening
  CommitNumber commit;                // the oldest that it shows
};

// The tails of runs that are in memory: footers, filters and first keys of their files, which
// whoever reads a run needs first. In use they are counted only while the cache keeps them too.
struct TailCacheStats {
  std::uint64_t bytes = 0;
  std::uint64_t bytes_max = 0;
  std::uint64_t runs = 0;    // whose tails they are
  std::uint64_t hits = 0;    // since open
  std::uint64_t misses = 0;  // read from files
};

// What flushes and compactions read and wrote under OpenOptions::background_bytes_per_second, since
// open; without a limit nothing is counted here.
struct BackgroundIoStats {
  std::uint64_t bytes_per_second_max = 0;  // 0: no limit
  std::uint64_t flush_bytes = 0;
  std::uint64_t compaction_bytes = 0;
  std::uint64_t flush_waited_micros = 0;       // for the limit
  std::uint64_t compaction_waited_micros = 0;  // so did all its threads together
};

// Who holds memory of OpenOptions::memory_bytes.
struct MemoryStats {
  struct Holder {
    std::string name;  // docs/operating.md has the list
    std::uint64_t bytes = 0;
    std::uint64_t peak = 0;  // since open
  };
  std::uint64_t bytes_max = 0;
  std::uint64_t bytes = 0;  // of all holders
  std::uint64_t peak = 0;   // of them together
  std::vector<Holder> holders;
};

struct DatabaseStats {
  CommitNumber commit;   // last one given out
  CommitNumber visible;  // last one that new snapshots show
  CommitNumber durable;  // last one known to be on the device
  std::vector<TableStats> tables;
  LogStats log;
  RecoveryReport recovery;  // of the open
  std::optional<LogArchiverStatus> archive;  // with OpenOptions::log_archive
  std::uint64_t manifest_number = 0;
  std::vector<ReaderStats> readers;  // that have leases
  std::string writer;  // of a database that this process only reads: who may write; empty: nobody
  std::uint64_t memtable_bytes = 0;
  MemoryStats memory;
  ReadCacheStats read_cache;
  TailCacheStats tail_cache;
  std::uint64_t flushes = 0;      // since open
  std::uint64_t compactions = 0;  // since open
  std::uint64_t commit_stall_micros = 0;  // time commits waited for memtable room since open
  std::uint64_t commits_stalled = 0;      // that wait for it now
  // Why commits are slowed or stopped now, as flushes or compaction would fall behind; empty: they
  // are not. Those that wait for memory are in commits_stalled.
  std::string pressure;
  std::uint64_t commit_slowed_micros = 0;   // since open, all commits together
  std::uint64_t commit_stopped_micros = 0;
  BackgroundIoStats background_io;
};

}  // namespace varve
