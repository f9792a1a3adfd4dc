// SPDX-License-Identifier: Apache-2.0
// The side of the producers: how a unit gets its place, and how its bytes get there. The side of
// the leader is in commit_flush.cc.
#include "log/commit_queue.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <new>
#include <span>
#include <utility>

#include "base/check.h"
#include "base/futex.h"
#include "base/out_of_memory.h"
#include "base/result.h"

namespace varve {
namespace {

constexpr std::uint64_t kGatherBytes = 1u << 20;
constexpr std::uint64_t kGatherBytesMin = 64u << 10;
constexpr std::uint32_t kEncodesPerSample = 256;
constexpr std::uint64_t kForEver = std::numeric_limits<std::uint64_t>::max();

// In so few bytes that it needs no memory.
Error ClosedError() { return Error(ErrorKind::kInvalid, "log is closed", ErrorReason::kClosed); }

LayoutSettings LayoutFor(const LogOptions& options) {
  LayoutSettings layout;
  // A full frame is on its way to the file while the next ones fill.
  const auto queue = options.queue_bytes_max;
  const auto part = std::min(queue, std::max(queue / 4, kGatherBytesMin));
  layout.frame_bytes_max = std::min({kGatherBytes, part, options.group_bytes_max});
  if (options.sync_policy == LogSyncPolicy::kBytes) {
    layout.frame_bytes_max = std::min(layout.frame_bytes_max, options.sync_bytes);
  }
  if (options.group_units_max > 0) {
    layout.frame_units_max = static_cast<std::uint32_t>(
        std::min<std::uint64_t>(options.group_units_max, OpenFrame::kUnitsMost));
  }
  const bool plain = options.keys == nullptr && options.compression == LogCompression::kNone;
  layout.whole_units = !plain || options.encode_mode == LogEncodeMode::kShadow;
  return layout;
}

// Every 256th unit of a thread is timed: reading the clock costs as much as encoding a small one.
bool SampleThisUnit() {
  thread_local std::uint32_t count = 0;
  return ++count % kEncodesPerSample == 0;
}

// Checkpoints: nothing can be truncated without them, so no limit that a truncation lifts holds
// them back.
bool IsOfTheLog(LogRecords records) { return records.front().kind == LogKind::kCheckpoint; }

// Spread evenly over units, and the same in every run.
bool IsShadowed(Lsn lsn, std::uint32_t per_mille) {
  return (lsn.value * 0x9e3779b97f4a7c15ull >> 32) % 1000 < per_mille;
}

// Calls `use` for each piece with the part of the unit that belongs there.
template <typename Use>
void ForEachPiece(const UnitPlace& place, std::string_view unit, const Use& use) {
  use(place.first, unit.substr(0, place.first.bytes));
  unit.remove_prefix(std::min<std::uint64_t>(unit.size(), place.first.bytes));
  for (const auto& piece : place.more) {
    use(piece, unit.substr(0, piece.bytes));
    unit.remove_prefix(std::min<std::uint64_t>(unit.size(), piece.bytes));
  }
}

void CopyToPieces(std::string_view unit, const UnitPlace& place) {
  ForEachPiece(place, unit, [](const UnitPiece& piece, std::string_view part) {
    std::memcpy(piece.to, part.data(), part.size());
  });
}

// Fills the place of a unit from its beginning, over the ends of its pieces.
class PieceWriter {
 public:
  explicit PieceWriter(const UnitPlace& place) : piece_(place.first), more_(place.more) {}
  void Put(std::string_view bytes) {
    while (!bytes.empty()) {
      if (piece_.bytes == 0) {
        piece_ = more_.front();
        more_ = more_.subspan(1);
      }
      const auto part = bytes.substr(0, piece_.bytes);
      std::memcpy(piece_.to, part.data(), part.size());
      piece_.to += part.size();
      piece_.bytes -= part.size();
      bytes.remove_prefix(part.size());
    }
  }

 private:
  UnitPiece piece_;  // what is left of it
  std::span<const UnitPiece> more_;
};

bool EqualsPieces(std::string_view unit, const UnitPlace& place) {
  bool equal = true;
  ForEachPiece(place, unit, [&](const UnitPiece& piece, std::string_view part) {
    equal = equal && part == std::string_view(piece.to, piece.bytes);
  });
  return equal;
}

std::uint64_t BytesOf(const UnitPlace& place) {
  auto bytes = place.first.bytes;
  for (const auto& piece : place.more) bytes += piece.bytes;
  return bytes;
}

}  // namespace

CommitQueue::CommitQueue(QueueSettings settings, LogWriter* writer, SegmentSupply* supply)
    : settings_(std::move(settings)),
      encrypt_(settings_.options.keys != nullptr),
      plain_(!encrypt_ && settings_.options.compression == LogCompression::kNone),
      writer_(writer),
      supply_(supply),
      mode_(settings_.options.encode_mode),
      layout_(writer->written(), LayoutFor(settings_.options)),
      gathering_(std::make_shared<Group>()),
      positions_{{}, writer->written(), writer->durable()} {}

Status CommitQueue::CheckOpen() const {
  if (poison_) return Stopped();
  if (closed_) return std::unexpected(ClosedError());
  return {};
}

std::unexpected<Error> CommitQueue::Stopped() const { return std::unexpected(CopyOf(*poison_)); }

CommitQueue::Deadline CommitQueue::QueueDeadline() const {
  const auto wait_ms = settings_.options.queue_wait_ms_max;
  if (wait_ms == kForEver) return {};
  return settings_.clock->SteadyMicros() + MicrosOf(wait_ms);
}

// What is refused memory here has no place yet: the rest sees to itself.
Result<LogTicket> CommitQueue::Enqueue(LogRecords records, AckLevel to_come) try {
  const bool sampled = SampleThisUnit();
  const bool timed = sampled || to_come != AckLevel::kBuffered;
  const auto now = timed ? settings_.clock->SteadyMicros() : 0;
  if (plain_ && !sampled && mode() == LogEncodeMode::kParallel) {
    if (const auto plain = EnqueuePlain(records, now)) {
      if (to_come != AckLevel::kDurable) Defer(false);
      return *plain;
    }
  }
  bool filled = false;
  auto ticket = mode() == LogEncodeMode::kSerial
                    ? EnqueueSerially(records, now, &filled)
                    : EnqueueInParallel(records, now, sampled, &filled);
  if (ticket && to_come != AckLevel::kDurable) Defer(filled);
  return ticket;
} catch (const std::bad_alloc&) {
  return std::unexpected(OutOfMemory());
}

// What nearly all units are, plain and with a place in the open frame, with nothing that can fail.
// Nothing when it is not such a one.
std::optional<LogTicket> CommitQueue::EnqueuePlain(LogRecords records, std::int64_t now) {
  auto* const frame = open_.load(std::memory_order_acquire);
  if (frame == nullptr || records.empty()) return {};
  const auto bytes = PlainUnitBytes(records);
  const auto place = frame->Reserve(bytes);
  if (!place) return {};
  WritePlainUnit(records, bytes, place->to);
  frame->Complete(bytes, static_cast<std::uint32_t>(records.size()));
  return LogTicket{place->lsn, {place->lsn.value + bytes}, now};
}

Result<LogTicket> CommitQueue::EnqueueInParallel(LogRecords records, std::int64_t now, bool sampled,
                                                 bool* filled) {
  const UnitEncoder unit(records, settings_.options.compression, encrypt_);
  if (!unit.is_valid()) return std::unexpected(unit.Refusal());
  auto place = PlaceInOpen(unit.bytes());
  if (!place) {
    Lock lock(mutex_);
    VARVE_ASSIGN(place, PlaceUnit(&lock, {unit.bytes(), IsOfTheLog(records)}, filled));
  }
  auto encoded = Encode(records, unit, *place);
  Complete(*place, unit.records());
  VARVE_TRY(std::move(encoded));
  if (sampled) metrics_.encode_micros.Add(settings_.clock->SteadyMicros() - now);
  return LogTicket{place->lsn, place->end, now};
}

// Under no lock, but for a failure. The unit does not count as complete yet: no leader writes it.
// A place that was given out must be filled or reported, whatever happens.
Status CommitQueue::Encode(LogRecords records, const UnitEncoder& unit, const UnitPlace& place) {
  const bool shadowed = mode() == LogEncodeMode::kShadow &&
                        IsShadowed(place.lsn, settings_.options.shadow_per_mille);
  auto encoded = OrOutOfMemory([&] { return Fill(unit, place); });
  if (encoded && shadowed) encoded = OrOutOfMemory([&] { return CheckShadow(records, place); });
  if (!encoded) {
    Lock lock(mutex_);
    fill_failure_ = CopyOf(encoded.error());
  }
  return encoded;
}

// The same, by the plainest code, one unit after the other.
Result<LogTicket> CommitQueue::EnqueueSerially(LogRecords records, std::int64_t now,
                                               bool* filled) {
  Lock lock(mutex_);
  const UnitEncoder unit(records, settings_.options.compression, encrypt_);
  if (!unit.is_valid()) return std::unexpected(unit.Refusal());
  VARVE_ASSIGN(const auto place,
               PlaceUnit(&lock, {unit.bytes(), IsOfTheLog(records)}, filled));
  auto encoded = OrOutOfMemory([&]() -> Status {
    VARVE_ASSIGN(const auto bytes, EncodeUnitSerially(records, settings_.options.compression,
                                                      place.lsn, place.cipher));
    VARVE_CHECK(bytes.size() == unit.bytes());
    CopyToPieces(bytes, place);
    return {};
  });
  if (!encoded) fill_failure_ = CopyOf(encoded.error());
  Complete(place, unit.records());
  VARVE_TRY(std::move(encoded));
  return LogTicket{place.lsn, place.end, now};
}

std::optional<UnitPlace> CommitQueue::PlaceInOpen(std::uint64_t unit_bytes) {
  auto* const frame = open_.load(std::memory_order_acquire);
  if (frame == nullptr) return {};
  const auto place = frame->Reserve(unit_bytes);
  if (!place) return {};
  return UnitPlace{place->lsn,
                   {place->lsn.value + unit_bytes},
                   frame->segment()->cipher.get(),
                   {frame, place->to, unit_bytes},
                   {},
                   {}};
}

Result<UnitPlace> CommitQueue::PlaceUnit(Lock* lock, const Wanted& wanted, bool* filled) {
  VARVE_ASSIGN(auto place, MakeRoom(lock, wanted));
  if (place) return *std::move(place);
  if (settings_.options.linger_us > 0 && !layout_.HasFrames()) {
    gathering_since_ = settings_.clock->SteadyMicros();
  }
  auto placed = layout_.Place(wanted.bytes);
  *filled = layout_.HasClosedFrames();
  open_.store(layout_.open(), std::memory_order_release);
  auto& entered = layout_.segment()->entered_micros;
  if (settings_.options.segment_age_ms_max > 0 && entered == 0) {
    entered = settings_.clock->SteadyMicros();
  }
  if (settings_.options.linger_us > 0) EndLinger();
  // Without memory for that it is made when it is needed.
  if (layout_.WantsSegmentAhead()) (void)HadMemory(settings_.ask_for_segment);
  return placed;
}

// Until the unit has room in the queue and a place in the segments; gives its place when meanwhile
// an open frame took it. However that ends: whoever was told to lead and did not tells the next.
Result<std::optional<UnitPlace>> CommitQueue::MakeRoom(Lock* lock, const Wanted& wanted) {
  bool nudged = false;
  auto place = OrOutOfMemory([&] { return LookForRoom(lock, wanted, &nudged); });
  if (nudged) PassNudgeOn();
  return place;
}

Result<std::optional<UnitPlace>> CommitQueue::LookForRoom(Lock* lock, const Wanted& wanted,
                                                          bool* nudged) {
  Deadline deadline;
  while (true) {
    VARVE_TRY(CheckOpen());
    if (full_) return std::unexpected(ClosedError());
    if (auto place = PlaceInOpen(wanted.bytes)) return place;
    layout_.CloseFrame();
    open_.store(nullptr, std::memory_order_release);
    const auto& segment = layout_.segment();
    if (segment && IsOld(*segment)) layout_.EndSegment();
    const auto queued = layout_.GatheredMemory() + wanted.bytes;
    if (layout_.HasFrames() && queued > settings_.options.queue_bytes_max) {
      if (!deadline) deadline = QueueDeadline();
      VARVE_TRY(WaitForRoom(lock, deadline, nudged));
    } else if (!layout_.Fits(wanted.bytes)) {
      if (!deadline) deadline = QueueDeadline();
      VARVE_TRY(AddSegment(lock, wanted, deadline));
    } else {
      return std::optional<UnitPlace>();
    }
  }
}

// By the time in which units went there: it may have been made long before.
bool CommitQueue::IsOld(const OpenSegment& segment) const {
  const auto age_ms = settings_.options.segment_age_ms_max;
  if (age_ms == 0 || segment.entered_micros == 0) return false;
  return settings_.clock->SteadyMicros() - segment.entered_micros > MicrosOf(age_ms);
}

Status CommitQueue::WaitForRoom(Lock* lock, Deadline deadline, bool* nudged) {
  *nudged = false;
  if (!leading_) return FlushForRoom(lock);
  room_wanted_ = true;
  EndLinger();
  const auto woken = WaitOn(lock, GroupPtr(gathering_), deadline);
  if (woken == Woken::kDone) lock->lock();
  *nudged = woken == Woken::kNudged;
  if (woken != Woken::kTimedOut) return {};
  PassNudgeOn();
  return Fail(ErrorKind::kUnavailable,
              fmt::format("the log's queue stayed full ({} bytes) for {} ms; the unit was not "
                          "kept, append it again",
                          settings_.options.queue_bytes_max, settings_.options.queue_wait_ms_max),
              ErrorReason::kTimedOut);
}

// Whoever lingers looks again.
void CommitQueue::EndLinger() {
  filled_.fetch_add(1, std::memory_order_release);
  FutexWakeAll(filled_);
}

Status CommitQueue::AddSegment(Lock* lock, const Wanted& wanted, Deadline deadline) {
  if (growing_) {
    grown_.wait(*lock, [this] { return !growing_; });
    return {};
  }
  auto& bytes = writer_->bytes();
  const auto seen = bytes.word().load(std::memory_order_acquire);
  const auto cap = settings_.options.log_bytes_max;
  const auto next = supply_->NextBytes();
  if (cap > 0 && !wanted.of_the_log && bytes.total() + next > cap) {
    if (layout_.AheadBytes() + next > cap) return RefuseTooLarge(lock, wanted);
    return WaitForTruncation(lock, seen, deadline);
  }
  if (!wanted.of_the_log) cap_alerted_ = false;
  layout_.ExpectSegment();
  growing_ = true;
  lock->unlock();
  auto segment = supply_->Take();
  lock->lock();
  growing_ = false;
  grown_.notify_all();
  if (segment) {
    bytes.Resize(0, (*segment)->header.capacity);
    layout_.AddSegment(*std::move(segment));
    if (at_cap_ > 0) bytes.WakeAll();  // a checkpoint took it, and leaves room in it
    return {};
  }
  const auto error = std::move(segment).error();
  if (error.reason() == ErrorReason::kUnknownOutcome) {
    Poison(lock, error);
    return Stopped();
  }
  VARVE_TRY(GiveSegmentsBack(lock));
  return std::unexpected(error.Within("no segment could be made; the unit was not kept, append it "
                                      "again when there is room"));
}

// A unit that needs several segments got some of them: the room is for others now. But one stays: a
// seal may promise it.
Status CommitQueue::GiveSegmentsBack(Lock* lock) {
  auto segments = layout_.TakeUpcoming();
  for (const auto& segment : segments) writer_->bytes().Resize(segment->header.capacity, 0);
  supply_->PutBack(std::move(segments));
  const auto trimmed = OrOutOfMemory([this] { return supply_->Trim(1); });
  if (trimmed) return {};
  Poison(lock, trimmed.error());
  return Stopped();
}

Status CommitQueue::RefuseTooLarge(Lock* lock, const Wanted& wanted) {
  VARVE_TRY(GiveSegmentsBack(lock));
  return Fail(ErrorKind::kInvalid,
              fmt::format("a unit of {} bytes needs more segments than log_bytes_max ({} bytes) "
                          "allows; append it as several, or raise the limit",
                          wanted.bytes, settings_.options.log_bytes_max));
}

// The cap never deletes anything: it makes appends wait for whoever truncates. `seen` is the word
// as it was before the sizes were compared.
Status CommitQueue::WaitForTruncation(Lock* lock, std::uint32_t seen, Deadline deadline) {
  AlertOfCap(lock);
  const auto now = deadline ? settings_.clock->SteadyMicros() : 0;
  if (deadline && now >= *deadline) {
    return Fail(ErrorKind::kUnavailable,
                fmt::format("the log has reached log_bytes_max ({} bytes) and nothing was "
                            "truncated for {} ms; the unit was not kept; truncate the log, or "
                            "raise the limit",
                            settings_.options.log_bytes_max, settings_.options.queue_wait_ms_max),
                ErrorReason::kTimedOut);
  }
  ++at_cap_;
  lock->unlock();
  const auto& word = writer_->bytes().word();
  if (deadline) {
    settings_.clock->WaitWord(word, seen, *deadline - now);
  } else {
    FutexWait(word, seen);
  }
  lock->lock();
  --at_cap_;
  return {};
}

// Once until there was room again.
void CommitQueue::AlertOfCap(Lock* lock) {
  if (cap_alerted_) return;
  const auto alert =
      fmt::format("the log has reached log_bytes_max ({} bytes): appends wait for a truncation",
                  settings_.options.log_bytes_max);
  cap_alerted_ = true;
  lock->unlock();
  Trace(settings_.trace, "log.alert", alert);
  lock->lock();
}

Status CommitQueue::Fill(const UnitEncoder& unit, const UnitPlace& place) {
  if (place.more.empty()) return unit.Write(place.lsn, place.cipher, place.first.to);
  char* const whole = place.whole.get();
  if (whole == nullptr) {
    PieceWriter writer(place);
    unit.GivePlain([&](std::string_view part) { writer.Put(part); });
    return {};
  }
  VARVE_TRY(unit.Write(place.lsn, place.cipher, whole));
  CopyToPieces({whole, unit.bytes()}, place);
  return {};
}

// A unit ends in its last frame: the records count there.
void CommitQueue::Complete(const UnitPlace& place, std::uint32_t records) {
  place.first.frame->Complete(place.first.bytes, place.more.empty() ? records : 0);
  for (const auto& piece : place.more) {
    piece.frame->Complete(piece.bytes, &piece == &place.more.back() ? records : 0);
  }
}

Status CommitQueue::CheckShadow(LogRecords records, const UnitPlace& place) {
  VARVE_ASSIGN(const auto serial,
               EncodeUnitSerially(records, settings_.options.compression, place.lsn,
                                  place.cipher));
  const auto room = BytesOf(place);
  if (serial.size() == room && EqualsPieces(serial, place)) return {};
  if (serial.size() != room) {
    return Fail(ErrorKind::kInternal,
                fmt::format("the unit at LSN {} has {} bytes by the parallel encoder and {} by "
                            "the serial one",
                            place.lsn.value, room, serial.size()));
  }
  CopyToPieces(serial, place);
  FallBack(fmt::format("the unit at LSN {} differed from its serial form; it was mended",
                       place.lsn.value));
  return {};
}

void CommitQueue::FallBack(std::string reason) {
  Lock lock(mutex_);
  if (mode_.exchange(LogEncodeMode::kSerial) == LogEncodeMode::kSerial) return;
  serial_reason_ = std::move(reason);
  const auto alert = serial_reason_;
  lock.unlock();
  Trace(settings_.trace, "log.alert", "the log encodes serially from now on: " + alert);
}

std::string CommitQueue::serial_reason() const {
  Lock lock(mutex_);
  return serial_reason_;
}

// Nobody may ever wait for the unit: the sync policy says what becomes of it.
void CommitQueue::Defer(bool filled) {
  switch (settings_.options.sync_policy) {
    case LogSyncPolicy::kEveryGroup:
      return FlushSoon();
    case LogSyncPolicy::kInterval:
      if (!timer_armed_.load() && !timer_armed_.exchange(true)) {
        const auto micros = MicrosOf(settings_.options.sync_interval_ms);
        if (!HadMemory([&] { settings_.ask_for_sync_in(micros); })) SyncDeferred();
      }
      [[fallthrough]];
    case LogSyncPolicy::kBytes:
    case LogSyncPolicy::kNever:
      if (filled) FlushSoon();
  }
}

// False: there was no memory to ask with, and the caller must call FlushDeferred.
//
// A producer takes its place and then looks whether a flush is asked for; the flush says that it is
// not any more and then looks how far places go. All four are sequentially consistent: so one of
// the two sees the other. (timer_armed_ and SyncDeferred: the same.)
bool CommitQueue::AskForFlush() {
  if (flush_asked_.load() || flush_asked_.exchange(true)) return true;
  return HadMemory(settings_.ask_for_flush);
}

void CommitQueue::FlushSoon() {
  if (!AskForFlush()) FlushDeferred();
}

LogPositions CommitQueue::positions() const {
  Lock lock(mutex_);
  auto positions = positions_;
  positions.appended = std::max(layout_.UnitEnd(), positions_.written);
  return positions;
}

bool CommitQueue::stopped() const {
  Lock lock(mutex_);
  return poison_.has_value();
}

std::uint64_t CommitQueue::waiting_for_truncation() const {
  Lock lock(mutex_);
  return at_cap_;
}

}  // namespace varve
