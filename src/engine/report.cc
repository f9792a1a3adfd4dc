// SPDX-License-Identifier: Apache-2.0
// What a caller may ask of the engine's state: statistics, versions.
#include <algorithm>
#include <iterator>
#include <map>

#include "engine/compactor.h"
#include "engine/engine.h"
#include "engine/lease.h"
#include "engine/memory.h"
#include "engine/reader.h"
#include "engine/past_view.h"
#include "run/read_cache.h"
#include "run/tail_cache.h"

namespace varve {
namespace {

LevelStats* LevelOf(TableStats* table, std::uint32_t level) {
  if (table->levels.size() <= level) table->levels.resize(level + 1);
  return &table->levels[level];
}

TableStats StatsOf(const TableView& view) {
  TableStats stats{.name = view.name, .id = view.id, .key = view.schema->key_names()};
  // Of each row that there is the newest version is an upsert, in memory or in a run that is not
  // hidden. What deletes take away is not known without looking for their keys: the row may never
  // have been there, or its upsert lie in a hidden run, which is not counted.
  const auto add = [&](const Memtable& memtable) {
    const std::uint64_t deletes = memtable.delete_rows();
    const std::uint64_t rows = memtable.rows();  // read last: commits go on
    stats.memtable_rows += rows;
    stats.memtable_bytes += memtable.bytes();
    stats.rows_estimate += rows - std::min(rows, deletes);
  };
  add(*view.active);
  for (const auto& memtable : view.sealed) add(*memtable);
  for (const auto& run : view.runs) {
    const RunMeta& meta = run->meta();
    LevelStats* level = meta.hidden_from == 0 ? LevelOf(&stats, meta.level) : &stats.history;
    ++level->runs;
    level->bytes += meta.data.bytes + meta.deletes.bytes;
    level->rows += meta.data.rows + meta.deletes.rows;
    if (meta.hidden_from == 0) stats.rows_estimate += meta.data.rows;
  }
  return stats;
}

// Tags by the commit that they name.
class TagsByCommit {
 public:
  using Tags = std::map<std::string, TagState, std::less<>>;
  explicit TagsByCommit(const Tags& tags) {
    for (const auto& tag : tags) by_commit_[tag.second.commit].push_back(&tag);
  }
  // The names, each given once.
  std::vector<std::string> TakeAt(CommitNumber commit) {
    std::vector<std::string> names;
    const auto taken = by_commit_.extract(commit);
    if (!taken) return names;
    for (const auto* tag : taken.mapped()) names.push_back(tag->first);
    return names;
  }
  // The newest that is left and after `commit`.
  const TagState* NewestAfter(CommitNumber commit) const {
    if (by_commit_.empty() || by_commit_.rbegin()->first <= commit) return nullptr;
    return &by_commit_.rbegin()->second.front()->second;
  }

 private:
  std::map<CommitNumber, std::vector<const Tags::value_type*>> by_commit_;
};

}  // namespace

// Commits that asked for less than durable become visible when a later sync has covered them.
void Database::Impl::AdvanceVisible() {
  if (log_ == nullptr) return;
  MoveVisible(log_->positions().durable);
}

DatabaseStats Database::Impl::Stats() {
  AdvanceVisible();
  DatabaseStats stats;
  std::shared_ptr<const Superversion> view;
  if (reader_ != nullptr) {
    stats.log = reader_->LookAtLog();
    stats.writer = reader_->Writer();
  }
  if (log_ != nullptr) {
    stats.log = log_->stats();
    stats.recovery = log_->recovery();
  }
  if (archiver_ != nullptr) stats.archive = archiver_->status();
  {
    std::lock_guard lock(commit_mutex_);
    stats.commit = last_commit_;
    stats.memtable_bytes = MemtableBytes();
    stats.flushes = flushes_;
    stats.compactions = compactions_;
    stats.commit_stall_micros = room_.waited_micros;
    stats.commits_stalled = room_.waiting;
  }
  {
    std::lock_guard lock(view_mutex_);
    stats.visible = order_.visible();
    stats.durable = order_.DurableAt(stats.log.positions.durable);
    view = view_;
  }
  const Pressure::Stats pressure = compactor_->pressure();
  stats.pressure = pressure.reason;
  if (stats.pressure.empty() && room_.pace.slows()) {
    stats.pressure = "memtables would be full before the flush that is under way ends";
  }
  stats.commit_slowed_micros = pressure.slowed_micros + room_.pace.slowed_micros();
  stats.commit_stopped_micros = pressure.stopped_micros;
  stats.background_io = compactor_->io().stats();
  stats.memory = StatsOf(*memory());
  const ReadCache::Stats cache = caches_.pieces->stats();
  stats.read_cache = {.bytes = cache.bytes,
                      .bytes_max = *options_.read_cache_bytes_max,
                      .hits = cache.hits,
                      .misses = cache.misses};
  const TailCache::Stats tails = caches_.tails->stats();
  stats.tail_cache = {.bytes = tails.bytes,
                      .bytes_max = caches_.tails->bytes_max(),
                      .runs = tails.runs,
                      .hits = tails.hits,
                      .misses = tails.misses};
  stats.manifest_number = manifest_->state()->number;
  if (const auto leases = HeldLeases(environment_.files(), path_)) {
    for (const HeldLease& lease : *leases) {
      stats.readers.push_back({lease.holder, lease.number, lease.commit});
    }
  }
  for (const auto& [name, table] : view->tables) stats.tables.push_back(StatsOf(*table));
  return stats;
}

// Newest first: the commits in memory that can be read; then those that flushes left, and between
// them those that have tags.
std::vector<Version> Database::Impl::Versions(std::uint64_t limit) {
  AdvanceVisible();
  std::vector<Version> versions;
  std::shared_ptr<const ManifestState> flushed;
  {
    std::lock_guard lock(view_mutex_);
    const CommitNumber visible = order_.visible();
    flushed = flushed_;
    for (auto at = recent_.rbegin(); at != recent_.rend() && versions.size() < limit; ++at) {
      if (at->commit > visible) continue;
      versions.push_back({.commit = at->commit, .time = at->time, .flushed = false});
    }
  }
  const auto totals = [](const VersionPoint& point, CommitNumber commit, WallTime time) {
    return Version{.commit = commit,
                   .time = time,
                   .runs = point.runs,
                   .rows = point.rows,
                   .bytes = point.bytes,
                   .flushed = true};
  };
  const auto& points = flushed->versions;
  for (Version& version : versions) {
    if (points.empty()) break;
    version = totals(points.back(), version.commit, version.time);
    version.flushed = false;
  }
  TagsByCommit tags(flushed->tags);
  for (Version& version : versions) version.tags = tags.TakeAt(version.commit);
  for (auto at = points.rbegin(); at != points.rend() && versions.size() < limit; ++at) {
    versions.push_back(totals(*at, at->commit, at->time));
    versions.back().tags = tags.TakeAt(at->commit);
    // The runs of this flush are the first that hold what was tagged before it.
    const auto before = std::next(at) == points.rend() ? CommitNumber{} : std::next(at)->commit;
    while (const auto tag = tags.NewestAfter(before)) {
      if (versions.size() == limit) break;
      versions.push_back(totals(*at, tag->commit, tag->commit_time));
      versions.back().tags = tags.TakeAt(tag->commit);
    }
  }
  return versions;
}

}  // namespace varve
