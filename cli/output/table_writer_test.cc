// SPDX-License-Identifier: Apache-2.0
#include <arrow/builder.h>
#include <arrow/io/memory.h>
#include <arrow/type.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "output/row_writer.h"

namespace varve::cli {
namespace {

std::shared_ptr<arrow::RecordBatch> Rows(const std::vector<std::int64_t>& numbers,
                                         const std::vector<std::string>& texts) {
  arrow::Int64Builder a;
  arrow::StringBuilder b;
  EXPECT_TRUE(a.AppendValues(numbers).ok());
  EXPECT_TRUE(b.AppendValues(texts).ok());
  const auto schema =
      arrow::schema({arrow::field("number", arrow::int64()), arrow::field("text", arrow::utf8())});
  return arrow::RecordBatch::Make(schema, static_cast<std::int64_t>(numbers.size()),
                                  {*a.Finish(), *b.Finish()});
}

std::string Table(const arrow::RecordBatch& rows, std::size_t columns_max) {
  auto stream = *arrow::io::BufferOutputStream::Create();
  auto writer = MakeTableWriter(stream, rows.schema(), columns_max, /*color=*/false);
  EXPECT_TRUE(writer->Write(rows));
  EXPECT_TRUE(writer->Finish());
  return (*stream->Finish())->ToString();
}

TEST(TableWriterTest, NumbersStandRightAndTheRowsAreCounted) {
  EXPECT_EQ(Table(*Rows({1, 2000}, {"x", "yy"}), 80),
            "number  text\n"
            " int64  string\n"
            "     1  x\n"
            "  2000  yy\n"
            "2 rows\n");
}

TEST(TableWriterTest, WideCellsAreCutToTheTerminal) {
  EXPECT_EQ(Table(*Rows({1}, {"abcdefghijklmnopqrstuvwxyz"}), 20),
            "number  text\n"
            " int64  string\n"
            "     1  abcdefghijk…\n"
            "1 row\n");
}

TEST(TableWriterTest, NothingIsCutForAFileOrPipe) {
  const std::string text(300, 'x');
  EXPECT_NE(Table(*Rows({1}, {text}), 0).find(text), std::string::npos);
}

TEST(TableWriterTest, ColumnsThatDoNotFitAreLeftOutAndSaidSo) {
  EXPECT_EQ(Table(*Rows({1}, {"abcdefghijkl"}), 10),
            "number\n int64\n     1\n1 row, 1 of 2 columns shown (choose with --columns)\n");
}

TEST(TableWriterTest, ControlCharactersDoNotReachTheTerminal) {
  const std::string table = Table(*Rows({1}, {"a\x1b[2Jb\n"}), 80);
  EXPECT_NE(table.find("a\\u001b[2Jb\\n"), std::string::npos) << table;
}

}  // namespace
}  // namespace varve::cli
