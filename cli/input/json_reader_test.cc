// SPDX-License-Identifier: Apache-2.0
#include <arrow/type.h>
#include <gtest/gtest.h>

#include "input/temporary_file.h"

namespace varve::cli {
namespace {

class JsonReaderTest : public testing::Test {
 protected:
  std::string Read(const std::string& content, const InputOptions& options = WithSchema()) {
    return ReadAll(TemporaryFile("t.jsonl", content), options, 2);
  }
  std::string Inferred(const std::string& content) {
    const TemporaryFile file("t.jsonl", content);
    auto reader = OpenRows(file.path(), {});
    if (!reader) return WithoutFolder(reader.error().error.message(), file);
    return (*reader)->schema()->ToString();
  }
  static InputOptions WithSchema() {
    InputOptions options;
    options.schema =
        arrow::schema({arrow::field("a", arrow::int64()), arrow::field("b", arrow::utf8())});
    return options;
  }
};

TEST_F(JsonReaderTest, MissingFieldsAreNullAndOrderDoesNotMatter) {
  EXPECT_EQ(Read("{\"b\":\"x\",\"a\":1}\n\n{\"a\":null}\n{\"b\":\"y\"}"), "1,x;~,~\n~,y\n");
}

TEST_F(JsonReaderTest, ErrorsNameLineColumnAndValue) {
  EXPECT_EQ(Read("{\"a\":1}\n{\"a\":1.5}\n"),
            "error t.jsonl: line 2, column a: expected int64, found \"1.5\"");
  EXPECT_EQ(Read("{\"a\":1}\n\n{\"c\":1}\n"),
            "error t.jsonl: line 3: field \"c\" is not in the schema; expected a,b");
  EXPECT_EQ(Read("[{\"a\":1}]\n"),
            "error t.jsonl: line 1: expected one JSON object a line, found \"[{\\\"a\\\":1}]\"");
}

TEST_F(JsonReaderTest, LinesThatAreNotJsonAreNamed) {
  const std::string message = Read("{\"a\":1}\n{\"a\":\n");
  EXPECT_TRUE(message.starts_with("error t.jsonl: line 2: not JSON: ")) << message;
}

TEST_F(JsonReaderTest, IntegersAreTakenExactlyOrNotAtAll) {
  EXPECT_EQ(Read("{\"a\":9223372036854775807}\n"), "9223372036854775807,~\n");
  EXPECT_EQ(Read("{\"a\":9223372036854775808}\n"),
            "error t.jsonl: line 1, column a: expected int64, found \"9223372036854775808\"");
}

TEST_F(JsonReaderTest, TypesAreInferred) {
  EXPECT_EQ(Inferred("{\"i\":1,\"d\":1,\"l\":[1],\"o\":{\"x\":true}}\n"
                     "{\"d\":2.5,\"s\":\"5\",\"t\":\"2026-01-02T03:04:05Z\",\"n\":null}\n"),
            "d: double\ni: int64\nl: list<item: int64>\no: struct<x: bool>\nn: string\n"
            "s: string\nt: timestamp[us, tz=UTC]");
  for (const std::string other : {"\"x\"", "9007199254740993.0", "1e3,\"b\":[0.5,[]]",
                                  "18446744073709551616"}) {
    const std::string text = Inferred("{\"a\":9007199254740993}\n{\"a\":" + other + "}\n");
    EXPECT_EQ(text, "t.jsonl: field a has values that no one type holds; give --schema");
  }
  EXPECT_EQ(Inferred("{\"l\":[],\"m\":[[null]]}\n"),
            "l: list<item: string>\nm: list<item: list<item: string>>");
}

TEST_F(JsonReaderTest, WholeLinesHaveTheFieldsOfTheFirst) {
  InputOptions options = WithSchema();
  options.whole_lines = true;
  EXPECT_EQ(Read("{\"b\":null,\"a\":1}\n", options), "1,~\n");
  EXPECT_EQ(Read("{\"a\":1}\n", options),
            "error t.jsonl: line 1: no field 'b'; give it, null if that is meant");
  options.key = {"a"};
  options.some_columns = true;
  EXPECT_EQ(Read("\n{\"a\":1}\n{\"a\":2}\n", options), "1;2\n");
  EXPECT_EQ(Read("", options), "");
  EXPECT_EQ(Read("{\"a\":1}\n{\"a\":2,\"b\":\"x\"}\n", options),
            "error t.jsonl: line 2: field 'b' is not in the first line, and every line must have "
            "the same; give it there, or load these lines apart");
  EXPECT_EQ(Read("{\"b\":\"x\"}\n", options),
            "error t.jsonl: line 1: no field 'a'; give it, null if that is meant");
  EXPECT_EQ(Read("{\"a\":null}\n", options),
            "error t.jsonl: line 1, column a: null, and every row needs a value there");
}

TEST_F(JsonReaderTest, NumbersAreTakenAsWritten) {
  InputOptions options;
  options.schema = arrow::schema(
      {arrow::field("a", arrow::decimal128(30, 20)), arrow::field("b", arrow::float64())});
  const auto read = [&options](const std::string& line) {
    return ReadAll(TemporaryFile("t.jsonl", line), options);
  };
  EXPECT_EQ(read("{\"a\":0.12345678901234567891,\"b\":0.1}\n{\"a\":25e-2,\"b\":1e3}\n"),
            "0.12345678901234567891,0.1;0.25000000000000000000,1000\n");
  EXPECT_EQ(read("{\"a\":0.123456789012345678912}\n"),
            "error t.jsonl: line 1, column a: expected decimal128(30, 20), found "
            "\"0.123456789012345678912\"");
  EXPECT_EQ(read("{\"b\":9007199254740993}\n"),
            "error t.jsonl: line 1, column b: expected double, found \"9007199254740993\"");
}

TEST_F(JsonReaderTest, MembersOfOneNameAndDeepValuesAreRefused) {
  EXPECT_EQ(Read("{\"a\":1}\n{\"b\":\"x\",\"a\":1,\"b\":\"x\"}\n"),
            "error t.jsonl: line 2: member \"b\" occurs twice in one object");
  EXPECT_EQ(Read("{\"a\":" + std::string(1'000'000, '[')),
            "error t.jsonl: line 1: nested more than 200 deep");
}

}  // namespace
}  // namespace varve::cli
