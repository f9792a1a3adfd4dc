// SPDX-License-Identifier: Apache-2.0
// LIKE patterns: % is any run of characters, _ any one; \% \_ \\ stand for themselves.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace varve {

enum class LikeKind : std::uint8_t {
  kEqual,       // no wildcard: `text` itself
  kStartsWith,  // `text` and a final %, no other wildcard
  kGeneral,     // `text` is what stands before the first wildcard
};

struct LikePattern {
  LikeKind kind = LikeKind::kEqual;
  std::string text;  // unescaped
};

// Nothing when a backslash stands before anything else, or last.
std::optional<LikePattern> ParseLikePattern(std::string_view pattern);

}  // namespace varve
