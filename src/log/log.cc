// SPDX-License-Identifier: Apache-2.0
// Log: composition of recovery, supply, writer and queue.
#include "varve/log.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>
#include <utility>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/executor.h"
#include "base/random.h"
#include "base/result.h"
#include "files/files.h"
#include "log/commit_queue.h"
#include "log/log_recovery.h"
#include "log/log_writer.h"
#include "log/segment_file.h"
#include "log/segment_supply.h"

namespace varve {
namespace {

LogComponents WithDefaults(LogComponents components) {
  if (components.files == nullptr) components.files = PosixFiles();
  if (components.clock == nullptr) components.clock = SystemClock();
  if (components.random == nullptr) components.random = SystemRandom();
  return components;
}

OnDamage ResponseOf(RecoveryMode mode) {
  switch (mode) {
    case RecoveryMode::kStrict: return OnDamage::kRefuse;
    case RecoveryMode::kTolerateTail: return OnDamage::kCutTail;
    case RecoveryMode::kPointInTime: return OnDamage::kCut;
    case RecoveryMode::kSalvage: return OnDamage::kSkip;
  }
  return OnDamage::kRefuse;
}

std::string IdText(const LogId& id) {
  return ToHex({reinterpret_cast<const char*>(id.data()), id.size()});
}

bool ParseId(std::string_view text, LogId* id) {
  std::string bytes;
  if (!FromHex(text, &bytes) || bytes.size() != id->size()) return false;
  std::memcpy(id->data(), bytes.data(), id->size());
  return true;
}

// The id of a log that is opened to be written to: as asked for, as it is, or new.
LogId IdFor(const LogOptions& options, const LogTail& tail, Random* random) {
  LogId id;
  if (ParseId(options.id, &id)) return id;
  if (tail.log_id) return *tail.log_id;
  const std::uint64_t words[] = {random->Next(), random->Next()};
  static_assert(sizeof words == sizeof id);
  std::memcpy(id.data(), words, sizeof words);
  return id;
}

Status CheckOptions(const LogOptions& options, const RecoveryOptions& recovery) {
  const auto bytes = options.segment_bytes_max;
  if (bytes < kSegmentBytesMin || bytes > kSegmentBytesMost) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("segment_bytes_max: expected {} to {}, found {}", kSegmentBytesMin,
                            kSegmentBytesMost, bytes));
  }
  if (recovery.mode == RecoveryMode::kSalvage && !options.read_only) {
    return Fail(ErrorKind::kInvalid,
                "salvage reads past damage, and writing behind damage would lose it: set "
                "read_only");
  }
  LogId id;
  if (!options.id.empty() && !ParseId(options.id, &id)) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("id: expected 32 hex digits, found '{}'", options.id));
  }
  return {};
}

Error NoLog(const std::string& dir) {
  return Error(ErrorKind::kNotFound, fmt::format("there is no log in {}", dir));
}

// Before a lock file is made in a folder that is none of ours.
Status CheckIsLog(Files* files, const std::string& dir) {
  VARVE_ASSIGN(const auto entries, files->List(dir));
  for (const auto& entry : entries) {
    if (SequenceOfName(entry.name)) return {};
  }
  return std::unexpected(NoLog(dir));
}

// That what recovery found is a log, and the one that is wanted.
Status CheckIdentity(const std::string& dir, const LogOptions& options, const LogTail& tail) {
  if (tail.segment.sequence == 0) {  // no segment that was ever used
    const bool make = options.create_if_missing && !options.read_only;
    return make ? Status() : std::unexpected(NoLog(dir));
  }
  const auto id = IdText(*tail.log_id);
  if (options.id.empty() || options.id == id) return {};
  return Fail(ErrorKind::kCorruption,
              fmt::format("{}, offset 16 of each segment: expected log id {}, found {}: these are "
                          "the files of another log; nothing was changed",
                          dir, options.id, id));
}

// Writes the bytes of a file from `from` to `to` over themselves.
Status WriteAgain(File* file, std::uint64_t from, std::uint64_t to) {
  std::string buffer;
  while (from < to) {
    buffer.resize(std::min<std::uint64_t>(to - from, 1u << 20));
    VARVE_ASSIGN(const auto read, file->ReadAt(from, buffer.size(), buffer.data()));
    if (read != buffer.size()) {
      return Fail(ErrorKind::kUnavailable,
                  fmt::format("{}: expected {} bytes at offset {}, found {}; did another process "
                              "cut the file?",
                              file->path(), buffer.size(), from, read),
                  ErrorReason::kIo);
    }
    VARVE_TRY(file->WriteAt(from, buffer));
    from += read;
  }
  return {};
}

// What an earlier process wrote may be in the page cache only: it was killed before it synced, or
// its sync failed, and then the kernel calls pages clean that are not on the device. Writing the
// same bytes again makes them dirty, so that this sync means what it says. Only the last segment
// can hold such bytes, since rolling syncs the one before, and only beyond what its frames note.
Status MakeDurable(Files* files, const std::string& dir, const RecoveredLog& recovered) {
  if (!recovered.segments.empty()) {
    const auto& last = recovered.segments.back().info;
    const auto& tail = recovered.tail;
    VARVE_ASSIGN(const auto file, files->Open(JoinPath(dir, last.name), OpenMode::kReadWrite));
    const auto from = std::max(tail.synced, last.base).value / kLogBlock * kLogBlock;
    const auto origin = last.base.value - kLogBlock;
    VARVE_TRY(WriteAgain(file.get(), from - origin, tail.end.value - origin));
    VARVE_TRY(file->Sync());
  }
  return files->SyncDirectory(dir);
}

// Gives the files that were cut off a second name, before the first one is reused or removed.
Status SetAside(Files* files, Random* random, const std::string& dir, RecoveredLog* recovered) {
  for (const auto& name : recovered->cut_off) {
    const auto aside = fmt::format("{}.{:016x}.set-aside", name, random->Next());
    VARVE_TRY(files->Link(JoinPath(dir, name), JoinPath(dir, aside)));
  }
  if (!recovered->cut_off.empty()) VARVE_TRY(files->SyncDirectory(dir));
  recovered->unused.insert(recovered->unused.end(), recovered->cut_off.begin(),
                           recovered->cut_off.end());
  return {};
}

}  // namespace

// What tasks in the executor share with the Log: it lives until the last of them is gone.
struct LogCore : std::enable_shared_from_this<LogCore> {
  LogCore(const SupplySettings& settings, RecoveredLog recovered)
      : supply(settings, recovered.tail, std::move(recovered.unused)),
        writer(settings.files, settings.dir, recovered.tail, std::move(recovered.segments)) {}

  SegmentSupply supply;
  LogWriter writer;
  std::unique_ptr<CommitQueue> queue;
};

class Log::Impl {
 public:
  Impl(std::string dir, const LogOptions& options, const LogComponents& components)
      : dir_(std::move(dir)), options_(options), components_(WithDefaults(components)) {}
  ~Impl();

  Status Open(const LogReplay& replay, const RecoveryOptions& recovery);
  Status CheckWritable() const;
  LogStats Stats() const;
  Status Close();

  CommitQueue& queue() { return *core_->queue; }
  LogWriter& writer() { return core_->writer; }
  const RecoveryReport& report() const { return report_; }
  LogPositions Positions() const;
  bool closed() const { return closed_; }

 private:
  Status OpenLock();
  void StartCore(RecoveredLog recovered);
  void Submit(void (*run)(LogCore*));
  bool Forked() const { return ::getpid() != owner_; }

  const std::string dir_;
  const LogOptions options_;
  LogComponents components_;
  const pid_t owner_ = ::getpid();
  std::unique_ptr<FileLock> lock_;
  RecoveryReport report_;
  std::string id_;
  std::vector<UsedSegment> read_only_segments_;
  std::atomic<bool> closed_ = false;
  std::shared_ptr<LogCore> core_;                // null when read-only
  std::unique_ptr<ThreadPool> own_executor_;     // when none was given; joined before core_ goes
};

Status Log::Impl::OpenLock() {
  auto* files = components_.files;
  const auto path = JoinPath(dir_, "LOCK");
  if (options_.read_only || !options_.create_if_missing) {
    VARVE_TRY(CheckIsLog(files, dir_));
  } else {
    VARVE_TRY(files->CreateDirectories(dir_));
  }
  const auto mode = options_.read_only ? LockMode::kShared : LockMode::kExclusive;
  VARVE_ASSIGN(lock_, files->Lock(path, mode));
  return {};
}

Status Log::Impl::Open(const LogReplay& replay, const RecoveryOptions& recovery) {
  VARVE_TRY(CheckOptions(options_, recovery));
  VARVE_TRY(OpenLock());
  VARVE_ASSIGN(auto recovered,
               RecoverLog(components_.files, dir_, recovery, ResponseOf(recovery.mode), replay));
  VARVE_TRY(CheckIdentity(dir_, options_, recovered.tail));
  report_ = recovered.report;
  if (options_.read_only) {
    id_ = IdText(*recovered.tail.log_id);
    read_only_segments_ = std::move(recovered.segments);
    return {};
  }
  VARVE_TRY(MakeDurable(components_.files, dir_, recovered));
  const bool is_new = recovered.segments.empty();
  const bool cut_damage = recovered.cut_damage;
  if (cut_damage) VARVE_TRY(SetAside(components_.files, components_.random, dir_, &recovered));
  StartCore(std::move(recovered));
  // A new log exists from now on. A cut must hold from now on: the link says where the log ended.
  if (is_new || cut_damage) VARVE_TRY(queue().BeginSegment());
  return {};
}

void Log::Impl::StartCore(RecoveredLog recovered) {
  if (components_.executor == nullptr) {
    own_executor_ = std::make_unique<ThreadPool>(2);
    components_.executor = own_executor_.get();
  }
  const auto segment_bytes = options_.segment_bytes_max / kLogBlock * kLogBlock;
  recovered.tail.log_id = IdFor(options_, recovered.tail, components_.random);
  id_ = IdText(*recovered.tail.log_id);
  core_ = std::make_shared<LogCore>(
      SupplySettings{components_.files, components_.clock, components_.random, dir_, segment_bytes},
      std::move(recovered));
  QueueSettings settings{
      components_.clock, options_.queue_bytes_max,
      [this] { Submit([](LogCore* core) { core->queue->SyncDeferred(); }); },
      [this] { Submit([](LogCore* core) { core->supply.MakeAhead(); }); }};
  core_->queue = std::make_unique<CommitQueue>(std::move(settings), &core_->writer, &core_->supply);
}

void Log::Impl::Submit(void (*run)(LogCore*)) {
  components_.executor->Submit([core = core_, run] { run(core.get()); });
}

Status Log::Impl::CheckWritable() const {
  if (Forked()) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("the log in {} was opened by process {}, and this is its child by "
                            "fork, {}: open the log after fork",
                            dir_, owner_, ::getpid()),
                ErrorReason::kClosed);
  }
  if (options_.read_only) {
    return Fail(ErrorKind::kInvalid, fmt::format("the log in {} was opened read-only", dir_),
                ErrorReason::kReadOnly);
  }
  return {};
}

LogPositions Log::Impl::Positions() const {
  if (core_) return core_->queue->positions();
  return {report_.end, report_.end, report_.end};
}

LogStats Log::Impl::Stats() const {
  LogStats stats;
  stats.id = id_;
  stats.positions = Positions();
  const auto segments = core_ ? core_->writer.Segments() : read_only_segments_;
  for (const auto& segment : segments) stats.segments.push_back(segment.info);
  if (!segments.empty()) stats.first = segments.front().info.base;
  if (!core_) return stats;
  stats.units = core_->queue->units();
  stats.records = core_->queue->records();
  stats.groups = core_->writer.groups();
  stats.syncs = core_->writer.syncs();
  stats.bytes_written = core_->writer.bytes_written();
  return stats;
}

Status Log::Impl::Close() {
  if (Forked()) return CheckWritable();
  if (closed_.exchange(true)) {
    return Fail(ErrorKind::kInvalid, "the log is closed", ErrorReason::kClosed);
  }
  Status closed;
  if (core_) closed = core_->queue->Close();
  lock_.reset();
  return closed;
}

Log::Impl::~Impl() {
  if (Forked()) {
    // The pool's threads and the mutexes' owners live in the parent: joining or locking here would
    // wait for ever. The parent's files stay as they are.
    (void)own_executor_.release();
    (void)new std::shared_ptr<LogCore>(std::move(core_));
    return;
  }
  if (core_ && core_->queue) core_->queue->Abandon();
  own_executor_.reset();
}

Log::Log(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Log::~Log() = default;

Result<std::unique_ptr<Log>> Log::Open(const std::string& dir, const LogOptions& options,
                                       const LogReplay& replay, const RecoveryOptions& recovery,
                                       const LogComponents& components) {
  auto impl = std::make_unique<Impl>(dir, options, components);
  VARVE_TRY(impl->Open(replay, recovery));
  return std::unique_ptr<Log>(new Log(std::move(impl)));
}

Result<LogAck> Log::Append(std::span<const std::string_view> records, AckLevel level) {
  VARVE_TRY(impl_->CheckWritable());
  const bool deferred = level == AckLevel::kBuffered;
  VARVE_ASSIGN(const auto ticket, impl_->queue().Enqueue(records, deferred));
  return impl_->queue().Wait(ticket, level);
}

Result<LogAck> Log::Append(std::initializer_list<std::string_view> records, AckLevel level) {
  return Append(std::span(records.begin(), records.size()), level);
}

Result<LogTicket> Log::Enqueue(std::span<const std::string_view> records, AckLevel to_come) {
  VARVE_TRY(impl_->CheckWritable());
  return impl_->queue().Enqueue(records, to_come != AckLevel::kDurable);
}

Result<LogAck> Log::Wait(const LogTicket& ticket, AckLevel level) {
  VARVE_TRY(impl_->CheckWritable());
  return impl_->queue().Wait(ticket, level);
}

Status Log::Sync() {
  VARVE_TRY(impl_->CheckWritable());
  return impl_->queue().Sync();
}

LogPositions Log::positions() const { return impl_->Positions(); }
LogStats Log::stats() const { return impl_->Stats(); }
const RecoveryReport& Log::recovery() const { return impl_->report(); }

Status Log::Rotate() {
  VARVE_TRY(impl_->CheckWritable());
  return impl_->queue().Rotate();
}

Status Log::TruncateBefore(Lsn fence) {
  VARVE_TRY(impl_->CheckWritable());
  const auto durable = impl_->Positions().durable;
  if (fence > durable) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("cannot truncate before LSN {}: only LSN {} is durable", fence.value,
                            durable.value));
  }
  if (impl_->closed()) return impl_->queue().Sync();
  return impl_->writer().Truncate(fence);
}

Status Log::Close() { return impl_->Close(); }

}  // namespace varve
