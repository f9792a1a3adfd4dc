// SPDX-License-Identifier: Apache-2.0
#include "run/group_encoder.h"

#include <arrow/api.h>
#include <arrow/io/memory.h>
#include <gtest/gtest.h>
#include <parquet/arrow/reader.h>
#include <parquet/exception.h>
#include <parquet/properties.h>

#include "columns/arrow_errors.h"
#include "columns/parquet_properties.h"
#include "test/support/all_types.h"

namespace varve {
namespace {

using testing::AllTypes;
using testing::RandomBatch;
using testing::SameRows;
using testing::TypeCase;
using BatchPtr = std::shared_ptr<arrow::RecordBatch>;

constexpr int kGroups = 3;
constexpr int kEncodedRows = 5000;

std::vector<BatchPtr> Groups(const std::shared_ptr<arrow::Schema>& schema) {
  std::vector<BatchPtr> groups;
  for (std::uint64_t i = 0; i < kGroups; ++i) {
    auto rows = ToParquet(RandomBatch(schema, kEncodedRows, i));
    EXPECT_TRUE(rows) << rows.error().message();
    groups.push_back(*rows);
  }
  return groups;
}

std::shared_ptr<parquet::WriterProperties> Properties() {
  parquet::WriterProperties::Builder builder;
  return builder.compression(parquet::Compression::ZSTD)
      ->max_row_group_length(kEncodedRows)
      ->enable_write_page_index()
      ->build();
}

std::shared_ptr<arrow::Buffer> Encoded(const std::vector<BatchPtr>& groups, bool threads) {
  const auto sink = *arrow::io::BufferOutputStream::Create();
  auto opened = GroupEncoder::Open(*groups[0]->schema(), sink, Properties(), threads);
  EXPECT_TRUE(opened.ok()) << opened.status();
  auto encoder = *std::move(opened);
  std::int64_t before = *sink->Tell();
  for (const auto& group : groups) {
    EXPECT_TRUE(encoder->WriteGroup(*group).ok());
    EXPECT_GT(*sink->Tell(), before);
    before = *sink->Tell();
  }
  EXPECT_TRUE(encoder->Close(arrow::key_value_metadata({"mine"}, {"is there"})).ok());
  return *sink->Finish();
}

class GroupEncoderOfType : public ::testing::TestWithParam<TypeCase> {};

TEST_P(GroupEncoderOfType, ThreadsChangeNoByteAndArrowReadsTheRows) {
  const auto groups = Groups(GetParam().schema);
  const auto file = Encoded(groups, true);
  const auto other = Encoded(groups, false);
  EXPECT_EQ(file->size(), other->size());
  // Arrow leaves a few bytes behind the last index of a dictionary to chance, with or without
  // threads.
  const bool dictionary = groups[0]->schema()->ToString().find("dictionary") != std::string::npos;
  EXPECT_TRUE(dictionary || file->Equals(*other));
  parquet::arrow::FileReaderBuilder builder;
  ASSERT_TRUE(builder.Open(std::make_shared<arrow::io::BufferReader>(file)).ok());
  const auto reader = *builder.properties(ArrowReaderSettings())->Build();
  const auto& metadata = *reader->parquet_reader()->metadata();
  EXPECT_EQ(*metadata.key_value_metadata()->Get("mine"), "is there");
  ASSERT_EQ(metadata.num_row_groups(), kGroups);
  for (int i = 0; i < kGroups; ++i) {
    const auto table = *reader->ReadRowGroup(i);
    const auto rows = CastToSchema(*table->CombineChunksToBatch(), GetParam().schema);
    ASSERT_TRUE(rows) << rows.error().message();
    EXPECT_TRUE(SameRows(**rows, *RandomBatch(GetParam().schema, kEncodedRows,
                                              static_cast<std::uint64_t>(i))));
  }
}

INSTANTIATE_TEST_SUITE_P(AllTypes, GroupEncoderOfType, ::testing::ValuesIn(AllTypes()),
                         [](const auto& type) { return type.param.name; });

// Takes so many writes, and refuses all later ones.
class FullSink final : public arrow::io::BufferOutputStream {
 public:
  explicit FullSink(int writes)
      : BufferOutputStream(*arrow::AllocateResizableBuffer(0)), left_(writes) {}
  arrow::Status Write(const void* data, std::int64_t bytes) override {
    if (left_-- <= 0) return arrow::Status::IOError("the device is full");
    return BufferOutputStream::Write(data, bytes);
  }

 private:
  int left_;
};

arrow::Status EncodeInto(const std::shared_ptr<arrow::io::OutputStream>& sink,
                         const std::vector<BatchPtr>& groups) {
  BEGIN_PARQUET_CATCH_EXCEPTIONS
  ARROW_ASSIGN_OR_RAISE(const auto encoder,
                        GroupEncoder::Open(*groups[0]->schema(), sink, Properties(), true));
  for (const auto& group : groups) ARROW_RETURN_NOT_OK(encoder->WriteGroup(*group));
  return encoder->Close(arrow::key_value_metadata({}, {}));
  END_PARQUET_CATCH_EXCEPTIONS
}

TEST(GroupEncoder, EachWriteThatFailsIsTold) {
  const auto groups = Groups(arrow::schema({arrow::field("a", arrow::int64()),
                                            arrow::field("b", arrow::utf8())}));
  int writes = 0;
  while (true) {
    const auto done = EncodeInto(std::make_shared<FullSink>(writes), groups);
    if (done.ok()) break;
    EXPECT_NE(done.message().find("the device is full"), std::string::npos) << done;
    ++writes;
  }
  EXPECT_GT(writes, 2 * kGroups);
}

}  // namespace
}  // namespace varve
