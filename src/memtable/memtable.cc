// SPDX-License-Identifier: Apache-2.0
#include "memtable/memtable.h"

#include <arrow/record_batch.h>

#include <algorithm>
#include <utility>

#include "base/executor.h"
#include "base/out_of_memory.h"
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

Memtable::Memtable(std::shared_ptr<const TableSchema> schema, Executor* executor,
                   std::shared_ptr<MemoryBudget> budget)
    : schema_(std::move(schema)),
      executor_(executor),
      booking_(std::move(budget), MemoryHolder::kMemtables),
      tiers_(std::make_unique<Tiers>(
          schema_.get(), executor ? LargeMerges::kLeftToOthers : LargeMerges::kAtOnce)) {
  layers_ = std::make_shared<const Layers>(Layers{tiers_->full(), {}});
}

// One after the other: they must not end each other, however many they are.
Memtable::~Memtable() {
  while (waiting_ != nullptr) waiting_ = std::exchange(waiting_->next_waiting, nullptr);
}

std::shared_ptr<const Memtable::Layers> Memtable::layers() const {
  std::lock_guard lock(layers_mutex_);
  if (waiting_ == nullptr) return layers_;
  auto all = std::make_shared<Layers>(*layers_);
  for (auto at = waiting_; at != nullptr; at = at->next_waiting) all->open.push_back(at);
  return all;
}

void Memtable::Insert(NewRows rows, std::uint64_t commit) noexcept {
  if (rows.layer == nullptr) return;
  const bool deletes = rows.source->kind == RowKind::kDelete;
  const auto count = static_cast<std::uint64_t>(rows.layer->entries.size());
  const LayerPtr layer = AtCommit(std::move(rows), commit);

  std::unique_lock lock(insert_mutex_);
  if (commit < min_commit()) min_commit_.store(commit, std::memory_order_relaxed);
  rows_.fetch_add(count, std::memory_order_relaxed);
  if (deletes) delete_rows_.fetch_add(count, std::memory_order_relaxed);
  const auto show = [&] { Show([&] { tiers_->Add(layer); }); };
  if (waiting_ != nullptr || !HadMemory(show)) {
    Wait(layer);
    (void)HadMemory([this] { ShowWaiting(); });
  }
  const bool submits = NeedsMergeTask();
  lock.unlock();
  if (submits) SubmitMergeTask();
}

// Changes the tiers and shows what there is then; or throws, and nothing changed. `waited` is a
// layer that the tiers have from now on.
template <typename Change>
void Memtable::Show(const Change& change, const LayerPtr& waited) {
  auto next = std::make_shared<Layers>();
  next->open.reserve(tiers_->open_count() + 1);  // merges only leave fewer
  change();
  next->full = tiers_->full();
  tiers_->CopyOpen(&next->open);
  std::shared_ptr<const Layers> shown = std::move(next);
  {
    std::lock_guard lock(layers_mutex_);
    layers_.swap(shown);
    if (waited != nullptr) waiting_ = std::exchange(waited->next_waiting, nullptr);
  }
  bytes_.store(tiers_->bytes() + WaitingBytes(), std::memory_order_relaxed);
  booking_.Set(bytes());
  // `shown` holds the old list: freed here, not under the readers' lock.
}

void Memtable::ShowWaiting() {
  while (waiting_ != nullptr) {
    const LayerPtr layer = waiting_;
    Show([&] { tiers_->Add(layer); }, layer);
  }
}

void Memtable::Wait(const LayerPtr& layer) noexcept {
  bytes_.fetch_add(layer->bytes(), std::memory_order_relaxed);
  booking_.Set(bytes());
  std::lock_guard lock(layers_mutex_);
  layer->next_waiting = std::exchange(waiting_, layer);
}

std::uint64_t Memtable::WaitingBytes() const {
  std::uint64_t bytes = 0;
  for (const Layer* at = waiting_.get(); at != nullptr; at = at->next_waiting.get()) {
    bytes += at->bytes();
  }
  return bytes;
}

void Memtable::BookAs(MemoryHolder holder) {
  std::lock_guard lock(insert_mutex_);
  booking_.MoveTo(holder);
}

// --- merges of many rows, in a task ---

bool Memtable::NeedsMergeTask() {
  if (executor_ == nullptr || merging_ || !tiers_->IsDue()) return false;
  merging_ = true;
  return true;
}

void Memtable::SubmitMergeTask() noexcept {
  const auto task = [memtable = weak_from_this()] {
    if (const auto self = memtable.lock()) self->RunMerge();
  };
  if (HadMemory([&] { executor_->Submit(task); })) return;
  std::lock_guard lock(insert_mutex_);
  merging_ = false;  // the next insert asks again
}

// One merge: then other tasks of the executor have their turn, and a memtable that nobody wants any
// more is let go.
void Memtable::RunMerge() noexcept {
  std::optional<Tiers::Merge> merge;  // its layers are freed at the end, while others insert
  LayerPtr merged;
  std::unique_lock lock(insert_mutex_);
  const bool begun = HadMemory([&] { merge = tiers_->Begin(); }) && merge.has_value();
  if (begun) {
    lock.unlock();
    (void)HadMemory([&] { merged = MergeLayers(*schema_, merge->layers); });
    lock.lock();
  }
  const auto finish = [&] { Show([&] { tiers_->Finish(*merge, merged); }); };
  const bool finished = merged != nullptr && HadMemory(finish);
  if (begun && !finished) tiers_->GiveUp(*merge);
  merging_ = false;
  const bool more = finished && NeedsMergeTask();  // without memory the next insert asks
  lock.unlock();
  if (more) SubmitMergeTask();
}

// --- reading ---

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

// The newest entry of `key` with commit <= `as_of` in one layer; null when there is none. Keys are
// looked at only where prefixes are equal: they lie elsewhere in memory, one for each entry.
const Entry* FindInLayer(const Layer& layer, std::string_view key, std::uint64_t prefix,
                         std::uint64_t as_of) {
  const auto& entries = layer.entries;
  if (entries.back().prefix < prefix || prefix < entries.front().prefix) return nullptr;
  const Entry* const end = entries.data() + entries.size();
  const Entry* at = std::partition_point(entries.data(), end, [&](const Entry& entry) {
    return entry.prefix != prefix ? entry.prefix < prefix : entry.key() < key;
  });
  for (; at < end && at->prefix == prefix && at->key() == key; ++at) {
    if (at->commit() <= as_of) return at;
  }
  return nullptr;
}

}  // namespace

std::optional<Memtable::Hit> Memtable::Get(std::string_view key, std::uint64_t as_of) const {
  const auto now = layers();
  const auto prefix = KeyPrefix(key);
  const Entry* newest = nullptr;
  const auto look = [&](const std::vector<LayerPtr>& layers) {
    for (const auto& layer : layers) {
      if (layer->min_commit > as_of) continue;
      if (newest && layer->max_commit < newest->commit()) continue;
      const Entry* const found = FindInLayer(*layer, key, prefix, as_of);
      if (found && (!newest || found->commit() > newest->commit())) newest = found;
    }
  };
  look(now->open);
  look(*now->full);
  if (newest == nullptr) return std::nullopt;
  if (newest->source->kind == RowKind::kDelete) {
    return Hit{newest->commit(), RowKind::kDelete, nullptr, 0};
  }
  return Hit{newest->commit(), RowKind::kUpsert, newest->source->rows, newest->row};
}

}  // namespace varve
