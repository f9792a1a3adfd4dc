// SPDX-License-Identifier: Apache-2.0
#include "input/csv_tokenizer.h"

#include <emmintrin.h>

#include <algorithm>
#include <bit>
#include <cstring>

namespace varve::cli {
namespace {

// What the scan of one field found at its end.
enum class FieldEnd { kSeparator, kLine, kText, kOpenQuote, kTextAfterQuote };

struct Scan {
  const char* text;
  std::size_t size;
  char separator;
  bool at_end;
};

// The first byte from `at` on that ends an unquoted field, or the end of the text. Most fields are
// short, so one look at 16 bytes finds it.
std::size_t FindEnd(const Scan& scan, std::size_t at) {
  const __m128i separator = _mm_set1_epi8(scan.separator);
  const __m128i line_feed = _mm_set1_epi8('\n');
  const __m128i carriage_return = _mm_set1_epi8('\r');
  for (; at + sizeof(__m128i) <= scan.size; at += sizeof(__m128i)) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(scan.text + at));
    const __m128i ends = _mm_or_si128(_mm_cmpeq_epi8(bytes, separator),
                                      _mm_or_si128(_mm_cmpeq_epi8(bytes, line_feed),
                                                   _mm_cmpeq_epi8(bytes, carriage_return)));
    const auto mask = static_cast<unsigned>(_mm_movemask_epi8(ends));
    if (mask != 0) return at + static_cast<unsigned>(std::countr_zero(mask));
  }
  const char stops[] = {scan.separator, '\n', '\r'};
  const std::string_view text(scan.text, scan.size);
  return std::min(text.find_first_of({stops, sizeof stops}, at), scan.size);
}

// `at` is the byte after a field. Sets *next to the first byte of what follows.
FieldEnd ReadEnd(const Scan& scan, std::size_t at, std::size_t* next) {
  *next = at;
  if (at == scan.size) return scan.at_end ? FieldEnd::kLine : FieldEnd::kText;
  *next = at + 1;
  if (scan.text[at] == scan.separator) return FieldEnd::kSeparator;
  if (scan.text[at] == '\n') return FieldEnd::kLine;
  if (scan.text[at] != '\r') {
    *next = at;
    return FieldEnd::kTextAfterQuote;
  }
  if (*next == scan.size) return scan.at_end ? FieldEnd::kLine : FieldEnd::kText;
  if (scan.text[*next] == '\n') ++*next;
  return FieldEnd::kLine;
}

FieldEnd ScanQuoted(const Scan& scan, std::size_t begin, CsvField* field, std::size_t* next) {
  *field = {static_cast<std::uint32_t>(begin + 1), 0, true, false};
  std::size_t at = begin + 1;
  while (true) {
    const auto* quote =
        static_cast<const char*>(std::memchr(scan.text + at, '"', scan.size - at));
    if (quote == nullptr) {
      *next = begin;
      return scan.at_end ? FieldEnd::kOpenQuote : FieldEnd::kText;
    }
    at = static_cast<std::size_t>(quote - scan.text) + 1;
    if (at == scan.size && !scan.at_end) return FieldEnd::kText;
    if (at == scan.size || scan.text[at] != '"') break;
    field->escaped = true;
    ++at;
  }
  field->size = static_cast<std::uint32_t>(at - 1 - field->begin);
  return ReadEnd(scan, at, next);
}

FieldEnd ScanPlain(const Scan& scan, std::size_t begin, CsvField* field, std::size_t* next) {
  const std::size_t end = FindEnd(scan, begin);
  *field = {static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(end - begin), false,
            false};
  return ReadEnd(scan, end, next);
}

bool IsBlank(const std::vector<CsvField>& fields, std::size_t first) {
  return fields.size() == first + 1 && fields.back().size == 0 && !fields.back().quoted;
}

}  // namespace

CsvRowEnd TokenizeCsvRow(std::string_view text, std::size_t begin, bool at_end, char separator,
                         std::vector<CsvField>* fields, std::size_t* next) {
  const Scan scan{text.data(), text.size(), separator, at_end};
  const std::size_t first = fields->size();
  std::size_t at = begin;
  while (true) {
    CsvField field;
    const bool quoted = at < text.size() && text[at] == '"';
    const FieldEnd end =
        quoted ? ScanQuoted(scan, at, &field, next) : ScanPlain(scan, at, &field, next);
    if (end == FieldEnd::kSeparator || end == FieldEnd::kLine) {
      fields->push_back(field);
      if (end == FieldEnd::kSeparator) {
        at = *next;
        continue;
      }
      if (!IsBlank(*fields, first)) return CsvRowEnd::kRow;
    }
    fields->resize(first);
    switch (end) {
      case FieldEnd::kText: return CsvRowEnd::kMoreText;
      case FieldEnd::kOpenQuote: return CsvRowEnd::kOpenQuote;
      case FieldEnd::kTextAfterQuote: return CsvRowEnd::kTextAfterQuote;
      default: return CsvRowEnd::kBlank;
    }
  }
}

std::string UnescapeCsv(std::string_view field) {
  std::string out;
  out.reserve(field.size());
  for (std::size_t i = 0; i < field.size(); ++i) {
    out += field[i];
    if (field[i] == '"') ++i;  // the second of a doubled quote
  }
  return out;
}

}  // namespace varve::cli
