// SPDX-License-Identifier: Apache-2.0
#include "engine/write_request.h"

#include <arrow/api.h>
#include <fmt/format.h>

#include <utility>

#include "base/result.h"
#include "columns/arrow_errors.h"
#include "columns/gather.h"
#include "view/scan.h"
#include "view/scan_plan.h"

namespace varve {
namespace {

using BatchPtr = std::shared_ptr<arrow::RecordBatch>;

// Keys that kDeleteWhere may find: they are one commit, which is one unit of the log.
constexpr std::uint64_t kDeleteBytesMax = 1ull << 30;

std::unexpected<Error> Bad(std::string what) {
  return Fail(ErrorKind::kInvalid, std::move(what));
}

Status CheckMembers(const WriteRequest& request) {
  const bool where = request.mode == WriteMode::kDeleteWhere;
  const bool bounded = request.range.lower != nullptr || request.range.upper != nullptr;
  if (request.deletes != nullptr && request.mode != WriteMode::kUpsert) {
    return Bad("`deletes` goes with kUpsert alone: delete in a write of its own, or in the same "
               "transaction");
  }
  if (!where && (bounded || request.filter != nullptr)) {
    return Bad("`range` and `filter` go with kDeleteWhere alone");
  }
  if (!where) return {};
  if (request.rows != nullptr) return Bad("kDeleteWhere takes no `rows`");
  if (bounded || request.filter != nullptr) return {};
  return Bad("kDeleteWhere has neither a `range` nor a `filter`; to delete every row, give the "
             "filter literal(true)");
}

std::string KeyText(const TableSchema& schema, std::string_view key) {
  return schema.key_codec().ToText(key);
}

// The rows of a batch where `wanted` is `value`.
Result<BatchPtr> Rows(const BatchPtr& batch, const std::vector<bool>& wanted, bool value) {
  std::vector<RowSlice> slices;
  for (std::int64_t row = 0; row < batch->num_rows(); ++row) {
    if (wanted[static_cast<std::size_t>(row)] != value) continue;
    if (!slices.empty() && slices.back().start + slices.back().length == row) {
      ++slices.back().length;
    } else {
      slices.push_back({batch, row, 1});
    }
  }
  if (slices.empty()) return batch->Slice(0, 0);
  return Gather(batch->schema(), slices);
}

Status AddUpserts(const TableSchema& schema, const BatchPtr& rows, PreparedWrite* write) {
  VARVE_ASSIGN(auto batch, PrepareUpsert(schema, rows));
  if (batch.rows->num_rows() > 0) write->batches.push_back(std::move(batch));
  return {};
}

// The first key that is there (`there`), or is not.
std::optional<std::int64_t> FirstThat(const std::vector<bool>& exist, bool there) {
  for (std::size_t i = 0; i < exist.size(); ++i) {
    if (exist[i] == there) return static_cast<std::int64_t>(i);
  }
  return std::nullopt;
}

Result<PreparedWrite> PrepareInsert(const TableView& table, CommitNumber as_of,
                                    const WriteRequest& request) {
  PreparedWrite write;
  VARVE_ASSIGN(auto batch, PrepareUpsert(*table.schema, request.rows));
  write.looked_at.AddKeys(batch.keys);
  VARVE_ASSIGN(const auto exist, WhichExist(table, as_of, batch.keys));
  const auto first = FirstThat(exist, true);
  if (!first) {
    if (batch.rows->num_rows() > 0) write.batches.push_back(std::move(batch));
    return write;
  }
  if (request.mode == WriteMode::kInsert) {
    write.refusal = Error(ErrorKind::kConflict,
                          fmt::format("key {} is there already, as of commit {}; no row of this "
                                      "insert was kept: leave it out, or insert what is missing",
                                      KeyText(*table.schema, batch.keys[*first]), as_of.value),
                          ErrorReason::kAlreadyExists);
    return write;
  }
  VARVE_ASSIGN(const auto missing, Rows(batch.rows, exist, false));
  write.rows_passed = static_cast<std::uint64_t>(batch.rows->num_rows() - missing->num_rows());
  VARVE_TRY(AddUpserts(*table.schema, missing, &write));
  return write;
}

Status CheckUpdateColumns(const arrow::Schema& table, const arrow::Schema& rows) {
  for (const auto& field : rows.fields()) {
    if (rows.GetAllFieldIndices(field->name()).size() > 1) {
      return Bad(fmt::format("column '{}' appears more than once", field->name()));
    }
    if (table.GetFieldIndex(field->name()) < 0) {
      return Bad(fmt::format("column '{}' ({}) is not in the table", field->name(),
                             field->type()->ToString()));
    }
  }
  return {};
}

// The rows of `base`, which has all columns, with those that `patch` has set from it.
BatchPtr Patched(const BatchPtr& base, const arrow::RecordBatch& patch) {
  arrow::FieldVector fields;
  arrow::ArrayVector columns;
  for (int i = 0; i < base->num_columns(); ++i) {
    const auto& field = base->schema()->field(i);
    const int place = patch.schema()->GetFieldIndex(field->name());
    fields.push_back(place < 0 ? field : patch.schema()->field(place));
    columns.push_back(place < 0 ? base->column(i) : patch.column(place));
  }
  return arrow::RecordBatch::Make(arrow::schema(std::move(fields)), base->num_rows(),
                                  std::move(columns));
}

// What is wrong with `rows`, whatever the table holds.
Status CheckUpdate(const TableSchema& schema, const BatchPtr& rows) {
  VARVE_TRY(CheckUpdateColumns(*schema.schema(), *rows->schema()));
  const auto none = FromArrow(arrow::RecordBatch::MakeEmpty(schema.schema()));
  if (!none) return std::unexpected(none.error());
  VARVE_TRY(schema.Conform(Patched(*none, *rows->Slice(0, 0))));
  if (const auto valid = rows->ValidateFull(); !valid.ok()) {
    return Bad("malformed batch: " + valid.message());
  }
  return {};
}

Result<PreparedWrite> PrepareUpdate(const TableView& table, CommitNumber as_of,
                                    const WriteRequest& request) {
  const TableSchema& schema = *table.schema;
  PreparedWrite write;
  VARVE_ASSIGN(const auto asked, PrepareDelete(schema, request.rows));  // their bytes, each once
  VARVE_TRY(CheckUpdate(schema, request.rows));
  write.looked_at.AddKeys(asked.keys);
  std::vector<bool> exist;
  VARVE_ASSIGN(const auto base, GetRows(table, as_of, request.rows, &exist));
  const auto first = FirstThat(exist, false);
  if (first && request.mode == WriteMode::kUpdate) {
    VARVE_ASSIGN(const auto lacking, PrepareDelete(schema, request.rows->Slice(*first, 1)));
    write.refusal = Error(ErrorKind::kNotFound,
                          fmt::format("key {} is not there, as of commit {}; no row of this update "
                                      "was kept: leave it out, or update only what is there",
                                      KeyText(schema, lacking.keys[0]), as_of.value));
    return write;
  }
  VARVE_ASSIGN(const auto patch, Rows(request.rows, exist, true));
  VARVE_TRY(AddUpserts(schema, Patched(base, *patch), &write));
  const auto kept = write.batches.empty() ? 0 : write.batches[0].rows->num_rows();
  write.rows_passed = static_cast<std::uint64_t>(asked.rows->num_rows() - kept);
  return write;
}

Result<PreparedWrite> PrepareDeleteWhere(const std::shared_ptr<const Superversion>& view,
                                         const TableView& table, CommitNumber as_of,
                                         const WriteRequest& request) {
  PreparedWrite write;
  ScanOptions scan;
  scan.columns = table.schema->key_names();
  scan.range = request.range;
  scan.filter = request.filter;
  VARVE_ASSIGN(const auto recipe, PrepareScan(table, scan));
  write.looked_at.AddRange(recipe.range.bounds);
  VARVE_ASSIGN(const auto reader, NewScan(view, table, as_of, scan));
  std::vector<RowSlice> found;
  std::uint64_t bytes = 0;
  while (true) {
    BatchPtr keys;
    if (const auto read = reader->ReadNext(&keys); !read.ok()) {
      return std::unexpected(ErrorFromArrow(read));
    }
    if (keys == nullptr) break;
    if (keys->num_rows() == 0) continue;
    bytes += BatchBytes(*keys);
    if (bytes > kDeleteBytesMax) {
      return Bad(fmt::format("the keys to delete take more than {} bytes, which is too much for "
                             "one commit: delete by smaller ranges",
                             kDeleteBytesMax));
    }
    found.push_back({keys, 0, keys->num_rows()});
  }
  if (found.empty()) return write;
  VARVE_ASSIGN(const auto keys, Gather(found.front().batch->schema(), found));
  VARVE_ASSIGN(auto batch, PrepareDelete(*table.schema, keys));
  write.batches.push_back(std::move(batch));
  return write;
}

Result<PreparedWrite> PrepareBlind(const TableSchema& schema, const WriteRequest& request) {
  PreparedWrite write;
  if (request.deletes != nullptr) {
    VARVE_ASSIGN(write.batches, PrepareMixed(schema, request.rows, *request.deletes));
    return write;
  }
  auto batch = request.mode == WriteMode::kUpsert ? PrepareUpsert(schema, request.rows)
                                                  : PrepareDelete(schema, request.rows);
  if (!batch) return std::unexpected(std::move(batch).error());
  if (batch->rows->num_rows() > 0) write.batches.push_back(*std::move(batch));
  return write;
}

Result<PreparedWrite> Prepare(const std::shared_ptr<const Superversion>& view,
                              const TableView& table, CommitNumber as_of,
                              const WriteRequest& request) {
  VARVE_TRY(CheckMembers(request));
  switch (request.mode) {
    case WriteMode::kUpsert:
    case WriteMode::kDelete: return PrepareBlind(*table.schema, request);
    case WriteMode::kInsert:
    case WriteMode::kInsertMissing: return PrepareInsert(table, as_of, request);
    case WriteMode::kUpdate:
    case WriteMode::kUpdateExisting: return PrepareUpdate(table, as_of, request);
    case WriteMode::kDeleteWhere: return PrepareDeleteWhere(view, table, as_of, request);
  }
  return Bad(fmt::format("there is no write mode {}", std::to_underlying(request.mode)));
}

}  // namespace

bool LooksFirst(const WriteRequest& request) {
  return request.mode != WriteMode::kUpsert && request.mode != WriteMode::kDelete;
}

Result<PreparedWrite> PrepareWrite(const std::shared_ptr<const Superversion>& view,
                                   const TableView& table, CommitNumber as_of,
                                   const WriteRequest& request) {
  auto write = Prepare(view, table, as_of, request);
  const auto context = [&table] { return fmt::format("table '{}'", table.name); };
  if (!write) return std::unexpected(write.error().Within(context()));
  if (write->refusal) write->refusal = write->refusal->Within(context());
  return write;
}

}  // namespace varve
