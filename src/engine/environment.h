// SPDX-License-Identifier: Apache-2.0
// Environment: the components of one database with the real ones filled in.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "base/clock.h"
#include "base/executor.h"
#include "base/random.h"
#include "varve/trace.h"
#include "files/files.h"
#include "files/object_store.h"
#include "varve/log.h"
#include "varve/options.h"

namespace varve {

class Environment {
 public:
  // `path` is the database's folder; it is the root of the object store unless one is given.
  // `keys`: null when it is not encrypted.
  Environment(const Components& given, const std::string& path, KeyProvider* keys = nullptr);

  Files* files() const { return files_; }
  ObjectStore* store() const { return store_; }
  Clock* clock() const { return clock_; }
  Random* random() const { return random_; }
  TraceSink* trace() const { return trace_; }
  KeyProvider* keys() const { return keys_; }
  Executor* executor() const;  // made at first use: most readers need no threads

  LogComponents ForLog() {
    return {.files = files_, .clock = clock_, .random = random_,
            .executor = executor(), .trace = trace_};
  }

 private:
  Files* files_;
  Clock* clock_;
  Random* random_;
  TraceSink* trace_;
  KeyProvider* keys_;
  std::unique_ptr<ObjectStore> own_store_;
  ObjectStore* store_;
  Executor* const given_executor_;
  mutable std::once_flag made_;
  mutable std::unique_ptr<Executor> own_executor_;
};

// Where things are below a database's folder.
std::string LogFolder(const std::string& path);
std::string LockFile(const std::string& path);

}  // namespace varve
