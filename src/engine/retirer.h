// SPDX-License-Identifier: Apache-2.0
// Retirer: lets go of what nobody can ask for any more, after flushes and compactions and by hand.
//
// First the manifest lets go, by one edit; then the objects go, each once no snapshot of this
// process holds its run, and no lease of another one is older than that edit. A crash in between
// leaves orphans, which the next open removes.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "engine/lease.h"
#include "upkeep/retire.h"

namespace varve {

class Database::Impl::Retirer {
 public:
  explicit Retirer(Impl* database) : database_(*database) {}

  Result<RetireInfo> Retire(const RetireOptions& options);
  // While what it gives is held, no commit times are removed either, and so nothing that the
  // manifest of now names, if its runs are held too. Requires flush_mutex_.
  std::shared_ptr<const void> HoldTimes();
  // What is due by the database's own window; a failure is traced. Requires flush_mutex_.
  void RetireIfDue();
  // What the manifest does not name: a failed or cut-short flush left it, or it was let go of and
  // somebody still read it. Only after the log agreed with the manifest: were the newest manifest
  // lost, its runs would look like orphans.
  Status RemoveOrphans();

 private:
  struct Waiting {
    std::weak_ptr<const void> run;  // whoever holds it may read its objects
    std::vector<std::string> objects;
    std::uint64_t bytes = 0;
    std::uint64_t number = 0;  // of the manifest that let go of them
  };

  // These require flush_mutex_.
  using Leases = std::vector<HeldLease>;
  Leases LookAtLeases() const;
  Result<RetirePlan> Plan(std::int64_t keep_micros) const;
  RetirePlan WithoutLeased(const RetirePlan& plan) const;
  Status Publish(const RetirePlan& plan);
  void RemoveWaiting();
  Status RemoveOldManifests(std::uint64_t number);
  Status RemoveOrphanRuns(std::uint64_t number);
  Status RemoveOrphanTimes(std::uint64_t number);
  void RemoveObject(const std::string& name);

  Impl& database_;
  std::deque<Waiting> waiting_;         // guarded by flush_mutex_
  std::weak_ptr<const void> held_times_;  // guarded by flush_mutex_
  std::uint64_t manifest_cleaned_ = 0;  // at this number; guarded by flush_mutex_
};

}  // namespace varve
