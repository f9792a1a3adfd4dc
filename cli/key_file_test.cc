// SPDX-License-Identifier: Apache-2.0
#include "key_file.h"

#include <gtest/gtest.h>

#include <string>

namespace varve::cli {
namespace {

const std::string kOld(32, '\x8f');
const std::string kNew(32, '\xbe');

std::string Hex(const std::string& key) {
  std::string text;
  for (const char c : key) text += c == '\x8f' ? "8f" : "bE";
  return text;
}

// The current key of a file that holds `text`; "exit N" when it holds none.
std::string CurrentKeyOf(const std::string& text) {
  auto file = KeyFile::Parse("keys", text);
  if (!file) return "exit " + std::to_string(file.error().exit);
  return *(*file)->Key(*(*file)->CurrentKeyId());
}

TEST(KeyFileTest, AKeyIsThirtyTwoBytesOrTheirDigits) {
  EXPECT_EQ(CurrentKeyOf(kNew), kNew);
  EXPECT_EQ(CurrentKeyOf(Hex(kNew)), kNew);
  EXPECT_EQ(CurrentKeyOf("  " + Hex(kNew) + "\r\n"), kNew);
  EXPECT_EQ(CurrentKeyOf("# of 2026\n\n" + Hex(kNew) + "\n"), kNew);
}

TEST(KeyFileTest, TheNameOfAKeyIsTheBeginningOfItsSha256) {
  EXPECT_EQ(KeyName(""), "e3b0c44298fc1c14");  // FIPS 180-4, of no bytes
  auto file = KeyFile::Parse("keys", kNew);
  EXPECT_EQ(*(*file)->CurrentKeyId(), KeyName(kNew));
}

TEST(KeyFileTest, TheNewestKeyIsCurrentAndOlderOnesAreFound) {
  auto file = KeyFile::Parse("keys", "june " + Hex(kNew) + "\nmay\t" + Hex(kOld) + "\n");
  EXPECT_EQ(*(*file)->CurrentKeyId(), "june");
  EXPECT_EQ(*(*file)->Key("may"), kOld);
  EXPECT_EQ(*(*file)->Key(KeyName(kOld)), kOld);
  EXPECT_EQ((*file)->Key("april").error().reason(), ErrorReason::kMissingKey);
}

TEST(KeyFileTest, AKeyIsGivenUntilItExpires) {
  WallTime now{1'795'176'000'000'000};  // 2026-11-20T12:00:00Z
  auto file = KeyFile::Parse("keys",
                             "june " + Hex(kNew) + "\nmay " + Hex(kOld) +
                                 "  until=2026-11-20T12:00:01Z",
                             [&] { return now; });
  EXPECT_EQ(*(*file)->Key("may"), kOld);
  now.micros += 1'000'000;
  EXPECT_EQ((*file)->Key("may").error().reason(), ErrorReason::kExpiredKey);
  EXPECT_EQ((*file)->Key(KeyName(kOld)).error().reason(), ErrorReason::kExpiredKey);
  EXPECT_EQ(*(*file)->Key("june"), kNew);
}

TEST(KeyFileTest, WhatIsNoKeyIsWrongUsage) {
  const std::string name(65, 'x');
  for (const std::string& text :
       {std::string(), std::string("# no key\n"), std::string("secret"), Hex(kNew).substr(1),
        Hex(kNew) + "0", Hex(kNew).substr(1) + "g", name + " " + Hex(kNew),
        "june " + Hex(kNew) + "\njune " + Hex(kOld), kNew + "\n",
        "june " + Hex(kNew) + " until=soon", std::string("until=2027-01-01"), Hex(kNew) + " until=",
        "a b " + Hex(kNew), std::string(2 << 20, '#')}) {
    EXPECT_EQ(CurrentKeyOf(text), "exit 2") << text.substr(0, 100);
  }
}

TEST(KeyFileTest, ThirtyTwoCharactersOfTextAreNoKey) {
  const std::string text = "correct horse battery staple, 32";
  ASSERT_EQ(text.size(), 32u);
  for (const std::string& typed : {text, std::string(32, '0'), text.substr(1) + "\n"}) {
    const auto file = KeyFile::Parse("keys", typed);
    ASSERT_FALSE(file) << typed;
    EXPECT_EQ(file.error().exit, kExitUsage);
    EXPECT_NE(file.error().error.message().find("64 hex digits"), std::string::npos);
    EXPECT_EQ(file.error().error.message().find("horse"), std::string::npos);
  }
  EXPECT_EQ(CurrentKeyOf(text.substr(1) + '\x01'), text.substr(1) + '\x01');
}

TEST(KeyFileTest, AnErrorSaysNothingOfTheKey) {
  const auto file = KeyFile::Parse("keys", "june " + Hex(kNew) + "0\n");
  EXPECT_EQ(file.error().error.message().find("bEbE"), std::string::npos);
}

}  // namespace
}  // namespace varve::cli
