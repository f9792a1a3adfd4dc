// SPDX-License-Identifier: Apache-2.0
#include "point_in_time.h"

#include <gtest/gtest.h>

namespace varve::cli {
namespace {

constexpr WallTime kNow{1'800'000'000'000'000};

AsOf Parse(const std::string& text) {
  auto parsed = ParsePointInTime(text, kNow);
  EXPECT_TRUE(parsed) << text;
  return parsed ? *parsed : AsOf();
}

ExitCode ExitOf(const std::string& text) {
  auto parsed = ParsePointInTime(text, kNow);
  return parsed ? kExitDone : parsed.error().exit;
}

TEST(PointInTimeTest, NumbersAreCommitsAndNothingIsNow) {
  EXPECT_EQ(Parse("12"), AsOf(CommitNumber{12}));
  EXPECT_EQ(Parse(""), AsOf());
}

TEST(PointInTimeTest, TimesAreUtcUnlessTheySayOtherwise) {
  const AsOf noon(WallTime{1'795'176'000'000'000});
  EXPECT_EQ(Parse("2026-11-20T12:00:00Z"), noon);
  EXPECT_EQ(Parse("2026-11-20 12:00:00"), noon);
  EXPECT_EQ(Parse("2026-11-20T14:00:00+02:00"), noon);
}

TEST(PointInTimeTest, AgesCountBackFromNow) {
  EXPECT_EQ(Parse("-30s"), AsOf(WallTime{kNow.micros - 30'000'000}));
  EXPECT_EQ(Parse("-5m"), AsOf(WallTime{kNow.micros - 300'000'000}));
  EXPECT_EQ(Parse("-2h"), AsOf(WallTime{kNow.micros - 7'200'000'000}));
  EXPECT_EQ(Parse("-7d"), AsOf(WallTime{kNow.micros - 604'800'000'000}));
}

TEST(PointInTimeTest, NamesAreTagsAndTheRestIsWrong) {
  EXPECT_EQ(Parse("release-1"), AsOf(TagName{"release-1"}));
  EXPECT_EQ(Parse("_2026-11-20"), AsOf(TagName{"_2026-11-20"}));
  EXPECT_EQ(ExitOf(".a"), kExitUsage);
  EXPECT_EQ(ExitOf("-5x"), kExitUsage);
  EXPECT_EQ(ExitOf("-99999999999d"), kExitUsage);
  EXPECT_EQ(ExitOf("12.5"), kExitUsage);
  EXPECT_EQ(ExitOf("99999999999999999999999"), kExitUsage);
}

}  // namespace
}  // namespace varve::cli
