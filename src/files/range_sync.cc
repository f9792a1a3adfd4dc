// SPDX-License-Identifier: Apache-2.0
// A sync of a part of a file, as a write with RWF_DSYNC does it: what becomes durable, and what
// stays pending beside it.
#include <algorithm>
#include <utility>

#include "base/bytes.h"
#include "base/check.h"
#include "base/random.h"
#include "files/disk_image.h"

namespace varve {
namespace {

using Kind = DataChange::Kind;
using Changes = std::vector<DataChange>;

constexpr std::uint64_t kLostBytes = 4096;  // what a failed sync loses goes by pages

// [from, to) of a write; empty: nothing.
void AppendPart(const DataChange& write, std::uint64_t from, std::uint64_t to, Changes* changes) {
  from = std::max(from, write.offset);
  to = std::min(to, write.end());
  if (from >= to) return;
  auto part = write;
  part.offset = from;
  part.size = to - from;
  if (write.bytes != nullptr) {
    part.bytes = std::make_shared<const std::string>(
        write.bytes->substr(from - write.offset, part.size));
  }
  changes->push_back(std::move(part));
}

DataChange GrowTo(std::uint64_t size) { return {.kind = Kind::kGrow, .offset = size}; }

// The writes without what they do in [from, to).
Changes Without(const Changes& changes, std::uint64_t from, std::uint64_t to) {
  Changes left;
  for (const auto& change : changes) {
    if (change.kind != Kind::kWrite) {
      left.push_back(change);
      continue;
    }
    AppendPart(change, 0, from, &left);
    AppendPart(change, to, UINT64_MAX, &left);
  }
  return left;
}

// Does the truncations for good: a file that shrank is short, and what it held above is forgotten;
// growth stays pending.
Changes SettleTruncations(const Changes& changes, SparseBytes* durable) {
  Changes settled;
  for (const auto& change : changes) {
    if (change.kind != Kind::kTruncate) {
      settled.push_back(change);
      continue;
    }
    const auto size = change.size;
    settled = Without(settled, size, UINT64_MAX);
    for (auto& earlier : settled) {
      if (earlier.kind == Kind::kGrow && earlier.end() > size) earlier = GrowTo(size);
    }
    if (durable->size() > size) durable->Resize(size);
    settled.push_back(GrowTo(size));
  }
  return settled;
}

}  // namespace

void DiskImage::SyncRange(NodeId id, std::uint64_t offset, std::uint64_t size,
                          const SparseBytes& now) {
  VARVE_CHECK(offset + size <= now.size());
  auto& node = At(id);
  const auto from = offset / kSectorBytes * kSectorBytes;
  const auto end = RoundUp(offset + size, kSectorBytes);
  node.pending = Without(SettleTruncations(node.pending, &node.bytes), from, end);
  std::string bytes(std::min(end, now.size()) - from, '\0');
  now.ReadAt(from, bytes.size(), bytes.data());
  node.bytes.WriteAt(from, bytes);
}

void DiskImage::FailSyncRange(NodeId id, std::uint64_t offset, std::uint64_t size,
                              Random* random) {
  auto& node = At(id);
  Changes changes;
  for (const auto& change : node.pending) {
    const auto from = std::max(change.offset, offset), end = std::min(change.end(), offset + size);
    if (change.kind != Kind::kWrite || from >= end) {
      changes.push_back(change);
      continue;
    }
    AppendPart(change, 0, from, &changes);
    for (auto at = from; at < end;) {
      const auto next = std::min(end, (at / kLostBytes + 1) * kLostBytes);
      AppendPart(change, at, next, &changes);
      at = next;
      if (random->Below(2) == 0) continue;
      changes.back() = GrowTo(next);
      node.lost_data = true;
    }
    AppendPart(change, end, UINT64_MAX, &changes);
  }
  node.pending = std::move(changes);
}

}  // namespace varve
