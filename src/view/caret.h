// SPDX-License-Identifier: Apache-2.0
// Errors that point into a text, and names that were probably meant.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "varve/error.h"

namespace varve {

// Bytes [begin, end) of a text that a person typed.
struct TextSpan {
  std::size_t begin = 0;
  std::size_t end = 0;
};

// Invalid, with three lines: the message, the text (only what is near the place when it is long),
// and a caret under the first character of `where`, followed by tildes up to its last. A span at
// the end of the text puts the caret behind it.
Error CaretError(std::string_view text, TextSpan where, std::string_view message);

// "; did you mean 'dep_delay'?" when a candidate is close to `name` (by case, or by a few edits),
// empty otherwise.
std::string DidYouMean(std::string_view name, const std::vector<std::string>& candidates);

}  // namespace varve
