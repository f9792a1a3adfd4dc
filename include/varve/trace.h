// SPDX-License-Identifier: Apache-2.0
// Tracing hooks. The library never prints; a host that wants to know gives a sink (LogComponents,
// Components). When there is none, a hook costs one test of a pointer.
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
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string_view>

namespace varve {

struct TraceField {
  std::string_view name;
  std::uint64_t value = 0;
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
