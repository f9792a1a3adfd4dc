// SPDX-License-Identifier: Apache-2.0
#include "view/value_pruning.h"

#include <arrow/api.h>

#include <algorithm>
#include <optional>
#include <set>
#include <string>

#include "base/result.h"
#include "run/open_run.h"
#include "view/scan_plan.h"

namespace varve {
namespace {

namespace cp = arrow::compute;

bool Overlap(const RunMeta& a, const RunMeta& b) {
  return a.min_key <= b.max_key && b.min_key <= a.max_key;
}

// Whether no other source that `as_of` sees can hold an older version of a row of this run.
bool HoldsTheOldest(const Run& run, const TableView& table, std::uint64_t as_of) {
  const RunMeta& meta = run.meta();
  if (!meta.distinct_keys) return false;
  const auto newer = [&](const Memtable& memtable) {
    return memtable.rows() == 0 || memtable.min_commit() > meta.max_commit;
  };
  if (table.active != nullptr && !newer(*table.active)) return false;
  for (const auto& sealed : table.sealed) {
    if (!newer(*sealed)) return false;
  }
  return std::ranges::all_of(table.runs, [&](const auto& other) {
    return other.get() == &run || other->meta().min_commit > meta.max_commit ||
           !other->meta().IsShownAt(as_of) || !Overlap(other->meta(), meta);
  });
}

}  // namespace

bool HasUsableStatistics(const arrow::DataType& type) {
  switch (type.id()) {
    case arrow::Type::BOOL:
    case arrow::Type::INT8:
    case arrow::Type::INT16:
    case arrow::Type::INT32:
    case arrow::Type::INT64:
    case arrow::Type::UINT8:
    case arrow::Type::UINT16:
    case arrow::Type::UINT32:
    case arrow::Type::UINT64:
    case arrow::Type::DATE32:
    case arrow::Type::TIME32:
    case arrow::Type::TIME64:
    case arrow::Type::TIMESTAMP:
    case arrow::Type::STRING:
    case arrow::Type::BINARY: return true;
    default: return false;
  }
}

namespace {

// What is true of every row of a group, as far as it is known, as an expression for Arrow.
std::optional<cp::Expression> TruthOf(const OpenRun& run, int group, const std::set<int>& columns,
                                      const arrow::Schema& schema) {
  std::vector<cp::Expression> truths;
  for (const int column : columns) {
    const auto range = run.ValuesOf(group, column);
    if (!range) continue;
    const auto field = cp::field_ref(schema.field(column)->name());
    if (range->min == nullptr) {
      truths.push_back(cp::is_null(field));
      continue;
    }
    // Of one value Arrow draws more conclusions than of bounds that are equal.
    auto between = range->min->Equals(*range->max)
                       ? cp::equal(field, cp::literal(range->min))
                       : cp::and_(cp::greater_equal(field, cp::literal(range->min)),
                                  cp::less_equal(field, cp::literal(range->max)));
    truths.push_back(range->has_nulls ? cp::or_(std::move(between), cp::is_null(field))
                                      : std::move(between));
  }
  if (truths.empty()) return std::nullopt;
  auto bound = cp::and_(std::move(truths)).Bind(schema);
  return bound.ok() ? std::optional(*std::move(bound)) : std::nullopt;
}

bool CanAccept(const cp::Expression& filter, const cp::Expression& truth) {
  const auto simplified = cp::SimplifyWithGuarantee(filter, truth);
  return !simplified.ok() || simplified->IsSatisfiable();
}

}  // namespace

Result<PrunedGroups> PruneByValues(const TableView& table, const KeyBounds& bounds,
                                   std::uint64_t as_of, const cp::Expression& filter) {
  const arrow::Schema& schema = *table.schema->schema();
  std::set<int> columns;
  for (const arrow::FieldRef& ref : cp::FieldsInExpression(filter)) {
    const auto path = ref.FindOne(schema);
    if (!path.ok() || path->indices().size() != 1) continue;  // a field of a struct
    const int column = path->indices().front();
    if (HasUsableStatistics(*schema.field(column)->type())) columns.insert(column);
  }
  PrunedGroups pruned;
  for (const auto& run : table.runs) {
    if (columns.empty() || SkipOf(*run, bounds, as_of) != Skip::kNo) continue;
    if (!HoldsTheOldest(*run, table, as_of)) continue;
    VARVE_ASSIGN(const OpenRun open, run->Open());
    std::vector<bool> left_out(open.row_group_keys().size());
    for (std::size_t group = 0; group < left_out.size(); ++group) {
      const auto truth = TruthOf(open, static_cast<int>(group), columns, schema);
      left_out[group] = truth && !CanAccept(filter, *truth);
    }
    if (std::ranges::find(left_out, true) != left_out.end()) pruned[run.get()] = left_out;
  }
  return pruned;
}

}  // namespace varve
