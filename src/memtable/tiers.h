// SPDX-License-Identifier: Apache-2.0
// Tiers: which layers to merge when. The writer's half of a memtable; readers see what it gives.
//
// A layer's tier is its size class: 1-7 rows, 8-63, 64-511, 512-4095, and above. When a tier holds
// kTierFanOut layers, or more than kLayerRowsMax rows, its layers become one of a higher tier.
// Layers of kLayerRowsMax / 2 rows and more are full and stay as they are. So a row is merged at
// most five times.
//
// Small merges are done by whoever adds a layer. Large ones may be left to somebody else, who asks
// for one (Begin), merges without a lock while layers are added, and brings the result (Finish).
// Whoever adds does not wait for him: a tier that meanwhile holds kTierOverdue layers is merged at
// once. So n rows lie in at most 2 n / kLayerRowsMax + 5 (kTierFanOut - 1) layers where nothing is
// left to others, and one insert merges at most some kLayerRowsMax rows in each tier.
//
// A merge that is refused memory is left to the next insert: until then there are more layers.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "memtable/layer.h"

namespace varve {

inline constexpr std::size_t kLayerRowsMax = 32768;  // a larger batch stays one layer
inline constexpr std::size_t kTierFanOut = 8;
inline constexpr std::size_t kTierOverdue = 4 * kTierFanOut;  // layers that nobody has begun with
inline constexpr std::size_t kTiers = 5;
inline constexpr std::size_t kSmallMergeRowsMax = 1024;  // merged by whoever adds a layer

enum class LargeMerges : std::uint8_t { kAtOnce, kLeftToOthers };

class Tiers {
 public:
  // A merge that somebody does without a lock. Its layers are shown until it is finished.
  struct Merge {
    std::size_t tier = 0;
    std::vector<LayerPtr> layers;
  };

  Tiers(const TableSchema* schema, LargeMerges large) : schema_(schema), large_(large) {}

  // Throws std::bad_alloc when there is no memory for the layer's place, and nothing changed.
  void Add(LayerPtr layer);

  // Whether a large merge waits for somebody.
  bool IsDue() const;
  // The next one; nothing when none is due. Throws std::bad_alloc, and nothing changed.
  std::optional<Merge> Begin();
  // `merged` in place of the merge's layers. Throws std::bad_alloc, and nothing changed.
  void Finish(const Merge& merge, LayerPtr merged);
  void GiveUp(const Merge& merge);  // is due again

  // Full layers: a list that is shared, since it is long and changes seldom.
  const std::shared_ptr<const std::vector<LayerPtr>>& full() const { return full_; }
  std::vector<LayerPtr> open() const;  // the others
  std::size_t open_count() const;
  void CopyOpen(std::vector<LayerPtr>* layers) const;  // behind those that are there
  std::uint64_t bytes() const { return bytes_; }  // of memory, all layers

 private:
  struct Tier {
    std::vector<LayerPtr> layers;
    std::size_t begun = 0;  // so many of them, the first, are being merged by somebody
    std::size_t rows = 0;   // of the others

    std::size_t waiting() const { return layers.size() - begun; }
    bool WantsMerge() const;
    std::size_t MergeEnd() const;  // behind the last layer that the next merge takes
    // Takes away the layers in [first, end), whose rows are not counted any more.
    void Erase(std::size_t first, std::size_t end);
  };
  void Put(LayerPtr layer);
  bool MustMerge(const Tier& tier) const;
  bool MergeNow(Tier* tier);  // false: there was no memory

  const TableSchema* const schema_;
  const LargeMerges large_;
  std::array<Tier, kTiers> tiers_;
  std::uint64_t bytes_ = 0;
  std::shared_ptr<const std::vector<LayerPtr>> full_ =
      std::make_shared<const std::vector<LayerPtr>>();
};

}  // namespace varve
