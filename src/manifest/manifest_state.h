// SPDX-License-Identifier: Apache-2.0
// ManifestState: all that is official at one moment. Immutable once it is published.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "columns/table_schema.h"
#include "manifest/commit_times.h"
#include "manifest/producer_marks.h"
#include "run/run_meta.h"
#include "varve/types.h"

namespace varve {

// What a table was called and which columns it had, for commits before `until` and from the shape
// before it on.
struct FormerShape {
  CommitNumber until;
  std::string name;
  std::uint32_t schema_id = 0;
};

struct TableState {
  std::uint32_t id = 0;
  std::string name;
  std::uint32_t schema_id = 0;
  std::shared_ptr<const TableSchema> schema;
  RunMetaList runs;             // by level, then id
  std::uint64_t run_rows = 0;   // totals of these; rows are versions of rows
  std::uint64_t run_bytes = 0;
  std::vector<FormerShape> former;  // oldest first
  std::map<std::uint32_t, std::shared_ptr<const TableSchema>> former_schemas;  // by schema id
  CommitNumber dropped;  // the commit that dropped it; zero while it is there

  // As of a commit.
  bool IsThereAt(CommitNumber commit) const {
    return dropped == CommitNumber{} || commit < dropped;
  }
  FormerShape ShapeAt(CommitNumber commit) const;
  std::shared_ptr<const TableSchema> FindSchema(std::uint32_t id) const;  // null: it never had it
  // The end of `runs` when it is not there.
  RunMetaList::const_iterator FindRun(std::uint64_t run_id) const;
  CommitNumber altered() const;  // the last commit that changed its columns; zero: none
};

// One flush (or later: compaction) in history: manifest `number` contains commits <= `commit`.
struct VersionPoint {
  std::uint64_t number = 0;
  CommitNumber commit;
  WallTime time;           // when that commit was made
  std::uint64_t runs = 0;  // totals of all tables in that manifest; rows are versions of rows
  std::uint64_t rows = 0;
  std::uint64_t bytes = 0;
  // Of the commits after the version before, up to this one; none when an older varve flushed.
  std::optional<TimesObject> times = {};
};

// A name for a commit.
struct TagState {
  CommitNumber commit;
  WallTime commit_time;  // when that commit was made
  WallTime made;         // when the tag was
};

inline constexpr std::int64_t kHistoryMicros = 3'600'000'000;  // until somebody says otherwise

struct ManifestState {
  std::string database_id;     // 32 hex digits, made at creation
  std::uint64_t number = 0;    // of the newest object
  CommitNumber commit;         // the runs hold every row of the commits up to this one
  WallTime commit_time;        // when that commit was made; zero before the first flush
  Lsn log_floor;               // the log is needed from here on
  Lsn log_durable;             // the log was durable up to here when this was written
  std::uint32_t next_table_id = 1;
  std::uint64_t next_run_id = 1;
  std::map<std::string, std::shared_ptr<const TableState>, std::less<>> tables;  // by name
  std::map<std::uint32_t, std::shared_ptr<const TableState>> dropped;  // by id; their runs stay
  CommitNumber changed;                // the last commit that changed or dropped a table
  std::vector<VersionPoint> versions;  // oldest first
  ProducerMarks producers;             // of the commits up to `commit`
  std::map<std::string, TagState, std::less<>> tags;  // by name; a commit may be after `commit`
  CommitNumber oldest;          // can be read; those before only where a tag names them
  std::int64_t history_micros = kHistoryMicros;

  const TableState* FindTable(std::uint32_t id) const;  // null: there is none, or none any more
};

}  // namespace varve
