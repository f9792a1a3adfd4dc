// SPDX-License-Identifier: Apache-2.0
// Schemas as text that a person can type: the inverse of ParseSchema (varve/snapshot.h).
#pragma once

#include <string>

#include <arrow/type_fwd.h>

namespace varve {

// One line, "id: int64 not null" written as `id int64 not null`, fields separated by ", ". Names
// that are no plain words are quoted. ParseSchema gives an equal schema back, metadata aside,
// except for types that the text has no word for (extensions appear by name).
std::string SchemaToText(const arrow::Schema& schema);
std::string TypeToText(const arrow::DataType& type);

}  // namespace varve
