// SPDX-License-Identifier: Apache-2.0
// Keys for tests: a provider that has, loses, changes and refuses keys as told.
#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>

#include "base/result.h"
#include "varve/log_options.h"

namespace varve::testing {

class TestKeys final : public KeyProvider {
 public:
  explicit TestKeys(std::string current = "april") : current_(std::move(current)) {
    Add(current_);
  }
  // The 32 bytes of the key with this name.
  static std::string Bytes(const std::string& id) {
    std::string bytes = id + "#key material of a test, 32 bytes";
    bytes.resize(32, '~');
    return bytes;
  }

  void Add(const std::string& id) { Set(id, Bytes(id)); }
  void Set(const std::string& id, std::string key) {
    std::lock_guard lock(mutex_);
    keys_[id] = std::move(key);
  }
  void Drop(const std::string& id) {
    std::lock_guard lock(mutex_);
    keys_.erase(id);
  }
  void Expire(const std::string& id) {
    std::lock_guard lock(mutex_);
    expired_.insert(id);
  }
  void Renew(const std::string& id) {
    std::lock_guard lock(mutex_);
    expired_.erase(id);
  }
  void RotateTo(const std::string& id) {
    Add(id);
    std::lock_guard lock(mutex_);
    current_ = id;
  }
  void ThrowFromNowOn(bool throws) { throws_ = throws; }

  Result<std::string> CurrentKeyId() override {
    if (throws_) throw std::runtime_error("out of order");
    std::lock_guard lock(mutex_);
    return current_;
  }
  Result<std::string> Key(std::string_view key_id) override {
    if (throws_) throw std::runtime_error("out of order");
    std::lock_guard lock(mutex_);
    const std::string id(key_id);
    if (expired_.contains(id)) {
      return Fail(ErrorKind::kInvalid, "its time is over", ErrorReason::kExpiredKey);
    }
    const auto found = keys_.find(id);
    if (found != keys_.end()) return found->second;
    return Fail(ErrorKind::kNotFound, "there is no such key here", ErrorReason::kMissingKey);
  }

 private:
  std::atomic<bool> throws_ = false;
  std::mutex mutex_;
  std::string current_;                      // guarded by mutex_, as those below
  std::map<std::string, std::string> keys_;  // by id
  std::set<std::string> expired_;
};

}  // namespace varve::testing
