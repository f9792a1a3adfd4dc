// SPDX-License-Identifier: Apache-2.0
// What a disk holds for certain, and what is on its way: the part of a SimulatedDisk that outlives
// a power cut.
//
// Data is pending per file, names are pending per operation. The changes of one operation (the two
// of a rename) survive together, and never without the earlier ones of the same names: journals
// keep that much. Everything else may part: one file's data from another's, a name from the data
// behind it, a size from the sectors in it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "files/memory_tree.h"
#include "files/simulated_disk.h"
#include "files/sparse_bytes.h"

namespace varve {

inline constexpr std::uint64_t kSectorBytes = 512;

// A change of one file's data or size that no sync has covered.
struct DataChange {
  enum class Kind : std::uint8_t {
    kWrite,     // `size` bytes at `offset`
    kTruncate,  // to `size`
    kGrow,      // to at least offset + size: a write whose data a failed sync has lost
  };
  Kind kind = Kind::kWrite;
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
  std::shared_ptr<const std::string> bytes;  // of a write; null: zeros

  std::uint64_t end() const { return offset + size; }
  std::uint64_t SizeAfter(std::uint64_t before) const;
  // Does [from, from + count) of a write to `to`, wherever its end then is.
  void WritePart(std::uint64_t from, std::uint64_t count, SparseBytes* to) const;
  // Does all of it.
  void Apply(SparseBytes* to) const;
};

struct DurableNode {
  bool is_directory = false;
  SparseBytes bytes;                      // of a file
  std::map<std::string, NodeId> entries;  // of a folder
  std::vector<DataChange> pending;        // in order
  // A failed sync has lost data: what programs read is more than `bytes` and `pending` hold.
  bool lost_data = false;
};

// Not thread-safe. Copies share the bytes.
class DiskImage {
 public:
  DiskImage();

  void AddNode(NodeId node, bool is_directory);
  void Write(NodeId node, std::uint64_t offset, std::string_view bytes);
  void Truncate(NodeId node, std::uint64_t size);
  // `now` is the content that programs read.
  void SyncFile(NodeId node, const SparseBytes& now);
  // A sync that fails: pending writes, chosen by `random`, will never reach the disk, whatever is
  // synced later, as when a kernel marks failed pages clean.
  void FailSyncFile(NodeId node, Random* random);
  // [offset, offset + size), which was just written, becomes durable, with the size that reaches
  // it and earlier truncations, and nothing else; but a sector always goes as a whole.
  void SyncRange(NodeId node, std::uint64_t offset, std::uint64_t size, const SparseBytes& now);
  // As FailSyncFile, for each block of 4096 bytes of that range by itself.
  void FailSyncRange(NodeId node, std::uint64_t offset, std::uint64_t size, Random* random);
  void ChangeEntries(EntryChanges changes);
  // `tree` tells which files are still in use without a name.
  void SyncFolder(NodeId folder, const MemoryTree& tree);
  // Past every rule: the content, and if `place` was free the name, become durable.
  void Place(const MemoryTree::Place& place, NodeId node, const SparseBytes& bytes);

  // Becomes an image that a power cut may leave, with nothing pending, and fills `tree` with it.
  void Crash(Survival survival, Random* random, MemoryTree* tree);
  // See SimulatedDisk: operations on names come first, then the files' parts.
  std::size_t PendingParts(std::uint64_t grain) const;
  void CrashKeeping(std::uint64_t grain, const std::vector<bool>& kept, MemoryTree* tree);

 private:
  DurableNode& At(NodeId node);
  void ApplyEntries(const EntryChanges& changes);
  void ApplyPending(std::vector<bool> chosen);
  bool IsNamed(NodeId node) const;
  void Settle(MemoryTree* tree);
  void DropUnreachable();

  std::map<NodeId, DurableNode> nodes_;  // ordered: a seed must repeat its choices
  std::vector<EntryChanges> pending_;    // in order
};

// The content of one file after a power cut. `stale` is what other files hold: blocks that a file
// system gives to a file hold what was there before.
SparseBytes SurvivingBytes(const DurableNode& node, Survival survival, Random* random,
                           const std::vector<SparseBytes>& stale);

}  // namespace varve
