// SPDX-License-Identifier: Apache-2.0
#include "memtable/tiers.h"

#include <utility>

namespace varve {
namespace {

std::size_t TierOf(std::size_t rows) {
  std::size_t tier = 0;
  for (; rows >= kTierFanOut && tier + 1 < kTiers; rows /= kTierFanOut) ++tier;
  return tier;
}

}  // namespace

void Tiers::Add(LayerPtr layer) {
  const std::size_t rows = layer->entries.size();
  bytes_ += layer->bytes();
  if (rows >= kLayerRowsMax / 2) {
    auto full = std::make_shared<std::vector<LayerPtr>>(*full_);
    full->push_back(std::move(layer));
    full_ = std::move(full);
    return;
  }
  Tier& tier = tiers_[TierOf(rows)];
  if (tier.rows + rows > kLayerRowsMax) Add(Merge(&tier));  // gives a full layer
  tier.layers.push_back(std::move(layer));
  tier.rows += rows;
  if (tier.layers.size() == kTierFanOut) Add(Merge(&tier));
}

LayerPtr Tiers::Merge(Tier* tier) {
  const Tier merged = std::exchange(*tier, {});
  for (const auto& layer : merged.layers) bytes_ -= layer->bytes();
  return MergeLayers(*schema_, merged.layers);
}

std::vector<LayerPtr> Tiers::open() const {
  std::size_t count = 0;
  for (const Tier& tier : tiers_) count += tier.layers.size();
  std::vector<LayerPtr> layers;
  layers.reserve(count);
  for (const Tier& tier : tiers_) {
    layers.insert(layers.end(), tier.layers.begin(), tier.layers.end());
  }
  return layers;
}

}  // namespace varve
