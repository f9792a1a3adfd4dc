// SPDX-License-Identifier: Apache-2.0
// Writes frames into segments: fills in headers and checksums, links, seals, syncs.
//
// Rolling to the next segment seals and syncs the one before. So everything in earlier segments is
// durable before the first byte goes into a later one, which is what lets recovery take a link as
// proof of all that lies before it.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "files/files.h"
#include "log/log_bytes.h"
#include "log/log_recovery.h"
#include "log/open_frame.h"
#include "log/segment_supply.h"
#include "varve/trace.h"

namespace varve {

// One caller at a time, except for Segments and Truncate and the counters.
class LogWriter {
 public:
  // `supply` is told of files that may be used again.
  LogWriter(Files* files, std::string dir, const LogTail& tail, std::vector<UsedSegment> segments,
            SegmentSupply* supply, TraceSink* trace);

  // Writes the frames of one flush, closed and complete, in order; with `sync` everything written
  // so far is durable afterwards. After any error the writer must not be used again.
  Status Write(const std::vector<OpenFrame*>& frames, bool sync);
  // Ends the current segment, if there is one: seal, sync, and its unused space given back but for
  // the block of a second seal, which says, when the log goes on, that it did.
  Status Seal(bool successor);
  // Writes the link of a first segment, durably.
  Status Begin(const OpenSegmentPtr& segment);

  Lsn written() const { return tail_.unit_end; }
  Lsn durable() const { return durable_; }
  // The log ends with a seal that does; the successor holds nothing yet.
  bool promises_successor() const { return tail_.promises_successor; }

  // Any thread.
  std::vector<UsedSegment> Segments() const;
  // Removes the oldest segments, as long as nothing at or after `fence` or a pin lies in them, and
  // never one whose successor is not durable.
  Result<LogTruncation> Truncate(Lsn fence, bool dry_run);
  // NotFound when the position was truncated.
  Result<LogPin> Pin(Lsn position);
  SyncMethod sync_method() const { return sync_method_; }
  std::uint64_t groups() const { return groups_; }
  std::uint64_t syncs() const { return syncs_; }
  std::uint64_t units() const { return units_; }
  std::uint64_t records() const { return records_; }
  // Whoever takes a segment for what will be written, or gives it back unused, says so here.
  LogBytes& bytes() { return bytes_; }
  std::uint64_t bytes_written() const { return bytes_written_; }

 private:
  Status Enter(const OpenSegmentPtr& segment);
  Status ReopenLast();
  Status EraseTornFrame();
  Status WriteFrame(FrameHeader header, std::uint64_t offset, char* frame,
                    std::uint64_t payload_bytes, bool durably = false);
  Status WriteGroup(OpenFrame& frame, bool durably);
  Status SyncFile();
  void NoteEnd();
  void NoteSynced();
  bool NoteSealed(std::uint64_t file_bytes);

  Files* const files_;
  const std::string dir_;
  SegmentSupply* const supply_;
  TraceSink* const trace_;

  // Of the one who writes.
  LogTail tail_;
  OpenSegmentPtr current_;
  bool open_is_cut_;             // the open unit of tail_ was cut by a crash
  bool left_open_;               // the log that was found does not end with a seal
  Lsn durable_;
  bool unsynced_ = false;        // the current segment has bytes that no sync covered

  // How many segments the fence allows to remove, all of which begin before `pinned`. Requires
  // mutex_.
  std::size_t Removable(Lsn fence, Lsn pinned) const;
  Status RemoveFirst(const LogSegmentInfo& segment);

  // Shared with the pins, which may outlive the writer.
  struct Pins {
    std::mutex mutex;
    std::multiset<Lsn> positions;  // guarded by mutex
  };
  const std::shared_ptr<Pins> pins_ = std::make_shared<Pins>();
  mutable std::mutex mutex_;
  std::mutex truncating_;  // a pin is taken under it too
  std::optional<Error> truncate_failure_;  // guarded by truncating_
  std::vector<UsedSegment> segments_;    // guarded by mutex_; the last one is the current one
  bool last_is_durable_ = false;         // guarded by mutex_; its link was synced
  LogBytes bytes_;
  std::atomic<std::uint64_t> groups_ = 0;
  std::atomic<std::uint64_t> syncs_ = 0;
  std::atomic<std::uint64_t> units_ = 0;
  std::atomic<SyncMethod> sync_method_ = SyncMethod::kFdatasync;  // of the current segment
  std::atomic<std::uint64_t> records_ = 0;
  std::atomic<std::uint64_t> bytes_written_ = 0;
};

}  // namespace varve
