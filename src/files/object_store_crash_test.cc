// SPDX-License-Identifier: Apache-2.0
// A put is cut at each of its events, in each way: afterwards the name is absent or holds all its
// bytes, and once the put has returned it is there for good.
#include <gtest/gtest.h>

#include <functional>
#include <map>

#include "files/files_test_worlds.h"
#include "files/object_store.h"

namespace varve {
namespace {

constexpr int kSeeds = 20;
const std::string kName = "manifest/00000000000000000001";

using Act = std::function<Status(ObjectStore*)>;

class StoreCrash : public ::testing::Test {
 protected:
  const std::string bytes_ = std::string(700, 'a') + std::string(3'000, 'b') + "the end";
  const Act put_if_absent_ = [this](auto* store) { return store->PutIfAbsent(kName, bytes_); };
  const Act put_ = [this](auto* store) { return store->Put(kName, bytes_); };
  const Act write_ = [this](ObjectStore* store) -> Status {
    auto writer = store->NewWriter(kName);
    if (!writer) return std::unexpected(writer.error());
    for (std::size_t at = 0; at < bytes_.size(); at += 1'000) {
      if (auto added = (*writer)->Append(bytes_.substr(at, 1'000)); !added) return added;
    }
    return (*writer)->Finish();
  };

  static std::unique_ptr<SimulatedDisk> NewDisk(bool with_old) {
    auto disk = std::make_unique<SimulatedDisk>();
    EXPECT_TRUE(disk->CreateDirectories("/db"));
    if (with_old) {
      EXPECT_TRUE(Run(disk.get(), [](auto* store) { return store->Put(kName, "old"); }));
    }
    return disk;
  }
  static Status Run(SimulatedDisk* disk, const Act& act) {
    SeededRandom random(3);
    return act(NewFolderStore(disk, "/db", &random).get());
  }
  static std::string Content(SimulatedDisk* disk) {
    std::string content;
    EXPECT_TRUE(Run(disk, [&](ObjectStore* store) -> Status {
      const auto got = store->Get(kName);
      content = got ? *got : std::string(ToString(got.error().kind()));
      return {};
    }));
    return content;
  }
  static std::size_t Leftovers(SimulatedDisk* disk) {
    const auto found = disk->List("/db/tmp");
    return found ? found->size() : 0;
  }
  // `check` sees the disk after the act was cut at each event, and says whether it had returned.
  static void Sweep(bool with_old, const Act& act,
                    const std::function<void(SimulatedDisk*, bool)>& check) {
    for (std::uint64_t event = 1;; ++event) {
      SCOPED_TRACE("event " + std::to_string(event));
      const auto disk = NewDisk(with_old);
      disk->CrashAtEvent(disk->events() + event);
      const bool done = Run(disk.get(), act).has_value();
      const bool cut = disk->crashed();
      disk->CrashAtEvent(0);
      check(disk.get(), done);
      if (!cut) break;
      ASSERT_LT(event, 100u);
    }
  }
  static void ForEachCrash(const SimulatedDisk& disk,
                           const std::function<void(SimulatedDisk*)>& check) {
    for (const auto survival : kAllSurvivals) {
      for (int seed = 0; seed < kSeeds; ++seed) {
        SCOPED_TRACE(std::string(ToString(survival)) + ", seed " + std::to_string(seed));
        const auto copy = disk.Clone();
        SeededRandom random(seed);
        copy->Crash(survival, &random);
        check(copy.get());
      }
    }
  }
  // Whatever was left, the name can be used again.
  void ExpectUsable(SimulatedDisk* disk) {
    ASSERT_TRUE(RemoveLeftovers(disk, "/db"));
    EXPECT_EQ(Leftovers(disk), 0u);
    const bool absent = Content(disk) == "NotFound";
    EXPECT_EQ(Run(disk, put_if_absent_).has_value(), absent);
    EXPECT_TRUE(absent || Run(disk, put_));
    EXPECT_EQ(Content(disk), bytes_);
  }
};

TEST_F(StoreCrash, PutIfAbsentIsAllOrNothing) {
  for (const auto& act : {put_if_absent_, write_}) {
    Sweep(false, act, [&](SimulatedDisk* disk, bool done) {
      ForEachCrash(*disk, [&](SimulatedDisk* left) {
        const auto found = Content(left);
        EXPECT_TRUE(found == bytes_ || (!done && found == "NotFound"));
        ExpectUsable(left);
      });
    });
  }
}

TEST_F(StoreCrash, PutIsOldOrNew) {
  Sweep(true, put_, [&](SimulatedDisk* disk, bool done) {
    ForEachCrash(*disk, [&](SimulatedDisk* left) {
      const auto found = Content(left);
      EXPECT_TRUE(found == bytes_ || (!done && found == "old"));
      ExpectUsable(left);
    });
  });
}

TEST_F(StoreCrash, DeleteIsDurableWhenItReturns) {
  const Act remove = [](auto* store) { return store->Delete(kName); };
  Sweep(true, remove, [&](SimulatedDisk* disk, bool done) {
    ForEachCrash(*disk, [&](SimulatedDisk* left) {
      const auto found = Content(left);
      EXPECT_TRUE(found == "NotFound" || (!done && found == "old"));
    });
  });
}

TEST_F(StoreCrash, WhatAWriterSeesAfterAKillStaysAfterAPowerCut) {
  Sweep(false, put_if_absent_, [&](SimulatedDisk* disk, bool) {
    disk->KillProcess();
    ASSERT_TRUE(RemoveLeftovers(disk, "/db"));
    const auto seen = Content(disk);
    ForEachCrash(*disk, [&](SimulatedDisk* left) { EXPECT_EQ(Content(left), seen); });
  });
}

TEST_F(StoreCrash, AFailedEventLeavesAllOrNothing) {
  for (const auto& act : {put_if_absent_, put_, write_}) {
    for (std::uint64_t event = 1; event <= 20; ++event) {
      SCOPED_TRACE("event " + std::to_string(event));
      const auto disk = NewDisk(false);
      disk->FailEvent(disk->events() + event,
                      Error(ErrorKind::kUnavailable, "fault", ErrorReason::kIo));
      const auto done = Run(disk.get(), act);
      const auto found = Content(disk.get());
      EXPECT_TRUE(found == bytes_ || (!done && found == "NotFound"));
      EXPECT_TRUE(done || done.error().reason() == ErrorReason::kIo);
      EXPECT_TRUE(done || Leftovers(disk.get()) == 0);
    }
  }
}

TEST_F(StoreCrash, AFullDiskLeavesNothingBehind) {
  for (const auto& act : {put_if_absent_, put_, write_}) {
    const auto disk = NewDisk(false);
    disk->SetCapacity(2'000);
    EXPECT_EQ(Run(disk.get(), act).error().reason(), ErrorReason::kNoSpace);
    EXPECT_EQ(Content(disk.get()), "NotFound");
    EXPECT_EQ(Leftovers(disk.get()), 0u);
    disk->SetCapacity(UINT64_MAX);
    EXPECT_TRUE(Run(disk.get(), act));
  }
}

TEST_F(StoreCrash, WhenTheNameMayNotBeDurableTheOutcomeIsUnknown) {
  const auto disk = NewDisk(true);
  ASSERT_TRUE(Run(disk.get(), [](auto* store) { return store->Delete(kName); }));
  const auto copy = disk->Clone();
  ASSERT_TRUE(Run(copy.get(), put_if_absent_));
  const auto trace = copy->trace();
  std::uint64_t last_sync = trace.size();
  while (trace[last_sync - 1].operation != "syncdir") --last_sync;
  disk->FailEvent(last_sync, Error(ErrorKind::kUnavailable, "fault", ErrorReason::kNoSpace));
  const auto put = Run(disk.get(), put_if_absent_);
  ASSERT_FALSE(put);
  EXPECT_EQ(put.error().reason(), ErrorReason::kIo);
  EXPECT_NE(put.error().message().find("outcome unknown"), std::string::npos);
}

}  // namespace
}  // namespace varve
