// SPDX-License-Identifier: Apache-2.0
// The side of those who wait, one of whom leads the flush.
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "base/check.h"
#include "base/futex.h"
#include "base/result.h"
#include "log/commit_queue.h"

namespace varve {
namespace {

constexpr std::size_t kGroupsRemembered = 256;
constexpr std::uint32_t kWaitersForFlusher = 2;
constexpr std::uint64_t kNoLimit = std::numeric_limits<std::uint64_t>::max();

Status TimedOut(Lsn position, std::uint64_t timeout_ms) {
  return Fail(ErrorKind::kUnavailable,
              fmt::format("LSN {} was not reached within {} ms; it may still come", position.value,
                          timeout_ms),
              ErrorReason::kTimedOut);
}

}  // namespace

bool CommitQueue::Reached(Lsn end, AckLevel level) const {
  if (level == AckLevel::kDurable) return positions_.durable >= end;
  return level == AckLevel::kBuffered || positions_.written >= end;
}

// Whoever waits on the gathering group is told: nobody will ever lead it.
void CommitQueue::Poison(const Error& cause) {
  if (poison_) return;
  layout_.CloseFrame();
  open_.store(nullptr, std::memory_order_release);
  gathering_->failed = true;
  gathering_->waiters.TellDone();
  Trace(settings_.trace, "log.stopped", cause.message());
  poison_ = Error(ErrorKind::kUnavailable,
                  fmt::format("the log stopped after a failure, and whether later units are kept "
                              "is unknown; reopen it to learn. Cause: {}",
                              cause.message()),
                  ErrorReason::kUnknownOutcome);
  NoteTruncation();  // nobody waits for room any more
  if (!callbacks_[1].empty() || !callbacks_[2].empty()) AskForFlush();  // to tell them
}

Result<LogAck> CommitQueue::Wait(const LogTicket& ticket, AckLevel level) {
  const auto since =
      ticket.enqueued_micros != 0 ? ticket.enqueued_micros : settings_.clock->SteadyMicros();
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
  const auto group = std::upper_bound(done_.begin(), done_.end(), lsn,
                                      [](Lsn at, const auto& done) { return at < done.first; });
  return group == done_.end() ? 0 : group->second;
}

Result<CommitQueue::GroupPtr> CommitQueue::WaitFor(Lock* lock, Lsn end, AckLevel level,
                                                   Deadline deadline) {
  const bool durable = level == AckLevel::kDurable;
  bool nudged = false;
  while (!Reached(end, level)) {
    VARVE_TRY(CheckOpen());
    if (!leading_) {
      nudged = false;
      VARVE_TRY(Flush(lock, durable ? Flushing::kSync : Flushing::kWrite));
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

CommitQueue::GroupPtr CommitQueue::Take(Flushing how) {
  const auto& options = settings_.options;
  auto group = std::exchange(gathering_, std::make_shared<Group>());
  const bool all = how == Flushing::kSeal;
  group->frames = layout_.TakeFrames(all ? kNoLimit : options.group_bytes_max,
                                     all ? 0 : options.group_units_max);
  open_.store(nullptr, std::memory_order_release);
  room_wanted_ = false;
  group->sync = group->sync || how != Flushing::kWrite;
  group->end = positions_.written;
  if (!group->frames.empty()) {
    group->begin = group->frames.front()->PayloadLsn();
    group->end = std::max(group->end, group->frames.back()->UnitEnd());
  }
  if (how == Flushing::kSeal) layout_.EndSegment();
  flushing_ = group;
  return group;
}

Status CommitQueue::WriteGroup(Group* group, Flushing how) {
  group->taken_micros = settings_.clock->SteadyMicros();
  for (const auto* frame : group->frames) {
    frame->AwaitComplete();
    if ((frame->flags & kContinued) == 0) group->units += frame->units();
  }
  {
    Lock lock(mutex_);
    if (fill_failure_) return std::unexpected(*fill_failure_);
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

Status CommitQueue::Flush(Lock* lock, Flushing how) {
  VARVE_CHECK(!leading_);
  leading_ = true;
  auto done = FlushOnce(lock, how);
  EndLead();
  return done;
}

// Requires that the caller leads.
Status CommitQueue::FlushOnce(Lock* lock, Flushing how) {
  if (settings_.options.linger_us > 0 && how != Flushing::kSeal) Linger(lock);
  const auto group = Take(how);
  lock->unlock();
  const auto done = WriteGroup(group.get(), how);
  lock->lock();
  Publish(group.get(), done);
  auto ready = ReadyCallbacks();
  // Another thread may have poisoned the log beside a flush that went well.
  const auto poisoned = poison_ ? std::unexpected(*poison_) : Status();
  auto hopeless = poison_ ? AllCallbacks() : std::vector<Callback>();
  flushing_.reset();
  // Wakes outside the mutex, so that nobody wakes only to wait for it.
  lock->unlock();
  group->waiters.TellDone();
  if (!ready.empty()) Run(std::move(ready), {});
  if (!hopeless.empty()) Run(std::move(hopeless), poisoned);
  lock->lock();
  return done ? Status() : poisoned;
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
  const bool callbacks = !callbacks_[1].empty() || !callbacks_[2].empty();
  if (waiters == 0 && callbacks) AskForFlush();
}

// While many wait, one thread leads flush after flush: the device does not stand still until
// whoever comes next has woken.
void CommitQueue::LeadWhileOthersWait() {
  Lock lock(mutex_);
  AwaitLead(&lock);
  while (!poison_ && gathering_->waiters.count() > 0 && lead_waiters_ == 0) {
    const auto how = gathering_->sync ? Flushing::kSync : Flushing::kWrite;
    if (!FlushOnce(&lock, how)) break;  // a failure poisons the log and wakes everybody
  }
  flusher_asked_ = false;
  EndLead();
}

void CommitQueue::AskForFlusher() {
  if (flusher_asked_) return;
  flusher_asked_ = true;
  settings_.ask_for_flusher();
}

// Lets others join the group, until a while after its first unit or until it is full.
void CommitQueue::Linger(Lock* lock) {
  const auto& options = settings_.options;
  const auto deadline = gathering_since_ + static_cast<std::int64_t>(options.linger_us);
  while (layout_.HasFrames() && !room_wanted_ &&
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

void CommitQueue::Publish(Group* group, const Status& done) {
  if (!done) {
    Poison(done.error());
    group->failed = true;
    return;
  }
  positions_.written = writer_->written();
  positions_.durable = writer_->durable();
  layout_.Recycle(group->frames);
  if (group->units == 0) return;
  done_.emplace_back(group->end, group->units);
  if (done_.size() > kGroupsRemembered) done_.pop_front();
}

void CommitQueue::Then(const LogTicket& ticket, AckLevel level, LogCallback done) {
  Callback callback{ticket, std::move(done)};
  Lock lock(mutex_);
  auto open = CheckOpen();
  if (open && !Reached(ticket.end, level)) {
    callbacks_[static_cast<int>(level)].emplace(ticket.end, std::move(callback));
    lock.unlock();
    return AskForFlush();
  }
  callback.group_units = UnitsOfGroupAt(ticket.lsn);
  const auto outcome = Reached(ticket.end, level) ? Status() : std::move(open);
  lock.unlock();
  std::vector<Callback> one;
  one.push_back(std::move(callback));
  Run(std::move(one), outcome);
}

std::vector<CommitQueue::Callback> CommitQueue::AllCallbacks() {
  const Lsn all{std::numeric_limits<std::uint64_t>::max()};
  return TakeCallbacks(all, all);
}

std::vector<CommitQueue::Callback> CommitQueue::ReadyCallbacks() {
  return TakeCallbacks(positions_.written, positions_.durable);
}

std::vector<CommitQueue::Callback> CommitQueue::TakeCallbacks(Lsn written, Lsn durable) {
  std::vector<Callback> ready;
  const Lsn reached[] = {written, written, durable};
  for (int level = 0; level < 3; ++level) {
    auto& waiting = callbacks_[level];
    while (!waiting.empty() && waiting.begin()->first <= reached[level]) {
      auto& callback = waiting.begin()->second;
      callback.group_units = UnitsOfGroupAt(callback.ticket.lsn);
      ready.push_back(std::move(callback));
      waiting.erase(waiting.begin());
    }
  }
  return ready;
}

void CommitQueue::Run(std::vector<Callback> callbacks, const Status& outcome) {
  const auto now = settings_.clock->SteadyMicros();
  for (const auto& callback : callbacks) {
    if (!outcome) {
      callback.done(std::unexpected(outcome.error()));
      continue;
    }
    const auto& ticket = callback.ticket;
    const auto since = ticket.enqueued_micros != 0 ? ticket.enqueued_micros : now;
    const LogAck ack{ticket.lsn, ticket.end, ticket.end.value - ticket.lsn.value,
                     callback.group_units, now - since};
    metrics_.ack_micros.Add(ack.wait_micros);
    callback.done(ack);
  }
}

bool CommitQueue::NeedsSync() const {
  if (!callbacks_[2].empty()) return true;
  const auto& options = settings_.options;
  if (options.sync_policy == LogSyncPolicy::kEveryGroup) return true;
  return options.sync_policy == LogSyncPolicy::kBytes &&
         layout_.UnitEnd().value - positions_.durable.value >= options.sync_bytes;
}

void CommitQueue::FlushDeferred() {
  flush_asked_.store(false);
  Lock lock(mutex_);
  if (poison_) {
    auto ready = AllCallbacks();
    const auto outcome = CheckOpen();
    lock.unlock();
    return Run(std::move(ready), outcome);
  }
  if (closed_) return;
  const auto level = NeedsSync() ? AckLevel::kDurable : AckLevel::kWritten;
  // A failure poisons the log: whoever comes next hears of it.
  (void)WaitFor(&lock, layout_.UnitEnd(), level);
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
  AwaitLead(&lock);
  auto rotated = CheckOpen();
  full_ = full_ || last;
  if (rotated) rotated = FlushOnce(&lock, Flushing::kSeal);
  EndLead();
  NoteTruncation();  // what was sealed shrank
  return rotated;
}

Status CommitQueue::BeginSegment() {
  VARVE_ASSIGN(auto segment, supply_->Take());
  writer_->NoteTaken(segment->header.capacity);
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
  AwaitLead(&lock);  // no flush is on its way
  EndLead();
  grown_.wait(lock, [this] { return !growing_; });
  const auto group = gathering_;
  group->failed = true;
  const auto outcome = CheckOpen();
  auto ready = AllCallbacks();
  lock.unlock();
  group->waiters.TellDone();
  NoteTruncation();
  Run(std::move(ready), outcome);
  supply_->Stop();
}

}  // namespace varve
