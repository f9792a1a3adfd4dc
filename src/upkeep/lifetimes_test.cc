// SPDX-License-Identifier: Apache-2.0
#include "upkeep/lifetimes.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "run/run_test_world.h"

namespace varve {
namespace {

using namespace varve::testing;
using RunPtr = std::shared_ptr<const Run>;

// Key "a" of commits 1 and 4, key "b" of 2, which 5 deletes.
class LifetimesTest : public ::testing::Test {
 protected:
  RunPtr NewRun(std::initializer_list<std::pair<std::uint64_t, std::string>> upserts,
                std::initializer_list<std::pair<std::uint64_t, std::string>> deletes,
                std::uint64_t shown_from, std::uint64_t hidden_from) {
    Memtable memtable(ModelSchema());
    VersionModel model;
    for (const auto& [commit, key] : upserts) model.Upsert({{key, 1, 1}}, commit, Into(&memtable));
    for (const auto& [commit, key] : deletes) model.Delete({{key, 1, 1}}, commit, Into(&memtable));
    const auto run = world_.Flush(memtable, 10);
    RunMeta meta = run->meta();
    meta.shown_from = shown_from;
    meta.hidden_from = hidden_from;
    return world_.Open(memtable, meta)->run();
  }

  static std::vector<std::string> Lost(const std::vector<RunPtr>& runs, std::uint64_t oldest = 0) {
    std::vector<std::string> lost;
    const auto status = FindLostVersions(runs, {oldest}, [&](const LostVersion& one) {
      lost.push_back(std::to_string(one.run_id) + ": " + std::to_string(one.commit) + " as of " +
                     std::to_string(one.as_of) + ", seen " + std::to_string(one.seen_commit));
    });
    EXPECT_TRUE(status) << status.error().message();
    return lost;
  }

  using Strings = std::vector<std::string>;
  RunWorld world_;
};

TEST_F(LifetimesTest, WhatACompactionMakesShowsTheSame) {
  const auto first = NewRun({{1, "a"}, {2, "b"}}, {}, 0, 5);
  const auto second = NewRun({{4, "a"}}, {{5, "b"}}, 0, 5);
  EXPECT_EQ(Lost({first, second, NewRun({{4, "a"}}, {}, 5, 0)}), Strings());
  EXPECT_EQ(Lost({first, second, NewRun({{4, "a"}}, {{5, "b"}}, 5, 0)}), Strings());
}

TEST_F(LifetimesTest, AKeyThatNoRunHasAnyMoreIsLost) {
  const auto first = NewRun({{1, "a"}, {2, "b"}}, {}, 0, 5);
  const auto second = NewRun({{4, "a"}}, {{5, "b"}}, 0, 5);
  EXPECT_EQ(Lost({first, second}), Strings{"2: 4 as of 5, seen 0"});
}

TEST_F(LifetimesTest, ADeleteThatIsDroppedTooEarlyIsSeen) {
  const auto oldest = NewRun({{1, "a"}, {2, "b"}}, {}, 0, 0);
  const auto deletes = NewRun({{4, "a"}}, {{5, "b"}}, 0, 5);
  EXPECT_EQ(Lost({oldest, deletes, NewRun({{4, "a"}}, {}, 5, 0)}),
            Strings{"2: 5 as of 5, seen 2"});
}

TEST_F(LifetimesTest, AnOutputThatIsShownTooLateIsSeen) {
  const auto first = NewRun({{1, "a"}, {2, "b"}}, {}, 0, 5);
  const auto second = NewRun({{4, "a"}}, {{5, "b"}}, 0, 5);
  EXPECT_EQ(Lost({first, second, NewRun({{4, "a"}}, {}, 6, 0)}), Strings{"2: 4 as of 5, seen 0"});
}

TEST_F(LifetimesTest, OfWhatOnlyTagsKeepNothingIsConcluded) {
  const auto kept = NewRun({{1, "a"}, {2, "b"}}, {}, 0, 5);  // and the deletes after it are gone
  const auto output = NewRun({{7, "c"}}, {}, 7, 0);
  EXPECT_EQ(Lost({kept, output}, 4), Strings{"1: 1 as of 5, seen 0"});
  EXPECT_EQ(Lost({kept, output}, 5), Strings());
}

TEST_F(LifetimesTest, OlderVersionsThatAFlushHidHaveNewerOnesInAnother) {
  const auto older = NewRun({{1, "a"}}, {}, 0, 4);
  EXPECT_EQ(Lost({older, NewRun({{2, "b"}, {4, "a"}}, {}, 0, 0)}), Strings());
  EXPECT_EQ(Lost({older, NewRun({{2, "b"}, {5, "a"}}, {}, 0, 0)}),
            Strings{"1: 1 as of 4, seen 0"});
}

}  // namespace
}  // namespace varve
