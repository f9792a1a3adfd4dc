// SPDX-License-Identifier: Apache-2.0
// Expirer: knows when the runs of tables with a time to live have nothing more to show, so that
// compaction drops them, without a write and without reading them (docs/design/0023). What it knows
// is read once of each run's footer, by the tasks that compact.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>

#include "engine/compactor.h"
#include "upkeep/expired.h"

namespace varve {

class Database::Impl::Compactor::Expirer {
 public:
  Expirer(Impl* database, Compactor* compactor) : database_(*database), compactor_(*compactor) {}

  // The moment up to which compaction may take rows for expired. Nothing while the clock is before
  // the newest commit: it went back, or did when that was made, and what is dropped stays gone.
  std::optional<WallTime> Now(const ManifestState& state) const;
  std::optional<Expiry> ExpiryOf(const ManifestState& state, const TableState& table) const;

  // Whether there are runs that it does not know yet, or did not set a time for to be let go of.
  bool Lacks() const;
  // Reads the footers of some of these; and has the compactor look again when the next run expires,
  // or what was dropped is no version any more that can be asked for.
  void Learn();
  // What is to be done for rows of this table that have expired; no I/O.
  std::optional<CompactionPlan> Next(const ManifestState& state, const TableState& table) const;
  // By that moment, or by now where the clock went back since: what is left then is left now, too.
  std::optional<CompactionPlan> NextPartly(const ManifestState& state, const TableState& table,
                                           WallTime by) const;
  // Lets go of runs that nobody is shown any more, once the window of versions is over; and at once
  // after some were dropped, when their compaction holds them no more.
  void RetireIfTime();
  void NoteDropped();

 private:
  struct Known {
    TimesOfRuns runs;
    std::optional<WallTime> due;  // when the next of these has expired
  };
  bool Knows(const TableState& table, const RunMeta& run) const;  // requires mutex_
  void Read(const TableState& table, std::size_t* left);
  void WakeAt(WallTime when);

  Impl& database_;
  Compactor& compactor_;
  mutable std::mutex mutex_;               // after all others; no I/O
  std::map<std::uint32_t, Known> tables_;  // by id; guarded by mutex_
  std::optional<WallTime> retire_at_;      // guarded by mutex_
  std::optional<WallTime> wakes_at_;       // guarded by mutex_
};

}  // namespace varve
