// SPDX-License-Identifier: Apache-2.0
#include "engine/expirer.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/executor.h"
#include "base/out_of_memory.h"
#include "engine/link.h"
#include "engine/retirer.h"

namespace varve {
namespace {

constexpr std::size_t kFootersAtOnce = 256;
constexpr std::int64_t kWakeMicrosMin = 1'000'000;       // runs that expire one by one go together
constexpr std::int64_t kRetireMicrosMin = 60'000'000;    // between looks at what tags keep
constexpr std::int64_t kWakeMicrosMax = 86'400'000'000;  // then it looks, and waits on

// For what was dropped, by this process or an earlier one.
bool HasHiddenRuns(const TableState& table) {
  return std::ranges::any_of(table.runs, [](const auto& run) { return run->hidden_from != 0; });
}

void KeepEarliest(WallTime when, std::optional<WallTime>* earliest) {
  *earliest = std::min(earliest->value_or(when), when);
}

}  // namespace

std::optional<WallTime> Database::Impl::Compactor::Expirer::Now(const ManifestState& state) const {
  const WallTime now = database_.environment_.clock()->Now();
  WallTime newest = state.commit_time;
  {
    std::lock_guard lock(database_.view_mutex_);
    if (!database_.recent_.empty()) newest = std::max(newest, database_.recent_.back().time);
  }
  return now < newest ? std::nullopt : std::optional(now);
}

std::optional<Expiry> Database::Impl::Compactor::Expirer::ExpiryOf(const ManifestState& state,
                                                                   const TableState& table) const {
  if (!table.schema->lifetime()) return std::nullopt;
  const auto now = Now(state);
  return now ? Expiry::At(*table.schema, *now) : std::nullopt;
}

bool Database::Impl::Compactor::Expirer::Knows(const TableState& table, const RunMeta& run) const {
  if (run.hidden_from != 0) return true;  // it goes by itself
  const auto of = tables_.find(table.id);
  if (of == tables_.end()) return false;
  const auto at = of->second.runs.find(run.id);
  return at != of->second.runs.end() && at->second.schema_id == table.schema_id;
}

bool Database::Impl::Compactor::Expirer::Lacks() const {
  const auto state = database_.manifest_->state();
  std::lock_guard lock(mutex_);
  return std::ranges::any_of(state->tables, [&](const auto& at) {
    const TableState& table = *at.second;
    if (!table.schema->lifetime()) return false;
    if (!retire_at_ && HasHiddenRuns(table)) return true;
    return std::ranges::any_of(table.runs, [&](const auto& run) { return !Knows(table, *run); });
  });
}

// Of what cannot be read nothing is known: it goes with what it is merged with.
void Database::Impl::Compactor::Expirer::Read(const TableState& table, std::size_t* left) {
  std::vector<std::shared_ptr<const Run>> runs;
  {
    std::lock_guard lock(database_.commit_mutex_);
    const TableState* const now = database_.official_->FindTable(table.id);
    if (now == nullptr || now->schema != table.schema) return;
    std::lock_guard known(mutex_);
    for (const auto& run : table.runs) {
      if (*left == 0) break;
      if (Knows(table, *run) || !database_.runs_.Has(run->id)) continue;
      runs.push_back(database_.runs_.Shown(run->id, table.schema));
      --*left;
    }
  }
  for (const auto& run : runs) {
    auto times = ReadRunTimes(*run, *table.schema, table.schema_id);
    std::lock_guard lock(mutex_);
    tables_[table.id].runs[run->meta().id] =
        times ? *times : RunTimes{.schema_id = table.schema_id};
  }
}

void Database::Impl::Compactor::Expirer::Learn() {
  const auto state = database_.manifest_->state();
  const WallTime now = database_.environment_.clock()->Now();
  const std::int64_t window = std::clamp(state->history_micros, kRetireMicrosMin, kWakeMicrosMax);
  std::size_t left = kFootersAtOnce;
  std::optional<WallTime> next;
  for (const auto& [name, table] : state->tables) {
    if (!table->schema->lifetime()) continue;
    Read(*table, &left);
    std::lock_guard lock(mutex_);
    if (!retire_at_ && HasHiddenRuns(*table)) retire_at_ = WallTime{now.micros + window};
    Known& known = tables_[table->id];
    known.due.reset();
    std::erase_if(known.runs, [&](const auto& at) {
      return table->FindRun(at.first) == table->runs.end();
    });
    for (const auto& run : table->runs) {
      const auto at = known.runs.find(run->id);
      if (!Knows(*table, *run) || run->hidden_from != 0 || !at->second.last) continue;
      if (const auto when = ExpiresAt(*table->schema, *at->second.last)) {
        KeepEarliest(*when, &known.due);
      }
    }
    if (known.due) KeepEarliest(*known.due, &next);
  }
  std::lock_guard lock(mutex_);
  std::erase_if(tables_, [&](const auto& at) { return state->FindTable(at.first) == nullptr; });
  if (retire_at_) KeepEarliest(*retire_at_, &next);
  if (next) WakeAt(*next);
}

std::optional<CompactionPlan> Database::Impl::Compactor::Expirer::Next(
    const ManifestState& state, const TableState& table) const {
  const auto expiry = ExpiryOf(state, table);
  if (!expiry) return std::nullopt;
  std::lock_guard lock(mutex_);
  const auto at = tables_.find(table.id);
  if (at == tables_.end() || !at->second.due) return std::nullopt;
  if (database_.environment_.clock()->Now() < *at->second.due) return std::nullopt;
  return PlanExpired(table.runs, {at->second.runs, table.schema_id}, *expiry,
                     table.altered().value);
}

std::optional<CompactionPlan> Database::Impl::Compactor::Expirer::NextPartly(
    const ManifestState& state, const TableState& table, WallTime by) const {
  const auto now = Now(state);
  if (!now) return std::nullopt;
  const auto expiry = Expiry::At(*table.schema, std::min(by, *now));
  if (!expiry) return std::nullopt;
  std::lock_guard lock(mutex_);
  const auto at = tables_.find(table.id);
  if (at == tables_.end()) return std::nullopt;
  return PlanPartlyExpired(table.runs, {at->second.runs, table.schema_id}, *expiry);
}

void Database::Impl::Compactor::Expirer::RetireIfTime() {
  {
    std::lock_guard lock(mutex_);
    if (!retire_at_ || database_.environment_.clock()->Now() < *retire_at_) return;
    retire_at_.reset();
  }
  std::lock_guard flush_lock(database_.flush_mutex_);
  if (database_.lock_ != nullptr) database_.retirer_->RetireIfDue();
}

void Database::Impl::Compactor::Expirer::NoteDropped() {
  const WallTime now = database_.environment_.clock()->Now();
  std::lock_guard lock(mutex_);
  retire_at_ = now;
}

// Requires mutex_. A timer's task is not taken back: one that comes too early finds nothing to do.
void Database::Impl::Compactor::Expirer::WakeAt(WallTime when) {
  if (wakes_at_ && *wakes_at_ <= when) return;
  const WallTime now = database_.environment_.clock()->Now();
  const std::int64_t micros =
      when <= now ? kWakeMicrosMin
                  : std::clamp(when.micros - now.micros, kWakeMicrosMin, kWakeMicrosMax);
  database_.environment_.executor()->SubmitAfter(micros, [link = database_.link_, this] {
    std::lock_guard lock(link->mutex);
    if (link->database == nullptr) return;
    {
      std::lock_guard own(mutex_);
      wakes_at_.reset();
    }
    (void)HadMemory([this] { compactor_.Schedule(); });
  });
  wakes_at_ = when;
}

}  // namespace varve
