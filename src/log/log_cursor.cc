// SPDX-License-Identifier: Apache-2.0
#include "log/log_cursor.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <new>
#include <utility>

#include "base/result.h"

namespace varve {
namespace {

using Step = FrameFollower::Step;

constexpr int kMovesMax = 100;
constexpr std::int64_t kNapMicrosMin = 1000;
constexpr std::int64_t kNapMicrosMax = 64'000;
// A watch does not tell what another machine does to a shared folder: look now and then.
constexpr std::int64_t kWatchMicrosMax = 1'000'000;

template <typename T>
T* Or(T* given, T* real) {
  return given != nullptr ? given : real;
}

std::unexpected<Error> OutOfMemory() {
  return Fail(ErrorKind::kUnavailable, "reading the log: out of memory; try again");
}

}  // namespace

LogCursor::Impl::Impl(const std::string& dir, const LogReaderOptions& options,
                      const LogComponents& components, LiveLog live)
    : options_(options),
      files_(Or(components.files, PosixFiles())),
      clock_(Or(components.clock, SystemClock())),
      dir_(dir),
      live_(std::move(live)),
      follower_({files_, dir, options.keys, options.follow}),
      position_(options.from) {}

Lsn LogCursor::Impl::Limit(const LogPositions& positions) const {
  return options_.level == AckLevel::kDurable ? positions.durable : positions.written;
}

Status LogCursor::Impl::Open() {
  if (live_.pin) {
    VARVE_ASSIGN(pin_, live_.pin(position_));
    if (position_ >= Limit(live_.positions())) return {};  // its frame need not be there yet
  }
  VARVE_TRY(Place());
  VARVE_TRY(CheckId());
  // The oldest there is now: what is truncated before it was read is missed.
  if (position_ == Lsn{}) position_ = follower_.begin();
  return {};
}

// From here on the follower takes no other log for this one.
Status LogCursor::Impl::CheckId() const {
  const std::string found = LogIdText(follower_.log_id());
  if (options_.id.empty() || options_.id == found) return {};
  return Fail(ErrorKind::kCorruption,
              fmt::format("{}: expected the log with id {}, found the files of another log, {}; "
                          "nothing was changed",
                          dir_, options_.id, found));
}

// From here on the files are read anew.
void LogCursor::Impl::Displace() { puller_.reset(); }

Status LogCursor::Impl::Place() {
  for (int attempt = 0; attempt < kMovesMax; ++attempt) {
    VARVE_ASSIGN(const auto step, follower_.Place(position_, given_in_));
    if (step == Step::kMoved) continue;
    puller_.emplace(position_, follower_.inside());
    return {};
  }
  return Fail(ErrorKind::kUnavailable,
              fmt::format("{}: the log was truncated again and again while a reader looked for LSN "
                          "{}; try again",
                          dir_, position_.value));
}

Result<Step> LogCursor::Impl::TakeNextFrame(Lsn durable) {
  LogFrame frame;
  VARVE_ASSIGN(const auto step, follower_.Next(durable, &frame));
  if (step != Step::kFrame) return step;
  std::string defect;
  if (frame.header.kind == FrameKind::kGroup) {
    defect = puller_->TakeGroup(frame, follower_.cipher());
  } else if (frame.header.kind == FrameKind::kLink) {
    const auto link = DecodeLink(frame.payload);
    defect = link ? puller_->TakeLink(frame.header.flags, *link) : link.error().message();
  } else {
    const auto seal = DecodeSeal(frame.payload);
    defect = seal ? puller_->TakeSeal(*seal) : seal.error().message();
  }
  if (!defect.empty()) return follower_.Refuse(defect);
  return Step::kFrame;
}

// kFrame: yes. kEnd: not yet.
Result<Step> LogCursor::Impl::MayGive(Lsn end) {
  if (live_.positions) return end <= Limit(live_.positions()) ? Step::kFrame : Step::kEnd;
  if (options_.level != AckLevel::kDurable) return Step::kFrame;
  return follower_.KnowsDurable(end);
}

// Whether there is a unit to give. Errors leave the place to be found again.
Result<bool> LogCursor::Impl::FillOnce() {
  Lsn durable = options_.known_durable;
  if (live_.positions) {
    const auto positions = live_.positions();
    durable = positions.durable;
    if (position_ >= Limit(positions)) return false;
  }
  for (int moves = 0; moves < kMovesMax;) {
    if (!puller_) VARVE_TRY(Place());
    Step step;
    if (const auto next = puller_->Peek()) {
      VARVE_ASSIGN(step, MayGive(next->end));
      if (step != Step::kMoved) return step == Step::kFrame;
    } else {
      VARVE_ASSIGN(step, TakeNextFrame(durable));
      if (step == Step::kEnd) return PassUnwanted();
    }
    if (step != Step::kMoved) continue;
    Displace();
    ++moves;
  }
  return Fail(ErrorKind::kUnavailable,
              fmt::format("{}: the log was truncated again and again under a reader; try again",
                          dir_));
}

// All is read. It may have ended with a unit that began before the oldest segment: nobody is given
// that one, and nobody waits for it.
Result<bool> LogCursor::Impl::PassUnwanted() {
  const auto passed = puller_->Passed();
  if (!passed || *passed <= position_) return false;
  VARVE_ASSIGN(const auto reached, MayGive(*passed));
  if (reached == Step::kFrame) position_ = *passed;
  return false;
}

Result<bool> LogCursor::Impl::Fill() {
  try {
    auto filled = FillOnce();
    if (!filled) Displace();
    return filled;
  } catch (const std::bad_alloc&) {
    Displace();
    return OutOfMemory();
  }
}

Result<LogUnit> LogCursor::Impl::Give() {
  auto unit = puller_->Take();
  if (!unit) {
    if (unit.error().kind() != ErrorKind::kCorruption) return unit;
    VARVE_TRY(follower_.Refuse(unit.error().message()));
    return Fail(ErrorKind::kUnavailable, "the log changed under a reader; try again");
  }
  const auto frame = follower_.frame();
  const bool other_segment = !given_in_ || given_in_->segment != frame.segment;
  if (live_.pin && other_segment) VARVE_TRY(MovePin(unit->end));
  position_ = unit->end;
  given_in_ = frame;
  return unit;
}

// A closed log truncates nothing.
Status LogCursor::Impl::MovePin(Lsn position) {
  auto pin = live_.pin(position);
  if (!pin && pin.error().reason() == ErrorReason::kClosed) return {};
  if (!pin) return std::unexpected(std::move(pin).error());
  pin_ = *std::move(pin);
  return {};
}

Result<std::optional<LogUnit>> LogCursor::Impl::Next() {
  VARVE_ASSIGN(const bool filled, Fill());
  if (!filled) return std::nullopt;
  nap_micros_ = 0;
  try {
    auto unit = Give();
    if (unit) return std::optional(*unit);
    Displace();
    return std::unexpected(std::move(unit).error());
  } catch (const std::bad_alloc&) {
    Displace();
    return OutOfMemory();
  }
}

// Waits for what is in the log and was not read; false when all of it was.
Result<bool> LogCursor::Impl::WaitInLog(std::int64_t micros) {
  if (!live_.wait) return false;
  const auto appended = live_.positions().appended;
  if (position_ >= appended || appended <= Limit(live_.positions())) return false;
  const auto level = std::max(options_.level, AckLevel::kWritten);  // what is buffered is no file's
  const auto waited = live_.wait(appended, level, (micros + 999) / 1000);
  if (waited || waited.error().reason() == ErrorReason::kTimedOut) return true;
  return std::unexpected(waited.error());
}

Status LogCursor::Impl::WaitOutside(std::int64_t micros) {
  if (watch_) {
    VARVE_TRY(watch_->Wait(std::min(micros, kWatchMicrosMax)));
    return {};
  }
  nap_micros_ = std::clamp(2 * nap_micros_, kNapMicrosMin, kNapMicrosMax);
  const std::atomic<std::uint32_t> nobody_wakes = 0;
  clock_->WaitWord(nobody_wakes, 0, std::min(micros, nap_micros_));
  return {};
}

Result<bool> LogCursor::Impl::WaitForMore(std::uint64_t timeout_ms) {
  constexpr std::uint64_t kLongest = std::uint64_t{1} << 40;
  const auto deadline = clock_->SteadyMicros() +
                        static_cast<std::int64_t>(std::min(timeout_ms, kLongest)) * 1000;
  if (!std::exchange(watch_asked_, true)) {
    VARVE_ASSIGN(watch_, files_->Watch(dir_));
  }
  // The watch was there before the look, so nothing comes between them unseen.
  while (true) {
    const auto filled = Fill();
    if (!filled || *filled) return true;
    const auto left = deadline - clock_->SteadyMicros();
    if (left <= 0) return false;
    VARVE_ASSIGN(const bool waited, WaitInLog(left));
    if (!waited) VARVE_TRY(WaitOutside(left));
  }
}

// The files before this one were synced when it was begun.
Status LogCursor::Impl::Sync() {
  if (live_.positions) {
    return Fail(ErrorKind::kInvalid, "the log is open in this process: sync that");
  }
  if (!given_in_) return {};
  return follower_.Sync(position_);
}

LogCursor::LogCursor(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
LogCursor::~LogCursor() = default;
Result<std::optional<LogUnit>> LogCursor::Next() { return impl_->Next(); }
Result<bool> LogCursor::WaitForMore(std::uint64_t timeout_ms) {
  return impl_->WaitForMore(timeout_ms);
}
Status LogCursor::Sync() { return impl_->Sync(); }
Lsn LogCursor::position() const { return impl_->position(); }

Result<std::unique_ptr<LogCursor>> LogCursor::Open(const std::string& dir,
                                                   const LogReaderOptions& options,
                                                   const LogComponents& components) {
  auto impl = std::make_unique<Impl>(dir, options, components, LiveLog());
  VARVE_TRY(impl->Open());
  return std::unique_ptr<LogCursor>(new LogCursor(std::move(impl)));
}

namespace {

Result<bool> HasSegment(const LogSegmentInfo& segment, const std::string& dir, Files* files) {
  VARVE_ASSIGN(const auto file, files->Open(JoinPath(dir, segment.name), OpenMode::kRead));
  VARVE_ASSIGN(const auto found, LookAtSegment(file.get()));
  return found.header && found.header->generation == segment.generation;
}

// The last segment of the log must be in `dir`, unless meanwhile it was not the last any more, and
// was truncated.
Status CheckSameLog(const Log& log, const std::string& dir, Files* files) {
  for (int attempt = 0;; ++attempt) {
    const auto stats = log.stats();
    if (stats.segments.empty()) return {};
    const auto& segment = stats.segments.back();
    const auto found = HasSegment(segment, dir, files);
    if (found && *found) return {};
    const auto now = log.stats().segments;
    const bool stale = now.empty() || now.back().generation != segment.generation;
    if (stale && attempt < kMovesMax) continue;
    if (!found) return std::unexpected(found.error());
    return Fail(ErrorKind::kInvalid,
                fmt::format("{} holds another log than the one with id {}", dir, stats.id));
  }
}

}  // namespace

Result<std::unique_ptr<LogCursor>> OpenCursor(Log* log, const std::string& dir,
                                              const LogReaderOptions& options,
                                              const LogComponents& components) {
  VARVE_TRY(CheckSameLog(*log, dir, Or(components.files, PosixFiles())));
  LiveLog live;
  live.positions = [log] { return log->positions(); };
  live.pin = [log](Lsn position) { return log->Pin(position); };
  live.wait = [log](Lsn position, AckLevel level, std::uint64_t timeout_ms) {
    return log->WaitUntil(position, level, timeout_ms);
  };
  const bool oldest = options.from.value == 0;
  if (const auto appended = log->positions().appended; options.from > appended) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("LSN {} was never given out: the log ends at LSN {}",
                            options.from.value, appended.value));
  }
  for (int attempt = 0;; ++attempt) {
    auto placed = options;
    if (oldest) placed.from = log->stats().first;
    auto impl = std::make_unique<LogCursor::Impl>(dir, placed, components, live);
    auto opened = impl->Open();
    if (opened) return std::unique_ptr<LogCursor>(new LogCursor(std::move(impl)));
    // The oldest may have been truncated before it was pinned.
    const bool again = oldest && opened.error().kind() == ErrorKind::kNotFound &&
                       opened.error().reason() == ErrorReason::kNone && attempt < kMovesMax;
    if (!again) return std::unexpected(std::move(opened).error());
  }
}

}  // namespace varve
