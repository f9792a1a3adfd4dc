// SPDX-License-Identifier: Apache-2.0
// Group commit by leader and followers, with no timer.
//
// Units gather in a group. Whoever waits while no flush is on its way takes the gathered group,
// writes it, syncs, and publishes how far the log came; units that arrive meanwhile gather in the
// next group. When the flush is done everybody who waited for it is woken by one futex word and
// takes no lock, and one of those who wait for the next group is told to lead it.
//
// Who waits on a group that still gathers cannot be satisfied before that group was taken: so the
// nudge to lead it is never lost.
//
// A flush nobody waits for is asked from the executor: one task at a time.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "log/group_layout.h"
#include "log/log_writer.h"
#include "log/segment_supply.h"
#include "varve/log.h"

namespace varve {

struct QueueSettings {
  Clock* clock;
  std::uint64_t queue_bytes_max;
  std::function<void()> ask_for_sync;     // runs SyncDeferred later, in some thread
  std::function<void()> ask_for_segment;  // runs SegmentSupply::MakeAhead later
};

// Thread-safe.
class CommitQueue {
 public:
  CommitQueue(QueueSettings settings, LogWriter* writer, SegmentSupply* supply);

  // `deferred`: nobody may ever wait for the unit, so the executor must flush it.
  Result<LogTicket> Enqueue(std::span<const std::string_view> records, bool deferred);
  Result<LogAck> Wait(const LogTicket& ticket, AckLevel level);
  Status Sync();
  Status Rotate();
  // Starts a segment now, so that its link is durable.
  Status BeginSegment();
  // Syncs everything, seals, refuses everything later. Also after an error the queue is closed.
  Status Close();
  // Refuses everything later, and waits for the flush that is on its way.
  void Abandon();
  void SyncDeferred();

  LogPositions positions() const;
  std::uint64_t units() const;
  std::uint64_t records() const;

 private:
  using Lock = std::unique_lock<std::mutex>;

  // One flush. Its word: bit 0 is set when it is done; otherwise a change tells one waiter to lead.
  struct Group {
    std::atomic<std::uint32_t> word = 0;
    std::vector<PendingFrame> frames;  // of the leader, once taken
    std::uint64_t units = 0;
    std::uint64_t bytes = 0;
    Lsn begin;                         // of its first unit
    Lsn end;                           // of its last unit
    bool sync = false;                 // fixed when taken
    bool failed = false;               // set before done
    std::uint32_t waiters = 0;         // while it gathers

    bool Carries(Lsn up_to, AckLevel level) const {
      return up_to <= end && (level != AckLevel::kDurable || sync);
    }
  };
  using GroupPtr = std::shared_ptr<Group>;
  enum class Flushing : std::uint8_t { kWrite, kSync, kSeal };

  Status CheckOpen() const;
  Status MakeRoom(Lock* lock, std::uint64_t unit_bytes);
  Status AddSegment(Lock* lock);
  // Gives the group that was waited for, if one carried it there; then the lock is not held.
  Result<GroupPtr> WaitFor(Lock* lock, Lsn end, AckLevel level);
  // Waits until `group` is done (true, lock not held) or a waiter of it should lead (lock held).
  bool WaitOn(Lock* lock, const GroupPtr& group);
  void PassNudgeOn();
  Status Flush(Lock* lock, Flushing how);
  Status WriteGroup(Group* group, Flushing how);
  void Publish(Group* group, const Status& done);
  GroupPtr Take(Flushing how);
  void Finish(Lock* lock, const GroupPtr& group);
  void Poison(const Error& cause);
  void WaitForFlush(Lock* lock);
  bool Reached(Lsn end, AckLevel level) const;
  std::uint64_t UnitsOfGroupAt(Lsn lsn) const;
  bool NeedsDeferredSync();

  const QueueSettings settings_;
  LogWriter* const writer_;       // of the leader
  SegmentSupply* const supply_;

  mutable std::mutex mutex_;      // guards all below
  GroupLayout layout_;
  GroupPtr gathering_;
  GroupPtr flushing_;             // null: no flush is on its way
  LogPositions positions_;
  std::optional<Error> poison_;
  bool closed_ = false;
  bool growing_ = false;          // somebody is getting a segment
  std::condition_variable grown_;
  bool sync_asked_ = false;       // a deferred sync is with the executor
  std::uint64_t units_ = 0;
  std::uint64_t records_ = 0;
  std::deque<std::pair<Lsn, std::uint64_t>> done_;  // end and units of the last groups written
};

}  // namespace varve
