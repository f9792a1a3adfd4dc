// SPDX-License-Identifier: Apache-2.0
#include "engine/commit_record.h"

#include <arrow/api.h>
#include <gtest/gtest.h>

namespace varve {
namespace {

class CommitRecordTest : public ::testing::Test {
 protected:
  void SetUp() override {
    schema_ = *TableSchema::Make(
        arrow::schema(
            {arrow::field("id", arrow::int64(), false), arrow::field("v", arrow::utf8())}),
        {"id"});
    arrow::Int64Builder ids;
    arrow::StringBuilder values;
    for (int i = 0; i < 3; ++i) {
      ASSERT_TRUE(ids.Append(i).ok());
      ASSERT_TRUE(i == 1 ? values.AppendNull().ok() : values.Append("x").ok());
    }
    rows_ = arrow::RecordBatch::Make(schema_->schema(), 3,
                                     {*ids.Finish(), *values.Finish()});
    batch_ = *PrepareUpsert(*schema_, rows_);
    part_ = *EncodePart(4, 1, batch_);
    header_ = EncodeCommitHeader({.commit = {9}, .time = {123456}, .parts = 1});
  }
  std::vector<LogRecord> Records() const {
    return {std::string_view(header_.data(), header_.size()),
            std::string_view(part_.header.data(), part_.header.size()),
            std::string_view(*part_.body)};
  }

  std::shared_ptr<const TableSchema> schema_;
  std::shared_ptr<arrow::RecordBatch> rows_;
  WriteBatch batch_;
  CommitPart part_;
  std::array<char, kCommitHeaderBytes> header_;
};

TEST_F(CommitRecordTest, ComesBackAsItWent) {
  const auto commit = DecodeCommit(Records());
  ASSERT_TRUE(commit) << commit.error().message();
  EXPECT_EQ(commit->header.commit.value, 9u);
  EXPECT_EQ(commit->header.time.micros, 123456);
  ASSERT_EQ(commit->parts.size(), 1u);
  EXPECT_EQ(commit->parts[0].table_id, 4u);
  const auto batch = DecodePart(commit->parts[0], *schema_);
  ASSERT_TRUE(batch) << batch.error().message();
  EXPECT_TRUE(batch->rows->Equals(*rows_));
  EXPECT_EQ(batch->keys[2], batch_.keys[2]);
}

TEST_F(CommitRecordTest, EveryShortOrExtraRecordIsRefused) {
  auto records = Records();
  records.pop_back();
  EXPECT_EQ(DecodeCommit(records).error().kind(), ErrorKind::kCorruption);
  records = Records();
  records.push_back("more");
  EXPECT_EQ(DecodeCommit(records).error().kind(), ErrorKind::kCorruption);
  records = Records();
  records[0].bytes.remove_suffix(1);
  EXPECT_EQ(DecodeCommit(records).error().kind(), ErrorKind::kCorruption);
  EXPECT_EQ(DecodeCommit({}).error().kind(), ErrorKind::kCorruption);
}

TEST_F(CommitRecordTest, AnUnknownFormatIsNotCalledDamage) {
  header_[0] = 2;
  EXPECT_EQ(DecodeCommit(Records()).error().reason(), ErrorReason::kUnsupportedFormat);
}

TEST_F(CommitRecordTest, AProducerComesBackWithItsCommit) {
  EXPECT_EQ(header_[0], 1) << "a commit without one is as an older varve wrote it";
  header_ = EncodeCommitHeader({.commit = {9}, .time = {1}, .parts = 1, .producer = true});
  EXPECT_EQ(DecodeCommit(Records()).error().kind(), ErrorKind::kCorruption) << "it is missing";
  const auto bytes = EncodeProducer({.id = "queue-7", .sequence = 1ull << 40});
  auto records = Records();
  records.emplace_back(bytes);
  const auto commit = DecodeCommit(records);
  ASSERT_TRUE(commit) << commit.error().message();
  EXPECT_EQ(commit->parts.size(), 1u);
  EXPECT_EQ(commit->producer->id, "queue-7");
  EXPECT_EQ(commit->producer->sequence, 1ull << 40);
  for (const std::string& bad : {bytes.substr(0, 7), bytes.substr(0, 8), bytes + " "}) {
    records.back() = LogRecord(bad);
    EXPECT_EQ(DecodeCommit(records).error().kind(), ErrorKind::kCorruption);
  }
  header_[1] = 3;
  EXPECT_EQ(DecodeCommit(Records()).error().reason(), ErrorReason::kUnsupportedFormat);
}

TEST_F(CommitRecordTest, OnlyACommitWithAProducerMayHaveNoParts) {
  header_ = EncodeCommitHeader({.commit = {9}, .time = {1}, .parts = 0, .producer = true});
  const auto bytes = EncodeProducer({.id = "p", .sequence = 1});
  std::vector<LogRecord> records = {Records()[0], LogRecord(bytes)};
  EXPECT_TRUE(DecodeCommit(records));
  header_ = EncodeCommitHeader({.commit = {9}, .time = {1}, .parts = 0});
  records.pop_back();
  EXPECT_EQ(DecodeCommit(records).error().kind(), ErrorKind::kCorruption);
}

TEST_F(CommitRecordTest, RowsThatDoNotMatchTheirHeaderAreRefused) {
  part_.header[16] = 2;
  const auto commit = DecodeCommit(Records());
  ASSERT_TRUE(commit);
  EXPECT_EQ(DecodePart(commit->parts[0], *schema_).error().kind(), ErrorKind::kCorruption);
}

}  // namespace
}  // namespace varve
