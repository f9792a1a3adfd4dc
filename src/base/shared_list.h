// SPDX-License-Identifier: Apache-2.0
// SharedList: a list in order whose copies share what they have in common. Copying costs a pointer
// for each chunk of a few hundred values; a change of one value costs a copy of its chunk.
//
// Thread safety: as a std::vector. Chunks that two lists share are never changed.
#pragma once

#include <algorithm>
#include <compare>
#include <cstddef>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <utility>
#include <vector>

#include "base/check.h"

namespace varve {

template <typename T>
class SharedList {
 public:
  static constexpr std::size_t kChunkMax = 512;  // of values

  struct Chunk {
    std::vector<T> values;  // at least one
    bool shared = false;    // never changed again
  };
  using ChunkPtr = std::shared_ptr<const Chunk>;

  class const_iterator {
   public:
    using value_type = T;
    using difference_type = std::ptrdiff_t;
    using reference = const T&;
    using pointer = const T*;
    using iterator_category = std::bidirectional_iterator_tag;

    const_iterator() = default;
    const T& operator*() const { return chunk_->get()->values[at_]; }
    const T* operator->() const { return &**this; }
    const_iterator& operator++() {
      if (++at_ == (*chunk_)->values.size()) {
        ++chunk_;
        at_ = 0;
      }
      return *this;
    }
    const_iterator operator++(int) { return std::exchange(*this, std::next(*this)); }
    const_iterator& operator--() {
      if (at_ == 0) {
        --chunk_;
        at_ = (*chunk_)->values.size();
      }
      --at_;
      return *this;
    }
    const_iterator operator--(int) { return std::exchange(*this, std::prev(*this)); }
    bool operator==(const const_iterator&) const = default;

   private:
    friend class SharedList;
    const_iterator(const std::shared_ptr<Chunk>* chunk, std::size_t at) : chunk_(chunk), at_(at) {}
    const std::shared_ptr<Chunk>* chunk_ = nullptr;
    std::size_t at_ = 0;
  };

  SharedList() = default;
  SharedList(std::initializer_list<T> values) : SharedList(std::vector<T>(values)) {}
  SharedList(const std::vector<T>& values) {  // as good as one: for whoever has no need to share
    for (const T& value : values) push_back(value);
  }
  SharedList(SharedList&& other) noexcept { *this = std::move(other); }
  SharedList& operator=(SharedList&& other) noexcept {
    chunks_ = std::exchange(other.chunks_, {});
    size_ = std::exchange(other.size_, 0);
    return *this;
  }
  // Of what was not shared yet, a copy.
  SharedList(const SharedList& other) : size_(other.size_) {
    chunks_.reserve(other.chunks_.size() + 1);
    for (const auto& chunk : other.chunks_) {
      chunks_.push_back(chunk->shared ? chunk : std::make_shared<Chunk>(*chunk));
    }
  }
  SharedList& operator=(const SharedList& other) { return *this = SharedList(other); }

  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  const_iterator begin() const { return {chunks_.data(), 0}; }
  const_iterator end() const { return {chunks_.data() + chunks_.size(), 0}; }
  const T& front() const { return *begin(); }
  const T& back() const { return chunks_.back()->values.back(); }
  // Costs a step for each chunk before it.
  const T& operator[](std::size_t index) const {
    auto chunk = chunks_.begin();
    for (; index >= (*chunk)->values.size(); ++chunk) index -= (*chunk)->values.size();
    return (*chunk)->values[index];
  }
  // The chunks, each of which holds the same values for as long as anybody holds it, once Share was
  // called.
  std::size_t chunks() const { return chunks_.size(); }
  ChunkPtr chunk(std::size_t index) const { return chunks_[index]; }

  // The first value of which `is_before` is false; it is true of all before and of none after.
  template <typename IsBefore>
  const_iterator PartitionPoint(const IsBefore& is_before) const {
    const auto chunk = std::ranges::partition_point(
        chunks_, [&](const auto& one) { return is_before(one->values.back()); });
    if (chunk == chunks_.end()) return end();
    const auto& values = (*chunk)->values;
    const auto at = std::ranges::partition_point(values, is_before);
    return {&*chunk, static_cast<std::size_t>(at - values.begin())};
  }

  // Iterators are of no use after any of these.
  void push_back(T value) { Insert(end(), std::move(value)); }
  void Insert(const_iterator before, T value) {
    std::size_t chunk = static_cast<std::size_t>(before.chunk_ - chunks_.data());
    std::size_t at = before.at_;
    if (at == 0 && chunk > 0) {  // also at the end of the one before
      --chunk;
      at = chunks_[chunk]->values.size();
    }
    if (chunks_.empty()) chunks_.push_back(std::make_shared<Chunk>());
    auto* values = &Own(chunk)->values;
    if (values->size() == kChunkMax) {
      // What comes last goes into a chunk of its own: lists grow at their ends.
      const std::size_t keep = at == kChunkMax ? kChunkMax : kChunkMax / 2;
      const auto rest = std::make_shared<Chunk>();
      rest->values.assign(values->begin() + static_cast<std::ptrdiff_t>(keep), values->end());
      values->resize(keep);
      chunks_.insert(chunks_.begin() + static_cast<std::ptrdiff_t>(chunk) + 1, rest);
      if (at >= keep) {
        at -= keep;
        values = &rest->values;
      }
    }
    values->insert(values->begin() + static_cast<std::ptrdiff_t>(at), std::move(value));
    ++size_;
  }
  void Replace(const_iterator at, T value) {
    Own(static_cast<std::size_t>(at.chunk_ - chunks_.data()))->values[at.at_] = std::move(value);
  }
  void Erase(const_iterator at) {
    const auto chunk = static_cast<std::size_t>(at.chunk_ - chunks_.data());
    auto& values = Own(chunk)->values;
    values.erase(values.begin() + static_cast<std::ptrdiff_t>(at.at_));
    if (values.empty()) chunks_.erase(chunks_.begin() + static_cast<std::ptrdiff_t>(chunk));
    --size_;
  }
  // A whole chunk, which another list made, to the end.
  void Append(ChunkPtr chunk) {
    VARVE_CHECK(chunk->shared && !chunk->values.empty());
    size_ += chunk->values.size();
    chunks_.push_back(std::const_pointer_cast<Chunk>(std::move(chunk)));
  }
  // From now on copies cost little. Before others see the list.
  void Share() {
    for (const auto& chunk : chunks_) {
      if (!chunk->shared) chunk->shared = true;
    }
  }

 private:
  Chunk* Own(std::size_t index) {
    auto& chunk = chunks_[index];
    if (chunk->shared) chunk = std::make_shared<Chunk>(Chunk{chunk->values, false});
    return chunk.get();
  }

  std::vector<std::shared_ptr<Chunk>> chunks_;
  std::size_t size_ = 0;
};

}  // namespace varve
