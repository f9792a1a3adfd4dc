// SPDX-License-Identifier: Apache-2.0
// Text of any origin: which of its bytes are characters, and what a terminal may be given of it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace varve::cli {

// Bytes of the character that begins at `i`; 0 when they are no UTF-8 (overlong forms, surrogates
// and what lies beyond U+10FFFF included).
std::size_t CharacterAt(std::string_view text, std::size_t i);

// Control characters, which a terminal would obey, and bytes that are no UTF-8, which it may take
// for some, are written out: \x1b, \u009b.
std::string ShownText(std::string_view text);

}  // namespace varve::cli
