// SPDX-License-Identifier: Apache-2.0
#include "columns/schema_text.h"

#include <arrow/api.h>
#include <gtest/gtest.h>

#include "test/support/all_types.h"
#include "varve/snapshot.h"

namespace varve {
namespace {

std::shared_ptr<arrow::DataType> TypeOf(const std::string& text) {
  const auto schema = ParseSchema("x " + text);
  EXPECT_TRUE(schema) << schema.error().message();
  return schema ? (*schema)->field(0)->type() : arrow::null();
}

void ExpectType(const std::string& text, const std::shared_ptr<arrow::DataType>& type) {
  EXPECT_TRUE(TypeOf(text)->Equals(*type)) << text << " gives " << TypeOf(text)->ToString();
}

std::string WhyNot(std::string_view text) {
  const auto schema = ParseSchema(text);
  if (schema) return "accepted";
  EXPECT_EQ(schema.error().kind(), ErrorKind::kInvalid);
  return schema.error().message();
}

TEST(ParseSchema, ReadsNamesTypesAndNotNull) {
  const auto schema =
      *ParseSchema("id int64 not null, \"a \"\"b\"\"\" UTF8,\n at timestamp[us, UTC]");
  const auto expected = arrow::schema(
      {arrow::field("id", arrow::int64(), false), arrow::field("a \"b\"", arrow::utf8()),
       arrow::field("at", arrow::timestamp(arrow::TimeUnit::MICRO, "UTC"))});
  EXPECT_TRUE(schema->Equals(*expected)) << schema->ToString();
}

TEST(ParseSchema, KnowsEveryTypeAndItsOtherNames) {
  ExpectType("half", arrow::float16());
  ExpectType("FLOAT", arrow::float32());
  ExpectType("double", arrow::float64());
  ExpectType("string", arrow::utf8());
  ExpectType("time32[ms]", arrow::time32(arrow::TimeUnit::MILLI));
  ExpectType("time64 [ ns ]", arrow::time64(arrow::TimeUnit::NANO));
  ExpectType("timestamp[ms, tz=Europe/Zurich]",
             arrow::timestamp(arrow::TimeUnit::MILLI, "Europe/Zurich"));
  ExpectType("duration[s]", arrow::duration(arrow::TimeUnit::SECOND));
  ExpectType("decimal128(12, 2)", arrow::decimal128(12, 2));
  ExpectType("decimal256(50)", arrow::decimal256(50, 0));
  ExpectType("fixed_size_binary[16]", arrow::fixed_size_binary(16));
  ExpectType("list<item: int8>", arrow::list(arrow::int8()));
  ExpectType("list<int8 not null>", arrow::list(arrow::field("item", arrow::int8(), false)));
  ExpectType("map<utf8, list<int32>>", arrow::map(arrow::utf8(), arrow::list(arrow::int32())));
}

TEST(ParseSchema, PutsACaretUnderThePlace) {
  const std::string kSome =
      "; for example int64, float64, utf8, bool, date32, timestamp[us, UTC], decimal128(10, 2), "
      "list<utf8>";
  EXPECT_EQ(WhyNot("id int64, name utf9"),
            "schema: unknown type 'utf9'" + kSome + "\n  id int64, name utf9\n                 ^");
  EXPECT_EQ(WhyNot("id"), "schema: expected a type\n  id\n    ^");
  EXPECT_EQ(WhyNot("\"é\" int9"),
            "schema: unknown type 'int9'" + kSome + "\n  \"é\" int9\n      ^");
}

TEST(ParseSchema, RefusesWhatItDoesNotUnderstand) {
  for (const char* text :
       {"", ",", "id int64,", "id int64 not", "id int64 x", "id list<int8", "id list",
        "id map<utf8>",
        "id decimal(0, 1)", "id decimal128(39)", "id time32[us]", "id timestamp[us,]", "\"id int64",
        "id struct<>", "id dictionary<values=utf8, indices=utf8>", "id fixed_size_binary[0]",
        "id fixed_size_list<int8>[-1]", "id duration[h]", "id decimal7(1)",
        "id decimal128(99999999999)"}) {
    EXPECT_TRUE(WhyNot(text).starts_with("schema: ")) << text << ": " << WhyNot(text);
  }
  std::string deep = "id ";
  for (int i = 0; i < 100000; ++i) deep += "list<";
  EXPECT_NE(WhyNot(deep).find("nested deeper"), std::string::npos);
}

TEST(ParseSchema, ReadsWhatArrowPrints) {
  for (const auto& type : testing::AllTypes()) {
    const auto& printed = type.schema->field(1)->type();
    if (printed->id() == arrow::Type::EXTENSION) continue;
    ExpectType(printed->ToString(), printed);
  }
  const auto number = arrow::field("a b", arrow::int32(), false);
  const auto odd = arrow::field("é-1.x", arrow::list(arrow::field("my item", arrow::int8())));
  for (const auto& type :
       {arrow::date32(), arrow::date64(), arrow::struct_({number, odd}), arrow::list(number),
        arrow::fixed_size_list(number, 3), arrow::large_list(odd),
        arrow::list(arrow::timestamp(arrow::TimeUnit::NANO, "+01:00")),
        arrow::map(arrow::utf8(), arrow::utf8(), true),
        arrow::dictionary(arrow::int32(), arrow::date32()),
        std::static_pointer_cast<arrow::DataType>(std::make_shared<arrow::MapType>(
            arrow::field("k", arrow::utf8(), false), arrow::field("v", arrow::int8())))}) {
    ExpectType(type->ToString(), type);
  }
  EXPECT_TRUE(WhyNot("d date32[ms]").starts_with("schema: date32: expected date32[day]"));
  EXPECT_TRUE(WhyNot("m map<utf8, utf8, other>").starts_with("schema: expected 'keys_sorted'"));
  EXPECT_TRUE(WhyNot("m map<utf8 ('k, utf8>").starts_with("schema: expected '"));
}

TEST(SchemaToText, ParsesToTheSameSchema) {
  for (const auto& type : testing::AllTypes()) {
    if (type.schema->field(1)->type()->id() == arrow::Type::EXTENSION) continue;
    const auto text = SchemaToText(*type.schema);
    const auto back = ParseSchema(text);
    ASSERT_TRUE(back) << text << ": " << back.error().message();
    EXPECT_TRUE((*back)->Equals(*type.schema)) << text;
  }
}

}  // namespace
}  // namespace varve
