// SPDX-License-Identifier: Apache-2.0
// The write path of one commit: prepare outside of locks, place (number and log position, the one
// serial point), insert, wait for the device, become visible, acknowledge.
#include <fmt/format.h>
#include <unistd.h>

#include "base/result.h"
#include "columns/batch_codec.h"
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
    return Fail(ErrorKind::kInvalid, fmt::format("'{}' was opened read-only", path_),
                ErrorReason::kReadOnly);
  }
  return CheckOpen();
}

Status Database::Impl::CheckOpen() const {
  if (!closed_) return {};
  return Fail(ErrorKind::kInvalid, "the database is closed", ErrorReason::kClosed);
}

Result<Database::Impl::TableViewPtr> Database::Impl::FindTable(std::string_view name) const {
  std::lock_guard lock(view_mutex_);
  const auto at = view_->tables.find(name);
  if (at != view_->tables.end()) return at->second;
  std::string known;
  for (const auto& [other, table] : view_->tables) known += (known.empty() ? "" : ", ") + other;
  return Fail(ErrorKind::kNotFound,
              fmt::format("there is no table '{}' in '{}' (tables: {})", name, path_,
                          known.empty() ? "none" : known));
}

Status Database::Impl::CreateTable(const std::string& name,
                                   const std::shared_ptr<arrow::Schema>& schema,
                                   const std::vector<std::string>& key) {
  VARVE_TRY(CheckWritable());
  VARVE_TRY(CheckTableName(name));
  VARVE_ASSIGN(auto checked, TableSchema::Make(schema, key));
  std::lock_guard flush_lock(flush_mutex_);
  const auto state = manifest_->state();
  if (state->tables.contains(name)) {
    return Fail(ErrorKind::kConflict, fmt::format("table '{}' exists already in '{}'", name, path_),
                ErrorReason::kAlreadyExists);
  }
  const std::uint32_t id = state->next_table_id;
  VARVE_ASSIGN(auto published,
               manifest_->Commit(
                   {CreateTableEdit{.id = id, .name = name, .schema_id = 1, .schema = checked}},
                   environment_.clock()->Now()));
  std::lock_guard lock(commit_mutex_);
  official_ = std::move(published);
  active_->memtables[id] = std::make_shared<Memtable>(checked);
  InstallView();
  return {};
}

Result<CommitInfo> Database::Impl::Upsert(std::string_view table,
                                          const std::shared_ptr<arrow::RecordBatch>& rows,
                                          const CommitOptions& options) {
  VARVE_TRY(CheckWritable());
  VARVE_ASSIGN(const auto view, FindTable(table));
  auto batch = PrepareUpsert(*view->schema, rows);
  if (!batch) return std::unexpected(batch.error().Within(fmt::format("table '{}'", table)));
  return Commit(*view, *std::move(batch), options);
}

Result<CommitInfo> Database::Impl::Delete(std::string_view table,
                                          const std::shared_ptr<arrow::RecordBatch>& keys,
                                          const CommitOptions& options) {
  VARVE_TRY(CheckWritable());
  VARVE_ASSIGN(const auto view, FindTable(table));
  auto batch = PrepareDelete(*view->schema, keys);
  if (!batch) return std::unexpected(batch.error().Within(fmt::format("table '{}'", table)));
  return Commit(*view, *std::move(batch), options);
}

Result<CommitInfo> Database::Impl::Commit(const TableView& table, WriteBatch batch,
                                          const CommitOptions& options) {
  CommitInfo info;
  if (batch.rows->num_rows() == 0) {  // nothing to keep: no commit, no I/O
    std::lock_guard lock(view_mutex_);
    info.commit = order_.visible();
    return info;
  }
  VARVE_ASSIGN(const CommitPart part, EncodePart(table.id, table.schema_id, batch));
  // From here on the rows are ours: what the caller does to its arrays changes nothing, and the
  // memtable holds what the log holds and a recovery would find.
  VARVE_ASSIGN(batch.rows, ViewBatch(part.body, batch.rows->schema()));
  VARVE_TRY(AwaitRoom());
  VARVE_ASSIGN(const Placed placed, Place(part, options.ack));
  Insert(placed, std::move(batch));
  SealIfLarge();
  auto ack = log_->Wait(placed.ticket, options.ack);
  if (!ack) {
    return std::unexpected(ack.error().Within(fmt::format("commit {}", placed.commit.value)));
  }
  if (options.ack == AckLevel::kDurable) VARVE_TRY(AwaitVisible(placed.commit));
  return CommitInfo{.commit = placed.commit,
                    .lsn = ack->lsn,
                    .rows = part.rows,
                    .log_bytes = ack->bytes,
                    .group_units = ack->group_units};
}

// Back-pressure: when the memtables are full, the committer flushes (or waits for who does), so
// that memory stays bounded and a flush that cannot go on is told to those who write.
Status Database::Impl::AwaitRoom() {
  {
    std::lock_guard lock(commit_mutex_);
    std::uint64_t bytes = active_->bytes();
    for (const auto& generation : sealed_) bytes += generation->bytes();
    if (bytes < options_.memtable_bytes_max) return {};
    if (sealed_.empty()) Seal();
  }
  const std::int64_t start = environment_.clock()->SteadyMicros();
  Trace(environment_.trace(), "commit.stall", "memtables are full");
  const Status flushed = FlushSealed();
  std::lock_guard lock(commit_mutex_);
  stall_micros_ += static_cast<std::uint64_t>(environment_.clock()->SteadyMicros() - start);
  if (!flushed) {
    return std::unexpected(flushed.error().Within(
        "nothing of this commit was kept: memory is full and the flush that would free it failed"));
  }
  return {};
}

Result<Database::Impl::Placed> Database::Impl::Place(const CommitPart& part, AckLevel ack) {
  std::lock_guard lock(commit_mutex_);
  VARVE_TRY(CheckOpen());
  const CommitNumber commit{last_commit_.value + 1};
  const WallTime time = environment_.clock()->Now();
  const auto header = EncodeCommitHeader({.commit = commit, .time = time, .parts = 1});
  const LogRecord records[] = {std::string_view(header.data(), header.size()),
                               std::string_view(part.header.data(), part.header.size()),
                               std::string_view(*part.body)};
  VARVE_ASSIGN(const LogTicket ticket, log_->Enqueue(records, ack));
  NoteCommit({commit, time});
  ++active_->inserting;
  {
    std::lock_guard view_lock(view_mutex_);
    order_.Register(commit, ticket.end);
  }
  return Placed{.commit = commit,
                .ticket = ticket,
                .generation = active_,
                .memtable = active_->memtables.at(part.table_id)};
}

// The commit is the newest of the active generation.
void Database::Impl::NoteCommit(const RecentCommit& commit) {
  last_commit_ = commit.commit;
  active_->last = commit;
  ++active_->commits;
  std::lock_guard lock(view_mutex_);
  recent_.push_back(commit);
}

void Database::Impl::Insert(const Placed& placed, WriteBatch batch) {
  placed.memtable->Insert(std::move(batch), placed.commit.value);
  {
    std::lock_guard view_lock(view_mutex_);
    order_.Inserted(placed.commit);
  }
  moved_.notify_all();  // a later commit may wait for this one in AwaitVisible
  std::lock_guard lock(commit_mutex_);
  --placed.generation->inserting;
  inserted_.notify_all();
}

// Durable is not yet visible: an earlier commit may still be on its way into its memtable, in a
// thread that has its place and needs nothing of ours. It notifies when it is in.
Status Database::Impl::AwaitVisible(CommitNumber commit) {
  const Lsn durable = log_->positions().durable;
  std::unique_lock lock(view_mutex_);
  if (order_.Advance(durable)) moved_.notify_all();
  while (order_.visible() < commit) {
    moved_.wait(lock);
    if (order_.Advance(durable)) moved_.notify_all();
  }
  return {};
}

void Database::Impl::SealIfLarge() {
  {
    std::lock_guard lock(commit_mutex_);
    if (closed_ || active_->bytes() < options_.memtable_bytes_max / 2) return;
    Seal();
  }
  ScheduleFlush();
}

Status Database::Impl::Sync() {
  VARVE_TRY(CheckWritable());
  VARVE_TRY(log_->Sync());
  AdvanceVisible();
  return {};
}

}  // namespace varve
