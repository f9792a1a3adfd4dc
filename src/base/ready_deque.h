// SPDX-License-Identifier: Apache-2.0
// ReadyDeque: a queue that can take memory for its next element before there is one, so that adding
// it cannot fail any more.
#pragma once

#include <cstddef>
#include <deque>
#include <iterator>
#include <type_traits>
#include <utility>

#include "base/check.h"

namespace varve {

// Of values that cost nothing while they are empty. Not thread-safe.
template <typename T>
class ReadyDeque {
 public:
  using const_iterator = typename std::deque<T>::const_iterator;

  // Memory for the next element; throws std::bad_alloc, and nothing changed. Once it returned, one
  // more AddReady cannot fail. Again without an AddReady it does nothing.
  void MakeReady() {
    if (ready_) return;
    values_.emplace_back();
    ready_ = true;
  }
  // Requires MakeReady since the last one.
  void AddReady(T value) noexcept {
    static_assert(std::is_nothrow_move_assignable_v<T>);
    VARVE_CHECK(ready_);
    values_.back() = std::move(value);
    ready_ = false;
  }

  bool empty() const { return size() == 0; }
  std::size_t size() const { return values_.size() - (ready_ ? 1 : 0); }
  const T& front() const { return values_.front(); }
  const T& back() const { return values_[size() - 1]; }
  T& operator[](std::size_t i) { return values_[i]; }
  const T& operator[](std::size_t i) const { return values_[i]; }
  void pop_front() { values_.pop_front(); }

  const_iterator begin() const { return values_.begin(); }
  const_iterator end() const { return values_.end() - (ready_ ? 1 : 0); }
  auto rbegin() const { return std::make_reverse_iterator(end()); }
  auto rend() const { return std::make_reverse_iterator(begin()); }

 private:
  std::deque<T> values_;  // and, when one is ready, its place at the end
  bool ready_ = false;
};

}  // namespace varve
