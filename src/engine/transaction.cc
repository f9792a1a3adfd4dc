// SPDX-License-Identifier: Apache-2.0
// Transaction: a snapshot to read from, own writes on top of it, and a footprint that the commits
// since then must not touch.
#include "varve/transaction.h"

#include <arrow/record_batch.h>
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

#include "base/out_of_memory.h"
#include "base/result.h"
#include "columns/gather.h"
#include "engine/engine.h"
#include "engine/promised.h"
#include "engine/own_writes.h"
#include "engine/write_request.h"
#include "view/scan_plan.h"

namespace varve {
namespace {

void AddKeys(const EncodedKeys& keys, Footprint::OfTable* to) {
  for (std::int64_t i = 0; i < keys.size(); ++i) to->keys.emplace(keys[i]);
}

void Merge(Footprint::OfTable from, Footprint::OfTable* into) {
  into->keys.merge(from.keys);
  into->ranges.insert(into->ranges.end(), from.ranges.begin(), from.ranges.end());
}

}  // namespace

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
  Status CheckOpen() const;
  Status WriteWhole(std::string_view table, const WriteRequest& request,
                    std::uint64_t* rows_passed);
  const TableView* Find(std::string_view table) const { return base_->Find(table); }
  void Refresh();
  Status AddBatches(const TableView& table, std::vector<WriteBatch> batches);
  Result<std::vector<TablePart>> TakeParts() const;
  Footprint TakeFootprint(const std::vector<TablePart>& parts);
  // The transaction goes on when there is no memory for its commit, and has ended otherwise.
  Result<Submitted> Submit(const CommitOptions& options);

  std::shared_ptr<Database::Impl> database_;  // null once it has ended
  const TransactionOptions options_;
  const CommitNumber commit_;
  std::shared_ptr<const Superversion> base_;  // null once it has ended
  std::shared_ptr<const Superversion> view_;  // base_ and what was written
  std::unique_ptr<Snapshot> reads_;           // of view_
  OwnWrites writes_;
  bool half_written_ = false;  // for want of memory: it can only be given up
  std::set<std::uint64_t> savepoints_;
  Footprint read_;  // when serializable
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

// A view of the snapshot with the tables as this transaction wrote them.
void Transaction::Impl::Refresh() {
  auto view = std::make_shared<Superversion>(*base_);
  for (auto& [name, table] : view->tables) {
    auto own = writes_.Find(table->id);
    if (own == nullptr) continue;
    auto with_own = std::make_shared<TableView>(*table);
    with_own->own = std::move(own);
    table = std::move(with_own);
  }
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
  VARVE_ASSIGN(const auto view, database_->FindTableIn(*view_, table));
  VARVE_ASSIGN(auto write, PrepareWrite(view_, *view, commit_, request));
  if (serializable()) Merge(std::move(write.looked_at), &read_.tables[view->id]);
  if (write.refusal) return std::unexpected(*std::move(write.refusal));
  if (rows_passed != nullptr) *rows_passed = write.rows_passed;
  return AddBatches(*view, std::move(write.batches));
}

// All of them or none.
Status Transaction::Impl::AddBatches(const TableView& table, std::vector<WriteBatch> batches) {
  const auto before = writes_.bytes();
  std::uint64_t more = 0;
  for (WriteBatch& batch : batches) {
    VARVE_TRY(OwnTheRows(&batch));
    more += BatchBytes(*batch.rows) + batch.keys.memory_bytes();
  }
  if (before + more > options_.bytes_max) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("the transaction would hold {} bytes, more than its bytes_max ({}); "
                            "this write is not part of it: commit what it has, or raise the limit",
                            before + more, options_.bytes_max));
  }
  const bool first = !batches.empty() && writes_.Find(table.id) == nullptr;
  for (WriteBatch& batch : batches) writes_.Add(table.id, table.schema, std::move(batch));
  if (first) Refresh();
  return {};
}

Result<std::shared_ptr<arrow::RecordBatchReader>> Transaction::Impl::Scan(
    std::string_view table, const ScanOptions& options) {
  VARVE_TRY(CheckOpen());
  VARVE_ASSIGN(auto reader, reads_->Scan(table, options));
  if (serializable()) {
    const TableView* view = Find(table);
    VARVE_ASSIGN(const auto recipe, PrepareScan(*view->schema, options));
    read_.tables[view->id].ranges.push_back(recipe.range.bounds);
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
    AddKeys(asked.keys, &read_.tables[view->id]);
  }
  return rows;
}

Result<std::uint64_t> Transaction::Impl::Savepoint() {
  VARVE_TRY(CheckOpen());
  savepoints_.insert(writes_.statements());
  return writes_.statements();
}

Status Transaction::Impl::RollbackTo(std::uint64_t savepoint) {
  VARVE_TRY(CheckOpen());
  if (!savepoints_.contains(savepoint)) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("the transaction has no savepoint {} (any more)", savepoint));
  }
  VARVE_TRY(writes_.GoBackTo(savepoint));
  savepoints_.erase(savepoints_.upper_bound(savepoint), savepoints_.end());
  Refresh();
  return {};
}

Result<std::vector<TablePart>> Transaction::Impl::TakeParts() const {
  std::vector<TablePart> parts;
  for (const auto& [name, table] : base_->tables) {
    if (writes_.Find(table->id) == nullptr) continue;
    VARVE_ASSIGN(auto batches, writes_.Newest(table->id));
    VARVE_ASSIGN(auto made, MakeParts(*table, std::move(batches)));
    std::ranges::move(made, std::back_inserter(parts));
  }
  if (parts.size() > kPartsMax) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("a transaction of {} parts (a table's upserts are one, its deletes "
                            "another): expected at most {}; write fewer tables at once",
                            parts.size(), kPartsMax));
  }
  return parts;
}

Footprint Transaction::Impl::TakeFootprint(const std::vector<TablePart>& parts) {
  Footprint footprint = std::move(read_);
  for (const TablePart& part : parts) {
    AddKeys(part.batch.keys, &footprint.tables[part.record.table_id]);
  }
  return footprint;
}

Result<Submitted> Transaction::Impl::Submit(const CommitOptions& options) {
  VARVE_TRY(CheckOpen());
  WriteWatch watch = options.profile ? WriteWatch(database_->clock()) : WriteWatch();
  if (writes_.empty() && !options.producer) {
    End();
    return Submitted{
        .info = {.commit = commit_}, .ticket = {}, .ack = options.ack, .watch = watch};
  }
  VARVE_ASSIGN(auto parts, OrNothingKept([this] { return TakeParts(); }));
  auto submitted = OrNothingKept([&] {
    const auto footprint = TakeFootprint(parts);
    writes_ = {};
    reads_.reset();
    view_.reset();
    return database_->Submit(std::move(parts), options,
                             {.footprint = &footprint, .snapshot = commit_}, &watch);
  });
  End();
  return submitted;
}

Result<CommitInfo> Transaction::Impl::Commit(const CommitOptions& options) {
  const auto database = database_;
  VARVE_ASSIGN(const auto submitted, Submit(options));
  return database->Await(submitted);
}

void Transaction::Impl::CommitThen(const CommitOptions& options, CommitCallback done) {
  const auto database = database_;
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
