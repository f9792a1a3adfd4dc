// SPDX-License-Identifier: Apache-2.0
// What is looked at to go back: the versions since, and no others. That they come to the right rows
// is seen in engine/restore_test.cc and the model test.
#include "view/difference.h"

#include <gtest/gtest.h>

#include "view/view_fixture.h"

namespace varve::testing {
namespace {

class DifferenceTest : public ::testing::Test {
 protected:
  std::uint64_t UpsertRange(std::int32_t begin, std::int32_t end, const std::string& s) {
    std::vector<Row> rows;
    for (std::int32_t k = begin; k < end; ++k) rows.push_back({k, "a", {}, s, {}, {}});
    return table_.Upsert(rows);
  }
  Difference BackTo(std::uint64_t then) {
    const auto view = table_.View();
    return Ok(FindDifference(*view->Find("t"), {then}, {table_.commit()}, UINT64_MAX));
  }
  void ExpectBack(std::uint64_t then, std::int64_t upserts, std::int64_t deletes,
                  std::uint64_t versions) {
    const auto difference = BackTo(then);
    EXPECT_EQ(difference.upserts->num_rows(), upserts);
    EXPECT_EQ(difference.deletes->num_rows(), deletes);
    EXPECT_EQ(difference.versions, versions);
  }

  RowTable table_;
};

TEST_F(DifferenceTest, OldRowsOfMemtablesAreNotWalked) {
  const auto old = UpsertRange(0, 3000, "old");
  ExpectBack(old, 0, 0, 0);
  UpsertRange(10, 12, "new");
  table_.Delete({{20, "a"}});
  ExpectBack(old, 3, 0, 3);
  table_.Seal();
  ExpectBack(old, 3, 0, 3);
  const auto later = UpsertRange(2999, 3002, "new");
  ExpectBack(old, 4, 2, 6);
  ExpectBack(later, 0, 0, 0);
  table_.Flush();
  ExpectBack(old, 4, 2, 6);
  ExpectBack(later, 0, 0, 0);
}

TEST_F(DifferenceTest, RowGroupsOfOldCommitsAreNotRead) {
  table_.row_group_rows = 50;
  const auto old = UpsertRange(0, 2000, "old");
  UpsertRange(2000, 2050, "new");
  table_.Flush();
  ExpectBack(old, 0, 50, 50);
  const auto& run = *table_.runs().front();
  EXPECT_EQ(run.row_group_keys().size(), 41u);
  EXPECT_LE(run.row_groups_read(), 6u) << "the new one, and for the lookups";
}

}  // namespace
}  // namespace varve::testing
