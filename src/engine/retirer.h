// SPDX-License-Identifier: Apache-2.0
// Retirer: lets go of what nobody can ask for any more, after flushes and compactions and by hand.
//
// First the manifest lets go, by one edit; then the objects go, each once no snapshot of this
// process holds its run. A crash in between leaves orphans, which the next open removes.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "upkeep/retire.h"

namespace varve {

class Database::Impl::Retirer {
 public:
  explicit Retirer(Impl* database) : database_(*database) {}

  Result<RetireInfo> Retire(const RetireOptions& options);
  // What is due by the database's own window; a failure is traced. Requires flush_mutex_.
  void RetireIfDue();

 private:
  struct Waiting {
    std::weak_ptr<const void> run;  // whoever holds it may read its objects
    std::vector<std::string> objects;
    std::uint64_t bytes = 0;
  };

  // These require flush_mutex_.
  Result<RetirePlan> Plan(std::int64_t keep_micros) const;
  Status Publish(const RetirePlan& plan);
  void RemoveWaiting();
  Status RemoveOldManifests(std::uint64_t number);
  void RemoveObject(const std::string& name);

  Impl& database_;
  std::deque<Waiting> waiting_;         // guarded by flush_mutex_
  std::uint64_t manifest_cleaned_ = 0;  // at this number; guarded by flush_mutex_
};

}  // namespace varve
