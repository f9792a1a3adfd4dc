// SPDX-License-Identifier: Apache-2.0
#include "view/key_interval.h"

#include <arrow/api.h>
#include <arrow/compute/api.h>
#include <arrow/extension_type.h>
#include <arrow/type_traits.h>

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "view/like_pattern.h"

namespace varve {
namespace {

namespace cp = arrow::compute;
using arrow::Type;
using TypePtr = std::shared_ptr<arrow::DataType>;
using ScalarPtr = std::shared_ptr<arrow::Scalar>;
using Intervals = std::vector<KeyInterval>;

// True when every value of `from` has a value of `to` of its own, in the same order, and the cast
// gives it: then a comparison above the cast is one of the column.
bool IsLossless(const arrow::DataType& from, const arrow::DataType& to) {
  const auto decimal = [](const arrow::DataType& type) -> const arrow::DecimalType& {
    return static_cast<const arrow::DecimalType&>(type);
  };
  if (from.id() == Type::DICTIONARY) {
    return static_cast<const arrow::DictionaryType&>(from).value_type()->Equals(to);
  }
  if (from.id() == Type::EXTENSION) {
    return static_cast<const arrow::ExtensionType&>(from).storage_type()->Equals(to);
  }
  if (arrow::is_integer(from.id()) && arrow::is_integer(to.id())) {
    const bool to_signed = arrow::is_signed_integer(to.id());
    if (arrow::is_signed_integer(from.id()) == to_signed) return to.bit_width() >= from.bit_width();
    return to_signed && to.bit_width() > from.bit_width();
  }
  if (arrow::is_integer(from.id())) return to.id() == Type::DOUBLE && from.bit_width() <= 32;
  if (arrow::is_floating(from.id())) {
    return arrow::is_floating(to.id()) && to.bit_width() >= from.bit_width();
  }
  if (arrow::is_decimal(from.id()) && arrow::is_decimal(to.id())) {
    return decimal(from).scale() == decimal(to).scale() &&
           decimal(from).precision() <= decimal(to).precision();
  }
  const bool text = arrow::is_string(from.id()) || from.id() == Type::STRING_VIEW;
  if (text) return arrow::is_string(to.id());
  const bool bytes = arrow::is_binary(from.id()) || from.id() == Type::BINARY_VIEW;
  return bytes && arrow::is_binary(to.id());
}

// A finite value that survives the cast and comes back.
ScalarPtr CastExactly(const ScalarPtr& value, const TypePtr& type) {
  if (!value->is_valid) return nullptr;
  if (value->type->Equals(*type)) return value;
  auto cast = cp::Cast(value, type);
  if (!cast.ok() || !cast->scalar()->is_valid) return nullptr;
  auto back = cp::Cast(*cast, value->type);
  if (!back.ok() || !back->scalar()->Equals(*value)) return nullptr;
  return cast->scalar();
}

bool IsNan(const arrow::Scalar& value) {
  if (value.type->id() == Type::DOUBLE) {
    return std::isnan(static_cast<const arrow::DoubleScalar&>(value).value);
  }
  if (value.type->id() == Type::FLOAT) {
    return std::isnan(static_cast<const arrow::FloatScalar&>(value).value);
  }
  return value.type->id() == Type::HALF_FLOAT && value.ToString() == "nan";
}

// One value as an array of a key column's type, dictionary and extension types included.
std::shared_ptr<arrow::Array> OneValue(const ScalarPtr& value, const TypePtr& type) {
  if (type->id() == Type::EXTENSION) {
    auto storage = OneValue(value, static_cast<const arrow::ExtensionType&>(*type).storage_type());
    return storage ? arrow::ExtensionType::WrapArray(type, storage) : nullptr;
  }
  if (type->id() == Type::DICTIONARY) {
    const auto& dictionary = static_cast<const arrow::DictionaryType&>(*type);
    auto values = OneValue(value, dictionary.value_type());
    auto zero = arrow::MakeScalar(dictionary.index_type(), 0);
    auto index = zero.ok() ? arrow::MakeArrayFromScalar(**zero, 1) : zero.status();
    if (!values || !index.ok()) return nullptr;
    return arrow::DictionaryArray::FromArrays(type, *index, values).ValueOr(nullptr);
  }
  ScalarPtr exact = CastExactly(value, type);
  if (!exact) return nullptr;
  return arrow::MakeArrayFromScalar(*exact, 1).ValueOr(nullptr);
}

class Walk {
 public:
  explicit Walk(const TableSchema& schema) : schema_(schema), columns_(schema.key_names().size()) {}

  Intervals Of(const cp::Expression& expression) const {
    if (const arrow::Datum* literal = expression.literal()) return OfConstant(*literal);
    const cp::Expression::Call* call = expression.call();
    if (call == nullptr) return Everything();
    const std::string& name = call->function_name;
    if (name == "and_kleene" || name == "and") return OfBoth(*call, Intersect);
    if (name == "or_kleene" || name == "or") return OfBoth(*call, Hull);
    if (name == "is_in") return OfSet(*call);
    if (name == "starts_with" || name == "match_like") return OfPrefix(*call);
    return OfComparison(*call);
  }

 private:
  struct Column {
    std::size_t place = 0;  // in the key
    TypePtr type;
    std::string name;
  };

  Intervals Everything() const { return Intervals(columns_); }
  Intervals Only(const Column& column, KeyInterval interval) const {
    Intervals all = Everything();
    all[column.place] = std::move(interval);
    return all;
  }

  Intervals OfConstant(const arrow::Datum& literal) const {
    if (!literal.is_scalar() || literal.type()->id() != Type::BOOL) return Everything();
    const auto& value = literal.scalar_as<arrow::BooleanScalar>();
    if (value.is_valid && value.value) return Everything();
    return Intervals(columns_, KeyInterval::Nothing());
  }

  Intervals OfBoth(const cp::Expression::Call& call,
                   KeyInterval (*combine)(const KeyInterval&, const KeyInterval&)) const {
    Intervals left = Of(call.arguments[0]);
    const Intervals right = Of(call.arguments[1]);
    const auto impossible = [](const Intervals& all) {
      return std::any_of(all.begin(), all.end(), [](const auto& i) { return i.Empty(); });
    };
    if (combine == Hull && impossible(left)) return right;
    if (combine == Hull && impossible(right)) return left;
    for (std::size_t i = 0; i < left.size(); ++i) left[i] = combine(left[i], right[i]);
    return left;
  }

  // The key column that the expression is, bare or below casts without loss.
  std::optional<Column> KeyColumn(const cp::Expression& expression) const {
    if (const auto* call = expression.call()) {
      if (call->function_name != "cast") return std::nullopt;
      auto column = KeyColumn(call->arguments[0]);
      if (!column || !IsLossless(*call->arguments[0].type(), *call->type.type)) {
        return std::nullopt;
      }
      return column;
    }
    const cp::Expression::Parameter* parameter = expression.parameter();
    if (parameter == nullptr || parameter->indices.size() != 1) return std::nullopt;
    const auto& keys = schema_.key_columns();
    const auto at = std::find(keys.begin(), keys.end(), parameter->indices[0]);
    if (at == keys.end()) return std::nullopt;
    const auto place = static_cast<std::size_t>(at - keys.begin());
    return Column{place, schema_.schema()->field(*at)->type(), schema_.key_names()[place]};
  }

  // Component bytes of a value; nothing when it is no value of the column.
  std::optional<std::string> Encode(const Column& column, const ScalarPtr& value) const {
    auto array = OneValue(value, column.type);
    if (array == nullptr) return std::nullopt;
    auto schema = arrow::schema({arrow::field(column.name, column.type)});
    auto codec = KeyCodec::Make(*schema);
    if (!codec) return std::nullopt;
    auto keys = codec->Encode(*arrow::RecordBatch::Make(schema, 1, {array}), {0}, 0, 1);
    if (!keys) return std::nullopt;
    return std::string((*keys)[0]);
  }

  Intervals OfComparison(const cp::Expression::Call& call) const {
    static constexpr std::string_view kNames[] = {"equal", "less", "less_equal", "greater",
                                                  "greater_equal"};
    static constexpr std::string_view kFlipped[] = {"equal", "greater", "greater_equal", "less",
                                                    "less_equal"};
    const auto name = std::find(std::begin(kNames), std::end(kNames), call.function_name);
    if (name == std::end(kNames)) return Everything();
    const bool flipped = call.arguments[0].literal() != nullptr;
    const cp::Expression& side = call.arguments[flipped ? 1 : 0];
    const arrow::Datum* literal = call.arguments[flipped ? 0 : 1].literal();
    const auto column = KeyColumn(side);
    if (!column || literal == nullptr || !literal->is_scalar()) return Everything();
    const ScalarPtr& value = literal->scalar();
    // A comparison with null is null, one with NaN false.
    if (!value->is_valid || IsNan(*value)) return Only(*column, KeyInterval::Nothing());
    const auto bytes = Encode(*column, value);
    if (!bytes) return Everything();
    const std::string_view op = flipped ? kFlipped[name - std::begin(kNames)] : *name;
    return Only(*column, Compared(*column, op, *bytes, value->ToString()));
  }

  static KeyInterval Compared(const Column& column, std::string_view op, const std::string& bytes,
                              const std::string& value) {
    KeyInterval interval;
    if (op == "equal") {
      interval.point = true;
      interval.lower = bytes;
      interval.upper = PrefixEnd(bytes);
      interval.lower_text = column.name + " = " + value;
    } else if (op == "less" || op == "less_equal") {
      interval.upper = op == "less" ? std::optional(bytes) : PrefixEnd(bytes);
      interval.upper_text = column.name + (op == "less" ? " < " : " <= ") + value;
    } else {
      interval.lower = op == "greater" ? PrefixEnd(bytes).value_or("") : bytes;
      // Greater than the greatest byte string: no key is.
      if (interval.lower.empty()) return KeyInterval::Nothing();
      interval.lower_text = column.name + (op == "greater" ? " > " : " >= ") + value;
    }
    return interval;
  }

  Intervals OfSet(const cp::Expression::Call& call) const {
    const auto* options = dynamic_cast<const cp::SetLookupOptions*>(call.options.get());
    const auto column = KeyColumn(call.arguments[0]);
    if (!column || options == nullptr || !options->value_set.is_arraylike()) return Everything();
    KeyInterval hull = KeyInterval::Nothing();
    for (const auto& chunk : options->value_set.chunks()) {
      for (std::int64_t i = 0; i < chunk->length(); ++i) {
        if (chunk->IsNull(i)) continue;  // no key is null
        const ScalarPtr value = chunk->GetScalar(i).ValueOr(nullptr);
        const auto bytes = value ? Encode(*column, value) : std::nullopt;
        if (!bytes) return Everything();
        KeyInterval one = Compared(*column, "equal", *bytes, value->ToString());
        hull = hull.Empty() ? std::move(one) : Hull(hull, one);
      }
    }
    return Only(*column, std::move(hull));
  }

  Intervals OfPrefix(const cp::Expression::Call& call) const {
    const auto* options = dynamic_cast<const cp::MatchSubstringOptions*>(call.options.get());
    const auto column = KeyColumn(call.arguments[0]);
    if (!column || options == nullptr || options->ignore_case) return Everything();
    std::string prefix = options->pattern;
    if (call.function_name == "match_like") {
      const auto pattern = ParseLikePattern(options->pattern);
      if (!pattern) return Everything();
      prefix = pattern->text;
    }
    TypePtr plain = column->type;
    if (plain->id() == Type::DICTIONARY) {
      plain = static_cast<const arrow::DictionaryType&>(*plain).value_type();
    }
    const bool escaped = arrow::is_base_binary_like(plain->id()) ||
                         arrow::is_binary_view_like(plain->id());
    auto value = arrow::MakeScalar(plain, arrow::Buffer::FromString(prefix));
    if (prefix.empty() || !escaped || !value.ok()) return Everything();
    auto bytes = Encode(*column, *value);
    if (!bytes) return Everything();
    VARVE_CHECK(bytes->ends_with(std::string_view("\0\0", 2)));
    bytes->resize(bytes->size() - 2);  // without its end: any text may follow
    KeyInterval interval;
    interval.lower = *bytes;
    interval.upper = PrefixEnd(*bytes);
    interval.lower_text = column->name + " starts with '" + prefix + "'";
    return Only(*column, std::move(interval));
  }

  const TableSchema& schema_;
  const std::size_t columns_;
};

}  // namespace

KeyInterval KeyInterval::Nothing() {
  KeyInterval nothing;
  nothing.upper = "";
  nothing.upper_text = "none";
  return nothing;
}

KeyInterval Intersect(const KeyInterval& a, const KeyInterval& b) {
  const KeyInterval& low = a.lower >= b.lower ? a : b;
  const bool a_ends = a.upper && (!b.upper || *a.upper <= *b.upper);
  const KeyInterval& high = a_ends ? a : b;
  KeyInterval result;
  result.lower = low.lower;
  result.lower_text = low.lower_text;
  result.upper = high.upper;
  result.upper_text = high.upper_text;
  if (result.Empty()) return KeyInterval::Nothing();
  result.point = a.point || b.point;
  if (result.point) {
    const KeyInterval& point = a.point ? a : b;
    result.lower_text = point.lower_text;
    result.upper_text.clear();
  }
  return result;
}

KeyInterval Hull(const KeyInterval& a, const KeyInterval& b) {
  const KeyInterval& low = a.lower <= b.lower ? a : b;
  const bool a_ends = !a.upper || (b.upper && *a.upper >= *b.upper);
  const KeyInterval& high = a_ends ? a : b;
  if (a.point && b.point && a.lower == b.lower) return a;
  const auto loosened = [](const KeyInterval& end, std::string text, std::string_view op) {
    const std::size_t equals = end.point ? text.find(" = ") : text.npos;
    if (equals != text.npos) text.replace(equals, 3, op);
    return text;
  };
  KeyInterval result;
  result.lower = low.lower;
  result.upper = high.upper;
  if (!result.lower.empty()) result.lower_text = loosened(low, low.lower_text, " >= ");
  if (result.upper) {
    result.upper_text =
        high.point ? loosened(high, high.lower_text, " <= ") : high.upper_text;
  }
  return result;
}

std::vector<KeyInterval> IntervalsOf(const TableSchema& schema, const cp::Expression& filter) {
  return Walk(schema).Of(filter);
}

}  // namespace varve
