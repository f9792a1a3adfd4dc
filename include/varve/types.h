// SPDX-License-Identifier: Apache-2.0
// The small values that the whole API speaks in. Distinct types, so that a commit number cannot be
// passed where a log position is meant. All are plain values: copy them freely.
#pragma once

#include <compare>
#include <cstdint>

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

// Facts about one acknowledged commit.
struct CommitInfo {
  CommitNumber commit;
  Lsn lsn;                       // where its unit starts in the log
  std::uint64_t rows = 0;        // rows kept (duplicates of a key inside the batch count once)
  std::uint64_t log_bytes = 0;   // bytes the log took for it
  std::uint64_t group_units = 0; // units that shared its sync, itself included; 0 when not waited
};

}  // namespace varve
