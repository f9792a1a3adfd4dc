// SPDX-License-Identifier: Apache-2.0
// ShownRuns: the runs of all tables, by id, and as lists for views.
//
// After a change of a table's columns its older runs are shown under the new ones. What that takes
// is worked out when a view first asks for a run, and kept for the views to come: they are made
// under a lock that commits need.
//
// Not thread-safe: the engine guards it with its commit_mutex. The runs themselves are immutable.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/check.h"
#include "columns/table_schema.h"
#include "manifest/manifest.h"
#include "run/run.h"

namespace varve {

class ShownRuns {
 public:
  void Add(std::shared_ptr<const Run> run) {
    const std::uint64_t id = run->meta().id;
    runs_[id] = std::move(run);
  }

  // The manifest says something else of it now: its level, or which readers take it. Views that
  // were made before go on with it as it was.
  void Replace(const std::shared_ptr<const RunMeta>& meta) {
    const auto at = runs_.find(meta->id);
    VARVE_CHECK(at != runs_.end());
    if (&at->second->meta() == meta.get()) return;
    at->second = Run::With(at->second, meta);
  }

  // Gives what lives as long as anybody holds it.
  std::weak_ptr<const void> Remove(std::uint64_t id) {
    const auto at = runs_.find(id);
    VARVE_CHECK(at != runs_.end());
    auto lifetime = at->second->Lifetime();
    runs_.erase(at);
    return lifetime;
  }

  bool Has(std::uint64_t id) const { return runs_.contains(id); }

  // The run, which is there, with its rows under the columns that its table has now. The same
  // object as before when those are the same.
  const std::shared_ptr<const Run>& Shown(std::uint64_t id,
                                          const std::shared_ptr<const TableSchema>& schema) {
    const auto at = runs_.find(id);
    VARVE_CHECK(at != runs_.end());
    at->second = Run::Under(at->second, schema);
    return at->second;
  }

  // The runs of each table of the state, by its id. Those that have not changed since the last call
  // are shared with what it gave, some hundred at a time.
  std::map<std::uint32_t, RunList> Show(const ManifestState& state) {
    std::map<std::uint32_t, OfTable> tables;
    std::map<std::uint32_t, RunList> lists;
    const auto show = [&](const TableState& table) {
      const OfTable& last = tables_[table.id];
      OfTable& now = tables[table.id];
      now.schema = table.schema;
      for (std::size_t i = 0; i < table.runs.chunks(); ++i) {
        const auto metas = table.runs.chunk(i);
        const auto known = last.chunks.find(metas);
        const bool same = known != last.chunks.end() && last.schema == table.schema;
        const auto shown = same ? known->second : ShowChunk(metas->values, table.schema);
        now.chunks.emplace(metas, shown);
        lists[table.id].Append(shown);
      }
    };
    for (const auto& [name, table] : state.tables) show(*table);
    for (const auto& [id, table] : state.dropped) show(*table);
    tables_ = std::move(tables);
    return lists;
  }

 private:
  struct OfTable {
    std::shared_ptr<const TableSchema> schema;
    std::unordered_map<RunMetaList::ChunkPtr, RunList::ChunkPtr> chunks;
  };
  RunList::ChunkPtr ShowChunk(const std::vector<std::shared_ptr<const RunMeta>>& metas,
                              const std::shared_ptr<const TableSchema>& schema) {
    const auto chunk = std::make_shared<RunList::Chunk>();
    chunk->shared = true;
    chunk->values.reserve(metas.size());
    for (const auto& meta : metas) chunk->values.push_back(Shown(meta->id, schema));
    return chunk;
  }

  std::map<std::uint64_t, std::shared_ptr<const Run>> runs_;  // each as it was shown last
  std::map<std::uint32_t, OfTable> tables_;                   // as they were shown last
};

}  // namespace varve
