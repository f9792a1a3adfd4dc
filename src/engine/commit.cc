// SPDX-License-Identifier: Apache-2.0
// The write path of one commit: prepare outside of locks, place (number and log position, the one
// serial point), insert, wait for the device, become visible, acknowledge.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <ranges>

#include "base/out_of_memory.h"
#include "base/result.h"
#include "columns/batch_codec.h"
#include "engine/compactor.h"
#include "engine/engine.h"

namespace varve {
Status Database::Impl::CheckWritable() const {
  if (Forked()) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("'{}' was opened by process {}, and this is its child by fork, {}: "
                            "open the database after fork",
                            path_, owner_, ::getpid()),
                ErrorReason::kClosed);
  }
  if (options_.read_only) {
    return Fail(
        ErrorKind::kInvalid,
        fmt::format("'{}' was opened read-only; to write, open it without read_only", path_),
        ErrorReason::kReadOnly);
  }
  return CheckOpen();
}

Status Database::Impl::CheckOpen() const {
  if (!closed_) return {};
  return Fail(ErrorKind::kInvalid,
              fmt::format("the database is closed: open '{}' again to go on", path_),
              ErrorReason::kClosed);
}

Result<Database::Impl::TableViewPtr> Database::Impl::FindTable(std::string_view name) const {
  std::shared_ptr<const Superversion> view;
  {
    std::lock_guard lock(view_mutex_);
    view = view_;
  }
  return FindTableIn(*view, name);
}

Result<Database::Impl::TableViewPtr> Database::Impl::FindTableIn(const Superversion& view,
                                                                 std::string_view name) const {
  const auto at = view.tables.find(name);
  if (at != view.tables.end()) return at->second;
  const auto known = std::views::keys(view.tables);
  return NoTable(name, {known.begin(), known.end()});
}

std::unexpected<Error> Database::Impl::NoTable(std::string_view name,
                                               const std::vector<std::string>& known) const {
  return Fail(ErrorKind::kNotFound,
              fmt::format("there is no table '{}' in '{}' (tables: {})", name, path_,
                          known.empty() ? "none" : fmt::format("{}", fmt::join(known, ", "))));
}

Result<TablePart> MakePart(const TableView& table, WriteBatch batch) {
  TablePart part;
  VARVE_ASSIGN(part.record, EncodePart(table.id, table.schema_id, batch));
  VARVE_ASSIGN(batch.rows, ViewBatch(part.record.body, batch.rows->schema()));
  part.batch = std::move(batch);
  part.schema = table.schema;
  return part;
}

Result<std::vector<TablePart>> MakeParts(const TableView& table, std::vector<WriteBatch> batches) {
  std::vector<TablePart> parts;
  for (auto& batch : batches) {
    VARVE_ASSIGN(auto part, MakePart(table, std::move(batch)));
    parts.push_back(std::move(part));
  }
  return parts;
}

Status OwnTheRows(WriteBatch* batch) {
  VARVE_ASSIGN(const auto bytes, EncodeBatch(*batch->rows));
  VARVE_ASSIGN(batch->rows, ViewBatch(bytes, batch->rows->schema()));
  return {};
}

std::unexpected<Error> NotBegun(std::string_view what, const Error& before) {
  const bool unknown = before.reason() == ErrorReason::kUnknownOutcome;
  return Fail(before.kind(), fmt::format("{}: {}", what, before.message()),
              unknown ? ErrorReason::kIo : before.reason());
}

static std::uint64_t BytesOf(const std::vector<TablePart>& parts) {
  std::uint64_t bytes = 0;
  for (const TablePart& part : parts) bytes += static_cast<std::uint64_t>(part.record.body->size());
  return bytes;
}

Result<Submitted> Database::Impl::SubmitNew(std::vector<TablePart> parts,
                                            const CommitOptions& options, CommitGuard guard,
                                            WriteWatch* watch) {
  Submitted submitted{.info = {}, .ticket = {}, .ack = options.ack, .watch = *watch};
  watch->Lap(&WriteProfile::encode_micros);
  if (parts.empty() && !options.producer) {  // nothing to keep: no commit, no I/O
    std::lock_guard lock(view_mutex_);
    submitted.info.commit = order_.visible();
    submitted.watch = *watch;
    return submitted;
  }
  if (!guard.alone) VARVE_TRY(AwaitRoom());
  watch->Lap(&WriteProfile::stall_micros);
  if (!guard.alone) VARVE_TRY(AwaitCalm(BytesOf(parts), watch));
  auto keys = std::make_shared<KeysOfCommit>();
  keys->tables.reserve(parts.size());
  std::vector<NewRows> rows;
  rows.reserve(parts.size());
  for (TablePart& part : parts) {
    submitted.info.rows += part.record.rows;
    keys->tables.emplace_back(part.record.table_id, part.batch.keys);
    rows.push_back(PrepareRows(std::move(part.batch)));
  }
  if (guard.with_written) guard.footprint->LendWritten(*keys);
  watch->Lap(&WriteProfile::memtable_micros);
  std::optional<Placed> placed;
  while (!placed) {
    VARVE_TRY(CheckConflicts(&guard));
    VARVE_ASSIGN(placed, Place(parts, keys, options, guard));
  }
  watch->Lap(&WriteProfile::queue_micros);
  if (placed->repeat) {
    environment_.telemetry()->metrics.Add("commit_repeats_total");
    return RepeatOf(placed->commit, options.ack, *watch);
  }
  Insert(*placed, std::move(rows));
  SealIfDue();
  watch->Lap(&WriteProfile::memtable_micros);
  submitted.info.commit = placed->commit;
  submitted.ticket = placed->ticket;
  submitted.watch = *watch;
  return submitted;
}

Error InCommit(CommitNumber commit, const Error& error) {
  try {
    return error.Within(fmt::format("commit {}", commit.value));
  } catch (const std::bad_alloc&) {
    return CopyOf(error);
  }
}

Result<CommitInfo> Database::Impl::Await(const Submitted& submitted) {
  Submitted done = submitted;
  if (done.ticket.end == Lsn{}) {
    done.info.profile = done.watch.profile();
    return done.info;
  }
  auto ack = log_->Wait(done.ticket, done.ack);
  if (!ack) {
    NoteFailure(ack.error());
    return std::unexpected(InCommit(done.info.commit, ack.error()));
  }
  if (done.ack == AckLevel::kDurable) VARVE_TRY(AwaitVisible(done.info.commit));
  Acknowledge(*ack, &done);
  return done.info;
}

void Database::Impl::Acknowledge(const LogAck& ack, Submitted* submitted) {
  submitted->watch.Lap(&WriteProfile::log_micros);
  submitted->info.profile = submitted->watch.profile();
  submitted->info.lsn = ack.lsn;
  if (submitted->info.repeat) return;
  submitted->info.log_bytes = ack.bytes;
  submitted->info.group_units = ack.group_units;
  Metrics& metrics = environment_.telemetry()->metrics;
  metrics.Add("commit_rows_total", submitted->info.rows);
  metrics.Add("commit_bytes_total", ack.bytes);
  // The log's clock is ours: it told when the unit had its place, and how long that was ago.
  const std::int64_t acked = submitted->ticket.enqueued_micros + ack.wait_micros;
  const std::int64_t micros = acked - submitted->watch.began_micros();
  switch (submitted->ack) {
    case AckLevel::kDurable: return metrics.Record("commit_seconds/durable", micros);
    case AckLevel::kWritten: return metrics.Record("commit_seconds/written", micros);
    case AckLevel::kBuffered: return metrics.Record("commit_seconds/buffered", micros);
  }
}

void Database::Impl::NoteFailure(const Error& error) {
  Metrics& metrics = environment_.telemetry()->metrics;
  if (error.reason() == ErrorReason::kUnknownOutcome) {
    metrics.Add("commit_failures_total/unknown_outcome");
  } else if (error.kind() == ErrorKind::kConflict) {
    metrics.Add("commit_failures_total/conflict");
  }
}

std::uint64_t Database::Impl::MemtableBytes() const {
  std::uint64_t bytes = active_->bytes();
  for (const auto& generation : sealed_) bytes += generation->bytes();
  return bytes;
}

// Before a commit of so many bytes: waits where flushes or compaction would fall behind otherwise.
Status Database::Impl::AwaitCalm(std::uint64_t bytes, WriteWatch* watch) {
  const bool behind = compactor_->presses();
  if (!behind && !room_.pace.keeps()) return {};
  if (room_.pace.keeps()) {
    std::uint64_t room = 0;
    {
      std::lock_guard lock(commit_mutex_);
      const std::uint64_t taken = MemtableBytes();
      room = *options_.memtable_bytes_max - std::min(taken, *options_.memtable_bytes_max);
    }
    room_.pace.Await(room);
  }
  if (behind) VARVE_TRY(compactor_->AwaitCalm(bytes));
  watch->Lap(&WriteProfile::pressure_micros);
  return {};
}

// Of what memtables hold the budget has nothing to gain unless it is some part of theirs.
bool Database::Impl::IsMemoryShort() const {
  constexpr std::uint64_t kWorthAFlush = 8;
  return memory()->Lacking(0) > 0 &&
         MemtableBytes() >= *options_.memtable_bytes_max / kWorthAFlush;
}

bool Database::Impl::HasRoom() const {
  return MemtableBytes() < *options_.memtable_bytes_max && !IsMemoryShort();
}

// Back-pressure: when the memtables are full, the committer flushes, so that memory stays bounded
// and a flush that cannot go on is told to those who write. While somebody else flushes it waits,
// but for room only: what more is sealed is flushed while it writes on. And at most for what is
// sealed when it comes: however many write, each has its turn.
Status Database::Impl::AwaitRoom() {
  caches_.memory->MakeRoom(0);
  std::unique_lock lock(commit_mutex_);
  if (HasRoom()) return {};
  const bool short_of_all = MemtableBytes() < *options_.memtable_bytes_max;
  if (sealed_.empty()) Seal();
  const CommitNumber last = sealed_.empty() ? CommitNumber{} : sealed_.back()->last.commit;
  const auto must_wait = [&] {
    return !HasRoom() && !sealed_.empty() && sealed_.front()->last.commit <= last;
  };
  lock.unlock();
  const std::int64_t start = environment_.clock()->SteadyMicros();
  Metrics& metrics = environment_.telemetry()->metrics;
  if (short_of_all) {
    metrics.Add("commit_waits_total/memory");
  } else {
    metrics.Add("commit_waits_total/memtables_full");
  }
  Trace(environment_.trace(), "commit.stall",
        short_of_all ? "the memory of the database is taken" : "memtables are full");
  const auto make_room = [&]() -> Status {
    while (must_wait()) {
      if (room_.flushes > 0) {
        room_.changed.wait(lock);
        continue;
      }
      lock.unlock();
      VARVE_TRY(FlushSealed(FlushUntil::kRoom));
      lock.lock();
    }
    return {};
  };
  lock.lock();
  ++room_.waiting;
  const Status made = OrOutOfMemory(make_room);
  if (!lock.owns_lock()) lock.lock();
  --room_.waiting;
  const std::int64_t waited = environment_.clock()->SteadyMicros() - start;
  room_.waited_micros += static_cast<std::uint64_t>(waited);
  if (short_of_all) {
    metrics.Record("commit_wait_seconds/memory", waited);
  } else {
    metrics.Record("commit_wait_seconds/memtables_full", waited);
  }
  if (!made) {
    metrics.Add("commit_failures_total/no_room");
    return NotBegun(
        "nothing of this commit was kept: memory is full and the flush that would free it failed",
        made.error());
  }
  const bool more = !sealed_.empty();
  lock.unlock();
  if (more) ScheduleFlush();  // its task may have failed, and nobody else would come to it
  return {};
}

Result<std::optional<Placed>> Database::Impl::Place(
    const std::vector<TablePart>& parts, std::shared_ptr<KeysOfCommit> keys,
    const CommitOptions& options, const CommitGuard& guard) {
  std::unique_lock lock(commit_mutex_);
  turn_.wait(lock, [&] { return !taken_ || guard.alone; });
  VARVE_TRY(CheckOpen());
  if (!stopped_.empty()) {
    return Fail(ErrorKind::kUnavailable, stopped_, ErrorReason::kUnknownOutcome);
  }
  VARVE_ASSIGN(const auto repeat, FindRepeat(options));
  if (repeat) {
    return std::optional(
        Placed{.commit = *repeat, .ticket = {}, .repeat = true, .generation = {}, .memtables = {}});
  }
  VARVE_TRY(CheckTables(parts, guard));
  if (guard.footprint != nullptr) {
    if (recent_keys_.floor() > guard.checked) return std::optional<Placed>();
    VARVE_TRY(CheckRecent(guard, recent_keys_.After(guard.checked)));
  }
  Placed placed{.commit = {last_commit_.value + 1},
                .ticket = {},
                .repeat = false,
                .generation = active_,
                .memtables = {}};
  placed.memtables.reserve(parts.size());
  for (const TablePart& part : parts) {
    placed.memtables.push_back(active_->memtables.at(part.record.table_id));
  }
  VARVE_TRY(Enqueue(parts, std::move(keys), options, &placed));
  return placed;
}

// From its place in the log on a commit is one, and what makes it visible has to happen: the memory
// for that is taken before.
Status Database::Impl::Enqueue(const std::vector<TablePart>& parts,
                               std::shared_ptr<KeysOfCommit> keys, const CommitOptions& options,
                               Placed* placed) {
  const CommitNumber commit = placed->commit;
  const WallTime time = environment_.clock()->Now();
  const auto header = EncodeCommitHeader({.commit = commit,
                                          .time = time,
                                          .parts = static_cast<std::uint16_t>(parts.size()),
                                          .producer = options.producer.has_value()});
  std::vector<LogRecord> records;
  records.reserve(2 + 2 * parts.size());
  records.emplace_back(std::string_view(header.data(), header.size()));
  for (const TablePart& part : parts) {
    const auto& part_header = part.record.header;
    records.emplace_back(std::string_view(part_header.data(), part_header.size()));
    records.emplace_back(std::string_view(*part.record.body));
  }
  std::string producer;
  std::optional<ReadyMarks> marks;
  if (options.producer) {
    records.emplace_back(producer = EncodeProducer(*options.producer));
    marks = MakeMarksReady(*options.producer);
  }
  MakeNotesReady();
  VARVE_ASSIGN(placed->ticket, log_->Enqueue(records, options.ack));
  if (marks) NoteProducer(*std::move(marks), options.producer->sequence, commit);
  ++active_->inserting;
  active_->log_end = placed->ticket.end;
  CommitNumber visible;
  {
    std::lock_guard view_lock(view_mutex_);
    NoteCommit({commit, time});
    order_.Register(commit, placed->ticket);
    visible = order_.visible();
  }
  keys->commit = commit;
  NoteKeys(std::move(keys), visible);
  return {};
}

void Database::Impl::MakeNotesReady() {
  recent_keys_.MakeReady();
  std::lock_guard lock(view_mutex_);
  recent_.MakeReady();
  order_.MakeReady();
}

// The commit is the newest of the active generation.
void Database::Impl::NoteCommit(const RecentCommit& commit) noexcept {
  last_commit_ = commit.commit;
  active_->last = commit;
  if (active_->commits == 0 && options_.seal_policy != nullptr) {
    active_->first_micros = environment_.clock()->SteadyMicros();
  }
  ++active_->commits;
  recent_.AddReady(commit);
}

void Database::Impl::Insert(const Placed& placed, std::vector<NewRows> rows) noexcept {
  for (std::size_t i = 0; i < rows.size(); ++i) {
    placed.memtables[i]->Insert(std::move(rows[i]), placed.commit.value);
  }
  bool callbacks = false;
  {
    std::lock_guard view_lock(view_mutex_);
    order_.Inserted(placed.commit);
    callbacks = !when_visible_.empty() || !followers_.empty();
  }
  moved_.notify_all();  // a later commit may wait for this one in AwaitVisible
  if (callbacks) MoveVisible(log_->positions().durable);
  std::lock_guard lock(commit_mutex_);
  --placed.generation->inserting;
  inserted_.notify_all();
}

// Durable is not yet visible: an earlier commit may still be on its way into its memtable, in a
// thread that has its place and needs nothing of ours. It notifies when it is in.
Status Database::Impl::AwaitVisible(CommitNumber commit) {
  const Lsn durable = log_->positions().durable;
  std::unique_lock lock(view_mutex_);
  while (true) {
    auto told = AdvanceTo(durable);
    if (!told.empty()) {
      lock.unlock();
      Tell(std::move(told));
      lock.lock();
    } else if (order_.visible() >= commit) {
      return {};
    } else {
      moved_.wait(lock);
    }
  }
}

Status Database::Impl::Sync() {
  VARVE_TRY(CheckWritable());
  VARVE_TRY(log_->Sync());
  AdvanceVisible();
  return {};
}

}  // namespace varve
