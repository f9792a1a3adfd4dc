// SPDX-License-Identifier: Apache-2.0
#include "view/filter_builder.h"

#include <arrow/array/util.h>
#include <arrow/compute/api.h>
#include <arrow/extension_type.h>
#include <arrow/scalar.h>
#include <arrow/type.h>
#include <arrow/type_traits.h>

#include <algorithm>

#include "base/result.h"
#include "view/like_pattern.h"

namespace varve {
namespace {

namespace cp = arrow::compute;
using arrow::Type;
using TypePtr = std::shared_ptr<arrow::DataType>;

// Types whose values can be compared with each other.
enum class Family { kBool, kNumber, kText, kBinary, kDate, kTime, kDuration, kNone };

Family FamilyOf(const arrow::DataType& type) {
  if (arrow::is_numeric(type.id()) || arrow::is_decimal(type.id())) return Family::kNumber;
  switch (type.id()) {
    case Type::BOOL: return Family::kBool;
    case Type::STRING:
    case Type::LARGE_STRING: return Family::kText;
    case Type::BINARY:
    case Type::LARGE_BINARY:
    case Type::FIXED_SIZE_BINARY: return Family::kBinary;
    case Type::DATE32:
    case Type::DATE64:
    case Type::TIMESTAMP: return Family::kDate;
    case Type::TIME32:
    case Type::TIME64: return Family::kTime;
    case Type::DURATION: return Family::kDuration;
    default: return Family::kNone;
  }
}

bool IsTemporal(const arrow::DataType& type) {
  const Family family = FamilyOf(type);
  return family == Family::kDate || family == Family::kTime || family == Family::kDuration;
}

bool IsNumberLiteral(const Operand& operand) {
  return operand.literal && (operand.literal->kind == LiteralKind::kInteger ||
                             operand.literal->kind == LiteralKind::kFloat);
}

bool IsUnknown(const Operand& operand) {
  if (operand.literal) return operand.literal->kind == LiteralKind::kNull;
  return operand.type->id() == Type::NA;
}

TextSpan Cover(const Operand& left, const Operand& right) {
  return {left.span.begin, right.span.end};
}

Operand Constant(std::shared_ptr<arrow::Scalar> value, TextSpan span) {
  TypePtr type = value->type;
  return {cp::literal(std::move(value)), std::move(type), std::nullopt, span, 1};
}

Operand UnknownTruth(TextSpan span) {
  return Constant(arrow::MakeNullScalar(arrow::boolean()), span);
}

arrow::TimeUnit::type UnitOf(const arrow::DataType& type) {
  switch (type.id()) {
    case Type::TIMESTAMP: return static_cast<const arrow::TimestampType&>(type).unit();
    case Type::DURATION: return static_cast<const arrow::DurationType&>(type).unit();
    case Type::TIME32:
    case Type::TIME64: return static_cast<const arrow::TimeType&>(type).unit();
    default: return arrow::TimeUnit::SECOND;
  }
}

// A literal beside a temporal operand is a duration when it reads as one ('1h'), else a value of
// the operand's own type.
TypePtr TypeBeside(const Literal& literal, const TypePtr& temporal) {
  if (literal.kind == LiteralKind::kInteger && temporal->id() == Type::DURATION) {
    return arrow::int64();  // a factor
  }
  if (literal.kind != LiteralKind::kString || !ParseDurationNanos(literal.text)) return temporal;
  TypePtr type = arrow::duration(UnitOf(*temporal));
  return MakeLiteral(literal, type) ? type : arrow::duration(arrow::TimeUnit::NANO);
}

std::string_view FunctionOf(std::string_view op) {
  if (op == "=") return "equal";
  if (op == "!=") return "not_equal";
  if (op == "<") return "less";
  if (op == "<=") return "less_equal";
  if (op == ">") return "greater";
  return "greater_equal";
}

std::string TypeText(const Operand& operand) {
  return operand.type ? operand.type->ToString() : OwnType(*operand.literal)->ToString();
}

}  // namespace

Result<Operand> FilterBuilder::Column(const std::vector<std::string>& path, TextSpan span,
                                      bool quoted) const {
  const std::vector<int> places = schema_->GetAllFieldIndices(path.front());
  if (places.empty()) {
    std::string hint = DidYouMean(path.front(), schema_->field_names());
    if (hint.empty() && quoted) hint = "; strings are written in single quotes";
    return std::unexpected(ErrorAt(span, "unknown column '" + path.front() + "'" + hint));
  }
  if (places.size() > 1) {
    return std::unexpected(ErrorAt(span, "two columns are named '" + path.front() + "'"));
  }
  TypePtr type = schema_->field(places.front())->type();
  cp::Expression expression = cp::field_ref(path.front());
  std::vector<int> inner;
  for (std::size_t i = 1; i < path.size(); ++i) {
    const auto* structure = dynamic_cast<const arrow::StructType*>(type.get());
    const int place = structure ? structure->GetFieldIndex(path[i]) : -1;
    if (place < 0) {
      return std::unexpected(ErrorAt(span, "'" + path[i - 1] + "' is " + type->ToString() +
                                               " and has no field '" + path[i] + "'"));
    }
    inner.push_back(place);
    type = structure->field(place)->type();
  }
  if (!inner.empty()) {
    expression = cp::call("struct_field", {expression}, cp::StructFieldOptions(inner));
  }
  return Operand{std::move(expression), std::move(type), std::nullopt, span, 2};
}

Operand FilterBuilder::Open(Literal literal, TextSpan span) {
  return {cp::Expression(), nullptr, std::move(literal), span, 1};
}

Operand FilterBuilder::Boolean(bool value, TextSpan span) {
  return Constant(std::make_shared<arrow::BooleanScalar>(value), span);
}

Result<Operand> FilterBuilder::Settle(const Operand& open, const TypePtr& type) const {
  auto scalar = MakeLiteral(*open.literal, type);
  if (!scalar) return std::unexpected(ErrorAt(open.span, scalar.error().message()));
  return Constant(*std::move(scalar), open.span);
}

Result<Operand> FilterBuilder::SettleAlone(const Operand& operand) const {
  return operand.literal ? Settle(operand, OwnType(*operand.literal)) : operand;
}

Result<Operand> FilterBuilder::Call(std::string_view function, std::vector<Operand> arguments,
                                    TextSpan span,
                                    std::shared_ptr<cp::FunctionOptions> options) const {
  Operand result;
  result.span = span;
  std::vector<cp::Expression> expressions;
  std::string types;
  for (const Operand& argument : arguments) {
    result.depth = std::max(result.depth, argument.depth + 1);
    expressions.push_back(argument.expression);
    types += (types.empty() ? "" : " and ") + argument.type->ToString();
  }
  if (result.depth > kFilterDepthMax) {
    return std::unexpected(ErrorAt(span, "the filter is nested over " +
                                             std::to_string(kFilterDepthMax) + " levels deep"));
  }
  result.expression = cp::call(std::string(function), std::move(expressions), std::move(options));
  auto bound = result.expression.Bind(*schema_);
  if (!bound.ok()) {
    return std::unexpected(
        ErrorAt(span, "this does not fit " + types + ": " + bound.status().message()));
  }
  result.type = bound->type()->GetSharedPtr();
  return result;
}

Result<Operand> FilterBuilder::Cast(const Operand& operand, TypePtr type, bool safe) const {
  if (operand.type->Equals(*type)) return operand;
  auto options = std::make_shared<cp::CastOptions>(safe ? cp::CastOptions::Safe(type)
                                                        : cp::CastOptions::Unsafe(type));
  return Call("cast", {operand}, operand.span, std::move(options));
}

Result<Operand> FilterBuilder::Comparable(const Operand& operand) const {
  Operand result = operand;
  while (true) {
    const arrow::DataType& type = *result.type;
    TypePtr plain;
    switch (type.id()) {
      case Type::DICTIONARY:
        plain = static_cast<const arrow::DictionaryType&>(type).value_type();
        break;
      case Type::EXTENSION:
        plain = static_cast<const arrow::ExtensionType&>(type).storage_type();
        break;
      case Type::HALF_FLOAT: plain = arrow::float32(); break;
      case Type::STRING_VIEW: plain = arrow::large_utf8(); break;
      case Type::BINARY_VIEW: plain = arrow::large_binary(); break;
      case Type::DECIMAL32:
      case Type::DECIMAL64: {
        const auto& decimal = static_cast<const arrow::DecimalType&>(type);
        plain = arrow::decimal128(decimal.precision(), decimal.scale());
        break;
      }
      default:
        if (FamilyOf(type) != Family::kNone || type.id() == Type::NA) return result;
        return std::unexpected(
            ErrorAt(operand.span, "values of type " + type.ToString() + " cannot be compared"));
    }
    VARVE_ASSIGN(result, Cast(result, std::move(plain), true));
  }
}

Result<std::pair<Operand, Operand>> FilterBuilder::SettlePair(const Operand& left,
                                                              const Operand& right) const {
  if (right.literal && !left.literal) {
    VARVE_ASSIGN(Operand typed, Comparable(left));
    if (arrow::is_integer(typed.type->id()) && right.literal->kind == LiteralKind::kFloat &&
        !IsWholeFloat(*right.literal)) {
      VARVE_ASSIGN(typed, Cast(typed, arrow::float64(), false));
    }
    VARVE_ASSIGN(Operand settled, Settle(right, typed.type));
    return std::pair(std::move(typed), std::move(settled));
  }
  if (left.literal && !right.literal) {
    VARVE_ASSIGN(auto swapped, SettlePair(right, left));
    return std::pair(std::move(swapped.second), std::move(swapped.first));
  }
  VARVE_ASSIGN(Operand first, SettleAlone(left));
  VARVE_ASSIGN(Operand second, SettleAlone(right));
  VARVE_ASSIGN(first, Comparable(first));
  VARVE_ASSIGN(second, Comparable(second));
  if (FamilyOf(*first.type) != FamilyOf(*second.type)) {
    return std::unexpected(ErrorAt(Cover(left, right), "cannot compare " + TypeText(left) +
                                                           " with " + TypeText(right)));
  }
  if (arrow::is_floating(first.type->id()) != arrow::is_floating(second.type->id())) {
    // An integer or decimal against a floating number: as float64, never an error.
    VARVE_ASSIGN(first, Cast(first, arrow::float64(), false));
    VARVE_ASSIGN(second, Cast(second, arrow::float64(), false));
  }
  return std::pair(std::move(first), std::move(second));
}

Result<Operand> FilterBuilder::Compare(std::string_view op, const Operand& left,
                                       const Operand& right) const {
  if (IsUnknown(left) || IsUnknown(right)) return UnknownTruth(Cover(left, right));
  VARVE_ASSIGN(auto pair, SettlePair(left, right));
  return Call(FunctionOf(op), {std::move(pair.first), std::move(pair.second)}, Cover(left, right));
}

Result<Operand> FilterBuilder::Numeric(const Operand& operand) const {
  VARVE_ASSIGN(Operand plain, Comparable(operand));
  if (arrow::is_integer(plain.type->id())) return Cast(plain, arrow::int64(), true);
  if (arrow::is_floating(plain.type->id())) return Cast(plain, arrow::float64(), false);
  if (arrow::is_decimal(plain.type->id()) || plain.type->id() == Type::DURATION) return plain;
  return std::unexpected(
      ErrorAt(operand.span, "this is " + plain.type->ToString() + "; expected a number"));
}

Result<Operand> FilterBuilder::Compute(char op, const Operand& left, const Operand& right) const {
  const TextSpan span = Cover(left, right);
  if (IsUnknown(left) || IsUnknown(right)) return Open({LiteralKind::kNull, "null"}, span);
  Operand sides[2] = {left, right};
  for (int i : {0, 1}) {
    if (!sides[i].literal) {
      VARVE_ASSIGN(sides[i], Comparable(sides[i]));
    }
  }
  for (int i : {0, 1}) {
    if (!sides[i].literal) continue;
    const Operand& other = sides[1 - i];
    TypePtr type = OwnType(*sides[i].literal);
    if (!other.literal && IsTemporal(*other.type)) type = TypeBeside(*sides[i].literal, other.type);
    if (!other.literal && arrow::is_decimal(other.type->id()) && IsNumberLiteral(sides[i])) {
      type = OwnDecimalType(*sides[i].literal);
      if (!type) return std::unexpected(ErrorAt(sides[i].span, "this has too many digits"));
    }
    VARVE_ASSIGN(sides[i], Settle(sides[i], type));
  }
  const bool temporal = IsTemporal(*sides[0].type) || IsTemporal(*sides[1].type);
  bool floating = false;
  for (Operand& side : sides) {
    if (temporal) break;
    VARVE_ASSIGN(side, Numeric(side));
    floating = floating || op == '/' || arrow::is_floating(side.type->id());
  }
  for (Operand& side : sides) {
    if (!floating) break;
    VARVE_ASSIGN(side, Cast(side, arrow::float64(), false));
  }
  const std::string_view function = op == '+'   ? "add_checked"
                                    : op == '-' ? "subtract_checked"
                                    : op == '*' ? "multiply_checked"
                                                : "divide";
  return Call(function, {std::move(sides[0]), std::move(sides[1])}, span);
}

Result<Operand> FilterBuilder::Negate(const Operand& operand, TextSpan span) const {
  if (IsNumberLiteral(operand)) {
    Literal flipped = *operand.literal;
    if (flipped.text.starts_with('-')) {
      flipped.text.erase(0, 1);
    } else {
      flipped.text.insert(0, 1, '-');
    }
    return Open(std::move(flipped), span);
  }
  if (IsUnknown(operand)) return Open({LiteralKind::kNull, "null"}, span);
  VARVE_ASSIGN(Operand settled, SettleAlone(operand));
  VARVE_ASSIGN(settled, Numeric(settled));
  return Call("negate_checked", {std::move(settled)}, span);
}

// One hash lookup, where the list is literals that take the value's type. Not for floats: there
// the lookup tells -0.0 from 0.0 and finds NaN, and `=` does neither.
Result<std::optional<Operand>> FilterBuilder::SetLookup(const Operand& value,
                                                        const std::vector<Operand>& list,
                                                        TextSpan span) const {
  if (value.literal || IsUnknown(value)) return std::nullopt;
  VARVE_ASSIGN(Operand plain, Comparable(value));
  if (arrow::is_floating(plain.type->id())) return std::nullopt;
  arrow::ScalarVector scalars;
  for (const Operand& item : list) {
    if (!item.literal) return std::nullopt;
    auto scalar = MakeLiteral(*item.literal, plain.type);
    if (!scalar || !(*scalar)->type->Equals(*plain.type)) return std::nullopt;
    scalars.push_back(*std::move(scalar));
  }
  std::unique_ptr<arrow::ArrayBuilder> builder;
  std::shared_ptr<arrow::Array> values;
  arrow::Status built = arrow::MakeBuilder(arrow::default_memory_pool(), plain.type, &builder);
  if (built.ok()) built = builder->AppendScalars(scalars);
  if (built.ok()) built = builder->Finish(&values);
  if (!built.ok()) return std::unexpected(ErrorAt(span, built.message()));
  VARVE_ASSIGN(Operand lookup,
               Call("is_in", {std::move(plain)}, span,
                    std::make_shared<cp::SetLookupOptions>(
                        values, cp::SetLookupOptions::INCONCLUSIVE)));
  return lookup;
}

Result<Operand> FilterBuilder::In(const Operand& value, const std::vector<Operand>& list,
                                  TextSpan span) const {
  VARVE_ASSIGN(auto lookup, SetLookup(value, list, span));
  if (lookup) return *std::move(lookup);
  std::vector<Operand> equalities;
  for (const Operand& item : list) {
    VARVE_ASSIGN(Operand equality, Compare("=", value, item));
    equalities.push_back(std::move(equality));
  }
  VARVE_ASSIGN(Operand any, Combine("or_kleene", std::move(equalities)));
  any.span = span;
  return any;
}

Result<Operand> FilterBuilder::Like(const Operand& value, const Operand& pattern) const {
  const TextSpan span = Cover(value, pattern);
  if (IsUnknown(value) || IsUnknown(pattern)) return UnknownTruth(span);
  if (!pattern.literal || pattern.literal->kind != LiteralKind::kString) {
    return std::unexpected(ErrorAt(pattern.span, "expected a pattern in single quotes"));
  }
  const auto parts = ParseLikePattern(pattern.literal->text);
  if (!parts) {
    return std::unexpected(
        ErrorAt(pattern.span, "in a pattern a backslash stands before %, _ or a backslash"));
  }
  VARVE_ASSIGN(Operand text, SettleAlone(value));
  VARVE_ASSIGN(text, Comparable(text));
  if (text.type->id() == Type::FIXED_SIZE_BINARY) {
    VARVE_ASSIGN(text, Cast(text, arrow::binary(), true));
  }
  if (!arrow::is_base_binary_like(text.type->id())) {
    return std::unexpected(
        ErrorAt(value.span, "'like' needs text, and this is " + text.type->ToString()));
  }
  if (parts->kind == LikeKind::kEqual) {
    return Compare("=", text, Open({LiteralKind::kString, parts->text}, pattern.span));
  }
  const bool starts = parts->kind == LikeKind::kStartsWith;
  return Call(starts ? "starts_with" : "match_like", {std::move(text)}, span,
              std::make_shared<cp::MatchSubstringOptions>(starts ? parts->text
                                                                 : pattern.literal->text));
}

Result<Operand> FilterBuilder::IsNull(const Operand& value, bool negated, TextSpan span) const {
  if (value.literal) return Boolean((value.literal->kind == LiteralKind::kNull) != negated, span);
  if (negated) return Call("is_valid", {value}, span);
  return Call("is_null", {value}, span, std::make_shared<cp::NullOptions>());
}

Result<Operand> FilterBuilder::Not(const Operand& operand, TextSpan span) const {
  VARVE_ASSIGN(Operand condition, AsBoolean(operand));
  return Call("invert", {std::move(condition)}, span);
}

Result<Operand> FilterBuilder::Combine(std::string_view function,
                                       std::vector<Operand> operands) const {
  for (Operand& operand : operands) {
    VARVE_ASSIGN(operand, AsBoolean(operand));
  }
  while (operands.size() > 1) {
    std::vector<Operand> halved;
    for (std::size_t i = 0; i + 1 < operands.size(); i += 2) {
      Operand& left = operands[i];
      Operand& right = operands[i + 1];
      halved.push_back({cp::call(std::string(function), {left.expression, right.expression}),
                        arrow::boolean(), std::nullopt, Cover(left, right),
                        std::max(left.depth, right.depth) + 1});
    }
    if (operands.size() % 2 == 1) halved.push_back(std::move(operands.back()));
    operands = std::move(halved);
  }
  return std::move(operands.front());
}

Result<Operand> FilterBuilder::AsBoolean(const Operand& operand) const {
  if (IsUnknown(operand)) return UnknownTruth(operand.span);
  if (!operand.literal && operand.type->id() == Type::BOOL) return operand;
  return std::unexpected(ErrorAt(operand.span, "this is " + TypeText(operand) +
                                                   "; expected a condition, such as a > 3"));
}

}  // namespace varve
