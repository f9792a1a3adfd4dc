// SPDX-License-Identifier: Apache-2.0
#include "engine/past_view.h"

#include <map>
#include <utility>

#include "base/check.h"

namespace varve {
namespace {

// No memtable: every row there is of a commit after the last change of any table, since a change
// flushes what came before it. Nor a run that only later readers take: its columns may be later
// ones.
std::shared_ptr<const TableView> PastTable(const TableView& now, const TableState& state,
                                           CommitNumber commit) {
  FormerShape shape = state.ShapeAt(commit);
  auto past = std::make_shared<TableView>();
  past->id = state.id;
  past->name = std::move(shape.name);
  past->schema_id = shape.schema_id;
  past->oldest = now.oldest;
  past->schema = state.FindSchema(shape.schema_id);
  for (const auto& run : now.runs) {
    const RunMeta& meta = run->meta();
    if (meta.min_commit > commit.value || meta.shown_from > commit.value) continue;
    past->runs.push_back(Run::Under(run, past->schema));
  }
  return past;
}

}  // namespace

std::shared_ptr<const Superversion> PastView(const std::shared_ptr<const Superversion>& view,
                                             const ManifestState& state, CommitNumber commit) {
  VARVE_CHECK(commit < state.changed);
  // By id, which is by age. Of several tables that claim a name the oldest had it: the others were
  // made when it was free again.
  std::map<std::uint32_t, std::pair<const TableView*, const TableState*>> tables;
  for (const auto& [name, table] : state.tables) {
    tables[table->id] = {view->tables.at(name).get(), table.get()};
  }
  for (const auto& [id, table] : state.dropped)
    tables[id] = {view->dropped.at(id).get(), table.get()};
  auto past = std::make_shared<Superversion>();
  past->executor = view->executor;
  past->clock = view->clock;
  past->telemetry = view->telemetry;
  past->origin = view;
  for (const auto& [id, table] : tables) {
    const auto& [now, table_state] = table;
    if (!table_state->IsThereAt(commit)) continue;
    auto then = PastTable(*now, *table_state, commit);
    past->expires = past->expires || then->schema->lifetime();
    past->tables.try_emplace(then->name, then);
  }
  return past;
}

}  // namespace varve
