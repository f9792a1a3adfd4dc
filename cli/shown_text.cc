// SPDX-License-Identifier: Apache-2.0
#include "shown_text.h"

#include <fmt/format.h>

#include <cstdint>

namespace varve::cli {

std::size_t CharacterAt(std::string_view text, std::size_t i) {
  const auto byte = [&](std::size_t at) -> std::uint8_t {
    return at < text.size() ? static_cast<std::uint8_t>(text[at]) : 0;
  };
  const auto later = [&](std::size_t at) { return (byte(at) & 0xC0) == 0x80; };
  const std::uint8_t first = byte(i), second = byte(i + 1);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return later(i + 1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    if (first == 0xE0 && second < 0xA0) return 0;
    if (first == 0xED && second > 0x9F) return 0;
    return later(i + 1) && later(i + 2) ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    if (first == 0xF0 && second < 0x90) return 0;
    if (first == 0xF4 && second > 0x8F) return 0;
    return later(i + 1) && later(i + 2) && later(i + 3) ? 4 : 0;
  }
  return 0;
}

std::string ShownText(std::string_view text) {
  std::string shown;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t size = CharacterAt(text, i);
    const auto first = static_cast<std::uint8_t>(text[i]);
    if (size == 0 || first < 0x20 || first == 0x7f) {
      shown += fmt::format("\\x{:02x}", first);
      ++i;
      continue;
    }
    // U+0080 to U+009F, the other set of controls: C2 80 to C2 9F.
    const auto second = size == 2 ? static_cast<std::uint8_t>(text[i + 1]) : std::uint8_t{0xff};
    if (first == 0xc2 && second < 0xa0) {
      shown += fmt::format("\\u{:04x}", second);
    } else {
      shown += text.substr(i, size);
    }
    i += size;
  }
  return shown;
}

}  // namespace varve::cli
