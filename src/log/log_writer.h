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
#include <optional>
#include <string>
#include <vector>

#include "files/files.h"
#include "log/log_recovery.h"
#include "log/segment_supply.h"

namespace varve {

// A frame whose place is fixed and whose header is still room.
struct PendingFrame {
  OpenSegmentPtr segment;
  std::uint64_t offset = 0;
  std::uint16_t flags = 0;
  std::uint32_t units = 0;    // that end in it
  std::uint32_t records = 0;  // of those units
  Lsn unit_end;               // of the last whole unit up to and with this frame
  Lsn open_unit;              // that goes on behind it; 0: none
  std::string bytes;          // kFrameHeaderBytes of room, then the payload
};

// One caller at a time, except for Segments and Truncate and the counters.
class LogWriter {
 public:
  LogWriter(Files* files, std::string dir, const LogTail& tail, std::vector<UsedSegment> segments);

  // Writes the frames of one flush, in order. After any error the writer must not be used again.
  Status Write(std::vector<PendingFrame>* frames);
  // Makes everything written durable.
  Status Sync();
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
  // Removes the oldest segments, as long as nothing at or after `fence` lies in them, and never one
  // whose successor is not durable.
  Status Truncate(Lsn fence);
  std::uint64_t groups() const { return groups_; }
  std::uint64_t syncs() const { return syncs_; }
  std::uint64_t bytes_written() const { return bytes_written_; }

 private:
  Status Enter(const OpenSegmentPtr& segment);
  Status ReopenLast();
  Status WriteFrame(FrameHeader header, std::uint64_t offset, std::string* bytes);
  Status SyncFile();
  void NoteEnd();

  Files* const files_;
  const std::string dir_;

  // Of the one who writes.
  LogTail tail_;
  OpenSegmentPtr current_;
  bool open_is_cut_;             // the open unit of tail_ was cut by a crash
  Lsn durable_;

  mutable std::mutex mutex_;
  std::mutex truncating_;
  std::optional<Error> truncate_failure_;  // guarded by truncating_
  std::vector<UsedSegment> segments_;    // guarded by mutex_; the last one is the current one
  bool last_is_durable_ = false;         // guarded by mutex_; its link was synced
  std::atomic<std::uint64_t> groups_ = 0;
  std::atomic<std::uint64_t> syncs_ = 0;
  std::atomic<std::uint64_t> bytes_written_ = 0;
};

}  // namespace varve
