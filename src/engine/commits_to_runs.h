// SPDX-License-Identifier: Apache-2.0
// CommitsToRuns: makes runs of commits that are only in a log, into any store, with no database
// open: for a backup by a reader, a restore up to a point in time, and a repair.
//
// What comes out is a state in memory; whoever publishes it makes it official. Memory is bounded:
// memtables are flushed when they hold so many bytes.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/commit_record.h"
#include "engine/generation.h"
#include "files/object_store.h"
#include "manifest/manifest.h"
#include "memtable/memtable.h"
#include "varve/error.h"

namespace varve {

// Not thread-safe.
class CommitsToRuns {
 public:
  struct Settings {
    bool encrypted = false;
    std::uint64_t first_run_id = 0;       // and from there on; at least the state's next one
    std::uint64_t bytes_max = 64u << 20;  // of memtables
    // Commit times that `to` has already, by name, and that must stay as they are; or null.
    const std::map<std::string, TimesObject>* times_there = nullptr;
  };
  // `to` must outlive it.
  CommitsToRuns(ObjectStore* to, std::shared_ptr<const ManifestState> base,
                const Settings& settings);

  // The next commit in order; those that the state has are passed over. Corruption, and nothing was
  // taken: another number, a table or columns that the state does not have, a body that does not
  // decode. Other errors are of writing: give up.
  Status Add(const LogUnit& unit);

  CommitNumber last() const { return last_.commit; }
  std::uint64_t commits() const { return taken_; }  // that were not passed over

  // The state with all commits taken in runs; positions in the log are those of `base`.
  Result<std::shared_ptr<const ManifestState>> Finish();

 private:
  Result<std::vector<std::pair<std::uint32_t, WriteBatch>>> Decode(
      const DecodedCommit& commit) const;
  Status FlushAll();
  Result<TimesObject> KeepTimes();

  ObjectStore* const to_;
  const Settings settings_;
  std::shared_ptr<const ManifestState> state_;
  std::uint64_t next_run_id_;
  RecentCommit last_;
  std::map<std::uint32_t, std::shared_ptr<Memtable>> memtables_;  // by table id
  std::vector<WallTime> times_;  // of the commits in them
  ProducerMarks producers_;      // of these
  std::uint64_t taken_ = 0;
};

}  // namespace varve
