// SPDX-License-Identifier: Apache-2.0
#include "input/infer_type.h"

#include <arrow/util/value_parsing.h>

#include <algorithm>
#include <charconv>
#include <cmath>

namespace varve::cli {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// -5, 0, 12 but not 007, +1 or 0x1F.
bool LooksLikeInteger(std::string_view text) {
  if (text.starts_with('-')) text.remove_prefix(1);
  if (text.empty() || (text.size() > 1 && text.front() == '0')) return false;
  return std::ranges::all_of(text, IsDigit);
}

// Written out, without an exponent, with more digits than tell any two doubles apart. Programs that
// print doubles with an exponent often give more.
bool HasDigitsToLose(std::string_view text) {
  constexpr std::ptrdiff_t kDigitsMax = 17;
  if (text.find_first_of("eE") != text.npos) return false;
  text.remove_prefix(std::min(text.find_first_not_of("0."), text.size()));
  return std::ranges::count_if(text, IsDigit) > kDigitsMax;
}

// The same for the digits before the point; words like nan and inf pass too. 1e999 is none.
bool LooksLikeDouble(std::string_view text) {
  double value = 0;
  if (!arrow::internal::ParseValue<arrow::DoubleType>(text.data(), text.size(), &value)) {
    return false;
  }
  if (text.starts_with('+')) return false;
  if (text.starts_with('-')) text.remove_prefix(1);
  if (!IsDigit(text.front())) return true;
  const bool is_integer = std::ranges::all_of(text, IsDigit);
  const bool leads_with_zero = text.size() > 1 && text[0] == '0' && IsDigit(text[1]);
  return std::isfinite(value) && !is_integer && !leads_with_zero && !HasDigitsToLose(text);
}

bool IsDouble(std::int64_t value) {
  constexpr double kEnd = 9223372036854775808.0;  // 2^63, which no int64 can hold
  const auto rounded = static_cast<double>(value);
  return rounded < kEnd && static_cast<std::int64_t>(rounded) == value;
}

bool IsDate(std::string_view text) {
  std::int32_t value = 0;
  return text.size() == 10 && arrow::internal::ParseValue<arrow::Date32Type>(
                                  arrow::Date32Type(), text.data(), text.size(), &value);
}

}  // namespace

InferredType::Kind InferredType::Classify(std::string_view text) {
  if (LooksLikeInteger(text)) {
    std::int64_t value = 0;
    const char* const end = text.data() + text.size();
    if (std::from_chars(text.data(), end, value).ec != std::errc()) return Kind::kString;
    inexact_ = inexact_ || !IsDouble(value);
    return Kind::kInteger;
  }
  if (LooksLikeDouble(text)) return Kind::kDouble;
  if (text == "true" || text == "false" || text == "TRUE" || text == "FALSE" || text == "True" ||
      text == "False") {
    return Kind::kBool;
  }
  if (text.size() < 10 || text[4] != '-') return Kind::kString;
  if (IsDate(text)) return Kind::kDate;
  std::int64_t value = 0;
  bool has_zone = false;
  if (arrow::internal::ParseTimestampISO8601(text.data(), text.size(), arrow::TimeUnit::MICRO,
                                             &value, &has_zone)) {
    return has_zone ? Kind::kMoment : Kind::kTimestamp;
  }
  return Kind::kString;
}

InferredType::Kind InferredType::Join(Kind a, Kind b) {
  if (a == b || b == Kind::kNone) return a;
  if (a == Kind::kNone) return b;
  const auto either = [a, b](Kind x, Kind y) { return (a == x && b == y) || (a == y && b == x); };
  if (either(Kind::kInteger, Kind::kDouble)) return Kind::kDouble;
  if (either(Kind::kDate, Kind::kTimestamp)) return Kind::kTimestamp;
  return Kind::kString;
}

void InferredType::Add(std::string_view text) {
  if (kind_ != Kind::kString) kind_ = Join(kind_, Classify(text));
}

std::shared_ptr<arrow::DataType> InferredType::type() const {
  switch (kind_) {
    case Kind::kBool: return arrow::boolean();
    case Kind::kInteger: return arrow::int64();
    case Kind::kDouble: return inexact_ ? arrow::utf8() : arrow::float64();
    case Kind::kDate: return arrow::date32();
    case Kind::kTimestamp: return arrow::timestamp(arrow::TimeUnit::MICRO);
    case Kind::kMoment: return arrow::timestamp(arrow::TimeUnit::MICRO, "UTC");
    case Kind::kNone:
    case Kind::kString: break;
  }
  return arrow::utf8();
}

}  // namespace varve::cli
