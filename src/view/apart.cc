// SPDX-License-Identifier: Apache-2.0
// Swept in the order of their first keys: of all before a span the one that reaches farthest
// decides, and of all after it the next.
#include "view/apart.h"

#include <algorithm>
#include <cstddef>
#include <numeric>

namespace varve {

std::vector<bool> WhichLieApart(const std::vector<KeySpan>& spans) {
  std::vector<std::size_t> order(spans.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::sort(order, {}, [&](std::size_t i) { return spans[i].first; });
  std::vector<bool> apart(spans.size());
  const KeySpan* farthest = nullptr;  // of the spans before
  for (std::size_t at = 0; at < order.size(); ++at) {
    const KeySpan& span = spans[order[at]];
    const bool after_all = farthest == nullptr || farthest->last < span.first;
    const bool before_next = at + 1 == order.size() || span.last < spans[order[at + 1]].first;
    apart[order[at]] = after_all && before_next;
    if (farthest == nullptr || farthest->last < span.last) farthest = &span;
  }
  return apart;
}

}  // namespace varve
