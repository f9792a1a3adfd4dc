// SPDX-License-Identifier: Apache-2.0
#include "view/change_batch.h"

#include <arrow/api.h>

#include <algorithm>
#include <set>
#include <span>
#include <string>

#include "base/check.h"
#include "base/result.h"
#include "columns/arrow_errors.h"
#include "columns/gather.h"
#include "columns/row_bytes.h"
#include "view/scan_plan.h"

namespace varve {
namespace {

using BatchPtr = std::shared_ptr<arrow::RecordBatch>;
using Changes = std::span<const Change>;

constexpr char kCommitName[] = "_commit";
constexpr char kKindName[] = "_kind";
constexpr char kBeforePrefix[] = "_before_";

bool IsKey(const TableSchema& schema, int column) {
  return std::ranges::find(schema.key_columns(), column) != schema.key_columns().end();
}

// Each with a name of its own, or the caller could not tell them apart.
Status CheckNames(const arrow::Schema& output) {
  std::set<std::string_view> names;
  for (const auto& field : output.fields()) {
    if (names.insert(field->name()).second) continue;
    return Fail(ErrorKind::kInvalid,
                "the table has a column '" + field->name() +
                    "', which is also what changes call one of theirs; leave that column, or the "
                    "one it would be the value before of, out of ChangesOptions::columns");
  }
  return {};
}

// One row in which every column is null.
Result<BatchPtr> NullRow(const std::shared_ptr<arrow::Schema>& schema) {
  arrow::ArrayVector columns;
  for (const auto& field : schema->fields()) {
    VARVE_ASSIGN(auto column, FromArrow(arrow::MakeArrayOfNull(field->type(), 1)));
    columns.push_back(std::move(column));
  }
  return arrow::RecordBatch::Make(schema, 1, std::move(columns));
}

// The deleted rows: their key, and nulls.
Result<BatchPtr> DeletedRows(const ChangeRecipe& recipe, const TableSchema& schema,
                             const std::vector<std::string_view>& keys) {
  VARVE_ASSIGN(const auto decoded, schema.key_codec().Decode(keys));
  arrow::ArrayVector columns;
  for (const int column : recipe.columns) {
    const auto at = std::ranges::find(schema.key_columns(), column);
    if (at != schema.key_columns().end()) {
      columns.push_back(decoded->column(static_cast<int>(at - schema.key_columns().begin())));
      continue;
    }
    const auto& type = schema.schema()->field(column)->type();
    VARVE_ASSIGN(auto nulls, FromArrow(arrow::MakeArrayOfNull(type, std::ssize(keys))));
    columns.push_back(std::move(nulls));
  }
  return arrow::RecordBatch::Make(recipe.read, std::ssize(keys), std::move(columns));
}

Result<std::vector<RowSlice>> SlicesAfter(const ChangeRecipe& recipe, const TableSchema& schema,
                                          const ChangeSet& set, Changes changes) {
  std::vector<std::string_view> deleted;
  for (const Change& change : changes) {
    if (change.kind == RowKind::kDelete) deleted.push_back(set.key(change));
  }
  BatchPtr deletes;
  if (!deleted.empty()) {
    VARVE_ASSIGN(deletes, DeletedRows(recipe, schema, deleted));
  }
  std::vector<RowSlice> slices;
  std::int64_t next_delete = 0;
  for (const Change& change : changes) {
    if (change.kind == RowKind::kDelete) {
      AddRow(deletes, next_delete++, &slices);
    } else {
      AddRow(change.batch, change.row, &slices);
    }
  }
  return slices;
}

Result<std::vector<RowSlice>> SlicesBefore(const ChangeRecipe& recipe, Changes changes) {
  VARVE_ASSIGN(const BatchPtr nothing, NullRow(recipe.read));
  std::vector<RowSlice> slices;
  for (const Change& change : changes) {
    if (change.before == nullptr) {
      slices.push_back({nothing, 0, 1});
    } else {
      AddRow(change.before, change.before_row, &slices);
    }
  }
  return slices;
}

std::string_view KindName(const ChangeRecipe& recipe, const Change& change) {
  if (change.kind == RowKind::kDelete) return "delete";
  if (!recipe.before_images) return "upsert";
  return change.before == nullptr ? "insert" : "update";
}

Status AppendCommitAndKind(const ChangeRecipe& recipe, Changes changes, arrow::ArrayVector* to) {
  arrow::UInt64Builder commits;
  arrow::StringBuilder kinds;
  for (const Change& change : changes) {
    VARVE_TRY(FromArrow(commits.Append(change.commit)));
    VARVE_TRY(FromArrow(kinds.Append(KindName(recipe, change))));
  }
  VARVE_ASSIGN(auto commit_column, FromArrow(commits.Finish()));
  VARVE_ASSIGN(auto kind_column, FromArrow(kinds.Finish()));
  to->push_back(std::move(commit_column));
  to->push_back(std::move(kind_column));
  return {};
}

std::int64_t RowsOf(const std::vector<RowSlice>& slices) {
  std::int64_t rows = 0;
  for (const RowSlice& slice : slices) rows += slice.length;
  return rows;
}

}  // namespace

Result<ChangeRecipe> PrepareChanges(const TableSchema& schema, const ChangesOptions& options) {
  VARVE_TRY(CheckBatchRows(options.batch_rows_max));
  ChangeRecipe recipe;
  recipe.stop = options.stop;
  recipe.batch_rows_max = options.batch_rows_max;
  recipe.before_images = options.before_images;
  VARVE_ASSIGN(recipe.columns, ColumnsOf(*schema.schema(), options.columns));
  recipe.read = SelectFields(*schema.schema(), recipe.columns);
  arrow::FieldVector fields = {arrow::field(kCommitName, arrow::uint64(), false),
                               arrow::field(kKindName, arrow::utf8(), false)};
  arrow::FieldVector before;
  for (std::size_t place = 0; place < recipe.columns.size(); ++place) {
    const auto& field = recipe.read->field(static_cast<int>(place));
    const bool key = IsKey(schema, recipe.columns[place]);
    fields.push_back(key ? field : field->WithNullable(true));
    if (key || !options.before_images) continue;
    recipe.before.push_back(static_cast<int>(place));
    before.push_back(field->WithName(kBeforePrefix + field->name())->WithNullable(true));
  }
  fields.insert(fields.end(), before.begin(), before.end());
  recipe.output = arrow::schema(std::move(fields), recipe.read->metadata());
  VARVE_TRY(CheckNames(*recipe.output));
  VARVE_ASSIGN(recipe.range, PlanKeyRange(schema, options.range, nullptr));
  return recipe;
}

Result<BatchPtr> MakeChangeBatch(const ChangeRecipe& recipe, const TableSchema& schema,
                                 const ChangeSet& set, std::size_t begin, std::size_t end) {
  VARVE_CHECK(begin < end && end <= set.changes().size());
  Changes changes(set.changes().begin() + static_cast<std::ptrdiff_t>(begin), end - begin);
  VARVE_ASSIGN(auto after, SlicesAfter(recipe, schema, set, changes));
  auto parts = SplitByBytes(std::move(after), kGatherBytesMax);
  changes = changes.first(static_cast<std::size_t>(RowsOf(parts.front())));

  arrow::ArrayVector columns;
  VARVE_TRY(AppendCommitAndKind(recipe, changes, &columns));
  VARVE_ASSIGN(const BatchPtr rows, Gather(recipe.read, parts.front()));
  columns.insert(columns.end(), rows->columns().begin(), rows->columns().end());
  if (!recipe.before.empty()) {
    VARVE_ASSIGN(const auto slices, SlicesBefore(recipe, changes));
    VARVE_ASSIGN(const BatchPtr before, Gather(recipe.read, slices));
    for (const int place : recipe.before) columns.push_back(before->column(place));
  }
  return arrow::RecordBatch::Make(recipe.output, std::ssize(changes), std::move(columns));
}

}  // namespace varve
