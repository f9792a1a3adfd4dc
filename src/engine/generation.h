// SPDX-License-Identifier: Apache-2.0
// Generation: the memtables of all tables between two seals.
//
// Sealing is for the whole database at once, at a commit boundary: so one log position, where the
// next generation begins, says what part of the log a flushed generation needed, and a table that
// is seldom written cannot hold the log back.
#pragma once

#include <cstdint>
#include <map>
#include <memory>

#include "manifest/producer_marks.h"
#include "memtable/memtable.h"
#include "varve/types.h"

namespace varve {

// A commit that is in memory, for Versions and AsOf.
struct RecentCommit {
  CommitNumber commit;
  WallTime time;
};

struct Generation {
  Lsn log_start;  // its first unit lies at or after this position
  Lsn log_end;    // of its last one
  // Everything below is guarded by the engine's commit_mutex; the memtables are safe by themselves.
  std::map<std::uint32_t, std::shared_ptr<Memtable>> memtables;  // by table id
  std::uint64_t commits = 0;
  RecentCommit last;                                             // of its commits
  std::uint64_t inserting = 0;                                   // commits on their way in
  std::int64_t first_micros = 0;                                 // steady time of the first commit
  ProducerMarks producers;                                       // of its commits

  std::uint64_t bytes() const {
    std::uint64_t sum = commits * sizeof(RecentCommit);
    for (const auto& [id, memtable] : memtables) sum += memtable->bytes();
    return sum;
  }
  std::uint64_t rows() const {
    std::uint64_t sum = 0;
    for (const auto& [id, memtable] : memtables) sum += memtable->rows();
    return sum;
  }
};

}  // namespace varve
