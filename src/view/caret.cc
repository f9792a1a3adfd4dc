// SPDX-License-Identifier: Apache-2.0
#include "view/caret.h"

#include <algorithm>
#include <numeric>

namespace varve {
namespace {

constexpr std::size_t kBeforeMax = 50;  // bytes of the text shown before the place
constexpr std::size_t kAfterMax = 50;   // and after its start

bool IsContinuation(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; }

// Width on a terminal: one per code point (wide characters are off by one; names rarely have any).
std::size_t Width(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return !IsContinuation(c); }));
}

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) { return Lower(c); });
  return lower;
}

// Levenshtein distance, one row at a time (Wagner and Fischer 1974).
std::size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replace = diagonal + (a[i - 1] != b[j - 1] ? 1 : 0);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replace});
    }
  }
  return row[b.size()];
}

}  // namespace

Error CaretError(std::string_view text, TextSpan where, std::string_view message) {
  const std::size_t begin = std::min(where.begin, text.size());
  const std::size_t end = std::clamp(where.end, begin, text.size());
  std::size_t first = begin > kBeforeMax ? begin - kBeforeMax : 0;
  while (first < begin && IsContinuation(text[first])) ++first;
  std::size_t last = std::min(text.size(), begin + kAfterMax);
  while (last < text.size() && IsContinuation(text[last])) ++last;

  std::string shown = first > 0 ? "..." : "";
  const std::size_t indent = shown.size() + Width(text.substr(first, begin - first));
  shown += text.substr(first, last - first);
  if (last < text.size()) shown += "...";
  for (char& c : shown) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = ' ';
  }
  const std::size_t marked = Width(text.substr(begin, std::min(end, last) - begin));
  std::string caret(indent, ' ');
  caret += '^';
  if (marked > 1) caret.append(marked - 1, '~');
  return Error(ErrorKind::kInvalid,
               std::string(message) + "\n  " + shown + "\n  " + caret);
}

std::string DidYouMean(std::string_view name, const std::vector<std::string>& candidates) {
  constexpr std::size_t kNameBytesMax = 200;  // longer ones are no typing mistakes
  if (name.empty() || name.size() > kNameBytesMax) return "";
  const std::string wanted = Lower(name);
  const std::string* best = nullptr;
  std::size_t best_distance = std::max<std::size_t>(1, name.size() / 3) + 1;
  for (const std::string& candidate : candidates) {
    if (candidate.size() > kNameBytesMax) continue;
    const std::size_t distance = EditDistance(wanted, Lower(candidate));
    if (distance < best_distance && distance < candidate.size()) {
      best = &candidate;
      best_distance = distance;
    }
  }
  return best == nullptr ? "" : "; did you mean '" + *best + "'?";
}

}  // namespace varve
