// SPDX-License-Identifier: Apache-2.0
// Power is cut at every disk event of scripted lives, and each time the disk keeps what one of
// eight survival policies says. Whatever is left must open, hold every acknowledged commit, whole,
// and nothing that was never committed; each older commit must read as it was; and it must go on.
#include <gtest/gtest.h>

#include <cstdio>

#include "test/crash/life.h"

namespace varve::testing {
namespace {

struct NamedScript {
  const char* name;
  OpenOptions options;
  Script script;
};

std::string Long(std::size_t bytes) { return std::string(bytes, 'x'); }

// Create, load, flush, reopen: the life of the issue.
void Plain(Life& life) {
  life.Open();
  life.Create();
  life.Put({{1, "a"}, {2, "b"}, {3, "c"}});
  life.Put({{2, "B"}});
  life.Flush();
  life.RunTasks();
  life.Put({{4, "d"}});
  life.Erase({1});
  life.Close();
  life.Open();
  life.Put({{5, "e"}});
  life.Flush();
  life.Put({{6, "f"}, {1, "back"}});
  life.Close();
}

// Kills instead of closes, relaxed acknowledgements, two flushes, background tasks in between.
void Rough(Life& life) {
  life.Open();
  life.Create();
  life.Put({{1, "a"}}, AckLevel::kBuffered);
  life.Put({{2, "b"}}, AckLevel::kWritten);
  life.RunTasks();
  life.Put({{3, "c"}});
  life.Kill();
  life.Open();
  life.Erase({2});
  life.Put({{4, "d"}}, AckLevel::kBuffered);
  life.Flush();
  life.Put({{5, "e"}}, AckLevel::kWritten);
  life.Put({{6, "f"}});
  life.Kill();
  life.Open();
  life.Flush();
  life.Close();
}

// A small memtable and large rows: seals, a log that rolls over segments, and background flushes of
// one and of two generations, the first while newer commits are in memory and in the log alone.
void Busy(Life& life) {
  life.Open();
  life.Create();
  for (std::int64_t i = 0; i < 6; ++i) {
    life.Put({{i, Long(300'000)}, {i + 100, "small"}});
    if (i % 3 == 2) life.RunTasks();
  }
  life.Erase({0, 1});
  life.Kill();
  life.Open();
  life.Put({{9, Long(300'000)}});
  life.RunTasks();
  life.Close();
}

// Commits of a producer, acknowledged to every level, in the log alone, in runs, and let go by the
// log; and writes that look first.
void Once(Life& life) {
  life.Open();
  life.Create();
  life.PutOnce({{1, "a"}, {2, "b"}});
  life.Flush();
  life.PutOnce({{3, "c"}}, AckLevel::kBuffered);
  life.PutMissing({{3, "not this"}, {4, "d"}});
  life.PutOnce({{5, "e"}});
  life.Kill();
  life.Open();
  life.EraseRange(2, 4);
  life.Flush();
  life.Put({{9, "x"}});
  life.Flush();
  life.PutOnce({{2, "B"}}, AckLevel::kWritten);
  life.Close();
  life.Open();
  life.PutOnce({{6, "f"}});
  life.Kill();
}

// The table and its column change their names, it is dropped and made again; with rows in the log
// alone, in runs, and none; commits that were not yet durable before.
void Changing(Life& life) {
  life.Open();
  life.Create();
  life.Put({{1, "a"}, {2, "b"}});
  life.Put({{3, "c"}}, AckLevel::kBuffered);
  life.Rename("u");
  life.RenameValues("w");
  life.PutOnce({{2, "B"}});
  life.Flush();
  life.Put({{4, "d"}}, AckLevel::kWritten);
  life.Drop();
  life.Create();
  life.Put({{5, "e"}});
  life.RenameValues("x");
  life.Put({{5, "E"}, {1, "A"}});
  life.Rename("v");
  life.Rename("t");
  life.Kill();
  life.Open();
  life.PutOnce({{6, "f"}});
  life.Drop();
  life.Kill();
  life.Open();
  life.Create();
  life.Put({{7, "g"}});
  life.Close();
}

// Tags made, moved and taken away, on commits in the log and in runs, and a clock that goes back.
void Versioned(Life& life) {
  life.Open();
  life.Create();
  life.Put({{1, "a"}});
  life.Tag("first", 1);
  life.MoveClock(1000);
  life.Put({{2, "b"}}, AckLevel::kBuffered);
  life.Put({{3, "c"}});
  life.Tag("moves", 2);
  life.Flush();
  life.MoveClock(-1500);
  life.Put({{1, "A"}});
  life.Tag("moves", 3);
  life.Kill();
  life.Open();
  life.Erase({2});
  life.Untag("first");
  life.Flush();
  life.MoveClock(400);
  life.Put({{4, "d"}}, AckLevel::kWritten);
  life.Flush();
  life.Tag("old", 1);
  life.Close();
  life.Open();
  life.Put({{5, "e"}});
  life.Tag("moves", 6);
  life.Kill();
}

class CrashSweep : public ::testing::TestWithParam<NamedScript> {};

TEST_P(CrashSweep, EveryAcknowledgedCommitSurvivesAtEveryEvent) {
  const auto& [name, options, script] = GetParam();
  const std::uint64_t events = CountEvents(script, options);
  ASSERT_GT(events, 20u);
  std::uint64_t states = 0;
  for (std::uint64_t event = 1; event <= events && !HasFatalFailure(); ++event) {
    SimulatedDisk disk;
    disk.CrashAtEvent(event);
    Promises promises;
    {
      Life life(&disk, options);
      script(life);
      promises = life.promises();
    }
    ASSERT_TRUE(disk.crashed()) << "event " << event;
    for (const Survival survival : kAllSurvivals) {
      SCOPED_TRACE(std::string(name) + ", event " + std::to_string(event) + " (" +
                   disk.trace().back().operation + " " + disk.trace().back().path + "), " +
                   std::string(ToString(survival)));
      const auto left = disk.Clone();
      SeededRandom random(event * 31 + static_cast<std::uint64_t>(survival));
      left->Crash(survival, &random);
      CheckSurvivor(left.get(), options, promises);
      ++states;
      if (HasFatalFailure()) return;
    }
  }
  std::printf("%s: %llu events, %llu crash states\n", name,
              static_cast<unsigned long long>(events), static_cast<unsigned long long>(states));
}

// Power goes again while what the first crash left is being recovered.
TEST_P(CrashSweep, ACrashDuringRecoveryChangesNothing) {
  const auto& [name, options, script] = GetParam();
  const std::uint64_t events = CountEvents(script, options);
  SeededRandom random(7);
  for (std::uint64_t event = 1; event <= events && !HasFatalFailure(); event += 5) {
    SimulatedDisk disk;
    disk.CrashAtEvent(event);
    Promises promises;
    {
      Life life(&disk, options);
      script(life);
      promises = life.promises();
    }
    disk.Crash(kAllSurvivals[event % 8], &random);
    for (std::uint64_t later = 1; later <= 12; ++later) {
      SCOPED_TRACE(std::string(name) + ", event " + std::to_string(event) + ", then " +
                   std::to_string(later));
      const auto left = disk.Clone();
      left->CrashAtEvent(left->events() + later);
      {
        World world(5);
        OpenOptions reopen = options;
        reopen.create_if_missing = true;
        (void)Database::Open("/db", reopen, world.components(left.get()));
      }
      left->Crash(kAllSurvivals[random.Below(8)], &random);
      CheckSurvivor(left.get(), options, promises);
      if (HasFatalFailure()) return;
    }
  }
}

// Each call fails once, with EIO or a full disk, without a crash; then the process dies, or power
// goes.
TEST_P(CrashSweep, AFailedCallLosesNothingAcknowledged) {
  const auto& [name, options, script] = GetParam();
  const std::uint64_t events = CountEvents(script, options);
  for (std::uint64_t event = 1; event <= events && !HasFatalFailure(); ++event) {
    const bool full = event % 2 == 0;
    SCOPED_TRACE(std::string(name) + ", event " + std::to_string(event) +
                 (full ? " fails with ENOSPC" : " fails with EIO"));
    SimulatedDisk disk;
    disk.FailEvent(event, Error(ErrorKind::kUnavailable, "injected",
                                full ? ErrorReason::kNoSpace : ErrorReason::kIo));
    Promises promises;
    {
      Life life(&disk, options);
      life.ExpectErrors();
      script(life);
      promises = life.promises();
    }
    SeededRandom random(event);
    const auto power_cut = disk.Clone();
    power_cut->Crash(kAllSurvivals[event / 2 % 8], &random);
    CheckSurvivor(power_cut.get(), options, promises);
    disk.KillProcess();
    CheckSurvivor(&disk, options, promises);
  }
}

// The disk fills up in the middle of work: commits fail cleanly, reading goes on, and when there is
// room again work goes on without reopening.
TEST(FullDisk, WritesResumeWhenSpaceReturns) {
  SimulatedDisk disk;
  World world(3);
  const OpenOptions options{.create_if_missing = true, .memtable_bytes_max = 1 << 20};
  auto db = *Database::Open("/db", options, world.components(&disk));
  ASSERT_TRUE(db->CreateTable("t", RowsSchema(), {"id"}));
  disk.SetCapacity(6 << 20);
  Rows kept;
  Status full;
  for (std::int64_t i = 0; i < 200 && full; ++i) {
    const std::string value(100'000, static_cast<char>('a' + i % 26));
    const auto info = db->Upsert("t", RowsBatch({{i, value}}));
    if (info) {
      kept[i] = value;
    } else {
      full = std::unexpected(info.error());
    }
  }
  ASSERT_FALSE(full) << "200 rows of 100 kB fit into 6 MiB?";
  EXPECT_EQ(full.error().reason(), ErrorReason::kNoSpace) << full.error().message();
  EXPECT_EQ(ReadRows(**db->GetSnapshot()), kept) << "reads go on";
  disk.SetCapacity(UINT64_MAX);
  const auto info = db->Upsert("t", RowsBatch({{500, "room again"}}));
  ASSERT_TRUE(info) << info.error().message();
  kept[500] = "room again";
  EXPECT_EQ(ReadRows(**db->GetSnapshot()), kept);
  ASSERT_TRUE(db->Close());
  db = *Database::Open("/db", options, world.components(&disk));
  EXPECT_EQ(ReadRows(**db->GetSnapshot()), kept);
}

INSTANTIATE_TEST_SUITE_P(
    Lives, CrashSweep,
    ::testing::Values(
        NamedScript{"plain", {.create_if_missing = true}, Plain},
        NamedScript{"rough", {.create_if_missing = true}, Rough},
        NamedScript{"once", {.create_if_missing = true}, Once},
        NamedScript{"changing", {.create_if_missing = true}, Changing},
        NamedScript{"versioned", {.create_if_missing = true}, Versioned},
        NamedScript{"busy", {.create_if_missing = true, .memtable_bytes_max = 1 << 20}, Busy}),
    [](const auto& policy) { return std::string(policy.param.name); });

}  // namespace
}  // namespace varve::testing
