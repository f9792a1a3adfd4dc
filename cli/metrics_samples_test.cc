// SPDX-License-Identifier: Apache-2.0
#include "metrics_samples.h"

#include <gtest/gtest.h>

namespace varve::cli {
namespace {

TEST(MetricSamples, PassOverValuesThatNoneOfOursHas) {
  const MetricSamples samples(
      "a 1\na 1e300\na -1e300\na nan\na inf\na -inf\na 1e999\na 2\nb 9e17\nb 9e17\n");
  EXPECT_EQ(samples.all().size(), 4u);
  EXPECT_EQ(samples.Sum("a"), 3);
  EXPECT_EQ(Whole(samples.Sum("a")), 3u);
}

TEST(MetricSamples, ASumOfManyIsAWholeNumberStill) {
  std::string text;
  for (int i = 0; i < 100; ++i) text += "b 1e18\n";
  EXPECT_EQ(Whole(MetricSamples(text).Sum("b")), 1'000'000'000'000'000'000u);
  EXPECT_EQ(Whole(-1), 0u);
  EXPECT_EQ(Whole(0.0 / 0.0), 0u);
  EXPECT_EQ(Whole(2.6), 3u);
}

}  // namespace
}  // namespace varve::cli
