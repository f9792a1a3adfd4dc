// SPDX-License-Identifier: Apache-2.0
#include "engine/environment.h"

#include "files/counting_store.h"
#include "files/simulated_disk.h"

namespace varve {
namespace {

// One thread flushes while the other makes the next log segment.
constexpr int kBackgroundThreads = 2;

}  // namespace

Environment::Environment(const Components& given, const std::string& path, KeyProvider* keys)
    : files_(given.files != nullptr ? given.files : PosixFiles()),
      clock_(given.clock != nullptr ? given.clock : SystemClock()),
      random_(given.random != nullptr ? given.random : SystemRandom()),
      keys_(keys),
      telemetry_(std::make_shared<Telemetry>()),
      store_(given.store),
      given_executor_(given.executor) {
  telemetry_->trace = given.trace;
  telemetry_->database = path;
  if (store_ == nullptr) {
    own_store_ = NewFolderStore(files_, path, random_);
    store_ = own_store_.get();
  }
  counting_store_ = NewCountingStore(store_, &telemetry_->metrics);
  store_ = counting_store_.get();
}

Executor* Environment::executor() const {
  if (given_executor_ != nullptr) return given_executor_;
  std::call_once(made_,
                 [this] { own_executor_ = std::make_unique<ThreadPool>(kBackgroundThreads); });
  return own_executor_.get();
}

std::shared_ptr<Files> FilesInMemory() { return NewMemoryFiles(); }

std::string LogFolder(const std::string& path) { return JoinPath(path, "log"); }
std::string LockFile(const std::string& path) { return JoinPath(path, "LOCK"); }

}  // namespace varve
