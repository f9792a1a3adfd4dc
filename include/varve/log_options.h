// SPDX-License-Identifier: Apache-2.0
// Settings of a varve::Log. Plain values: change what you need, the rest is the safe choice.
//
//   varve::LogOptions options = varve::LogOptions::Latency();
//   options.compression = varve::LogCompression::kLz4;
//
// Every setting can also come from the environment: LogOptions::FromEnvironment reads
// VARVE_LOG_<FIELD>, for example VARVE_LOG_COMPRESSION=zstd or VARVE_LOG_GROUP_BYTES_MAX=65536.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include "varve/error.h"
#include "varve/types.h"

namespace varve {

class Clock;     // src/base/clock.h
class Executor;  // src/base/executor.h
class Files;     // src/files/files.h
class LogArchive;      // varve/log_archive.h
class KeyProvider;  // below
class Random;          // src/base/random.h
class TraceSink;       // varve/trace.h

// When what was written is synced without anybody waiting for it. Whoever waits for kDurable gets
// a sync at once under every policy.
enum class LogSyncPolicy : std::uint8_t {
  kEveryGroup,  // each group, as soon as the one before it is through
  kInterval,    // sync_interval_ms after the first unit that is not durable
  kBytes,       // when sync_bytes are written and not durable
  kNever,       // only when somebody waits, rotates or closes
};

// How bytes are made durable.
enum class LogSyncMethod : std::uint8_t {
  kAuto,         // measured at the first open on a device, then remembered in the folder
  kFdatasync,    // pwrite, fdatasync
  kFsync,        // pwrite, fsync
  kDsync,        // pwritev2 with RWF_DSYNC
  kDirectDsync,  // the same past the page cache (O_DIRECT)
};

enum class LogCompression : std::uint8_t { kNone, kLz4, kZstd };

// Who encodes a unit (copies, compresses, encrypts, checksums it).
enum class LogEncodeMode : std::uint8_t {
  kParallel,  // the caller's thread, into its reserved place, under no lock
  kSerial,    // the same steps under the log's mutex, one unit after the other
  kShadow,    // parallel; a sample is encoded again serially and compared before it is written. A
              // mismatch is mended from the serial form and turns the log serial, see LogStats
};

// Gives the keys that encrypt a log, or a whole database (OpenOptions::keys). They encrypt no data
// themselves: each file has a data key of its own, which stands in it, or in the manifest, wrapped
// by the key named here. Thread-safe. What it throws becomes an Internal error.
class KeyProvider {
 public:
  virtual ~KeyProvider() = default;
  // The id (1 to 64 bytes, not secret) of the key that wraps new data keys. Changing it rotates:
  // what is written from then on is under the new key, what there is stays under its own.
  virtual Result<std::string> CurrentKeyId() = 0;
  // The 32 bytes of a key. NotFound: this provider has no such key. Invalid/kExpiredKey: it does
  // not give it any more. Of both the caller of varve is told which key is needed for what.
  virtual Result<std::string> Key(std::string_view key_id) = 0;
};

struct LogOptions {
  // Segments.
  // A segment has this size at most (bytes on disk, header included); a unit that needs more goes
  // on in the next segment. After each open the first segment has 1 MiB and the next ones double,
  // so that a small log is small on disk. At least 32 KiB.
  std::uint64_t segment_bytes_max = 64ull << 20;
  // A segment older than this is ended by the next append. 0: no limit.
  std::uint64_t segment_age_ms_max = 0;
  // Segments that truncation keeps for reuse instead of deleting them.
  std::uint32_t recycled_segments_max = 2;
  // When the segments together have this size, appends wait for a truncation; checkpoints go on,
  // beyond it, so that there can be one. Nothing that is needed is ever deleted for it. A unit for
  // which no truncation can make room is refused (Invalid). 0: no limit.
  std::uint64_t log_bytes_max = 0;

  // Groups and the queue.
  // Units waiting for the flush that is under way may hold this many bytes; then Append waits.
  std::uint64_t queue_bytes_max = 64ull << 20;
  // How long it waits before it gives up with Unavailable/kTimedOut. 0: it does not wait.
  std::uint64_t queue_wait_ms_max = std::numeric_limits<std::uint64_t>::max();
  // A flush carries at most about this many bytes, and this many units (0: no limit).
  std::uint64_t group_bytes_max = 16ull << 20;
  std::uint64_t group_units_max = 0;
  // A group may wait this long, from its first unit, for others to join. 0: it does not wait.
  std::uint64_t linger_us = 0;

  // Durability.
  LogSyncPolicy sync_policy = LogSyncPolicy::kEveryGroup;
  std::uint64_t sync_interval_ms = 50;
  std::uint64_t sync_bytes = 1u << 20;
  LogSyncMethod sync_method = LogSyncMethod::kAuto;

  // Encoding.
  LogEncodeMode encode_mode = LogEncodeMode::kParallel;
  std::uint32_t shadow_per_mille = 1000;  // of the units, under kShadow
  // Per unit, and kept only where it is smaller. Units below 64 bytes are not tried.
  LogCompression compression = LogCompression::kNone;
  // Units are encrypted with AES-256-GCM when there is a provider. It must outlive the log.
  KeyProvider* keys = nullptr;

  // Open nothing for writing, change nothing, take no exclusive lock.
  bool read_only = false;
  // Without: NotFound where there is no log, also when its files are gone and its folder is left.
  bool create_if_missing = true;
  // 32 hex digits: open the log that has this id, and refuse another's files as Corruption. Empty:
  // whichever is there. See LogStats::id.
  std::string id;

  // The defaults, moved along one axis.
  static LogOptions Throughput();  // larger queue, and a linger that fills groups
  static LogOptions Latency();     // a short queue and small groups: less stands before a commit
  static LogOptions Durable();     // fsync, which also keeps times and all other metadata

  // `base` with what the environment says. An unknown VARVE_LOG_* variable or a value that cannot
  // be is Invalid and names the variable. `environment` gives all "NAME=value" strings; the
  // process's own when null.
  static Result<LogOptions> FromEnvironment(LogOptions base,
                                            const char* const* environment = nullptr);
};

// What stands between the log and the outside. Null members mean the real one, or none.
struct LogComponents {
  Files* files = nullptr;
  Clock* clock = nullptr;
  Random* random = nullptr;
  Executor* executor = nullptr;  // runs segment creation ahead of need, and deferred syncs
  TraceSink* trace = nullptr;
  // Called when more of the log is durable, by the thread that wrote it, with no lock of the log
  // held. Must be quick, must not throw, and must not append or wait.
  std::function<void()> on_durable;
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
  // Start where the newest checkpoint says (Log::Checkpoint), if that is after replay_from.
  bool from_checkpoint = false;
  // The caller knows that everything before this position was durable. A log that ends earlier is
  // damaged, not torn.
  Lsn known_durable{};
  // Of a log that is longer than some MiB the next frames are read, checked and decoded by other
  // threads (LogComponents::executor, or two of its own) while `replay`, which only ever runs in
  // the thread that opens, takes the units. What they prepare may hold this much memory. The units,
  // their order and every judgement are the same without; a read that fails for them is tried again
  // by the thread that opens. Frames larger than 3/16 of this are not read ahead. 0, or below
  // 64 KiB: nothing is.
  std::uint64_t read_ahead_bytes = 32ull << 20;
};

}  // namespace varve
