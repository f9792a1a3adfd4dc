// SPDX-License-Identifier: Apache-2.0
#include "files/pending_parts.h"

#include <algorithm>
#include <set>
#include <string>

#include "base/check.h"

namespace varve {
namespace {

using Kind = DataChange::Kind;

std::uint64_t FirstSector(const PendingPart& part) { return part.from / kSectorBytes; }
std::uint64_t EndSector(const PendingPart& part) {
  return (part.from + part.count + kSectorBytes - 1) / kSectorBytes;
}

// Bytes past the end count as zeros: that the file grows is a part of its own.
bool IsThere(const SparseBytes& bytes, const DataChange& write, const PendingPart& part) {
  std::string now(part.count, '\0');
  bytes.ReadAt(part.from, part.count, now.data());
  if (write.bytes == nullptr) return IsAllZeros(now);
  return std::string_view(*write.bytes).substr(part.from - write.offset, part.count) == now;
}

// Takes writes apart, remembering which sectors an earlier part touches.
class Cutter {
 public:
  Cutter(const DurableNode& node, std::uint64_t grain) : node_(node), grain_(grain) {}

  void Cut(std::size_t index) {
    const auto& write = node_.pending[index];
    for (auto from = write.offset; from < write.end();) {
      const auto end = std::min(write.end(), (from / grain_ + 1) * grain_);
      AddUnlessThere({.change = index, .from = from, .count = end - from});
      from = end;
    }
  }
  void AddSize(std::size_t index) { parts_.push_back({.change = index, .is_size = true}); }
  void NoteTruncate() { was_truncated_ = true; }
  std::vector<PendingPart> Finish() { return std::move(parts_); }

 private:
  void AddUnlessThere(const PendingPart& part) {
    const auto touched = touched_.lower_bound(FirstSector(part));
    const bool first = touched == touched_.end() || *touched >= EndSector(part);
    if (first && !was_truncated_ && IsThere(node_.bytes, node_.pending[part.change], part)) return;
    for (auto s = FirstSector(part); s < EndSector(part); ++s) touched_.insert(s);
    parts_.push_back(part);
  }

  const DurableNode& node_;
  const std::uint64_t grain_;
  std::vector<PendingPart> parts_;
  std::set<std::uint64_t> touched_;
  bool was_truncated_ = false;
};

// Marks the earlier parts of sectors whose later parts are kept.
void KeepEarlierOnes(const std::vector<PendingPart>& parts, std::vector<bool>* kept) {
  std::set<std::uint64_t> needed;
  for (auto i = parts.size(); i-- > 0;) {
    if (parts[i].is_size) continue;
    const auto at = needed.lower_bound(FirstSector(parts[i]));
    if (at != needed.end() && *at < EndSector(parts[i])) (*kept)[i] = true;
    if (!(*kept)[i]) continue;
    for (auto s = FirstSector(parts[i]); s < EndSector(parts[i]); ++s) needed.insert(s);
  }
}

}  // namespace

std::vector<PendingPart> PendingPartsOf(const DurableNode& node, std::uint64_t grain) {
  VARVE_CHECK(grain > 0 && grain % kSectorBytes == 0);
  Cutter cutter(node, grain);
  auto size = node.bytes.size();
  for (std::size_t i = 0; i < node.pending.size(); ++i) {
    const auto& change = node.pending[i];
    if (const auto after = change.SizeAfter(size); after != size) {
      cutter.AddSize(i);
      size = after;
    }
    if (change.kind == Kind::kTruncate) cutter.NoteTruncate();
    if (change.kind == Kind::kWrite) cutter.Cut(i);
  }
  return cutter.Finish();
}

SparseBytes BytesWithParts(const DurableNode& node, const std::vector<PendingPart>& parts,
                           std::vector<bool> kept) {
  VARVE_CHECK(parts.size() == kept.size());
  KeepEarlierOnes(parts, &kept);
  auto bytes = node.bytes;
  auto size = bytes.size();
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (!kept[i]) continue;
    const auto& change = node.pending[parts[i].change];
    if (!parts[i].is_size) {
      change.WritePart(parts[i].from, parts[i].count, &bytes);
    } else {
      size = change.SizeAfter(size);
      if (change.kind == Kind::kTruncate) bytes.Resize(size);
    }
  }
  bytes.Resize(size);
  return bytes;
}

}  // namespace varve
