// SPDX-License-Identifier: Apache-2.0
// Literals of the filter language, made into values of the type they are compared with.
//
//   integer, float    any numeric type that can hold them; decimals exactly
//   'string'          text and binary; dates '2020-01-31'; times '12:34[:56[.789]]';
//                     timestamps, ISO 8601: '2020-01-31[T12:34[:56[.789]][Z|+01:00]]', UTC where
//                     no zone is written and the column has one; durations '90s', '-1d 12h30m',
//                     'PT1H30M'; decimals '1.50'
//   x'0aff'           binary
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "varve/error.h"

namespace arrow {
class DataType;
struct Scalar;
}  // namespace arrow

namespace varve {

enum class LiteralKind : std::uint8_t { kInteger, kFloat, kString, kBytes, kNull };

struct Literal {
  LiteralKind kind = LiteralKind::kNull;
  std::string text;  // numbers as written, with their sign
};

// A scalar of exactly `type`; never rounded, except to the nearest value of a floating type.
// Invalid when the literal has no such value: the message says what would fit. A float literal
// that is a whole number below 2^53 is a value of integer types too.
Result<std::shared_ptr<arrow::Scalar>> MakeLiteral(
    const Literal& literal, const std::shared_ptr<arrow::DataType>& type);

// The type that a literal has by itself: int64 (float64 beyond its range), float64, utf8, binary,
// null.
std::shared_ptr<arrow::DataType> OwnType(const Literal& literal);

// The smallest decimal128 or decimal256 type that holds a number exactly; null for anything else.
std::shared_ptr<arrow::DataType> OwnDecimalType(const Literal& literal);

// A whole number below 2^53 written as a float.
bool IsWholeFloat(const Literal& literal);

// The duration that `text` says, in nanoseconds; nothing when it is none or does not fit.
std::optional<std::int64_t> ParseDurationNanos(std::string_view text);

}  // namespace varve
