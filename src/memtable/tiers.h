// SPDX-License-Identifier: Apache-2.0
// Tiers: which layers to merge when. The writer's half of a memtable; readers see what it gives.
//
// A layer's tier is its size class: 1-7 rows, 8-63, 64-511, 512-4095, and above. When a tier holds
// kTierFanOut layers, or would together with the next pass kLayerRowsMax rows, they become one
// layer of a higher tier. Layers of kLayerRowsMax / 2 rows and more are full and stay as they are.
// So a row is merged at most five times, one insert merges at most some kLayerRowsMax rows in each
// tier, and n rows lie in at most 2 n / kLayerRowsMax + 5 (kTierFanOut - 1) layers.
//
// A merge that is refused memory is left to the next insert: until then there are more layers.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "memtable/layer.h"

namespace varve {

inline constexpr std::size_t kLayerRowsMax = 32768;  // a larger batch stays one layer
inline constexpr std::size_t kTierFanOut = 8;
inline constexpr std::size_t kTiers = 5;

class Tiers {
 public:
  explicit Tiers(const TableSchema* schema) : schema_(schema) {}

  // Throws std::bad_alloc when there is no memory for the layer's place, and nothing changed.
  void Add(LayerPtr layer);
  // Full layers: a list that is shared, since it is long and changes seldom.
  const std::shared_ptr<const std::vector<LayerPtr>>& full() const { return full_; }
  std::vector<LayerPtr> open() const;  // the others, at most kTiers * (kTierFanOut - 1)
  std::size_t open_count() const;
  void CopyOpen(std::vector<LayerPtr>* layers) const;  // behind those that are there
  std::uint64_t bytes() const { return bytes_; }  // of memory, all layers

 private:
  struct Tier {
    std::vector<LayerPtr> layers;
    std::size_t rows = 0;
  };
  void AddFull(LayerPtr layer);
  void Merge(Tier* tier);  // into one layer, elsewhere

  const TableSchema* const schema_;
  std::array<Tier, kTiers> tiers_;
  std::uint64_t bytes_ = 0;
  std::shared_ptr<const std::vector<LayerPtr>> full_ =
      std::make_shared<const std::vector<LayerPtr>>();
};

}  // namespace varve
