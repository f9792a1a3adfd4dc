// SPDX-License-Identifier: Apache-2.0
// What a caller may ask of the engine's state: snapshots, statistics, versions.
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "base/result.h"
#include "engine/engine.h"
#include "engine/past_view.h"

namespace varve {
namespace {

std::string TimeText(WallTime time) {
  const std::chrono::sys_time<std::chrono::microseconds> point{
      std::chrono::microseconds(time.micros)};
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}Z", point);
}

LevelStats* LevelOf(TableStats* table, std::uint32_t level) {
  if (table->levels.size() <= level) table->levels.resize(level + 1);
  return &table->levels[level];
}

TableStats StatsOf(const TableView& view) {
  TableStats stats{.name = view.name, .id = view.id, .key = view.schema->key_names()};
  std::uint64_t upserts = 0;
  std::uint64_t deletes = 0;
  const auto add = [&](const Memtable& memtable) {
    stats.memtable_rows += memtable.rows();
    stats.memtable_bytes += memtable.bytes();
    upserts += memtable.rows() - memtable.delete_rows();
    deletes += memtable.delete_rows();
  };
  add(*view.active);
  for (const auto& memtable : view.sealed) add(*memtable);
  for (const auto& run : view.runs) {
    const RunMeta& meta = run->meta();
    LevelStats* level = LevelOf(&stats, meta.level);
    ++level->runs;
    level->bytes += meta.data.bytes + meta.deletes.bytes;
    level->rows += meta.data.rows + meta.deletes.rows;
    upserts += meta.data.rows;
    deletes += meta.deletes.rows;
  }
  stats.rows_estimate = upserts > deletes ? upserts - deletes : 0;
  return stats;
}

}  // namespace

// Commits that asked for less than durable become visible when a later sync has covered them.
void Database::Impl::AdvanceVisible() {
  if (log_ == nullptr) return;
  MoveVisible(log_->positions().durable);
}

Result<std::shared_ptr<Snapshot>> Database::Impl::GetSnapshot(const AsOf& as_of) {
  VARVE_TRY(CheckOpen());
  AdvanceVisible();
  CommitNumber visible;
  std::shared_ptr<const Superversion> view;
  std::shared_ptr<const ManifestState> state;
  {
    std::lock_guard lock(view_mutex_);
    visible = order_.visible();
    view = view_;
    state = flushed_;
  }
  VARVE_ASSIGN(const CommitNumber commit, Resolve(as_of, visible));
  if (commit < state->changed) view = PastView(*view, *state, commit);
  return std::make_shared<Snapshot>(std::move(view), commit);
}

Result<CommitNumber> Database::Impl::Resolve(const AsOf& as_of, CommitNumber visible) {
  if (const auto* commit = std::get_if<CommitNumber>(&as_of)) {
    if (*commit <= visible) return *commit;
    return Fail(ErrorKind::kNotFound,
                fmt::format("commit {} lies in the future: the newest visible commit of '{}' is {}",
                            commit->value, path_, visible.value));
  }
  const auto* time = std::get_if<WallTime>(&as_of);
  if (time == nullptr) return visible;
  const Version* oldest = nullptr;
  const std::vector<Version> versions = Versions(UINT64_MAX);
  for (const Version& version : versions) {
    if (version.commit > visible) continue;
    if (version.time <= *time) return version.commit;
    oldest = &version;
  }
  return Fail(ErrorKind::kNotFound,
              oldest == nullptr
                  ? fmt::format("'{}' has no commit yet", path_)
                  : fmt::format("'{}' has no version as old as {}: the oldest is commit {} of {}",
                                path_, TimeText(*time), oldest->commit.value,
                                TimeText(oldest->time)));
}

DatabaseStats Database::Impl::Stats() {
  AdvanceVisible();
  DatabaseStats stats;
  std::shared_ptr<const Superversion> view;
  if (log_ != nullptr) {
    stats.log = log_->stats();
    stats.recovery = log_->recovery();
  }
  {
    std::lock_guard lock(commit_mutex_);
    stats.commit = last_commit_;
    stats.memtable_bytes = active_->bytes();
    for (const auto& generation : sealed_) stats.memtable_bytes += generation->bytes();
    stats.flushes = flushes_;
    stats.commit_stall_micros = stall_micros_;
  }
  {
    std::lock_guard lock(view_mutex_);
    stats.visible = order_.visible();
    stats.durable = order_.DurableAt(stats.log.positions.durable);
    view = view_;
  }
  const ReadCache::Stats cache = read_cache_->stats();
  stats.read_cache = {.bytes = cache.bytes,
                      .bytes_max = options_.read_cache_bytes_max,
                      .hits = cache.hits,
                      .misses = cache.misses};
  stats.manifest_number = manifest_->state()->number;
  for (const auto& [name, table] : view->tables) stats.tables.push_back(StatsOf(*table));
  return stats;
}

// Newest first: the commits in memory, then those that flushes left.
std::vector<Version> Database::Impl::Versions(std::uint64_t limit) {
  std::vector<Version> versions;
  std::shared_ptr<const ManifestState> flushed;
  {
    std::lock_guard lock(view_mutex_);
    flushed = flushed_;
    for (auto at = recent_.rbegin(); at != recent_.rend() && versions.size() < limit; ++at) {
      versions.push_back({.commit = at->commit, .time = at->time, .flushed = false});
    }
  }
  const auto& points = flushed->versions;
  for (Version& version : versions) {
    if (points.empty()) break;
    version.runs = points.back().runs;
    version.rows = points.back().rows;
    version.bytes = points.back().bytes;
  }
  for (auto at = points.rbegin(); at != points.rend() && versions.size() < limit; ++at) {
    versions.push_back({.commit = at->commit,
                        .time = at->time,
                        .runs = at->runs,
                        .rows = at->rows,
                        .bytes = at->bytes,
                        .flushed = true});
  }
  return versions;
}

}  // namespace varve
