// SPDX-License-Identifier: Apache-2.0
#include "files/disk_image.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/check.h"
#include "base/random.h"
#include "files/pending_parts.h"

namespace varve {
namespace {

using NameKey = std::pair<NodeId, std::string>;  // folder, name

// Which of `count` pending operations on names survive, as far as the policy says.
std::vector<bool> ChooseEntries(Survival survival, std::size_t count, Random* random) {
  std::vector<bool> chosen(count, false);
  switch (survival) {
    case Survival::kAllLost:
    case Survival::kDataFirst: break;
    case Survival::kAllKept:
    case Survival::kMetadataFirst:
    case Survival::kRenameBeforeData: chosen.assign(count, true); break;
    case Survival::kRandomPrefix:
      std::fill_n(chosen.begin(), random->Below(count + 1), true);
      break;
    case Survival::kRandomSectors:
    case Survival::kGarbage:
      for (std::size_t i = 0; i < count; ++i) chosen[i] = random->Below(2) == 0;
      break;
  }
  return chosen;
}

}  // namespace

std::uint64_t DataChange::SizeAfter(std::uint64_t before) const {
  return kind == Kind::kTruncate ? size : std::max(before, end());
}

void DataChange::WritePart(std::uint64_t from, std::uint64_t count, SparseBytes* to) const {
  VARVE_CHECK(kind == Kind::kWrite && from >= offset && from + count <= end());
  if (bytes == nullptr) {
    to->WriteZeros(from, count);
  } else {
    to->WriteAt(from, std::string_view(*bytes).substr(from - offset, count));
  }
}

void DataChange::Apply(SparseBytes* to) const {
  if (kind == Kind::kWrite) {
    WritePart(offset, size, to);
  } else {
    to->Resize(SizeAfter(to->size()));
  }
}

DiskImage::DiskImage() { AddNode(MemoryTree::kRoot, /*is_directory=*/true); }

void DiskImage::AddNode(NodeId node, bool is_directory) {
  const bool added = nodes_.try_emplace(node, DurableNode{.is_directory = is_directory}).second;
  VARVE_CHECK(added);
}

DurableNode& DiskImage::At(NodeId node) {
  const auto found = nodes_.find(node);
  VARVE_CHECK(found != nodes_.end());
  return found->second;
}

void DiskImage::Write(NodeId node, std::uint64_t offset, std::string_view bytes) {
  At(node).pending.push_back(
      {.kind = DataChange::Kind::kWrite,
       .offset = offset,
       .size = bytes.size(),
       .bytes = IsAllZeros(bytes) ? nullptr : std::make_shared<const std::string>(bytes)});
}

void DiskImage::Truncate(NodeId node, std::uint64_t size) {
  At(node).pending.push_back({.kind = DataChange::Kind::kTruncate, .size = size});
}

void DiskImage::SyncFile(NodeId id, const SparseBytes& now) {
  auto& node = At(id);
  if (node.lost_data) {
    for (const auto& change : node.pending) change.Apply(&node.bytes);
  } else {
    node.bytes = now;
  }
  node.pending.clear();
}

void DiskImage::FailSyncFile(NodeId id, Random* random) {
  auto& node = At(id);
  for (auto& change : node.pending) {
    if (change.kind != DataChange::Kind::kWrite || random->Below(2) == 0) continue;
    change.kind = DataChange::Kind::kGrow;
    change.bytes.reset();
    node.lost_data = true;
  }
}

void DiskImage::ChangeEntries(EntryChanges changes) { pending_.push_back(std::move(changes)); }

void DiskImage::SyncFolder(NodeId folder, const MemoryTree& tree) {
  std::vector<bool> chosen;
  std::set<NodeId> unnamed;
  for (const auto& changes : pending_) {
    chosen.push_back(std::ranges::any_of(
        changes, [folder](const EntryChange& change) { return change.folder == folder; }));
  }
  for (const auto& [name, node] : At(folder).entries) unnamed.insert(node);
  for (const auto& changes : pending_) {
    for (const auto& change : changes) unnamed.insert(change.node);
  }
  ApplyPending(std::move(chosen));
  for (const auto node : unnamed) {
    if (!tree.Has(node) && !IsNamed(node)) nodes_.erase(node);
  }
}

void DiskImage::Place(const MemoryTree::Place& place, NodeId node, const SparseBytes& bytes) {
  if (place.node == 0) {
    AddNode(node, /*is_directory=*/false);
    ApplyEntries({{place.folder, place.name, node}});
  }
  At(node).bytes = bytes;
  At(node).pending.clear();
  At(node).lost_data = false;
}

void DiskImage::ApplyEntries(const EntryChanges& changes) {
  for (const auto& change : changes) {
    auto& entries = At(change.folder).entries;
    if (change.node == 0) {
      entries.erase(change.name);
    } else {
      entries[change.name] = change.node;
    }
  }
}

// Applies the chosen operations, and the earlier ones that touch a name of theirs; the others stay.
void DiskImage::ApplyPending(std::vector<bool> chosen) {
  std::set<NameKey> needed;
  for (std::size_t i = pending_.size(); i-- > 0;) {
    const auto touches = [&needed](const EntryChange& change) {
      return needed.contains({change.folder, change.name});
    };
    if (!chosen[i] && !std::ranges::any_of(pending_[i], touches)) continue;
    chosen[i] = true;
    for (const auto& change : pending_[i]) needed.insert({change.folder, change.name});
  }
  std::vector<EntryChanges> left;
  for (std::size_t i = 0; i < pending_.size(); ++i) {
    if (chosen[i]) {
      ApplyEntries(pending_[i]);
    } else {
      left.push_back(std::move(pending_[i]));
    }
  }
  pending_ = std::move(left);
}

// By a durable entry or by one on its way.
bool DiskImage::IsNamed(NodeId node) const {
  const auto pending = [node](const EntryChanges& changes) {
    return std::ranges::any_of(changes, [node](const auto& change) { return change.node == node; });
  };
  const auto durable = [node](const auto& folder) {
    return std::ranges::any_of(folder.second.entries,
                               [node](const auto& entry) { return entry.second == node; });
  };
  return node == MemoryTree::kRoot || std::ranges::any_of(pending_, pending) ||
         std::ranges::any_of(nodes_, durable);
}

void DiskImage::DropUnreachable() {
  std::set<NodeId> reached = {MemoryTree::kRoot};
  std::vector<NodeId> to_visit = {MemoryTree::kRoot};
  while (!to_visit.empty()) {
    const auto folder = to_visit.back();
    to_visit.pop_back();
    for (const auto& [name, node] : At(folder).entries) {
      if (reached.insert(node).second) to_visit.push_back(node);
    }
  }
  std::erase_if(nodes_, [&](const auto& node) { return !reached.contains(node.first); });
}

void DiskImage::Crash(Survival survival, Random* random, MemoryTree* tree) {
  std::vector<SparseBytes> stale;
  for (const auto& [id, node] : nodes_) {
    if (node.bytes.size() > 0) stale.push_back(node.bytes);
  }
  ApplyPending(ChooseEntries(survival, pending_.size(), random));
  pending_.clear();
  DropUnreachable();
  for (auto& [id, node] : nodes_) node.bytes = SurvivingBytes(node, survival, random, stale);
  Settle(tree);
}

std::size_t DiskImage::PendingParts(std::uint64_t grain) const {
  auto count = pending_.size();
  for (const auto& [id, node] : nodes_) {
    if (!node.pending.empty() && IsNamed(id)) count += PendingPartsOf(node, grain).size();
  }
  return count;
}

void DiskImage::CrashKeeping(std::uint64_t grain, const std::vector<bool>& kept,
                             MemoryTree* tree) {
  auto next = kept.begin() + static_cast<std::ptrdiff_t>(pending_.size());
  for (auto& [id, node] : nodes_) {
    if (node.pending.empty() || !IsNamed(id)) continue;
    const auto parts = PendingPartsOf(node, grain);
    const auto end = next + static_cast<std::ptrdiff_t>(parts.size());
    VARVE_CHECK(end <= kept.end());
    node.bytes = BytesWithParts(node, parts, std::vector<bool>(next, end));
    next = end;
  }
  VARVE_CHECK(next == kept.end());
  ApplyPending({kept.begin(), kept.begin() + static_cast<std::ptrdiff_t>(pending_.size())});
  pending_.clear();
  DropUnreachable();
  Settle(tree);
}

// What is there now is all there is.
void DiskImage::Settle(MemoryTree* tree) {
  tree->Restart();
  for (auto& [id, node] : nodes_) {
    node.pending.clear();
    node.lost_data = false;
    if (id == MemoryTree::kRoot) continue;
    tree->AddNode(id, {.is_directory = node.is_directory, .bytes = node.bytes});
  }
  for (const auto& [id, node] : nodes_) {
    for (const auto& [name, child] : node.entries) tree->Apply({{id, name, child}});
  }
}

}  // namespace varve
