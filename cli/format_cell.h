// SPDX-License-Identifier: Apache-2.0
// One Arrow value as text. What is written here, parse_cell.h reads back without loss:
//
//   integers, bool   as digits, true and false
//   floats           the shortest digits that give the same value; NaN, Infinity, -Infinity
//   decimal          all digits of its scale; a JSON string
//   date, time       2013-01-01, 05:00:00 and as many of 3, 6 or 9 digits of fraction as it has
//   timestamp        2013-01-01T05:00:00Z; without the Z when its type has no zone
//                    dates and timestamps outside the years 0 to 9999: @ and a count of the unit
//   duration         a count of its unit
//   binary           hexadecimal
//   list, struct     JSON, inside CSV and tables too; a map is a list of {"key":..,"value":..}
#pragma once

#include <arrow/array.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "varve/types.h"

namespace varve::cli {

// A null appends nothing.
void AppendText(const arrow::Array& array, std::int64_t row, std::string* out);
// A null appends null.
void AppendJson(const arrow::Array& array, std::int64_t row, std::string* out);

void AppendJsonString(std::string_view text, std::string* out);

// 2026-11-20T12:00:00.123456Z, without a fraction of zero.
std::string FormatTime(WallTime time);
// 336,776
std::string WithThousands(std::uint64_t number);
// "1 row", "2,000 rows".
std::string Counted(std::uint64_t number, std::string_view what);
// 31.2 MB
std::string FormatBytes(std::uint64_t bytes);
// `text` in quotes, with control characters escaped, cut after 60 bytes: for error messages.
std::string Quoted(std::string_view text);

}  // namespace varve::cli
