// SPDX-License-Identifier: Apache-2.0
// ShownRuns: the open runs of all tables, by id.
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
#include <utility>

#include "base/check.h"
#include "columns/table_schema.h"
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
  void Replace(const RunMeta& meta) {
    const auto at = runs_.find(meta.id);
    VARVE_CHECK(at != runs_.end());
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

 private:
  std::map<std::uint64_t, std::shared_ptr<const Run>> runs_;  // each as it was shown last
};

}  // namespace varve
