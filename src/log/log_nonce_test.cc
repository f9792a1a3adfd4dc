// SPDX-License-Identifier: Apache-2.0
// AES-GCM gives its texts away when two of them are sealed under one key and nonce. So whatever
// becomes of a log (power cuts, also during recovery, copies of the whole machine that both go on,
// restores, cuts, files used again), no two texts ever are: every text that is sealed is looked at
// on its way into OpenSSL, whether it reached the disk or not.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/executor.h"
#include "base/random.h"
#include "files/simulated_disk.h"
#include "log/log_fixture.h"
#include "log/log_reader_fixture.h"
#include "log/segment_cipher.h"
#include "test/support/cipher_watch.h"
#include "test/support/seed.h"
#include "varve/log.h"
#include "varve/log_archive.h"

namespace varve {
namespace {

using testing::CipherWatch;
using testing::kLogDir;

constexpr int kLives = 40;
constexpr int kSteps = 60;
constexpr std::size_t kMachinesMost = 3;

// A disk, and the log that is open on it, if one is.
struct Machine {
  std::unique_ptr<SimulatedDisk> disk;
  std::string dir = kLogDir;
  std::unique_ptr<LogArchive> archive;
  std::unique_ptr<LogArchiver> archiver;
  std::unique_ptr<Log> log;
  int restores = 0;
  bool damaged = false;  // once
};

class LogNonceTest : public ::testing::Test {
 protected:
  LogNonceTest() : random_(testing::TestSeed()) {
    options_.segment_bytes_max = 64 << 10;
    options_.keys = &keys_;
  }

  std::uint64_t Below(std::uint64_t limit) { return random_.Next() % limit; }
  LogComponents World(Machine* machine) {
    return {machine->disk.get(), &clock_, &random_, &executor_, nullptr};
  }
  std::string Text() {
    std::string text(Below(8) == 0 ? Below(150'000) : Below(3'000), '\0');
    for (auto& byte : text) byte = static_cast<char>(random_.Next());
    return text;
  }
  static void LetGo(Machine* machine) {
    machine->archiver.reset();
    machine->log.reset();
  }
  // As any power cut may, also in the middle of what the log does next.
  void Crash(Machine* machine) {
    LetGo(machine);
    machine->disk->Crash(kAllSurvivals[Below(std::size(kAllSurvivals))], &random_);
    crashes_ += 1;
  }
  Status TryOpen(Machine* machine, RecoveryMode mode) {
    auto log = Log::Open(machine->dir, options_, [](const LogUnit&) { return Status(); },
                         {.mode = mode}, World(machine));
    if (!log) return std::unexpected(std::move(log).error());
    machine->log = *std::move(log);
    return {};
  }
  // Recovers, which may be cut by crashes of its own.
  void Open(Machine* machine) {
    LetGo(machine);
    options_.encode_mode = static_cast<LogEncodeMode>(Below(3));
    options_.compression = static_cast<LogCompression>(Below(3));
    options_.recycled_segments_max = static_cast<std::uint32_t>(Below(3));
    while (true) {
      if (Below(2) == 0) machine->disk->CrashAtEvent(machine->disk->events() + 1 + Below(40));
      const auto mode = Below(4) == 0 ? RecoveryMode::kPointInTime : RecoveryMode::kStrict;
      auto opened = TryOpen(machine, mode);
      // A cut that a crash interrupted is done again.
      if (!opened && opened.error().kind() == ErrorKind::kCorruption && machine->damaged) {
        opened = TryOpen(machine, RecoveryMode::kPointInTime);
      }
      if (opened) return;
      ASSERT_TRUE(machine->disk->crashed()) << opened.error().message();
      Crash(machine);
    }
  }
  void Step(Machine* machine) {
    auto* const log = machine->log.get();
    switch (Below(20)) {
      case 0: return static_cast<void>(log->Rotate());
      case 1: return static_cast<void>(log->TruncateBefore(log->positions().durable));
      case 2: return static_cast<void>(log->Checkpoint(log->positions().durable));
      case 3: return machine->disk->CrashAtEvent(machine->disk->events() + 1 + Below(30));
      case 4: return Crash(machine);
      case 5: return LetGo(machine);
      case 6: return static_cast<void>(log->Close());
      case 7: return CopyMachine(*machine);
      case 8: return Archive(machine);
      case 9: return Restore(machine);
      case 10: return CutAtDamage(machine);
      case 11: return executor_.RunAll();
      case 12: return static_cast<void>(log->Enqueue({{Text(), Text()}}));
      default: return static_cast<void>(log->Append({Text()}, static_cast<AckLevel>(Below(3))));
    }
  }
  // From now on there are two, and both go on from here.
  void CopyMachine(const Machine& machine) {
    if (machines_.size() == kMachinesMost) return;
    Machine copy;
    copy.disk = machine.disk->Clone();
    copy.dir = machine.dir;
    copy.restores = machine.restores;
    copy.damaged = machine.damaged;
    machines_.push_back(std::move(copy));
    copies_ += 1;
  }
  void Archive(Machine* machine) {
    if (machine->dir != kLogDir) return;  // what was restored has another history
    if (!machine->archive) machine->archive = NewFolderArchive("archive", World(machine));
    if (!machine->archiver) {
      auto archiver = LogArchiver::Open(machine->log.get(), machine->dir, machine->archive.get(),
                                        {}, World(machine));
      if (!archiver) return;
      machine->archiver = *std::move(archiver);
    }
    if (!machine->archiver->ArchiveNow()) return;
    end_ = machine->archiver->status().archived;
  }
  // The log goes on elsewhere, from what the archive has, up to some position; or from all of it.
  void Restore(Machine* machine) {
    if (!machine->archive) return;
    LetGo(machine);
    const auto dir = "restored" + std::to_string(++machine->restores);
    const Lsn until{Below(2) == 0 ? 0 : Below(end_.value + 1)};
    if (!RestoreLog(machine->archive.get(), dir, {.until = until}, World(machine))) return;
    machine->dir = dir;
    machine->archive.reset();
    restores_ += 1;
  }
  // A point-in-time open cuts there, and gives positions behind it to other units.
  void CutAtDamage(Machine* machine) {
    LetGo(machine);
    const auto entries = machine->disk->List(machine->dir);
    if (!entries) return;
    for (const auto& entry : *entries) {
      const auto path = machine->dir + "/" + entry.name;
      if (!entry.name.ends_with(".log") || entry.size < 8192 || Below(3) != 0) continue;
      auto bytes = machine->disk->Peek(path);
      if (!bytes) return;
      (*bytes)[4096 + Below(bytes->size() - 4096)] ^= 1;
      machine->disk->Poke(path, *std::move(bytes));
      machine->damaged = true;
      if (TryOpen(machine, RecoveryMode::kPointInTime)) cuts_ += 1;
      return;
    }
  }
  void OpenUnlessOpen(Machine* machine) {
    if (machine->disk->crashed()) Crash(machine);
    if (!machine->log || !machine->log->Append({"still open"})) Open(machine);
  }

  testing::TestKeys keys_;
  LogOptions options_;
  ManualClock clock_;
  SeededRandom random_;
  ManualExecutor executor_;
  std::vector<Machine> machines_;
  Lsn end_;
  int crashes_ = 0, copies_ = 0, restores_ = 0, cuts_ = 0;
};

TEST_F(LogNonceTest, R16_NoTwoTextsAreSealedUnderOneKeyAndNonceWhateverHappens) {
  SCOPED_TRACE(testing::SeedTrace(testing::TestSeed()));
  const CipherWatch watch;
  for (int life = 0; life < kLives; ++life) {
    SCOPED_TRACE("life " + std::to_string(life));
    machines_.clear();
    end_ = {};
    machines_.emplace_back().disk = std::make_unique<SimulatedDisk>();
    for (int step = 0; step < kSteps; ++step) {
      SCOPED_TRACE("step " + std::to_string(step));
      auto& machine = machines_[Below(machines_.size())];
      ASSERT_NO_FATAL_FAILURE(OpenUnlessOpen(&machine));
      Step(&machine);
      const auto reuses = watch.reuses();
      ASSERT_TRUE(reuses.empty()) << reuses.front();
    }
    executor_.RunAll();
  }
  machines_.clear();
  // That this saw what it is about.
  EXPECT_GT(watch.texts(), 1000u);
  EXPECT_GT(watch.keys(), 200u);
  EXPECT_GT(crashes_, 50);
  EXPECT_GT(copies_, 5);
  EXPECT_GT(restores_, 5);
  EXPECT_GT(cuts_, 5);
}

TEST(CipherWatchTest, SeesANonceThatIsUsedForTwoTexts) {
  const CipherWatch watch;
  const SegmentCipher cipher(std::string(kCipherKeyBytes, 'd'));
  char sealed[64];
  ASSERT_TRUE(cipher.Encrypt({7}, "header", "text", sealed));
  ASSERT_TRUE(cipher.Encrypt({7}, "header", "text", sealed));
  ASSERT_TRUE(cipher.Encrypt({8}, "header", "other", sealed));
  EXPECT_TRUE(watch.reuses().empty());
  EXPECT_EQ(watch.texts(), 2u);
  ASSERT_TRUE(cipher.Encrypt({7}, "header", "texT", sealed));
  ASSERT_TRUE(cipher.Encrypt({8}, "headeR", "other", sealed));
  EXPECT_EQ(watch.reuses().size(), 2u);
}

}  // namespace
}  // namespace varve
