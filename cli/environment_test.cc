// SPDX-License-Identifier: Apache-2.0
#include "environment.h"

#include <gtest/gtest.h>

#include <initializer_list>
#include <string>
#include <vector>

namespace varve::cli {
namespace {

Outcome<Environment> Read(std::initializer_list<std::string> entries) {
  std::vector<std::string> owned(entries);
  std::vector<char*> pointers;
  for (std::string& entry : owned) pointers.push_back(entry.data());
  pointers.push_back(nullptr);
  return ReadEnvironment(pointers.data());
}

TEST(EnvironmentTest, KnownVariablesAreTaken) {
  auto environment = Read({"HOME=here", "VARVE_COLOR=always", "VARVE_MEMTABLE_BYTES=2000000",
                           "VARVE_ACK=written", "VARVE_TEST_SEED=x"});
  ASSERT_TRUE(environment);
  EXPECT_EQ(environment->color, ColorMode::kAlways);
  EXPECT_EQ(environment->memtable_bytes, 2000000u);
  EXPECT_EQ(environment->ack, AckLevel::kWritten);
}

TEST(EnvironmentTest, UnknownVariablesAndBadValuesAreWrongUsage) {
  for (const char* entry : {"VARVE_COLOUR=always", "VARVE_COLOR=red", "VARVE_ACK=",
                            "VARVE_MEMTABLE_BYTES=64MB", "VARVE_MEMTABLE_BYTES=12"}) {
    auto environment = Read({entry});
    ASSERT_FALSE(environment) << entry;
    EXPECT_EQ(environment.error().exit, kExitUsage) << entry;
  }
}

TEST(EnvironmentTest, NoColorYieldsToVarveColor) {
  EXPECT_EQ(Read({"NO_COLOR=1"})->color, ColorMode::kNever);
  EXPECT_EQ(Read({"NO_COLOR="})->color, ColorMode::kAuto);
  EXPECT_EQ(Read({"NO_COLOR=1", "VARVE_COLOR=always"})->color, ColorMode::kAlways);
}

}  // namespace
}  // namespace varve::cli
