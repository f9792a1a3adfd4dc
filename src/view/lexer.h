// SPDX-License-Identifier: Apache-2.0
// Lexer of the filter language: text to tokens, each with its place.
//
//   name       [A-Za-z_] or any byte >= 0x80, then also digits; keywords are names here
//   "name"     any characters; "" is one quote
//   'string'   any characters; '' is one quote; no other escapes
//   x'0aff'    bytes in hexadecimal
//   number     12  1.5  .5  1e-3
//   symbol     ( ) , . + - * / = == != <> < <= > >=
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "varve/error.h"
#include "view/caret.h"

namespace varve {

enum class TokenKind : std::uint8_t {
  kName,
  kQuotedName,
  kString,
  kBytes,
  kInteger,
  kFloat,
  kSymbol,
  kEnd,
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  std::string text;  // unquoted, unescaped; of a symbol its canonical form ("==" becomes "=")
  TextSpan span;
};

// The last token is kEnd. Invalid on text over 64 KiB, text that is not UTF-8, an unclosed quote,
// or a character that starts no token.
Result<std::vector<Token>> Tokenize(std::string_view text);

inline constexpr std::size_t kFilterBytesMax = 64 << 10;

}  // namespace varve
