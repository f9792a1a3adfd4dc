// SPDX-License-Identifier: Apache-2.0
// The choice of a sync method, over files whose durable writes cost what the test says.
#include "log/sync_calibration.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <utility>

#include "base/clock.h"
#include "base/crc32c.h"
#include "base/random.h"
#include "base/result.h"
#include "files/simulated_disk.h"
#include "log/log_fixture.h"
#include "test/support/forwarding_files.h"
#include "varve/log_reader.h"

namespace varve::testing {
namespace {

using enum SyncMethod;

const Error kInjected(ErrorKind::kUnavailable, "on purpose", ErrorReason::kIo);

// What the device is like, and what was done to it.
struct Device {
  std::uint64_t id = 7;
  std::map<SyncMethod, std::int64_t> micros;
  std::set<SyncMethod> refused;
  std::int64_t slow_micros = 0;  // of every third durable write, or
  int slow_until = 0;            // of the first ones up to this; 0: every third
  int fails_at = 0;              // the durable write that fails; 0: none
  int writes = 0;                // durable ones
  std::map<SyncMethod, std::set<std::uint64_t>> offsets;
  ManualClock clock;
};

class CostlyFile final : public ForwardingFile {
 public:
  CostlyFile(std::unique_ptr<File> file, Device* device)
      : ForwardingFile(std::move(file)), device_(device) {}
  Status WriteDurably(std::uint64_t offset, std::string_view bytes) override {
    ExpectBlockOfZeros(offset, bytes);
    device_->offsets[method_].insert(offset);
    const int write = ++device_->writes;
    const bool slow = device_->slow_until > 0 ? write <= device_->slow_until : write % 3 == 0;
    const bool stalls = slow && device_->slow_micros > 0;
    device_->clock.Advance(stalls ? device_->slow_micros : device_->micros[method_]);
    if (device_->writes == device_->fails_at) return std::unexpected(kInjected);
    return file()->WriteDurably(offset, bytes);
  }
  Status UseSyncMethod(SyncMethod method) override {
    if (device_->refused.contains(method)) return std::unexpected(kInjected);
    method_ = method;
    return file()->UseSyncMethod(method);
  }

 private:
  // What a log writes: a block where direct I/O takes it, over zeros that are there.
  void ExpectBlockOfZeros(std::uint64_t offset, std::string_view bytes) {
    EXPECT_EQ(bytes.size(), kDirectBlock);
    EXPECT_EQ(offset % kDirectBlock, 0u);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(bytes.data()) % kDirectBlock, 0u);
    std::string before(kDirectBlock, 'x');
    EXPECT_EQ(*file()->ReadAt(offset, kDirectBlock, before.data()), kDirectBlock);
    EXPECT_TRUE(before == std::string(kDirectBlock, '\0'));
  }

  Device* const device_;
  SyncMethod method_ = kFdatasync;
};

class CostlyFiles final : public ForwardingFiles {
 public:
  CostlyFiles(Files* inner, Device* device) : ForwardingFiles(inner), device_(device) {}
  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override {
    VARVE_ASSIGN(auto file, files()->Open(path, mode));
    return std::make_unique<CostlyFile>(std::move(file), device_);
  }
  Result<FileInfo> Info(const std::string& path) override {
    VARVE_ASSIGN(auto info, files()->Info(path));
    info.device = device_->id;
    return info;
  }

 private:
  Device* const device_;
};

class SyncCalibrationTest : public ::testing::Test {
 protected:
  static constexpr char kDir[] = "/log";
  static constexpr int kTurns = 61;
  static constexpr int kWritesOfAll = 4 * kTurns;

  SyncCalibrationTest() {
    EXPECT_TRUE(disk_.CreateDirectories(kDir));
    Cost(500, 1000, 350, 150);
  }
  // In microseconds, for each method in turn.
  void Cost(std::int64_t fdatasync, std::int64_t fsync, std::int64_t dsync, std::int64_t direct) {
    device_.micros = {
        {kFdatasync, fdatasync}, {kFsync, fsync}, {kDsync, dsync}, {kDirectDsync, direct}};
  }
  SyncChoice Choose() {
    device_.writes = 0;
    return ChooseSyncMethod(&files_, kDir, &device_.clock);
  }
  std::string Names() {
    std::string names;
    const auto entries = disk_.List(kDir);
    for (const auto& entry : *entries) names += entry.name + " ";
    return names;
  }
  std::string Memory() { return *disk_.Peek("/log/SYNC"); }
  void PutMemory(const std::string& text) { disk_.Poke("/log/SYNC", text); }
  // That this choice was measured, and that the next one is remembered.
  void ExpectMeasuredAnew(const SyncChoice& choice) {
    EXPECT_FALSE(choice.remembered);
    EXPECT_EQ(choice.method, kDirectDsync);
    EXPECT_EQ(choice.trouble, "");
    EXPECT_EQ(device_.writes, kWritesOfAll);
    EXPECT_TRUE(Choose().remembered);
  }

  SimulatedDisk disk_;
  Device device_;
  CostlyFiles files_{&disk_, &device_};
};

TEST_F(SyncCalibrationTest, PicksTheCheapest) {
  const auto pick = [this](std::array<std::int64_t, 4> micros) {
    Cost(micros[0], micros[1], micros[2], micros[3]);
    return MeasureSyncMethods(&files_, kDir, &device_.clock).method;
  };
  EXPECT_EQ(pick({100, 500, 500, 500}), kFdatasync);
  EXPECT_EQ(pick({500, 100, 500, 500}), kFsync);
  EXPECT_EQ(pick({500, 500, 100, 500}), kDsync);
  EXPECT_EQ(pick({500, 500, 500, 100}), kDirectDsync);
}

TEST_F(SyncCalibrationTest, WithinTwoPercentFdatasyncWins) {
  Cost(1019, 2000, 1000, 3000);
  EXPECT_EQ(MeasureSyncMethods(&files_, kDir, &device_.clock).method, kFdatasync);
  Cost(1030, 2000, 1000, 3000);
  EXPECT_EQ(MeasureSyncMethods(&files_, kDir, &device_.clock).method, kDsync);
}

TEST_F(SyncCalibrationTest, OfFewWritesFivePercentAreNothing) {
  Cost(10'400, 20'000, 10'000, 30'000);  // 70 ms a turn: six of them
  EXPECT_EQ(MeasureSyncMethods(&files_, kDir, &device_.clock).method, kFdatasync);
  Cost(10'600, 20'000, 10'000, 30'000);
  EXPECT_EQ(MeasureSyncMethods(&files_, kDir, &device_.clock).method, kDsync);
}

// It was chosen by fewer writes and a larger tie.
TEST_F(SyncCalibrationTest, AChoiceOfAnOlderVarveIsMeasuredAgain) {
  Choose();
  auto text = Memory();
  text.replace(text.find("sync 2"), 6, "sync 1");
  text.resize(text.find("crc "));
  PutMemory(text + fmt::format("crc {:08x}\n", Crc32c(text)));
  ExpectMeasuredAnew(Choose());
}

TEST_F(SyncCalibrationTest, TheTableHasTheMedianOfEachMethod) {
  device_.slow_micros = 1'000'000;  // of a third of the writes
  const auto choice = Choose();
  ASSERT_EQ(choice.table.size(), 4u);
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(choice.table[i].method, kAllSyncMethods[i]);
    EXPECT_EQ(choice.table[i].median_micros, device_.micros[kAllSyncMethods[i]] + 1);
    EXPECT_EQ(choice.table[i].refusal, "");
  }
  EXPECT_EQ(choice.method, kDirectDsync);
}

// A disk that is busy for a third of the time is so for every method, and decides nothing.
TEST_F(SyncCalibrationTest, ATimeOfTroubleHitsAllMethodsAlike) {
  device_.slow_micros = 1'200;
  device_.slow_until = kWritesOfAll / 3;
  const auto choice = Choose();
  EXPECT_EQ(choice.method, kDirectDsync);
  for (const auto& row : choice.table) EXPECT_LT(row.median_micros, 1'200);
}

// Who opens the log waits for it.
TEST_F(SyncCalibrationTest, ASlowDeviceIsMeasuredByFewerWrites) {
  Cost(30'000, 40'000, 20'000, 10'000);
  const auto choice = Choose();
  EXPECT_EQ(device_.writes, 4 * 6);
  EXPECT_EQ(choice.method, kDirectDsync);
  EXPECT_TRUE(Choose().remembered);
}

TEST_F(SyncCalibrationTest, EachWriteHasABlockOfItsOwn) {
  Choose();
  std::set<std::uint64_t> all;
  for (const auto method : kAllSyncMethods) {
    EXPECT_EQ(device_.offsets[method].size(), std::size_t{kTurns}) << ToString(method);
    all.merge(device_.offsets[method]);
  }
  EXPECT_EQ(all.size(), std::size_t{kWritesOfAll});
}

TEST_F(SyncCalibrationTest, RemembersTheChoiceAndItsReasons) {
  device_.refused = {kDsync};
  const auto first = Choose();
  EXPECT_FALSE(first.remembered);
  const auto second = Choose();
  EXPECT_EQ(device_.writes, 0);
  EXPECT_TRUE(second.remembered);
  EXPECT_EQ(second.method, first.method);
  ASSERT_EQ(second.table.size(), 4u);
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(second.table[i].method, first.table[i].method);
    EXPECT_EQ(second.table[i].median_micros, first.table[i].median_micros);
  }
  EXPECT_EQ(Names(), "SYNC ");
}

TEST_F(SyncCalibrationTest, TheMemoryIsText) {
  device_.refused = {kDsync};
  Choose();
  const auto text = Memory();
  EXPECT_EQ(text.substr(0, text.find("crc ")),
            "varve sync 2\ndevice 7\nfdatasync 501\nfsync 1001\ndsync -\ndirect-dsync 151\n"
            "choice direct-dsync\n");
  EXPECT_EQ(text.size(), text.find("crc ") + 13);
}

TEST_F(SyncCalibrationTest, AnotherDeviceMeasuresAgain) {
  Choose();
  device_.id = 8;
  ExpectMeasuredAnew(Choose());
  device_.id = 7;
  ExpectMeasuredAnew(Choose());
}

TEST_F(SyncCalibrationTest, AMethodThatIsNotOfferedIsSkipped) {
  device_.refused = {kDirectDsync};
  const auto choice = Choose();
  EXPECT_EQ(choice.method, kDsync);
  EXPECT_EQ(choice.table[3].median_micros, std::nullopt);
  EXPECT_EQ(choice.table[3].refusal, "on purpose");
  EXPECT_TRUE(choice.trouble.empty());
  EXPECT_TRUE(Choose().remembered);
}

TEST_F(SyncCalibrationTest, WithoutADeviceThereIsNothingToMeasure) {
  device_.id = 0;
  const auto choice = Choose();
  EXPECT_EQ(choice.method, kFdatasync);
  EXPECT_TRUE(choice.table.empty());
  EXPECT_EQ(device_.writes, 0);
  EXPECT_EQ(Names(), "");
}

TEST_F(SyncCalibrationTest, AMemoryWithAnyByteWrongIsMadeAnew) {
  Choose();
  const auto sound = Memory();
  for (std::size_t at = 0; at < sound.size(); ++at) {
    SCOPED_TRACE(at);
    auto damaged = sound;
    damaged[at] ^= 1;
    PutMemory(damaged);
    ExpectMeasuredAnew(Choose());
    EXPECT_EQ(Memory(), sound);
  }
}

TEST_F(SyncCalibrationTest, AMemoryOfAnyOtherLengthIsMadeAnew) {
  Choose();
  const auto sound = Memory();
  for (std::size_t size = 0; size < sound.size(); ++size) {
    PutMemory(sound.substr(0, size));
    ExpectMeasuredAnew(Choose());
  }
  for (const char* more : {"\n", " ", "x", "\0"}) {
    PutMemory(sound + std::string(more, 1));
    ExpectMeasuredAnew(Choose());
  }
  EXPECT_EQ(Memory(), sound);
}

TEST_F(SyncCalibrationTest, AForeignMemoryIsMadeAnew) {
  for (const auto& text : {std::string("varve sync 2\nwhatever is new there\n"),
                           std::string(1 << 20, 'x'), std::string(200, '\0')}) {
    PutMemory(text);
    ExpectMeasuredAnew(Choose());
  }
}

TEST_F(SyncCalibrationTest, AMemoryThatCannotBeReadIsMadeAnew) {
  Choose();
  disk_.FailReads("/log/SYNC", kInjected);
  ExpectMeasuredAnew(Choose());
}

TEST_F(SyncCalibrationTest, AMemoryThatCannotBeWrittenIsTroubleAndNoFailure) {
  ASSERT_TRUE(disk_.CreateDirectories("/log/SYNC"));
  const auto choice = Choose();
  EXPECT_EQ(choice.method, kDirectDsync);
  EXPECT_TRUE(choice.trouble.starts_with("remembering the sync method: ")) << choice.trouble;
}

TEST_F(SyncCalibrationTest, AWriteThatFailsWhileMeasuringMeansFdatasync) {
  for (int write = 1; write <= kWritesOfAll; ++write) {
    device_.fails_at = write;
    const auto choice = Choose();
    ASSERT_EQ(choice.method, kFdatasync) << write;
    EXPECT_EQ(choice.trouble, "measuring sync methods: on purpose");
    EXPECT_TRUE(choice.table.empty());
    EXPECT_EQ(Names(), "");
  }
  device_.fails_at = 0;
  ExpectMeasuredAnew(Choose());
}

TEST_F(SyncCalibrationTest, AFullDiskMeansFdatasync) {
  disk_.SetCapacity(10'000);
  const auto choice = Choose();
  EXPECT_EQ(choice.method, kFdatasync);
  EXPECT_NE(choice.trouble, "");
  EXPECT_EQ(Names(), "");
}

TEST_F(SyncCalibrationTest, AFolderThatIsNotThereMeansFdatasync) {
  const auto choice = ChooseSyncMethod(&files_, "/elsewhere", &device_.clock);
  EXPECT_EQ(choice.method, kFdatasync);
  EXPECT_NE(choice.trouble, "");
}

TEST_F(SyncCalibrationTest, WhatACrashLeftIsRemovedAlsoWhenTheChoiceIsRemembered) {
  Choose();
  disk_.Poke("/log/calibration.tmp", "left");
  EXPECT_TRUE(Choose().remembered);
  EXPECT_EQ(Names(), "SYNC ");
  disk_.Poke("/log/calibration.tmp", "left");
  device_.id = 8;
  ExpectMeasuredAnew(Choose());
  EXPECT_EQ(Names(), "SYNC ");
}

// A failure at each event in turn never fails the choice; nor does a power cut, for who comes next.
TEST_F(SyncCalibrationTest, NoFaultAndNoCrashSpoilsTheNextChoice) {
  ASSERT_TRUE(disk_.SyncDirectory(kDir));
  const auto before = disk_.events();
  const auto fresh = disk_.Clone();
  Choose();
  const auto events = disk_.events() - before;
  ASSERT_GT(events, 80u);
  for (std::uint64_t event = 1; event <= events; ++event) {
    for (const auto survival : kAllSurvivals) {
      SCOPED_TRACE(std::to_string(event) + " " + std::string(ToString(survival)));
      const auto disk = fresh->Clone();
      CostlyFiles files(disk.get(), &device_);
      SeededRandom random(event);
      disk->CrashAtEvent(before + event);
      ChooseSyncMethod(&files, kDir, &device_.clock);
      disk->Crash(survival, &random);
      disk->CrashAtEvent(0);
      EXPECT_EQ(ChooseSyncMethod(&files, kDir, &device_.clock).method, kDirectDsync);
      EXPECT_EQ(disk->List(kDir)->size(), 1u);
    }
    const auto disk = fresh->Clone();
    CostlyFiles files(disk.get(), &device_);
    disk->FailEvent(before + event, kInjected);
    ChooseSyncMethod(&files, kDir, &device_.clock);
    EXPECT_EQ(ChooseSyncMethod(&files, kDir, &device_.clock).method, kDirectDsync) << event;
  }
}

TEST_F(SyncCalibrationTest, TheRealDiskIsMeasuredAndRemembered) {
  std::string dir = ::testing::TempDir() + "/varve_sync_XXXXXX";
  ASSERT_NE(::mkdtemp(dir.data()), nullptr);
  const auto first = ChooseSyncMethod(PosixFiles(), dir, SystemClock());
  EXPECT_EQ(first.trouble, "");
  ASSERT_EQ(first.table.size(), 4u);
  EXPECT_TRUE(first.table[0].median_micros);
  for (const auto& row : first.table) EXPECT_EQ(row.median_micros.has_value(), row.refusal.empty());
  const auto second = ChooseSyncMethod(PosixFiles(), dir, SystemClock());
  EXPECT_TRUE(second.remembered);
  EXPECT_EQ(second.method, first.method);
  EXPECT_EQ(PosixFiles()->List(dir)->size(), 1u);
  std::filesystem::remove_all(dir);
}

TEST_F(SyncCalibrationTest, OpeningANewLogMeasuresTheDevice) {
  for (const auto method : {LogSyncMethod::kAuto, LogSyncMethod::kFdatasync}) {
    const bool measures = method == LogSyncMethod::kAuto;
    const std::string dir = "/new" + std::to_string(measures);
    ASSERT_TRUE(disk_.CreateDirectories(dir));
    device_.writes = 0;
    auto log = Log::Open(dir, {.sync_method = method}, {}, {},
                         {.files = &files_, .clock = &device_.clock});
    ASSERT_TRUE(log) << log.error().message();
    EXPECT_EQ(device_.writes >= kWritesOfAll, measures);
    EXPECT_EQ((*log)->stats().sync_method,
              measures ? LogSyncMethod::kDirectDsync : LogSyncMethod::kFdatasync);
    ASSERT_TRUE((*log)->Close());
  }
}

// The log itself: both names may stand in its folder, whatever they hold.
TEST_F(LogTest, TheFilesOfTheCalibrationAreNoneOfTheLogs) {
  Open();
  Append("kept");
  Put(JoinPath(kLogDir, std::string(kSyncFileName)), "not even text of ours");
  Put(JoinPath(kLogDir, std::string(kCalibrationFileName)), std::string(100'000, 'x'));
  Kill();
  Open();
  ExpectEverythingBack();
  EXPECT_TRUE(VerifyLog(kLogDir, World())->damages.empty());
}

}  // namespace
}  // namespace varve::testing
