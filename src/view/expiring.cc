// SPDX-License-Identifier: Apache-2.0
#include "view/expiring.h"

#include <arrow/api.h>

#include <utility>

#include "base/clock.h"
#include "base/result.h"
#include "run/open_run.h"
#include "view/value_pruning.h"

namespace varve {

std::shared_ptr<const TableView> WithoutExpired(const std::shared_ptr<const TableView>& table,
                                                WallTime now) {
  if (!table->schema->lifetime()) return table;
  auto without = std::make_shared<TableView>(*table);
  without->expiry = Expiry::At(*table->schema, now);
  return without;
}

std::shared_ptr<const Superversion> WithoutExpired(std::shared_ptr<const Superversion> view) {
  if (!view->expires) return view;
  Clock* const clock = view->clock != nullptr ? view->clock : SystemClock();
  const WallTime now = clock->Now();
  auto without = std::make_shared<Superversion>(*view);
  without->origin = view;
  for (auto& [name, table] : without->tables) table = WithoutExpired(table, now);
  for (auto& [id, table] : without->dropped) table = WithoutExpired(table, now);
  return without;
}

std::optional<arrow::compute::Expression> AliveFilter(const TableView& table) {
  namespace cp = arrow::compute;
  if (!table.expiry) return std::nullopt;
  const auto& field = *table.schema->schema()->field(table.expiry->column());
  auto alive = cp::greater_equal(cp::field_ref(field.name()),
                                 cp::literal(table.expiry->AliveFrom()));
  if (!field.nullable()) return alive;
  return cp::or_(cp::is_null(cp::field_ref(field.name())), std::move(alive));
}

Result<bool> NoneHaveExpired(const Run& run, const TableView& table) {
  if (!table.expiry) return true;
  const int column = table.expiry->column();
  if (!HasUsableStatistics(*table.schema->schema()->field(column)->type())) return false;
  VARVE_ASSIGN(const OpenRun open, run.Open());
  for (std::size_t group = 0; group < open.row_group_keys().size(); ++group) {
    const auto range = open.ValuesOf(static_cast<int>(group), column);
    if (!range) return false;
    if (range->min != nullptr && TimeValue(*range->min) < table.expiry->alive_from()) return false;
  }
  return true;
}

}  // namespace varve
