// SPDX-License-Identifier: Apache-2.0
#include "format_cell.h"

#include <arrow/array/array_dict.h>
#include <arrow/extension_type.h>
#include <arrow/scalar.h>
#include <arrow/type.h>
#include <arrow/util/decimal.h>
#include <arrow/util/float16.h>
#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <iterator>

namespace varve::cli {
namespace {

using arrow::Array;
using arrow::Type;
using arrow::internal::checked_cast;

constexpr std::int64_t kSecondsPerDay = 86400;

// Units of `unit` in a second.
std::int64_t PerSecond(arrow::TimeUnit::type unit) {
  switch (unit) {
    case arrow::TimeUnit::SECOND: return 1;
    case arrow::TimeUnit::MILLI: return 1'000;
    case arrow::TimeUnit::MICRO: return 1'000'000;
    case arrow::TimeUnit::NANO: return 1'000'000'000;
  }
  return 1;
}

struct Divided {
  std::int64_t quotient;
  std::int64_t remainder;  // never negative
};

Divided FloorDivide(std::int64_t value, std::int64_t by) {
  Divided d{value / by, value % by};
  if (d.remainder < 0) {
    d.remainder += by;
    d.quotient -= 1;
  }
  return d;
}

// Days since 1970 of 0000-01-01 and 9999-12-31: what four digits of a year can say.
constexpr std::int64_t kDayMin = -719528;
constexpr std::int64_t kDayMax = 2932896;

void AppendDate(std::int64_t days, std::string* out) {
  const std::chrono::year_month_day date{
      std::chrono::sys_days{std::chrono::days{static_cast<int>(days)}}};
  fmt::format_to(std::back_inserter(*out), "{:04}-{:02}-{:02}", static_cast<int>(date.year()),
                 static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()));
}

// What no calendar of four digits holds.
void AppendCount(std::int64_t count, std::string* out) {
  fmt::format_to(std::back_inserter(*out), "@{}", count);
}

void AppendDayOrCount(std::int64_t days, std::int64_t count, std::string* out) {
  if (days < kDayMin || days > kDayMax) return AppendCount(count, out);
  AppendDate(days, out);
}

void AppendTimeOfDay(std::int64_t value, arrow::TimeUnit::type unit, std::string* out) {
  const auto [seconds, fraction] = FloorDivide(value, PerSecond(unit));
  fmt::format_to(std::back_inserter(*out), "{:02}:{:02}:{:02}", seconds / 3600,
                 seconds / 60 % 60, seconds % 60);
  if (fraction == 0) return;
  const std::int64_t nanos = fraction * (1'000'000'000 / PerSecond(unit));
  if (nanos % 1'000'000 == 0) {
    fmt::format_to(std::back_inserter(*out), ".{:03}", nanos / 1'000'000);
  } else if (nanos % 1'000 == 0) {
    fmt::format_to(std::back_inserter(*out), ".{:06}", nanos / 1'000);
  } else {
    fmt::format_to(std::back_inserter(*out), ".{:09}", nanos);
  }
}

void AppendTimestamp(std::int64_t value, arrow::TimeUnit::type unit, bool zoned,
                     std::string* out) {
  const auto [days, of_day] = FloorDivide(value, kSecondsPerDay * PerSecond(unit));
  // The first second of the range of nanoseconds is no whole second of it.
  std::int64_t whole = 0;
  const bool first = __builtin_mul_overflow(FloorDivide(value, PerSecond(unit)).quotient,
                                            PerSecond(unit), &whole);
  if (days < kDayMin || days > kDayMax || first) return AppendCount(value, out);
  AppendDate(days, out);
  *out += 'T';
  AppendTimeOfDay(of_day, unit, out);
  if (zoned) *out += 'Z';
}

template <typename Float>
void AppendFloat(Float value, std::string* out) {
  if (std::isnan(value)) {
    *out += "NaN";
  } else if (std::isinf(value)) {
    *out += value < 0 ? "-Infinity" : "Infinity";
  } else if (value == 0 && std::signbit(value)) {
    *out += "-0.0";  // as JSON, -0 would be read as an integer
  } else {
    fmt::format_to(std::back_inserter(*out), "{}", value);
  }
}

void AppendHex(std::string_view bytes, std::string* out) {
  constexpr char kDigits[] = "0123456789abcdef";
  for (const char c : bytes) {
    *out += kDigits[static_cast<unsigned char>(c) >> 4];
    *out += kDigits[static_cast<unsigned char>(c) & 15];
  }
}

template <typename ArrayType>
void AppendDigits(const Array& array, std::int64_t row, std::string* out) {
  const fmt::format_int digits(checked_cast<const ArrayType&>(array).Value(row));
  out->append(digits.data(), digits.size());
}

template <typename ArrayType>
void AppendFloatOf(const Array& array, std::int64_t row, std::string* out) {
  AppendFloat(checked_cast<const ArrayType&>(array).Value(row), out);
}

// True when `array` has a number or bool, whose text needs no quotes in JSON.
bool AppendNumber(const Array& array, std::int64_t row, std::string* out) {
  switch (array.type_id()) {
    case Type::BOOL:
      *out += checked_cast<const arrow::BooleanArray&>(array).Value(row) ? "true" : "false";
      return true;
    case Type::INT8: return AppendDigits<arrow::Int8Array>(array, row, out), true;
    case Type::INT16: return AppendDigits<arrow::Int16Array>(array, row, out), true;
    case Type::INT32: return AppendDigits<arrow::Int32Array>(array, row, out), true;
    case Type::INT64: return AppendDigits<arrow::Int64Array>(array, row, out), true;
    case Type::UINT8: return AppendDigits<arrow::UInt8Array>(array, row, out), true;
    case Type::UINT16: return AppendDigits<arrow::UInt16Array>(array, row, out), true;
    case Type::UINT32: return AppendDigits<arrow::UInt32Array>(array, row, out), true;
    case Type::UINT64: return AppendDigits<arrow::UInt64Array>(array, row, out), true;
    case Type::DURATION: return AppendDigits<arrow::DurationArray>(array, row, out), true;
    case Type::INTERVAL_MONTHS:
      return AppendDigits<arrow::MonthIntervalArray>(array, row, out), true;
    case Type::FLOAT: return AppendFloatOf<arrow::FloatArray>(array, row, out), true;
    case Type::DOUBLE: return AppendFloatOf<arrow::DoubleArray>(array, row, out), true;
    case Type::HALF_FLOAT:
      AppendFloat(arrow::util::Float16::FromBits(
                      checked_cast<const arrow::HalfFloatArray&>(array).Value(row)).ToFloat(),
                  out);
      return true;
    default: return false;
  }
}

bool AppendTemporal(const Array& array, std::int64_t row, std::string* out) {
  switch (array.type_id()) {
    case Type::DATE32: {
      const std::int64_t days = checked_cast<const arrow::Date32Array&>(array).Value(row);
      return AppendDayOrCount(days, days, out), true;
    }
    case Type::DATE64: {
      const std::int64_t millis = checked_cast<const arrow::Date64Array&>(array).Value(row);
      AppendDayOrCount(FloorDivide(millis, kSecondsPerDay * 1000).quotient, millis, out);
      return true;
    }
    case Type::TIME32: {
      const auto unit = checked_cast<const arrow::Time32Type&>(*array.type()).unit();
      AppendTimeOfDay(checked_cast<const arrow::Time32Array&>(array).Value(row), unit, out);
      return true;
    }
    case Type::TIME64: {
      const auto unit = checked_cast<const arrow::Time64Type&>(*array.type()).unit();
      AppendTimeOfDay(checked_cast<const arrow::Time64Array&>(array).Value(row), unit, out);
      return true;
    }
    case Type::TIMESTAMP: {
      const auto& type = checked_cast<const arrow::TimestampType&>(*array.type());
      AppendTimestamp(checked_cast<const arrow::TimestampArray&>(array).Value(row), type.unit(),
                      !type.timezone().empty(), out);
      return true;
    }
    default: return false;
  }
}

bool AppendBinary(const Array& array, std::int64_t row, std::string* out) {
  switch (array.type_id()) {
    case Type::BINARY:
      return AppendHex(checked_cast<const arrow::BinaryArray&>(array).GetView(row), out), true;
    case Type::LARGE_BINARY:
      AppendHex(checked_cast<const arrow::LargeBinaryArray&>(array).GetView(row), out);
      return true;
    case Type::BINARY_VIEW:
      return AppendHex(checked_cast<const arrow::BinaryViewArray&>(array).GetView(row), out), true;
    case Type::FIXED_SIZE_BINARY:
      AppendHex(checked_cast<const arrow::FixedSizeBinaryArray&>(array).GetView(row), out);
      return true;
    case Type::DECIMAL32:
      *out += checked_cast<const arrow::Decimal32Array&>(array).FormatValue(row);
      return true;
    case Type::DECIMAL64:
      *out += checked_cast<const arrow::Decimal64Array&>(array).FormatValue(row);
      return true;
    case Type::DECIMAL128:
      *out += checked_cast<const arrow::Decimal128Array&>(array).FormatValue(row);
      return true;
    case Type::DECIMAL256:
      *out += checked_cast<const arrow::Decimal256Array&>(array).FormatValue(row);
      return true;
    default: return false;
  }
}

bool GetString(const Array& array, std::int64_t row, std::string_view* text) {
  switch (array.type_id()) {
    case Type::STRING:
      *text = checked_cast<const arrow::StringArray&>(array).GetView(row);
      return true;
    case Type::LARGE_STRING:
      *text = checked_cast<const arrow::LargeStringArray&>(array).GetView(row);
      return true;
    case Type::STRING_VIEW:
      *text = checked_cast<const arrow::StringViewArray&>(array).GetView(row);
      return true;
    default: return false;
  }
}

template <typename ListArray>
void AppendList(const Array& array, std::int64_t row, std::string* out) {
  const auto& list = checked_cast<const ListArray&>(array);
  *out += '[';
  const std::int64_t begin = list.value_offset(row);
  for (std::int64_t i = 0; i < list.value_length(row); ++i) {
    if (i > 0) *out += ',';
    AppendJson(*list.values(), begin + i, out);
  }
  *out += ']';
}

void AppendStruct(const Array& array, std::int64_t row, std::string* out) {
  const auto& value = checked_cast<const arrow::StructArray&>(array);
  *out += '{';
  for (int i = 0; i < value.num_fields(); ++i) {
    if (i > 0) *out += ',';
    AppendJsonString(array.type()->field(i)->name(), out);
    *out += ':';
    AppendJson(*value.field(i), row, out);
  }
  *out += '}';
}

bool AppendNested(const Array& array, std::int64_t row, std::string* out) {
  switch (array.type_id()) {
    case Type::LIST: return AppendList<arrow::ListArray>(array, row, out), true;
    case Type::MAP: return AppendList<arrow::MapArray>(array, row, out), true;
    case Type::LARGE_LIST: return AppendList<arrow::LargeListArray>(array, row, out), true;
    case Type::LIST_VIEW: return AppendList<arrow::ListViewArray>(array, row, out), true;
    case Type::LARGE_LIST_VIEW: return AppendList<arrow::LargeListViewArray>(array, row, out), true;
    case Type::FIXED_SIZE_LIST: return AppendList<arrow::FixedSizeListArray>(array, row, out), true;
    case Type::STRUCT: return AppendStruct(array, row, out), true;
    default: return false;
  }
}

// Calls `append(array, row)` with what a dictionary or extension value stands for; false when the
// array is neither.
template <typename Append>
bool Unwrap(const Array& array, std::int64_t row, const Append& append) {
  if (array.type_id() == Type::DICTIONARY) {
    const auto& encoded = checked_cast<const arrow::DictionaryArray&>(array);
    append(*encoded.dictionary(), encoded.GetValueIndex(row));
    return true;
  }
  if (array.type_id() == Type::EXTENSION) {
    append(*checked_cast<const arrow::ExtensionArray&>(array).storage(), row);
    return true;
  }
  return false;
}

// Types that no text form of ours covers (intervals, unions): Arrow's own description.
std::string Described(const Array& array, std::int64_t row) {
  auto scalar = array.GetScalar(row);
  return scalar.ok() ? (*scalar)->ToString() : scalar.status().message();
}

}  // namespace

void AppendText(const Array& array, std::int64_t row, std::string* out) {
  if (array.IsNull(row)) return;
  std::string_view text;
  if (GetString(array, row, &text)) {
    out->append(text);
    return;
  }
  if (AppendNumber(array, row, out) || AppendTemporal(array, row, out) ||
      AppendBinary(array, row, out) || AppendNested(array, row, out)) {
    return;
  }
  if (Unwrap(array, row, [out](const Array& a, std::int64_t r) { AppendText(a, r, out); })) return;
  *out += Described(array, row);
}

void AppendJson(const Array& array, std::int64_t row, std::string* out) {
  if (array.IsNull(row)) {
    *out += "null";
    return;
  }
  const std::size_t start = out->size();
  if (AppendNumber(array, row, out)) {
    const char last = out->back();  // JSON has no word for NaN and Infinity
    if (last == 'N' || last == 'y') {
      out->insert(start, 1, '"');
      *out += '"';
    }
    return;
  }
  std::string_view text;
  if (GetString(array, row, &text)) return AppendJsonString(text, out);
  if (AppendNested(array, row, out)) return;
  if (Unwrap(array, row, [out](const Array& a, std::int64_t r) { AppendJson(a, r, out); })) return;
  std::string plain;
  if (!AppendTemporal(array, row, &plain) && !AppendBinary(array, row, &plain)) {
    plain = Described(array, row);
  }
  AppendJsonString(plain, out);
}

void AppendJsonString(std::string_view text, std::string* out) {
  *out += '"';
  std::size_t done = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c >= 0x20 && c != '"' && c != '\\' && c != 0x7f) continue;
    out->append(text, done, i - done);
    done = i + 1;
    switch (c) {
      case '"': *out += "\\\""; break;
      case '\\': *out += "\\\\"; break;
      case '\n': *out += "\\n"; break;
      case '\r': *out += "\\r"; break;
      case '\t': *out += "\\t"; break;
      default: fmt::format_to(std::back_inserter(*out), "\\u{:04x}", c);
    }
  }
  out->append(text, done, text.size() - done);
  *out += '"';
}

std::string FormatTime(WallTime time) {
  std::string out;
  AppendTimestamp(time.micros, arrow::TimeUnit::MICRO, true, &out);
  return out;
}

std::string WithThousands(std::uint64_t number) {
  std::string digits = std::to_string(number);
  for (std::size_t i = digits.size(); i > 3; i -= 3) digits.insert(i - 3, 1, ',');
  return digits;
}

std::string Counted(std::uint64_t number, std::string_view what) {
  return fmt::format("{} {}{}", WithThousands(number), what, number == 1 ? "" : "s");
}

std::string FormatBytes(std::uint64_t bytes) {
  constexpr const char* kUnits[] = {"B", "kB", "MB", "GB", "TB", "PB"};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 1000 && unit + 1 < std::size(kUnits)) {
    value /= 1000;
    ++unit;
  }
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string Quoted(std::string_view text) {
  constexpr std::size_t kMax = 60;
  std::string out;
  if (text.size() <= kMax) {
    AppendJsonString(text, &out);
    return out;
  }
  std::size_t cut = kMax;  // not inside a UTF-8 sequence
  while (cut > 0 && (static_cast<unsigned char>(text[cut]) & 0xc0) == 0x80) --cut;
  AppendJsonString(text.substr(0, cut), &out);
  return out + fmt::format("... ({} bytes)", text.size());
}

}  // namespace varve::cli
