// SPDX-License-Identifier: Apache-2.0
// Storms over files in memory and on the real disk, to their end and with a close among them. What
// ThreadSanitizer is given to look at (test/sanitizers_test.sh); without it, a test of everything
// at once.
#include "test/threads/storm.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <string>

#include "files/files_test_worlds.h"
#include "test/support/seed.h"
#include "varve/inspect.h"

namespace varve::testing {
namespace {

class StormTest : public ::testing::Test {
 protected:
  static std::uint32_t Commits() { return std::getenv("VARVE_LONG") != nullptr ? 2000 : 120; }

  static void RageIn(World* world, bool close_amid, std::uint64_t otherwise) {
    const StormSettings settings{.seed = TestSeed(otherwise),
                                 .files = world->files(),
                                 .path = JoinPath(world->root(), "db"),
                                 .commits = Commits(),
                                 .close_amid = close_amid};
    SCOPED_TRACE(SeedTrace(settings.seed));
    Storm storm(settings);
    ASSERT_NO_FATAL_FAILURE(storm.Open());
    storm.Rage();
    if (!close_amid) {
      storm.CheckAll();
      ASSERT_TRUE(storm.Close());
    }
    storm.Drop();
    const auto verified = VerifyDatabase(settings.path, {.deep = true}, {.files = world->files()});
    ASSERT_TRUE(verified) << verified.error().message();
    EXPECT_TRUE(verified->damages.empty()) << verified->damages.front().message;
    ASSERT_NO_FATAL_FAILURE(storm.Open());
    storm.CheckAll();
  }
};

TEST_F(StormTest, InMemory) {
  MemoryWorld world;
  RageIn(&world, false, 1);
}

TEST_F(StormTest, InMemoryWithAClose) {
  MemoryWorld world;
  RageIn(&world, true, 2);
}

TEST_F(StormTest, OnDisk) {
  PosixWorld world;
  RageIn(&world, false, 3);
}

TEST_F(StormTest, OnDiskWithAClose) {
  PosixWorld world;
  RageIn(&world, true, 4);
}

}  // namespace
}  // namespace varve::testing
