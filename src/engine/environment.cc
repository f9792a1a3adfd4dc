// SPDX-License-Identifier: Apache-2.0
#include "engine/environment.h"

#include <algorithm>

#include "base/futex.h"
#include "files/counting_store.h"
#include "files/simulated_disk.h"
#include "files/unleased_store.h"

namespace varve {
namespace {

// One thread flushes or makes the next log segment while a compaction has the others: a compaction,
// which may wait for the budget of background I/O, never has all of them.
constexpr std::uint32_t kThreadsBesideCompaction = 1;
constexpr std::uint32_t kCompactionThreadsByDefault = 4;  // at most
constexpr std::uint32_t kCompactionThreadsMax = 64;

std::uint32_t ThreadsFor(std::uint32_t asked) {
  if (asked > 0) return std::min(asked, kCompactionThreadsMax);
  return std::min(static_cast<std::uint32_t>(Processors()), kCompactionThreadsByDefault);
}

}  // namespace

Environment::Environment(const Components& given, const std::string& path, KeyProvider* keys,
                         std::uint32_t compaction_threads)
    : files_(given.files != nullptr ? given.files : PosixFiles()),
      clock_(given.clock != nullptr ? given.clock : SystemClock()),
      random_(given.random != nullptr ? given.random : SystemRandom()),
      keys_(keys),
      telemetry_(std::make_shared<Telemetry>()),
      store_(given.store),
      given_executor_(given.executor),
      compaction_threads_(ThreadsFor(compaction_threads)) {
  telemetry_->trace = given.trace;
  telemetry_->database = path;
  if (store_ == nullptr) {
    own_store_ = NewFolderStore(files_, path, random_);
    store_ = own_store_.get();
  }
  counting_store_ = NewCountingStore(store_, &telemetry_->metrics);
  store_ = counting_store_.get();
}

void Environment::DoWithoutLease() {
  unleased_store_ = NewUnleasedStore(store_);
  store_ = unleased_store_.get();
}

Executor* Environment::executor() const {
  if (given_executor_ != nullptr) return given_executor_;
  std::call_once(made_, [this] {
    const std::uint32_t threads = kThreadsBesideCompaction + compaction_threads_;
    own_executor_ = std::make_unique<ThreadPool>(static_cast<int>(threads),
                                                 ThreadPool::Priority::kBackground);
  });
  return own_executor_.get();
}

std::shared_ptr<Files> FilesInMemory() { return NewMemoryFiles(); }

std::string LogFolder(const std::string& path) { return JoinPath(path, "log"); }
std::string LockFile(const std::string& path) { return JoinPath(path, "LOCK"); }

}  // namespace varve
