// SPDX-License-Identifier: Apache-2.0
// varve::Log: a write-ahead log for anybody's system. Needs no Arrow.
//
// A log is a directory. You append units; a unit is one or more records (byte strings) that are
// kept or lost together. Every unit gets an LSN, a position that grows for ever. After any crash,
// opening the log gives back an unbroken prefix of the units, in order, which holds every unit that
// was acknowledged as durable, with identical LSN and bytes.
//
//   auto log = varve::Log::Open("orders.log", {}, [](const varve::LogUnit& unit) {
//     for (std::string_view record : unit.records) Apply(record);
//     return varve::Status();
//   });
//   auto ack = (*log)->Append({"deposit 12"});          // returns when it is on the device
//
// Group commit: while one flush is on its way to the device, later appends gather and share the
// next one. There is no timer; a lone caller writes and syncs by itself.
//
// Thread safety: every member of Log may be called from any thread at any time, except that Close
// must be the last. LogUnit's views are valid during the callback only.
//
// Failure: the first failed write or sync poisons the log. Every waiter and every later call gets
// Unavailable/kUnknownOutcome with the cause; nothing later is acknowledged. Reopening recovers.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "varve/error.h"
#include "varve/types.h"

namespace varve {

class Clock;     // src/base/clock.h
class Executor;  // src/base/executor.h
class Files;     // src/files/files.h
class Random;    // src/base/random.h

// Settings. The defaults are the safe ones.
struct LogOptions {
  // A segment has this size at most (bytes on disk, header included); a unit that needs more goes
  // on in the next segment. After each open the first segment has 1 MiB and the next ones double,
  // so that a small log is small on disk. At least 32 KiB.
  std::uint64_t segment_bytes_max = 64ull << 20;
  // Units waiting for the flush that is under way may hold this many bytes; then Append blocks.
  std::uint64_t queue_bytes_max = 64ull << 20;
  // Open nothing for writing, change nothing, take no exclusive lock.
  bool read_only = false;
  // Without: NotFound where there is no log, also when its files are gone and its folder is left.
  bool create_if_missing = true;
  // 32 hex digits: open the log that has this id, and refuse another's files as Corruption. Empty:
  // whichever is there. See LogStats::id.
  std::string id;
};

// What stands between the log and the outside. Null members mean the real one.
struct LogComponents {
  Files* files = nullptr;
  Clock* clock = nullptr;
  Random* random = nullptr;
  Executor* executor = nullptr;  // runs segment creation ahead of need, and deferred syncs
};

// What to do with bytes that do not validate.
enum class RecoveryMode : std::uint8_t {
  kStrict,        // a torn tail is cut and reported; anything else is Corruption
  kTolerateTail,  // as strict, but damage in the last segment's tail is cut too
  kPointInTime,   // stop before the first bad frame wherever it is; what follows is set aside
  kSalvage,       // read what validates, skip what does not; read-only
};

struct RecoveryOptions {
  RecoveryMode mode = RecoveryMode::kStrict;
  // Deliver units at or after this position only. Segments wholly before it are not read.
  Lsn replay_from{};
  // The caller knows that everything before this position was durable. A log that ends earlier is
  // damaged, not torn.
  Lsn known_durable{};
};

// One recovered unit.
struct LogUnit {
  Lsn lsn;
  std::span<const std::string_view> records;
};
using LogReplay = std::function<Status(const LogUnit&)>;

struct RecoveryReport {
  std::uint64_t segments = 0;
  std::uint64_t units = 0;       // delivered
  std::uint64_t records = 0;     // delivered
  std::uint64_t bytes = 0;       // read
  std::uint64_t torn_bytes = 0;  // cut from the tail: written, never acknowledged as durable
  Lsn end;                       // just after the last valid unit
};

struct LogAck {
  Lsn lsn;                        // of the unit
  Lsn end;                        // just after it
  std::uint64_t bytes = 0;        // frame bytes the unit took
  std::uint64_t group_units = 0;  // units in the flush that carried it
  std::int64_t wait_micros = 0;   // from enqueue to the ack
};

// A unit's place in the log, given before it is on the device. Cheap to copy.
struct LogTicket {
  Lsn lsn;
  Lsn end;
  std::int64_t enqueued_micros = 0;
};

// appended >= written >= durable, always.
struct LogPositions {
  Lsn appended;
  Lsn written;
  Lsn durable;
};

struct LogSegmentInfo {
  std::string name;             // file name inside the log's directory
  std::uint64_t sequence = 0;   // 1, 2, 3, ...
  std::uint64_t generation = 0; // random, new each time a file becomes a segment
  Lsn base;                     // LSN of its first frame
  Lsn end;                      // just after its last frame
  std::uint64_t file_bytes = 0;
  bool sealed = false;
};

struct LogStats {
  std::string id;  // 32 hex digits, random, fixed when the log was made
  LogPositions positions;
  Lsn first;  // oldest position still readable
  std::vector<LogSegmentInfo> segments;
  std::uint64_t units = 0;    // appended since open
  std::uint64_t records = 0;  // appended since open
  std::uint64_t groups = 0;   // flushes since open
  std::uint64_t syncs = 0;    // device syncs on the commit path since open
  std::uint64_t bytes_written = 0;
};

class Log {
 public:
  // Opens or creates the log in `dir`, recovers it, and calls `replay` for each unit in order; an
  // error from `replay` ends Open with that error. Memory is bounded by the largest unit. A log
  // that was created is durable when Open returns: from then on its absence is a loss.
  // Errors: Unavailable/kLocked (says by whom), Corruption (says file, offset, expected, found; no
  // byte is changed), Invalid/kUnsupportedFormat, Unavailable/kIo, kNoSpace, kPermission; NotFound
  // when there is no log and none was to be made (read_only, create_if_missing).
  static Result<std::unique_ptr<Log>> Open(const std::string& dir, const LogOptions& options,
                                           const LogReplay& replay,
                                           const RecoveryOptions& recovery = {},
                                           const LogComponents& components = {});

  // Closes without waiting for anything that was not acknowledged. Prefer Close.
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  // Appends one unit and waits until it reached `level`.
  // Errors: Invalid when there is no record, or after Close; Unavailable/kNoSpace when no segment
  // could be made (the unit is certainly not kept; try again when there is room);
  // Unavailable/kUnknownOutcome when a write or sync failed.
  Result<LogAck> Append(std::span<const std::string_view> records,
                        AckLevel level = AckLevel::kDurable);
  Result<LogAck> Append(std::initializer_list<std::string_view> records,
                        AckLevel level = AckLevel::kDurable);

  // The two halves of Append, for callers who must order units themselves: Enqueue copies the
  // records, fixes their place in the order and returns at once (it blocks only while the queue is
  // full); Wait returns when the ticket reached `level`. `to_come` is the level that the caller
  // will wait for; below kDurable the executor makes the unit durable later, whoever waits.
  Result<LogTicket> Enqueue(std::span<const std::string_view> records,
                            AckLevel to_come = AckLevel::kBuffered);
  Result<LogAck> Wait(const LogTicket& ticket, AckLevel level = AckLevel::kDurable);

  // Makes everything appended so far durable.
  Status Sync();

  LogPositions positions() const;
  LogStats stats() const;
  const RecoveryReport& recovery() const;

  // Ends the current segment; the next unit starts a new one.
  Status Rotate();

  // Deletes segments that lie wholly before `fence` (which must be durable). Never the active one.
  Status TruncateBefore(Lsn fence);

  // Makes everything durable, seals the active segment and gives back its unused space.
  Status Close();

 private:
  class Impl;
  explicit Log(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// One finding of VerifyLog: where, and what was expected and found there.
struct LogDamage {
  std::string file;
  std::uint64_t offset = 0;
  std::string message;
};

// Reads every byte that recovery would trust, without the lock and without changing anything.
// Gives the damages found (none: sound; a torn tail is no damage and is in the report).
struct LogVerification {
  RecoveryReport report;
  std::vector<LogDamage> damages;
};
Result<LogVerification> VerifyLog(const std::string& dir, const LogComponents& components = {});

// Calls `visit` for a line of text per header and frame of one segment file, up to the first
// damage, which it describes in the last line. For people; the form of the lines may change.
Status DumpLogSegment(const std::string& path, const std::function<void(std::string_view)>& visit,
                      const LogComponents& components = {});

}  // namespace varve
