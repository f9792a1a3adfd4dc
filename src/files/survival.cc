// SPDX-License-Identifier: Apache-2.0
// What is left of one file's pending changes after a power cut, for each policy.
#include <algorithm>
#include <cstring>
#include <unordered_map>

#include "base/random.h"
#include "files/disk_image.h"

namespace varve {
namespace {

using Kind = DataChange::Kind;

// Calls `visit(sector, from, count)` for each sector that a write touches.
template <typename Visit>
void ForEachSector(const DataChange& write, const Visit& visit) {
  for (auto from = write.offset; from < write.end();) {
    const auto sector = from / kSectorBytes;
    const auto end = std::min(write.end(), (sector + 1) * kSectorBytes);
    visit(sector, from, end - from);
    from = end;
  }
}

SparseBytes AllOf(const DurableNode& node) {
  auto bytes = node.bytes;
  for (const auto& change : node.pending) change.Apply(&bytes);
  return bytes;
}

// The last change that counts may be torn between two sectors.
SparseBytes RandomPrefix(const DurableNode& node, Random* random) {
  auto bytes = node.bytes;
  const auto whole = random->Below(node.pending.size() + 1);
  for (std::uint64_t i = 0; i < whole; ++i) node.pending[i].Apply(&bytes);
  if (whole == node.pending.size()) return bytes;
  const auto& torn = node.pending[whole];
  if (torn.kind != Kind::kWrite) return bytes;
  std::uint64_t sectors = 0;
  ForEachSector(torn, [&](auto, auto, auto) { ++sectors; });
  auto kept = random->Below(sectors + 1);
  ForEachSector(torn, [&](auto, std::uint64_t from, std::uint64_t count) {
    if (kept == 0) return;
    --kept;
    torn.WritePart(from, count, &bytes);
  });
  return bytes;
}

SparseBytes SizesOnly(const DurableNode& node) {
  auto bytes = node.bytes;
  for (const auto& change : node.pending) bytes.Resize(change.SizeAfter(bytes.size()));
  return bytes;
}

SparseBytes DataOnly(const DurableNode& node) {
  auto bytes = node.bytes;
  for (const auto& change : node.pending) {
    if (change.kind == Kind::kWrite) change.Apply(&bytes);
  }
  bytes.Resize(node.bytes.size());
  return bytes;
}

// A sector is written out as it is at some moment: so what survives of the writes to one sector is
// a prefix, and sectors choose theirs each by itself.
struct SectorFate {
  std::uint32_t writes = 0;
  std::uint32_t kept = 0;
  std::uint32_t seen = 0;
};
using SectorFates = std::unordered_map<std::uint64_t, SectorFate>;

// The choices are made in the order of the writes, so that a seed repeats them.
SectorFates ChooseSectors(const DurableNode& node, Random* random) {
  const auto eighths = 1 + random->Below(7);  // how willing this file's sectors are to survive
  SectorFates fates;
  for (const auto& change : node.pending) {
    if (change.kind != Kind::kWrite) continue;
    ForEachSector(change, [&](std::uint64_t sector, auto, auto) {
      auto& fate = fates[sector];
      if (fate.kept == fate.writes++ && random->Below(8) < eighths) ++fate.kept;
    });
  }
  return fates;
}

std::uint64_t ChooseSize(const DurableNode& node, Random* random) {
  auto size = node.bytes.size();
  const auto changes = random->Below(node.pending.size() + 1);
  for (std::uint64_t i = 0; i < changes; ++i) size = node.pending[i].SizeAfter(size);
  return size;
}

void FillWithGarbage(std::uint64_t from, std::uint64_t count, Random* random,
                     const std::vector<SparseBytes>& stale, SparseBytes* bytes) {
  std::string garbage(count, '\0');
  if (!stale.empty() && random->Below(2) == 0) {
    const auto& source = stale[random->Below(stale.size())];
    const auto sectors = source.size() / kSectorBytes + 1;
    source.ReadAt(random->Below(sectors) * kSectorBytes, count, garbage.data());
  } else {
    for (std::uint64_t at = 0; at < count; at += 8) {
      const auto word = random->Next();
      std::memcpy(garbage.data() + at, &word, std::min<std::uint64_t>(8, count - at));
    }
  }
  bytes->WriteAt(from, garbage);
}

SparseBytes RandomSectors(const DurableNode& node, Random* random,
                          const std::vector<SparseBytes>* stale) {
  auto bytes = node.bytes;
  if (node.pending.empty()) return bytes;
  auto fates = ChooseSectors(node, random);
  const auto size = ChooseSize(node, random);
  for (const auto& change : node.pending) {
    if (change.kind == Kind::kTruncate && random->Below(2) == 0) bytes.Resize(change.size);
    if (change.kind != Kind::kWrite) continue;
    ForEachSector(change, [&](std::uint64_t sector, std::uint64_t from, std::uint64_t count) {
      auto& fate = fates[sector];
      if (fate.seen++ < fate.kept) change.WritePart(from, count, &bytes);
    });
  }
  bytes.Resize(size);
  if (stale == nullptr) return bytes;
  for (const auto& change : node.pending) {
    if (change.kind != Kind::kWrite) continue;
    ForEachSector(change, [&](std::uint64_t sector, auto, auto) {
      const auto from = std::max(sector * kSectorBytes, node.bytes.size());
      const auto end = std::min((sector + 1) * kSectorBytes, size);
      if (fates[sector].kept > 0 || from >= end) return;
      FillWithGarbage(from, end - from, random, *stale, &bytes);
    });
  }
  return bytes;
}

}  // namespace

SparseBytes SurvivingBytes(const DurableNode& node, Survival survival, Random* random,
                           const std::vector<SparseBytes>& stale) {
  switch (survival) {
    case Survival::kAllLost:
    case Survival::kRenameBeforeData: return node.bytes;
    case Survival::kAllKept: return AllOf(node);
    case Survival::kRandomPrefix: return RandomPrefix(node, random);
    case Survival::kRandomSectors: return RandomSectors(node, random, nullptr);
    case Survival::kMetadataFirst: return SizesOnly(node);
    case Survival::kDataFirst: return DataOnly(node);
    case Survival::kGarbage: return RandomSectors(node, random, &stale);
  }
  return node.bytes;
}

std::string_view ToString(Survival survival) {
  switch (survival) {
    case Survival::kAllLost: return "all-lost";
    case Survival::kAllKept: return "all-kept";
    case Survival::kRandomPrefix: return "random-prefix";
    case Survival::kRandomSectors: return "random-sectors";
    case Survival::kMetadataFirst: return "metadata-first";
    case Survival::kDataFirst: return "data-first";
    case Survival::kRenameBeforeData: return "rename-before-data";
    case Survival::kGarbage: return "garbage";
  }
  return "unknown";
}

}  // namespace varve
