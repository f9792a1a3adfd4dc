// SPDX-License-Identifier: Apache-2.0
#include "input/csv_tokenizer.h"

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

// `at` is the byte after a field. Sets *next to the first byte of what follows.
FieldEnd ReadEnd(const Scan& scan, std::size_t at, std::size_t* next) {
  if (at == scan.size) {
    *next = at;
    return scan.at_end ? FieldEnd::kLine : FieldEnd::kText;
  }
  if (scan.text[at] == scan.separator) {
    *next = at + 1;
    return FieldEnd::kSeparator;
  }
  const std::size_t newline = at + (scan.text[at] == '\r' ? 1 : 0);
  if (newline == scan.size && !scan.at_end) return FieldEnd::kText;
  if (newline < scan.size && scan.text[newline] == '\n') {
    *next = newline + 1;
    return FieldEnd::kLine;
  }
  *next = at;
  return FieldEnd::kTextAfterQuote;
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
  std::size_t at = begin;
  while (at < scan.size && scan.text[at] != scan.separator && scan.text[at] != '\n') ++at;
  std::size_t end = at;
  FieldEnd result = FieldEnd::kSeparator;
  if (at == scan.size || scan.text[at] == '\n') {
    if (at == scan.size && !scan.at_end) return FieldEnd::kText;
    if (end > begin && scan.text[end - 1] == '\r') --end;
    result = FieldEnd::kLine;
  }
  *field = {static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(end - begin), false,
            false};
  *next = at < scan.size ? at + 1 : at;
  return result;
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
