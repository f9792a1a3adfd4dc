// SPDX-License-Identifier: Apache-2.0
#include "engine/recent_keys.h"

#include <gtest/gtest.h>

namespace varve {
namespace {

class RecentKeysTest : public ::testing::Test {
 protected:
  void Add(std::uint64_t commit) {
    keys_.MakeReady();
    keys_.Add(std::make_shared<KeysOfCommit>(KeysOfCommit{.commit = {commit}, .tables = {}}));
  }
  std::vector<std::uint64_t> After(std::uint64_t commit) const {
    std::vector<std::uint64_t> commits;
    for (const auto& keys : keys_.After({commit})) commits.push_back(keys->commit.value);
    return commits;
  }
  using Commits = std::vector<std::uint64_t>;

  RecentKeys keys_{0};  // there is memory for none
};

TEST_F(RecentKeysTest, WhatIsNotVisibleIsKeptWhateverMemoryItTakes) {
  for (const std::uint64_t commit : {1, 2, 3}) Add(commit);
  keys_.Forget({0}, {1});
  EXPECT_EQ(keys_.floor().value, 1u);
  EXPECT_EQ(After(1), (Commits{2, 3}));
  keys_.Forget({0}, {3});
  EXPECT_EQ(keys_.floor().value, 3u);
  EXPECT_EQ(After(3), Commits{});
}

TEST_F(RecentKeysTest, WhatNobodyAsksForIsKeptUntilItIsVisible) {
  for (const std::uint64_t commit : {1, 2, 3}) Add(commit);
  keys_.Forget({3}, {2});
  EXPECT_EQ(keys_.floor().value, 2u);
  EXPECT_EQ(After(2), Commits{3});
}

}  // namespace
}  // namespace varve
