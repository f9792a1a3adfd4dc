// SPDX-License-Identifier: Apache-2.0
#include "view/scan_plan.h"

#include <arrow/api.h>

#include <algorithm>
#include <numeric>

#include "base/result.h"
#include "view/caret.h"
#include "view/own_rows.h"
#include "view/scan.h"

namespace varve {

Result<std::vector<int>> ColumnsOf(const arrow::Schema& schema,
                                   const std::optional<std::vector<std::string>>& names) {
  std::vector<int> columns;
  if (!names) {
    columns.resize(static_cast<std::size_t>(schema.num_fields()));
    std::iota(columns.begin(), columns.end(), 0);
    return columns;
  }
  for (const std::string& name : *names) {
    const int column = schema.GetFieldIndex(name);
    if (column < 0) {
      return Fail(ErrorKind::kNotFound,
                  "no column '" + name + "'" + DidYouMean(name, schema.field_names()));
    }
    if (std::find(columns.begin(), columns.end(), column) != columns.end()) {
      return Fail(ErrorKind::kInvalid, "column '" + name + "' is asked for twice");
    }
    columns.push_back(column);
  }
  return columns;
}

std::shared_ptr<arrow::Schema> SelectFields(const arrow::Schema& schema,
                                            const std::vector<int>& columns) {
  arrow::FieldVector fields;
  for (int column : columns) fields.push_back(schema.field(column));
  return arrow::schema(std::move(fields), schema.metadata());
}

Status CheckBatchRows(std::int64_t batch_rows_max) {
  if (batch_rows_max >= 1) return {};
  return Fail(ErrorKind::kInvalid,
              "batch_rows_max is " + std::to_string(batch_rows_max) + "; expected at least 1");
}

namespace {

// Place of `column` among the columns read; added when it is not there.
int PlaceOf(std::vector<int>* read, int column) {
  const auto at = std::find(read->begin(), read->end(), column);
  if (at != read->end()) return static_cast<int>(at - read->begin());
  read->push_back(column);
  return static_cast<int>(read->size()) - 1;
}

}  // namespace

Result<ScanRecipe> PrepareScan(const TableSchema& schema, const ScanOptions& options) {
  VARVE_TRY(CheckBatchRows(options.batch_rows_max));
  if (options.reverse && options.unordered) {
    return Fail(ErrorKind::kInvalid, "reverse and unordered exclude each other");
  }
  ScanRecipe recipe;
  recipe.stop = options.stop;
  VARVE_ASSIGN(const std::vector<int> projected, ColumnsOf(*schema.schema(), options.columns));
  recipe.output = SelectFields(*schema.schema(), projected);
  recipe.read_columns = projected;
  recipe.output_places.resize(projected.size());
  std::iota(recipe.output_places.begin(), recipe.output_places.end(), 0);

  std::optional<arrow::compute::Expression> bound;
  if (options.filter != nullptr) {
    VARVE_ASSIGN(bound, BindFilter(*options.filter, *schema.schema()));
    recipe.filter.emplace(*bound, schema.schema());
    recipe.filter_text = bound->ToString();
    for (int column : recipe.filter->columns()) {
      recipe.filter_places.push_back(PlaceOf(&recipe.read_columns, column));
    }
  }
  recipe.read = SelectFields(*schema.schema(), recipe.read_columns);
  VARVE_ASSIGN(recipe.range, PlanKeyRange(schema, options.range, bound ? &*bound : nullptr));
  return recipe;
}

std::string WhySkipped(const Memtable& memtable, const PlannedRange& range) {
  if (memtable.rows() == 0) return "empty";
  return range.Empty() ? "all keys outside the range" : "";
}

std::string WhySkipped(const Run& run, const KeyBounds& bounds, std::uint64_t as_of) {
  const RunMeta& meta = run.meta();
  if (meta.min_commit > as_of) return "newer than commit " + std::to_string(as_of);
  if (meta.max_key < bounds.lower || (bounds.upper && meta.min_key >= *bounds.upper)) {
    return "all keys outside the range";
  }
  if (as_of < meta.shown_from) return "the runs that it was made of are read";
  if (!meta.IsShownAt(as_of)) return "older versions of keys that other runs have";
  return "";
}

namespace {

const std::vector<bool>* LeftOut(const PrunedGroups& pruned, const Run& run) {
  const auto at = pruned.find(&run);
  return at == pruned.end() ? nullptr : &at->second;
}

}  // namespace

std::uint64_t MergeAsOf(const TableView& table, std::uint64_t as_of) {
  return table.own == nullptr ? as_of : kNewest;
}

std::vector<std::unique_ptr<VersionCursor>> OpenCursors(const TableView& table,
                                                        const std::vector<int>& columns,
                                                        const KeyBounds& bounds,
                                                        std::uint64_t as_of,
                                                        const PrunedGroups& pruned,
                                                        Executor* executor) {
  std::vector<std::unique_ptr<VersionCursor>> cursors;
  const auto add = [&](const Memtable& memtable) {
    if (memtable.rows() > 0) cursors.push_back(memtable.NewCursor(columns, bounds));
  };
  if (table.active != nullptr) add(*table.active);
  for (const auto& sealed : table.sealed) add(*sealed);
  for (const auto& run : table.runs) {
    if (!WhySkipped(*run, bounds, as_of).empty()) continue;
    cursors.push_back(run->NewCursor(columns, bounds, LeftOut(pruned, *run), executor));
  }
  if (table.own != nullptr) {
    PutOnTop(*table.own, table.own_statements, columns, bounds, as_of, &cursors);
  }
  return cursors;
}

namespace {

ScanSource DescribeMemtable(const Memtable& memtable, std::string name, const PlannedRange& range) {
  ScanSource source;
  source.name = std::move(name);
  source.rows = memtable.rows();
  source.bytes = memtable.bytes();
  source.reason = WhySkipped(memtable, range);
  if (source.reason.empty()) source.bytes_read = source.bytes;
  return source;
}

ScanSource DescribeRun(const Run& run, const ScanRecipe& recipe, std::uint64_t as_of) {
  const RunMeta& meta = run.meta();
  ScanSource source;
  source.name = meta.data.name.empty() ? meta.deletes.name : meta.data.name;
  source.rows = meta.data.rows + meta.deletes.rows;
  source.bytes = meta.data.bytes + meta.deletes.bytes;
  const Run::Plan plan = run.Explain(recipe.read_columns, recipe.range.bounds,
                                     LeftOut(recipe.pruned, run));
  source.row_groups = plan.row_groups;
  source.reason = WhySkipped(run, recipe.range.bounds, as_of);
  if (source.reason.empty() && recipe.range.Empty()) source.reason = "all keys outside the range";
  if (!source.reason.empty()) return source;
  source.row_groups_read = plan.row_groups_read;
  source.bytes_read = plan.bytes_read;
  const auto tell = [&](std::uint32_t count, const char* why) {
    if (count == 0) return;
    source.reason += (source.reason.empty() ? "" : ", ") + std::to_string(count) + " of " +
                     std::to_string(plan.row_groups) + " row groups " + why;
  };
  const std::uint32_t within = plan.row_groups_read + plan.row_groups_left_out;
  tell(plan.row_groups - within, "outside the key range");
  tell(plan.row_groups_left_out, "without a value that the filter accepts");
  return source;
}

}  // namespace

Result<ScanPlan> ExplainScan(const TableView& table, CommitNumber as_of,
                             const ScanOptions& options) {
  VARVE_ASSIGN(ScanRecipe recipe, PrepareScan(*table.schema, options));
  if (recipe.filter) recipe.pruned = PruneByValues(table, as_of.value, recipe.filter->bound());
  ScanPlan plan;
  plan.as_of = as_of;
  plan.key_range = recipe.range.text;
  plan.filter = recipe.filter_text;
  if (table.active != nullptr) {
    plan.sources.push_back(DescribeMemtable(*table.active, "memtable", recipe.range));
  }
  for (const auto& sealed : table.sealed) {
    plan.sources.push_back(DescribeMemtable(*sealed, "sealed memtable", recipe.range));
  }
  for (const auto& run : table.runs) {
    plan.sources.push_back(DescribeRun(*run, recipe, as_of.value));
  }
  if (table.own != nullptr) {
    plan.sources.push_back(DescribeMemtable(*table.own, "own writes", recipe.range));
  }
  return plan;
}

}  // namespace varve
