// SPDX-License-Identifier: Apache-2.0
#include "view/literal.h"

#include <arrow/scalar.h>
#include <arrow/type.h>
#include <arrow/type_traits.h>
#include <arrow/util/decimal.h>
#include <arrow/util/value_parsing.h>

#include <charconv>
#include <cmath>
#include <limits>

#include "base/result.h"

namespace varve {
namespace {

using ScalarResult = Result<std::shared_ptr<arrow::Scalar>>;
using TypePtr = std::shared_ptr<arrow::DataType>;

constexpr double kExactBelow = 9007199254740992.0;  // 2^53: every smaller whole double is exact

// How the literal reads in a message.
std::string Shown(const Literal& literal) {
  switch (literal.kind) {
    case LiteralKind::kString: return "'" + literal.text + "'";
    case LiteralKind::kBytes: return "a byte string";
    case LiteralKind::kNull: return "null";
    default: return literal.text;
  }
}

std::unexpected<Error> Misfit(const Literal& literal, const TypePtr& type, std::string_view hint) {
  return Fail(ErrorKind::kInvalid,
              Shown(literal) + " is no " + type->ToString() + "; " + std::string(hint));
}

// Nothing when it is no number, or too large or too small for a double.
std::optional<double> ParseDouble(std::string_view text) {
  double value = 0;
  const char* const end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, value);
  if (parsed.ec != std::errc() || parsed.ptr != end) return std::nullopt;
  return value;
}

template <typename T>
ScalarResult MakeInteger(const Literal& literal, const TypePtr& type) {
  using Limits = std::numeric_limits<T>;
  T value = 0;
  std::string digits = literal.text;
  if (literal.kind == LiteralKind::kFloat && IsWholeFloat(literal)) {
    digits = std::to_string(static_cast<std::int64_t>(*ParseDouble(literal.text)));
  } else if (literal.kind != LiteralKind::kInteger) {
    return Misfit(literal, type, "write a number");
  }
  if (std::is_unsigned_v<T> && digits.find_first_not_of("-0") == digits.npos) digits = "0";
  const char* const end = digits.data() + digits.size();
  const auto parsed = std::from_chars(digits.data(), end, value);
  if (parsed.ec != std::errc() || parsed.ptr != end) {
    return Misfit(literal, type,
                  "it holds " + std::to_string(Limits::min()) + " to " +
                      std::to_string(Limits::max()));
  }
  return arrow::MakeScalar(type, value).ValueOrDie();
}

ScalarResult MakeFloating(const Literal& literal, const TypePtr& type) {
  if (literal.kind != LiteralKind::kInteger && literal.kind != LiteralKind::kFloat) {
    return Misfit(literal, type, "write a number");
  }
  const auto value = ParseDouble(literal.text);
  if (!value) return Misfit(literal, type, "it is out of range");
  if (type->id() == arrow::Type::DOUBLE) return std::make_shared<arrow::DoubleScalar>(*value);
  if (std::abs(*value) > std::numeric_limits<float>::max()) {
    return Misfit(literal, type, "it is out of range");
  }
  return std::make_shared<arrow::FloatScalar>(static_cast<float>(*value));
}

// Keeps the column's type where the value fits it; a value with more digits behind the point gets a
// scale of its own, and Arrow compares the two exactly.
template <typename Decimal, typename DecimalType, typename DecimalScalar>
ScalarResult MakeDecimal(const Literal& literal, const TypePtr& type) {
  if (literal.kind == LiteralKind::kBytes || literal.kind == LiteralKind::kNull) {
    return Misfit(literal, type, "write a number");
  }
  const auto& column = static_cast<const DecimalType&>(*type);
  Decimal value;
  std::int32_t precision = 0;
  std::int32_t scale = 0;
  if (!Decimal::FromString(literal.text, &value, &precision, &scale).ok() ||
      precision > DecimalType::kMaxPrecision || std::abs(scale) > DecimalType::kMaxPrecision) {
    return Misfit(literal, type, "write a number of at most " +
                                     std::to_string(DecimalType::kMaxPrecision) + " digits");
  }
  if (auto same = value.Rescale(scale, column.scale());
      same.ok() && same->FitsInPrecision(column.precision())) {
    return std::make_shared<DecimalScalar>(*same, type);
  }
  precision = std::max({precision, scale, 1});
  if (scale < 0 || precision - scale > column.precision() - column.scale()) {
    return Misfit(literal, type, "it is out of range");
  }
  auto own = DecimalType::Make(precision, scale);
  if (!own.ok()) return Misfit(literal, type, "it has too many digits");
  return std::make_shared<DecimalScalar>(value, *own);
}

std::int64_t NanosPer(arrow::TimeUnit::type unit) {
  switch (unit) {
    case arrow::TimeUnit::SECOND: return 1'000'000'000;
    case arrow::TimeUnit::MILLI: return 1'000'000;
    case arrow::TimeUnit::MICRO: return 1'000;
    case arrow::TimeUnit::NANO: return 1;
  }
  return 1;
}

// Takes ".789" out of `text`; gives its nanoseconds, nothing when it is malformed.
std::optional<std::int64_t> TakeFraction(std::string* text) {
  const std::size_t point = text->find('.');
  if (point == text->npos) return 0;
  std::size_t end = point + 1;
  std::int64_t nanos = 0;
  while (end < text->size() && (*text)[end] >= '0' && (*text)[end] <= '9') {
    if (end - point > 9) return std::nullopt;
    nanos = nanos * 10 + ((*text)[end++] - '0');
  }
  const std::size_t digits = end - point - 1;
  if (digits == 0) return std::nullopt;
  for (std::size_t i = digits; i < 9; ++i) nanos *= 10;
  text->erase(point, end - point);
  return nanos;
}

ScalarResult MakeTimestamp(const Literal& literal, const TypePtr& type) {
  constexpr std::string_view kForm = "write it as '2020-01-31T12:34:56.789' with Z or +01:00";
  if (literal.kind != LiteralKind::kString) return Misfit(literal, type, kForm);
  const auto& column = static_cast<const arrow::TimestampType&>(*type);
  std::string text = literal.text;
  const auto fraction = TakeFraction(&text);
  std::int64_t seconds = 0;
  bool has_zone = false;
  if (!fraction ||
      !arrow::internal::ParseTimestampISO8601(text.data(), text.size(), arrow::TimeUnit::SECOND,
                                              &seconds, &has_zone)) {
    return Misfit(literal, type, kForm);
  }
  if (has_zone && column.timezone().empty()) {
    return Misfit(literal, type, "the column has no time zone, so write the time without one");
  }
  const std::int64_t nanos_per = NanosPer(column.unit());
  if (*fraction % nanos_per != 0) {
    return Misfit(literal, type, "it is finer than the column's unit");
  }
  std::int64_t value = 0;
  if (__builtin_mul_overflow(seconds, 1'000'000'000 / nanos_per, &value) ||
      __builtin_add_overflow(value, *fraction / nanos_per, &value)) {
    return Misfit(literal, type, "it is out of range");
  }
  return std::make_shared<arrow::TimestampScalar>(value, type);
}

ScalarResult MakeDuration(const Literal& literal, const TypePtr& type) {
  if (literal.kind != LiteralKind::kString) return Misfit(literal, type, "write it as '1h30m'");
  const auto nanos = ParseDurationNanos(literal.text);
  if (!nanos) return Misfit(literal, type, "write it as '1h30m', '-5s', '250ms' or 'PT1H30M'");
  const auto unit = NanosPer(static_cast<const arrow::DurationType&>(*type).unit());
  if (*nanos % unit != 0) return Misfit(literal, type, "it is finer than the column's unit");
  return std::make_shared<arrow::DurationScalar>(*nanos / unit, type);
}

// Dates and times: Arrow's own parser knows the ISO forms and the units.
ScalarResult MakeParsed(const Literal& literal, const TypePtr& type, std::string_view form) {
  if (literal.kind != LiteralKind::kString) return Misfit(literal, type, form);
  auto parsed = arrow::Scalar::Parse(type, literal.text);
  if (!parsed.ok()) return Misfit(literal, type, form);
  return *std::move(parsed);
}

ScalarResult MakeText(const Literal& literal, const TypePtr& type) {
  const bool is_text = arrow::is_string(type->id());
  if (literal.kind != LiteralKind::kString && (is_text || literal.kind != LiteralKind::kBytes)) {
    return Misfit(literal, type, "write it in single quotes");
  }
  auto buffer = arrow::Buffer::FromString(literal.text);
  if (type->id() == arrow::Type::FIXED_SIZE_BINARY) {
    const int width = static_cast<const arrow::FixedSizeBinaryType&>(*type).byte_width();
    if (static_cast<std::int64_t>(literal.text.size()) != width) {
      return Misfit(literal, type, "write exactly " + std::to_string(width) + " bytes");
    }
  }
  auto made = arrow::MakeScalar(type, std::move(buffer));
  if (!made.ok()) return Misfit(literal, type, "this type has no literals");
  return *std::move(made);
}

// One amount and unit off the front of `text`, as nanoseconds.
std::optional<std::int64_t> TakeAmount(std::string_view* text, bool iso, bool in_time) {
  std::int64_t amount = 0;
  const auto parsed = std::from_chars(text->data(), text->data() + text->size(), amount);
  if (parsed.ec != std::errc() || text->front() == '-') return std::nullopt;
  text->remove_prefix(static_cast<std::size_t>(parsed.ptr - text->data()));
  struct Unit {
    std::string_view name;
    std::int64_t nanos;
  };
  constexpr std::int64_t kSecond = 1'000'000'000;
  static constexpr Unit kUnits[] = {
      {"ns", 1},          {"us", 1'000},        {"ms", 1'000'000},      {"s", kSecond},
      {"m", 60 * kSecond}, {"h", 3600 * kSecond}, {"d", 86400 * kSecond}, {"w", 604800 * kSecond}};
  static constexpr Unit kIsoTime[] = {
      {"H", 3600 * kSecond}, {"M", 60 * kSecond}, {"S", kSecond}};
  static constexpr Unit kIsoDate[] = {{"D", 86400 * kSecond}, {"W", 7 * 86400 * kSecond}};
  const auto take = [&](const auto& units) -> std::optional<std::int64_t> {
    for (const Unit& unit : units) {
      std::int64_t nanos = 0;
      if (!text->starts_with(unit.name)) continue;
      if (__builtin_mul_overflow(amount, unit.nanos, &nanos)) return std::nullopt;
      text->remove_prefix(unit.name.size());
      return nanos;
    }
    return std::nullopt;
  };
  if (!iso) return take(kUnits);
  return in_time ? take(kIsoTime) : take(kIsoDate);
}

}  // namespace

bool IsWholeFloat(const Literal& literal) {
  if (literal.kind != LiteralKind::kFloat) return false;
  const auto value = ParseDouble(literal.text);
  return value && std::abs(*value) < kExactBelow && std::trunc(*value) == *value;
}

std::optional<std::int64_t> ParseDurationNanos(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  const bool iso = text.starts_with('P');
  if (iso) text.remove_prefix(1);
  bool in_time = false;
  bool any = false;
  std::int64_t total = 0;
  while (!text.empty()) {
    if (iso && !in_time && text.starts_with('T')) {
      in_time = true;
      text.remove_prefix(1);
      any = false;  // something must follow
      continue;
    }
    const auto nanos = TakeAmount(&text, iso, in_time);
    if (!nanos || __builtin_add_overflow(total, *nanos, &total)) return std::nullopt;
    any = true;
    while (!iso && text.starts_with(' ') && text.size() > 1) text.remove_prefix(1);
  }
  if (!any) return std::nullopt;
  return negative ? -total : total;
}

TypePtr OwnType(const Literal& literal) {
  switch (literal.kind) {
    case LiteralKind::kInteger: {
      std::int64_t value = 0;
      const char* const end = literal.text.data() + literal.text.size();
      const auto parsed = std::from_chars(literal.text.data(), end, value);
      return parsed.ec == std::errc() ? arrow::int64() : arrow::float64();
    }
    case LiteralKind::kFloat: return arrow::float64();
    case LiteralKind::kString: return arrow::utf8();
    case LiteralKind::kBytes: return arrow::binary();
    case LiteralKind::kNull: return arrow::null();
  }
  return arrow::null();
}

TypePtr OwnDecimalType(const Literal& literal) {
  if (literal.kind != LiteralKind::kInteger && literal.kind != LiteralKind::kFloat) return nullptr;
  arrow::Decimal256 value;
  std::int32_t precision = 0;
  std::int32_t scale = 0;
  if (!arrow::Decimal256::FromString(literal.text, &value, &precision, &scale).ok()) return nullptr;
  precision = std::max({precision, scale, 1});
  if (precision <= arrow::Decimal128Type::kMaxPrecision) {
    return arrow::Decimal128Type::Make(precision, scale).ValueOr(nullptr);
  }
  return arrow::Decimal256Type::Make(precision, scale).ValueOr(nullptr);
}

Result<std::shared_ptr<arrow::Scalar>> MakeLiteral(const Literal& literal, const TypePtr& type) {
  using arrow::Type;
  if (literal.kind == LiteralKind::kNull) return arrow::MakeNullScalar(type);
  switch (type->id()) {
    case Type::INT8: return MakeInteger<std::int8_t>(literal, type);
    case Type::INT16: return MakeInteger<std::int16_t>(literal, type);
    case Type::INT32: return MakeInteger<std::int32_t>(literal, type);
    case Type::INT64: return MakeInteger<std::int64_t>(literal, type);
    case Type::UINT8: return MakeInteger<std::uint8_t>(literal, type);
    case Type::UINT16: return MakeInteger<std::uint16_t>(literal, type);
    case Type::UINT32: return MakeInteger<std::uint32_t>(literal, type);
    case Type::UINT64: return MakeInteger<std::uint64_t>(literal, type);
    case Type::FLOAT:
    case Type::DOUBLE: return MakeFloating(literal, type);
    case Type::DECIMAL128:
      return MakeDecimal<arrow::Decimal128, arrow::Decimal128Type, arrow::Decimal128Scalar>(literal,
                                                                                            type);
    case Type::DECIMAL256:
      return MakeDecimal<arrow::Decimal256, arrow::Decimal256Type, arrow::Decimal256Scalar>(literal,
                                                                                            type);
    case Type::TIMESTAMP: return MakeTimestamp(literal, type);
    case Type::DURATION: return MakeDuration(literal, type);
    case Type::DATE32:
    case Type::DATE64: return MakeParsed(literal, type, "write it as '2020-01-31'");
    case Type::TIME32:
    case Type::TIME64:
      return MakeParsed(literal, type, "write it as '12:34:56', no finer than the column's unit");
    case Type::STRING:
    case Type::LARGE_STRING:
    case Type::BINARY:
    case Type::LARGE_BINARY:
    case Type::FIXED_SIZE_BINARY: return MakeText(literal, type);
    case Type::BOOL: return Misfit(literal, type, "write true or false");
    default: return Misfit(literal, type, "values of this type cannot be compared");
  }
}

}  // namespace varve
