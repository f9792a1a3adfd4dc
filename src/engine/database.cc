// SPDX-License-Identifier: Apache-2.0
// The public facade: every call goes to Impl; nothing is decided here.
#include "varve/database.h"

#include "base/result.h"
#include "engine/engine.h"
#include "engine/memory.h"
#include "engine/promised.h"
#include "engine/watched.h"

namespace varve {

Result<std::unique_ptr<Database>> Database::Open(const std::string& path,
                                                 const OpenOptions& options,
                                                 const Components& components) {
  VARVE_TRY(CheckMemory(options));
  auto impl = std::make_shared<Impl>(path, options, components);
  VARVE_TRY(impl->Open());
  return std::unique_ptr<Database>(new Database(std::move(impl)));
}

Database::Database(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

Database::~Database() {
  if (impl_->Forked()) {
    // The parent's tasks and threads are not here to be waited for. Its files stay as they are.
    (void)new std::shared_ptr<Impl>(std::move(impl_));
    return;
  }
  impl_->AwaitTasks();
}

Status Database::CreateTable(const std::string& name, const std::shared_ptr<arrow::Schema>& schema,
                             const std::vector<std::string>& key,
                             const CreateTableOptions& options) {
  return impl_->CreateTable(name, schema, key, options);
}

// What cannot be brought up to date is shown as it was; whoever reads rows is told.
std::vector<TableInfo> Database::Tables() const {
  (void)impl_->CatchUp();
  return impl_->Tables();
}

Result<CommitNumber> Database::DropTable(std::string_view name) { return impl_->DropTable(name); }

Result<CommitNumber> Database::AlterTable(std::string_view name,
                                          const std::vector<ColumnChange>& changes) {
  return impl_->AlterTable(name, changes);
}

Result<CommitNumber> Database::RenameTable(std::string_view from, const std::string& to) {
  return impl_->RenameTable(from, to);
}

Result<CommitInfo> Database::Upsert(std::string_view table,
                                    const std::shared_ptr<arrow::RecordBatch>& rows,
                                    const CommitOptions& options) {
  return Write(table, {.mode = WriteMode::kUpsert, .rows = rows}, options);
}

Result<CommitInfo> Database::Delete(std::string_view table,
                                    const std::shared_ptr<arrow::RecordBatch>& keys,
                                    const CommitOptions& options) {
  return Write(table, {.mode = WriteMode::kDelete, .rows = keys}, options);
}

Result<CommitInfo> Database::Write(std::string_view table, const WriteRequest& request,
                                   const CommitOptions& options) {
  Span span = SpanOf(*impl_->telemetry(), table, request);
  VARVE_ASSIGN(const auto submitted, span.Watch(impl_->Write(table, request, options)));
  auto committed = impl_->Await(submitted);
  TellOf(committed, &span);
  return committed;
}

Result<RestoreInfo> Database::RestoreTable(std::string_view table, const AsOf& as_of,
                                           const RestoreOptions& options,
                                           const CommitOptions& commit) {
  Span span(impl_->telemetry().get(), "restore", table);
  auto restored = span.Watch(impl_->RestoreTable(table, as_of, options, commit));
  if (restored) {
    span.Set("varve.commit", restored->commit.commit.value);
    span.Set("varve.rows", restored->commit.rows);
  }
  return restored;
}

void Database::WriteThen(std::string_view table, const WriteRequest& request,
                         const CommitOptions& options, CommitCallback done) {
  impl_->WriteThen(table, request, options,
                   Watched(SpanOf(*impl_->telemetry(), table, request), std::move(done)));
}

std::future<Result<CommitInfo>> Database::WriteAsync(std::string_view table,
                                                     const WriteRequest& request,
                                                     const CommitOptions& options) {
  return Promised(
      [&](CommitCallback done) { WriteThen(table, request, options, std::move(done)); });
}

Result<std::optional<ProducerMark>> Database::LastOf(std::string_view producer) const {
  return impl_->LastOf(producer);
}

Result<std::shared_ptr<Snapshot>> Database::GetSnapshot(const AsOf& as_of) const {
  return impl_->GetSnapshot(as_of);
}

Result<std::shared_ptr<arrow::RecordBatchReader>> Database::Scan(std::string_view table,
                                                                 const ScanOptions& options) const {
  VARVE_ASSIGN(const auto snapshot, GetSnapshot());
  return snapshot->Scan(table, options);
}

Result<std::shared_ptr<arrow::RecordBatch>> Database::Get(
    std::string_view table, const std::shared_ptr<arrow::RecordBatch>& keys) const {
  VARVE_ASSIGN(const auto snapshot, GetSnapshot());
  return snapshot->Get(table, keys);
}

Result<std::shared_ptr<arrow::RecordBatchReader>> Database::Changes(
    std::string_view table, const AsOf& from, const AsOf& to, const ChangesOptions& options) const {
  VARVE_ASSIGN(const auto first, GetSnapshot(from));
  VARVE_ASSIGN(const auto last, GetSnapshot(to));
  return last->Changes(table, first->commit(), options);
}

Status Database::Flush() { return impl_->Flush(); }
Result<CompactInfo> Database::Compact(std::string_view table) { return impl_->Compact(table); }
Result<RetireInfo> Database::Retire(const RetireOptions& options) {
  return impl_->Retire(options);
}
Status Database::Sync() { return impl_->Sync(); }
Result<std::vector<std::string>> Database::Rekey() { return impl_->Rekey(); }
DatabaseStats Database::Stats() const {
  (void)impl_->CatchUp();
  return impl_->Stats();
}
std::string Database::PrometheusText(std::string_view prefix) const {
  return impl_->PrometheusText(prefix);
}
std::vector<Version> Database::Versions(std::uint64_t limit) const {
  (void)impl_->CatchUp();
  return impl_->Versions(limit);
}
Result<TagInfo> Database::Tag(const std::string& name, const AsOf& as_of,
                              const TagOptions& options) {
  return impl_->Tag(name, as_of, options);
}
Result<TagInfo> Database::Untag(const std::string& name) { return impl_->Untag(name); }
std::vector<TagInfo> Database::Tags() const {
  (void)impl_->CatchUp();
  return impl_->Tags();
}
Status Database::Close() { return impl_->Close(); }

}  // namespace varve
