// SPDX-License-Identifier: Apache-2.0
#include "view/like_pattern.h"

namespace varve {

std::optional<LikePattern> ParseLikePattern(std::string_view pattern) {
  LikePattern result;
  bool plain = true;  // no wildcard so far
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    char c = pattern[i];
    if (c == '%' || c == '_') {
      const bool final_percent = c == '%' && i + 1 == pattern.size();
      if (plain) result.kind = final_percent ? LikeKind::kStartsWith : LikeKind::kGeneral;
      plain = false;
      continue;
    }
    if (c == '\\') {
      if (++i == pattern.size()) return std::nullopt;
      c = pattern[i];
      if (c != '%' && c != '_' && c != '\\') return std::nullopt;
    }
    if (plain) result.text.push_back(c);
  }
  return result;
}

}  // namespace varve
