// SPDX-License-Identifier: Apache-2.0
#include "memtable/layer_window.h"

#include <algorithm>
#include <iterator>
#include <memory>

namespace varve {
namespace {

// Below this part of a layer its few rows in the window are sorted again; from it on the whole
// layer, which is sorted, is filtered.
constexpr std::size_t kFilterPart = 8;

// Calls `each` for every row of the source that lies in the window.
template <typename Each>
void ForRows(const Source& source, const CommitWindow& window, const Each& each) {
  if (!window.Overlaps(source.min_commit, source.max_commit)) return;
  const std::int64_t rows = source.keys.size();
  for (std::int64_t row = 0; row < rows; ++row) {
    if (source.commits.empty() || window.Contains(source.commits[static_cast<std::size_t>(row)])) {
      each(row);
    }
  }
}

}  // namespace

LayerPtr CutLayer(const LayerPtr& layer, const CommitWindow& window) {
  if (!window.Overlaps(layer->min_commit, layer->max_commit)) return nullptr;
  if (layer->min_commit > window.after && layer->max_commit <= window.through) return layer;
  auto cut = std::make_shared<Layer>();
  cut->min_commit = layer->min_commit;
  cut->max_commit = layer->max_commit;
  for (const auto& source : layer->sources) {
    const std::size_t before = cut->entries.size();
    ForRows(*source, window, [&](std::int64_t row) {
      cut->entries.push_back({KeyPrefix(source->keys[row]), source.get(), row});
    });
    if (cut->entries.size() > before) cut->sources.push_back(source);
  }
  if (cut->entries.empty()) return nullptr;
  if (cut->entries.size() < layer->entries.size() / kFilterPart) {
    std::ranges::sort(cut->entries, EntryBefore());
  } else {
    cut->entries.clear();
    std::ranges::copy_if(layer->entries, std::back_inserter(cut->entries),
                         [&](const Entry& entry) { return window.Contains(entry.commit()); });
  }
  return cut;
}

void CountCommits(const Layer& layer, const CommitWindow& window, const CountCommit& count) {
  if (!window.Overlaps(layer.min_commit, layer.max_commit)) return;
  for (const auto& source : layer.sources) {
    if (!window.Overlaps(source->min_commit, source->max_commit)) continue;
    if (source->commits.empty()) {
      count(source->max_commit, static_cast<std::uint64_t>(source->keys.size()));
      continue;
    }
    for (const std::uint64_t commit : source->commits) {
      if (window.Contains(commit)) count(commit, 1);
    }
  }
}

}  // namespace varve
