// SPDX-License-Identifier: Apache-2.0
// What the simulated disk may lose and must keep. Each policy is shown by an outcome of its own.
#include "files/simulated_disk.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "files/files_test_worlds.h"

namespace varve {
namespace {

using Outcomes = std::set<std::string>;

class SimulatedDiskTest : public ::testing::Test {
 protected:
  static constexpr int kTries = 300;

  std::unique_ptr<File> Open(const std::string& path, OpenMode mode = OpenMode::kReadWrite) {
    auto file = disk_.Open(path, mode);
    EXPECT_TRUE(file) << file.error().message();
    return *std::move(file);
  }
  // A file whose bytes and name are durable.
  void MakeDurable(const std::string& path, const std::string& bytes) {
    const auto file = Open(path, OpenMode::kCreate);
    ASSERT_TRUE(file->WriteAt(0, bytes));
    ASSERT_TRUE(file->Sync());
    ASSERT_TRUE(disk_.SyncDirectory(ParentPath(path)));
  }
  void Write(const std::string& path, std::uint64_t offset, const std::string& bytes) {
    ASSERT_TRUE(Open(path)->WriteAt(offset, bytes));
  }
  static std::string ContentOn(SimulatedDisk* disk, const std::string& path) {
    const auto bytes = ReadWholeFile(disk, path);
    return bytes ? *bytes : std::string(ToString(bytes.error().kind()));
  }
  std::string Content(const std::string& path) { return ContentOn(&disk_, path); }
  // What is at `path` after crashes with many seeds.
  Outcomes After(Survival survival, const std::string& path) {
    Outcomes outcomes;
    for (int seed = 0; seed < kTries; ++seed) {
      const auto copy = disk_.Clone();
      SeededRandom random(seed);
      copy->Crash(survival, &random);
      outcomes.insert(ContentOn(copy.get(), path));
    }
    return outcomes;
  }
  // The first byte of each sector.
  static Outcomes SectorsOf(const Outcomes& contents) {
    Outcomes heads;
    for (const auto& bytes : contents) {
      std::string head;
      for (std::size_t at = 0; at < bytes.size(); at += 512) head += bytes[at];
      heads.insert(head);
    }
    return heads;
  }
  static std::string Sectors(int count, char byte) { return std::string(512 * count, byte); }

  SimulatedDisk disk_;
  SeededRandom random_{7};
};

TEST_F(SimulatedDiskTest, WhatWasSyncedSurvivesEveryPolicy) {
  ASSERT_TRUE(disk_.CreateDirectories("/a/b"));
  MakeDurable("/a/b/f", "kept");
  for (const auto survival : kAllSurvivals) {
    EXPECT_EQ(After(survival, "/a/b/f"), Outcomes{"kept"}) << ToString(survival);
  }
}

TEST_F(SimulatedDiskTest, SyncOfAFileDoesNotKeepItsName) {
  const auto file = Open("/f", OpenMode::kCreate);
  ASSERT_TRUE(file->WriteAt(0, "x"));
  ASSERT_TRUE(file->Sync());
  EXPECT_EQ(After(Survival::kAllLost, "/f"), Outcomes{"NotFound"});
  EXPECT_EQ(After(Survival::kRandomSectors, "/f"), (Outcomes{"NotFound", "x"}));
}

TEST_F(SimulatedDiskTest, SyncOfAFolderDoesNotKeepData) {
  const auto file = Open("/f", OpenMode::kCreate);
  ASSERT_TRUE(file->WriteAt(0, "x"));
  ASSERT_TRUE(disk_.SyncDirectory("/"));
  EXPECT_EQ(After(Survival::kAllLost, "/f"), Outcomes{""});
}

TEST_F(SimulatedDiskTest, AllLostAndAllKeptLeaveNoChoice) {
  MakeDurable("/f", "old");
  Write("/f", 0, "brand new");
  Open("/g", OpenMode::kCreate);
  EXPECT_EQ(After(Survival::kAllLost, "/f"), Outcomes{"old"});
  EXPECT_EQ(After(Survival::kAllLost, "/g"), Outcomes{"NotFound"});
  EXPECT_EQ(After(Survival::kAllKept, "/f"), Outcomes{"brand new"});
  EXPECT_EQ(After(Survival::kAllKept, "/g"), Outcomes{""});
}

TEST_F(SimulatedDiskTest, RandomPrefixKeepsOrderAndTearsTheLast) {
  MakeDurable("/f", Sectors(4, '.'));
  Write("/f", 1024, Sectors(1, 'a'));
  Write("/f", 0, Sectors(2, 'b'));
  EXPECT_EQ(SectorsOf(After(Survival::kRandomPrefix, "/f")),
            (Outcomes{"....", "..a.", "b.a.", "bba."}));
}

TEST_F(SimulatedDiskTest, RandomSectorsKeepsEverySubset) {
  MakeDurable("/f", Sectors(3, '.'));
  Write("/f", 0, Sectors(3, 'x'));
  EXPECT_EQ(SectorsOf(After(Survival::kRandomSectors, "/f")),
            (Outcomes{"...", "..x", ".x.", ".xx", "x..", "x.x", "xx.", "xxx"}));
}

TEST_F(SimulatedDiskTest, ASectorIsAsItWasAtOneMoment) {
  MakeDurable("/f", "....");
  Write("/f", 0, "a");
  Write("/f", 1, "b");
  EXPECT_EQ(After(Survival::kRandomSectors, "/f"), (Outcomes{"....", "a...", "ab.."}));
}

TEST_F(SimulatedDiskTest, RandomSectorsPartsSizesFromData) {
  MakeDurable("/f", "");
  Write("/f", 0, Sectors(2, 'x'));
  const auto outcomes = After(Survival::kRandomSectors, "/f");
  EXPECT_TRUE(outcomes.contains(""));
  EXPECT_TRUE(outcomes.contains(Sectors(2, '\0')));
  EXPECT_TRUE(outcomes.contains(Sectors(1, '\0') + Sectors(1, 'x')));
  EXPECT_TRUE(outcomes.contains(Sectors(2, 'x')));
}

TEST_F(SimulatedDiskTest, MetadataFirstShowsZerosInTheNewSize) {
  MakeDurable("/f", "old");
  Write("/f", 0, "newer");
  ASSERT_TRUE(disk_.Rename("/f", "/g"));
  EXPECT_EQ(After(Survival::kMetadataFirst, "/g"), Outcomes{std::string("old\0\0", 5)});
}

TEST_F(SimulatedDiskTest, DataFirstFillsTheOldSizeUnderTheOldName) {
  MakeDurable("/f", "old");
  Write("/f", 0, "newer");
  ASSERT_TRUE(disk_.Rename("/f", "/g"));
  EXPECT_EQ(After(Survival::kDataFirst, "/f"), Outcomes{"new"});
}

TEST_F(SimulatedDiskTest, RenameBeforeDataReplacesAFileByAnEmptyOne) {
  MakeDurable("/f", "precious");
  ASSERT_TRUE(Open("/new", OpenMode::kCreate)->WriteAt(0, "better"));
  ASSERT_TRUE(disk_.Rename("/new", "/f"));
  EXPECT_EQ(After(Survival::kRenameBeforeData, "/f"), Outcomes{""});
}

TEST_F(SimulatedDiskTest, GarbageAloneShowsBytesThatNobodyWroteThere) {
  MakeDurable("/other", Sectors(1, 's'));
  MakeDurable("/f", "");
  Write("/f", 0, Sectors(2, 'x'));
  const auto is_foreign = [](const std::string& bytes) {
    return bytes.find_first_not_of(std::string("x\0", 2)) != std::string::npos;
  };
  for (const auto survival : kAllSurvivals) {
    const auto outcomes = After(survival, "/f");
    EXPECT_EQ(std::ranges::any_of(outcomes, is_foreign), survival == Survival::kGarbage);
  }
  const auto outcomes = After(Survival::kGarbage, "/f");
  EXPECT_TRUE(outcomes.contains(Sectors(1, 's') + Sectors(1, 'x')));  // stale
}

TEST_F(SimulatedDiskTest, ARenameIsNeverHalf) {
  ASSERT_TRUE(disk_.CreateDirectories("/d"));
  MakeDurable("/f", "new");
  MakeDurable("/d/f", "old");
  ASSERT_TRUE(disk_.Rename("/f", "/d/f"));
  for (const auto survival : kAllSurvivals) {
    for (int seed = 0; seed < kTries; ++seed) {
      const auto copy = disk_.Clone();
      SeededRandom random(seed);
      copy->Crash(survival, &random);
      const auto both = ContentOn(copy.get(), "/f") + " " + ContentOn(copy.get(), "/d/f");
      EXPECT_TRUE(both == "new old" || both == "NotFound new") << both;
    }
  }
}

TEST_F(SimulatedDiskTest, ARemovedNameComesBackUntilItsFolderIsSynced) {
  MakeDurable("/f", "x");
  ASSERT_TRUE(disk_.Remove("/f"));
  EXPECT_EQ(After(Survival::kAllLost, "/f"), Outcomes{"x"});
  ASSERT_TRUE(disk_.SyncDirectory("/"));
  EXPECT_EQ(After(Survival::kAllLost, "/f"), Outcomes{"NotFound"});
}

TEST_F(SimulatedDiskTest, SyncingOneFolderOfARenameDoesNotBringTheOldNameBackLater) {
  ASSERT_TRUE(disk_.CreateDirectories("/d"));
  Open("/f", OpenMode::kCreate);
  ASSERT_TRUE(disk_.Rename("/f", "/d/f"));
  ASSERT_TRUE(disk_.SyncDirectory("/d"));
  ASSERT_TRUE(disk_.SyncDirectory("/"));
  EXPECT_EQ(After(Survival::kAllLost, "/f"), Outcomes{"NotFound"});
  EXPECT_EQ(After(Survival::kAllLost, "/d/f"), Outcomes{""});
}

TEST_F(SimulatedDiskTest, FoldersAreDurableWhenCreateDirectoriesReturns) {
  ASSERT_TRUE(disk_.CreateDirectories("/a/b/c"));
  disk_.Crash(Survival::kAllLost, &random_);
  EXPECT_TRUE(disk_.Info("/a/b/c"));
}

TEST_F(SimulatedDiskTest, AFolderThatAKilledProcessLeftIsMadeDurableByTheNext) {
  for (int event = 1; event <= 20; ++event) {
    SimulatedDisk disk;
    for (const auto kill : {event, event + 1}) {
      disk.CrashAtEvent(kill);
      [[maybe_unused]] const auto made = disk.CreateDirectories("/a/b");
      disk.KillProcess();
    }
    disk.CrashAtEvent(0);
    ASSERT_TRUE(disk.CreateDirectories("/a/b"));
    disk.Crash(Survival::kAllLost, &random_);
    EXPECT_TRUE(disk.Info("/a/b")) << event;
  }
}

TEST_F(SimulatedDiskTest, ACrashEndsHandlesAndLocks) {
  MakeDurable("/f", "x");
  const auto file = Open("/f");
  const auto lock = disk_.Lock("/f", LockMode::kExclusive);
  disk_.Crash(Survival::kAllKept, &random_);
  char into[1];
  EXPECT_EQ(file->ReadAt(0, 1, into).error().reason(), ErrorReason::kIo);
  EXPECT_EQ(file->WriteAt(0, "y").error().reason(), ErrorReason::kIo);
  EXPECT_EQ(file->Sync().error().reason(), ErrorReason::kIo);
  EXPECT_EQ(file->Size().error().reason(), ErrorReason::kIo);
  EXPECT_TRUE(disk_.Lock("/f", LockMode::kExclusive));
}

TEST_F(SimulatedDiskTest, AKillKeepsWhatWasWritten) {
  MakeDurable("/f", "old");
  const auto file = Open("/f");
  ASSERT_TRUE(file->WriteAt(0, "new"));
  const auto lock = disk_.Lock("/LOCK", LockMode::kExclusive);
  disk_.KillProcess();
  EXPECT_FALSE(file->Sync());
  EXPECT_EQ(Content("/f"), "new");
  EXPECT_TRUE(disk_.Lock("/LOCK", LockMode::kExclusive));
  disk_.Crash(Survival::kAllLost, &random_);
  EXPECT_EQ(Content("/f"), "old");
}

TEST_F(SimulatedDiskTest, TheEventOfACrashIsPendingAndNothingWorksAfterIt) {
  MakeDurable("/f", "old");
  const auto file = Open("/f");
  disk_.CrashAtEvent(disk_.events() + 1);
  EXPECT_FALSE(file->WriteAt(0, "new"));
  EXPECT_TRUE(disk_.crashed());
  EXPECT_FALSE(disk_.Open("/f", OpenMode::kRead));
  EXPECT_FALSE(disk_.List("/"));
  EXPECT_FALSE(disk_.Info("/f"));
  EXPECT_FALSE(disk_.SyncDirectory("/"));
  EXPECT_FALSE(disk_.Lock("/f", LockMode::kShared));
  EXPECT_EQ(After(Survival::kAllLost, "/f"), Outcomes{"old"});
  EXPECT_EQ(After(Survival::kAllKept, "/f"), Outcomes{"new"});
  disk_.Crash(Survival::kAllKept, &random_);
  EXPECT_FALSE(disk_.crashed());
  EXPECT_EQ(Content("/f"), "new");
}

TEST_F(SimulatedDiskTest, ASyncThatIsCutByTheCrashPromisesNothing) {
  MakeDurable("/f", "old");
  const auto file = Open("/f");
  ASSERT_TRUE(file->WriteAt(0, "new"));
  disk_.CrashAtEvent(disk_.events() + 1);
  EXPECT_FALSE(file->Sync());
  EXPECT_EQ(After(Survival::kAllLost, "/f"), Outcomes{"old"});
}

TEST_F(SimulatedDiskTest, EventsAreCountedAndTraced) {
  MakeDurable("/f", "abc");
  ASSERT_TRUE(disk_.Link("/f", "/g"));
  EXPECT_FALSE(disk_.Link("/f", "/g"));  // refused: no event
  std::string seen;
  for (const auto& event : disk_.trace()) {
    seen += event.operation + " " + event.path + " " + std::to_string(event.bytes) + "; ";
  }
  EXPECT_EQ(seen, "create /f 0; write /f 3; sync /f 0; syncdir / 0; link /f to /g 0; ");
  EXPECT_EQ(disk_.events(), 5u);
}

TEST_F(SimulatedDiskTest, AFailedEventFailsOnceAndDoesNothing) {
  const Error error(ErrorKind::kUnavailable, "on purpose", ErrorReason::kIo);
  disk_.FailEvent(1, error);
  EXPECT_EQ(disk_.Open("/f", OpenMode::kCreate).error().message(), "on purpose");
  EXPECT_EQ(Content("/f"), "NotFound");
  EXPECT_TRUE(disk_.Open("/f", OpenMode::kCreate));
}

TEST_F(SimulatedDiskTest, AFailedWriteMayBePartlyDone) {
  MakeDurable("/f", "");
  const auto file = Open("/f");
  std::set<std::uint64_t> sizes;
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(file->Truncate(0));
    disk_.FailEvent(disk_.events() + 1, Error(ErrorKind::kUnavailable, "x", ErrorReason::kIo));
    EXPECT_FALSE(file->WriteAt(0, "0123456789"));
    sizes.insert(*file->Size());
  }
  EXPECT_GT(sizes.size(), 5u);
}

TEST_F(SimulatedDiskTest, WhatAFailedSyncLostALaterSyncDoesNotSave) {
  MakeDurable("/f", Sectors(40, '.'));
  const auto file = Open("/f");
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(file->WriteAt(i * 1024, "x"));
  disk_.FailEvent(disk_.events() + 1, Error(ErrorKind::kUnavailable, "x", ErrorReason::kIo));
  EXPECT_FALSE(file->Sync());
  ASSERT_TRUE(file->WriteAt(512, "y"));
  ASSERT_TRUE(file->Sync());
  const auto read = Content("/f");
  EXPECT_EQ(std::ranges::count(read, 'x'), 20);
  disk_.Crash(Survival::kAllLost, &random_);
  const auto kept = Content("/f");
  EXPECT_LT(std::ranges::count(kept, 'x'), 20);
  EXPECT_GT(std::ranges::count(kept, 'x'), 0);
  EXPECT_EQ(kept[512], 'y');
}

TEST_F(SimulatedDiskTest, AFullDiskTakesWhatFitsAndRecovers) {
  MakeDurable("/f", "12345");
  MakeDurable("/g", "1");
  disk_.SetCapacity(10);
  const auto file = Open("/f");
  EXPECT_EQ(file->WriteAt(5, "6789012").error().reason(), ErrorReason::kNoSpace);
  EXPECT_EQ(*file->Size(), 9u);
  EXPECT_EQ(file->Truncate(11).error().reason(), ErrorReason::kNoSpace);
  EXPECT_TRUE(file->WriteAt(0, "overwrite"));
  ASSERT_TRUE(disk_.Remove("/g"));
  EXPECT_TRUE(file->WriteAt(9, "0"));
  disk_.SetCapacity(UINT64_MAX);
  EXPECT_TRUE(file->WriteAt(10, "more"));
}

// What is at `path` after keeping each subset of what is pending.
class PendingPartsTest : public SimulatedDiskTest {
 protected:
  Outcomes AfterEverySubset(const std::string& path, std::size_t parts, std::uint64_t grain = 512) {
    EXPECT_EQ(disk_.PendingParts(grain), parts);
    Outcomes outcomes;
    for (std::uint64_t subset = 0; subset < 1u << parts; ++subset) {
      std::vector<bool> kept(parts);
      for (std::size_t i = 0; i < parts; ++i) kept[i] = (subset >> i & 1) != 0;
      const auto copy = disk_.Clone();
      copy->CrashKeeping(grain, kept);
      outcomes.insert(ContentOn(copy.get(), path));
    }
    return outcomes;
  }
};

TEST_F(PendingPartsTest, EverySubsetOfSectorsCanBeKept) {
  MakeDurable("/f", Sectors(4, 'o'));
  Write("/f", 512, Sectors(1, 'a') + Sectors(1, 'o') + Sectors(1, 'b'));
  EXPECT_EQ(SectorsOf(AfterEverySubset("/f", 2)), (Outcomes{"oooo", "oaoo", "ooob", "oaob"}));
  EXPECT_EQ(SectorsOf(AfterEverySubset("/f", 1, 4096)), (Outcomes{"oooo", "oaob"}));
}

TEST_F(PendingPartsTest, ALaterWriteOfASectorIsKeptWithTheEarlierOnes) {
  MakeDurable("/f", Sectors(2, 'o'));
  Write("/f", 0, Sectors(2, 'a'));
  Write("/f", 0, "b");
  Outcomes seen;
  for (const auto& bytes : AfterEverySubset("/f", 3)) {
    seen.insert({bytes[0], bytes[1], bytes[512]});
  }
  EXPECT_EQ(seen, (Outcomes{"ooo", "aao", "bao", "ooa", "aaa", "baa"}));
}

TEST_F(PendingPartsTest, SizesAndNamesArePartsOfTheirOwn) {
  const auto file = Open("/new", OpenMode::kCreate);
  ASSERT_TRUE(file->WriteAt(0, "data"));
  EXPECT_EQ(AfterEverySubset("/new", 3),
            (Outcomes{"NotFound", "", std::string(4, '\0'), "data"}));
}

TEST_F(PendingPartsTest, ACutBringsBackTheBytesThatItsLossKeeps) {
  MakeDurable("/f", Sectors(2, 'o'));
  ASSERT_TRUE(Open("/f")->Truncate(512));
  Write("/f", 512, Sectors(1, 'n'));
  const auto sectors = SectorsOf(AfterEverySubset("/f", 3));
  EXPECT_EQ(sectors, (Outcomes{"oo", "on", "o", std::string("o\0", 2)}));
}

TEST_F(SimulatedDiskTest, FingerprintsTellTreesApartAndNotHowTheyCameAbout) {
  MakeDurable("/f", Sectors(20, 'x'));
  const auto whole = disk_.Fingerprint();
  Write("/f", 4096, std::string(4096, '\0'));
  EXPECT_NE(disk_.Fingerprint(), whole);
  const auto cut = disk_.Clone();
  cut->Poke("/f", Content("/f"));
  EXPECT_EQ(cut->Fingerprint(), disk_.Fingerprint());
  Write("/f", 4096, std::string(4096, 'x'));
  EXPECT_EQ(disk_.Fingerprint(), whole);
  ASSERT_TRUE(disk_.Rename("/f", "/g"));
  EXPECT_NE(disk_.Fingerprint(), whole);
}

TEST_F(SimulatedDiskTest, ClonesGoTheirOwnWays) {
  MakeDurable("/f", "same");
  const auto copy = disk_.Clone();
  Write("/f", 0, "mine");
  ASSERT_TRUE((*copy->Open("/f", OpenMode::kReadWrite))->WriteAt(0, "its "));
  EXPECT_EQ(Content("/f"), "mine");
  EXPECT_EQ(ContentOn(copy.get(), "/f"), "its ");
  EXPECT_EQ(copy->events(), disk_.events());
}

TEST_F(SimulatedDiskTest, FailedReadsAreErrorsAndNotDamage) {
  MakeDurable("/f", "x");
  disk_.FailReads("/f", Error(ErrorKind::kUnavailable, "bad sector", ErrorReason::kIo));
  EXPECT_EQ(ReadWholeFile(&disk_, "/f").error().message(), "bad sector");
  disk_.FailReads("/f", std::nullopt);
  EXPECT_EQ(Content("/f"), "x");
}

TEST_F(SimulatedDiskTest, PokeIsDurableAndPeekSeesIt) {
  MakeDurable("/f", "sound");
  disk_.Poke("/f", "bad");
  disk_.Poke("/g", "foreign");
  EXPECT_EQ(*disk_.Peek("/f"), "bad");
  EXPECT_EQ(After(Survival::kAllLost, "/f"), Outcomes{"bad"});
  EXPECT_EQ(After(Survival::kAllLost, "/g"), Outcomes{"foreign"});
}

TEST_F(SimulatedDiskTest, HandlesMayOutliveTheDisk) {
  auto disk = std::make_unique<SimulatedDisk>();
  const auto file = *disk->Open("/f", OpenMode::kCreate);
  disk.reset();
  EXPECT_TRUE(file->WriteAt(0, "x"));
}

// Random operations, a model of what must be there, and a crash in between: what was synced is
// there, under its name, whatever else happened to files that were not.
TEST_F(SimulatedDiskTest, RandomLivesKeepWhatWasSynced) {
  const auto seed = TestSeed();
  SCOPED_TRACE("VARVE_TEST_SEED=" + std::to_string(seed));
  SeededRandom random(seed);
  std::map<std::string, std::string> synced;
  for (int step = 0; step < 3'000; ++step) {
    const auto path = "/" + std::to_string(random.Below(5));
    const std::string bytes(random.Below(3'000), static_cast<char>('a' + random.Below(26)));
    const auto choice = random.Below(10);
    if (choice == 0) {
      disk_.Crash(kAllSurvivals[random.Below(std::size(kAllSurvivals))], &random);
      for (const auto& [name, content] : synced) ASSERT_EQ(Content(name), content) << step;
    } else if (choice < 5) {
      const auto temporary = path + ".new";
      if (disk_.Info(temporary)) {
        ASSERT_TRUE(disk_.Remove(temporary));
      }
      const auto file = Open(temporary, OpenMode::kCreate);
      ASSERT_TRUE(file->WriteAt(random.Below(100), bytes));
      ASSERT_TRUE(file->Sync());
      ASSERT_TRUE(disk_.Rename(temporary, path));
      ASSERT_TRUE(disk_.SyncDirectory("/"));
      synced[path] = Content(path);
    } else {
      auto scratch = disk_.Open(path + ".scratch", OpenMode::kReadWrite);
      if (!scratch) scratch = disk_.Open(path + ".scratch", OpenMode::kCreate);
      ASSERT_TRUE((*scratch)->WriteAt(random.Below(2'000), bytes));
      if (choice == 5) {
        ASSERT_TRUE((*scratch)->Truncate(random.Below(4'000)));
      } else if (choice == 6) {
        ASSERT_TRUE(disk_.Rename(path + ".scratch", path + ".other"));
      }
    }
  }
}

TEST_F(SimulatedDiskTest, OneSeedGivesOneOutcome) {
  for (int i = 0; i < 10; ++i) {
    MakeDurable("/" + std::to_string(i), Sectors(2, '.'));
    Write("/" + std::to_string(i), 100, Sectors(9, 'x'));
  }
  for (const auto survival : kAllSurvivals) {
    SeededRandom one(5), two(5);
    const auto first = disk_.Clone(), second = disk_.Clone();
    first->Crash(survival, &one);
    second->Crash(survival, &two);
    const auto names = first->List("/");
    for (const auto& info : *names) {
      EXPECT_TRUE(ContentOn(first.get(), info.name) == ContentOn(second.get(), info.name));
    }
  }
}

}  // namespace
}  // namespace varve
