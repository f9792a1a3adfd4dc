// SPDX-License-Identifier: Apache-2.0
#include "input/infer_type.h"

#include <gtest/gtest.h>

#include <initializer_list>
#include <string>

namespace varve::cli {
namespace {

std::string Infer(std::initializer_list<std::string_view> values) {
  InferredType inferred;
  for (const std::string_view value : values) inferred.Add(value);
  return inferred.type()->ToString();
}

TEST(InferTypeTest, IntegersWidenToFloatsAndFloatsToText) {
  EXPECT_EQ(Infer({"1", "-20", "0"}), "int64");
  EXPECT_EQ(Infer({"1", "2.5"}), "double");
  EXPECT_EQ(Infer({"2.5", "1"}), "double");
  EXPECT_EQ(Infer({"1", "2.5", "x"}), "string");
}

TEST(InferTypeTest, NumbersThatWouldNotComeOutAsTheyWentInAreText) {
  EXPECT_EQ(Infer({"007"}), "string");
  EXPECT_EQ(Infer({"0x1F"}), "string");
  EXPECT_EQ(Infer({"92233720368547758080"}), "string");
  EXPECT_EQ(Infer({"0.5", "-0.5", "0"}), "double");
  EXPECT_EQ(Infer({"0.5", "9007199254740994"}), "double");
  EXPECT_EQ(Infer({"0.5", "9007199254740993"}), "string");
  EXPECT_EQ(Infer({"9223372036854775807", "1e3"}), "string");
  EXPECT_EQ(Infer({"7E900"}), "string");
  EXPECT_EQ(Infer({"+491701234567"}), "string");
  EXPECT_EQ(Infer({"+0.5"}), "string");
  EXPECT_EQ(Infer({"0.30000000000000004", "-0.00012345678901234567"}), "double");
  EXPECT_EQ(Infer({"12345678901234567.89"}), "string");
  EXPECT_EQ(Infer({"1.234567890123456789e+00"}), "double");
  EXPECT_EQ(Infer({"inf", "-nan"}), "double");
}

TEST(InferTypeTest, DatesAndTimesAreKnown) {
  EXPECT_EQ(Infer({"2026-11-20"}), "date32[day]");
  EXPECT_EQ(Infer({"2026-11-20", "2026-11-20 12:00:00"}), "timestamp[us]");
  EXPECT_EQ(Infer({"2026-11-20T12:00:00Z"}), "timestamp[us, tz=UTC]");
  EXPECT_EQ(Infer({"2026-11-20T12:00:00Z", "2026-11-20T12:00:00"}), "string");
  EXPECT_EQ(Infer({"2026-13-20"}), "string");
}

TEST(InferTypeTest, WordsForBoolsAreBools) {
  EXPECT_EQ(Infer({"true", "FALSE"}), "bool");
  EXPECT_EQ(Infer({"true", "1"}), "string");
}

TEST(InferTypeTest, NoValuesAreText) { EXPECT_EQ(Infer({}), "string"); }

}  // namespace
}  // namespace varve::cli
