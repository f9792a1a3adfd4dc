// SPDX-License-Identifier: Apache-2.0
// Schemas as text that a person can type: the inverse of ParseSchema (varve/snapshot.h).
#pragma once

#include <string>

#include <arrow/type_fwd.h>

namespace varve {

// Characters of a name that needs no quotes.
constexpr bool IsWordStart(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
constexpr bool IsWordPart(char c) { return IsWordStart(c) || (c >= '0' && c <= '9'); }

// One line, for example: id int64 not null, "a b" list<utf8>. Names that are no plain words are
// quoted. ParseSchema gives an equal schema back, metadata aside,
// except for types that the text has no word for (extensions appear by name).
std::string SchemaToText(const arrow::Schema& schema);
std::string TypeToText(const arrow::DataType& type);

}  // namespace varve
