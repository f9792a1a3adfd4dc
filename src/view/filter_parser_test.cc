// SPDX-License-Identifier: Apache-2.0
#include "view/filter_parser.h"

#include <arrow/api.h>
#include <arrow/compute/expression.h>
#include <arrow/json/from_string.h>
#include <gtest/gtest.h>

#include "base/random.h"
#include "test/support/seed.h"
#include "view/filter.h"
#include "view/lexer.h"

namespace varve {
namespace {

using arrow::field;

std::shared_ptr<arrow::Schema> TestSchema() {
  return arrow::schema({
      field("a", arrow::int64()),
      field("tiny", arrow::int8()),
      field("u", arrow::uint64()),
      field("x", arrow::float64()),
      field("x4", arrow::float32()),
      field("x2", arrow::float16()),
      field("f", arrow::boolean()),
      field("s", arrow::utf8()),
      field("ls", arrow::large_utf8()),
      field("sv", arrow::utf8_view()),
      field("b", arrow::binary()),
      field("b2", arrow::fixed_size_binary(2)),
      field("day", arrow::date32()),
      field("day64", arrow::date64()),
      field("t", arrow::time32(arrow::TimeUnit::SECOND)),
      field("t6", arrow::time64(arrow::TimeUnit::MICRO)),
      field("at", arrow::timestamp(arrow::TimeUnit::MICRO, "UTC")),
      field("local", arrow::timestamp(arrow::TimeUnit::SECOND)),
      field("lag", arrow::duration(arrow::TimeUnit::MILLI)),
      field("price", arrow::decimal128(7, 2)),
      field("cost", arrow::decimal32(5, 1)),
      field("code", arrow::dictionary(arrow::int32(), arrow::utf8())),
      field("p", arrow::struct_({field("q", arrow::int32()), field("r s", arrow::utf8())})),
      field("list", arrow::list(arrow::int32())),
      field("and", arrow::int32()),
      field("n", arrow::null()),
      field("dep_delay", arrow::float64()),
  });
}

// One row of nulls but for the columns given as JSON.
std::shared_ptr<arrow::RecordBatch> OneRow(
    const std::vector<std::pair<std::string, std::string>>& set) {
  auto schema = TestSchema();
  std::vector<std::shared_ptr<arrow::Array>> columns;
  for (const auto& column : schema->fields()) {
    columns.push_back(arrow::MakeArrayOfNull(column->type(), 1).ValueOrDie());
  }
  for (const auto& [name, json] : set) {
    const int i = schema->GetFieldIndex(name);
    columns[static_cast<std::size_t>(i)] =
        arrow::json::ArrayFromJSONString(schema->field(i)->type(), "[" + json + "]").ValueOrDie();
  }
  return arrow::RecordBatch::Make(schema, 1, columns);
}

// "true", "false" or "null"; the message when the filter does not parse or run.
std::string Truth(const std::string& filter, const std::shared_ptr<arrow::RecordBatch>& row) {
  auto parsed = ParseFilter(filter, row->schema());
  if (!parsed) return parsed.error().message();
  auto value = arrow::compute::ExecuteScalarExpression(**parsed, *row->schema(), row);
  if (!value.ok()) return value.status().ToString();
  auto scalar = value->is_scalar() ? value->scalar() : *value->make_array()->GetScalar(0);
  return scalar->is_valid ? scalar->ToString() : "null";
}

std::string ErrorOf(const std::string& filter) {
  auto parsed = ParseFilter(filter, TestSchema());
  if (parsed) return "parsed as " + (*parsed)->ToString();
  EXPECT_EQ(parsed.error().kind(), ErrorKind::kInvalid);
  return parsed.error().message();
}

// What the caret and its tildes stand under.
std::string Marked(const std::string& filter) {
  const std::string message = ErrorOf(filter);
  const std::size_t caret = message.rfind("\n  ");
  const std::size_t text = message.rfind("\n  ", caret - 1);
  if (caret == message.npos || text == message.npos) return message;
  const std::string shown = message.substr(text + 3, caret - text - 3);
  const std::string marks = message.substr(caret + 3);
  const std::size_t first = marks.find('^');
  return first >= shown.size() ? "<end>" : shown.substr(first, marks.size() - first);
}

struct Case {
  std::string filter;
  std::string truth;
};

void ExpectAll(const std::shared_ptr<arrow::RecordBatch>& row, const std::vector<Case>& cases) {
  for (const Case& c : cases) EXPECT_EQ(Truth(c.filter, row), c.truth) << c.filter;
}

TEST(FilterParser, ComparesNumbers) {
  const auto row =
      OneRow({{"a", "5"}, {"tiny", "-7"}, {"u", "18446744073709551615"}, {"x", "1.5"}});
  ExpectAll(row, {{"a = 5", "true"},       {"a == 5", "true"},     {"a != 5", "false"},
                  {"a <> 4", "true"},      {"a < 6", "true"},      {"a <= 5", "true"},
                  {"a > 5", "false"},      {"a >= 5", "true"},     {"5 = a", "true"},
                  {"4 < a", "true"},       {"a = 5.0", "true"},    {"a > 4.5", "true"},
                  {"a = 4.5", "false"},    {"tiny = -7", "true"},  {"tiny < 100.5", "true"},
                  {"tiny = - 7", "true"},  {"tiny = - - 7", "false"},
                  {"u = 18446744073709551615", "true"},            {"u > 0", "true"},
                  {"x = 1.5", "true"},     {"x > 1", "true"},      {"x < 1e1", "true"},
                  {"x = .15e1", "true"},   {"x > a", "false"},     {"a > x", "true"},
                  {"tiny < a", "true"},    {"1 = 1", "true"},      {"1 > 2.5", "false"},
                  {"'a' < 'b'", "true"}});
}

TEST(FilterParser, LiteralsTakeTheColumnsTypeExactly) {
  const auto row =
      OneRow({{"x4", "0.1"}, {"x2", "0.5"}, {"price", "\"12.50\""}, {"cost", "\"1.5\""}});
  ExpectAll(row, {{"x4 = 0.1", "true"},
                  {"x2 = 0.5", "true"},
                  {"price = 12.5", "true"},
                  {"price = '12.50'", "true"},
                  {"price < 12.501", "true"},
                  {"price = 12.501", "false"},
                  {"price between 12 and 13", "true"},
                  {"price in (1, 12.5)", "true"},
                  {"cost = 1.5", "true"},
                  {"cost in (1.5, 2)", "true"},
                  {"cost < 1.55", "true"}});
}

TEST(FilterParser, ReadsTextAndBytes) {
  const auto row = OneRow({{"s", "\"it's\""}, {"ls", "\"naïve\""}, {"sv", "\"view\""},
                        {"b", "\"ab\""}, {"b2", "\"xy\""}, {"code", "\"JFK\""}});
  ExpectAll(row, {{"s = 'it''s'", "true"},      {"s > 'it'", "true"},     {"ls = 'naïve'", "true"},
                  {"sv = 'view'", "true"},      {"sv in ('view')", "true"},
                  {"b = 'ab'", "true"},
                  {"b = x'6162'", "true"},      {"b2 = 'xy'", "true"},    {"b2 < X'7a7a'", "true"},
                  {"code = 'JFK'", "true"},     {"code in ('LGA', 'JFK')", "true"},
                  {"code like 'J%'", "true"},   {"s = ls", "false"},      {"s < sv", "true"}});
}

TEST(FilterParser, ReadsDatesTimesAndDurations) {
  const auto row = OneRow({{"day", "18262"}, {"day64", "1577836800000"}, {"t", "45296"},
                        {"t6", "45296500000"}, {"at", "1577836800500000"}, {"local", "1577836800"},
                        {"lag", "5400000"}});
  ExpectAll(row, {{"day = '2020-01-01'", "true"},
                  {"day64 = '2020-01-01'", "true"},
                  {"day between '2019-12-31' and '2020-01-02'", "true"},
                  {"t = '12:34:56'", "true"},
                  {"t < '12:35'", "true"},
                  {"t6 = '12:34:56.5'", "true"},
                  {"at = '2020-01-01T00:00:00.5Z'", "true"},
                  {"at = '2020-01-01 00:00:00.500'", "true"},
                  {"at = '2020-01-01T01:00:00.5+01:00'", "true"},
                  {"at >= '2020-01-01'", "true"},
                  {"local = '2020-01-01T00:00:00'", "true"},
                  {"local in ('2020-01-01', '2021-01-01')", "true"},
                  {"lag = '1h30m'", "true"},
                  {"lag = 'PT1H30M'", "true"},
                  {"lag > '-1d 2h'", "true"},
                  {"at - '1h' < '2020-01-01'", "true"},
                  {"at + '1h' > '2020-01-01T01:00:00Z'", "true"},
                  {"at - '2020-01-01' = '500ms'", "true"},
                  {"lag * 2 = '3h'", "true"},
                  {"-lag = '-90m'", "true"},
                  {"day = at", "false"},
                  {"day < local", "false"}});
}

TEST(FilterParser, BindsTighterFromOrToUnary) {
  const auto row = OneRow({{"a", "5"}, {"x", "2.0"}, {"f", "false"}});
  ExpectAll(row, {{"true or true and false", "true"},
                  {"(true or true) and false", "false"},
                  {"not f and false", "false"},
                  {"not (f and false)", "true"},
                  {"not a = 6", "true"},
                  {"not not f", "false"},
                  {"a + 2 * 3 = 11", "true"},
                  {"(a + 2) * 3 = 21", "true"},
                  {"a - 1 - 1 = 3", "true"},
                  {"a / 2 = 2.5", "true"},
                  {"-a + 6 = 1", "true"},
                  {"a between 1 and 5 and x = 2", "true"},
                  {"a not between 1 and 4", "true"},
                  {"a in (1, 2 + 3)", "true"},
                  {"a not in (1, 2)", "true"},
                  {"A = 5", ErrorOf("A = 5")},
                  {"NOT F or f iS NoT nULL", ErrorOf("NOT F or f iS NoT nULL")},
                  {"NOT f or f iS NoT nULL", "true"},
                  {"(a > 3) = true", "true"}});
}

TEST(FilterParser, ComputesWithoutWrapping) {
  const auto row = OneRow({{"tiny", "127"}, {"a", "9223372036854775807"}, {"price", "\"10.00\""}});
  ExpectAll(row, {{"tiny + 1 = 128", "true"},
                  {"tiny * tiny = 16129", "true"},
                  {"price * 2 = 20", "true"},
                  {"price + 0.005 > 10", "true"},
                  {"price / 4 = 2.5", "true"},
                  {"tiny / 0 > 1e300", "true"}});
  EXPECT_NE(Truth("a + 1 > 0", row).find("overflow"), std::string::npos);
}

TEST(FilterParser, KnowsFieldsAndQuotedNames) {
  const auto row = OneRow({{"p", R"({"q": 3, "r s": "hi"})"}, {"and", "4"}});
  ExpectAll(row, {{"p.q = 3", "true"},
                  {"p.\"r s\" = 'hi'", "true"},
                  {"\"p\".q + 1 = \"and\"", "true"},
                  {"p is not null", "true"},
                  {"list is null", "true"},
                  {"n is null", "true"},
                  {"n = 1", "null"}});
}

TEST(FilterParser, FollowsThreeValuedLogic) {
  const auto row = OneRow({});  // f is null
  ExpectAll(row, {{"f", "null"},
                  {"not f", "null"},
                  {"f and true", "null"},
                  {"f and false", "false"},
                  {"f or true", "true"},
                  {"f or false", "null"},
                  {"null", "null"},
                  {"null and false", "false"},
                  {"null or true", "true"},
                  {"not null", "null"},
                  {"a = null", "null"},
                  {"a = a", "null"},
                  {"a is null", "true"},
                  {"a is not null", "false"},
                  {"null is null", "true"},
                  {"1 is null", "false"},
                  {"a in (1)", "null"},
                  {"a not in (1)", "null"},
                  {"a between 1 and 2", "null"},
                  {"a + null = 1", "null"},
                  {"s like '%'", "null"}});
  const auto five = OneRow({{"a", "5"}, {"x", "5"}});
  ExpectAll(five, {{"a in (5, null)", "true"},
                   {"a in (4, null)", "null"},
                   {"a not in (4, null)", "null"},
                   {"a not in (5, null)", "false"},
                   {"x in (4, null)", "null"},
                   {"a between 6 and null", "false"}});
}

TEST(FilterParser, InTreatsFloatsAsEqualsDoes) {
  const auto zero = OneRow({{"x", "-0.0"}});
  ExpectAll(zero, {{"x in (0)", "true"}, {"x = 0", "true"}, {"x in (1, 2.5)", "false"}});
}

TEST(FilterParser, LikeKnowsWildcardsAndEscapes) {
  const auto row = OneRow({{"s", R"("50%_off\\now")"}, {"b2", "\"ab\""}});
  ExpectAll(row, {{"s like '50%'", "true"},
                  {"s like '50\\%%'", "true"},
                  {"s like '50\\%\\_off\\\\now'", "true"},
                  {"s like '50%now'", "true"},
                  {"s like '5_%'", "true"},
                  {"s like '%off%'", "true"},
                  {"s like 'off%'", "false"},
                  {"s like ''", "false"},
                  {"s not like '50%'", "false"},
                  {"b2 like 'a%'", "true"},
                  {"s like '(50'", "false"}});
}

TEST(FilterParser, PrefixPatternsBecomeStartsWith) {
  auto parsed = ParseFilter("s like 'abc%'", TestSchema());
  ASSERT_TRUE(parsed);
  EXPECT_EQ((*parsed)->call()->function_name, "starts_with");
}

TEST(FilterParser, MarksThePlaceOfAnError) {
  EXPECT_EQ(ErrorOf("dep_dela > 3"),
            "unknown column 'dep_dela'; did you mean 'dep_delay'?\n"
            "  dep_dela > 3\n"
            "  ^~~~~~~~");
  const std::vector<std::pair<std::string, std::string>> marks = {
      {"", "<end>"},
      {"a >", "<end>"},
      {"a > 3 and", "<end>"},
      {"(a > 3", "<end>"},
      {"a > 3)", ")"},
      {"a > 3 b", "b"},
      {"a < 3 < 4", "<"},
      {"a > 'x'", "'x'"},
      {"s > 5", "5"},
      {"tiny = 300", "300"},
      {"u = -1", "-1"},
      {"at > 'yesterday'", "'yesterday'"},
      {"local = '2020-01-01T00:00:00Z'", "'2020-01-01T00:00:00Z'"},
      {"local = '2020-01-01T00:00:00.5'", "'2020-01-01T00:00:00.5'"},
      {"day = '2020-02-30'", "'2020-02-30'"},
      {"t = '25:00:00'", "'25:00:00'"},
      {"lag = '5 parsecs'", "'5 parsecs'"},
      {"price = 1e9", "1e9"},
      {"b2 = 'x'", "'x'"},
      {"a in (1, 'x')", "'x'"},
      {"a in 5", "5"},
      {"a in ()", ")"},
      {"a between 1 or 2", "or"},
      {"a is 5", "5"},
      {"a not 5", "5"},
      {"a + 1", "a + 1"},
      {"a", "a"},
      {"f and a", "a"},
      {"not s", "s"},
      {"f and 'x'", "'x'"},
      {"s like a", "a"},
      {"a like 'x'", "a"},
      {"s like 'x\\'", "'x\\'"},
      {"s like '\\x'", "'\\x'"},
      {"list = 3", "list"},
      {"a = s", "a = s"},
      {"p.z = 3", "p.z"},
      {"a.q = 3", "a.q"},
      {"p. = 3", "="},
      {"s = 'open", "'open"},
      {"\"open = 3", "\"open = 3"},
      {"x'0g' = b", "x'0g'"},
      {"a # 3", "#"},
      {"f && f", "&"},
      {"12abc = a", "12abc"},
      {"and = 3", "and"},
      {"lower(s) = 'x'", "lower"},
      {"s + 1 = 2", "s"},
      {"a = 99999999999999999999", "99999999999999999999"},
      {"x = 1e999", "1e999"},
  };
  for (const auto& [filter, marked] : marks) EXPECT_EQ(Marked(filter), marked) << ErrorOf(filter);
}

TEST(FilterParser, ShowsOneLineOfALongText) {
  std::string filter = "a > 3\nand ";
  for (int i = 0; i < 100; ++i) filter += "a > 3 and ";
  filter += "ä = 1 and f";
  const std::string message = ErrorOf(filter);
  EXPECT_EQ(std::count(message.begin(), message.end(), '\n'), 2) << message;
  EXPECT_EQ(Marked("a > 3\nand q"), "q");
  EXPECT_LT(message.size(), 300u);
}

TEST(FilterParser, SuggestsWhatWasMeant) {
  EXPECT_NE(ErrorOf("PRICE > 3").find("did you mean 'price'?"), std::string::npos);
  EXPECT_NE(ErrorOf("s = \"JFK\"").find("single quotes"), std::string::npos);
  EXPECT_NE(ErrorOf("tiny = 300").find("-128 to 127"), std::string::npos);
}

TEST(FilterParser, RefusesWhatIsTooDeepOrTooLong) {
  const auto repeat = [](std::string_view text, int times) {
    std::string all;
    for (int i = 0; i < times; ++i) all += text;
    return all;
  };
  EXPECT_NE(ErrorOf(repeat("(", 60000)).find("nested over 200"), std::string::npos);
  EXPECT_NE(ErrorOf(repeat("not ", 16000) + "f").find("nested over 200"), std::string::npos);
  EXPECT_NE(ErrorOf(repeat("- ", 30000) + "a = 1").find("nested over 200"), std::string::npos);
  EXPECT_NE(ErrorOf(repeat("a + ", 16000) + "a = 1").find("nested over 200"), std::string::npos);
  EXPECT_NE(ErrorOf(repeat(" ", 70000) + "f").find("65536"), std::string::npos);
  EXPECT_NE(ErrorOf("s = '\xff'").find("not UTF-8: bad byte at offset 5"), std::string::npos);
  EXPECT_TRUE(ParseFilter(repeat("(", 190) + "f" + repeat(")", 190), TestSchema()));
}

TEST(FilterParser, TakesThousandsOfTerms) {
  std::string filter = "a = 0";
  for (int i = 1; i < 5000; ++i) filter += " or a = " + std::to_string(i);
  EXPECT_EQ(Truth(filter, OneRow({{"a", "4999"}})), "true");
  EXPECT_EQ(Truth(filter, OneRow({{"a", "5000"}})), "false");
}

TEST(FilterParser, ReportsAnUnfitExpressionOfTheCaller) {
  namespace cp = arrow::compute;
  const auto schema = TestSchema();
  const auto message = [&](const cp::Expression& expression) {
    auto bound = BindFilter(expression, *schema);
    return bound ? "bound" : bound.error().message();
  };
  EXPECT_EQ(message(cp::greater(cp::field_ref("a"), cp::literal(3))), "bound");
  EXPECT_EQ(message(cp::field_ref("dep_dela")),
            "filter: unknown column 'dep_dela'; did you mean 'dep_delay'?");
  EXPECT_NE(message(cp::field_ref("a")).find("gives int64"), std::string::npos);
  EXPECT_NE(message(cp::greater(cp::field_ref("a"), cp::field_ref("list"))).find("does not fit"),
            std::string::npos);
  EXPECT_NE(message(cp::Expression()).find("empty"), std::string::npos);
}

// Pieces that make text which is nearly a filter.
std::string RandomText(SeededRandom& random) {
  static const std::vector<std::string> kPieces = {
      "a", "tiny", "s", "x", "f", "at", "price", "p", ".", "q", "\"and\"", "and", "or", "not", "in",
      "between", "like", "is", "null", "true", "(", ")", "(", ")", ",", "=", "<", ">=", "!=", "+",
      "-", "*", "/", "1", "300", "1.5", "1e99", "99999999999999999999999", "'x'", "'a%'",
      "'2020-01-01'", "'1h'", "x'00'", "'", "\"", "\\", ";", "\xc3\xa4", "\xff", "list", "code"};
  std::string text;
  const std::uint64_t pieces = random.Below(24);
  for (std::uint64_t i = 0; i < pieces; ++i) {
    text += kPieces[random.Below(kPieces.size())];
    if (random.Below(4) != 0) text += ' ';
  }
  return text;
}

std::string Mutated(SeededRandom& random, std::string text) {
  for (std::uint64_t i = 0; i <= random.Below(3); ++i) {
    const std::uint64_t at = random.Below(text.size());
    switch (random.Below(3)) {
      case 0: text[at] = static_cast<char>(random.Below(256)); break;
      case 1: text.erase(at, 1); break;
      default: text.insert(at, 1, "'\"()=.%-"[random.Below(8)]); break;
    }
    if (text.empty()) text = "f";
  }
  return text;
}

TEST(FilterParser, NeverCrashesOnHostileText) {
  const std::uint64_t seed = testing::TestSeed(11);
  SCOPED_TRACE(testing::SeedTrace(seed));
  SeededRandom random(seed);
  const auto schema = TestSchema();
  const auto row = OneRow({{"a", "5"}, {"s", "\"x\""}});
  int parsed = 0;
  for (int i = 0; i < 10000; ++i) {
    const std::string text =
        i % 2 == 0 ? RandomText(random)
                   : Mutated(random,
                             "a > 3 and (s in ('x','y') or x is null) and tiny between 1 and 9 and "
                             "s like 'abc%' and not f and at > '2020-01-01' or -a * 2 + p.q < 1.5");
    auto filter = ParseFilter(text, schema);
    parsed += filter ? 1 : 0;
    if (filter) Truth(text, row);
    if (!filter) {
      EXPECT_EQ(filter.error().kind(), ErrorKind::kInvalid) << text;
    }
  }
  EXPECT_GT(parsed, 100);
}

}  // namespace
}  // namespace varve
