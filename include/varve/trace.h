// SPDX-License-Identifier: Apache-2.0
// Tracing hooks. The library never prints; a host that wants to know gives a sink (LogComponents,
// Components). When there is none, a hook costs one test of a pointer.
//
// Events are moments; spans are pieces of work of a database, with a beginning and an end.
//
// Events of the log:
//   log.open       units, records, bytes, torn_bytes, cut_bytes; text: the folder
//   log.flush      units, bytes, micros, synced (0 or 1)
//   log.rotate     sequence of the segment that was ended
//   log.truncate   segments, bytes, first: where the log begins now
//   log.checkpoint lsn, replay_from
//   log.alert      text: what an operator should know of: appends wait for a truncation, ...
//   log.stopped    text: the write or sync that failed; nothing is acknowledged any more
//   log.close
// Events of the database:
//   database.open, .close  commit: the last one, at open; text: the folder
//   commit.stall           a commit waits for room in memory (OpenOptions::memtable_bytes_max)
//   flush.done             commit: the last one in it; runs, floor: what the log is needed from
//   flush.failed           text: why; what it should have flushed stays in memory and in the log
//   table.changed          commit; text: the table that was altered, renamed or dropped
//   log.truncate_failed    text: why; the log is longer than it must be
//   run.orphan_left        text: why a file of a failed flush could not be removed
//   run.orphan_removed, times.orphan_removed  text: a file that a crash left and nothing refers to
//   manifest.not_put_again text: why (a full disk); opening goes on
//   metrics.not_published  text: why the metrics file could not be replaced; it is tried again
//
// Spans, named "<operation> <table>"; attributes as OpenTelemetry's conventions for databases call
// them, so that a sink hands them on as they are. All begin with db.system.name (its older name is
// db.system), db.namespace (the database's path), db.operation.name and, where there is one table,
// db.collection.name. What each ends with:
//   upsert, delete, insert, insert_missing, update, update_existing, delete_where, restore
//                          db.operation.batch.size: rows given; varve.commit, varve.rows: kept
//   commit                 of a transaction: varve.commit, varve.rows
//   get                    db.operation.batch.size: keys; db.response.returned_rows
//   scan, changes          from the call until the reader has ended: db.response.returned_rows
//   count, min_max         varve.rows_scanned
//   flush                  in the background: varve.commit: the last one in it; varve.runs,
//                          varve.bytes: of their files
// What failed has error.type ("Unavailable.NoSpace", "Conflict") and its message.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>

namespace varve {

struct TraceField {
  std::string_view name;
  std::uint64_t value = 0;
};

struct TraceAttribute {
  std::string_view key;
  std::string_view text = {};  // empty: `number` is the value
  std::uint64_t number = 0;
};

// Called from any thread, under no lock of the log; must be thread-safe and quick. It may ask the
// log (stats, positions) and must do nothing else with it, nor call a database of whose events it
// is told. What it throws is dropped: no event is worth a log that stops.
class TraceSink {
 public:
  virtual ~TraceSink() = default;
  // `event` is a dotted name such as "flush.done"; `text` details it for a person.
  virtual void Event(std::string_view event, std::string_view text,
                     std::initializer_list<TraceField> fields) = 0;
  // A piece of work begins, in the thread that does it: what is begun there meanwhile is a part of
  // it. Gives a number by which EndSpan is told which one ended, in any thread, with what is known
  // by then; `error` is empty unless it failed. All is lent for the call. By default nobody hears.
  virtual std::uint64_t StartSpan(std::string_view name,
                                  std::span<const TraceAttribute> attributes) {
    (void)name, (void)attributes;
    return 0;
  }
  virtual void EndSpan(std::uint64_t span, std::span<const TraceAttribute> attributes,
                       std::string_view error) {
    (void)span, (void)attributes, (void)error;
  }
};

inline void Trace(TraceSink* sink, std::string_view event, std::string_view text = {},
                  std::initializer_list<TraceField> fields = {}) noexcept {
  if (sink == nullptr) return;
  try {
    sink->Event(event, text, fields);
  } catch (...) {
  }
}

}  // namespace varve
