// SPDX-License-Identifier: Apache-2.0
// The small values that the whole API speaks in. Distinct types, so that a commit number cannot be
// passed where a log position is meant. All are plain values: copy them freely.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>

namespace varve {

// Position of a commit in the one order of a database: 1, 2, 3, ... Zero is "before the first".
struct CommitNumber {
  std::uint64_t value = 0;
  auto operator<=>(const CommitNumber&) const = default;
};

// Log sequence number: a byte position in a log's stream. Grows for ever, is never used twice.
struct Lsn {
  std::uint64_t value = 0;
  auto operator<=>(const Lsn&) const = default;
};

// Wall-clock time, microseconds since 1970-01-01T00:00:00Z. Nothing is ordered by it.
struct WallTime {
  std::int64_t micros = 0;
  auto operator<=>(const WallTime&) const = default;
};

// How far a commit must have come before the call returns.
enum class AckLevel : std::uint8_t {
  kBuffered,  // accepted in this process; lost if the process dies
  kWritten,   // handed to the operating system; survives the process, not a power cut
  kDurable,   // on the device; survives a power cut. The default everywhere.
};

// The newest sequence that a producer committed.
struct ProducerMark {
  std::uint64_t sequence = 0;
  CommitNumber commit;
};

// What an int64 counts since 1970-01-01T00:00:00Z.
enum class EpochUnit : std::uint8_t { kMicros, kMillis, kSeconds, kNanos };
// A row expires so long after the time in this column: a timestamp of any unit, with or without a
// zone, a date, or an int64 of `unit`. From then on nobody sees it (docs/design/0023), and what it
// takes on disk comes back. Where the column is null the row lives for ever.
struct TimeToLive {
  std::string column;
  std::int64_t micros = 0;            // 0: at that time
  EpochUnit unit = EpochUnit::kMicros;  // of an int64; others have their own
  bool operator==(const TimeToLive&) const = default;
};

// Where the time of one commit went, in microseconds; together all of the call.
struct WriteProfile {
  std::int64_t encode_micros = 0;  // match the schema, keys, bytes for the log; what was read first
  std::int64_t stall_micros = 0;   // wait for room in the memtables
  std::int64_t pressure_micros = 0;  // wait for flushes or compaction (DatabaseStats::pressure)
  std::int64_t queue_micros = 0;   // wait for its number and its place in the log
  std::int64_t memtable_micros = 0;  // insert
  std::int64_t log_micros = 0;       // wait for the device, and for the commits before it
};

// Where the time of one scan went, in microseconds of the thread that read.
struct ScanProfile {
  std::int64_t plan_micros = 0;   // settle columns, filter, keys, and row groups to be read
  std::int64_t first_micros = 0;  // the first ReadNext: open the sources, merge the first rows
  std::int64_t read_micros = 0;   // every ReadNext, the first one included
  std::uint64_t rows = 0;
  std::uint64_t batches = 0;
};

// Facts about one acknowledged commit.
struct CommitInfo {
  CommitNumber commit;
  Lsn lsn;                        // where its unit starts in the log
  std::uint64_t rows = 0;         // rows kept (duplicates of a key inside the batch count once)
  std::uint64_t rows_passed = 0;  // rows that the WriteMode left out
  std::uint64_t log_bytes = 0;    // bytes the log took for it
  bool repeat = false;            // the producer had committed this sequence: nothing was written
                                  // now, and `commit` is the first one's
  std::uint64_t group_units = 0;  // units that shared its sync, itself included; 0 when not waited
  std::optional<WriteProfile> profile;  // when CommitOptions asked for it
};

// What the memtables of all tables hold since they were last sealed.
struct MemtableState {
  std::uint64_t bytes = 0;      // of Arrow data, keys and their index
  std::uint64_t rows = 0;       // versions of rows, deletes included
  std::uint64_t commits = 0;
  std::int64_t age_micros = 0;  // since the first of them, by the steady clock
};

// How files are merged. Leveled: rows lie in few places, so reads are cheap, and take little space;
// each is written about ten times for each tenfold growth of its table. Tiered: files of like size
// are merged with each other, so rows are written a third as often, while what was overwritten
// stays for longer, and reads look into more files (docs/design/0024).
enum class CompactionStrategy : std::uint8_t { kLeveled, kTiered };

}  // namespace varve
