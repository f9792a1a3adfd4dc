// SPDX-License-Identifier: Apache-2.0
// What a durable write saves from a power cut, for each sync method: itself, or its whole file.
#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <set>

#include "files/files_test_worlds.h"
#include "files/simulated_disk.h"

namespace varve {
namespace {

using Outcomes = std::set<std::string>;

const Error kInjected(ErrorKind::kUnavailable, "on purpose", ErrorReason::kIo);

class SimulatedSyncTest : public ::testing::TestWithParam<SyncMethod> {
 protected:
  static constexpr int kTries = 300;

  // /f, whose name is durable, and so are `sectors` of dots.
  void MakeFile(int sectors) {
    file_ = *disk_.Open("/f", OpenMode::kCreate);
    ASSERT_TRUE(file_->WriteAt(0, Sectors(sectors, '.')));
    ASSERT_TRUE(file_->Sync());
    ASSERT_TRUE(disk_.SyncDirectory("/"));
    ASSERT_TRUE(file_->UseSyncMethod(GetParam()));
  }
  void Write(int sector, const std::string& bytes) {
    ASSERT_TRUE(file_->WriteAt(512 * sector, bytes));
  }
  void WriteDurably(int sector, const std::string& bytes) {
    ASSERT_TRUE(file_->WriteDurably(512 * sector, bytes));
  }
  // The contents after crashes with many seeds.
  Outcomes After(Survival survival) {
    Outcomes outcomes;
    for (int seed = 0; seed < kTries; ++seed) {
      const auto copy = disk_.Clone();
      SeededRandom random(seed);
      copy->Crash(survival, &random);
      outcomes.insert(*copy->Peek("/f"));
    }
    return outcomes;
  }
  // The first byte of each sector, for every policy together.
  Outcomes AfterAnyCrash() {
    Outcomes heads;
    for (const auto survival : kAllSurvivals) {
      if (survival == Survival::kGarbage) continue;  // any byte
      for (const auto& bytes : After(survival)) heads.insert(Heads(bytes));
    }
    return heads;
  }
  static std::string Heads(const std::string& bytes) {
    std::string heads;
    for (std::size_t at = 0; at < bytes.size(); at += 512) heads += bytes[at] ? bytes[at] : '0';
    return heads;
  }
  static std::string Sectors(int count, char byte) { return std::string(512 * count, byte); }
  static bool SyncsAll() { return SyncsWholeFile(GetParam()); }

  SimulatedDisk disk_;
  std::unique_ptr<File> file_;
};

TEST_P(SimulatedSyncTest, ADurableWriteSurvivesEveryCrash) {
  MakeFile(3);
  WriteDurably(1, Sectors(2, 'x'));
  EXPECT_EQ(AfterAnyCrash(), Outcomes{".xx"});
  EXPECT_EQ(After(Survival::kGarbage), Outcomes{Sectors(1, '.') + Sectors(2, 'x')});
}

TEST_P(SimulatedSyncTest, ADurableWriteSavesEarlierPiecesOnlyWhereTheWholeFileIsSynced) {
  MakeFile(4);
  Write(0, Sectors(1, 'a'));
  Write(1, Sectors(1, 'b'));
  WriteDurably(2, Sectors(1, 'c'));
  EXPECT_EQ(AfterAnyCrash(), SyncsAll() ? Outcomes{"abc."}
                                        : (Outcomes{"..c.", "a.c.", ".bc.", "abc."}));
}

TEST_P(SimulatedSyncTest, ASyncSavesWhatDurableWritesLeft) {
  MakeFile(2);
  Write(0, Sectors(1, 'a'));
  WriteDurably(1, Sectors(1, 'b'));
  ASSERT_TRUE(file_->Sync());
  EXPECT_EQ(AfterAnyCrash(), Outcomes{"ab"});
}

TEST_P(SimulatedSyncTest, LaterWritesStayPending) {
  MakeFile(1);
  WriteDurably(0, Sectors(2, 'a'));
  Write(1, Sectors(2, 'b'));
  const auto outcomes = AfterAnyCrash();
  EXPECT_TRUE(outcomes.contains("aa"));
  EXPECT_TRUE(outcomes.contains("abb"));
  for (const auto& heads : outcomes) EXPECT_EQ(heads[0], 'a') << heads;
}

TEST_P(SimulatedSyncTest, TheSizeReachesTheWriteAndNoFarther) {
  MakeFile(1);
  Write(4, Sectors(1, 'z'));
  WriteDurably(2, Sectors(1, 'x'));
  EXPECT_EQ(Outcomes{Heads(*After(Survival::kAllLost).begin())},
            Outcomes{SyncsAll() ? ".0x0z" : ".0x"});
  EXPECT_EQ(Outcomes{Heads(*After(Survival::kMetadataFirst).begin())},
            Outcomes{SyncsAll() ? ".0x0z" : ".0x00"});
}

TEST_P(SimulatedSyncTest, ASectorComesWithItsNeighbourBytes) {
  MakeFile(1);
  Write(0, "ab");
  Write(1, "over the end");
  ASSERT_TRUE(file_->WriteDurably(1, "X"));
  const auto first = "aX" + std::string(510, '.');
  EXPECT_EQ(After(Survival::kAllLost), Outcomes{SyncsAll() ? first + "over the end" : first});
}

TEST_P(SimulatedSyncTest, AWriteOverEarlierOnesReplacesTheirMiddle) {
  MakeFile(5);
  Write(0, Sectors(5, 'a'));
  WriteDurably(2, Sectors(1, 'x'));
  EXPECT_EQ(Outcomes{Heads(*After(Survival::kAllKept).begin())}, Outcomes{"aaxaa"});
  for (const auto& heads : AfterAnyCrash()) EXPECT_EQ(heads[2], 'x') << heads;
  const auto outcomes = AfterAnyCrash();
  EXPECT_EQ(outcomes.contains("..x.."), !SyncsAll());
  EXPECT_EQ(outcomes.contains("a.x.a"), !SyncsAll());
}

TEST_P(SimulatedSyncTest, EarlierTruncationsComeAlongAndCannotUndoTheWrite) {
  MakeFile(4);
  Write(2, Sectors(2, 'a'));
  ASSERT_TRUE(file_->Truncate(512));
  ASSERT_TRUE(file_->Truncate(3 * 512));
  WriteDurably(1, Sectors(1, 'x'));
  EXPECT_EQ(AfterAnyCrash(), SyncsAll() ? Outcomes{".x0"} : (Outcomes{".x", ".x0"}));
}

TEST_P(SimulatedSyncTest, ACrashInADurableWriteKeepsAnySubsetOfItsSectors) {
  MakeFile(3);
  Write(0, Sectors(1, 'a'));
  disk_.CrashAtEvent(disk_.events() + 1);
  EXPECT_FALSE(file_->WriteDurably(512, Sectors(2, 'x')));
  EXPECT_TRUE(disk_.crashed());
  EXPECT_EQ(AfterAnyCrash(),
            (Outcomes{"...", "..x", ".x.", ".xx", "a..", "a.x", "ax.", "axx"}));
}

TEST_P(SimulatedSyncTest, ADurableWriteIsOneEvent) {
  MakeFile(1);
  const auto before = disk_.events();
  WriteDurably(0, "four");
  ASSERT_EQ(disk_.events(), before + 1);
  const auto event = disk_.trace().back();
  EXPECT_EQ(event.operation + " " + event.path + " " + std::to_string(event.bytes),
            "write-durably /f 4");
}

// Programs read what a failed sync has lost, and a later sync does not bring it back.
TEST_P(SimulatedSyncTest, AFailedDurableWriteMayBeHalfDoneOrReadButNotKept) {
  MakeFile(1);
  int half_done = 0, lost = 0, kept = 0;
  for (int i = 0; i < 60; ++i) {
    disk_.FailEvent(disk_.events() + 1, kInjected);
    const auto bytes = Sectors(16, static_cast<char>('a' + i % 26));
    EXPECT_EQ(file_->WriteDurably(512 + i * bytes.size(), bytes).error().message(), "on purpose");
    const auto size = 512 + (i + 1) * bytes.size();
    half_done += *file_->Size() < size;
    if (*file_->Size() < size) WriteDurably(1 + 16 * i, bytes);
    ASSERT_TRUE(file_->Sync());
  }
  SeededRandom random(1);
  const auto read = *disk_.Peek("/f");
  disk_.Crash(Survival::kAllLost, &random);
  const auto heads = Heads(*disk_.Peek("/f"));
  for (int i = 0; i < 60; ++i) {
    EXPECT_EQ(read[512 + i * 16 * 512], 'a' + i % 26);
    const bool all = heads.substr(1 + i * 16, 16).find('0') == std::string::npos;
    ++(all ? kept : lost);
  }
  EXPECT_GT(half_done, 10);
  EXPECT_GT(lost, 10);
  EXPECT_GE(kept, half_done);
}

TEST_P(SimulatedSyncTest, AFailedDurableWriteLosesEarlierPiecesOnlyWhereTheWholeFileIsSynced) {
  int lost = 0;
  MakeFile(8);
  for (int i = 0; i < 40; ++i) {
    Write(16 * i, Sectors(8, 'a'));
    disk_.FailEvent(disk_.events() + 1, kInjected);
    EXPECT_FALSE(file_->WriteDurably(512 * (16 * i + 8), Sectors(8, 'b')));
    ASSERT_TRUE(file_->Sync());
  }
  SeededRandom random(1);
  disk_.Crash(Survival::kAllLost, &random);
  const auto heads = Heads(*disk_.Peek("/f"));
  for (int i = 0; i < 40; ++i) lost += heads[16 * i] != 'a';
  EXPECT_EQ(lost > 0, SyncsAll());
}

TEST_P(SimulatedSyncTest, AFullDiskTakesWhatFitsAndPromisesNothing) {
  MakeFile(1);
  disk_.SetCapacity(3 * 512);
  const auto refused = file_->WriteDurably(512, Sectors(4, 'x'));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason(), ErrorReason::kNoSpace);
  EXPECT_EQ(Heads(*disk_.Peek("/f")), ".xx");
  EXPECT_EQ(After(Survival::kAllLost), Outcomes{Sectors(1, '.')});
}

TEST_P(SimulatedSyncTest, AHandleOfBeforeTheCrashIsDead) {
  MakeFile(1);
  SeededRandom random(1);
  disk_.Crash(Survival::kAllKept, &random);
  EXPECT_EQ(file_->WriteDurably(0, "x").error().reason(), ErrorReason::kIo);
  EXPECT_EQ(file_->UseSyncMethod(GetParam()).error().reason(), ErrorReason::kIo);
}

// A model of which sectors are certain: those that were synced last and not written to since.
class CertainSectors {
 public:
  void Written(std::uint64_t offset, std::uint64_t size) {
    if (size == 0) return;
    certain_.resize(std::max<std::size_t>(certain_.size(), (offset + size - 1) / 512 + 1));
    for (auto at = offset / 512; at * 512 < offset + size; ++at) certain_[at] = false;
  }
  void Synced(std::uint64_t offset, std::uint64_t size) {
    for (auto at = offset / 512; at * 512 < offset + size; ++at) certain_.at(at) = true;
  }
  void AllSynced() { certain_.assign(certain_.size(), true); }
  void Truncated(std::uint64_t size) {
    certain_.resize(std::min<std::size_t>(certain_.size(), size / 512));
  }
  void Restart(std::uint64_t size) { certain_.assign(size / 512, true); }
  void ExpectKept(const std::string& before, const std::string& after) const {
    for (std::size_t at = 0; at < certain_.size(); ++at) {
      if (!certain_[at]) continue;
      ASSERT_TRUE(Sector(before, at) == Sector(after, at)) << "sector " << at;
    }
  }

 private:
  // With zeros behind the end: a file may have grown since without touching its last sector.
  static std::string Sector(const std::string& bytes, std::size_t at) {
    auto sector = bytes.substr(std::min(bytes.size(), at * 512), 512);
    sector.resize(512, '\0');
    return sector;
  }

  std::vector<bool> certain_;
};

TEST_P(SimulatedSyncTest, RandomLivesKeepWhatWasWrittenDurably) {
  const auto seed = TestSeed();
  SCOPED_TRACE("VARVE_TEST_SEED=" + std::to_string(seed));
  SeededRandom random(seed);
  MakeFile(4);
  CertainSectors certain;
  certain.Restart(4 * 512);
  for (int step = 0; step < 4'000 && !HasFatalFailure(); ++step) {
    const auto choice = random.Below(20);
    const auto offset = random.Below(20'000);
    const std::string bytes(1 + random.Below(3'000), static_cast<char>('a' + random.Below(26)));
    if (choice == 0) {
      const auto before = *disk_.Peek("/f");
      disk_.Crash(kAllSurvivals[random.Below(std::size(kAllSurvivals))], &random);
      const auto after = *disk_.Peek("/f");
      certain.ExpectKept(before, after);
      file_ = *disk_.Open("/f", OpenMode::kReadWrite);
      ASSERT_TRUE(file_->UseSyncMethod(GetParam()));
      certain.Restart(after.size());
    } else if (choice == 1) {
      ASSERT_TRUE(file_->Truncate(offset));
      certain.Truncated(offset);
    } else if (choice < 10) {
      ASSERT_TRUE(file_->WriteAt(offset, bytes));
      certain.Written(offset, bytes.size());
    } else {
      ASSERT_TRUE(file_->WriteDurably(offset, bytes));
      certain.Written(offset, bytes.size());
      SyncsAll() ? certain.AllSynced() : certain.Synced(offset, bytes.size());
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, SimulatedSyncTest, ::testing::ValuesIn(kAllSyncMethods),
                         [](const auto& method) {
                           std::string name(ToString(method.param));
                           std::erase(name, '-');
                           return name;
                         });

}  // namespace
}  // namespace varve
