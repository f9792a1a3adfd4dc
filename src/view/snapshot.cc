// SPDX-License-Identifier: Apache-2.0
#include "varve/snapshot.h"

#include <arrow/record_batch.h>
#include <arrow/type.h>

#include "base/result.h"
#include "base/telemetry.h"
#include "view/aggregate.h"
#include "view/caret.h"
#include "view/changes.h"
#include "view/scan.h"
#include "view/span_reader.h"
#include "view/superversion.h"

namespace varve {
namespace {

Result<const TableView*> FindTable(const Superversion& superversion, std::string_view name) {
  if (const TableView* table = superversion.Find(name)) return table;
  std::vector<std::string> names;
  std::string list;
  for (const auto& [known, table] : superversion.tables) {
    names.push_back(known);
    list += (list.empty() ? "" : ", ") + known;
  }
  std::string hint = DidYouMean(name, names);
  if (hint.empty()) hint = list.empty() ? "; the database has no tables" : "; tables: " + list;
  return Fail(ErrorKind::kNotFound, "no table '" + std::string(name) + "'" + hint);
}

// What is wrong with a question about a table says which.
template <typename T>
Result<T> Within(const TableView& table, Result<T> result) {
  if (result) return result;
  return std::unexpected(result.error().Within("table '" + table.name + "'"));
}

void Note(const Superversion& of, CounterId counter, std::uint64_t count = 1) noexcept {
  if (of.telemetry != nullptr) of.telemetry->metrics.Add(counter, count);
}

std::uint64_t RowsOf(const std::shared_ptr<arrow::RecordBatch>& rows) {
  return rows == nullptr ? 0 : static_cast<std::uint64_t>(rows->num_rows());
}

}  // namespace

Snapshot::Snapshot(std::shared_ptr<const Superversion> superversion, CommitNumber commit)
    : superversion_(std::move(superversion)), commit_(commit) {
  Note(*superversion_, "snapshots_begun_total");
}

Snapshot::~Snapshot() { Note(*superversion_, "snapshots_ended_total"); }

Result<std::shared_ptr<arrow::Schema>> Snapshot::Schema(std::string_view table) const {
  VARVE_ASSIGN(const TableView* view, FindTable(*superversion_, table));
  return view->schema->schema();
}

Result<std::vector<std::string>> Snapshot::Key(std::string_view table) const {
  VARVE_ASSIGN(const TableView* view, FindTable(*superversion_, table));
  return view->schema->key_names();
}

std::vector<std::string> Snapshot::Tables() const {
  std::vector<std::string> names;
  for (const auto& [name, table] : superversion_->tables) names.push_back(name);
  return names;
}

Result<std::shared_ptr<arrow::RecordBatchReader>> Snapshot::Scan(std::string_view table,
                                                                 const ScanOptions& options) const {
  VARVE_ASSIGN(const TableView* view, FindTable(*superversion_, table));
  Note(*superversion_, "reads_total/scan");
  Span span(superversion_->telemetry.get(), "scan", table);
  return UntilItEnds(std::move(span),
                     Within(*view, NewScan(superversion_, *view, commit_, options)));
}

Result<ScanPlan> Snapshot::Explain(std::string_view table, const ScanOptions& options) const {
  VARVE_ASSIGN(const TableView* view, FindTable(*superversion_, table));
  return Within(*view, ExplainScan(*view, commit_, options));
}

Result<std::vector<RunInfo>> Snapshot::Runs(std::string_view table) const {
  VARVE_ASSIGN(const TableView* view, FindTable(*superversion_, table));
  return ListRuns(*view, commit_);
}

Result<RowCount> Snapshot::Count(std::string_view table, const ScanOptions& options) const {
  VARVE_ASSIGN(const TableView* view, FindTable(*superversion_, table));
  Note(*superversion_, "reads_total/count");
  Span span(superversion_->telemetry.get(), "count", table);
  auto rows = span.Watch(Within(*view, CountRows(superversion_, *view, commit_, options)));
  if (rows) span.Set("varve.rows_scanned", rows->rows_scanned);
  return rows;
}

Result<ValueRange> Snapshot::MinMax(std::string_view table, std::string_view column,
                                    const ScanOptions& options) const {
  VARVE_ASSIGN(const TableView* view, FindTable(*superversion_, table));
  Note(*superversion_, "reads_total/min_max");
  Span span(superversion_->telemetry.get(), "min_max", table);
  auto range =
      span.Watch(Within(*view, FindMinMax(superversion_, *view, commit_, column, options)));
  if (range) span.Set("varve.rows_scanned", range->rows_scanned);
  return range;
}

Result<std::shared_ptr<arrow::RecordBatchReader>> Snapshot::Changes(
    std::string_view table, CommitNumber after, const ChangesOptions& options) const {
  VARVE_ASSIGN(const TableView* view, FindTable(*superversion_, table));
  if (after > commit_) {
    return Fail(ErrorKind::kInvalid, "changes after commit " + std::to_string(after.value) +
                                         " end before they begin: the last one asked for is "
                                         "commit " +
                                         std::to_string(commit_.value));
  }
  Note(*superversion_, "reads_total/changes");
  Span span(superversion_->telemetry.get(), "changes", table);
  return UntilItEnds(std::move(span),
                     Within(*view, NewChanges(superversion_, *view, {after.value, commit_.value},
                                              options)));
}

Result<std::shared_ptr<arrow::RecordBatch>> Snapshot::Get(
    std::string_view table, const std::shared_ptr<arrow::RecordBatch>& keys,
    std::vector<bool>* found) const {
  VARVE_ASSIGN(const TableView* view, FindTable(*superversion_, table));
  Note(*superversion_, "reads_total/get");
  Note(*superversion_, "get_keys_total", RowsOf(keys));
  Span span(superversion_->telemetry.get(), "get", table);
  span.Set("db.operation.batch.size", RowsOf(keys));
  auto rows = span.Watch(Within(*view, GetRows(*view, commit_, keys, found)));
  if (rows) {
    Note(*superversion_, "get_rows_total", RowsOf(*rows));
    span.Set("db.response.returned_rows", RowsOf(*rows));
  }
  return rows;
}

}  // namespace varve
