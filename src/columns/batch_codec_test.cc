// SPDX-License-Identifier: Apache-2.0
#include "columns/batch_codec.h"

#include <arrow/api.h>
#include <gtest/gtest.h>

#include "columns/gather.h"
#include "columns/write_batch.h"
#include "test/support/all_types.h"
#include "test/support/seed.h"

namespace varve {
namespace {

using testing::AllTypes;
using testing::RandomBatch;
using testing::SameRows;
using testing::TypeCase;

class BatchCodecOfType : public ::testing::TestWithParam<TypeCase> {};

std::shared_ptr<arrow::RecordBatch> ThereAndBack(const arrow::RecordBatch& batch) {
  const auto encoded = EncodeBatch(batch);
  EXPECT_TRUE(encoded) << encoded.error().message();
  EXPECT_TRUE(SameRows(**ViewBatch(*encoded, batch.schema()), batch));
  // A misaligned copy that is gone before the result is used.
  const auto moved = std::make_unique<std::string>("x" + (*encoded)->ToString());
  auto back = DecodeBatch(std::string_view(*moved).substr(1), batch.schema());
  EXPECT_TRUE(back) << back.error().message();
  return *std::move(back);
}

TEST_P(BatchCodecOfType, RowsComeBackAsTheyWere) {
  const std::uint64_t seed = testing::TestSeed();
  SCOPED_TRACE(testing::SeedTrace(seed));
  for (const double nulls : {0.0, 0.3, 1.0}) {
    const auto batch = RandomBatch(GetParam().schema, 60, seed, nulls);
    EXPECT_TRUE(SameRows(*ThereAndBack(*batch), *batch));
    for (const auto& slice : {batch->Slice(7, 20), batch->Slice(59), batch->Slice(60)}) {
      EXPECT_TRUE(SameRows(*ThereAndBack(*slice), *slice));
    }
  }
}

TEST_P(BatchCodecOfType, ASliceCostsItsOwnRowsOnly) {
  const auto batch = RandomBatch(GetParam().schema, 4000, 1);
  const auto slice = EncodeBatch(*batch->Slice(1000, 10));
  const auto whole = EncodeBatch(*batch);
  EXPECT_LT((*slice)->size(), 3000);
  EXPECT_GE((*whole)->size(), 32000);
}

// Whatever happens to the bytes, the decoder says Corruption or gives a sound batch.
TEST_P(BatchCodecOfType, DamagedBytesNeverCrash) {
  const std::uint64_t seed = testing::TestSeed();
  SCOPED_TRACE(testing::SeedTrace(seed));
  SeededRandom random(seed);
  const auto whole = (*EncodeBatch(*RandomBatch(GetParam().schema, 20, seed)))->ToString();
  for (int i = 0; i < 300; ++i) {
    auto bytes = whole;
    for (auto n = 1 + random.Below(3); n > 0; --n) {
      bytes[random.Below(bytes.size())] = static_cast<char>(random.Next());
    }
    if (random.Below(5) == 0) bytes.resize(random.Below(bytes.size()));
    const auto batch = DecodeBatch(bytes, GetParam().schema);
    if (batch) {
      ASSERT_TRUE((*batch)->ValidateFull().ok());
    } else {
      ASSERT_EQ(batch.error().kind(), ErrorKind::kCorruption) << batch.error().message();
    }
  }
}

INSTANTIATE_TEST_SUITE_P(AllTypes, BatchCodecOfType, ::testing::ValuesIn(AllTypes()),
                         [](const auto& type) { return type.param.name; });

TEST(BatchCodec, AnotherSchemaIsCorruption) {
  const auto a =
      arrow::schema({arrow::field("a", arrow::int64()), arrow::field("b", arrow::utf8())});
  const auto b = arrow::schema({arrow::field("a", arrow::int64())});
  const auto d =
      arrow::schema({arrow::field("a", arrow::dictionary(arrow::int32(), arrow::utf8()))});
  const auto bytes = (*EncodeBatch(*RandomBatch(b, 5, 1)))->ToString();
  for (const auto& schema : {a, d}) {
    const auto batch = DecodeBatch(bytes, schema);
    ASSERT_FALSE(batch);
    EXPECT_EQ(batch.error().kind(), ErrorKind::kCorruption);
  }
  EXPECT_FALSE(DecodeBatch(bytes + "x", b));
  EXPECT_FALSE(DecodeBatch("", b));
}

TEST(BatchCodec, ALongDictionaryIsCutToTheValuesInUse) {
  arrow::StringBuilder values;
  for (int i = 0; i < 10000; ++i) ASSERT_TRUE(values.Append("value " + std::to_string(i)).ok());
  const auto type = arrow::dictionary(arrow::int32(), arrow::utf8());
  const auto indices = arrow::Buffer::FromVector(std::vector<std::int32_t>{9999, 5, 9999});
  const auto array = *arrow::DictionaryArray::FromArrays(
      type, std::make_shared<arrow::Int32Array>(3, indices), values.Finish().ValueOrDie());
  const auto batch = arrow::RecordBatch::Make(arrow::schema({arrow::field("d", type)}), 3, {array});
  EXPECT_LT((*EncodeBatch(*batch))->size(), 2000);
  EXPECT_TRUE(SameRows(*ThereAndBack(*batch), *batch));
}

}  // namespace
}  // namespace varve
