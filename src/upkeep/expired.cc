// SPDX-License-Identifier: Apache-2.0
#include "upkeep/expired.h"

#include <arrow/api.h>

#include <algorithm>
#include <vector>

#include "base/result.h"
#include "run/open_run.h"

namespace varve {
namespace {

constexpr std::size_t kDroppedAtOnceMax = 64;

// Of a date64 files say days in 32 bits; such runs are compacted with the others.
bool HasTimes(const arrow::DataType& type) { return type.id() != arrow::Type::DATE64; }

// Null: not known, or of another schema, under which rows expire by something else.
const RunTimes* TimesOf(const RunMeta& run, const KnownTimes& times) {
  if (run.hidden_from != 0) return nullptr;
  const auto at = times.runs.find(run.id);
  const bool known = at != times.runs.end() && at->second.schema_id == times.schema_id;
  return known ? &at->second : nullptr;
}

bool HasExpired(const RunMeta& run, const KnownTimes& times, const Expiry& expiry) {
  const RunTimes* const of = TimesOf(run, times);
  return of != nullptr && of->last && *of->last < expiry.alive_from();
}

// Whether some reader takes `other` where `gone` is not any more, and finds an older version of one
// of its keys there.
bool MayUncover(const RunMeta& gone, const RunMeta& other, std::uint64_t altered) {
  const std::uint64_t from = std::max({altered, gone.max_commit, gone.shown_from});
  const bool is_beside = other.hidden_from == 0 || other.hidden_from > from;
  return is_beside && other.id != gone.id && other.min_commit < gone.max_commit &&
         other.min_key <= gone.max_key && gone.min_key <= other.max_key;
}

}  // namespace

Result<RunTimes> ReadRunTimes(const Run& run, const TableSchema& schema, std::uint32_t schema_id) {
  RunTimes times{.schema_id = schema_id};
  const int column = schema.FindColumn(schema.lifetime()->column);
  if (run.meta().data.rows == 0 || !HasTimes(*schema.schema()->field(column)->type())) return times;
  VARVE_ASSIGN(const OpenRun open, run.Open());
  bool lives = false;  // some row does for ever, as far as is known
  for (std::size_t group = 0; group < open.row_group_keys().size(); ++group) {
    const auto range = open.ValuesOf(static_cast<int>(group), column);
    lives = lives || !range || range->has_nulls || range->min == nullptr;
    if (!range || range->min == nullptr) continue;
    const std::int64_t first = TimeValue(*range->min), last = TimeValue(*range->max);
    times.first = std::min(times.first.value_or(first), first);
    times.last = std::max(times.last.value_or(last), last);
  }
  if (lives) times.last.reset();
  return times;
}

// What is below is no harm when it goes at the same time. When it only has expired it is: it would
// be seen if the time to live became longer before it goes.
std::optional<CompactionPlan> PlanExpired(const RunMetaList& runs, const KnownTimes& times,
                                          const Expiry& expiry, std::uint64_t altered) {
  RunMetas expired, others;
  for (const auto& run : runs) {
    const bool has = HasExpired(*run, times, expiry) && expired.size() < kDroppedAtOnceMax;
    (has ? expired : others).push_back(run);
  }
  if (expired.empty()) return std::nullopt;
  CompactionPlan plan{.inputs = expired, .level = expired.front()->level, .only_drop = true};
  const auto uncovers = [&](const auto& run) {
    return std::ranges::any_of(
        others, [&](const auto& other) { return MayUncover(*run, *other, altered); });
  };
  for (auto stays = std::ranges::find_if(plan.inputs, uncovers); stays != plan.inputs.end();
       stays = std::ranges::find_if(plan.inputs, uncovers)) {
    others.push_back(*stays);  // and so do those that are over it
    plan.inputs.erase(stays);
  }
  if (!plan.inputs.empty()) return plan;
  return CompactionPlan{.inputs = {expired.front()}, .level = expired.front()->level};
}

std::optional<CompactionPlan> PlanPartlyExpired(const RunMetaList& runs, const KnownTimes& times,
                                                const Expiry& expiry) {
  for (const auto& run : runs) {
    const RunTimes* const of = TimesOf(*run, times);
    if (of == nullptr || !of->first || *of->first >= expiry.alive_from()) continue;
    return CompactionPlan{.inputs = {run}, .level = run->level};
  }
  return std::nullopt;
}

}  // namespace varve
