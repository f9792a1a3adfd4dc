// SPDX-License-Identifier: Apache-2.0
#include "upkeep/retire.h"

#include <algorithm>

namespace varve {
namespace {

// From which commit on no reader takes the run; zero: all do.
CommitNumber EndOf(const TableState& table, const RunMeta& run) {
  const CommitNumber hidden{run.hidden_from};
  if (table.dropped == CommitNumber{}) return hidden;
  return hidden == CommitNumber{} ? table.dropped : std::min(hidden, table.dropped);
}

bool IsNeeded(const ManifestState& state, const TableState& table, const RunMeta& run,
              CommitNumber oldest) {
  const CommitNumber end = EndOf(table, run);
  if (end == CommitNumber{}) return true;
  if (end.value <= run.shown_from) return false;
  if (end > oldest) return true;
  const CommitNumber first{std::max(run.shown_from, run.min_commit)};  // that sees rows of it
  return std::ranges::any_of(state.tags, [&](const auto& tag) {
    return tag.second.commit >= first && tag.second.commit < end;
  });
}

}  // namespace

std::vector<std::string> ObjectsOf(const RunMeta& run) {
  std::vector<std::string> names;
  for (const auto* object : {&run.data, &run.deletes}) {
    if (!object->name.empty()) names.push_back(object->name);
  }
  return names;
}

CommitNumber OldestAt(const ManifestState& state, WallTime cutoff) {
  const auto& versions = state.versions;
  const auto at = std::ranges::find_if(versions.rbegin(), versions.rend(),
                                       [&](const auto& version) { return version.time <= cutoff; });
  return at == versions.rend() ? CommitNumber{} : at->commit;
}

RetirePlan PlanRetire(const ManifestState& state, CommitNumber oldest) {
  RetirePlan plan{.oldest = std::max(oldest, state.oldest)};
  const auto look = [&](const TableState& table) {
    for (const auto& run : table.runs) {
      if (IsNeeded(state, table, *run, plan.oldest)) continue;
      plan.runs.push_back(run);
      plan.bytes += run->data.bytes + run->deletes.bytes;
    }
  };
  for (const auto& [name, table] : state.tables) look(*table);
  for (const auto& [id, table] : state.dropped) look(*table);
  for (const VersionPoint& version : state.versions) {
    if (version.commit >= plan.oldest) break;
    ++plan.versions;
    if (!version.times) continue;
    plan.times.push_back(TimesName(version.commit));
    plan.bytes += version.times->bytes;
  }
  return plan;
}

std::vector<Edit> RetirePlan::Edits() const {
  std::vector<Edit> edits;
  for (const auto& run : runs) edits.push_back(RemoveRunEdit{run->table_id, run->id});
  edits.push_back(RetireEdit{oldest});
  return edits;
}

}  // namespace varve
