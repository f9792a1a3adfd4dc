// SPDX-License-Identifier: Apache-2.0
#include "view/aggregate.h"

#include <arrow/api.h>
#include <arrow/compute/api.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "columns/arrow_errors.h"
#include "columns/arrow_init.h"
#include "run/open_run.h"
#include "view/apart.h"
#include "view/caret.h"
#include "view/expiring.h"
#include "view/scan.h"
#include "view/scan_plan.h"
#include "view/value_pruning.h"

namespace varve {

std::shared_ptr<arrow::DataType> PlainType(const std::shared_ptr<arrow::DataType>& type) {
  switch (type->id()) {
    case arrow::Type::DICTIONARY:
      return PlainType(static_cast<const arrow::DictionaryType&>(*type).value_type());
    case arrow::Type::EXTENSION:
      return PlainType(static_cast<const arrow::ExtensionType&>(*type).storage_type());
    case arrow::Type::HALF_FLOAT:
      return arrow::float32();
    case arrow::Type::STRING_VIEW:
      return arrow::utf8();
    case arrow::Type::BINARY_VIEW:
      return arrow::binary();
    default:
      return type;
  }
}

namespace {

// The least key above `key`.
std::string After(std::string key) { return key + '\0'; }

// An error of the memtable's cursor cannot be: it has no I/O. If it were one, the run is scanned.
bool HasKeyWithin(const Memtable& memtable, const KeyBounds& bounds) {
  if (memtable.rows() == 0) return false;
  const auto cursor = memtable.NewCursor({}, bounds);
  return !cursor->Next() || cursor->valid();
}

// As far as the other runs let it, which lie apart from it.
bool AnswersForItself(const Run& run, const TableView& table, const KeyBounds& bounds,
                      std::uint64_t as_of) {
  const RunMeta& meta = run.meta();
  if (meta.max_commit > as_of || meta.deletes.rows > 0 || !meta.distinct_keys) return false;
  if (!bounds.Contains(meta.min_key) || !bounds.Contains(meta.max_key)) return false;
  const KeyBounds own{meta.min_key, After(meta.max_key)};
  const auto is_apart = [&](const Memtable& memtable) { return !HasKeyWithin(memtable, own); };
  if (table.active != nullptr && !is_apart(*table.active)) return false;
  if (table.own != nullptr && !is_apart(*table.own)) return false;
  return std::ranges::all_of(table.sealed, [&](const auto& sealed) { return is_apart(*sealed); });
}

// Those of the runs that `as_of` looks at between whose first and last key no other has one.
std::vector<const Run*> RunsApart(const TableView& table, std::uint64_t as_of) {
  std::vector<const Run*> runs;
  std::vector<KeySpan> spans;
  for (const auto& run : table.runs) {
    if (!run->meta().IsShownAt(as_of)) continue;
    runs.push_back(run.get());
    spans.push_back({run->meta().min_key, run->meta().max_key});
  }
  const std::vector<bool> apart = WhichLieApart(spans);
  std::vector<const Run*> found;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    if (apart[i]) found.push_back(runs[i]);
  }
  return found;
}

// What metadata answers, and what is left to scan.
struct Division {
  std::vector<const Run*> answered;  // ascending by key
  std::vector<KeyBounds> left;
};

// Whether a run's metadata say all; asked of those alone that answer for themselves.
using CanAnswer = std::function<Result<bool>(const Run&)>;

Result<Division> Divide(const TableView& table, const KeyBounds& bounds, std::uint64_t as_of,
                const CanAnswer& can_answer) {
  Division division;
  for (const Run* run : RunsApart(table, as_of)) {
    if (!AnswersForItself(*run, table, bounds, as_of)) continue;
    VARVE_ASSIGN(const bool answers, can_answer(*run));
    if (answers) division.answered.push_back(run);
  }
  std::ranges::sort(division.answered, {}, [](const Run* run) { return run->meta().min_key; });
  std::string lower = bounds.lower;
  for (const Run* run : division.answered) {
    if (lower < run->meta().min_key) division.left.push_back({lower, run->meta().min_key});
    lower = After(run->meta().max_key);
  }
  if (!bounds.upper || lower < *bounds.upper) division.left.push_back({lower, bounds.upper});
  return division;
}

Status CheckOptions(const ScanOptions& options) {
  if (!options.columns && !options.reverse) return {};
  return Fail(ErrorKind::kInvalid,
              "columns and reverse say nothing to a count, minimum or maximum: leave them out");
}

using EachBatch = std::function<Status(const arrow::RecordBatch&)>;

Status ScanWithin(const std::shared_ptr<const Superversion>& owner, const TableView& table,
                  CommitNumber as_of, const ScanOptions& options,
                  const std::vector<KeyBounds>& parts, const EachBatch& each) {
  for (const KeyBounds& bounds : parts) {
    VARVE_ASSIGN(const auto reader, NewScanWithin(owner, table, as_of, options, bounds));
    while (true) {
      std::shared_ptr<arrow::RecordBatch> batch;
      VARVE_TRY(FromArrow(reader->ReadNext(&batch)));
      if (batch == nullptr) break;
      VARVE_TRY(each(*batch));
    }
  }
  return {};
}

bool IsNan(const arrow::Scalar& value) {
  if (value.type->id() == arrow::Type::DOUBLE) {
    return std::isnan(static_cast<const arrow::DoubleScalar&>(value).value);
  }
  return value.type->id() == arrow::Type::FLOAT &&
         std::isnan(static_cast<const arrow::FloatScalar&>(value).value);
}

// The extremes of what it was given.
class Extremes {
 public:
  // Invalid when values of this type are not ordered.
  Status Add(const std::shared_ptr<arrow::Array>& values) {
    arrow::Datum plain = values->type_id() == arrow::Type::EXTENSION
                             ? static_cast<const arrow::ExtensionArray&>(*values).storage()
                             : values;
    const auto type = PlainType(values->type());
    if (!plain.type()->Equals(*type)) {
      VARVE_ASSIGN(plain, FromArrow(arrow::compute::Cast(plain, type)));
    }
    const auto found = arrow::compute::MinMax(plain);
    if (!found.ok()) {
      return Fail(ErrorKind::kInvalid, "values of type " + values->type()->ToString() +
                                           " have no least and no greatest (" +
                                           found.status().message() + ")");
    }
    const auto& both = found->scalar_as<arrow::StructScalar>();
    return both.value[0]->is_valid ? AddRange(both.value[0], both.value[1]) : Status();
  }

  Status AddRange(const std::shared_ptr<arrow::Scalar>& min,
                  const std::shared_ptr<arrow::Scalar>& max) {
    if (min_ == nullptr || IsNan(*min_)) {
      min_ = min;
      max_ = max;
      return {};
    }
    if (IsNan(*min)) return {};
    VARVE_ASSIGN(const bool less, IsLess(min, min_));
    if (less) min_ = min;
    VARVE_ASSIGN(const bool greater, IsLess(max_, max));
    if (greater) max_ = max;
    return {};
  }

  std::shared_ptr<arrow::Scalar> min() const { return min_; }
  std::shared_ptr<arrow::Scalar> max() const { return max_; }

 private:
  static Result<bool> IsLess(const std::shared_ptr<arrow::Scalar>& a,
                             const std::shared_ptr<arrow::Scalar>& b) {
    VARVE_ASSIGN(const auto less, FromArrow(arrow::compute::CallFunction("less", {a, b})));
    return less.scalar_as<arrow::BooleanScalar>().value;
  }

  std::shared_ptr<arrow::Scalar> min_;
  std::shared_ptr<arrow::Scalar> max_;
};

// Adds the extremes of a run's column, if its metadata say those of every row group.
Result<bool> AddAllOf(const Run& run, int column, Extremes* extremes) {
  VARVE_ASSIGN(const OpenRun open, run.Open());
  std::vector<OpenRun::ValueRange> ranges;
  for (std::size_t group = 0; group < open.row_group_keys().size(); ++group) {
    auto range = open.ValuesOf(static_cast<int>(group), column);
    if (!range) return false;
    if (range->min != nullptr) ranges.push_back(*std::move(range));
  }
  for (const auto& range : ranges) VARVE_TRY(extremes->AddRange(range.min, range.max));
  return true;
}

}  // namespace

Result<RowCount> CountRows(const std::shared_ptr<const Superversion>& owner, const TableView& table,
                           CommitNumber as_of, const ScanOptions& options) {
  VARVE_TRY(CheckOptions(options));
  ScanOptions scan = options;
  scan.columns.emplace();
  scan.unordered = !options.limit;
  VARVE_ASSIGN(const ScanRecipe recipe, PrepareScan(table, scan));
  if (recipe.range.Empty()) return RowCount{};
  const bool by_metadata = options.filter == nullptr && !options.limit;
  const auto can_count = [&](const Run& run) -> Result<bool> {
    if (!by_metadata) return false;
    return NoneHaveExpired(run, table);
  };
  VARVE_ASSIGN(const auto division, Divide(table, recipe.range.bounds, as_of.value, can_count));
  RowCount count;
  for (const Run* run : division.answered) count.rows += run->meta().data.rows;
  VARVE_TRY(ScanWithin(owner, table, as_of, scan, division.left,
                       [&](const arrow::RecordBatch& batch) -> Status {
                         const auto rows = static_cast<std::uint64_t>(batch.num_rows());
                         count.rows += rows;
                         count.rows_scanned += rows;
                         return {};
                       }));
  return count;
}

Result<ValueRange> FindMinMax(const std::shared_ptr<const Superversion>& owner,
                              const TableView& table, CommitNumber as_of, std::string_view column,
                              const ScanOptions& options) {
  VARVE_TRY(CheckOptions(options));
  if (options.limit) {
    return Fail(ErrorKind::kInvalid, "a limit says nothing to a minimum or maximum: leave it out");
  }
  InitializeArrow();
  ScanOptions scan = options;
  scan.columns = {std::string(column)};
  scan.unordered = true;
  VARVE_ASSIGN(const ScanRecipe recipe, PrepareScan(table, scan));
  const int index = recipe.read_columns.front();
  const auto& type = recipe.output->field(0)->type();
  Extremes extremes;
  VARVE_ASSIGN(const auto none, FromArrow(arrow::MakeEmptyArray(type)));
  VARVE_TRY(extremes.Add(none));
  ValueRange range;
  if (recipe.range.Empty()) return range;
  const bool by_metadata = options.filter == nullptr && HasUsableStatistics(*type);
  const auto add_all = [&](const Run& run) -> Result<bool> {
    if (!by_metadata) return false;
    VARVE_ASSIGN(const bool whole, NoneHaveExpired(run, table));
    return whole ? AddAllOf(run, index, &extremes) : Result<bool>(false);
  };
  VARVE_ASSIGN(const auto division, Divide(table, recipe.range.bounds, as_of.value, add_all));
  VARVE_TRY(ScanWithin(owner, table, as_of, scan, division.left,
                       [&](const arrow::RecordBatch& batch) -> Status {
                         range.rows_scanned += static_cast<std::uint64_t>(batch.num_rows());
                         return extremes.Add(batch.column(0));
                       }));
  range.min = extremes.min();
  range.max = extremes.max();
  return range;
}

}  // namespace varve
