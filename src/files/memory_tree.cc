// SPDX-License-Identifier: Apache-2.0
#include "files/memory_tree.h"

#include <algorithm>
#include <cerrno>
#include <functional>
#include <utility>

#include "base/check.h"
#include "base/result.h"
#include "files/file_errors.h"

namespace varve {
namespace {

constexpr std::int64_t kFirstMoment = 1'700'000'000'000'000;  // November 2023

std::vector<std::string_view> PartsOf(std::string_view path) {
  std::vector<std::string_view> parts;
  while (!path.empty()) {
    const auto slash = std::min(path.find('/'), path.size());
    const auto part = path.substr(0, slash);
    path.remove_prefix(std::min(slash + 1, path.size()));
    if (part.empty() || part == ".") continue;
    if (part != "..") {
      parts.push_back(part);
    } else if (!parts.empty()) {
      parts.pop_back();
    }
  }
  return parts;
}

FileInfo InfoOf(std::string name, const MemoryNode& node) {
  return {.name = std::move(name),
          .size = node.bytes.size(),
          .modified = node.modified,
          .is_directory = node.is_directory};
}

}  // namespace

Error HeldHere(const std::string& path) {
  return Error(ErrorKind::kUnavailable,
               path + " is held by this process, 1 (memory), already; use what is open, or " +
                   "close it",
               ErrorReason::kLocked);
}

MemoryTree::MemoryTree() { AddRoot(); }

void MemoryTree::AddRoot() {
  AddNode(kRoot, {.is_directory = true});
  At(kRoot).names = 1;
}

Result<MemoryTree::Place> MemoryTree::Locate(std::string_view operation,
                                             const std::string& path) const {
  Place place{.folder = 0, .name = "", .node = kRoot};
  for (const auto part : PartsOf(path)) {
    if (place.node == 0) return FailWith(operation, path, ENOENT);
    const auto& folder = At(place.node);
    if (!folder.is_directory) return FailWith(operation, path, ENOTDIR);
    place.folder = place.node;
    place.name = part;
    const auto entry = folder.entries.find(place.name);
    place.node = entry == folder.entries.end() ? 0 : entry->second;
  }
  return place;
}

Result<NodeId> MemoryTree::Find(std::string_view operation, const std::string& path) const {
  VARVE_ASSIGN(const auto place, Locate(operation, path));
  if (place.node == 0) return FailWith(operation, path, ENOENT);
  return place.node;
}

Result<NodeId> MemoryTree::FindFile(std::string_view operation, const std::string& path) const {
  VARVE_ASSIGN(const auto node, Find(operation, path));
  if (At(node).is_directory) return FailWith(operation, path, EISDIR);
  return node;
}

Result<bool> MemoryTree::FolderExists(const std::string& path) const {
  const auto node = Find("make the folder", path);
  if (!node && node.error().kind() == ErrorKind::kNotFound) return false;
  if (!node) return std::unexpected(node.error());
  if (!At(*node).is_directory) return FailWith("make the folder", path, ENOTDIR);
  return true;
}

MemoryNode& MemoryTree::At(NodeId node) {
  const auto found = nodes_.find(node);
  VARVE_CHECK(found != nodes_.end());
  return found->second;
}

const MemoryNode& MemoryTree::At(NodeId node) const {
  const auto found = nodes_.find(node);
  VARVE_CHECK(found != nodes_.end());
  return found->second;
}

Result<FileInfo> MemoryTree::Info(const std::string& path) const {
  VARVE_ASSIGN(const auto place, Locate("look at", path));
  if (place.node == 0) return FailWith("look at", path, ENOENT);
  return InfoOf(place.name, At(place.node));
}

Result<std::vector<FileInfo>> MemoryTree::List(const std::string& directory) const {
  VARVE_ASSIGN(const auto node, Find("list", directory));
  if (!At(node).is_directory) return FailWith("list", directory, ENOTDIR);
  std::vector<FileInfo> found;
  for (const auto& [name, child] : At(node).entries) found.push_back(InfoOf(name, At(child)));
  return found;
}

NodeId MemoryTree::NewNode(bool is_directory) {
  const auto id = next_node_;
  AddNode(id, {.is_directory = is_directory});
  return id;
}

void MemoryTree::Restart() {
  nodes_.clear();
  bytes_ = 0;
  AddRoot();
}

void MemoryTree::AddNode(NodeId id, MemoryNode node) {
  next_node_ = std::max(next_node_, id + 1);
  bytes_ += node.bytes.size();
  node.modified = Tick();
  const bool added = nodes_.try_emplace(id, std::move(node)).second;
  VARVE_CHECK(added);
}

void MemoryTree::DropAllHandles() {
  std::vector<NodeId> ids;
  for (auto& [id, node] : nodes_) {
    node.handles = node.shared_locks = 0;
    node.exclusive_lock = false;
    ids.push_back(id);
  }
  for (const auto id : ids) DropIfUnused(id);
}

Result<EntryChanges> MemoryTree::PlanLink(const std::string& from, const std::string& to) const {
  const auto paths = TwoPaths(from, to);
  VARVE_ASSIGN(const auto source, Locate("link", from));
  VARVE_ASSIGN(const auto target, Locate("link", to));
  if (source.node == 0) return FailWith("link", paths, ENOENT);
  if (target.node != 0) return FailWith("link", paths, EEXIST);
  if (At(source.node).is_directory) return FailWith("link", paths, EPERM);
  return EntryChanges{{target.folder, target.name, source.node}};
}

Result<EntryChanges> MemoryTree::PlanRename(const std::string& from, const std::string& to) const {
  const auto paths = TwoPaths(from, to);
  VARVE_ASSIGN(const auto source, Locate("rename", from));
  VARVE_ASSIGN(const auto target, Locate("rename", to));
  if (source.node == 0) return FailWith("rename", paths, ENOENT);
  if (source.folder == 0 || target.folder == 0) return FailWith("rename", paths, EBUSY);
  if (source.node == target.node) return EntryChanges{};
  const bool moves_folder = At(source.node).is_directory;
  if (moves_folder && IsBelow(target.folder, source.node)) return FailWith("rename", paths, EINVAL);
  if (target.node != 0) {
    const auto& replaced = At(target.node);
    if (moves_folder && !replaced.is_directory) return FailWith("rename", paths, ENOTDIR);
    if (!moves_folder && replaced.is_directory) return FailWith("rename", paths, EISDIR);
    if (!replaced.entries.empty()) return FailWith("rename", paths, ENOTEMPTY);
  }
  return EntryChanges{{target.folder, target.name, source.node}, {source.folder, source.name, 0}};
}

Result<EntryChanges> MemoryTree::PlanRemove(const std::string& path) const {
  VARVE_TRY(FindFile("remove", path));
  VARVE_ASSIGN(const auto place, Locate("remove", path));
  return EntryChanges{{place.folder, place.name, 0}};
}

void MemoryTree::Apply(const EntryChanges& changes) {
  std::vector<NodeId> unnamed;
  for (const auto& change : changes) {
    auto& folder = At(change.folder);
    VARVE_CHECK(folder.is_directory);
    folder.modified = Tick();
    if (const auto old = folder.entries.find(change.name); old != folder.entries.end()) {
      --At(old->second).names;
      unnamed.push_back(old->second);
      folder.entries.erase(old);
    }
    if (change.node == 0) continue;
    ++At(change.node).names;
    folder.entries.emplace(change.name, change.node);
  }
  for (const auto node : unnamed) DropIfUnused(node);
}

void MemoryTree::Write(NodeId id, std::uint64_t offset, std::string_view bytes) {
  auto& node = At(id);
  bytes_ -= node.bytes.size();
  node.bytes.WriteAt(offset, bytes);
  bytes_ += node.bytes.size();
  node.modified = Tick();
}

void MemoryTree::Truncate(NodeId id, std::uint64_t size) {
  auto& node = At(id);
  bytes_ -= node.bytes.size();
  node.bytes.Resize(size);
  bytes_ += node.bytes.size();
  node.modified = Tick();
}

std::uint64_t MemoryTree::Fingerprint(NodeId from) const {
  const auto& node = At(from);
  auto sum = node.bytes.Fingerprint() + (node.is_directory ? 1 : 2);
  for (const auto& [name, child] : node.entries) {
    sum = MixedHash(sum, std::hash<std::string>()(name));
    sum = MixedHash(sum, Fingerprint(child));
  }
  return sum;
}

void MemoryTree::DropHandle(NodeId node) {
  VARVE_CHECK(At(node).handles > 0);
  --At(node).handles;
  DropIfUnused(node);
}

bool MemoryTree::TryLock(NodeId id, LockMode mode) {
  auto& node = At(id);
  const bool exclusive = mode == LockMode::kExclusive;
  if (node.exclusive_lock || (exclusive && node.shared_locks > 0)) return false;
  if (exclusive) {
    node.exclusive_lock = true;
  } else {
    ++node.shared_locks;
  }
  return true;
}

void MemoryTree::Unlock(NodeId id, LockMode mode) {
  auto& node = At(id);
  if (mode == LockMode::kExclusive) {
    VARVE_CHECK(node.exclusive_lock);
    node.exclusive_lock = false;
  } else {
    VARVE_CHECK(node.shared_locks > 0);
    --node.shared_locks;
  }
}

WallTime MemoryTree::Tick() { return {kFirstMoment + ++ticks_}; }

void MemoryTree::DropIfUnused(NodeId id) {
  const auto found = nodes_.find(id);
  if (found == nodes_.end() || found->second.names > 0 || found->second.handles > 0) return;
  bytes_ -= found->second.bytes.size();
  nodes_.erase(found);
}

// Whether `node` is `folder` or stands somewhere below it.
bool MemoryTree::IsBelow(NodeId node, NodeId folder) const {
  if (node == folder) return true;
  const auto& entries = At(folder).entries;
  return std::ranges::any_of(entries, [&](const auto& entry) {
    return At(entry.second).is_directory && IsBelow(node, entry.second);
  });
}

}  // namespace varve
