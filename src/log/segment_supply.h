// SPDX-License-Identifier: Apache-2.0
// Makes the segments that the log will write to: ahead of need, by a background task, so that no
// commit pays for one; at the moment of need when the task did not come in time.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "files/files.h"
#include "log/log_format.h"
#include "log/log_recovery.h"
#include "log/segment_cipher.h"

namespace varve {

// A segment that this process made and writes to.
struct OpenSegment {
  SegmentHeader header;
  std::string name;
  std::unique_ptr<File> file;
  std::shared_ptr<const SegmentCipher> cipher;  // null: not encrypted
  SyncMethod sync_method = SyncMethod::kFdatasync;
  std::int64_t entered_micros = 0;  // when units began to go there; the queue's, steady clock
};
using OpenSegmentPtr = std::shared_ptr<OpenSegment>;

struct SupplySettings {
  Files* files;
  Clock* clock;
  Random* random;
  std::string dir;
  std::uint64_t segment_bytes_max;
  KeyProvider* keys;  // null: not encrypted
  LogSyncMethod sync_method;
  std::uint32_t recycled_max;  // files kept for use again
};

// Thread-safe. Every segment it gives is durable, header and name.
class SegmentSupply {
 public:
  // `tail` has a log id. `unused`: names of files after the tail. The first segment replaces one of
  // them; then the others are removed, before anybody gets the segment.
  SegmentSupply(const SupplySettings& settings, const LogTail& tail,
                std::vector<std::string> unused);

  // The next segment, in sequence. Never waits for a task that did not begin. An error leaves all
  // as it was, and a later call may succeed, but after kUnknownOutcome none does. Neither this
  // nor MakeAhead throws.
  Result<OpenSegmentPtr> Take();
  // Makes one if none stands by. An error is Take's to find again and to tell.
  void MakeAhead();
  // Puts segments that Take gave, and that were never written to, back at the front. Without memory
  // for it no more segments are given: theirs would come behind a gap.
  void PutBack(std::vector<OpenSegmentPtr> segments);
  // Removes all that stand by but the first `keep`, the last first; none when a later one may be
  // there. May throw std::bad_alloc; after
  // a failure the supply must not be used again.
  Status Trim(std::size_t keep);
  // Whether one more file should be kept for use again; then AddFree tells its name, which is
  // durably no longer that of a segment; without memory it is forgotten until the next open.
  bool WantsFree();
  void AddFree(std::string name);
  // Size of the segment that Take would make.
  std::uint64_t NextBytes() const { return next_capacity_.load(std::memory_order_relaxed); }
  // Waits for what is being made; MakeAhead does nothing from now on.
  void Stop();

 private:
  Result<OpenSegmentPtr> Make();
  void NoteFailure(const Result<OpenSegmentPtr>& made);  // requires mutex_
  SegmentHeader NextHeader() const;
  Status RemoveUnused();
  Result<std::unique_ptr<File>> MakeFile(const SegmentHeader& header);
  std::string TakeFree();
  void Pause();
  void Hurry();  // requires mutex_
  void ApplySyncMethod(OpenSegment* segment);

  const SupplySettings settings_;
  const LogId log_id_;

  // Of the one who is making a segment.
  std::uint64_t next_sequence_;
  std::uint64_t next_base_;
  std::atomic<std::uint64_t> next_capacity_;  // read by others too
  std::vector<std::string> unused_;
  OpenSegmentPtr made_;  // made, but what it replaces is not yet removed
  std::optional<SyncMethod> sync_method_;  // once it is known
  std::int64_t piece_since_ = 0;           // when the piece of a file that is being filled began

  std::atomic<std::uint32_t> hurry_ = 0;  // 1: somebody waits; a futex word, changed under mutex_
  std::mutex mutex_;
  std::condition_variable made_one_;
  bool making_ = false;                  // guarded by mutex_
  bool stopped_ = false;                 // guarded by mutex_
  std::deque<OpenSegmentPtr> ready_;     // guarded by mutex_
  std::vector<std::string> free_;        // guarded by mutex_
  std::optional<Error> failure_;         // guarded by mutex_; none is given any more
};

}  // namespace varve
