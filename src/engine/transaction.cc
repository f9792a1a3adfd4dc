// SPDX-License-Identifier: Apache-2.0
// Transaction: a snapshot to read from, own writes on top of it, and a footprint that the commits
// since then must not touch.
#include "varve/transaction.h"

#include <arrow/record_batch.h>
#include <fmt/format.h>

#include <iterator>
#include <map>
#include <utility>

#include "base/out_of_memory.h"
#include "base/result.h"
#include "engine/engine.h"
#include "engine/promised.h"
#include "engine/own_writes.h"
#include "engine/watched.h"
#include "engine/write_request.h"
#include "view/scan_plan.h"

namespace varve {

class Transaction::Impl {
 public:
  Impl(std::shared_ptr<Database::Impl> database, const TransactionOptions& options,
       BegunTransaction begun)
      : database_(std::move(database)),
        options_(options),
        commit_(begun.commit),
        base_(std::move(begun.view)) {
    Refresh();
  }
  ~Impl() { End(); }

  CommitNumber commit() const { return commit_; }
  TransactionStats stats() const {
    return {.rows = writes_.rows(), .bytes = bytes(), .bytes_max = options_.bytes_max};
  }
  Status Write(std::string_view table, const WriteRequest& request, std::uint64_t* rows_passed);
  Result<std::shared_ptr<arrow::RecordBatchReader>> Scan(std::string_view table,
                                                         const ScanOptions& options);
  Result<std::shared_ptr<arrow::RecordBatch>> Get(std::string_view table,
                                                  const std::shared_ptr<arrow::RecordBatch>& keys,
                                                  std::vector<bool>* found);
  Result<std::uint64_t> Savepoint();
  Status RollbackTo(std::uint64_t savepoint);
  Result<CommitInfo> Commit(const CommitOptions& options);
  void CommitThen(const CommitOptions& options, CommitCallback done);
  void End();

 private:
  bool serializable() const { return options_.isolation == Isolation::kSerializable; }
  std::uint64_t bytes() const { return writes_.bytes() + read_.bytes(); }
  Status CheckOpen() const;
  Status WriteWhole(std::string_view table, const WriteRequest& request,
                    std::uint64_t* rows_passed);
  const TableView* Find(std::string_view table) const { return base_->Find(table); }
  void ShowWritten();
  void Refresh();
  // Whether that much more is within bytes_max, for a "write" or a "read".
  Status CheckRoom(std::uint64_t more, std::string_view what) const;
  Status NoteRead(const TableView& table, Footprint::OfTable read);
  Status AddBatches(const TableView& table, std::vector<WriteBatch> batches);
  Result<std::vector<TablePart>> MakeParts() const;
  // The transaction goes on when there is no memory for its commit, and has ended otherwise.
  Result<Submitted> Submit(const CommitOptions& options);

  std::shared_ptr<Database::Impl> database_;  // null once it has ended
  const TransactionOptions options_;
  const CommitNumber commit_;
  std::shared_ptr<const Superversion> base_;  // null once it has ended
  std::shared_ptr<const Superversion> view_;  // base_ and what was written
  std::unique_ptr<Snapshot> reads_;           // of view_
  OwnWrites writes_{database_->memory()};
  bool half_written_ = false;  // for want of memory: it can only be given up
  std::uint64_t shown_ = 0;  // statements that view_ shows to scans
  std::map<std::uint64_t, std::uint64_t> savepoints_;  // how many statements came before each
  std::uint64_t last_savepoint_ = 0;                   // no number is given twice
  Footprint read_;  // when serializable; counts as memory, too
};

Status Transaction::Impl::CheckOpen() const {
  if (base_ == nullptr) {
    return Fail(ErrorKind::kInvalid, "the transaction has ended; begin another one",
                ErrorReason::kClosed);
  }
  if (half_written_) {
    return Fail(ErrorKind::kUnavailable,
                "the transaction ran out of memory amid a write, and may hold half of it: nothing "
                "of it can be kept; abort it, and begin another one");
  }
  return database_->CheckWritable();
}

// Lookups see everything that was written; scans what was when view_ was made.
void Transaction::Impl::ShowWritten() {
  if (shown_ != writes_.statements()) Refresh();
}

// A view of the snapshot with the tables as this transaction wrote them.
void Transaction::Impl::Refresh() {
  auto view = std::make_shared<Superversion>(*base_);
  view->origin = base_;
  for (auto& [name, table] : view->tables) {
    auto own = writes_.Find(table->id);
    if (own == nullptr) continue;
    auto with_own = std::make_shared<TableView>(*table);
    with_own->own = std::move(own);
    with_own->own_statements = writes_.statements();
    table = std::move(with_own);
  }
  shown_ = writes_.statements();
  view_ = std::move(view);
  reads_ = std::make_unique<Snapshot>(view_, commit_);
}

Status Transaction::Impl::Write(std::string_view table, const WriteRequest& request,
                                std::uint64_t* rows_passed) {
  VARVE_TRY(CheckOpen());
  try {
    return WriteWhole(table, request, rows_passed);
  } catch (const std::bad_alloc&) {
    half_written_ = true;
    return std::unexpected(OutOfMemory());
  }
}

Status Transaction::Impl::WriteWhole(std::string_view table, const WriteRequest& request,
                                     std::uint64_t* rows_passed) {
  if (LooksFirst(request)) ShowWritten();
  VARVE_ASSIGN(const auto view, database_->FindTableIn(*view_, table));
  VARVE_ASSIGN(auto write, PrepareWrite(view_, *view, commit_, request));
  std::uint64_t more = serializable() ? write.looked_at.bytes() : 0;
  for (const WriteBatch& batch : write.batches) more += OwnWrites::BytesOf(batch);
  VARVE_TRY(CheckRoom(more, "write"));
  // Of a table that was not read the footprint knows nothing: its writes may yet be taken back.
  if (serializable() && !write.looked_at.empty()) {
    read_.tables[view->id].Add(std::move(write.looked_at));
  }
  if (write.refusal) return std::unexpected(*std::move(write.refusal));
  if (rows_passed != nullptr) *rows_passed = write.rows_passed;
  return AddBatches(*view, std::move(write.batches));
}

Status Transaction::Impl::CheckRoom(std::uint64_t more, std::string_view what) const {
  const auto held = bytes() + more;
  if (more == 0 || held <= options_.bytes_max) return {};
  return Fail(ErrorKind::kInvalid,
              fmt::format("the transaction would hold {} bytes{}, more than its bytes_max ({}); "
                          "this {} is not part of it: commit what it has, or raise the limit",
                          held, serializable() ? ", what it read included" : "",
                          options_.bytes_max, what));
}

Status Transaction::Impl::NoteRead(const TableView& table, Footprint::OfTable read) {
  VARVE_TRY(CheckRoom(read.bytes(), "read"));
  read_.tables[table.id].Add(std::move(read));
  return {};
}

// All of them or none.
Status Transaction::Impl::AddBatches(const TableView& table, std::vector<WriteBatch> batches) {
  for (WriteBatch& batch : batches) VARVE_TRY(OwnTheRows(&batch));
  const bool first = !batches.empty() && writes_.Find(table.id) == nullptr;
  for (WriteBatch& batch : batches) writes_.Add(table.id, table.schema, std::move(batch));
  if (first) Refresh();
  return {};
}

Result<std::shared_ptr<arrow::RecordBatchReader>> Transaction::Impl::Scan(
    std::string_view table, const ScanOptions& options) {
  VARVE_TRY(CheckOpen());
  ShowWritten();
  VARVE_ASSIGN(auto reader, reads_->Scan(table, options));
  if (serializable()) {
    const TableView* view = Find(table);
    VARVE_ASSIGN(const auto recipe, PrepareScan(*view, options));
    Footprint::OfTable read;
    read.AddRange(recipe.range.bounds);
    VARVE_TRY(NoteRead(*view, std::move(read)));
  }
  return reader;
}

Result<std::shared_ptr<arrow::RecordBatch>> Transaction::Impl::Get(
    std::string_view table, const std::shared_ptr<arrow::RecordBatch>& keys,
    std::vector<bool>* found) {
  VARVE_TRY(CheckOpen());
  VARVE_ASSIGN(auto rows, reads_->Get(table, keys, found));
  if (serializable()) {
    const TableView* view = Find(table);
    VARVE_ASSIGN(const auto asked, PrepareDelete(*view->schema, keys));  // their bytes, each once
    Footprint::OfTable read;
    read.AddKeys(asked.keys);
    VARVE_TRY(NoteRead(*view, std::move(read)));
  }
  return rows;
}

Result<std::uint64_t> Transaction::Impl::Savepoint() {
  VARVE_TRY(CheckOpen());
  savepoints_[last_savepoint_ + 1] = writes_.statements();
  return ++last_savepoint_;
}

Status Transaction::Impl::RollbackTo(std::uint64_t savepoint) {
  VARVE_TRY(CheckOpen());
  const auto at = savepoints_.find(savepoint);
  if (at == savepoints_.end()) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("the transaction has no savepoint {} (any more)", savepoint));
  }
  VARVE_TRY(writes_.GoBackTo(at->second));
  savepoints_.erase(std::next(at), savepoints_.end());
  Refresh();
  return {};
}

Result<std::vector<TablePart>> Transaction::Impl::MakeParts() const {
  std::vector<TablePart> parts;
  for (const auto& [name, table] : base_->tables) {
    if (writes_.Find(table->id) == nullptr) continue;
    VARVE_TRY(writes_.GiveNewest(table->id, [&](WriteBatch batch) -> Status {
      VARVE_ASSIGN(auto part, MakePart(*table, std::move(batch)));
      parts.push_back(std::move(part));
      return {};
    }));
  }
  if (parts.size() > kPartsMax) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("a transaction of {} parts (of each table's upserts, and of its "
                            "deletes, at least one): expected at most {}; write fewer tables at "
                            "once",
                            parts.size(), kPartsMax));
  }
  return parts;
}

Result<Submitted> Transaction::Impl::Submit(const CommitOptions& options) {
  VARVE_TRY(CheckOpen());
  WriteWatch watch(database_->clock(), options.profile);
  if (writes_.empty() && !options.producer) {
    End();
    return Submitted{
        .info = {.commit = commit_}, .ticket = {}, .ack = options.ack, .watch = watch};
  }
  VARVE_ASSIGN(auto parts, OrNothingKept([this] { return MakeParts(); }));
  reads_.reset();  // what was written is in the parts: it need not be in memory twice
  view_.reset();
  writes_ = {};
  auto submitted = OrNothingKept([&] {
    return database_->Submit(
        std::move(parts), options,
        {.footprint = &read_, .snapshot = commit_, .with_written = true}, &watch);
  });
  End();
  return submitted;
}

Result<CommitInfo> Transaction::Impl::Commit(const CommitOptions& options) {
  const auto database = database_;
  Span span(database == nullptr ? nullptr : database->telemetry().get(), "commit");
  VARVE_ASSIGN(const auto submitted, span.Watch(Submit(options)));
  auto committed = database->Await(submitted);
  TellOf(committed, &span);
  return committed;
}

void Transaction::Impl::CommitThen(const CommitOptions& options, CommitCallback done) {
  const auto database = database_;
  if (database != nullptr) {
    done = Watched(Span(database->telemetry().get(), "commit"), std::move(done));
  }
  auto submitted = Submit(options);
  if (!submitted) return done(std::unexpected(std::move(submitted).error()));
  database->Then(*std::move(submitted), std::move(done));
}

void Transaction::Impl::End() {
  if (base_ == nullptr) return;
  reads_.reset();
  view_.reset();
  base_.reset();
  writes_ = {};
  read_ = {};
  std::exchange(database_, nullptr)->EndTransaction(commit_);
}

Transaction::Transaction(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Transaction::~Transaction() = default;

CommitNumber Transaction::snapshot() const { return impl_->commit(); }
TransactionStats Transaction::stats() const { return impl_->stats(); }
Status Transaction::Upsert(std::string_view table,
                           const std::shared_ptr<arrow::RecordBatch>& rows) {
  return impl_->Write(table, {.mode = WriteMode::kUpsert, .rows = rows}, nullptr);
}
Status Transaction::Delete(std::string_view table,
                           const std::shared_ptr<arrow::RecordBatch>& keys) {
  return impl_->Write(table, {.mode = WriteMode::kDelete, .rows = keys}, nullptr);
}
Status Transaction::Write(std::string_view table, const WriteRequest& request,
                          std::uint64_t* rows_passed) {
  return impl_->Write(table, request, rows_passed);
}
Result<std::shared_ptr<arrow::RecordBatchReader>> Transaction::Scan(std::string_view table,
                                                                    const ScanOptions& options) {
  return impl_->Scan(table, options);
}
Result<std::shared_ptr<arrow::RecordBatch>> Transaction::Get(
    std::string_view table, const std::shared_ptr<arrow::RecordBatch>& keys,
    std::vector<bool>* found) {
  return impl_->Get(table, keys, found);
}
Result<std::uint64_t> Transaction::Savepoint() { return impl_->Savepoint(); }
Status Transaction::RollbackTo(std::uint64_t savepoint) { return impl_->RollbackTo(savepoint); }
Result<CommitInfo> Transaction::Commit(const CommitOptions& options) {
  return impl_->Commit(options);
}
void Transaction::CommitThen(const CommitOptions& options, CommitCallback done) {
  impl_->CommitThen(options, std::move(done));
}
std::future<Result<CommitInfo>> Transaction::CommitAsync(const CommitOptions& options) {
  return Promised([&](CommitCallback done) { impl_->CommitThen(options, std::move(done)); });
}
void Transaction::Abort() { impl_->End(); }

Result<std::unique_ptr<Transaction>> Database::Begin(const TransactionOptions& options) {
  return OrNothingKept([&]() -> Result<std::unique_ptr<Transaction>> {
    VARVE_ASSIGN(const auto begun, impl_->BeginTransaction());
    std::unique_ptr<Transaction::Impl> impl;
    if (!HadMemory([&] { impl = std::make_unique<Transaction::Impl>(impl_, options, begun); })) {
      impl_->EndTransaction(begun.commit);
      throw std::bad_alloc();
    }
    return std::unique_ptr<Transaction>(new Transaction(std::move(impl)));
  });
}

}  // namespace varve
