// SPDX-License-Identifier: Apache-2.0
// What a SimulatedDisk and its open handles share: the tree, the image, and the faults to come.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "files/disk_image.h"
#include "files/memory_tree.h"
#include "files/simulated_disk.h"

namespace varve {

struct SimulatedDisk::State {
  // What becomes of an event: its status for the caller, and whether it takes effect (as pending).
  struct Verdict {
    Status status;
    bool happens = true;
  };

  mutable std::mutex mutex;
  // All guarded by mutex.
  MemoryTree tree;
  DiskImage image;
  std::vector<std::shared_ptr<const DiskEvent>> trace;  // shared by clones
  std::map<std::uint64_t, Error> failures;              // by event
  std::map<NodeId, Error> bad_reads;
  std::uint64_t crash_at = 0;
  std::uint64_t capacity = UINT64_MAX;
  std::uint64_t lives = 0;  // one more after each crash or kill: handles of before are dead
  bool crashed = false;

  Status CheckPower(std::string_view operation, const std::string& path) const {
    if (!crashed) return {};
    return Fail(ErrorKind::kUnavailable,
                std::string(operation) + " " + path + ": the simulated disk has no power",
                ErrorReason::kIo);
  }

  Status CheckHandle(std::uint64_t life, std::string_view operation,
                     const std::string& path) const {
    VARVE_TRY(CheckPower(operation, path));
    if (life == lives) return {};
    return Fail(ErrorKind::kUnavailable,
                std::string(operation) + " " + path + ": opened before the simulated crash",
                ErrorReason::kIo);
  }

  Verdict Count(std::string_view operation, const std::string& path, std::uint64_t bytes = 0) {
    trace.push_back(
        std::make_shared<const DiskEvent>(DiskEvent{std::string(operation), path, bytes}));
    if (trace.size() == crash_at) {
      crashed = true;
      return {CheckPower(operation, path), /*happens=*/true};
    }
    const auto failure = failures.find(trace.size());
    if (failure == failures.end()) return {};
    const auto error = failure->second;
    failures.erase(failure);
    return {std::unexpected(error), /*happens=*/false};
  }

  void Apply(const EntryChanges& changes) {
    tree.Apply(changes);
    image.ChangeEntries(changes);
  }

  // Requires that the place is free.
  NodeId Make(const MemoryTree::Place& place, bool is_directory) {
    const auto node = tree.NewNode(is_directory);
    image.AddNode(node, is_directory);
    Apply({{place.folder, place.name, node}});
    return node;
  }

  // An event that changes names as planned; none when the plan is empty.
  Status Change(std::string_view operation, const std::string& paths, Result<EntryChanges> plan) {
    if (!plan) return std::unexpected(std::move(plan).error());
    if (plan->empty()) return {};
    auto verdict = Count(operation, paths);
    if (verdict.happens) Apply(*plan);
    return std::move(verdict.status);
  }

  void Write(NodeId node, std::uint64_t offset, std::string_view bytes) {
    if (bytes.empty()) return;
    tree.Write(node, offset, bytes);
    image.Write(node, offset, bytes);
  }

  // Where a file may grow to at most.
  std::uint64_t SizeLimit(NodeId node) const {
    const auto size = tree.At(node).bytes.size();
    const auto left = capacity > tree.bytes() ? capacity - tree.bytes() : 0;
    return left > UINT64_MAX - size ? UINT64_MAX : size + left;
  }

  void EndLife() {
    ++lives;
    crashed = false;
    tree.DropAllHandles();
  }
};

}  // namespace varve
