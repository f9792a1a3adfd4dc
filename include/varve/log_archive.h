// SPDX-License-Identifier: Apache-2.0
// A second place for a varve::Log: its segments are copied to an archive, byte for byte, and a
// restore writes them back as the same log, whole or as it was at an earlier position.
//
//   auto archive = varve::NewFolderArchive("/backup/orders");
//   auto archiver = varve::LogArchiver::Open(log.get(), "orders.log", archive.get());
//   (*archiver)->ArchiveNow();                       // or LogArchiverOptions::interval_ms
//   ...
//   varve::RestoreLog(archive.get(), "restored.log", {.until = ack.end});
//
// While an archiver lives, no truncation removes what is not yet in the archive: it holds a pin of
// the log (a log whose archive fails grows, up to LogOptions::log_bytes_max). Appends never wait
// for the archive. Nothing is ever deleted or changed at the source. Make the archiver before
// anybody truncates: history that went while there was none cannot be archived any more.
//
// One archive holds one history of one log. Another log is refused, and so is this log when it was
// put back to an earlier point and went on from there: give it an archive of its own.
// Objects of an archive, all immutable:
//   log.id                       32 hex digits: the log's id
//   <16 hex digits>.log          a segment that is finished; the digits are its sequence
//   <16 hex>.<16 hex>.log        the same, where recovery cut damage off; then its size
//   <16 hex>.<..>.<..>.tail      bytes of the segment that is still written to, from an offset to
//                                another; deleted once the whole segment is there
// The oldest .log objects may be deleted, in order: the archive then begins later. Encrypted
// segments stay encrypted: neither archiving nor restoring needs a key.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "varve/error.h"
#include "varve/log.h"
#include "varve/log_options.h"
#include "varve/types.h"

namespace varve {

struct LogArchiveObject {
  std::string name;
  std::uint64_t size = 0;
};

// Where the objects are: a folder (below), or what you make of an object store. Names are of
// [a-z0-9.]. A name is absent or holds the complete bytes of one finished put.
// Errors: NotFound; Conflict/kAlreadyExists; Unavailable. After an Unavailable of Finish the object
// may be there or not; the archiver looks. Thread safety: an archiver and a restore may share one.
class LogArchive {
 public:
  // A put in pieces. Dropped without Finish: nothing is there.
  class Put {
   public:
    virtual ~Put() = default;
    virtual Status Append(std::string_view bytes) = 0;
    // Durable on return. Conflict/kAlreadyExists when the name is taken, which keeps its bytes.
    virtual Status Finish() = 0;
  };

  virtual ~LogArchive() = default;
  // Called before an archiver trusts what List says: afterwards what it lists is durable, whatever
  // happened to the process that put it.
  virtual Status Settle() { return {}; }
  virtual Result<std::unique_ptr<Put>> NewPut(const std::string& name) = 0;
  // Exactly `size` bytes; Corruption when the object ends before.
  virtual Result<std::string> Read(const std::string& name, std::uint64_t offset,
                                   std::uint64_t size) = 0;
  virtual Result<std::vector<LogArchiveObject>> List() = 0;  // by name; empty: nothing was put
  virtual Status Delete(const std::string& name) = 0;        // fine if absent
  // Where the object is for a person: a path, a URL.
  virtual std::string Describe(const std::string& name) const = 0;
};

// A folder, made at the first put. Of the components: files and random, which must outlive it.
std::unique_ptr<LogArchive> NewFolderArchive(const std::string& folder,
                                             const LogComponents& components = {});

enum class LogArchiveExtent : std::uint8_t {
  kSealed,  // segments that are finished: that have a successor
  kTail,    // and what is durable of the last one
};

struct LogArchiverOptions {
  // Archive by itself this often, in the background. 0: when it is asked to.
  std::uint64_t interval_ms = 0;
  LogArchiveExtent interval_extent = LogArchiveExtent::kTail;
  // Read every object back after its put and compare checksums before it counts.
  bool verify_puts = true;
};

struct LogArchiverStatus {
  Lsn archived;                  // every unit that ends at or before it is in the archive
  std::uint64_t lag_bytes = 0;   // of the log's files, not in the archive
  std::uint64_t objects = 0;     // put by this archiver
  std::uint64_t failures = 0;    // runs that ended with an error
  std::optional<Error> last_error;  // of the last run; nothing when it went well
};

// Thread-safe. End it before the log; `archive` must outlive it.
class LogArchiver {
 public:
  // `dir` is the folder of `log`. The archive is not asked yet: it may be out of reach.
  // Of the components: files, executor (its own thread when null). Errors: Invalid/kReadOnly, I/O.
  static Result<std::unique_ptr<LogArchiver>> Open(Log* log, const std::string& dir,
                                                   LogArchive* archive,
                                                   const LogArchiverOptions& options = {},
                                                   const LogComponents& components = {});
  // Waits for a run that is under way.
  ~LogArchiver();
  LogArchiver(const LogArchiver&) = delete;
  LogArchiver& operator=(const LogArchiver&) = delete;

  // Copies what is durable and not in the archive. Each segment is checked, frame by frame, as it
  // is read. After an error the next call goes on where the archive stands.
  // Errors: Invalid when the archive is of another log; Corruption when it holds another history of
  // this log, lacks an object, or the segment is damaged (says which); NotFound when the log was
  // truncated beyond the archive's end; Unavailable.
  Status ArchiveNow(LogArchiveExtent extent = LogArchiveExtent::kTail);
  // The same in the background; the outcome is in status().
  void ArchiveSoon(LogArchiveExtent extent = LogArchiveExtent::kTail);

  LogArchiverStatus status() const;

 private:
  class Core;
  explicit LogArchiver(std::shared_ptr<Core> core);
  std::shared_ptr<Core> core_;
};

struct LogRestoreOptions {
  // Only units that end at or before this position (LogAck::end), all of them. 0: everything.
  Lsn until{};
};

// Writes the log into `dir`, which must be empty or missing: same id, same positions, same bytes of
// every unit; sealed, as after Close. With `until` it ends after exactly the units asked for, and
// positions that the archive knows beyond are not given out again. The result was read back and
// verified; its name is given last: what a crash leaves is never taken for the log.
// Errors: Conflict/kAlreadyExists when `dir` holds files; NotFound when the archive is empty, or
// does not reach `until`; Corruption (names the object) when one is missing, damaged or another
// log's; Unavailable. After an error nothing is left in `dir` but what could not be removed.
Result<RecoveryReport> RestoreLog(LogArchive* archive, const std::string& dir,
                                  const LogRestoreOptions& options = {},
                                  const LogComponents& components = {});

}  // namespace varve
