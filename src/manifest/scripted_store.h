// SPDX-License-Identifier: Apache-2.0
// For tests: an object store in memory that counts, and misbehaves as told.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "files/object_store.h"

namespace varve::testing {

// What happens to one put. `done`: the object is there afterwards although the call fails.
struct PutFault {
  bool done = false;
  Error error;
};

class ScriptedStore final : public ObjectStore {
 public:
  std::map<std::string, std::string> objects;
  std::deque<PutFault> put_if_absent_faults;  // one for each coming call
  std::deque<PutFault> put_faults;
  std::optional<Error> get_error;  // of every Get
  int gets = 0;
  int puts = 0;

  Status Put(const std::string& name, std::string_view bytes) override {
    std::lock_guard lock(mutex_);
    ++puts;
    return Store(name, bytes, &put_faults);
  }
  Status PutIfAbsent(const std::string& name, std::string_view bytes) override {
    std::lock_guard lock(mutex_);
    ++puts;
    if (objects.contains(name)) {
      return Fail(ErrorKind::kConflict, name + ": exists", ErrorReason::kAlreadyExists);
    }
    return Store(name, bytes, &put_if_absent_faults);
  }
  Result<std::string> Get(const std::string& name) override {
    std::lock_guard lock(mutex_);
    ++gets;
    if (get_error) return std::unexpected(*get_error);
    const auto at = objects.find(name);
    if (at == objects.end()) return Fail(ErrorKind::kNotFound, name + ": not there");
    return at->second;
  }
  Result<std::vector<ObjectInfo>> List(const std::string& prefix,
                                       const std::string& start_after) override {
    std::lock_guard lock(mutex_);
    std::vector<ObjectInfo> found;
    for (const auto& [name, bytes] : objects) {
      if (name.starts_with(prefix) && name > start_after) found.push_back({name, bytes.size(), {}});
    }
    return found;
  }
  std::string Describe(const std::string& name) const override { return "store:" + name; }

  Result<std::unique_ptr<ObjectWriter>> NewWriter(const std::string&) override { return Unused(); }
  Result<std::string> GetRange(const std::string&, std::uint64_t, std::uint64_t) override {
    return Unused();
  }
  Result<std::unique_ptr<ObjectReader>> OpenReader(const std::string&) override {
    return Unused();
  }
  Result<ObjectInfo> Head(const std::string&) override { return Unused(); }
  Status Delete(const std::string& name) override {
    objects.erase(name);
    return {};
  }

 private:
  static std::unexpected<Error> Unused() {
    return Fail(ErrorKind::kInternal, "a manifest needs no such call");
  }
  Status Store(const std::string& name, std::string_view bytes, std::deque<PutFault>* faults) {
    if (faults->empty()) {
      objects[name] = bytes;
      return {};
    }
    const auto fault = faults->front();
    faults->pop_front();
    if (fault.done) objects[name] = bytes;
    return std::unexpected(fault.error);
  }

  std::mutex mutex_;
};

}  // namespace varve::testing
