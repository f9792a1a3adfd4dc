// SPDX-License-Identifier: Apache-2.0
// The side of those who wait, one of whom leads the flush.
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "base/check.h"
#include "base/futex.h"
#include "base/out_of_memory.h"
#include "base/result.h"
#include "log/commit_queue.h"

namespace varve {
namespace {

constexpr std::size_t kGroupsRemembered = 256;
constexpr std::uint32_t kWaitersForFlusher = 2;
constexpr int kFlushesAtOnce = 64;  // then other tasks of the executor have their turn
constexpr std::uint64_t kNoLimit = std::numeric_limits<std::uint64_t>::max();

Status TimedOut(Lsn position, std::uint64_t timeout_ms) {
  return Fail(ErrorKind::kUnavailable,
              fmt::format("LSN {} was not reached within {} ms; it may still come", position.value,
                          timeout_ms),
              ErrorReason::kTimedOut);
}

// For a unit that was written, of a log that ended for this reason.
Error MayBeKept(const Error& ended) {
  if (ended.reason() == ErrorReason::kUnknownOutcome) return CopyOf(ended);
  return UnknownOutcome(
      "the unit was written and not synced, and whether it is kept is unknown; reopen the log to "
      "learn. Cause: ",
      ended);
}

// A hundred years are as good as more.
std::int64_t LingerOf(const LogOptions& options) {
  return MicrosOf(options.linger_us / 1000) + static_cast<std::int64_t>(options.linger_us % 1000);
}

}  // namespace

bool CommitQueue::Reached(Lsn end, AckLevel level) const {
  if (level == AckLevel::kDurable) return positions_.durable >= end;
  return level == AckLevel::kBuffered || positions_.written >= end;
}

// Whoever waits on the gathering group is told: nobody will ever lead it.
void CommitQueue::Poison(Lock* lock, const Error& cause) {
  if (poison_) return;
  poison_ = UnknownOutcome(
      "the log stopped after a failure, and whether later units are kept is unknown; reopen it to "
      "learn. Cause: ",
      cause);
  layout_.CloseFrame();
  open_.store(nullptr, std::memory_order_release);
  gathering_->failed = true;
  gathering_->waiters.TellDone();
  EndLinger();
  writer_->bytes().WakeAll();  // nobody waits for room any more
  lock->unlock();
  Trace(settings_.trace, "log.stopped", cause.message());
  lock->lock();
}

Result<LogAck> CommitQueue::Wait(const LogTicket& ticket, AckLevel level) {
  const auto since =
      ticket.enqueued_micros != 0 ? ticket.enqueued_micros : settings_.clock->SteadyMicros();
  if (ticket.end <= ticket.lsn) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("the ticket (LSN {} to {}) is of no unit; give one that Enqueue gave",
                            ticket.lsn.value, ticket.end.value));
  }
  Lock lock(mutex_);
  if (ticket.end > layout_.UnitEnd() && ticket.end > positions_.written) {
    return Fail(ErrorKind::kInvalid, fmt::format("the ticket's end, LSN {}, was never given out",
                                                 ticket.end.value));
  }
  VARVE_ASSIGN(const auto carrier, WaitFor(&lock, ticket.end, level));
  LogAck ack{ticket.lsn, ticket.end, ticket.end.value - ticket.lsn.value};
  if (carrier && ticket.lsn >= carrier->begin) {
    ack.group_units = carrier->units;
    metrics_.queue_micros.Add(carrier->taken_micros - since);
  } else {
    if (!lock.owns_lock()) lock.lock();
    ack.group_units = UnitsOfGroupAt(ticket.lsn);
  }
  if (lock.owns_lock()) lock.unlock();
  ack.wait_micros = settings_.clock->SteadyMicros() - since;
  metrics_.ack_micros.Add(ack.wait_micros);
  return ack;
}

std::uint64_t CommitQueue::UnitsOfGroupAt(Lsn lsn) const {
  // Mostly it is of the newest, whose beginning is the end of the one before.
  if (done_.size() > 1 && lsn >= done_[done_.size() - 2].first && lsn < done_.back().first) {
    return done_.back().second;
  }
  const auto group = std::upper_bound(done_.begin(), done_.end(), lsn,
                                      [](Lsn at, const auto& done) { return at < done.first; });
  return group == done_.end() ? 0 : group->second;
}

Result<CommitQueue::GroupPtr> CommitQueue::WaitFor(Lock* lock, Lsn end, AckLevel level,
                                                   Deadline deadline) {
  const bool durable = level == AckLevel::kDurable;
  bool nudged = false;
  bool led = false;
  while (!Reached(end, level)) {
    VARVE_TRY(CheckOpen());
    // One flush always: who waits for no time at all still moves the log on.
    if (led && deadline && settings_.clock->SteadyMicros() >= *deadline) {
      if (nudged) PassNudgeOn();
      return Fail(ErrorKind::kUnavailable, "", ErrorReason::kTimedOut);
    }
    if (!leading_) {
      nudged = false;
      led = true;
      VARVE_TRY(Flush(lock, durable ? Flushing::kSync : Flushing::kWrite, deadline));
      continue;
    }
    const auto group = flushing_ && flushing_->Carries(end, level) ? flushing_ : gathering_;
    if (durable && group == gathering_) group->sync = true;
    const auto woken = WaitOn(lock, group, deadline);
    nudged = woken == Woken::kNudged;
    if (woken == Woken::kTimedOut) {
      PassNudgeOn();
      return Fail(ErrorKind::kUnavailable, "", ErrorReason::kTimedOut);
    }
    if (nudged) continue;
    if (!group->failed && group->Carries(end, level)) return group;
    lock->lock();
  }
  if (nudged) PassNudgeOn();
  return GroupPtr();
}

// Who was told to lead and has no need to: were the nudge lost, the others would sleep on.
void CommitQueue::PassNudgeOn() {
  if (!leading_ && gathering_->waiters.count() > 0) gathering_->waiters.TellOneToLead();
}

CommitQueue::Woken CommitQueue::WaitOn(Lock* lock, const GroupPtr& group, Deadline deadline) {
  const auto seat = group->waiters.Join();
  lock->unlock();
  const auto woken = group->waiters.Wait(seat, settings_.clock, deadline);
  if (woken == Woken::kDone) return woken;
  lock->lock();
  group->waiters.Leave(seat);
  return woken;
}

// Throws std::bad_alloc, and then nothing was taken.
CommitQueue::GroupPtr CommitQueue::Take(Flushing how) {
  const auto& options = settings_.options;
  const bool all = how == Flushing::kSeal;
  auto next = spare_ ? std::exchange(spare_, nullptr) : std::make_shared<Group>();
  layout_.TakeFrames(all ? kNoLimit : options.group_bytes_max,
                     all ? 0 : options.group_units_max, &gathering_->frames);
  auto group = std::exchange(gathering_, std::move(next));
  open_.store(nullptr, std::memory_order_release);
  room_wanted_ = false;
  group->taken_micros = settings_.clock->SteadyMicros();
  group->end = positions_.written;
  if (!group->frames.empty()) {
    group->begin = group->frames.front()->PayloadLsn();
    group->end = std::max(group->end, group->frames.back()->UnitEnd());
  }
  group->sync = group->sync || how != Flushing::kWrite || SyncIsDue(*group);
  if (how == Flushing::kSeal) layout_.EndSegment();
  flushing_ = group;
  return group;
}

// Whether a flush that nobody wants synced is synced all the same: for a callback that it carries,
// or by the policy. Under kEveryGroup a task sees to both, so that whoever waits for less waits for
// no sync.
bool CommitQueue::SyncIsDue(const Group& group) const {
  if (settings_.options.sync_policy == LogSyncPolicy::kEveryGroup) return false;
  const auto& durable = callbacks_[static_cast<int>(AckLevel::kDurable)];
  if (!durable.empty() && durable.begin()->first <= group.end) return true;
  const bool unsynced = unsynced_begin_ != Lsn{};
  const auto& options = settings_.options;
  if (options.sync_policy == LogSyncPolicy::kBytes) {
    const auto begin = unsynced ? unsynced_begin_ : group.begin;
    return begin != Lsn{} && group.end.value >= begin.value + options.sync_bytes;
  }
  return options.sync_policy == LogSyncPolicy::kInterval && unsynced &&
         group.taken_micros - unsynced_since_ >= MicrosOf(options.sync_interval_ms);
}

void CommitQueue::NoteUnsynced(const Group& group) {
  if (positions_.durable >= positions_.written) {
    unsynced_begin_ = {};
  } else if (unsynced_begin_ == Lsn{} && !group.frames.empty()) {
    unsynced_begin_ = group.begin;
    unsynced_since_ = group.taken_micros;
  }
}

Status CommitQueue::WriteGroup(Group* group, Flushing how) {
  for (const auto* frame : group->frames) {
    frame->AwaitComplete();
    if ((frame->flags & kEndsInside) == 0) group->units += frame->units();
  }
  {
    Lock lock(mutex_);
    if (fill_failure_) return std::unexpected(CopyOf(*fill_failure_));
  }
  VARVE_TRY(writer_->Write(group->frames, group->sync && how != Flushing::kSeal));
  if (how == Flushing::kSeal) VARVE_TRY(writer_->Seal(false));
  const auto micros = settings_.clock->SteadyMicros() - group->taken_micros;
  metrics_.flush_micros.Add(micros);
  Trace(settings_.trace, "log.flush", {},
        {{"units", group->units},
         {"bytes", group->frames.empty() ? 0 : group->end.value - group->begin.value},
         {"micros", static_cast<std::uint64_t>(micros)},
         {"synced", group->sync ? 1u : 0u}});
  return {};
}

Status CommitQueue::Flush(Lock* lock, Flushing how, Deadline linger_until) {
  VARVE_CHECK(!leading_);
  leading_ = true;
  auto done = FlushOnce(lock, how, linger_until);
  EndLead();
  Tell(lock);
  return done;
}

// Of one who has no place yet, and may hold what a callback waits for: so others run them.
Status CommitQueue::FlushForRoom(Lock* lock) {
  VARVE_CHECK(!leading_);
  leading_ = true;
  room_wanted_ = true;  // nobody can join: no linger
  auto done = FlushOnce(lock, Flushing::kWrite);
  EndLead();
  if (telling_ || (ready_.empty() && hopeless_.empty())) return done;
  lock->unlock();
  FlushSoon();
  lock->lock();
  return done;
}

// Requires that the caller leads, and afterwards calls EndLead and Tell. Does not throw.
Status CommitQueue::FlushOnce(Lock* lock, Flushing how, Deadline linger_until) {
  if (settings_.options.linger_us > 0 && how != Flushing::kSeal) Linger(lock, linger_until);
  if (poison_) return Stopped();  // meanwhile
  const auto taken = OrOutOfMemory([&]() -> Result<GroupPtr> { return Take(how); });
  if (!taken) {
    Poison(lock, taken.error());
    MoveHopelessCallbacks();
    return Stopped();
  }
  const auto& group = *taken;
  lock->unlock();
  const auto done = OrOutOfMemory([&] { return WriteGroup(group.get(), how); });
  lock->lock();
  const auto durable = positions_.durable;
  Publish(lock, group.get(), done);
  const bool more_is_durable = positions_.durable > durable;
  MoveReadyCallbacks();
  // Another thread may have poisoned the log beside a flush that went well.
  if (poison_) MoveHopelessCallbacks();
  flushing_.reset();
  // Wakes outside the mutex, so that nobody wakes only to wait for it.
  lock->unlock();
  if (more_is_durable && settings_.on_durable) settings_.on_durable();
  group->waiters.TellDone();
  lock->lock();
  if (!done) return Stopped();
  if (!group->waiters.ever_joined()) {  // so nobody else knows it
    group->Reset();
    spare_ = group;
  }
  return {};
}

// Leads from now on, as soon as whoever does so now is through with a flush.
void CommitQueue::AwaitLead(Lock* lock) {
  if (!leading_) {
    leading_ = true;
    return;
  }
  ++lead_waiters_;
  lead_granted_.wait(*lock, [this] { return lead_grants_ > 0; });
  --lead_grants_;
}

// Somebody else leads from now on, if there is anything to lead: who asked to, or one of those who
// wait for a flush.
void CommitQueue::EndLead() {
  leading_ = lead_waiters_ > 0;
  if (leading_) {
    --lead_waiters_;
    ++lead_grants_;
    lead_granted_.notify_one();
    return;
  }
  if (poison_) return;
  const auto waiters = gathering_->waiters.count();
  PassNudgeOn();
  if (waiters >= kWaitersForFlusher && !closed_) AskForFlusher();
}

// While many wait, one thread leads flush after flush: the device does not stand still until
// whoever comes next has woken. Callbacks must not wait for the end of that.
void CommitQueue::LeadWhileOthersWait() {
  Lock lock(mutex_);
  AwaitLead(&lock);
  for (int left = kFlushesAtOnce; left > 0 && lead_waiters_ == 0; --left) {
    if (poison_ || closed_) break;
    if (gathering_->waiters.count() == 0 || (!ready_.empty() && !telling_)) break;
    const auto how = gathering_->sync ? Flushing::kSync : Flushing::kWrite;
    if (!FlushOnce(&lock, how)) break;  // a failure poisons the log and wakes everybody
  }
  flusher_asked_ = false;
  EndLead();
  Tell(&lock);
}

void CommitQueue::AskForFlusher() {
  if (flusher_asked_) return;
  flusher_asked_ = HadMemory(settings_.ask_for_flusher);  // else they lead one another
}

// Lets others join the group, until a while after its first unit or until it is full; no longer
// than the caller may wait.
void CommitQueue::Linger(Lock* lock, Deadline until) {
  const auto& options = settings_.options;
  const auto of_group = gathering_since_ + LingerOf(options);
  const auto deadline = std::min(of_group, until.value_or(of_group));
  while (layout_.HasFrames() && !room_wanted_ && !poison_ && !full_ && !closed_ &&
         layout_.GatheredBytes() < options.group_bytes_max &&
         (options.group_units_max == 0 || layout_.GatheredUnits() < options.group_units_max)) {
    const auto left = deadline - settings_.clock->SteadyMicros();
    if (left <= 0) return;
    const auto seen = filled_.load(std::memory_order_acquire);
    lock->unlock();
    settings_.clock->WaitWord(filled_, seen, left);
    lock->lock();
  }
}

void CommitQueue::Publish(Lock* lock, Group* group, const Status& done) {
  if (!done) {
    group->failed = true;
    return Poison(lock, done.error());
  }
  positions_.written = writer_->written();
  positions_.durable = writer_->durable();
  NoteUnsynced(*group);
  layout_.Recycle(group->frames);
  if (group->units == 0) return;
  // What is not remembered is not known: LogAck::group_units.
  (void)HadMemory([&] { done_.emplace_back(group->end, group->units); });
  if (done_.size() > kGroupsRemembered) done_.pop_front();
}

void CommitQueue::Then(const LogTicket& ticket, AckLevel level, LogCallback done) {
  Callback callback{ticket, std::move(done)};
  Lock lock(mutex_);
  auto outcome = CheckOpen();
  if (Reached(ticket.end, level)) {
    callback.group_units = UnitsOfGroupAt(ticket.lsn);
    lock.unlock();
    return Run(callback);
  }
  auto& waiting = callbacks_[static_cast<int>(level)];
  if (outcome && !HadMemory([&] { waiting.emplace(ticket.end, std::move(callback)); })) {
    outcome = std::unexpected(OutOfMemory(ErrorReason::kUnknownOutcome));
  }
  lock.unlock();
  if (outcome) return FlushSoon();
  callback.done(std::unexpected(std::move(outcome).error()));
}

void CommitQueue::MoveReadyCallbacks() {
  MoveCallbacks(positions_.written, positions_.durable, &ready_);
}

void CommitQueue::MoveHopelessCallbacks() {
  const Lsn all{std::numeric_limits<std::uint64_t>::max()};
  MoveCallbacks(all, all, &hopeless_);
}

void CommitQueue::MoveCallbacks(Lsn written, Lsn durable, Callbacks* to) {
  const Lsn reached[] = {written, written, durable};
  for (int level = 0; level < 3; ++level) {
    auto& waiting = callbacks_[level];
    while (!waiting.empty() && waiting.begin()->first <= reached[level]) {
      auto callback = waiting.extract(waiting.begin());
      callback.mapped().group_units = UnitsOfGroupAt(callback.mapped().ticket.lsn);
      to->insert(std::move(callback));
    }
  }
}

// Runs the callbacks that can be run, under no lock; the caller does not lead. One thread does so
// at a time, each for one round: a callback that appends may have to flush, and comes here again.
void CommitQueue::Tell(Lock* lock) {
  if (telling_ || (ready_.empty() && hopeless_.empty())) return;
  telling_ = true;
  {
    const auto ready = std::exchange(ready_, {});
    const auto hopeless = std::exchange(hopeless_, {});
    auto outcome = CheckOpen();
    const auto written = positions_.written;
    lock->unlock();
    for (const auto& [end, callback] : ready) Run(callback);
    if (!hopeless.empty()) {
      const Result<LogAck> may_be_kept = std::unexpected(MayBeKept(outcome.error()));
      const Result<LogAck> failed = std::unexpected(std::move(outcome).error());
      for (const auto& [end, callback] : hopeless) {
        callback.done(end <= written ? may_be_kept : failed);
      }
    }
  }  // what they hold is let go under no lock either
  lock->lock();
  telling_ = false;
  told_.notify_all();
  if ((ready_.empty() && hopeless_.empty()) || closed_) return;
  lock->unlock();
  FlushSoon();  // it tells the others
  lock->lock();
}

void CommitQueue::Run(const Callback& callback) {
  const auto now = settings_.clock->SteadyMicros();
  const auto& ticket = callback.ticket;
  const auto since = ticket.enqueued_micros != 0 ? ticket.enqueued_micros : now;
  const LogAck ack{ticket.lsn, ticket.end, ticket.end.value - ticket.lsn.value,
                   callback.group_units, now - since};
  metrics_.ack_micros.Add(ack.wait_micros);
  callback.done(ack);
}

bool CommitQueue::NeedsSync() const {
  return !callbacks_[static_cast<int>(AckLevel::kDurable)].empty() ||
         settings_.options.sync_policy == LogSyncPolicy::kEveryGroup;
}

void CommitQueue::FlushDeferred() {
  flush_asked_.store(false);  // see AskForFlush
  Lock lock(mutex_);
  if (closed_) return;
  Tell(&lock);  // those whom FlushForRoom left
  const auto level = NeedsSync() ? AckLevel::kDurable : AckLevel::kWritten;
  // A failure poisons the log: whoever comes next hears of it.
  (void)WaitFor(&lock, layout_.UnitEnd(), level);
  if (!lock.owns_lock()) lock.lock();
  if (closed_) return;
  if (poison_) MoveHopelessCallbacks();
  Tell(&lock);
}

void CommitQueue::SyncDeferred() {
  timer_armed_.store(false);
  Lock lock(mutex_);
  if (poison_ || closed_) return;
  (void)WaitFor(&lock, layout_.UnitEnd(), AckLevel::kDurable);
}

Status CommitQueue::WaitUntil(Lsn position, AckLevel level,
                              std::optional<std::uint64_t> timeout_ms) {
  Deadline deadline;
  if (timeout_ms) {
    deadline = settings_.clock->SteadyMicros() + MicrosOf(*timeout_ms);
  }
  Lock lock(mutex_);
  if (position > std::max(layout_.UnitEnd(), positions_.written)) {
    return Fail(ErrorKind::kInvalid, fmt::format("LSN {} was never given out", position.value));
  }
  auto reached = WaitFor(&lock, position, level, deadline);
  if (reached) return {};
  if (reached.error().reason() == ErrorReason::kTimedOut) return TimedOut(position, *timeout_ms);
  return std::unexpected(std::move(reached).error());
}

Status CommitQueue::Sync() {
  Lock lock(mutex_);
  VARVE_TRY(CheckOpen());
  VARVE_TRY(WaitFor(&lock, layout_.UnitEnd(), AckLevel::kDurable));
  return {};
}

Status CommitQueue::Rotate(bool last) {
  Lock lock(mutex_);
  full_ = full_ || last;
  if (full_) EndLinger();
  AwaitLead(&lock);
  auto rotated = CheckOpen();
  if (rotated) rotated = FlushOnce(&lock, Flushing::kSeal);
  EndLead();
  Tell(&lock);
  return rotated;
}

Status CommitQueue::BeginSegment() {
  VARVE_ASSIGN(auto segment, supply_->Take());
  writer_->bytes().Resize(0, segment->header.capacity);
  VARVE_TRY(writer_->Begin(segment));
  Lock lock(mutex_);
  layout_.Enter(std::move(segment));
  return {};
}

Status CommitQueue::Close() {
  auto rotated = Rotate(/*last=*/true);
  Abandon();
  VARVE_TRY(std::move(rotated));
  Lock lock(mutex_);
  // A later segment may be there, half made: what is before it stays.
  if (poison_) return Stopped();
  supply_->PutBack(layout_.TakeUpcoming());
  lock.unlock();
  // A seal may promise the next segment though nothing was written to it.
  return supply_->Trim(writer_->promises_successor() ? 1 : 0);
}

void CommitQueue::Abandon() {
  Lock lock(mutex_);
  closed_ = true;
  layout_.CloseFrame();
  open_.store(nullptr, std::memory_order_release);
  EndLinger();
  AwaitLead(&lock);  // no flush is on its way
  EndLead();
  grown_.wait(lock, [this] { return !growing_; });
  const auto group = gathering_;
  if (!group->failed) group->failed = true;  // whom Poison told reads it under no lock
  lock.unlock();
  group->waiters.TellDone();
  writer_->bytes().WakeAll();
  lock.lock();
  told_.wait(lock, [this] { return !telling_; });
  MoveHopelessCallbacks();
  Tell(&lock);
  lock.unlock();
  supply_->Stop();
}

}  // namespace varve
