// SPDX-License-Identifier: Apache-2.0
// Backups, restores and repairs that are cut short: at each disk event power goes, and the disk
// keeps what one of eight policies says; or the call fails. What was there before stays or what was
// to be made is whole, and the same call again comes to its end.
#include <gtest/gtest.h>

#include <cstdio>
#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "test/crash/life.h"
#include "test/crash/survivor.h"
#include "varve/inspect.h"
#include "varve/log_archive.h"
#include "varve/backup.h"

namespace varve::testing {
namespace {

constexpr std::int64_t kHour = 3'600'000'000;

// What is done to a disk, after how it was prepared, and what must then hold: `done` if the call
// came to its end.
struct Deed {
  const char* name;
  std::function<void(SimulatedDisk*)> prepare;
  std::function<Status(SimulatedDisk*)> act;
  std::function<void(SimulatedDisk*, bool done)> check;
};
void PrintTo(const Deed& deed, std::ostream* out) { *out << deed.name; }

std::unique_ptr<Database> Open(World* world, SimulatedDisk* disk, const std::string& path,
                               bool read_only = false, LogArchive* archive = nullptr) {
  auto db = Database::Open(path,
                           {.create_if_missing = !read_only, .read_only = read_only,
                            .history_micros = read_only ? std::optional<std::int64_t>()
                                                        : 1000 * kHour,
                            .log_archive = archive, .log_archive_interval_ms = 0},
                           world->components(disk));
  EXPECT_TRUE(db) << db.error().message();
  return db ? *std::move(db) : nullptr;
}

// Commit n writes row n, and row 0 again. `flush`: after each.
void Commits(Database* db, std::int64_t from, std::int64_t to, bool flush) {
  ASSERT_TRUE(db->CreateTable("t", RowsSchema(), {"id"}, {.if_not_exists = true}));
  for (std::int64_t n = from; n <= to; ++n) {
    const auto text = std::to_string(n);
    ASSERT_TRUE(db->Upsert("t", RowsBatch({{0, text}, {n, text}})));
    ASSERT_TRUE(!flush || db->Flush());
  }
}
Rows RowsAt(std::uint64_t commit) {
  Rows rows;
  for (std::uint64_t n = 1; n <= commit; ++n) {
    rows[0] = rows[static_cast<std::int64_t>(n)] = std::to_string(n);
  }
  return rows;
}

// The database at `path` is sound and has exactly the commits up to one, which it gives.
std::uint64_t ExpectWhole(SimulatedDisk* disk, const std::string& path) {
  World world(9);
  const auto verified = VerifyDatabase(path, {.deep = true}, world.components(disk));
  EXPECT_TRUE(verified) << verified.error().message();
  for (const Damage& damage : verified ? verified->damages : std::vector<Damage>()) {
    ADD_FAILURE() << damage.file << ": " << damage.message;
  }
  const auto db = Open(&world, disk, path, true);
  if (db == nullptr) return 0;
  const std::uint64_t commit = db->Stats().visible.value;
  EXPECT_EQ(ReadRows(**db->GetSnapshot()), RowsAt(commit)) << path;
  return commit;
}

Status Backup(SimulatedDisk* disk) {
  World world(2);
  VARVE_ASSIGN(const auto db, Database::Open("/db", {.read_only = true}, world.components(disk)));
  VARVE_TRY(db->Backup("/b"));
  return {};
}

bool HasManifest(SimulatedDisk* disk, const std::string& path) {
  const auto listed = disk->List(path + "/manifest");
  return listed && !listed->empty();
}

void CheckBackup(SimulatedDisk* disk, bool done, std::uint64_t earlier, std::uint64_t commit) {
  EXPECT_EQ(ExpectWhole(disk, "/db"), commit);
  if (earlier > 0 || done || HasManifest(disk, "/b")) {
    const std::uint64_t has = ExpectWhole(disk, "/b");
    EXPECT_TRUE(has == commit || (!done && has == earlier)) << has;
  }
  if (done) return;
  const auto again = Backup(disk);
  EXPECT_TRUE(again) << again.error().message();
  EXPECT_EQ(ExpectWhole(disk, "/b"), commit);
}

void MakeSource(SimulatedDisk* disk, bool with_backup) {
  World world(1);
  const auto db = Open(&world, disk, "/db");
  Commits(db.get(), 1, 3, true);
  if (with_backup) {
    ASSERT_TRUE(db->Backup("/b"));
    Commits(db.get(), 4, 5, true);
    ASSERT_TRUE(db->Compact());
    ASSERT_TRUE(db->Retire({.keep_micros = 0}));
  }
  Commits(db.get(), with_backup ? 6 : 4, with_backup ? 7 : 5, false);
  ASSERT_TRUE(db->Close());
}

Status Repair(SimulatedDisk* disk) {
  World world(3);
  VARVE_TRY(RepairDatabase("/db", {.apply = true}, world.components(disk)));
  return {};
}

void Flip(SimulatedDisk* disk, const std::string& path, std::uint64_t offset) {
  const auto file = disk->Open(path, OpenMode::kReadWrite);
  ASSERT_TRUE(file) << path;
  char byte = 0;
  ASSERT_EQ(*(*file)->ReadAt(offset, 1, &byte), 1u);
  byte = static_cast<char>(byte ^ 1);
  ASSERT_TRUE((*file)->WriteAt(offset, {&byte, 1}));
  ASSERT_TRUE((*file)->Sync());
}
std::string NewestIn(SimulatedDisk* disk, const std::string& folder) {
  const auto listed = disk->List(folder);
  return JoinPath(folder, listed->back().name);
}

// After a repair, whether it was cut short before or not, nothing of these commits is missing.
void CheckRepair(SimulatedDisk* disk, bool done, std::uint64_t commit) {
  if (!done) {
    const auto again = Repair(disk);
    ASSERT_TRUE(again) << again.error().message();
  }
  EXPECT_EQ(ExpectWhole(disk, "/db"), commit);
  World world(4);
  const auto db = Open(&world, disk, "/db");
  ASSERT_NE(db, nullptr);
  Commits(db.get(), static_cast<std::int64_t>(commit) + 1, static_cast<std::int64_t>(commit) + 1,
          true);
  ASSERT_TRUE(db->Close());
  EXPECT_EQ(ExpectWhole(disk, "/db"), commit + 1);
}

// A merged run is damaged, and its inputs are there; so is the log from its fourth commit on.
void MakeDamaged(SimulatedDisk* disk, bool run, bool manifest, bool log) {
  World world(1);
  const auto db = Open(&world, disk, "/db");
  Commits(db.get(), 1, 3, true);
  ASSERT_TRUE(db->Compact());
  const auto merged = NewestIn(disk, "/db/data/t");
  std::uint64_t at = 0;
  for (std::int64_t n = 4; n <= 7; ++n) {
    if (n == 6) at = db->Stats().log.positions.durable.value;
    Commits(db.get(), n, n, false);
  }
  const auto segment = db->Stats().log.segments.back();
  ASSERT_TRUE(db->Close());
  if (run) Flip(disk, merged, 20);
  if (manifest) {
    const auto listed = disk->List("/db/manifest");
    Flip(disk, "/db/manifest/" + (*listed)[0].name, 60);
  }
  if (log) Flip(disk, "/db/log/" + segment.name, at - segment.base.value + 4096 + 4096 + 70);
}

Status RestoreAll(SimulatedDisk* disk) {
  World world(2);
  const auto archive = NewFolderArchive("/archive", {.files = disk, .random = &world.random});
  VARVE_TRY(Database::RestoreBackup("/b", "/r", {.archive = archive.get()},
                                    world.components(disk)));
  return {};
}

std::vector<Deed> Deeds() {
  return {
      {"FirstBackup", [](SimulatedDisk* disk) { MakeSource(disk, false); }, Backup,
       [](SimulatedDisk* disk, bool done) { CheckBackup(disk, done, 0, 5); }},
      {"NextBackup", [](SimulatedDisk* disk) { MakeSource(disk, true); }, Backup,
       [](SimulatedDisk* disk, bool done) { CheckBackup(disk, done, 3, 7); }},
      {"Restore",
       [](SimulatedDisk* disk) {
         World world(1);
         const auto archive =
             NewFolderArchive("/archive", {.files = disk, .random = &world.random});
         const auto db = Open(&world, disk, "/db", false, archive.get());
         Commits(db.get(), 1, 3, true);
         ASSERT_TRUE(db->Backup("/b"));
         Commits(db.get(), 4, 6, false);
         ASSERT_TRUE(db->Close());
       },
       RestoreAll,
       [](SimulatedDisk* disk, bool done) {
         EXPECT_EQ(ExpectWhole(disk, "/b"), 3u);
         if (!done && !HasManifest(disk, "/r")) {
           const auto again = RestoreAll(disk);
           ASSERT_TRUE(again) << again.error().message();
         }
         EXPECT_EQ(ExpectWhole(disk, "/r"), 6u);
       }},
      {"RepairOfARun", [](SimulatedDisk* disk) { MakeDamaged(disk, true, false, false); }, Repair,
       [](SimulatedDisk* disk, bool done) { CheckRepair(disk, done, 7); }},
      {"RepairOfAManifest", [](SimulatedDisk* disk) { MakeDamaged(disk, false, true, false); },
       Repair, [](SimulatedDisk* disk, bool done) { CheckRepair(disk, done, 7); }},
      {"RepairOfALog", [](SimulatedDisk* disk) { MakeDamaged(disk, false, false, true); }, Repair,
       [](SimulatedDisk* disk, bool done) { CheckRepair(disk, done, 5); }},
      {"RepairOfAll", [](SimulatedDisk* disk) { MakeDamaged(disk, true, true, true); }, Repair,
       [](SimulatedDisk* disk, bool done) { CheckRepair(disk, done, 5); }}};
}

class CopiesSweep : public ::testing::TestWithParam<Deed> {};

TEST_P(CopiesSweep, ACrashAtAnyEventLeavesTheOldOrTheNew) {
  const Deed& deed = GetParam();
  SimulatedDisk prepared;
  deed.prepare(&prepared);
  ASSERT_FALSE(HasFatalFailure());
  std::uint64_t events = 0;
  {
    const auto disk = prepared.Clone();
    const std::uint64_t before = disk->events();
    const Status done = deed.act(disk.get());
    ASSERT_TRUE(done) << done.error().message();
    events = disk->events() - before;
    deed.check(disk.get(), true);
  }
  ASSERT_GT(events, 10u);
  std::uint64_t states = 0;
  for (std::uint64_t event = 1; event <= events && !HasFailure(); ++event) {
    const auto disk = prepared.Clone();
    disk->CrashAtEvent(disk->events() + event);
    const bool done = deed.act(disk.get()).has_value();
    ASSERT_TRUE(disk->crashed()) << event;
    for (const Survival survival : kAllSurvivals) {
      SCOPED_TRACE(std::string(deed.name) + ", event " + std::to_string(event) + " (" +
                   disk->trace().back().operation + " " + disk->trace().back().path + "), " +
                   std::string(ToString(survival)));
      const auto left = disk->Clone();
      SeededRandom random(event * 31 + static_cast<std::uint64_t>(survival));
      left->Crash(survival, &random);
      deed.check(left.get(), done);
      ++states;
      if (HasFailure()) return;
    }
  }
  std::printf("%s: %llu events, %llu crash states\n", deed.name,
              static_cast<unsigned long long>(events), static_cast<unsigned long long>(states));
}

TEST_P(CopiesSweep, AFailedCallIsToldAndTheNextTryEnds) {
  const Deed& deed = GetParam();
  SimulatedDisk prepared;
  deed.prepare(&prepared);
  std::uint64_t events = 0;
  {
    const auto disk = prepared.Clone();
    const std::uint64_t before = disk->events();
    ASSERT_TRUE(deed.act(disk.get()));
    events = disk->events() - before;
  }
  for (std::uint64_t event = 1; event <= events && !HasFailure(); ++event) {
    for (const auto reason : {ErrorReason::kIo, ErrorReason::kNoSpace}) {
      SCOPED_TRACE(std::string(deed.name) + ", event " + std::to_string(event) + " fails");
      const auto disk = prepared.Clone();
      disk->FailEvent(disk->events() + event, Error(ErrorKind::kUnavailable, "injected", reason));
      const Status done = deed.act(disk.get());
      EXPECT_TRUE(done || done.error().kind() == ErrorKind::kUnavailable) << done.error().message();
      disk->KillProcess();
      deed.check(disk.get(), done.has_value());
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Deeds, CopiesSweep, ::testing::ValuesIn(Deeds()),
                         [](const auto& deed) { return std::string(deed.param.name); });

}  // namespace
}  // namespace varve::testing
