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
  std::string known;
  for (const auto& [other, table] : view.tables) known += (known.empty() ? "" : ", ") + other;
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
  return CommitBatch(*view, *std::move(batch), options);
}

Result<CommitInfo> Database::Impl::Delete(std::string_view table,
                                          const std::shared_ptr<arrow::RecordBatch>& keys,
                                          const CommitOptions& options) {
  VARVE_TRY(CheckWritable());
  VARVE_ASSIGN(const auto view, FindTable(table));
  auto batch = PrepareDelete(*view->schema, keys);
  if (!batch) return std::unexpected(batch.error().Within(fmt::format("table '{}'", table)));
  return CommitBatch(*view, *std::move(batch), options);
}

Result<TablePart> MakePart(const TableView& table, WriteBatch batch) {
  TablePart part;
  VARVE_ASSIGN(part.record, EncodePart(table.id, table.schema_id, batch));
  VARVE_ASSIGN(batch.rows, ViewBatch(part.record.body, batch.rows->schema()));
  part.batch = std::move(batch);
  return part;
}

Status OwnTheRows(WriteBatch* batch) {
  VARVE_ASSIGN(const auto bytes, EncodeBatch(*batch->rows));
  VARVE_ASSIGN(batch->rows, ViewBatch(bytes, batch->rows->schema()));
  return {};
}

Result<CommitInfo> Database::Impl::CommitBatch(const TableView& table, WriteBatch batch,
                                               const CommitOptions& options) {
  std::vector<TablePart> parts;
  if (batch.rows->num_rows() > 0) {
    VARVE_ASSIGN(auto part, MakePart(table, std::move(batch)));
    parts.push_back(std::move(part));
  }
  return Commit(std::move(parts), options);
}

Result<CommitInfo> Database::Impl::Commit(std::vector<TablePart> parts,
                                          const CommitOptions& options, CommitGuard guard) {
  CommitInfo info;
  if (parts.empty()) {  // nothing to keep: no commit, no I/O
    std::lock_guard lock(view_mutex_);
    info.commit = order_.visible();
    return info;
  }
  VARVE_TRY(AwaitRoom());
  auto keys = std::make_shared<KeysOfCommit>();
  for (const TablePart& part : parts) {
    info.rows += part.record.rows;
    keys->tables.emplace_back(part.record.table_id, part.batch.keys);
  }
  std::optional<Placed> placed;
  while (!placed) {
    VARVE_TRY(CheckConflicts(&guard));
    VARVE_ASSIGN(placed, Place(parts, keys, options.ack, guard));
  }
  Insert(*placed, std::move(parts));
  SealIfDue();
  auto ack = log_->Wait(placed->ticket, options.ack);
  if (!ack) {
    return std::unexpected(ack.error().Within(fmt::format("commit {}", placed->commit.value)));
  }
  if (options.ack == AckLevel::kDurable) VARVE_TRY(AwaitVisible(placed->commit));
  info.commit = placed->commit;
  info.lsn = ack->lsn;
  info.log_bytes = ack->bytes;
  info.group_units = ack->group_units;
  return info;
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

Result<std::optional<Database::Impl::Placed>> Database::Impl::Place(
    const std::vector<TablePart>& parts, std::shared_ptr<KeysOfCommit> keys, AckLevel ack,
    const CommitGuard& guard) {
  std::lock_guard lock(commit_mutex_);
  VARVE_TRY(CheckOpen());
  if (guard.footprint != nullptr) {
    if (recent_keys_.floor() > guard.checked) return std::optional<Placed>();
    VARVE_TRY(CheckRecent(guard, recent_keys_.After(guard.checked)));
  }
  const CommitNumber commit{last_commit_.value + 1};
  const WallTime time = environment_.clock()->Now();
  const auto header = EncodeCommitHeader(
      {.commit = commit, .time = time, .parts = static_cast<std::uint16_t>(parts.size())});
  std::vector<LogRecord> records = {std::string_view(header.data(), header.size())};
  for (const TablePart& part : parts) {
    const auto& part_header = part.record.header;
    records.emplace_back(std::string_view(part_header.data(), part_header.size()));
    records.emplace_back(std::string_view(*part.record.body));
  }
  VARVE_ASSIGN(const LogTicket ticket, log_->Enqueue(records, ack));
  NoteCommit({commit, time});
  ++active_->inserting;
  CommitNumber visible;
  {
    std::lock_guard view_lock(view_mutex_);
    order_.Register(commit, ticket.end);
    visible = order_.visible();
  }
  keys->commit = commit;
  NoteKeys(std::move(keys), visible);
  Placed placed{.commit = commit, .ticket = ticket, .generation = active_, .memtables = {}};
  for (const TablePart& part : parts) {
    placed.memtables.push_back(active_->memtables.at(part.record.table_id));
  }
  return placed;
}

// The commit is the newest of the active generation.
void Database::Impl::NoteCommit(const RecentCommit& commit) {
  last_commit_ = commit.commit;
  active_->last = commit;
  if (active_->commits == 0 && options_.seal_policy != nullptr) {
    active_->first_micros = environment_.clock()->SteadyMicros();
  }
  ++active_->commits;
  std::lock_guard lock(view_mutex_);
  recent_.push_back(commit);
}

void Database::Impl::Insert(const Placed& placed, std::vector<TablePart> parts) {
  for (std::size_t i = 0; i < parts.size(); ++i) {
    placed.memtables[i]->Insert(std::move(parts[i].batch), placed.commit.value);
  }
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

Status Database::Impl::Sync() {
  VARVE_TRY(CheckWritable());
  VARVE_TRY(log_->Sync());
  AdvanceVisible();
  return {};
}

}  // namespace varve
