// SPDX-License-Identifier: Apache-2.0
// Splits CSV text (RFC 4180) into fields. A field is quoted when it starts with a quote; quotes
// elsewhere are text. Lines end with \n, \r\n or \r; a quoted field may hold any of them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace varve::cli {

struct CsvField {
  std::uint32_t begin = 0;  // offset of its first byte, after the quote
  std::uint32_t size = 0;   // bytes, as written
  bool quoted = false;
  bool escaped = false;  // has doubled quotes: read it through UnescapeCsv
};

enum class CsvRowEnd {
  kRow,           // a row was read
  kBlank,         // an empty line: no row
  kMoreText,      // the text ends inside the row; nothing was read
  kOpenQuote,     // the input ends inside a quoted field that starts at *next
  kTextAfterQuote // something other than a separator follows the closing quote at *next
};

// Reads the row that starts at `begin`, appends its fields, and sets *next after its line end.
// `at_end`: no text follows `text`.
CsvRowEnd TokenizeCsvRow(std::string_view text, std::size_t begin, bool at_end, char separator,
                         std::vector<CsvField>* fields, std::size_t* next);

std::string UnescapeCsv(std::string_view field);

}  // namespace varve::cli
