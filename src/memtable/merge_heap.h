// SPDX-License-Identifier: Apache-2.0
// MergeHeap: the smallest of k sorted streams on top, and the next one beside it.
//
// A binary heap whose top is moved in place: advancing the top stream and restoring the order is
// one sift down, not a pop and a push. `Before` is a strict order on items; TopMoved and second are
// what std::priority_queue does not give.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

namespace varve {

template <typename T, typename Before>
class MergeHeap {
 public:
  bool empty() const { return items_.empty(); }
  std::size_t size() const { return items_.size(); }
  T& top() { return items_.front(); }
  const T& top() const { return items_.front(); }

  // The item that would be on top if the top were not there; null when it is alone.
  const T* second() const {
    if (items_.size() < 2) return nullptr;
    if (items_.size() == 2 || before_(items_[1], items_[2])) return &items_[1];
    return &items_[2];
  }

  void Push(T item) {
    items_.push_back(std::move(item));
    std::size_t at = items_.size() - 1;
    while (at > 0 && before_(items_[at], items_[(at - 1) / 2])) {
      std::swap(items_[at], items_[(at - 1) / 2]);
      at = (at - 1) / 2;
    }
  }

  // The top stands elsewhere in its stream now.
  void TopMoved() {
    const std::size_t size = items_.size();
    std::size_t at = 0;
    while (true) {
      std::size_t child = 2 * at + 1;
      if (child >= size) return;
      if (child + 1 < size && before_(items_[child + 1], items_[child])) ++child;
      if (!before_(items_[child], items_[at])) return;
      std::swap(items_[at], items_[child]);
      at = child;
    }
  }

  // The top's stream has ended.
  void Pop() {
    items_.front() = std::move(items_.back());
    items_.pop_back();
    if (!items_.empty()) TopMoved();
  }

  // All items, for changing them one by one, after which the order must be made again: take them,
  // then Push.
  std::vector<T> Take() { return std::exchange(items_, {}); }

 private:
  std::vector<T> items_;
  [[no_unique_address]] Before before_;
};

}  // namespace varve
