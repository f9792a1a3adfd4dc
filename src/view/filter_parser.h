// SPDX-License-Identifier: Apache-2.0
// The filter language's grammar, by recursive descent. ParseFilter (varve/snapshot.h) is its face.
//
//   filter     = or
//   or         = and { "or" and }
//   and        = not { "and" not }
//   not        = "not" not | predicate
//   predicate  = sum [ compare sum | ["not"] "between" sum "and" sum
//                    | ["not"] "in" "(" sum { "," sum } ")" | ["not"] "like" sum
//                    | "is" ["not"] "null" ]
//   sum        = product { ("+" | "-") product }
//   product    = unary { ("*" | "/") unary }
//   unary      = ("-" | "+") unary | primary
//   primary    = "(" or ")" | column { "." name } | number | 'string' | x'bytes'
//              | "true" | "false" | "null"
//
// Keywords are case-insensitive; a column whose name is one, or has other characters, is written in
// double quotes. What the operators mean is in view/filter_builder.h.
#pragma once

#include <memory>
#include <string_view>

#include "varve/error.h"
#include "varve/snapshot.h"

namespace varve {

inline constexpr int kFilterNestingMax = 200;

}  // namespace varve
