// SPDX-License-Identifier: Apache-2.0
#include "memtable/tiers.h"

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

void Tiers::Add(LayerPtr layer) {
  const std::size_t rows = layer->entries.size();
  const std::uint64_t bytes = layer->bytes();
  if (rows >= kLayerRowsMax / 2) {
    AddFull(std::move(layer));
    bytes_ += bytes;
    return;
  }
  Tier& tier = tiers_[TierOf(rows)];
  if (tier.rows + rows > kLayerRowsMax) Merge(&tier);  // gives a full layer
  if (tier.layers.capacity() == 0) tier.layers.reserve(kTierFanOut);
  tier.layers.push_back(std::move(layer));
  tier.rows += rows;
  bytes_ += bytes;
  if (tier.layers.size() >= kTierFanOut) Merge(&tier);
}

void Tiers::AddFull(LayerPtr layer) {
  auto full = std::make_shared<std::vector<LayerPtr>>();
  full->reserve(full_->size() + 1);
  full->assign(full_->begin(), full_->end());
  full->push_back(std::move(layer));
  full_ = std::move(full);
}

void Tiers::Merge(Tier* tier) {
  const bool merged = HadMemory([&] { Add(MergeLayers(*schema_, tier->layers)); });
  if (!merged) return;
  for (const auto& layer : tier->layers) bytes_ -= layer->bytes();
  tier->layers.clear();
  tier->rows = 0;
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
