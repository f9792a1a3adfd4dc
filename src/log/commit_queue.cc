// SPDX-License-Identifier: Apache-2.0
#include "log/commit_queue.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/result.h"

namespace varve {
namespace {

constexpr std::uint32_t kDone = 1;   // bit of Group::word
constexpr std::uint32_t kNudge = 2;  // added to Group::word
constexpr std::size_t kGroupsRemembered = 256;

Error ClosedError() {
  return Error(ErrorKind::kInvalid, "the log is closed", ErrorReason::kClosed);
}

}  // namespace

CommitQueue::CommitQueue(QueueSettings settings, LogWriter* writer, SegmentSupply* supply)
    : settings_(std::move(settings)),
      writer_(writer),
      supply_(supply),
      layout_(writer->written()),
      gathering_(std::make_shared<Group>()),
      positions_{writer->written(), writer->written(), writer->durable()} {}

Status CommitQueue::CheckOpen() const {
  if (poison_) return std::unexpected(*poison_);
  if (closed_) return std::unexpected(ClosedError());
  return {};
}

bool CommitQueue::Reached(Lsn end, AckLevel level) const {
  if (level == AckLevel::kDurable) return positions_.durable >= end;
  return level == AckLevel::kBuffered || positions_.written >= end;
}

// Whoever waits on the gathering group is told: nobody will ever lead it.
void CommitQueue::Poison(const Error& cause) {
  if (poison_) return;
  gathering_->failed = true;
  gathering_->word.fetch_or(kDone, std::memory_order_release);
  gathering_->word.notify_all();
  poison_ = Error(ErrorKind::kUnavailable,
                  fmt::format("the log stopped after a failure, and whether later units are kept "
                              "is unknown; reopen it to learn. Cause: {}",
                              cause.message()),
                  ErrorReason::kUnknownOutcome);
}

Result<LogTicket> CommitQueue::Enqueue(std::span<const std::string_view> records, bool deferred) {
  if (records.empty()) return Fail(ErrorKind::kInvalid, "a unit needs at least one record");
  const auto bytes = EncodedUnitBytes(records);
  if (bytes > kUnitBytesMax) {
    return Fail(ErrorKind::kInvalid, fmt::format("a unit of {} bytes is larger than the {} that a "
                                                 "unit may have; append it as several",
                                                 bytes, kUnitBytesMax));
  }
  Lock lock(mutex_);
  VARVE_TRY(MakeRoom(&lock, bytes));
  const auto place = layout_.Place(records, bytes);
  if (gathering_->units == 0) gathering_->begin = place.lsn;
  positions_.appended = gathering_->end = place.end;
  gathering_->bytes += bytes;
  ++gathering_->units;
  ++units_;
  records_ += records.size();
  const bool ask_for_segment = layout_.WantsSegmentAhead();
  const bool ask_for_sync = deferred && NeedsDeferredSync();
  lock.unlock();
  if (ask_for_segment) settings_.ask_for_segment();
  if (ask_for_sync) settings_.ask_for_sync();
  return LogTicket{place.lsn, place.end, settings_.clock->SteadyMicros()};
}

// Until the unit has room in the queue and a place in the segments.
Status CommitQueue::MakeRoom(Lock* lock, std::uint64_t unit_bytes) {
  bool nudged = false;
  Status made;
  while (made) {
    made = CheckOpen();
    if (!made) break;
    const bool full = gathering_->units > 0 &&
                      gathering_->bytes + unit_bytes > settings_.queue_bytes_max;
    if (full && flushing_) {
      nudged = !WaitOn(lock, GroupPtr(gathering_));
      if (!nudged) lock->lock();
    } else if (full) {
      nudged = false;
      made = Flush(lock, Flushing::kWrite);
    } else if (!layout_.Fits(unit_bytes)) {
      made = AddSegment(lock);
    } else {
      break;
    }
  }
  if (nudged) PassNudgeOn();
  return made;
}

Status CommitQueue::AddSegment(Lock* lock) {
  if (growing_) {
    grown_.wait(*lock, [this] { return !growing_; });
    return {};
  }
  growing_ = true;
  lock->unlock();
  auto segment = supply_->Take();
  lock->lock();
  growing_ = false;
  grown_.notify_all();
  if (segment) {
    layout_.AddSegment(*std::move(segment));
    return {};
  }
  const auto error = segment.error();
  if (error.reason() == ErrorReason::kUnknownOutcome) {
    Poison(error);
    return std::unexpected(*poison_);
  }
  // A unit that needs several segments got some of them: the room is for others now. But one stays:
  // a seal may promise it.
  supply_->PutBack(layout_.TakeUpcoming());
  if (auto trimmed = supply_->Trim(1); !trimmed) {
    Poison(trimmed.error());
    return std::unexpected(*poison_);
  }
  return std::unexpected(error.Within("no segment could be made; the unit was not kept, append it "
                                      "again when there is room"));
}

Result<LogAck> CommitQueue::Wait(const LogTicket& ticket, AckLevel level) {
  Lock lock(mutex_);
  if (ticket.end > positions_.appended) {
    return Fail(ErrorKind::kInvalid, fmt::format("the ticket's end, LSN {}, was never given out",
                                                 ticket.end.value));
  }
  VARVE_ASSIGN(const auto carrier, WaitFor(&lock, ticket.end, level));
  LogAck ack{ticket.lsn, ticket.end, ticket.end.value - ticket.lsn.value};
  bool ask = false;
  if (carrier && ticket.lsn >= carrier->begin && level == AckLevel::kDurable) {
    ack.group_units = carrier->units;
  } else {
    if (!lock.owns_lock()) lock.lock();
    ack.group_units = UnitsOfGroupAt(ticket.lsn);
    ask = level != AckLevel::kDurable && NeedsDeferredSync();
    lock.unlock();
  }
  if (ask) settings_.ask_for_sync();
  ack.wait_micros = settings_.clock->SteadyMicros() - ticket.enqueued_micros;
  return ack;
}

std::uint64_t CommitQueue::UnitsOfGroupAt(Lsn lsn) const {
  const auto group = std::upper_bound(done_.begin(), done_.end(), lsn,
                                      [](Lsn at, const auto& done) { return at < done.first; });
  return group == done_.end() ? 0 : group->second;
}

Result<CommitQueue::GroupPtr> CommitQueue::WaitFor(Lock* lock, Lsn end, AckLevel level) {
  const bool durable = level == AckLevel::kDurable;
  bool nudged = false;
  while (!Reached(end, level)) {
    VARVE_TRY(CheckOpen());
    if (!flushing_) {
      nudged = false;
      VARVE_TRY(Flush(lock, durable ? Flushing::kSync : Flushing::kWrite));
      continue;
    }
    const auto group = flushing_->Carries(end, level) ? flushing_ : gathering_;
    if (durable && group == gathering_) group->sync = true;
    nudged = !WaitOn(lock, group);
    if (nudged) continue;
    if (!group->failed && group->Carries(end, level)) return group;
    lock->lock();
  }
  if (nudged) PassNudgeOn();
  return GroupPtr();
}

// Who was told to lead and has no need to: were the nudge lost, the others would sleep on.
void CommitQueue::PassNudgeOn() {
  if (flushing_ || gathering_->waiters == 0) return;
  gathering_->word.fetch_add(kNudge, std::memory_order_release);
  gathering_->word.notify_one();
}

bool CommitQueue::WaitOn(Lock* lock, const GroupPtr& group) {
  ++group->waiters;
  auto seen = group->word.load(std::memory_order_acquire);
  lock->unlock();
  if ((seen & kDone) == 0) {
    group->word.wait(seen, std::memory_order_acquire);
    seen = group->word.load(std::memory_order_acquire);
  }
  if ((seen & kDone) != 0) return true;
  lock->lock();
  --group->waiters;
  return false;
}

CommitQueue::GroupPtr CommitQueue::Take(Flushing how) {
  auto group = std::exchange(gathering_, std::make_shared<Group>());
  group->frames = layout_.TakeFrames();
  group->sync = group->sync || how != Flushing::kWrite;
  group->end = std::max(group->end, positions_.written);
  if (how == Flushing::kSeal) layout_.EndSegment();
  flushing_ = group;
  return group;
}

Status CommitQueue::WriteGroup(Group* group, Flushing how) {
  VARVE_TRY(writer_->Write(&group->frames));
  if (how == Flushing::kSeal) return writer_->Seal(false);
  if (!group->sync) return {};
  return writer_->Sync();
}

Status CommitQueue::Flush(Lock* lock, Flushing how) {
  VARVE_CHECK(!flushing_);
  const auto group = Take(how);
  lock->unlock();
  const auto done = WriteGroup(group.get(), how);
  lock->lock();
  Publish(group.get(), done);
  Finish(lock, group);
  if (!done) return std::unexpected(*poison_);
  return {};
}

void CommitQueue::Publish(Group* group, const Status& done) {
  if (!done) {
    Poison(done.error());
    group->failed = true;
    return;
  }
  positions_.written = writer_->written();
  positions_.durable = writer_->durable();
  if (group->units == 0) return;
  done_.emplace_back(group->end, group->units);
  if (done_.size() > kGroupsRemembered) done_.pop_front();
  for (auto& frame : group->frames) layout_.Recycle(std::move(frame.bytes));
  group->frames.clear();
}

// Wakes outside the mutex, so that nobody wakes only to wait for it.
void CommitQueue::Finish(Lock* lock, const GroupPtr& group) {
  flushing_.reset();
  const auto next = gathering_;
  const bool nudge = next->waiters > 0 && !poison_;
  lock->unlock();
  group->word.fetch_or(kDone, std::memory_order_release);
  group->word.notify_all();
  if (nudge) {
    next->word.fetch_add(kNudge, std::memory_order_release);
    next->word.notify_one();
  }
  lock->lock();
}

bool CommitQueue::NeedsDeferredSync() {
  if (sync_asked_ || positions_.durable >= positions_.appended || poison_ || closed_) return false;
  sync_asked_ = true;
  return true;
}

void CommitQueue::SyncDeferred() {
  Lock lock(mutex_);
  sync_asked_ = false;
  // A failure poisons the log: whoever comes next hears of it.
  (void)WaitFor(&lock, positions_.appended, AckLevel::kDurable);
}

Status CommitQueue::Sync() {
  Lock lock(mutex_);
  VARVE_TRY(CheckOpen());
  VARVE_TRY(WaitFor(&lock, positions_.appended, AckLevel::kDurable));
  return {};
}

void CommitQueue::WaitForFlush(Lock* lock) {
  while (flushing_) {
    if (WaitOn(lock, GroupPtr(flushing_))) lock->lock();
  }
}

Status CommitQueue::Rotate() {
  Lock lock(mutex_);
  WaitForFlush(&lock);
  VARVE_TRY(CheckOpen());
  return Flush(&lock, Flushing::kSeal);
}

Status CommitQueue::BeginSegment() {
  VARVE_ASSIGN(auto segment, supply_->Take());
  VARVE_TRY(writer_->Begin(segment));
  Lock lock(mutex_);
  layout_.Enter(std::move(segment));
  return {};
}

Status CommitQueue::Close() {
  auto rotated = Rotate();
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
  WaitForFlush(&lock);
  grown_.wait(lock, [this] { return !growing_; });
  const auto group = gathering_;
  group->failed = true;
  lock.unlock();
  group->word.fetch_or(kDone, std::memory_order_release);
  group->word.notify_all();
  supply_->Stop();
}

LogPositions CommitQueue::positions() const {
  std::lock_guard lock(mutex_);
  return positions_;
}

std::uint64_t CommitQueue::units() const {
  std::lock_guard lock(mutex_);
  return units_;
}

std::uint64_t CommitQueue::records() const {
  std::lock_guard lock(mutex_);
  return records_;
}

}  // namespace varve
