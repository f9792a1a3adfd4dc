// SPDX-License-Identifier: Apache-2.0
// Environment: the components of one database with the real ones filled in.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "base/clock.h"
#include "base/executor.h"
#include "base/random.h"
#include "base/telemetry.h"
#include "files/files.h"
#include "files/object_store.h"
#include "varve/log.h"
#include "varve/options.h"

namespace varve {

class Environment {
 public:
  // `path` is the database's folder; it is the root of the object store unless one is given.
  // `keys`: null when it is not encrypted. `compaction_threads` as OpenOptions.
  Environment(const Components& given, const std::string& path, KeyProvider* keys = nullptr,
              std::uint32_t compaction_threads = 1);

  Files* files() const { return files_; }
  ObjectStore* store() const { return store_; }
  void DoWithoutLease();  // before anything is read: what is missing may have been let go of
  Clock* clock() const { return clock_; }
  Random* random() const { return random_; }
  TraceSink* trace() const { return telemetry_->trace; }
  const std::shared_ptr<Telemetry>& telemetry() const { return telemetry_; }
  KeyProvider* keys() const { return keys_; }
  Executor* executor() const;  // made at first use: most readers need no threads
  std::uint32_t compaction_threads() const { return compaction_threads_; }  // one at least

  LogComponents ForLog() {
    return {.files = files_, .clock = clock_, .random = random_,
            .executor = executor(), .trace = trace()};
  }

 private:
  Files* files_;
  Clock* clock_;
  Random* random_;
  KeyProvider* keys_;
  const std::shared_ptr<Telemetry> telemetry_;
  std::unique_ptr<ObjectStore> own_store_;       // null when one was given
  std::unique_ptr<ObjectStore> counting_store_;  // over it, or that
  std::unique_ptr<ObjectStore> unleased_store_;  // over that, for a reader without a lease
  ObjectStore* store_;                           // the uppermost
  Executor* const given_executor_;
  const std::uint32_t compaction_threads_;
  mutable std::once_flag made_;
  mutable std::unique_ptr<Executor> own_executor_;
};

// Where things are below a database's folder.
std::string LogFolder(const std::string& path);
std::string LockFile(const std::string& path);

}  // namespace varve
