// SPDX-License-Identifier: Apache-2.0
#include "shown_text.h"

#include <gtest/gtest.h>

namespace varve::cli {
namespace {

TEST(ShownText, LeavesCharactersAsTheyAre) {
  for (const char* const text : {"", "orders", "caf\u00e9 \u00a0 \u4e2d \U0001f426"}) {
    EXPECT_EQ(ShownText(text), text);
  }
}

TEST(ShownText, WritesOutWhatATerminalWouldObey) {
  EXPECT_EQ(ShownText("a\x1b[2Jb\r\n\t\x7f"), "a\\x1b[2Jb\\x0d\\x0a\\x09\\x7f");
  EXPECT_EQ(ShownText("\u009b31m\u0080\u009f"), "\\u009b31m\\u0080\\u009f");
  EXPECT_EQ(ShownText("\x9b" "31m\x84"), "\\x9b31m\\x84");
}

TEST(ShownText, WritesOutBytesThatAreNoCharacter) {
  EXPECT_EQ(ShownText("\xc2"), "\\xc2");
  EXPECT_EQ(ShownText("\xc0\x9b"), "\\xc0\\x9b");  // an overlong form of 1b
  EXPECT_EQ(ShownText("\xe0\x80\x9b"), "\\xe0\\x80\\x9b");
  EXPECT_EQ(ShownText("\xe4\xb8"), "\\xe4\\xb8");
}

}  // namespace
}  // namespace varve::cli
