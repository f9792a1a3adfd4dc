// SPDX-License-Identifier: Apache-2.0
// A tree of files in memory, as running programs see it: the page-cache view. MemoryFiles is this
// and a mutex; SimulatedDisk is this and a record of what a power cut would leave.
//
// Nodes (inodes) are apart from names: a file lives while it has a name or an open handle. A change
// of names is first planned, which checks it and changes nothing, and then applied: so that the
// simulated disk can fail it, or record it, in between.
// Paths: "." and "/" are both the root; ".." drops the part before it. Not thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "files/files.h"
#include "files/sparse_bytes.h"

namespace varve {

using NodeId = std::uint64_t;

// A name of a folder comes to mean a node; 0: the name goes.
struct EntryChange {
  NodeId folder = 0;
  std::string name;
  NodeId node = 0;
};
using EntryChanges = std::vector<EntryChange>;  // of one operation, in order

struct MemoryNode {
  bool is_directory = false;
  SparseBytes bytes;                      // of a file
  std::map<std::string, NodeId> entries;  // of a folder
  WallTime modified;
  std::uint32_t names = 0;
  std::uint32_t handles = 0;
  std::uint32_t shared_locks = 0;
  bool exclusive_lock = false;
};

// What the exclusive holder of a lock on a tree in memory writes into the file.
inline constexpr std::string_view kLockHolderText = "1 memory\n";
Error HeldHere(const std::string& path);

class MemoryTree {
 public:
  static constexpr NodeId kRoot = 1;

  // `node` is 0 when the name is free; the root has folder 0.
  struct Place {
    NodeId folder = 0;
    std::string name;
    NodeId node = 0;
  };

  MemoryTree();

  // NotFound when a part of the path is missing; `operation` and `path` go into the message.
  Result<NodeId> Find(std::string_view operation, const std::string& path) const;
  // Find, and it is a file.
  Result<NodeId> FindFile(std::string_view operation, const std::string& path) const;
  // For CreateDirectories: false when nothing is there, an error when it is no folder.
  Result<bool> FolderExists(const std::string& path) const;
  // Where a path leads; its folder must be there.
  Result<Place> Locate(std::string_view operation, const std::string& path) const;
  MemoryNode& At(NodeId node);
  const MemoryNode& At(NodeId node) const;
  bool Has(NodeId node) const { return nodes_.contains(node); }

  Result<FileInfo> Info(const std::string& path) const;
  Result<std::vector<FileInfo>> List(const std::string& directory) const;

  // A node without a name, for the caller to name; numbers are never used twice.
  NodeId NewNode(bool is_directory);
  // Back to an empty root; the clock and the numbering of nodes go on.
  void Restart();
  // Puts back a node that a power cut has left.
  void AddNode(NodeId id, MemoryNode node);
  // Ends every handle and lock, as when all processes are gone.
  void DropAllHandles();

  Result<EntryChanges> PlanLink(const std::string& from, const std::string& to) const;
  Result<EntryChanges> PlanRename(const std::string& from, const std::string& to) const;
  Result<EntryChanges> PlanRemove(const std::string& path) const;
  void Apply(const EntryChanges& changes);

  void Write(NodeId node, std::uint64_t offset, std::string_view bytes);
  void Truncate(NodeId node, std::uint64_t size);
  // Of all names and bytes, not of times.
  std::uint64_t Fingerprint(NodeId from = kRoot) const;
  // Of all files together.
  std::uint64_t bytes() const { return bytes_; }

  void AddHandle(NodeId node) { ++At(node).handles; }
  void DropHandle(NodeId node);
  // False when somebody holds what excludes it.
  bool TryLock(NodeId node, LockMode mode);
  void Unlock(NodeId node, LockMode mode);

 private:
  WallTime Tick();
  void AddRoot();
  void DropIfUnused(NodeId node);
  bool IsBelow(NodeId node, NodeId folder) const;

  std::unordered_map<NodeId, MemoryNode> nodes_;
  NodeId next_node_ = kRoot;
  std::uint64_t bytes_ = 0;
  std::int64_t ticks_ = 0;  // every change moves the tree's own clock by a microsecond
};

}  // namespace varve
