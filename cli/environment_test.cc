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
                           "VARVE_MEMORY=64000000", "VARVE_ACK=written", "VARVE_TEST_SEED=x",
                           "VARVE_COMPACTION_THREADS=3",
                           "VARVE_BACKGROUND_BYTES_PER_SECOND=10000000"});
  ASSERT_TRUE(environment);
  EXPECT_EQ(environment->color, ColorMode::kAlways);
  EXPECT_EQ(environment->memtable_bytes, 2000000u);
  EXPECT_EQ(environment->memory_bytes, 64000000u);
  EXPECT_EQ(environment->ack, AckLevel::kWritten);
  EXPECT_EQ(environment->compaction_threads, 3u);
  EXPECT_EQ(environment->background_bytes_per_second, 10'000'000u);
}

TEST(EnvironmentTest, UnknownVariablesAndBadValuesAreWrongUsage) {
  for (const char* entry : {"VARVE_COLOUR=always", "VARVE_COLOR=red", "VARVE_ACK=",
                            "VARVE_MEMTABLE_BYTES=64MB", "VARVE_MEMTABLE_BYTES=12",
                            "VARVE_COMPACTION_THREADS=all",
                            "VARVE_MEMORY=16777215", "VARVE_MEMORY=1G",
                            "VARVE_BACKGROUND_BYTES_PER_SECOND=10MB", "VARVE_LOG_SYNC=never",
                            "VARVE_LOG_COMPRESSION=gzip"}) {
    auto environment = Read({entry});
    ASSERT_FALSE(environment) << entry;
    EXPECT_EQ(environment.error().exit, kExitUsage) << entry;
  }
}

TEST(EnvironmentTest, SettingsOfTheLogAreTaken) {
  auto environment = Read({"VARVE_LOG_SYNC_POLICY=bytes", "VARVE_LOG_SYNC_BYTES=4096"});
  ASSERT_TRUE(environment);
  EXPECT_EQ(environment->log.sync_policy, LogSyncPolicy::kBytes);
  EXPECT_EQ(environment->log.sync_bytes, 4096u);
}

TEST(EnvironmentTest, SyncPoliciesAreSpeltOut) {
  LogOptions options;
  ASSERT_TRUE(ParseSyncPolicy("--sync", "interval=70ms", &options));
  EXPECT_EQ(options.sync_policy, LogSyncPolicy::kInterval);
  EXPECT_EQ(options.sync_interval_ms, 70u);
  ASSERT_TRUE(ParseSyncPolicy("--sync", "interval=2s", &options));
  EXPECT_EQ(options.sync_interval_ms, 2000u);
  ASSERT_TRUE(ParseSyncPolicy("--sync", "bytes=7", &options));
  EXPECT_EQ(options.sync_policy, LogSyncPolicy::kBytes);
  EXPECT_EQ(options.sync_bytes, 7u);
  ASSERT_TRUE(ParseSyncPolicy("--sync", "never", &options));
  EXPECT_EQ(options.sync_policy, LogSyncPolicy::kNever);
  ASSERT_TRUE(ParseSyncPolicy("--sync", "group", &options));
  EXPECT_EQ(options.sync_policy, LogSyncPolicy::kEveryGroup);
  for (const char* text : {"", "always", "interval", "interval=", "interval=50", "interval=s",
                           "interval=0ms", "interval=-5ms", "interval=100000s", "bytes=",
                           "bytes=0", "bytes=1MB"}) {
    EXPECT_FALSE(ParseSyncPolicy("--sync", text, &options)) << text;
  }
}

TEST(EnvironmentTest, NoColorYieldsToVarveColor) {
  EXPECT_EQ(Read({"NO_COLOR=1"})->color, ColorMode::kNever);
  EXPECT_EQ(Read({"NO_COLOR="})->color, ColorMode::kAuto);
  EXPECT_EQ(Read({"NO_COLOR=1", "VARVE_COLOR=always"})->color, ColorMode::kAlways);
}

}  // namespace
}  // namespace varve::cli
