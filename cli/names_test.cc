// SPDX-License-Identifier: Apache-2.0
#include "names.h"

#include <gtest/gtest.h>

namespace varve::cli {
namespace {

using Names = std::vector<std::string>;

Names Split(std::string_view text) {
  const auto names = SplitNames("--key", text);
  EXPECT_TRUE(names) << text << ": " << names.error().error.message();
  return names.value_or(Names());
}

std::string Refused(std::string_view text) {
  const auto names = SplitNames("--key", text);
  EXPECT_FALSE(names) << text;
  if (names) return "";
  EXPECT_EQ(names.error().exit, kExitUsage);
  return names.error().error.message();
}

TEST(NamesTest, CommasEndBareNamesAndBlanksAroundThemGo) {
  EXPECT_EQ(Split("a"), Names{"a"});
  EXPECT_EQ(Split(" a , b c,d=e"), (Names{"a", "b c", "d=e"}));
  EXPECT_EQ(Split("don't,5\"x"), (Names{"don't", "5\"x"})) << "quotes count where a name begins";
}

TEST(NamesTest, QuotesHoldEverything) {
  EXPECT_EQ(Split("\"a,b\""), Names{"a,b"});
  EXPECT_EQ(Split("\"a,b\" , c,\" d=\""), (Names{"a,b", "c", " d="}));
  EXPECT_EQ(Split("\"say \"\"hi\"\"\",\"\"\"\""), (Names{"say \"hi\"", "\""}));
}

TEST(NamesTest, WhatIsJoinedIsSplitIntoTheSame) {
  const Names names = {"a,b", "c d", " e", "f ", "\"g\"", "5\"x", "it's", "\"", ",", "é=1"};
  EXPECT_EQ(Split(JoinNames(names)), names);
  EXPECT_EQ(JoinNames({"a", "b c", "5\"x"}), "a,b c,5\"x") << "no quotes without need";
}

TEST(NamesTest, AShellsWordIsQuotedWhereItNeedsIt) {
  EXPECT_EQ(ShellWord("./db-1/x.varve,k"), "./db-1/x.varve,k");
  EXPECT_EQ(ShellWord("my db"), "'my db'");
  EXPECT_EQ(ShellWord("it's $HOME"), "'it'\\''s $HOME'");
  EXPECT_EQ(ShellWord("é"), "'é'");
  EXPECT_EQ(ShellWord(""), "''");
}

TEST(NamesTest, WhatIsNoNameIsRefused) {
  for (const char* const text : {"", " ", ",a", "a,", "a,,b"}) {
    EXPECT_TRUE(Refused(text).contains("expected a column name")) << text;
  }
  EXPECT_TRUE(Refused("\"\",a").contains("between the quotes"));
  EXPECT_TRUE(Refused("a,\"b").contains("at the end of the name"));
  EXPECT_TRUE(Refused("\"a\"\"").contains("at the end of the name"));
  EXPECT_TRUE(Refused("\"a\"b,c").contains("behind a quoted name"));
}

TEST(NamesTest, ANameAloneMayHaveCommas) {
  EXPECT_EQ(*ParseName("--drop", "a,b=c"), "a,b=c");
  EXPECT_EQ(*ParseName("--drop", "\" a,\"\"b\""), " a,\"b");
  EXPECT_FALSE(ParseName("--drop", ""));
}

TEST(NamesTest, RenamingsEndTheOldNameAtTheFirstUnquotedEqualsSign) {
  using Pair = std::pair<std::string, std::string>;
  EXPECT_EQ(*ParseRenaming("--rename", "a=b"), Pair("a", "b"));
  EXPECT_EQ(*ParseRenaming("--rename", "a,b = c=d"), Pair("a,b", "c=d"));
  EXPECT_EQ(*ParseRenaming("--rename", "\"a=b\"=\"c,d\""), Pair("a=b", "c,d"));
  const auto one = ParseRenaming("--rename", "\"a=b\"");
  ASSERT_FALSE(one);
  EXPECT_TRUE(one.error().error.message().contains("OLD=NEW"));
  EXPECT_FALSE(ParseRenaming("--rename", "a="));
  EXPECT_FALSE(ParseRenaming("--rename", "=a"));
}

TEST(NamesTest, WordsInQuotesAreNotFound) {
  EXPECT_EQ(FindUnquoted("a int8 default 1", " default "), 6u);
  EXPECT_EQ(FindUnquoted("\"a default b\" int8", " default "), std::string_view::npos);
  EXPECT_EQ(FindUnquoted("\"a default \"\"b\" int8 default \"x\"", " default "), 20u);
}

TEST(NamesTest, NamesThatAreNearlyRightAreGuessed) {
  const std::vector<std::string> known{"city", "dep_delay", "n"};
  EXPECT_EQ(DidYouMean("citty", known), "; did you mean 'city'?");
  EXPECT_EQ(DidYouMean("CITY", known), "; did you mean 'city'?");
  EXPECT_EQ(DidYouMean("depdelay", known), "; did you mean 'dep_delay'?");
  EXPECT_EQ(DidYouMean("wings", known), "");
  EXPECT_EQ(DidYouMean("m", known), "");
  EXPECT_EQ(DidYouMean("", known), "");
}

}  // namespace
}  // namespace varve::cli
