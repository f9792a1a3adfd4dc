// SPDX-License-Identifier: Apache-2.0
#include "input/infer_type.h"

#include <arrow/util/value_parsing.h>

#include <utility>

namespace varve::cli {
namespace {

// -5, 0, 12 but not 007, +1 or 0x1F.
bool LooksLikeInteger(std::string_view text) {
  if (text.starts_with('-')) text.remove_prefix(1);
  if (text.empty() || (text.size() > 1 && text.front() == '0')) return false;
  return text.find_first_not_of("0123456789") == std::string_view::npos;
}

// The same for the digits before the point; words like nan and inf pass too.
bool LooksLikeDouble(std::string_view text) {
  if (text.find_first_not_of("0123456789-") == std::string_view::npos) return false;
  if (text.starts_with('-')) text.remove_prefix(1);
  return !(text.size() > 1 && text[0] == '0' && text[1] != '.' && text[1] != 'e' && text[1] != 'E');
}

template <typename T>
bool Parses(std::string_view text) {
  typename arrow::internal::StringConverter<T>::value_type value{};
  return arrow::internal::ParseValue<T>(T(), text.data(), text.size(), &value);
}

}  // namespace

InferredType::Kind InferredType::Classify(std::string_view text) {
  if (LooksLikeInteger(text)) {
    return Parses<arrow::Int64Type>(text) ? Kind::kInteger : Kind::kString;
  }
  if (LooksLikeDouble(text) && Parses<arrow::DoubleType>(text)) return Kind::kDouble;
  if (text == "true" || text == "false" || text == "TRUE" || text == "FALSE" || text == "True" ||
      text == "False") {
    return Kind::kBool;
  }
  if (text.size() < 10 || text[4] != '-') return Kind::kString;
  if (text.size() == 10 && Parses<arrow::Date32Type>(text)) return Kind::kDate;
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
    case Kind::kDouble: return arrow::float64();
    case Kind::kDate: return arrow::date32();
    case Kind::kTimestamp: return arrow::timestamp(arrow::TimeUnit::MICRO);
    case Kind::kMoment: return arrow::timestamp(arrow::TimeUnit::MICRO, "UTC");
    case Kind::kNone:
    case Kind::kString: break;
  }
  return arrow::utf8();
}

}  // namespace varve::cli
