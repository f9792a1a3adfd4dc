// SPDX-License-Identifier: Apache-2.0
// LogArchiver: what the archive holds, what the log holds, and the copying of the difference.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <system_error>
#include <utility>

#include "base/executor.h"
#include "base/out_of_memory.h"
#include "base/result.h"
#include "log/archive_contents.h"
#include "log/segment_copy.h"
#include "varve/log_archive.h"

namespace varve {

class LogArchiver::Core : public std::enable_shared_from_this<LogArchiver::Core> {
 public:
  Core(Log* log, std::string dir, LogArchive* archive, const LogArchiverOptions& options,
       const LogComponents& components)
      : log_(log),
        dir_(std::move(dir)),
        archive_(archive),
        options_(options),
        files_(components.files != nullptr ? components.files : PosixFiles()),
        executor_(components.executor) {}

  Status Start();
  void Stop();
  Status ArchiveNow(LogArchiveExtent extent);
  void ArchiveSoon(LogArchiveExtent extent);
  LogArchiverStatus GetStatus() const;

 private:
  using Segments = std::vector<LogSegmentInfo>;

  void Schedule();
  void RunInTurn();
  void NoteOutcome(const Status& done);
  Result<LogPin> PinAll();
  Status Run(LogArchiveExtent extent);
  Status Learn();
  Status CheckId(std::string* id);
  Status CompareAll(const ArchiveContents& contents);
  Status CheckReach(const Segments& segments);
  Status Ship(const Segments& segments, std::size_t index, LogArchiveExtent extent, Lsn durable);
  Status ShipWhole(const SourceSegment& source);
  Status ShipTail(const SourceSegment& source, Lsn durable);
  Status PutBytes(const std::string& name, const SourceSegment& source, std::uint64_t from,
                  std::uint64_t to);
  Status DeleteStale();
  Status MovePin(const Segments& segments, Lsn durable);
  void NoteArchived(Lsn position);

  Log* const log_;
  const std::string dir_;
  LogArchive* const archive_;
  const LogArchiverOptions options_;
  Files* const files_;
  Executor* executor_;
  std::unique_ptr<ThreadPool> own_executor_;

  std::atomic<bool> stopped_ = false;
  std::mutex running_;  // guards what follows; held during a run
  bool known_ = false;             // what the archive holds is known
  std::uint64_t next_ = 0;         // sequence of the first segment that is not there whole; 0: any
  std::uint64_t tail_bytes_ = 0;   // of it, that are there
  std::vector<std::string> tails_; // the objects that hold them
  std::vector<std::string> stale_;
  LogPin pin_;

  mutable std::mutex status_mutex_;
  LogArchiverStatus status_;  // guarded by status_mutex_; without lag_bytes
};

// What is there now stays. A truncation may be under way: then the beginning moves meanwhile.
Result<LogPin> LogArchiver::Core::PinAll() {
  while (true) {
    auto pin = log_->Pin(log_->stats().first);
    if (pin || pin.error().kind() != ErrorKind::kNotFound) return pin;
  }
}

Status LogArchiver::Core::Start() {
  VARVE_ASSIGN(pin_, PinAll());
  try {
    if (executor_ == nullptr) own_executor_ = std::make_unique<ThreadPool>(1);
  } catch (const std::system_error& failure) {
    return Fail(ErrorKind::kUnavailable,
                fmt::format("archiving the log in {}: no thread could be made: {}", dir_,
                            failure.what()));
  }
  if (own_executor_) executor_ = own_executor_.get();
  Schedule();
  return {};
}

void LogArchiver::Core::Stop() {
  stopped_ = true;
  {
    std::lock_guard lock(running_);
    pin_ = LogPin();
  }
  own_executor_.reset();
}

// Throws std::bad_alloc, and then nothing was asked for.
void LogArchiver::Core::Schedule() {
  if (options_.interval_ms == 0) return;
  executor_->SubmitAfter(static_cast<std::int64_t>(options_.interval_ms) * 1000,
                         [weak = weak_from_this()] {
                           if (const auto core = weak.lock()) core->RunInTurn();
                         });
}

// The next run is asked for when one is over: they never pile up. Without memory to ask it comes at
// once: an archiver that went to sleep would hold the log's segments for ever.
void LogArchiver::Core::RunInTurn() {
  do {
    (void)ArchiveNow(options_.interval_extent);
  } while (!stopped_ && !HadMemory([this] { Schedule(); }));
}

void LogArchiver::Core::ArchiveSoon(LogArchiveExtent extent) {
  const bool asked = HadMemory([&] {
    executor_->Submit([weak = weak_from_this(), extent] {
      if (const auto core = weak.lock()) (void)core->ArchiveNow(extent);
    });
  });
  if (!asked) NoteOutcome(std::unexpected(OutOfMemory()));
}

Status LogArchiver::Core::ArchiveNow(LogArchiveExtent extent) {
  std::lock_guard lock(running_);
  if (stopped_) {  // in so few bytes that it needs no memory
    return std::unexpected(Error(ErrorKind::kInvalid, "archiver ended", ErrorReason::kClosed));
  }
  auto done = OrOutOfMemory([&] { return Run(extent); });
  if (!done) known_ = false;  // a put may have come through or not: look
  NoteOutcome(done);
  return done;
}

void LogArchiver::Core::NoteOutcome(const Status& done) {
  std::lock_guard lock(status_mutex_);
  status_.last_error.reset();
  if (done) return;
  ++status_.failures;
  status_.last_error = CopyOf(done.error());
}

LogArchiverStatus LogArchiver::Core::GetStatus() const {
  LogArchiverStatus status;
  {
    std::lock_guard lock(status_mutex_);
    status = status_;
  }
  for (const auto& segment : log_->stats().segments) {
    const auto from = std::max(segment.base, status.archived);
    if (segment.end > from) status.lag_bytes += segment.end.value - from.value;
  }
  return status;
}

void LogArchiver::Core::NoteArchived(Lsn position) {
  std::lock_guard lock(status_mutex_);
  status_.archived = std::max(status_.archived, position);
}

Status LogArchiver::Core::Run(LogArchiveExtent extent) {
  if (!known_) VARVE_TRY(Learn());
  known_ = true;
  // In this order: every frame before `durable` lies in one of the segments.
  const auto durable = log_->positions().durable;
  const auto segments = log_->stats().segments;
  VARVE_TRY(CheckReach(segments));
  for (std::size_t i = 0; i < segments.size(); ++i) {
    if (segments[i].sequence < next_) continue;
    VARVE_TRY(Ship(segments, i, extent, durable));
  }
  VARVE_TRY(MovePin(segments, durable));
  return DeleteStale();
}

Status LogArchiver::Core::CheckId(std::string* id) {
  const auto own = log_->stats().id;
  if (id->empty()) {
    VARVE_ASSIGN(const auto put, archive_->NewPut(std::string(kArchiveIdName)));
    VARVE_TRY(put->Append(own));
    VARVE_TRY(put->Finish());
    *id = own;
  }
  if (*id == own) return {};
  return Fail(ErrorKind::kInvalid,
              fmt::format("{}: expected the id {} of the log in {}, found {}: this is the archive "
                          "of another log",
                          archive_->Describe(std::string(kArchiveIdName)), own, dir_, *id));
}

Status LogArchiver::Core::Learn() {
  VARVE_TRY(archive_->Settle());
  VARVE_ASSIGN(auto contents, ReadContents(archive_));
  VARVE_TRY(CheckId(&contents.id));
  next_ = tail_bytes_ = 0;
  tails_.clear();
  stale_ = std::move(contents.stale);
  if (contents.segments.empty()) return {};
  const auto& last = contents.segments.back();
  next_ = last.whole ? last.sequence + 1 : last.sequence;
  if (!last.whole) {
    tail_bytes_ = last.size();
    for (const auto& tail : last.objects) tails_.push_back(tail.name);
  }
  return CompareAll(contents);
}

// The newest one is compared whole: the process that put it may have ended before it read it back.
Status LogArchiver::Core::CompareAll(const ArchiveContents& contents) {
  const auto still = PinAll();
  if (!still && still.error().reason() != ErrorReason::kClosed) {  // then nobody truncates
    return std::unexpected(still.error());
  }
  const auto segments = log_->stats().segments;
  const auto& newest = contents.segments.back();
  if (segments.empty() || segments.back().sequence < newest.sequence) {
    return Fail(ErrorKind::kCorruption,
                fmt::format("{}: the log in {} ends before this segment: it was put back to an "
                            "earlier point; restore from the archive, or use another one",
                            archive_->Describe(newest.objects.front().name), dir_));
  }
  for (const auto& info : segments) {
    if (info.sequence < contents.segments.front().sequence) continue;
    if (info.sequence > newest.sequence) break;
    const auto& archived =
        contents.segments[info.sequence - contents.segments.front().sequence];
    VARVE_ASSIGN(const auto source, OpenSource(files_, dir_, info));
    const auto how = &archived == &newest ? Compare::kEveryByte : Compare::kEnds;
    VARVE_TRY(CompareWithSource(archive_, archived, source, how));
    NoteArchived(source.header.LsnAt(archived.size()));
  }
  // The newest one was truncated, and the log begins behind it.
  if (!newest.whole || segments.front().sequence != newest.sequence + 1) return {};
  VARVE_ASSIGN(const auto next, OpenSource(files_, dir_, segments.front()));
  return CheckFollows(archive_, newest, next);
}

Status LogArchiver::Core::CheckReach(const Segments& segments) {
  if (next_ == 0 && !segments.empty()) next_ = segments.front().sequence;
  if (segments.empty() || segments.front().sequence <= next_) return {};
  return Fail(ErrorKind::kNotFound,
              fmt::format("{}: the log was truncated while no archiver held it: the archive ends "
                          "before segment {}, the log begins with segment {}; use another archive",
                          dir_, next_, segments.front().sequence));
}

Status LogArchiver::Core::Ship(const Segments& segments, std::size_t index,
                               LogArchiveExtent extent, Lsn durable) {
  VARVE_ASSIGN(const auto source, OpenSource(files_, dir_, segments[index]));
  // The last one may be sealed; but it gets a second seal when the log goes on.
  if (index + 1 < segments.size()) return ShipWhole(source);
  return extent == LogArchiveExtent::kTail ? ShipTail(source, durable) : Status();
}

Status LogArchiver::Core::ShipWhole(const SourceSegment& source) {
  const auto end = source.EndOffset();
  VARVE_ASSIGN(const bool sealed, EndsWithPromise(source));
  VARVE_TRY(PutBytes(WholeName(source.info.sequence, end, sealed), source, 0, end));
  std::ranges::move(tails_, std::back_inserter(stale_));
  tails_.clear();
  tail_bytes_ = 0;
  next_ = source.info.sequence + 1;
  NoteArchived(source.info.end);
  return {};
}

Status LogArchiver::Core::ShipTail(const SourceSegment& source, Lsn durable) {
  if (durable <= source.header.LsnAt(kFirstGroupOffset)) return {};
  VARVE_ASSIGN(const auto end, FrameEnd(source, tail_bytes_, durable));
  if (end <= tail_bytes_) return {};
  auto name = TailName(source.info.sequence, tail_bytes_, end);
  VARVE_TRY(PutBytes(name, source, tail_bytes_, end));
  tails_.push_back(std::move(name));
  tail_bytes_ = end;
  NoteArchived(source.header.LsnAt(end));
  return {};
}

// An object that was not read back as it was put is taken away again, so that it does not count.
Status LogArchiver::Core::PutBytes(const std::string& name, const SourceSegment& source,
                                   std::uint64_t from, std::uint64_t to) {
  VARVE_ASSIGN(const auto put, archive_->NewPut(name));
  VARVE_ASSIGN(const auto copied, CopyFrames(source, from, to, put.get()));
  VARVE_TRY(put->Finish());
  if (options_.verify_puts) {
    if (auto checked = CheckPut(archive_, name, copied); !checked) {
      if (checked.error().kind() == ErrorKind::kCorruption) VARVE_TRY(archive_->Delete(name));
      return checked;
    }
  }
  std::lock_guard lock(status_mutex_);
  ++status_.objects;
  return {};
}

Status LogArchiver::Core::DeleteStale() {
  while (!stale_.empty()) {
    VARVE_TRY(archive_->Delete(stale_.back()));
    stale_.pop_back();
  }
  return {};
}

// The first segment that is not there whole stays, and with it all later ones.
Status LogArchiver::Core::MovePin(const Segments& segments, Lsn durable) {
  if (segments.empty()) return {};
  std::size_t at = 0;
  while (at + 1 < segments.size() && segments[at].sequence < next_) ++at;
  // Where no unit ended yet the segment's base was not given out, and a lower position holds it.
  auto pin = log_->Pin(std::min(segments[at].base, durable));
  // Not found: nothing that the pin held before is needed less. A closed log truncates nothing.
  if (!pin && pin.error().kind() == ErrorKind::kNotFound) return {};
  if (!pin && pin.error().reason() == ErrorReason::kClosed) return {};
  if (!pin) return std::unexpected(std::move(pin).error());
  pin_ = *std::move(pin);
  return {};
}

Result<std::unique_ptr<LogArchiver>> LogArchiver::Open(Log* log, const std::string& dir,
                                                       LogArchive* archive,
                                                       const LogArchiverOptions& options,
                                                       const LogComponents& components) {
  return OrOutOfMemory([&]() -> Result<std::unique_ptr<LogArchiver>> {
    auto core = std::make_shared<Core>(log, dir, archive, options, components);
    auto archiver = std::unique_ptr<LogArchiver>(new LogArchiver(core));  // which stops it
    VARVE_TRY(core->Start());
    return archiver;
  });
}

LogArchiver::LogArchiver(std::shared_ptr<Core> core) : core_(std::move(core)) {}
LogArchiver::~LogArchiver() { core_->Stop(); }

Status LogArchiver::ArchiveNow(LogArchiveExtent extent) { return core_->ArchiveNow(extent); }
void LogArchiver::ArchiveSoon(LogArchiveExtent extent) { core_->ArchiveSoon(extent); }
LogArchiverStatus LogArchiver::status() const { return core_->GetStatus(); }

}  // namespace varve
