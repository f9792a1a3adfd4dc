// SPDX-License-Identifier: Apache-2.0
#include "upkeep/key_parts.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "base/result.h"
#include "run/open_run.h"

namespace varve {
namespace {

constexpr std::uint64_t kLargeOnes = 64;  // runs with more than this part of all bytes

// So many bytes have keys from here on, or around here.
struct Weight {
  std::string key;
  double bytes = 0;
};

std::uint64_t FileBytes(const RunMeta& run) { return run.data.bytes + run.deletes.bytes; }

void AddSpread(const std::vector<std::string>& keys, double bytes, std::vector<Weight>* weights) {
  for (const std::string& key : keys) {
    weights->push_back({key, bytes / static_cast<double>(keys.size())});
  }
}

Result<std::vector<Weight>> WeightsOf(const std::vector<std::shared_ptr<const Run>>& runs) {
  std::uint64_t all = 0;
  for (const auto& run : runs) all += FileBytes(run->meta());
  std::vector<Weight> weights;
  for (const auto& run : runs) {
    const RunMeta& meta = run->meta();
    const auto bytes = static_cast<double>(FileBytes(meta));
    if (FileBytes(meta) > all / kLargeOnes) {
      VARVE_ASSIGN(const OpenRun open, run->Open());
      if (open.row_group_keys().size() > 1) {
        AddSpread(open.row_group_keys(), bytes, &weights);
        continue;
      }
    }
    AddSpread({meta.min_key, meta.max_key}, bytes, &weights);
  }
  std::ranges::stable_sort(weights, {}, &Weight::key);
  return weights;
}

// The keys where parts begin, but the first.
std::vector<std::string> CutsOf(const std::vector<Weight>& weights, std::size_t parts,
                                double bytes_min) {
  double all = 0;
  for (const Weight& weight : weights) all += weight.bytes;
  std::vector<std::string> cuts;
  double before = 0, last_cut = 0;
  for (const Weight& weight : weights) {
    const double wanted = all * static_cast<double>(cuts.size() + 1) / static_cast<double>(parts);
    const bool is_new = weight.key > (cuts.empty() ? weights.front().key : cuts.back());
    const bool is_enough = before - last_cut >= bytes_min && all - before >= bytes_min;
    if (cuts.size() + 1 < parts && is_new && is_enough && before >= wanted) {
      cuts.push_back(weight.key);
      last_cut = before;
    }
    before += weight.bytes;
  }
  return cuts;
}

}  // namespace

Result<std::vector<KeyBounds>> CutIntoParts(const std::vector<std::shared_ptr<const Run>>& runs,
                                            std::size_t parts, std::uint64_t bytes_min) {
  std::vector<KeyBounds> ranges(1);
  std::uint64_t all = 0;
  for (const auto& run : runs) all += FileBytes(run->meta());
  if (bytes_min > 0) parts = std::min<std::uint64_t>(parts, all / bytes_min);
  if (parts < 2) return ranges;
  VARVE_ASSIGN(const auto weights, WeightsOf(runs));
  for (std::string& cut : CutsOf(weights, parts, static_cast<double>(bytes_min))) {
    ranges.back().upper = cut;
    ranges.push_back({.lower = std::move(cut), .upper = std::nullopt});
  }
  return ranges;
}

}  // namespace varve
