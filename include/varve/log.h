// SPDX-License-Identifier: Apache-2.0
// varve::Log: a write-ahead log for anybody's system. Needs no Arrow.
//
// A log is a directory. You append units; a unit is one or more records (byte strings) that are
// kept or lost together. Every unit gets an LSN, a position that grows for ever. After any crash,
// opening the log gives back an unbroken prefix of the units, in order, which holds every unit that
// was acknowledged as durable, with identical LSN and bytes.
//
//   auto log = varve::Log::Open("orders.log", {}, [](const varve::LogUnit& unit) {
//     for (const varve::LogRecord& record : unit.records) Apply(record.bytes);
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
// Transactions are units that grow: Begin, AppendTo, then Commit or Abort. Many may be open at
// once; nothing of one is in the log before its Commit, which appends it whole.
//
// Failure: the first failed write or sync poisons the log. Every waiter and every later call gets
// Unavailable/kUnknownOutcome with the cause; nothing later is acknowledged. Reopening recovers.
#pragma once

#include <cstdint>
#include <functional>
#include <future>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "varve/error.h"
#include "varve/log_options.h"
#include "varve/types.h"

namespace varve {

// What a record is. 0 to 239 are the caller's own kinds, the rest is the log's.
enum class LogKind : std::uint8_t { kData = 0, kUserLast = 239, kCheckpoint = 240, kPageImage };

// A record: bytes and what they are. Lends the bytes.
struct LogRecord {
  std::string_view bytes;
  LogKind kind = LogKind::kData;

  LogRecord() = default;
  template <typename Bytes>
    requires std::is_convertible_v<const Bytes&, std::string_view>
  LogRecord(const Bytes& record, LogKind of = LogKind::kData) : bytes(record), kind(of) {}
};
using LogRecords = std::span<const LogRecord>;

// One recovered unit.
struct LogUnit {
  Lsn lsn;
  Lsn end;  // just after it
  LogRecords records;
};
using LogReplay = std::function<Status(const LogUnit&)>;

// A fence that the caller made durable: whoever replays may start at replay_from.
struct LogCheckpoint {
  Lsn lsn;          // of the checkpoint itself
  Lsn replay_from;
  std::string note; // the caller's
};

struct RecoveryReport {
  std::uint64_t segments = 0;
  std::uint64_t units = 0;       // delivered
  std::uint64_t records = 0;     // delivered
  std::uint64_t bytes = 0;       // read
  std::uint64_t torn_bytes = 0;  // cut from the tail: written, never acknowledged as durable
  // Behind the damage where the log ends now (kTolerateTail, kPointInTime): bytes of that segment
  // that are not zero, some of which may count as torn_bytes too, and the sizes of the files after
  // it.
  std::uint64_t cut_bytes = 0;
  // Files, in the log's folder, that hold the segments after that one: the log neither reads nor
  // deletes them. None when it was opened read_only.
  std::vector<std::string> set_aside;
  std::int64_t micros = 0;
  Lsn end;                       // just after the last valid unit
  std::optional<LogCheckpoint> checkpoint;  // the newest of those delivered
};

struct LogAck {
  Lsn lsn;                        // of the unit
  Lsn end;                        // just after it
  std::uint64_t bytes = 0;        // from lsn to end
  std::uint64_t group_units = 0;  // units in the flush that carried it; 0: not known
  std::int64_t wait_micros = 0;   // from enqueue to the ack
};
using LogCallback = std::function<void(const Result<LogAck>&)>;

// A unit's place in the log, given before it is on the device. Cheap to copy.
struct LogTicket {
  Lsn lsn;
  Lsn end;
  std::int64_t enqueued_micros = 0;
};

// An open transaction. Zero is none.
struct LogTransaction {
  std::uint64_t value = 0;
  auto operator<=>(const LogTransaction&) const = default;
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

// Counts of one quantity. bucket[i] counts values below 2^i, the last one all the rest.
struct LogHistogram {
  std::uint64_t buckets[32] = {};
  std::uint64_t count = 0;
  std::uint64_t sum = 0;
};

struct LogStats {
  std::string id;  // 32 hex digits, random, fixed when the log was made
  LogPositions positions;
  Lsn first;  // oldest position still readable
  std::vector<LogSegmentInfo> segments;
  std::uint64_t units = 0;    // written since open
  std::uint64_t records = 0;  // written since open
  std::uint64_t groups = 0;   // flushes since open
  std::uint64_t syncs = 0;    // device syncs on the commit path since open
  std::uint64_t bytes_written = 0;
  LogSyncMethod sync_method = LogSyncMethod::kFdatasync;  // in use
  LogEncodeMode encode_mode = LogEncodeMode::kParallel;   // in use
  std::string serial_reason;  // why it is kSerial though it was not asked for; else empty
  std::uint64_t open_transactions = 0;
  bool stopped = false;       // by a failure: every append fails until the log is opened again
  std::uint64_t log_bytes_max = 0;           // as in LogOptions; 0: none
  std::uint64_t waiting_for_truncation = 0;  // appends that log_bytes_max holds back now
  LogHistogram queue_micros;   // from enqueue until a flush of another caller takes the unit
  LogHistogram encode_micros;  // of a unit; sampled
  LogHistogram flush_micros;   // write and sync of a group
  LogHistogram ack_micros;     // from enqueue to the ack, of those who waited
};

// What TruncateBefore removed, or would remove.
struct LogTruncation {
  std::uint64_t segments = 0;
  std::uint64_t bytes = 0;
  Lsn first;       // oldest position readable afterwards
  Lsn held_at{};   // the lowest pin or checkpoint before the fence, which holds the rest; else 0
};

// While it lives nothing at or after its position is truncated. Movable; any thread may end it.
class LogPin {
 public:
  LogPin() = default;
  explicit LogPin(std::shared_ptr<void> held) : held_(std::move(held)) {}

 private:
  std::shared_ptr<void> held_;
};

class Log {
 public:
  // Opens or creates the log in `dir`, recovers it, and calls `replay` for each unit in order; an
  // error from `replay` ends Open with that error. Memory is bounded by the largest unit, and
  // RecoveryOptions::read_ahead_bytes. A log that was created is durable when Open returns: from
  // then on its absence is a loss.
  // Errors: Unavailable/kLocked (says by whom), Corruption (says file, offset, expected, found; no
  // byte is changed), Invalid/kUnsupportedFormat, Invalid/kWrongKey, NotFound/kMissingKey,
  // Unavailable/kIo, kNoSpace, kPermission; NotFound when there is no log and none was to be made
  // (read_only, create_if_missing).
  static Result<std::unique_ptr<Log>> Open(const std::string& dir, const LogOptions& options,
                                           const LogReplay& replay,
                                           const RecoveryOptions& recovery = {},
                                           const LogComponents& components = {});

  // Closes without waiting for anything that was not acknowledged. Prefer Close.
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  // Appends one unit and waits until it reached `level`.
  // Errors: Invalid when there is no record, when no truncation could make room for the unit
  // (log_bytes_max), or after Close (kClosed); Unavailable/kTimedOut when the queue stayed full
  // (queue_wait_ms_max); Unavailable/kNoSpace when no segment could be made; Unavailable, "out of
  // memory".
  // After these the unit is certainly not kept. Unavailable/kUnknownOutcome when a write or sync
  // failed.
  Result<LogAck> Append(LogRecords records, AckLevel level = AckLevel::kDurable);
  Result<LogAck> Append(std::initializer_list<LogRecord> records,
                        AckLevel level = AckLevel::kDurable);

  // The same without waiting: `done` is called once, by another thread or by this one, when the
  // unit reached `level` or never will; those of several units may run at once. It must be quick
  // and must not call the log's blocking members; it may append in this way again. A thread that
  // waits may run the callbacks of others; one that enqueues does not, unless memory is refused.
  // When the log is destroyed, kClosed says that the unit is not kept, and kUnknownOutcome that it
  // was written and may be. AppendAsync throws std::bad_alloc when there is no memory for the
  // future, and then nothing was appended.
  void AppendThen(LogRecords records, AckLevel level, LogCallback done);
  std::future<Result<LogAck>> AppendAsync(LogRecords records,
                                          AckLevel level = AckLevel::kDurable);

  // The two halves of Append, for callers who must order units themselves: Enqueue copies the
  // records, fixes their place in the order and returns at once (it blocks only while the queue is
  // full); Wait returns when the ticket reached `level`. `to_come` is the level that will be waited
  // for: below kDurable the sync policy flushes the unit, at kDurable whoever waits.
  Result<LogTicket> Enqueue(LogRecords records, AckLevel to_come = AckLevel::kBuffered);
  Result<LogAck> Wait(const LogTicket& ticket, AckLevel level = AckLevel::kDurable);
  // Wait without waiting: `done` as that of AppendThen.
  void WaitThen(const LogTicket& ticket, AckLevel level, LogCallback done);

  // A unit that is put together over time, in memory (at most 2 GiB), beside others. Commit appends
  // it; Abort forgets it; both end the transaction, and so does Close. A Commit whose unit is
  // certainly not kept (see Append; an empty one too) leaves the transaction open.
  // Errors: NotFound when there is no such open transaction; Commit's otherwise as Append's.
  Result<LogTransaction> Begin();
  Status AppendTo(LogTransaction transaction, LogRecords records);
  Result<LogAck> Commit(LogTransaction transaction, AckLevel level = AckLevel::kDurable);
  Status Abort(LogTransaction transaction);

  // Waits until everything before `position` reached `level`, at most `timeout_ms`.
  // Errors: Invalid when the position was never given out; Unavailable/kTimedOut; as Append's.
  Status WaitUntil(Lsn position, AckLevel level = AckLevel::kDurable,
                   std::optional<std::uint64_t> timeout_ms = {});

  // Makes everything appended so far durable.
  Status Sync();

  // Appends a checkpoint, durably, as a unit that replay sees too: whoever opens with
  // from_checkpoint replays from `replay_from`, which must be durable. `note` comes back with it.
  // Errors: as Append's; NotFound when `replay_from` was truncated already.
  Result<LogAck> Checkpoint(Lsn replay_from, std::string_view note = {});

  // In a child by fork: what was known when the log was opened.
  LogPositions positions() const;
  LogStats stats() const;
  const RecoveryReport& recovery() const;
  // The stats in Prometheus' text form, each name begun by `prefix`.
  std::string PrometheusText(std::string_view prefix = "varve_log_") const;

  // Ends the current segment; the next unit starts a new one.
  Status Rotate();

  // Keeps everything at or after `position` until the pin is gone.
  // Errors: NotFound when the position was truncated already.
  Result<LogPin> Pin(Lsn position);

  // Removes segments wholly before `fence` (which must be durable), every pin and what the newest
  // checkpoint says to replay. Never the active one. `dry_run` only tells, also of a read-only log.
  Result<LogTruncation> TruncateBefore(Lsn fence, bool dry_run = false);

  // Makes everything durable, seals the active segment and gives back its unused space.
  Status Close();

 private:
  class Impl;
  explicit Log(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace varve
