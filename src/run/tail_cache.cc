// SPDX-License-Identifier: Apache-2.0
#include "run/tail_cache.h"

#include <algorithm>
#include <utility>

#include "run/run_file.h"

namespace varve {

std::uint64_t Tails::memory_bytes() const {
  return (data == nullptr ? 0 : data->memory_bytes()) +
         (deletes == nullptr ? 0 : deletes->memory_bytes());
}

TailsPtr TailCache::Find(Slot* slot) {
  TailsPtr found;
  std::uint64_t counted = 0;
  {
    std::lock_guard lock(slot->mutex_);
    found = slot->tails_;
    counted = slot->counted_;
    slot->used_ = true;
    if (found == nullptr && (found = slot->used_by_.lock())) counted = found->memory_bytes();
  }
  Counts& counts = CountsOf(slot);
  (found == nullptr ? counts.misses : counts.hits).fetch_add(1, std::memory_order_relaxed);
  if (found != nullptr && found->memory_bytes() != counted) Recount(slot, found);
  return found;
}

TailsPtr TailCache::Insert(Slot* slot, TailsPtr tails) {
  const std::uint64_t bytes = tails->memory_bytes();
  std::list<TailsPtr> dropped;  // ends after the lock
  std::lock_guard lock(mutex_);
  {
    std::lock_guard slot_lock(slot->mutex_);
    if (slot->tails_ != nullptr) return slot->tails_;
    if (auto used = slot->used_by_.lock()) return used;
    slot->used_by_ = tails;
  }
  if (bytes > bytes_max_) return tails;
  MakeRoom(bytes_max_ - bytes, slot, &dropped);
  slot->place_ = slots_.insert(hand_, slot);
  slot->bytes_ = bytes;
  bytes_ += bytes;
  std::lock_guard slot_lock(slot->mutex_);
  slot->tails_ = tails;
  slot->counted_ = bytes;
  slot->used_ = false;  // what is read once goes before what is read again
  return tails;
}

// What they take has grown, since readers keep what they will need again.
void TailCache::Recount(Slot* slot, const TailsPtr& tails) {
  std::list<TailsPtr> dropped;
  std::lock_guard lock(mutex_);
  {
    std::lock_guard slot_lock(slot->mutex_);
    if (slot->tails_ != tails) return;
    slot->counted_ = tails->memory_bytes();
    bytes_ += slot->counted_ - slot->bytes_;
    slot->bytes_ = slot->counted_;
  }
  MakeRoom(bytes_max_, slot, &dropped);
}

// Slots that were used since the hand came by are passed over once.
void TailCache::MakeRoom(std::uint64_t bytes_max, const Slot* but, std::list<TailsPtr>* dropped) {
  while (bytes_ > bytes_max && !slots_.empty()) {
    if (hand_ == slots_.end()) hand_ = slots_.begin();
    Slot* const slot = *hand_;
    bool used = false;
    {
      std::lock_guard slot_lock(slot->mutex_);
      used = std::exchange(slot->used_, false);
    }
    if ((used || slot == but) && slots_.size() > 1) {
      ++hand_;
      continue;
    }
    dropped->emplace_back();
    Forget(slot, &dropped->back());
  }
}

void TailCache::Forget(Slot* slot, TailsPtr* dropped) {
  if (hand_ == slot->place_) ++hand_;
  slots_.erase(slot->place_);
  bytes_ -= std::exchange(slot->bytes_, 0);
  std::lock_guard slot_lock(slot->mutex_);
  *dropped = std::move(slot->tails_);
  slot->tails_ = nullptr;
}

void TailCache::GiveUp(std::uint64_t bytes) {
  std::list<TailsPtr> dropped;  // ends after the lock
  std::lock_guard lock(mutex_);
  MakeRoom(bytes_ - std::min(bytes_, bytes), nullptr, &dropped);
}

void TailCache::Drop(Slot* slot) {
  TailsPtr dropped;
  std::lock_guard lock(mutex_);
  if (slot->bytes_ > 0) Forget(slot, &dropped);
}

TailCache::Stats TailCache::stats() const {
  Stats stats;
  for (const Counts& counts : counts_) {
    stats.hits += counts.hits.load(std::memory_order_relaxed);
    stats.misses += counts.misses.load(std::memory_order_relaxed);
  }
  std::lock_guard lock(mutex_);
  stats.bytes = bytes_;
  stats.runs = slots_.size();
  return stats;
}

}  // namespace varve
