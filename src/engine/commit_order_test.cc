// SPDX-License-Identifier: Apache-2.0
#include "engine/commit_order.h"

#include <gtest/gtest.h>

namespace varve {
namespace {

TEST(CommitOrder, VisibleMovesOnlyOverWhatIsInsertedAndDurable) {
  CommitOrder order(CommitNumber{7});
  order.MakeReady();
  order.Register({8}, {.lsn = {}, .end = {100}});
  EXPECT_FALSE(order.Advance(Lsn{100}));  // durable, not inserted
  order.Inserted({8});
  EXPECT_FALSE(order.Advance(Lsn{99}));  // inserted, not durable
  EXPECT_EQ(order.visible().value, 7u);
  EXPECT_TRUE(order.Advance(Lsn{100}));
  EXPECT_EQ(order.visible().value, 8u);
}

// Hole d had a third part: a snapshot's number counted commits that had one and were not there yet.
TEST(CommitOrder, HoleD_ALaterCommitWaitsForAnEarlierOne) {
  CommitOrder order(CommitNumber{});
  order.MakeReady();
  order.Register({1}, {.lsn = {}, .end = {10}});
  order.MakeReady();
  order.Register({2}, {.lsn = {}, .end = {20}});
  order.Inserted({2});
  EXPECT_FALSE(order.Advance(Lsn{20}));
  order.Inserted({1});
  EXPECT_TRUE(order.Advance(Lsn{20}));
  EXPECT_EQ(order.visible().value, 2u);
}

TEST(CommitOrder, DurableCountsAlsoWhatIsNotYetInserted) {
  CommitOrder order(CommitNumber{3});
  order.MakeReady();
  order.Register({4}, {.lsn = {}, .end = {10}});
  order.MakeReady();
  order.Register({5}, {.lsn = {}, .end = {20}});
  EXPECT_EQ(order.DurableAt(Lsn{15}).value, 4u);
  EXPECT_EQ(order.visible().value, 3u);
}

}  // namespace
}  // namespace varve
