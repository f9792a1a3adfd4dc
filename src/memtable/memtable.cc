// SPDX-License-Identifier: Apache-2.0
#include "memtable/memtable.h"

#include <arrow/record_batch.h>

#include <utility>

#include "base/check.h"
#include "memtable/layer.h"
#include "memtable/layer_window.h"
#include "memtable/memtable_cursor.h"
#include "memtable/tiers.h"

namespace varve {

// What readers see; immutable.
struct Memtable::Layers {
  std::shared_ptr<const std::vector<LayerPtr>> full;
  std::vector<LayerPtr> open;
};

Memtable::Memtable(std::shared_ptr<const TableSchema> schema)
    : schema_(std::move(schema)), tiers_(std::make_unique<Tiers>(schema_.get())) {
  layers_ = std::make_shared<const Layers>(Layers{tiers_->full(), {}});
}

Memtable::~Memtable() = default;

std::shared_ptr<const Memtable::Layers> Memtable::layers() const {
  std::lock_guard lock(layers_mutex_);
  return layers_;
}

void Memtable::Insert(WriteBatch batch, std::uint64_t commit) {
  const std::int64_t rows = batch.keys.size();
  if (rows == 0) return;
  const bool deletes = batch.kind == RowKind::kDelete;
  VARVE_CHECK(deletes || batch.rows->num_rows() == rows);
  LayerPtr layer = MakeLayer(std::move(batch), commit);  // sorts, outside the lock

  std::lock_guard lock(insert_mutex_);
  tiers_->Add(std::move(layer));
  auto next = std::make_shared<const Layers>(Layers{tiers_->full(), tiers_->open()});
  bytes_.store(tiers_->bytes(), std::memory_order_relaxed);
  if (commit < min_commit()) min_commit_.store(commit, std::memory_order_relaxed);
  rows_.fetch_add(static_cast<std::uint64_t>(rows), std::memory_order_relaxed);
  if (deletes) {
    delete_rows_.fetch_add(static_cast<std::uint64_t>(rows), std::memory_order_relaxed);
  }
  {
    std::lock_guard pointer_lock(layers_mutex_);
    layers_.swap(next);
  }
  // `next` holds the old list: freed here, not under the readers' lock.
}

std::unique_ptr<VersionCursor> Memtable::NewCursor(const std::vector<int>& columns,
                                                   const KeyBounds& bounds) const {
  const auto now = layers();
  std::vector<LayerPtr> all = *now->full;
  all.insert(all.end(), now->open.begin(), now->open.end());
  return std::make_unique<MemtableCursor>(std::move(all), *schema_, columns, bounds);
}

std::unique_ptr<VersionCursor> Memtable::NewCursor(const std::vector<int>& columns,
                                                   const KeyBounds& bounds,
                                                   const CommitWindow& window) const {
  const auto now = layers();
  std::vector<LayerPtr> cuts;
  for (const auto* layers : {now->full.get(), &now->open}) {
    for (const auto& layer : *layers) {
      if (auto cut = CutLayer(layer, window)) cuts.push_back(std::move(cut));
    }
  }
  return std::make_unique<MemtableCursor>(std::move(cuts), *schema_, columns, bounds);
}

void Memtable::CountCommits(const CommitWindow& window, const CountCommit& count) const {
  const auto now = layers();
  for (const auto* layers : {now->full.get(), &now->open}) {
    for (const auto& layer : *layers) varve::CountCommits(*layer, window, count);
  }
}

namespace {

// The newest entry of `key` with commit <= `as_of` in one layer; null when there is none.
const Entry* FindInLayer(const Layer& layer, std::string_view key, std::uint64_t as_of) {
  const Entry* const end = layer.entries.data() + layer.entries.size();
  if (end[-1].key() < key) return nullptr;
  const Entry* at = FirstAtLeast(layer.entries.data(), end, key);
  while (at < end && at->key() == key && at->commit() > as_of) ++at;
  return at < end && at->key() == key ? at : nullptr;
}

}  // namespace

std::optional<Memtable::Hit> Memtable::Get(std::string_view key, std::uint64_t as_of) const {
  const auto now = layers();
  const Entry* newest = nullptr;
  const auto look = [&](const std::vector<LayerPtr>& layers) {
    for (const auto& layer : layers) {
      if (layer->min_commit > as_of) continue;
      const Entry* const found = FindInLayer(*layer, key, as_of);
      if (found && (!newest || found->commit() > newest->commit())) newest = found;
    }
  };
  look(*now->full);
  look(now->open);
  if (newest == nullptr) return std::nullopt;
  if (newest->source->kind == RowKind::kDelete) {
    return Hit{newest->commit(), RowKind::kDelete, nullptr, 0};
  }
  return Hit{newest->commit(), RowKind::kUpsert, newest->source->rows, newest->row};
}

}  // namespace varve
