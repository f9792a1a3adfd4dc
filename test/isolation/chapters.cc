// SPDX-License-Identifier: Apache-2.0
#include "test/isolation/chapters.h"

#include <algorithm>

namespace varve::testing {

void Chapters::Begin(std::size_t writer, std::uint64_t commit, const List& list) {
  all_.push_back({.commit = commit, .writer = writer, .absent = list.empty(), .longest = list});
}

void Chapters::Sort() {
  std::sort(all_.begin(), all_.end(), [](auto& a, auto& b) { return a.commit < b.commit; });
  for (std::size_t i = 0; i < all_.size(); ++i) {
    if (!all_[i].absent) by_first_[all_[i].longest.front()] = i;
  }
}

void Chapters::NoteFirst(Value first, std::uint64_t snapshot) {
  by_first_.emplace(first, Of({}, snapshot));
}

std::size_t Chapters::Of(const List& list, std::uint64_t snapshot) const {
  if (!list.empty()) {
    const auto at = by_first_.find(list.front());
    return at == by_first_.end() ? 0 : at->second;
  }
  auto chapter = all_.size() - 1;
  while (chapter > 0 && (!all_[chapter].absent || all_[chapter].commit > snapshot)) --chapter;
  return chapter;
}

void Chapters::Offer(const List& list, std::uint64_t snapshot) {
  auto& longest = all_[Of(list, snapshot)].longest;
  if (list.size() > longest.size()) longest = list;
}

}  // namespace varve::testing
