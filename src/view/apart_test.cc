// SPDX-License-Identifier: Apache-2.0
#include "view/apart.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <string>

#include "base/random.h"
#include "test/support/seed.h"

namespace varve {
namespace {

// Each with each other, as the word says it.
std::vector<bool> Pairwise(const std::vector<KeySpan>& spans) {
  std::vector<bool> apart(spans.size(), true);
  for (std::size_t i = 0; i < spans.size(); ++i) {
    for (std::size_t j = 0; j < spans.size(); ++j) {
      const bool disjoint = spans[j].first > spans[i].last || spans[j].last < spans[i].first;
      if (i != j && !disjoint) apart[i] = false;
    }
  }
  return apart;
}

TEST(ApartTest, OneKeyInCommonIsEnough) {
  EXPECT_EQ(WhichLieApart({}), std::vector<bool>());
  EXPECT_EQ(WhichLieApart({{"", ""}}), std::vector<bool>({true}));
  EXPECT_EQ(WhichLieApart({{"c", "d"}, {"a", "b"}}), std::vector<bool>({true, true}));
  EXPECT_EQ(WhichLieApart({{"b", "d"}, {"a", "b"}}), std::vector<bool>({false, false}));
  EXPECT_EQ(WhichLieApart({{"a", "a"}, {"a", "a"}}), std::vector<bool>({false, false}));
  const std::vector<KeySpan> far_reaching = {{"a", "x"}, {"b", "c"}, {"d", "e"}, {"y", "z"}};
  EXPECT_EQ(WhichLieApart(far_reaching), std::vector<bool>({false, false, false, true}));
}

TEST(ApartTest, AgreesWithComparingEachWithEach) {
  const auto seed = testing::TestSeed(17);
  SCOPED_TRACE(seed);
  SeededRandom random(seed);
  std::size_t apart = 0, together = 0;
  for (int round = 0; round < 3000; ++round) {
    const auto keys = 2 + random.Below(58);
    const auto key = [&](std::uint64_t number) {
      // Of one letter or of two, so that keys are each other's beginnings.
      std::string text(1, static_cast<char>('a' + number / 2 % 30));
      return number % 2 == 0 ? text : text + static_cast<char>(number);
    };
    const std::uint64_t widths = random.Below(2) == 0 ? 3 : keys;
    std::vector<std::string> ends;
    for (auto left = random.Below(12); left > 0; --left) {
      const auto first = random.Below(keys);
      ends.push_back(key(first));
      ends.push_back(key(first + random.Below(std::min(widths, keys - first))));
    }
    std::vector<KeySpan> spans;
    for (std::size_t i = 0; i + 1 < ends.size(); i += 2) {
      spans.push_back({ends[i], ends[i + 1]});
    }
    const auto expected = Pairwise(spans);
    ASSERT_EQ(WhichLieApart(spans), expected) << "round " << round;
    for (const bool one : expected) ++(one ? apart : together);
  }
  EXPECT_GT(apart, 1000u);
  EXPECT_GT(together, 1000u);
}

// Each with each other would be 4 * 10^10 comparisons: minutes.
TEST(ApartTest, ManyTakeLittleMoreThanSorting) {
  constexpr std::size_t kMany = 200'000;
  std::vector<std::string> keys;
  for (std::size_t i = 0; i < 2 * kMany; ++i) keys.push_back(std::to_string(10'000'000 + i));
  std::vector<KeySpan> spans;
  for (std::size_t i = 0; i < kMany; ++i) {
    const std::size_t at = i * 7919 % kMany;  // in some order
    spans.push_back({keys[2 * at], keys[2 * at + 1]});
  }
  EXPECT_EQ(WhichLieApart(spans), std::vector<bool>(kMany, true));
}

}  // namespace
}  // namespace varve
