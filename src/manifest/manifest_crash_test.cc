// SPDX-License-Identifier: Apache-2.0
// Power cuts at every event of a manifest's life, on the simulated disk.
#include <optional>

#include "files/simulated_disk.h"
#include "manifest/manifest_fixture.h"

namespace varve::testing {
namespace {

const std::vector<std::vector<Edit>>& Script() {
  static const std::vector<std::vector<Edit>> script = {
      {NewTable(1, "orders")},
      {NewRun(1), NewRun(2), AdvanceTo(7)},
      {RemoveRunEdit{1, 1}, NewRun(3, 1, 1)},
      {NewRun(4), AdvanceTo(9)},
  };
  return script;
}

class ManifestCrashTest : public ::testing::Test {
 protected:
  void SetUp() override {
    SimulatedDisk disk;
    ASSERT_EQ(Live(&disk), Script().size() + 1);
    events_ = disk.events();
    ASSERT_GT(events_, 20u);
  }

  // Creates and commits until something fails; gives how many calls were acknowledged.
  std::uint64_t Live(SimulatedDisk* disk) {
    SeededRandom names(1);
    const auto store = NewFolderStore(disk, "/db", &names);
    if (!Manifest::Create(store.get(), kDatabase, {1})) return 0;
    auto opened = Manifest::Open(store.get());
    if (!opened) return 1;
    std::uint64_t acknowledged = 1;
    states_.resize(Script().size() + 2);
    states_[1] = Text(*(*opened)->state());
    for (const auto& edits : Script()) {
      const auto state = (*opened)->Commit(edits, {2});
      if (!state) break;
      states_[++acknowledged] = Text(**state);
    }
    return acknowledged;
  }

  // What a new process finds: one of the states, not older than what was acknowledged, and not
  // newer than what was tried. Then it goes on writing.
  void ExpectSound(SimulatedDisk* disk, std::uint64_t acknowledged) {
    SeededRandom names(2);
    const auto store = NewFolderStore(disk, "/db", &names);
    auto opened = Manifest::Open(store.get());
    if (!opened && opened.error().kind() == ErrorKind::kNotFound) {
      ASSERT_EQ(acknowledged, 0u);
      ASSERT_TRUE(Manifest::Create(store.get(), kDatabase, {1}));
      opened = Manifest::Open(store.get());
    }
    ASSERT_TRUE(opened) << opened.error().message();
    const auto number = (*opened)->state()->number;
    ASSERT_GE(number, acknowledged);
    ASSERT_LE(number, acknowledged + 1);
    ASSERT_EQ(Text(*(*opened)->state()), states_[number]);
    const auto next = (*opened)->Commit({NewTable(7, "later")}, {3});
    ASSERT_TRUE(next) << next.error().message();
    auto again = Manifest::Open(store.get());
    ASSERT_TRUE(again) << again.error().message();
    ASSERT_EQ(Text(*(*again)->state()), Text(**next));
  }

  std::vector<std::string> states_;  // by number
  std::uint64_t events_ = 0;
};

TEST_F(ManifestCrashTest, EachCommitIsThereWholeOrNotAndAcknowledgedOnesAre) {
  const auto seed = TestSeed();
  SCOPED_TRACE(SeedTrace(seed));
  SeededRandom random(seed);
  for (std::uint64_t event = 1; event <= events_; ++event) {
    for (const auto survival : kAllSurvivals) {
      SCOPED_TRACE(fmt::format("event {} of {}, {}", event, events_, ToString(survival)));
      SimulatedDisk disk;
      disk.CrashAtEvent(event);
      const auto acknowledged = Live(&disk);
      disk.Crash(survival, &random);
      ASSERT_NO_FATAL_FAILURE(ExpectSound(&disk, acknowledged));
    }
  }
}

TEST_F(ManifestCrashTest, AfterOneFailedOperationNothingIsLostOrHalf) {
  for (const auto reason : {ErrorReason::kIo, ErrorReason::kNoSpace}) {
    for (std::uint64_t event = 1; event <= events_; ++event) {
      SCOPED_TRACE(fmt::format("event {} of {}, {}", event, events_, ToString(reason)));
      SimulatedDisk disk;
      disk.FailEvent(event, Error(ErrorKind::kUnavailable, "refused", reason));
      const auto acknowledged = Live(&disk);
      SeededRandom random(event);
      disk.Crash(Survival::kAllLost, &random);
      ASSERT_NO_FATAL_FAILURE(ExpectSound(&disk, acknowledged));
    }
  }
}

// A process dies in a commit, the next one reads what it left and acts on it, and then the power
// goes: what was read must not be gone.
TEST_F(ManifestCrashTest, WhatOpenReadStaysAfterMakeDurable) {
  for (std::uint64_t event = 1; event <= events_; ++event) {
    SCOPED_TRACE(fmt::format("event {} of {}", event, events_));
    SimulatedDisk disk;
    disk.CrashAtEvent(event);
    Live(&disk);
    SeededRandom random(event);
    disk.KillProcess();
    SeededRandom names(2);
    const auto store = NewFolderStore(&disk, "/db", &names);
    auto opened = Manifest::Open(store.get());
    if (!opened) continue;
    ASSERT_TRUE((*opened)->MakeDurable());
    disk.Crash(Survival::kAllLost, &random);
    auto again = Manifest::Open(store.get());
    ASSERT_TRUE(again) << again.error().message();
    ASSERT_EQ(Text(*(*again)->state()), Text(*(*opened)->state()));
  }
}

}  // namespace
}  // namespace varve::testing
