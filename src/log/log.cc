// SPDX-License-Identifier: Apache-2.0
// Log: composition of recovery, supply, writer and queue.
#include "varve/log.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <system_error>
#include <utility>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/executor.h"
#include "base/fork.h"
#include "base/out_of_memory.h"
#include "base/random.h"
#include "base/result.h"
#include "varve/trace.h"
#include "files/files.h"
#include "log/checkpoint_file.h"
#include "log/commit_queue.h"
#include "log/log_recovery.h"
#include "log/log_writer.h"
#include "log/segment_file.h"
#include "log/segment_supply.h"
#include "log/transactions.h"

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

bool IsForUsers(LogKind kind) { return kind <= LogKind::kUserLast || kind == LogKind::kPageImage; }

bool AreForUsers(LogRecords records) {
  return std::ranges::all_of(records, [](const auto& record) { return IsForUsers(record.kind); });
}

// A checkpoint that Checkpoint did not write would start a replay anywhere.
Status CheckKinds(LogRecords records) {
  for (const auto& record : records) {
    if (IsForUsers(record.kind)) continue;
    return Fail(ErrorKind::kInvalid,
                fmt::format("records of kind {} are the log's own: use 0 to {}",
                            static_cast<int>(record.kind), static_cast<int>(LogKind::kUserLast)));
  }
  return {};
}

Error CapTooLow(const LogOptions& options) {
  const auto fits = options.log_bytes_max / 3;
  return Error(ErrorKind::kInvalid,
               fmt::format("log_bytes_max is {}, less than three segments of {} bytes, and with "
                           "fewer nothing could be truncated: raise log_bytes_max to {}, or set it "
                           "to 0 for no limit{}",
                           options.log_bytes_max, options.segment_bytes_max,
                           3 * options.segment_bytes_max,
                           fits < kSegmentBytesMin
                               ? ""
                               : fmt::format(", or lower segment_bytes_max to {}", fits)));
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
  if (options.log_bytes_max != 0 && options.log_bytes_max < 3 * bytes) {
    return std::unexpected(CapTooLow(options));
  }
  const std::pair<const char*, std::uint64_t> sizes[] = {
      {"queue_bytes_max", options.queue_bytes_max},
      {"group_bytes_max", options.group_bytes_max},
      {"sync_bytes", options.sync_bytes}};
  for (const auto& [name, size] : sizes) {
    if (size == 0) {
      return Fail(ErrorKind::kInvalid, fmt::format("{}: expected at least 1 byte, found 0", name));
    }
  }
  if (options.shadow_per_mille > 1000) {
    return Fail(ErrorKind::kInvalid, fmt::format("shadow_per_mille: expected 0 to 1000, found {}",
                                                 options.shadow_per_mille));
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
  const auto id = LogIdText(*tail.log_id);
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

// More than one disk holds, and so more than lost segments gave out.
constexpr std::uint64_t kJumpBytes = 1ull << 50;

// Positions go on above all that were given out, also by segments that are lost: whose header does
// not validate, that are missing, or replaced. No segment behind one that is left was ever
// truncated, so all of the lost ones were on the disk at one time, and a jump passes them. Where an
// earlier cut jumped and all that was written since is lost too, chance tells the two apart.
Status PassGivenOut(Files* files, Random* random, const std::string& dir,
                    RecoveredLog* recovered) {
  auto& base = recovered->tail.next_base;
  VARVE_ASSIGN(const auto slot, ReadCheckpoint(files, dir, *recovered->tail.log_id));
  const auto known = slot ? std::max(slot->durable, slot->replay_from).value : 0;
  if (!recovered->cut_damage && known <= base) return {};
  base = std::max(base, known) / kLogBlock * kLogBlock;
  const auto jump = kJumpBytes + random->Below(kJumpBytes) / kLogBlock * kLogBlock;
  base = base > UINT64_MAX - jump ? UINT64_MAX : base + jump;  // then no positions are left
  return {};
}

// Nothing when there is no segment, or its header does not validate; recovery will tell.
Result<std::optional<LogId>> IdOfFirstSegment(Files* files, const std::string& dir) {
  VARVE_ASSIGN(const auto entries, files->List(dir));
  for (const auto& entry : entries) {
    if (!SequenceOfName(entry.name)) continue;
    VARVE_ASSIGN(const auto file, files->Open(JoinPath(dir, entry.name), OpenMode::kRead));
    VARVE_ASSIGN(const auto segment, LookAtSegment(file.get()));
    return segment.header ? std::optional(segment.header->log_id) : std::nullopt;
  }
  return std::optional<LogId>();
}

// What an earlier process kept for use again.
Status RemoveFreeFiles(Files* files, const std::string& dir) {
  VARVE_ASSIGN(const auto entries, files->List(dir));
  for (const auto& entry : entries) {
    if (!IsFreeName(entry.name) || entry.is_directory) continue;
    VARVE_TRY(files->Remove(JoinPath(dir, entry.name)));
  }
  return {};
}

// Gives the files that were cut off a second name, before the first one is reused or removed; the
// report tells it.
Status SetAside(Files* files, Random* random, const std::string& dir, RecoveredLog* recovered) {
  for (const auto& name : recovered->cut_off) {
    const auto aside = fmt::format("{}.{:016x}.set-aside", name, random->Next());
    VARVE_TRY(files->Link(JoinPath(dir, name), JoinPath(dir, aside)));
    recovered->report.set_aside.push_back(aside);
  }
  if (!recovered->cut_off.empty()) VARVE_TRY(files->SyncDirectory(dir));
  recovered->unused.insert(recovered->unused.end(), recovered->cut_off.begin(),
                           recovered->cut_off.end());
  return {};
}

}  // namespace

// What tasks in the executor share with the Log: it lives until the last of them is gone. A task of
// a log that is gone may still ask for another.
struct LogCore : std::enable_shared_from_this<LogCore> {
  LogCore(const SupplySettings& settings, RecoveredLog recovered, TraceSink* trace,
          Executor* tasks)
      : supply(settings, recovered.tail, std::move(recovered.unused)),
        writer(settings.files, settings.dir, recovered.tail, std::move(recovered.segments),
               &supply, trace),
        executor(tasks) {}

  void Submit(void (*run)(LogCore*)) {
    executor->Submit([core = shared_from_this(), run] { run(core.get()); });
  }
  void SubmitSync(std::int64_t micros) {
    executor->SubmitAfter(micros, [core = shared_from_this()] { core->queue->SyncDeferred(); });
  }

  SegmentSupply supply;
  LogWriter writer;
  Executor* const executor;
  std::unique_ptr<CommitQueue> queue;
};

class Log::Impl {
 public:
  Impl(std::string dir, const LogOptions& options, const LogComponents& components)
      : dir_(std::move(dir)), options_(options), components_(WithDefaults(components)) {}
  ~Impl();

  Status Open(const LogReplay& replay, const RecoveryOptions& recovery);
  Status CheckWritable() const;
  bool IsWritable() const { return !options_.read_only && !Forked(); }
  Status CheckOpen(bool to_look = false) const;  // not closed, and unless `to_look` writable
  LogStats Stats() const;
  Status Close();

  Status CheckRecords(LogRecords records) const;
  Result<LogAck> Append(LogRecords records, AckLevel level);
  Result<LogTruncation> Truncate(Lsn fence, bool dry_run);
  Result<LogTicket> EnqueueTransaction(LogTransaction transaction, AckLevel level);
  Result<LogAck> Checkpoint(Lsn replay_from, std::string_view note);
  Result<LogPin> Pin(Lsn position);
  Result<LogTruncation> TruncateBefore(Lsn fence, bool dry_run);
  Result<LogTruncation> TruncateToCheckpoint(Lsn fence, bool dry_run);
  CommitQueue& queue() { return *core_->queue; }
  Transactions& transactions() { return transactions_; }
  const RecoveryReport& report() const { return report_; }
  // Asks no lock in a child by fork, where nobody may ever give it back.
  LogPositions Positions() const;
  bool closed() const { return closed_; }
  std::unexpected<Error> ClosedFailure() const {
    return Fail(ErrorKind::kInvalid, "the log is closed", ErrorReason::kClosed);
  }

 private:
  Result<LogAck> AppendCheckpoint(Lsn replay_from, std::string_view note);
  Result<std::optional<Lsn>> ReplayFrom();
  std::optional<Lsn> RecoveredCheckpoint() const;
  Status OpenLock();
  Result<RecoveredLog> Recover(const LogReplay& replay, RecoveryOptions recovery);
  void StartCore(RecoveredLog recovered);
  bool Forked() const { return ForkGeneration() != forks_; }

  const std::string dir_;
  const LogOptions options_;
  LogComponents components_;
  const pid_t owner_ = ::getpid();
  const std::uint64_t forks_ = ForkGeneration();
  std::unique_ptr<FileLock> lock_;
  RecoveryReport report_;
  std::string id_;
  LogTail read_only_tail_;
  std::vector<UsedSegment> read_only_segments_;
  Transactions transactions_;
  std::mutex checkpointing_;                     // before fence_mutex_; held by Checkpoint
  std::mutex fence_mutex_;                       // held from reading the fence until all is gone
  std::unique_ptr<CheckpointFile> checkpoints_;  // guarded by fence_mutex_; null when read-only
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

// Reads the log back, noting the newest checkpoint on the way.
Result<RecoveredLog> Log::Impl::Recover(const LogReplay& replay, RecoveryOptions recovery) {
  const auto began = components_.clock->SteadyMicros();
  if (recovery.from_checkpoint) {
    VARVE_ASSIGN(const auto id, IdOfFirstSegment(components_.files, dir_));
    std::optional<CheckpointSlot> slot;
    if (id) {
      VARVE_ASSIGN(slot, ReadCheckpoint(components_.files, dir_, *id));
    }
    if (slot) {
      recovery.replay_from = std::max(recovery.replay_from, slot->replay_from);
      recovery.known_durable = std::max(recovery.known_durable, slot->durable);
    }
  }
  std::optional<LogCheckpoint> newest;
  const LogReplay note_checkpoints = [&](const LogUnit& unit) {
    for (const auto& record : unit.records) {
      if (record.kind != LogKind::kCheckpoint) continue;
      if (auto checkpoint = DecodeCheckpoint(unit.lsn, record)) newest = std::move(checkpoint);
    }
    return replay ? replay(unit) : Status();
  };
  VARVE_ASSIGN(auto recovered,
               RecoverLog(components_.files, dir_, recovery, ResponseOf(recovery.mode),
                          note_checkpoints, options_.keys, components_.executor));
  recovered.report.checkpoint = std::move(newest);
  recovered.report.micros = components_.clock->SteadyMicros() - began;
  return recovered;
}

Status Log::Impl::Open(const LogReplay& replay, const RecoveryOptions& recovery) {
  VARVE_TRY(CheckOptions(options_, recovery));
  VARVE_TRY(OpenLock());
  VARVE_ASSIGN(auto recovered, Recover(replay, recovery));
  VARVE_TRY(CheckIdentity(dir_, options_, recovered.tail));
  report_ = recovered.report;
  Trace(components_.trace, "log.open", dir_,
        {{"units", report_.units},
         {"records", report_.records},
         {"bytes", report_.bytes},
         {"torn_bytes", report_.torn_bytes},
         {"cut_bytes", report_.cut_bytes}});
  if (options_.read_only) {
    id_ = LogIdText(*recovered.tail.log_id);
    read_only_tail_ = recovered.tail;
    read_only_segments_ = std::move(recovered.segments);
    return {};
  }
  VARVE_TRY(MakeDurable(components_.files, dir_, recovered));
  VARVE_TRY(RemoveFreeFiles(components_.files, dir_));
  const bool is_new = recovered.segments.empty();
  const bool cut_damage = recovered.cut_damage;
  if (cut_damage) VARVE_TRY(SetAside(components_.files, components_.random, dir_, &recovered));
  report_.set_aside = recovered.report.set_aside;
  recovered.tail.log_id = IdFor(options_, recovered.tail, components_.random);
  VARVE_TRY(PassGivenOut(components_.files, components_.random, dir_, &recovered));
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
  id_ = LogIdText(*recovered.tail.log_id);
  checkpoints_ = std::make_unique<CheckpointFile>(
      components_.files, dir_, *recovered.tail.log_id, RecoveredCheckpoint());
  core_ = std::make_shared<LogCore>(
      SupplySettings{components_.files, components_.clock, components_.random, dir_, segment_bytes,
                     options_.keys, options_.sync_method, options_.recycled_segments_max},
      std::move(recovered), components_.trace, components_.executor);
  auto* const core = core_.get();
  QueueSettings settings{
      components_.clock, options_,
      [core] { core->Submit([](LogCore* of) { of->queue->FlushDeferred(); }); },
      [core](std::int64_t micros) { core->SubmitSync(micros); },
      [core] { core->Submit([](LogCore* of) { of->queue->LeadWhileOthersWait(); }); },
      [core] { core->Submit([](LogCore* of) { of->supply.MakeAhead(); }); },
      components_.trace,
      components_.on_durable};
  core_->queue = std::make_unique<CommitQueue>(std::move(settings), &core_->writer, &core_->supply);
}

Status Log::Impl::CheckWritable() const {
  if (IsWritable()) return {};
  if (Forked()) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("the log in {} was opened by process {}, and this is its child by "
                            "fork, {}: open the log after fork",
                            dir_, owner_, ::getpid()),
                ErrorReason::kClosed);
  }
  return Fail(ErrorKind::kInvalid, fmt::format("the log in {} was opened read-only", dir_),
              ErrorReason::kReadOnly);
}

Status Log::Impl::CheckOpen(bool to_look) const {
  if (!to_look || Forked()) VARVE_TRY(CheckWritable());
  return closed_ ? ClosedFailure() : Status();
}

LogPositions Log::Impl::Positions() const {
  if (core_ && !Forked()) return core_->queue->positions();
  return {report_.end, report_.end, report_.end};
}

LogStats Log::Impl::Stats() const {
  LogStats stats;
  stats.id = id_;
  stats.positions = Positions();
  if (Forked()) return stats;
  const auto segments = core_ ? core_->writer.Segments() : read_only_segments_;
  for (const auto& segment : segments) stats.segments.push_back(segment.info);
  if (!segments.empty()) stats.first = segments.front().info.base;
  if (!core_) return stats;
  stats.units = core_->writer.units();
  stats.records = core_->writer.records();
  stats.groups = core_->writer.groups();
  stats.syncs = core_->writer.syncs();
  stats.bytes_written = core_->writer.bytes_written();
  stats.sync_method =
      static_cast<LogSyncMethod>(static_cast<int>(core_->writer.sync_method()) + 1);
  stats.encode_mode = core_->queue->mode();
  stats.serial_reason = core_->queue->serial_reason();
  stats.open_transactions = transactions_.count();
  stats.stopped = core_->queue->stopped();
  stats.log_bytes_max = options_.log_bytes_max;
  stats.waiting_for_truncation = core_->queue->waiting_for_truncation();
  const auto& metrics = core_->queue->metrics();
  stats.queue_micros = metrics.queue_micros.Read();
  stats.encode_micros = metrics.encode_micros.Read();
  stats.flush_micros = metrics.flush_micros.Read();
  stats.ack_micros = metrics.ack_micros.Read();
  return stats;
}

Status Log::Impl::Close() {
  if (Forked()) return CheckWritable();
  if (closed_.exchange(true)) return ClosedFailure();
  transactions_.ForgetAll();
  Status closed;
  if (core_) closed = OrOutOfMemory([this] { return core_->queue->Close(); });
  {
    // What is on its way has its answer from the queue, and changes files: they are ours till then.
    std::scoped_lock no_upkeep(checkpointing_, fence_mutex_);
    lock_.reset();
  }
  Trace(components_.trace, "log.close", dir_);
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
  try {
    auto impl = std::make_unique<Impl>(dir, options, components);
    VARVE_TRY(impl->Open(replay, recovery));
    return std::unique_ptr<Log>(new Log(std::move(impl)));
  } catch (const std::bad_alloc&) {
    return std::unexpected(OutOfMemory());  // and nothing was cut
  } catch (const std::system_error& failure) {
    return Fail(ErrorKind::kUnavailable,
                fmt::format("opening the log in {}: no thread could be made: {}", dir,
                            failure.what()));
  }
}

// For whoever appends `records`.
Status Log::Impl::CheckRecords(LogRecords records) const {
  return OrOutOfMemory([&]() -> Status {
    VARVE_TRY(CheckWritable());
    return CheckKinds(records);
  });
}

// Without memory before there is a ticket nothing is kept; from then on the queue sees to it.
Result<LogAck> Log::Impl::Append(LogRecords records, AckLevel level) {
  VARVE_ASSIGN(const auto ticket, queue().Enqueue(records, level));
  return queue().Wait(ticket, level);
}

Result<LogAck> Log::Append(LogRecords records, AckLevel level) {
  VARVE_TRY(impl_->CheckRecords(records));
  return impl_->Append(records, level);
}

Result<LogAck> Log::Append(std::initializer_list<LogRecord> records, AckLevel level) {
  return Append(LogRecords(records.begin(), records.size()), level);
}

void Log::AppendThen(LogRecords records, AckLevel level, LogCallback done) {
  auto valid = impl_->CheckRecords(records);
  if (!valid) return done(std::unexpected(std::move(valid).error()));
  auto ticket = impl_->queue().Enqueue(records, level);
  if (!ticket) return done(std::unexpected(std::move(ticket).error()));
  impl_->queue().Then(*ticket, level, std::move(done));
}

std::future<Result<LogAck>> Log::AppendAsync(LogRecords records, AckLevel level) {
  const auto promise = std::make_shared<std::promise<Result<LogAck>>>();
  auto future = promise->get_future();
  AppendThen(records, level, [promise](const Result<LogAck>& ack) {
    promise->set_value(ack ? ack : std::unexpected(CopyOf(ack.error())));
  });
  return future;
}

Result<LogTicket> Log::Enqueue(LogRecords records, AckLevel to_come) {
  if (!impl_->IsWritable() || !AreForUsers(records)) {
    return std::unexpected(impl_->CheckRecords(records).error());
  }
  return impl_->queue().Enqueue(records, to_come);
}

Result<LogAck> Log::Wait(const LogTicket& ticket, AckLevel level) {
  return OrOutOfMemory([&]() -> Result<LogAck> {
    VARVE_TRY(impl_->CheckWritable());
    return impl_->queue().Wait(ticket, level);
  });
}

void Log::WaitThen(const LogTicket& ticket, AckLevel level, LogCallback done) {
  auto writable = impl_->CheckWritable();
  if (!writable) return done(std::unexpected(std::move(writable).error()));
  impl_->queue().Then(ticket, level, std::move(done));
}

Result<LogTransaction> Log::Begin() {
  return OrOutOfMemory([&]() -> Result<LogTransaction> {
    VARVE_TRY(impl_->CheckOpen());
    return impl_->transactions().Begin();
  });
}

Status Log::AppendTo(LogTransaction transaction, LogRecords records) {
  return OrOutOfMemory([&]() -> Status {
    VARVE_TRY(impl_->CheckOpen());
    VARVE_TRY(CheckKinds(records));
    return impl_->transactions().Add(transaction, records);
  });
}

// Appends what the transaction holds; when it is certainly not kept, the transaction goes on.
Result<LogTicket> Log::Impl::EnqueueTransaction(LogTransaction transaction, AckLevel level) {
  VARVE_TRY(CheckOpen());
  VARVE_ASSIGN(auto open, transactions_.Take(transaction));
  auto ticket = OrOutOfMemory([&] {
    std::vector<LogRecord> records;
    records.reserve(open.mapped().records.size());
    for (const auto& record : open.mapped().records) {
      records.emplace_back(record.bytes, record.kind);
    }
    return queue().Enqueue(records, level);
  });
  if (!ticket) transactions_.PutBack(std::move(open));
  return ticket;
}

Result<LogAck> Log::Commit(LogTransaction transaction, AckLevel level) {
  VARVE_ASSIGN(const auto ticket,
               OrOutOfMemory([&] { return impl_->EnqueueTransaction(transaction, level); }));
  return impl_->queue().Wait(ticket, level);
}

Status Log::Abort(LogTransaction transaction) {
  return OrOutOfMemory([&]() -> Status {
    VARVE_TRY(impl_->CheckOpen());
    return impl_->transactions().Forget(transaction);
  });
}

Status Log::WaitUntil(Lsn position, AckLevel level, std::optional<std::uint64_t> timeout_ms) {
  return OrOutOfMemory([&]() -> Status {
    VARVE_TRY(impl_->CheckWritable());
    return impl_->queue().WaitUntil(position, level, timeout_ms);
  });
}

Status Log::Sync() {
  return OrOutOfMemory([&]() -> Status {
    VARVE_TRY(impl_->CheckWritable());
    return impl_->queue().Sync();
  });
}

LogPositions Log::positions() const { return impl_->Positions(); }
LogStats Log::stats() const { return impl_->Stats(); }
const RecoveryReport& Log::recovery() const { return impl_->report(); }

Status Log::Rotate() {
  return OrOutOfMemory([&]() -> Status {
    VARVE_TRY(impl_->CheckWritable());
    return impl_->queue().Rotate();
  });
}

// One at a time, so that the file tells of the newest unit. No truncation waits for a unit.
Result<LogAck> Log::Impl::AppendCheckpoint(Lsn replay_from, std::string_view note) {
  std::lock_guard in_order(checkpointing_);
  // Whoever opens from it needs what is there: it must be, and must stay meanwhile.
  LogPin pin;
  if (replay_from != Lsn{}) {
    VARVE_ASSIGN(pin, core_->writer.Pin(replay_from));
  }
  const auto record = EncodeCheckpoint(replay_from, note);
  const LogRecord records[] = {{record, LogKind::kCheckpoint}};
  {
    std::lock_guard no_truncation(fence_mutex_);
    VARVE_TRY(CheckOpen());
    VARVE_TRY(checkpoints_->Announce(replay_from));
  }
  VARVE_ASSIGN(const auto ack, Append(records, AckLevel::kDurable));
  std::lock_guard no_truncation(fence_mutex_);
  VARVE_TRY(checkpoints_->Write(ack.end, replay_from));
  return ack;
}

Result<LogAck> Log::Impl::Checkpoint(Lsn replay_from, std::string_view note) {
  VARVE_TRY(CheckWritable());
  const auto durable = Positions().durable;
  if (replay_from > durable) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("a checkpoint cannot say to replay from LSN {}: only LSN {} is durable",
                            replay_from.value, durable.value));
  }
  VARVE_ASSIGN(const auto ack, AppendCheckpoint(replay_from, note));
  Trace(components_.trace, "log.checkpoint", note,
        {{"lsn", ack.lsn.value}, {"replay_from", replay_from.value}});
  return ack;
}

Result<LogAck> Log::Checkpoint(Lsn replay_from, std::string_view note) {
  return OrOutOfMemory([&] { return impl_->Checkpoint(replay_from, note); });
}

Result<LogPin> Log::Impl::Pin(Lsn position) {
  VARVE_TRY(CheckOpen());
  const auto end = std::max(Positions().appended, Stats().first);
  if (position > end) {
    return Fail(ErrorKind::kInvalid, fmt::format("LSN {} cannot be pinned: the log ends at LSN {}",
                                                 position.value, end.value));
  }
  return core_->writer.Pin(position);
}

Result<LogPin> Log::Pin(Lsn position) {
  return OrOutOfMemory([&] { return impl_->Pin(position); });
}

// Who may not write asks a writer that nobody else knows, and that only tells.
Result<LogTruncation> Log::Impl::Truncate(Lsn fence, bool dry_run) {
  if (core_) return core_->writer.Truncate(fence, dry_run);
  LogWriter writer(components_.files, dir_, read_only_tail_, read_only_segments_, nullptr, nullptr);
  return writer.Truncate(fence, /*dry_run=*/true);
}

// Of a checkpoint that recovery saw.
std::optional<Lsn> Log::Impl::RecoveredCheckpoint() const {
  return report_.checkpoint ? std::optional(report_.checkpoint->replay_from) : std::nullopt;
}

// Of the newest checkpoint. Who may not write reads the file, and leaves it as it is. Requires
// fence_mutex_.
Result<std::optional<Lsn>> Log::Impl::ReplayFrom() {
  if (core_) return checkpoints_->ReplayFrom();
  VARVE_ASSIGN(const auto slot,
               ReadCheckpoint(components_.files, dir_, *read_only_tail_.log_id));
  return slot ? Lowest(slot->replay_from, RecoveredCheckpoint()) : RecoveredCheckpoint();
}

Result<LogTruncation> Log::Impl::TruncateToCheckpoint(Lsn fence, bool dry_run) {
  std::lock_guard lock(fence_mutex_);
  VARVE_ASSIGN(const auto replay_from, ReplayFrom());
  VARVE_TRY(CheckOpen(/*to_look=*/dry_run));  // Close waits for the mutex
  const bool held = replay_from && *replay_from < fence;
  auto truncated = OrOutOfMemory([&] { return Truncate(held ? *replay_from : fence, dry_run); });
  if (truncated && held && truncated->held_at == Lsn{}) truncated->held_at = *replay_from;
  return truncated;
}

Result<LogTruncation> Log::Impl::TruncateBefore(Lsn fence, bool dry_run) {
  VARVE_TRY(CheckOpen(/*to_look=*/dry_run));
  const auto durable = Positions().durable;
  if (fence > durable) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("cannot truncate before LSN {}: only LSN {} is durable", fence.value,
                            durable.value));
  }
  auto truncated = TruncateToCheckpoint(fence, dry_run);
  if (truncated && !dry_run) {
    Trace(components_.trace, "log.truncate", {},
          {{"segments", truncated->segments},
           {"bytes", truncated->bytes},
           {"first", truncated->first.value}});
  }
  return truncated;
}

Result<LogTruncation> Log::TruncateBefore(Lsn fence, bool dry_run) {
  return OrOutOfMemory([&] { return impl_->TruncateBefore(fence, dry_run); });
}

Status Log::Close() { return impl_->Close(); }

}  // namespace varve
