// SPDX-License-Identifier: Apache-2.0
// ParseSchema. The grammar, words in any case, blanks between tokens:
//   schema     = field { "," field }
//   field      = name type [ "not" "null" ]
//   name       = letter or "_", then letters, digits, "_"   |   '"' any but '"' (or '""') '"'
//   type       = word [ "[" argument { "," argument } "]" ] [ "(" number [ "," number ] ")" ]
//              | ("list" | "large_list" | "fixed_size_list") "<" inner ">" [ "[" number "]" ]
//              | "struct" "<" name ":" inner { "," ... } ">"
//              | "map" "<" type "," inner ">"
//              | "dictionary" "<" "values" "=" type "," "indices" "=" type ">"
//   inner      = type [ "not" "null" ]
// What Arrow prints is read as well: date32[day], list<item: int8>, map<utf8 ('k'), utf8 ('v')>,
// "keys_sorted" in a map, names of fields without quotes up to the ":".
#include <arrow/type.h>
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <map>
#include <optional>
#include <utility>

#include "base/result.h"
#include "columns/schema_text.h"
#include "varve/snapshot.h"

namespace varve {
namespace {

using Type = std::shared_ptr<arrow::DataType>;
using Unit = arrow::TimeUnit::type;

constexpr int kDepthMax = 64;

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (auto& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return lower;
}

std::string UnknownType(std::string_view word) {
  return fmt::format("unknown type '{}'; for example int64, float64, utf8, bool, date32, "
                     "timestamp[us, UTC], decimal128(10, 2), list<utf8>",
                     word);
}

// Types that are one word.
const std::map<std::string, Type, std::less<>>& Words() {
  static const std::map<std::string, Type, std::less<>> words = {
      {"bool", arrow::boolean()},           {"int8", arrow::int8()},
      {"int16", arrow::int16()},            {"int32", arrow::int32()},
      {"int64", arrow::int64()},            {"uint8", arrow::uint8()},
      {"uint16", arrow::uint16()},          {"uint32", arrow::uint32()},
      {"uint64", arrow::uint64()},          {"float16", arrow::float16()},
      {"half", arrow::float16()},           {"halffloat", arrow::float16()},
      {"float32", arrow::float32()},        {"float", arrow::float32()},
      {"float64", arrow::float64()},        {"double", arrow::float64()},
      {"utf8", arrow::utf8()},              {"string", arrow::utf8()},
      {"large_utf8", arrow::large_utf8()},  {"large_string", arrow::large_utf8()},
      {"utf8_view", arrow::utf8_view()},    {"string_view", arrow::utf8_view()},
      {"binary", arrow::binary()},          {"large_binary", arrow::large_binary()},
      {"binary_view", arrow::binary_view()}, {"date32", arrow::date32()},
      {"date64", arrow::date64()},          {"null", arrow::null()},
  };
  return words;
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Result<std::shared_ptr<arrow::Schema>> Schema() {
    arrow::FieldVector fields;
    do {
      VARVE_ASSIGN(auto name, Name("a column name"));
      VARVE_ASSIGN(auto field, TypedField(std::move(name)));
      fields.push_back(std::move(field));
    } while (Accept(','));
    if (at_ < text_.size()) return Wrong("expected ',' or the end");
    return arrow::schema(std::move(fields));
  }

 private:
  std::unexpected<Error> Wrong(std::string_view what) { return WrongAt(at_, what); }

  // The text with a caret under byte `place`.
  std::unexpected<Error> WrongAt(std::size_t place, std::string_view what) {
    std::string line(text_);
    std::ranges::replace_if(line, [](char c) { return c == '\n' || c == '\t' || c == '\r'; }, ' ');
    // Bytes that continue a UTF-8 character take no column.
    const auto starts = [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; };
    const auto column = std::ranges::count_if(line.substr(0, place), starts);
    return Fail(ErrorKind::kInvalid,
                fmt::format("schema: {}\n  {}\n  {:>{}}", what, line, '^', column + 1));
  }

  void SkipBlanks() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_])) != 0) ++at_;
  }
  bool Accept(char c) {
    SkipBlanks();
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  Status Expect(char c) {
    if (!Accept(c)) return Wrong(fmt::format("expected '{}'", c));
    return {};
  }

  std::string_view PeekWord() {
    SkipBlanks();
    std::size_t end = at_;
    if (end < text_.size() && IsWordStart(text_[end])) {
      while (end < text_.size() && IsWordPart(text_[end])) ++end;
    }
    return text_.substr(at_, end - at_);
  }
  bool AcceptWord(std::string_view word) {
    if (Lower(PeekWord()) != word) return false;
    at_ += word.size();
    return true;
  }

  Result<std::string> Name(std::string_view what) {
    const auto word = PeekWord();
    if (!word.empty()) {
      at_ += word.size();
      return std::string(word);
    }
    if (!Accept('"')) return Wrong(fmt::format("expected {}", what));
    std::string name;
    for (;;) {
      if (at_ == text_.size()) return Wrong("expected '\"' at the end of the name");
      const char c = text_[at_++];
      if (c == '"' && (at_ == text_.size() || text_[at_] != '"')) return name;
      if (c == '"') ++at_;
      name.push_back(c);
    }
  }

  // A name and the ':' behind it; nothing, and nothing is read, where a type stands instead.
  std::optional<std::string> NameAndColon() {
    SkipBlanks();
    const std::size_t place = at_;
    if (text_.substr(at_).starts_with('"')) {
      if (auto named = Name("a name"); named && Accept(':')) return *std::move(named);
      at_ = place;
      return std::nullopt;
    }
    const std::size_t end = text_.find_first_of(":<>,[]()\"", at_);
    if (end == std::string_view::npos || text_[end] != ':') return std::nullopt;
    std::string_view name = text_.substr(at_, end - at_);
    while (name.ends_with(' ')) name.remove_suffix(1);
    if (name.empty()) return std::nullopt;
    at_ = end + 1;
    return std::string(name);
  }

  // ('name'), as Arrow writes those of a map that are not its usual ones.
  Result<std::string> NameInParentheses(const char* otherwise) {
    if (!Accept('(')) return otherwise;
    VARVE_TRY(Expect('\''));
    const std::size_t end = std::min(text_.find("')", at_), text_.size());
    std::string name(text_.substr(at_, end - at_));
    at_ = end;
    VARVE_TRY(Expect('\''));
    VARVE_TRY(Expect(')'));
    return name;
  }

  Result<std::int32_t> Number() {
    SkipBlanks();
    std::int32_t value = 0;
    const auto [end, error] =
        std::from_chars(text_.data() + at_, text_.data() + text_.size(), value);
    if (error != std::errc()) return Wrong("expected a number");
    at_ = static_cast<std::size_t>(end - text_.data());
    return value;
  }

  Result<bool> Nullable() {
    if (!AcceptWord("not")) return true;
    if (!AcceptWord("null")) return Wrong("expected 'null' after 'not'");
    return false;
  }

  Result<std::shared_ptr<arrow::Field>> TypedField(std::string name) {
    VARVE_ASSIGN(auto type, ParseType());
    VARVE_ASSIGN(const bool nullable, Nullable());
    return arrow::field(std::move(name), std::move(type), nullable);
  }

  Result<Type> ParseType() {
    if (depth_ == kDepthMax) return Wrong(fmt::format("nested deeper than {}", kDepthMax));
    ++depth_;
    auto type = OneType();
    --depth_;
    return type;
  }

  Result<Type> OneType() {
    const auto word = PeekWord();
    const std::size_t start = at_;
    if (word.empty()) return Wrong("expected a type");
    at_ += word.size();
    const std::string name = Lower(word);
    if (name == "date32" || name == "date64") {
      VARVE_TRY(DateUnit(name));
    }
    if (const auto found = Words().find(name); found != Words().end()) return found->second;
    if (name.starts_with("decimal")) return Decimal(name, start);
    if (name == "time32" || name == "time64") return Time(name, start);
    if (name == "timestamp") return Timestamp();
    if (name == "duration") {
      VARVE_ASSIGN(const Unit unit, BracketedUnit());
      return arrow::duration(unit);
    }
    if (name == "fixed_size_binary") return FixedSizeBinary();
    if (name == "struct") return Struct();
    if (name == "map") return Map();
    if (name == "dictionary") return Dictionary();
    if (name.ends_with("list") || name.ends_with("list_view")) return List(name, start);
    return WrongAt(start, UnknownType(word));
  }

  // Which no date needs.
  Status DateUnit(const std::string& name) {
    if (!Accept('[')) return {};
    const auto unit = name == "date32" ? "day" : "ms";
    if (!AcceptWord(unit)) return Wrong(fmt::format("{0}: expected {0}[{1}]", name, unit));
    return Expect(']');
  }

  Result<Unit> UnitWord() {
    for (const auto& [word, unit] : std::initializer_list<std::pair<std::string_view, Unit>>{
             {"s", Unit::SECOND}, {"ms", Unit::MILLI}, {"us", Unit::MICRO}, {"ns", Unit::NANO}}) {
      if (AcceptWord(word)) return unit;
    }
    return Wrong("expected a unit: s, ms, us or ns");
  }
  Result<Unit> BracketedUnit() {
    VARVE_TRY(Expect('['));
    VARVE_ASSIGN(const Unit unit, UnitWord());
    VARVE_TRY(Expect(']'));
    return unit;
  }

  Result<Type> Time(const std::string& name, std::size_t start) {
    VARVE_ASSIGN(const Unit unit, BracketedUnit());
    const bool coarse = unit == Unit::SECOND || unit == Unit::MILLI;
    if (coarse != (name == "time32")) {
      return WrongAt(start, "time32 counts s or ms, time64 us or ns");
    }
    return coarse ? arrow::time32(unit) : arrow::time64(unit);
  }

  Result<Type> Timestamp() {
    VARVE_TRY(Expect('['));
    VARVE_ASSIGN(const Unit unit, UnitWord());
    if (!Accept(',')) {
      VARVE_TRY(Expect(']'));
      return arrow::timestamp(unit);
    }
    if (AcceptWord("tz")) VARVE_TRY(Expect('='));
    SkipBlanks();
    const std::size_t start = at_;
    at_ = std::min(text_.find(']', at_), text_.size());
    std::string_view zone = text_.substr(start, at_ - start);
    while (zone.ends_with(' ')) zone.remove_suffix(1);
    if (zone.empty()) return WrongAt(start, "expected a time zone, for example UTC");
    VARVE_TRY(Expect(']'));
    return arrow::timestamp(unit, std::string(zone));
  }

  Result<Type> FixedSizeBinary() {
    VARVE_TRY(Expect('['));
    const std::size_t place = at_;
    VARVE_ASSIGN(const auto width, Number());
    if (width < 1) return WrongAt(place, "expected a size of at least 1");
    VARVE_TRY(Expect(']'));
    return arrow::fixed_size_binary(width);
  }

  Result<Type> Decimal(const std::string& name, std::size_t start) {
    using Make = arrow::Result<Type> (*)(std::int32_t, std::int32_t);
    static const std::map<std::string, Make, std::less<>> makers = {
        {"decimal", arrow::Decimal128Type::Make},    {"decimal32", arrow::Decimal32Type::Make},
        {"decimal64", arrow::Decimal64Type::Make},   {"decimal128", arrow::Decimal128Type::Make},
        {"decimal256", arrow::Decimal256Type::Make},
    };
    const auto maker = makers.find(name);
    if (maker == makers.end()) return WrongAt(start, UnknownType(name));
    VARVE_TRY(Expect('('));
    VARVE_ASSIGN(const auto precision, Number());
    std::int32_t scale = 0;
    if (Accept(',')) {
      VARVE_ASSIGN(scale, Number());
    }
    VARVE_TRY(Expect(')'));
    auto type = maker->second(precision, scale);
    if (!type.ok()) return WrongAt(start, type.status().message());
    return *type;
  }

  Result<Type> List(const std::string& name, std::size_t start) {
    VARVE_TRY(Expect('<'));
    // Arrow's own texts name the element: list<item: int32>.
    VARVE_ASSIGN(auto field, TypedField(NameAndColon().value_or("item")));
    VARVE_TRY(Expect('>'));
    if (name == "list") return arrow::list(field);
    if (name == "large_list") return arrow::large_list(field);
    if (name == "list_view") return arrow::list_view(field);
    if (name == "large_list_view") return arrow::large_list_view(field);
    if (name != "fixed_size_list") return WrongAt(start, UnknownType(name));
    VARVE_TRY(Expect('['));
    const std::size_t size_place = at_;
    VARVE_ASSIGN(const auto size, Number());
    if (size < 0) return WrongAt(size_place, "expected a size of at least 0");
    VARVE_TRY(Expect(']'));
    return arrow::fixed_size_list(field, size);
  }

  Result<Type> Struct() {
    VARVE_TRY(Expect('<'));
    arrow::FieldVector fields;
    do {
      auto name = NameAndColon();
      if (!name) {
        VARVE_ASSIGN(name, Name("a field name"));
        VARVE_TRY(Expect(':'));
      }
      VARVE_ASSIGN(auto field, TypedField(*std::move(name)));
      fields.push_back(std::move(field));
    } while (Accept(','));
    VARVE_TRY(Expect('>'));
    return arrow::struct_(std::move(fields));
  }

  Result<Type> Map() {
    VARVE_TRY(Expect('<'));
    VARVE_ASSIGN(auto key, ParseType());
    VARVE_ASSIGN(auto key_name, NameInParentheses("key"));
    VARVE_TRY(Expect(','));
    VARVE_ASSIGN(auto item, TypedField("value"));
    VARVE_ASSIGN(auto item_name, NameInParentheses("value"));
    const bool sorted = Accept(',');
    if (sorted && !AcceptWord("keys_sorted")) return Wrong("expected 'keys_sorted' or '>'");
    VARVE_TRY(Expect('>'));
    const auto key_field = arrow::field(std::move(key_name), std::move(key), false);
    return std::make_shared<arrow::MapType>(key_field, item->WithName(std::move(item_name)),
                                            sorted);
  }

  Result<Type> Dictionary() {
    VARVE_TRY(Expect('<'));
    if (!AcceptWord("values")) return Wrong("expected 'values='");
    VARVE_TRY(Expect('='));
    VARVE_ASSIGN(auto values, ParseType());
    VARVE_TRY(Expect(','));
    if (!AcceptWord("indices")) return Wrong("expected 'indices='");
    VARVE_TRY(Expect('='));
    const std::size_t place = (SkipBlanks(), at_);
    VARVE_ASSIGN(auto indices, ParseType());
    bool ordered = false;
    if (Accept(',')) {
      if (!AcceptWord("ordered")) return Wrong("expected 'ordered='");
      VARVE_TRY(Expect('='));
      VARVE_ASSIGN(const auto flag, Number());
      ordered = flag != 0;
    }
    VARVE_TRY(Expect('>'));
    auto type = arrow::DictionaryType::Make(indices, values, ordered);
    if (!type.ok()) return WrongAt(place, type.status().message());
    return *type;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace

Result<std::shared_ptr<arrow::Schema>> ParseSchema(std::string_view text) {
  return Parser(text).Schema();
}

}  // namespace varve
