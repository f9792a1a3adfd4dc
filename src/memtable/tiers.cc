// SPDX-License-Identifier: Apache-2.0
#include "memtable/tiers.h"

#include <algorithm>
#include <utility>

#include "base/out_of_memory.h"

namespace varve {
namespace {

std::size_t TierOf(std::size_t rows) {
  std::size_t tier = 0;
  for (; rows >= kTierFanOut && tier + 1 < kTiers; rows /= kTierFanOut) ++tier;
  return tier;
}

}  // namespace

// A layer too many may wait alone: it is smaller than a full one, and goes into the next merge.
bool Tiers::Tier::WantsMerge() const {
  return waiting() >= kTierFanOut || (waiting() > 1 && rows > kLayerRowsMax);
}

// As many as make no more than kLayerRowsMax rows. Two always do: none of them is full.
std::size_t Tiers::Tier::MergeEnd() const {
  std::size_t end = begun;
  for (std::size_t taken = 0; end < layers.size(); ++end) {
    taken += layers[end]->entries.size();
    if (taken > kLayerRowsMax) break;
  }
  return end;
}

void Tiers::Tier::Erase(std::size_t first, std::size_t end) {
  layers.erase(layers.begin() + static_cast<std::ptrdiff_t>(first),
               layers.begin() + static_cast<std::ptrdiff_t>(end));
}

void Tiers::Put(LayerPtr layer) {
  const std::size_t rows = layer->entries.size();
  const std::uint64_t bytes = layer->bytes();
  if (rows >= kLayerRowsMax / 2) {
    auto full = std::make_shared<std::vector<LayerPtr>>();
    full->reserve(full_->size() + 1);
    full->assign(full_->begin(), full_->end());
    full->push_back(std::move(layer));
    full_ = std::move(full);
  } else {
    Tier& tier = tiers_[TierOf(rows)];
    if (tier.layers.capacity() == 0) tier.layers.reserve(kTierFanOut);
    tier.layers.push_back(std::move(layer));
    tier.rows += rows;
  }
  bytes_ += bytes;
}

void Tiers::Add(LayerPtr layer) {
  Put(std::move(layer));
  for (Tier& tier : tiers_) {  // what is merged goes into a higher one
    while (MustMerge(tier)) {
      if (!MergeNow(&tier)) return;
    }
  }
}

bool Tiers::MustMerge(const Tier& tier) const {
  if (!tier.WantsMerge()) return false;
  return large_ == LargeMerges::kAtOnce || tier.rows <= kSmallMergeRowsMax ||
         tier.waiting() >= kTierOverdue;
}

bool Tiers::MergeNow(Tier* tier) {
  const std::size_t first = tier->begun;
  const std::size_t end = tier->MergeEnd();
  return HadMemory([&] {
    const auto at = tier->layers.begin();
    const std::vector<LayerPtr> layers(at + static_cast<std::ptrdiff_t>(first),
                                       at + static_cast<std::ptrdiff_t>(end));
    Put(MergeLayers(*schema_, layers));
    for (const LayerPtr& layer : layers) {
      bytes_ -= layer->bytes();
      tier->rows -= layer->entries.size();
    }
    tier->Erase(first, end);
  });
}

bool Tiers::IsDue() const {
  return std::ranges::any_of(
      tiers_, [](const Tier& tier) { return tier.begun == 0 && tier.WantsMerge(); });
}

std::optional<Tiers::Merge> Tiers::Begin() {
  for (std::size_t i = 0; i < kTiers; ++i) {
    Tier& tier = tiers_[i];
    if (tier.begun > 0 || !tier.WantsMerge()) continue;
    const std::size_t end = tier.MergeEnd();
    const auto at = tier.layers.begin();
    Merge merge{i, {at, at + static_cast<std::ptrdiff_t>(end)}};
    tier.begun = end;
    for (const LayerPtr& layer : merge.layers) tier.rows -= layer->entries.size();
    return merge;
  }
  return std::nullopt;
}

void Tiers::Finish(const Merge& merge, LayerPtr merged) {
  Put(std::move(merged));
  Tier& tier = tiers_[merge.tier];
  for (const LayerPtr& layer : merge.layers) bytes_ -= layer->bytes();
  tier.Erase(0, tier.begun);
  tier.begun = 0;
}

void Tiers::GiveUp(const Merge& merge) {
  Tier& tier = tiers_[merge.tier];
  for (const LayerPtr& layer : merge.layers) tier.rows += layer->entries.size();
  tier.begun = 0;
}

std::size_t Tiers::open_count() const {
  std::size_t count = 0;
  for (const Tier& tier : tiers_) count += tier.layers.size();
  return count;
}

void Tiers::CopyOpen(std::vector<LayerPtr>* layers) const {
  for (const Tier& tier : tiers_) {
    layers->insert(layers->end(), tier.layers.begin(), tier.layers.end());
  }
}

std::vector<LayerPtr> Tiers::open() const {
  std::vector<LayerPtr> layers;
  layers.reserve(open_count());
  CopyOpen(&layers);
  return layers;
}

}  // namespace varve
