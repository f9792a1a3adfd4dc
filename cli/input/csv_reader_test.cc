// SPDX-License-Identifier: Apache-2.0
#include <arrow/type.h>
#include <gtest/gtest.h>

#include "input/temporary_file.h"

namespace varve::cli {
namespace {

class CsvReaderTest : public testing::Test {
 protected:
  // Reads `content` as CSV with the columns a int64, b utf8, or with what `options` says.
  std::string Read(const std::string& content) { return Read(content, WithSchema()); }
  std::string Read(const std::string& content, const InputOptions& options,
                   std::int64_t rows = 1000) {
    return ReadAll(TemporaryFile("t.csv", content), options, rows);
  }
  static InputOptions WithSchema() {
    InputOptions options;
    options.schema =
        arrow::schema({arrow::field("a", arrow::int64()), arrow::field("b", arrow::utf8())});
    return options;
  }
};

TEST_F(CsvReaderTest, BatchesHaveExactlyTheRowsAskedFor) {
  EXPECT_EQ(Read("a,b\n1,x\n2,y\n3,z\n", WithSchema(), 2), "1,x;2,y\n3,z\n");
}

TEST_F(CsvReaderTest, LastLineNeedsNoNewlineAndLinesMayEndInCarriageReturns) {
  EXPECT_EQ(Read("a,b\r\n1,x\r\n2,y"), "1,x;2,y\n");
}

TEST_F(CsvReaderTest, ColumnsMatchByNameAndAByteOrderMarkIsNoText) {
  EXPECT_EQ(Read("\xef\xbb\xbf" "b,a\nx,1\n"), "1,x\n");
}

TEST_F(CsvReaderTest, QuotedFieldsKeepSeparatorsQuotesAndNewlines) {
  EXPECT_EQ(Read("a,b\n1,\"x,\"\"y\"\"\nz\"\n2,\"\"\n"), "1,x,\"y\"\nz;2,\n");
}

TEST_F(CsvReaderTest, EmptyLinesAreSkipped) { EXPECT_EQ(Read("\na,b\n\n1,x\n\n"), "1,x\n"); }

TEST_F(CsvReaderTest, StringsAreNullOnlyWhenTheUserNamesTheSpelling) {
  EXPECT_EQ(Read("a,b\nNA,NA\n,\n"), "~,NA;~,\n");
  InputOptions options = WithSchema();
  options.nulls = {"NA"};
  EXPECT_EQ(Read("a,b\nNA,NA\n1,\"NA\"\n,\n", options), "~,~;1,NA;~,\n");
}

TEST_F(CsvReaderTest, BadValueNamesFileLineColumnAndType) {
  EXPECT_EQ(Read("a,b\n1,x\nabc,y\n"),
            "error t.csv: line 3, column a: expected int64, found \"abc\"");
}

TEST_F(CsvReaderTest, LinesAreCountedThroughQuotedNewlinesAndAcrossBatches) {
  EXPECT_EQ(Read("a,b\n1,\"x\n\n\"\n2,y\n\n4.5,z\n", WithSchema(), 1),
            "1,x\n\n\n2,y\nerror t.csv: line 7, column a: expected int64, found \"4.5\"");
}

TEST_F(CsvReaderTest, FirstBadRowIsNamedWhicheverColumnItIsIn) {
  InputOptions options;
  options.schema =
      arrow::schema({arrow::field("a", arrow::int64()), arrow::field("b", arrow::int8())});
  EXPECT_EQ(Read("a,b\n1,300\nx,1\n", options),
            "error t.csv: line 2, column b: expected int8, found \"300\"");
}

TEST_F(CsvReaderTest, LinesMayEndInCarriageReturnsAlone) {
  EXPECT_EQ(Read("a,b\r1,x\r\r2,\"y\rz\"\r"), "1,x;2,y\rz\n");
  EXPECT_EQ(Read("a,b\r\n1,\"x\"\r"), "1,x\n");
  EXPECT_EQ(Read("a,b\n1,x\ry"),
            "error t.csv: line 3: expected 2 fields, as the header has, found 1");
}

TEST_F(CsvReaderTest, LinesAreFoundWhereverTheTextIsCut) {
  // The reader takes 64 KiB at a time: each length puts another byte of a line at the cut.
  for (const std::string end : {"\n", "\r\n", "\r"}) {
    for (std::size_t length = (64 << 10) - 12; length < (64 << 10) + 2; ++length) {
      const std::string wide(length, 'x');
      EXPECT_EQ(Read("a,b" + end + "1," + wide + end + "2,\"y\"" + end), "1," + wide + ";2,y\n");
    }
  }
}

TEST_F(CsvReaderTest, IntegersThatNoDoubleHoldsAreRefused) {
  InputOptions options;
  options.schema =
      arrow::schema({arrow::field("a", arrow::float64()), arrow::field("b", arrow::float32())});
  EXPECT_EQ(Read("a,b\n9007199254740994,16777217\n-9007199254740993,1\n", options, 1),
            "9007199254740994,16777216\n"
            "error t.csv: line 3, column a: expected double, found \"-9007199254740993\"");
  EXPECT_EQ(Read("a,b\n1,1e39\n", options),
            "error t.csv: line 2, column b: expected float, found \"1e39\"");
  EXPECT_EQ(Read("a,b\ninf,-Infinity\nNaN,1e-60\n", options), "Infinity,-Infinity;NaN,0\n");
}

TEST_F(CsvReaderTest, RaggedLinesAreRefused) {
  EXPECT_EQ(Read("a,b\n1,x\n2\n"),
            "error t.csv: line 3: expected 2 fields, as the header has, found 1");
  EXPECT_EQ(Read("a,b\n1,x,y\n"),
            "error t.csv: line 2: expected 2 fields, as the header has, found 3");
}

TEST_F(CsvReaderTest, OpenAndMisplacedQuotesAreRefused) {
  EXPECT_EQ(Read("a,b\n1,x\n2,\"y\n3,z\n"),
            "error t.csv: line 3: the quote that opens here is never closed");
  EXPECT_EQ(Read("a,b\n1,\"x\"y\n"),
            "error t.csv: line 2: expected a separator after the closing quote, found \"y\\n\"; "
            "double a quote that belongs to the text");
}

TEST_F(CsvReaderTest, HeadersThatDoNotFitAreRefused) {
  EXPECT_EQ(Read(""), "error t.csv: is empty: expected a header line with the column names");
  EXPECT_EQ(Read("a,c\n"),
            "error t.csv: line 1: the header has no column b; expected a,b, found a,c");
  EXPECT_EQ(Read("a,b,c\n"),
            "error t.csv: line 1: the header has column c, which is not in the schema; "
            "expected a,b");
  EXPECT_EQ(Read("a,b,a\n"),
            "error t.csv: line 1: the header names column a twice (columns 1 and 3)");
  EXPECT_EQ(Read("a,,b\n"), "error t.csv: line 1: column 2 of the header has no name");
}

TEST_F(CsvReaderTest, OtherColumnsAreSkippedWhenAsked) {
  InputOptions options = WithSchema();
  options.ignore_other_columns = true;
  EXPECT_EQ(Read("c,a,b\nq,1,x\n", options), "1,x\n");
}

TEST_F(CsvReaderTest, StringsMustBeUtf8) {
  EXPECT_EQ(Read("a,b\n1,\xff\xfe\n"),
            "error t.csv: line 2, column b: expected UTF-8 text, found bytes that are not");
}

TEST_F(CsvReaderTest, RowsLongerThanOneReadAreWhole) {
  const std::string wide(3 << 20, 'x');
  EXPECT_EQ(Read("a,b\n1," + wide + "\n2,\"" + wide + "\"\n"), "1," + wide + ";2," + wide + "\n");
}

TEST_F(CsvReaderTest, TypesAreInferredFromAllOfASmallFile) {
  std::string content = "n,s\n";
  for (int i = 0; i < 200'000; ++i) content += "1,a\n";
  content += "1.5,b\n";
  const TemporaryFile file("t.csv", content);
  auto reader = OpenRows(file.path(), {});
  ASSERT_TRUE(reader) << reader.error().error.message();
  EXPECT_EQ((*reader)->schema()->ToString(), "n: double\ns: string");
}

TEST_F(CsvReaderTest, TsvIsSplitAtTabs) {
  EXPECT_EQ(ReadAll(TemporaryFile("t.tsv", "a\tb\n1\tx,y\n"), WithSchema()), "1,x,y\n");
}

TEST_F(CsvReaderTest, FilesThatCannotBeReadAreNamed) {
  const TemporaryFile file("t.csv", "");
  const std::string folder = file.path().substr(0, file.path().rfind('/'));
  auto missing = OpenRows(folder + "/none.csv", {});
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().exit, kExitNotFound);
  auto is_folder = OpenRows(folder, {.format = "csv"});
  ASSERT_FALSE(is_folder);
  EXPECT_EQ(is_folder.error().exit, kExitUsage);
  std::ofstream(folder + "/t.xls") << "a,b";
  auto unknown = OpenRows(folder + "/t.xls", {});
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().exit, kExitUsage);
}

}  // namespace
}  // namespace varve::cli
