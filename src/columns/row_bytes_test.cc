// SPDX-License-Identifier: Apache-2.0
#include "columns/row_bytes.h"

#include <arrow/api.h>
#include <gtest/gtest.h>

#include "test/support/all_types.h"

namespace varve {
namespace {

using testing::AllTypes;
using testing::RandomBatch;
using testing::TypeCase;

class RowBytesOfType : public ::testing::TestWithParam<TypeCase> {};

// BatchBytes counts buffers: validity, dictionaries and the bits of booleans come on top, or less.
TEST_P(RowBytesOfType, RowsAddUpToAboutTheBatch) {
  const auto batch = RandomBatch(GetParam().schema, 4000, 1)->Slice(37);
  const RowBytes size_of(batch);
  std::uint64_t sum = 0;
  for (std::int64_t row = 0; row < batch->num_rows(); ++row) sum += size_of(row, row + 1);
  EXPECT_EQ(sum, size_of(0, batch->num_rows()));
  EXPECT_GE(sum, BatchBytes(*batch) / 2);
  EXPECT_LE(sum, BatchBytes(*batch) * 2);
}

TEST_P(RowBytesOfType, PartsHoldTheRowsInOrderWithinTheLimit) {
  const auto batch = RandomBatch(GetParam().schema, 500, 1);
  const RowBytes size_of(batch);
  const std::vector<RowSlice> slices = {{batch, 300, 200}, {batch, 7, 1}, {batch, 0, 300}};
  const auto limit = size_of(0, 500) / 9;
  std::vector<std::int64_t> rows;
  for (const auto& part : SplitByBytes(slices, limit)) {
    std::uint64_t bytes = 0;
    std::int64_t count = 0;
    for (const auto& slice : part) {
      bytes += size_of(slice.start, slice.start + slice.length);
      count += slice.length;
      for (std::int64_t i = 0; i < slice.length; ++i) rows.push_back(slice.start + i);
    }
    EXPECT_TRUE(bytes <= limit || count == 1) << bytes << " bytes in " << count << " rows";
  }
  std::vector<std::int64_t> want;
  for (const auto& slice : slices) {
    for (std::int64_t i = 0; i < slice.length; ++i) want.push_back(slice.start + i);
  }
  EXPECT_EQ(rows, want);
}

INSTANTIATE_TEST_SUITE_P(AllTypes, RowBytesOfType, ::testing::ValuesIn(AllTypes()),
                         [](const auto& type) { return type.param.name; });

}  // namespace
}  // namespace varve
