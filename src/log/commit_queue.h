// SPDX-License-Identifier: Apache-2.0
// Group commit by leader and followers, with no timer.
//
// Units gather in frames, which many threads fill at once (open_frame.h). Whoever waits while no
// flush is on its way leads one: takes the gathered frames, writes them, syncs, and publishes how
// far the log came; units that arrive meanwhile gather for the next. When the flush is done
// everybody who waited for it is woken (group_waiters.h) and takes no lock, and one of those who
// wait for the next one is told to lead it. While several wait, a thread of the executor leads
// flush after flush instead, if one is free: that saves the time in which the next leader wakes.
//
// A waiter of the gathering group needs a flush that has not begun, so waking any of them to lead
// it is enough.
//
// A flush nobody waits for is asked from the executor: one task at a time. Each callback is served
// by a task that began after it was there, if not by a flush before. Callbacks of flushes run in
// one thread at a time, which does not lead and does not enqueue: they may append.
//
// Memory may be refused anywhere. Before a unit has a place its append says so, and nothing
// happened; a leader who is refused stops the log, as any failure does; what could not be asked
// from the executor is done by who asks. No exception leaves the queue, nor what it runs.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "log/group_layout.h"
#include "log/group_waiters.h"
#include "log/log_metrics.h"
#include "log/log_writer.h"
#include "log/segment_supply.h"
#include "log/unit_codec.h"
#include "varve/log.h"
#include "varve/trace.h"

namespace varve {

struct QueueSettings {
  Clock* clock;
  LogOptions options;
  std::function<void()> ask_for_flush;                     // runs FlushDeferred, in some thread
  std::function<void(std::int64_t)> ask_for_sync_in;       // runs SyncDeferred in so many micros
  std::function<void()> ask_for_flusher;                   // runs LeadWhileOthersWait
  std::function<void()> ask_for_segment;                   // runs SegmentSupply::MakeAhead
  TraceSink* trace;                                        // null: none
  std::function<void()> on_durable;                        // under no lock
};

// Thread-safe.
class CommitQueue {
 public:
  CommitQueue(QueueSettings settings, LogWriter* writer, SegmentSupply* supply);

  // `to_come`: the level that somebody will wait for. Below kDurable the sync policy decides when
  // the unit is synced.
  Result<LogTicket> Enqueue(LogRecords records, AckLevel to_come);
  Result<LogAck> Wait(const LogTicket& ticket, AckLevel level);
  // Calls `done` once the ticket's unit is at `level` or never will be.
  void Then(const LogTicket& ticket, AckLevel level, LogCallback done);
  Status WaitUntil(Lsn position, AckLevel level, std::optional<std::uint64_t> timeout_ms);
  Status Sync();
  // `last`: no unit gets a place behind those that it seals.
  Status Rotate(bool last = false);
  // Starts a segment now, so that its link is durable.
  Status BeginSegment();
  // Syncs everything, seals, refuses everything later. Also after an error the queue is closed.
  Status Close();
  // Refuses everything later, and waits for the flush that is on its way.
  void Abandon();
  void FlushDeferred();
  void SyncDeferred();
  void LeadWhileOthersWait();

  LogPositions positions() const;
  bool stopped() const;  // by a failure
  // Appends that log_bytes_max holds back.
  std::uint64_t waiting_for_truncation() const;
  const LogMetrics& metrics() const { return metrics_; }
  LogEncodeMode mode() const { return mode_.load(std::memory_order_relaxed); }
  std::string serial_reason() const;

 private:
  using Lock = std::unique_lock<std::mutex>;
  using Deadline = std::optional<std::int64_t>;  // of the steady clock

  // One flush. One that nobody waited for is used again.
  struct Group {
    void Reset() {
      frames.clear();
      units = 0;
      begin = end = {};
      sync = false;
    }

    GroupWaiters waiters;              // joined while it gathers or is written
    std::vector<OpenFrame*> frames;    // of the leader, once taken
    std::uint64_t units = 0;           // set before done
    std::int64_t taken_micros = 0;
    Lsn begin;                         // of its first unit
    Lsn end;                           // of its last unit
    bool sync = false;                 // fixed when taken
    bool failed = false;               // set before done

    bool Carries(Lsn up_to, AckLevel level) const {
      return up_to <= end && (level != AckLevel::kDurable || sync);
    }
  };
  using GroupPtr = std::shared_ptr<Group>;
  enum class Flushing : std::uint8_t { kWrite, kSync, kSeal };
  using Woken = GroupWaiters::Woken;
  struct Callback {
    LogTicket ticket;
    LogCallback done;
    std::uint64_t group_units = 0;
  };
  using Callbacks = std::multimap<Lsn, Callback>;  // by the end of their unit

  struct Wanted {
    std::uint64_t bytes;
    bool of_the_log;  // passes log_bytes_max
  };

  Status CheckOpen() const;
  std::unexpected<Error> Stopped() const;  // requires poison_
  Deadline QueueDeadline() const;
  std::optional<LogTicket> EnqueuePlain(LogRecords records, std::int64_t now);
  Result<LogTicket> EnqueueSerially(LogRecords records, std::int64_t now, bool* filled);
  Result<LogTicket> EnqueueInParallel(LogRecords records, std::int64_t now, bool sampled,
                                      bool* filled);
  Result<UnitPlace> PlaceUnit(Lock* lock, const Wanted& wanted, bool* filled);
  Result<std::optional<UnitPlace>> MakeRoom(Lock* lock, const Wanted& wanted);
  Result<std::optional<UnitPlace>> LookForRoom(Lock* lock, const Wanted& wanted, bool* nudged);
  std::optional<UnitPlace> PlaceInOpen(std::uint64_t unit_bytes);
  Status WaitForRoom(Lock* lock, Deadline deadline, bool* nudged);
  bool IsOld(const OpenSegment& segment) const;
  void EndLinger();
  Status AddSegment(Lock* lock, const Wanted& wanted, Deadline deadline);
  Status GiveSegmentsBack(Lock* lock);
  Status RefuseTooLarge(Lock* lock, const Wanted& wanted);
  void AlertOfCap(Lock* lock);
  Status WaitForTruncation(Lock* lock, std::uint32_t seen, Deadline deadline);
  Status Encode(LogRecords records, const UnitEncoder& unit, const UnitPlace& place);
  Status Fill(const UnitEncoder& unit, const UnitPlace& place);
  void Complete(const UnitPlace& place, std::uint32_t records);
  Status CheckShadow(LogRecords records, const UnitPlace& place);
  void FallBack(std::string reason);
  void Defer(bool filled);
  bool AskForFlush();
  void FlushSoon();

  // Gives the group that was waited for, if one carried it there; then the lock is not held.
  Result<GroupPtr> WaitFor(Lock* lock, Lsn end, AckLevel level, Deadline deadline = {});
  // Waits until `group` is done (lock not held), or a waiter of it should lead or gave up (held).
  Woken WaitOn(Lock* lock, const GroupPtr& group, Deadline deadline = {});
  void PassNudgeOn();
  Status Flush(Lock* lock, Flushing how, Deadline linger_until = {});
  Status FlushForRoom(Lock* lock);
  void Linger(Lock* lock, Deadline until);
  Status WriteGroup(Group* group, Flushing how);
  void Publish(Lock* lock, Group* group, const Status& done);
  void NoteUnsynced(const Group& group);
  bool SyncIsDue(const Group& group) const;
  GroupPtr Take(Flushing how);
  Status FlushOnce(Lock* lock, Flushing how, Deadline linger_until = {});
  void AwaitLead(Lock* lock);
  void EndLead();
  void AskForFlusher();
  void MoveReadyCallbacks();
  void MoveHopelessCallbacks();
  void MoveCallbacks(Lsn written, Lsn durable, Callbacks* to);
  void Tell(Lock* lock);
  void Run(const Callback& callback);
  void Poison(Lock* lock, const Error& cause);
  bool Reached(Lsn end, AckLevel level) const;
  std::uint64_t UnitsOfGroupAt(Lsn lsn) const;
  bool NeedsSync() const;

  const QueueSettings settings_;
  const bool encrypt_;
  const bool plain_;  // neither compressed nor encrypted
  LogWriter* const writer_;       // of the leader
  SegmentSupply* const supply_;
  LogMetrics metrics_;

  alignas(64) std::atomic<OpenFrame*> open_ = nullptr;  // layout_.open()
  std::atomic<LogEncodeMode> mode_;
  std::atomic<bool> flush_asked_ = false;   // a flush is with the executor
  std::atomic<bool> timer_armed_ = false;   // so is a sync, later
  std::atomic<std::uint32_t> filled_ = 0;       // changes when a frame is full; a futex word

  alignas(64) mutable std::mutex mutex_;  // guards all below
  GroupLayout layout_;
  GroupPtr gathering_;
  GroupPtr flushing_;             // null: no flush is being written
  GroupPtr spare_;                // to gather next; null: a new one is made
  bool leading_ = false;          // somebody leads, or lingers to
  LogPositions positions_;        // but appended
  std::optional<Error> poison_;
  std::optional<Error> fill_failure_;
  std::string serial_reason_;
  bool full_ = false;             // closing: who has a place will be served, nobody else gets one
  bool closed_ = false;
  bool flusher_asked_ = false;    // it is with the executor, or leads
  std::uint32_t lead_waiters_ = 0;  // who lead next, before all others
  std::uint32_t lead_grants_ = 0;   // given to some of them, who have not woken yet
  std::condition_variable lead_granted_;
  bool room_wanted_ = false;      // the queue is full, and somebody waits
  bool growing_ = false;          // somebody is getting a segment
  bool cap_alerted_ = false;      // it was said that the log is full, and it still is
  std::uint32_t at_cap_ = 0;      // so many wait for room under log_bytes_max
  std::condition_variable grown_;
  std::int64_t gathering_since_ = 0;  // when lingering matters
  Callbacks callbacks_[3];        // by level
  Callbacks ready_;               // their units are through
  Callbacks hopeless_;            // theirs never will be
  bool telling_ = false;          // somebody runs callbacks
  std::condition_variable told_;
  Lsn unsynced_begin_;            // of the first unit that was written and not synced; 0: none
  std::int64_t unsynced_since_ = 0;
  std::deque<std::pair<Lsn, std::uint64_t>> done_;  // end and units of the last groups written
};

}  // namespace varve
