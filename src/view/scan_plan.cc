// SPDX-License-Identifier: Apache-2.0
#include "view/scan_plan.h"

#include <arrow/api.h>

#include <algorithm>
#include <numeric>

#include "base/result.h"
#include "run/late_cursor.h"
#include "run/open_run.h"
#include "run/run_memory.h"
#include "view/caret.h"
#include "view/expiring.h"
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

namespace {

// Bound to the table's columns; nothing when every row is wanted.
Result<std::optional<arrow::compute::Expression>> WholeFilter(const TableView& table,
                                                              const ScanOptions& options) {
  const arrow::Schema& schema = *table.schema->schema();
  std::optional<arrow::compute::Expression> whole;
  if (options.filter != nullptr) {
    VARVE_ASSIGN(whole, BindFilter(*options.filter, schema));
  }
  const auto alive = AliveFilter(table);
  if (!alive) return whole;
  VARVE_ASSIGN(whole, BindFilter(whole ? arrow::compute::and_(*options.filter, *alive) : *alive,
                                 schema));
  return whole;
}

}  // namespace

Result<ScanRecipe> PrepareScan(const TableView& table, const ScanOptions& options) {
  const TableSchema& schema = *table.schema;
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

  VARVE_ASSIGN(const auto bound, WholeFilter(table, options));
  if (bound) {
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

Skip SkipOf(const Run& run, const KeyBounds& bounds, std::uint64_t as_of) {
  const RunMeta& meta = run.meta();
  if (meta.min_commit > as_of) return Skip::kNewer;
  if (meta.max_key < bounds.lower || (bounds.upper && meta.min_key >= *bounds.upper)) {
    return Skip::kOutOfRange;
  }
  if (as_of < meta.shown_from) return Skip::kNotShownYet;
  return meta.IsShownAt(as_of) ? Skip::kNo : Skip::kNotShownAnyMore;
}

std::string WhySkipped(const Run& run, const KeyBounds& bounds, std::uint64_t as_of) {
  switch (SkipOf(run, bounds, as_of)) {
    case Skip::kNo: return "";
    case Skip::kNewer: return "newer than commit " + std::to_string(as_of);
    case Skip::kOutOfRange: return "all keys outside the range";
    case Skip::kNotShownYet: return "the runs that it was made of are read";
    case Skip::kNotShownAnyMore: return "older versions of keys that other runs have";
  }
  return "";
}

namespace {

// That of a budget of 256 MiB. With less, runs are opened when the merge comes to them.
constexpr std::uint64_t kBatchBytesAmple = 4 << 20;

const std::vector<bool>* LeftOut(const PrunedGroups& pruned, const Run& run) {
  const auto at = pruned.find(&run);
  return at == pruned.end() ? nullptr : &at->second;
}

}  // namespace

std::uint64_t MergeAsOf(const TableView& table, std::uint64_t as_of) {
  return table.own == nullptr ? as_of : kNewest;
}

Result<Cursors> OpenCursors(const TableView& table, const std::vector<int>& columns,
                            const KeyBounds& bounds, std::uint64_t as_of,
                            const PrunedGroups& pruned, Executor* executor) {
  Cursors cursors;
  const auto add = [&](const Memtable& memtable) {
    if (memtable.rows() > 0) cursors.push_back(memtable.NewCursor(columns, bounds));
  };
  if (table.active != nullptr) add(*table.active);
  for (const auto& sealed : table.sealed) add(*sealed);
  for (const auto& run : table.runs) {
    if (SkipOf(*run, bounds, as_of) != Skip::kNo) continue;
    if (table.memory != nullptr && table.memory->BatchBytesMax() < kBatchBytesAmple) {
      cursors.push_back(NewLateCursor(run, columns, bounds, LeftOut(pruned, *run), executor));
      continue;
    }
    VARVE_ASSIGN(const OpenRun open, run->Open());
    cursors.push_back(open.NewCursor(columns, bounds, LeftOut(pruned, *run), executor));
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

// Of a run that is skipped whole nothing is read, so its row groups are not known.
Result<ScanSource> DescribeRun(const Run& run, const ScanRecipe& recipe, std::uint64_t as_of) {
  const RunMeta& meta = run.meta();
  ScanSource source;
  source.name = meta.data.name.empty() ? meta.deletes.name : meta.data.name;
  source.rows = meta.data.rows + meta.deletes.rows;
  source.bytes = meta.data.bytes + meta.deletes.bytes;
  source.reason = WhySkipped(run, recipe.range.bounds, as_of);
  if (source.reason.empty() && recipe.range.Empty()) source.reason = "all keys outside the range";
  if (!source.reason.empty()) return source;
  VARVE_ASSIGN(const OpenRun open, run.Open());
  const OpenRun::Plan plan = open.Explain(recipe.read_columns, recipe.range.bounds,
                                          LeftOut(recipe.pruned, run));
  source.row_groups = plan.row_groups;
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
  VARVE_ASSIGN(ScanRecipe recipe, PrepareScan(table, options));
  if (recipe.filter) {
    VARVE_ASSIGN(recipe.pruned, PruneByValues(table, recipe.range.bounds, as_of.value,
                                              recipe.filter->bound()));
  }
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
    VARVE_ASSIGN(auto source, DescribeRun(*run, recipe, as_of.value));
    plan.sources.push_back(std::move(source));
  }
  if (table.own != nullptr) {
    plan.sources.push_back(DescribeMemtable(*table.own, "own writes", recipe.range));
  }
  return plan;
}

}  // namespace varve
