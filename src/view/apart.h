// SPDX-License-Identifier: Apache-2.0
// Which of many spans of keys no other one touches.
#pragma once

#include <string_view>
#include <vector>

namespace varve {

// The keys from the first to the last, both included; `first` is not above `last`.
struct KeySpan {
  std::string_view first;
  std::string_view last;
};

// Of each span: whether it has no key in common with any other. In O(n log n).
std::vector<bool> WhichLieApart(const std::vector<KeySpan>& spans);

}  // namespace varve
