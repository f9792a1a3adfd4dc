// SPDX-License-Identifier: Apache-2.0
// Every request for memory of a log's life refused in turn, alone or with all that follow: each
// call returns, what was acknowledged is there afterwards, what was refused is not, and what is
// refused says why. A hang ends the program.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <functional>
#include <map>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/executor.h"
#include "base/random.h"
#include "files/simulated_disk.h"
#include "log/log_format.h"
#include "log/unit_codec.h"
#include "test/log_memory/hungry_files.h"
#include "test/log_memory/scarcity.h"
#include "varve/log.h"
#include "varve/log_archive.h"

namespace varve::testing {
namespace {

constexpr char kDir[] = "log";
constexpr char kArchive[] = "archive";
constexpr char kRestored[] = "restored";
constexpr std::string_view kWhy = "out of memory";
constexpr std::uint64_t kAllThatFollow = ~0ull;
constexpr unsigned kHangSeconds = 60;

struct Fate {
  enum Kind : std::uint8_t { kDurable, kNotKept, kUnknown } kind;
  Lsn lsn{};
};
using Units = std::map<std::string, Lsn, std::less<>>;

template <typename Call>
auto Ration(const Call& call) {
  const Rationed rationed;
  return call();
}

// Where nothing is there that an earlier call kept.
void InNewThread(const std::function<void()>& call) {
  ForgetIdleContexts();
  std::thread(call).join();
}

// A log on a disk, and what it told.
class Life {
 public:
  Life(SimulatedDisk* disk, const LogOptions& options)
      : disk_(disk), files_(disk), options_(options) {}
  ~Life() { End(); }
  void End() {
    Ration([&] {
      log_.reset();
      return 0;
    });
    RunTasks();
  }

  Status Open(const RecoveryOptions& recovery = {}) {
    return Ration([&]() -> Status {
      auto log = Log::Open(kDir, options_, {}, recovery, World());
      if (!log) return std::unexpected(std::move(log).error());
      log_ = *std::move(log);
      return {};
    });
  }
  void Append(const std::string& unit, AckLevel level) {
    Note(unit, level, Ration([&] { return log_->Append({unit}, level); }));
  }
  void AppendThen(const std::string& unit) {
    ++callbacks_left;
    const LogRecord records[] = {unit};
    const auto told = [this, &unit](const Result<LogAck>& ack) {
      const Exempt test;
      --callbacks_left;
      Note(unit, AckLevel::kDurable, ack);
    };
    Ration([&] {
      try {
        log_->AppendThen(records, AckLevel::kDurable, LogCallback(told));
      } catch (const std::bad_alloc&) {  // by the callback's own copy, before the call
        --callbacks_left;
        fates[unit] = {Fate::kNotKept};
      }
      return 0;
    });
  }
  void EnqueueAndWait(const std::string& unit) {
    const LogRecord records[] = {unit};
    const auto ticket = Ration([&] { return log_->Enqueue(records); });
    if (!ticket) return Note(unit, AckLevel::kDurable, std::unexpected(ticket.error()));
    Note(unit, AckLevel::kDurable, Ration([&] { return log_->Wait(*ticket); }), Fate::kUnknown);
  }
  void Enqueue(const std::string& unit) {
    const LogRecord records[] = {unit};
    EXPECT_TRUE(Ration([&] { return log_->Enqueue(records); }));
  }
  // One unit of two parts; each part is added again when it was refused.
  void Commit(const std::string& first, const std::string& second) {
    const auto transaction = Ration([&] { return log_->Begin(); });
    if (!transaction) return ExpectReason(transaction.error());
    for (const auto& part : {first, second}) {
      const LogRecord records[] = {part.substr(0, part.size() / 2), part.substr(part.size() / 2)};
      auto added = Ration([&] { return log_->AppendTo(*transaction, records); });
      if (!added) added = Ration([&] { return log_->AppendTo(*transaction, records); });
      if (!added) return ExpectReason(added.error());
    }
    auto ack = Ration([&] { return log_->Commit(*transaction); });
    const bool again = !ack && ack.error().reason() == ErrorReason::kNone;
    if (again) ack = Ration([&] { return log_->Commit(*transaction); });
    Note(first + second, AckLevel::kDurable, ack);
  }
  void Do(const std::function<Status()>& call) {
    const auto done = Ration([&] { return call(); });
    if (!done) ExpectReason(done.error());
  }
  void RunTasks() {
    Ration([&] {
      executor_.RunAll();
      return 0;
    });
  }
  Log& log() { return *log_; }

  std::map<std::string, Fate> fates;
  Lsn fence;
  int callbacks_left = 0;

 private:
  LogComponents World() { return {&files_, &clock_, &random_, &executor_, nullptr}; }
  void ExpectReason(const Error& error) {
    EXPECT_NE(error.message().find(kWhy), std::string::npos) << error.message();
  }
  void Note(const std::string& unit, AckLevel level, const Result<LogAck>& ack,
            Fate::Kind refused = Fate::kNotKept) {
    if (ack) {
      fates[unit] = {level == AckLevel::kDurable ? Fate::kDurable : Fate::kUnknown, ack->lsn};
      return;
    }
    ExpectReason(ack.error());
    const bool unknown = ack.error().reason() == ErrorReason::kUnknownOutcome;
    fates[unit] = {unknown ? Fate::kUnknown : refused};
  }

  SimulatedDisk* const disk_;
  HungryFiles files_;
  ManualClock clock_;
  SeededRandom random_{1};
  ManualExecutor executor_;
  const LogOptions options_;
  std::unique_ptr<Log> log_;
};

enum class Ends : std::uint8_t { kClosed, kKilled };

// Everything a log does, in the order of the lines.
void Live(Life* life, Ends ends = Ends::kClosed) {
  if (const auto opened = life->Open(); !opened) {
    EXPECT_NE(opened.error().message().find(kWhy), std::string::npos) << opened.error().message();
    return;
  }
  static const std::string callback = "in a callback";
  auto& log = life->log();
  life->Append("first", AckLevel::kDurable);
  life->Append("written", AckLevel::kWritten);
  life->AppendThen(callback);
  life->RunTasks();
  life->EnqueueAndWait("enqueued");
  life->Append("spans segments" + std::string(50'000, 's'), AckLevel::kDurable);
  life->Commit("committed", std::string(200, 'c'));
  life->Append(std::string(9'000, 'r'), AckLevel::kBuffered);
  life->RunTasks();
  life->Do([&] { return log.Rotate(); });
  life->Append("in the next", AckLevel::kDurable);
  const auto durable = log.positions().durable;
  life->Do([&]() -> Status {
    const auto done = log.Checkpoint(durable, "note");
    return done ? Status() : std::unexpected(done.error());
  });
  life->fence = durable;
  life->Do([&]() -> Status {
    const auto done = log.TruncateBefore(durable);
    return done ? Status() : std::unexpected(done.error());
  });
  life->Append("spans again" + std::string(30'000, 's'), AckLevel::kDurable);
  life->Do([&] { return log.Sync(); });
  life->Append("last", AckLevel::kBuffered);
  if (ends == Ends::kClosed) life->Do([&] { return log.Close(); });
}

// A segment that is begun by a unit that may be refused, and then left: by hand, or for the next
// one, because the unit that comes is too large for it.
void LiveAcrossSegments(Life* life, bool by_hand) {
  if (!life->Open()) return;
  life->Append("first" + std::string(900 << 10, '1'), AckLevel::kDurable);
  life->Append("second" + std::string(900 << 10, '2'), AckLevel::kDurable);
  if (by_hand) {
    life->Do([&] { return life->log().Rotate(); });
  } else {
    life->Append("third" + std::string(3 << 20, '3'), AckLevel::kDurable);
  }
  life->Append("after", AckLevel::kDurable);
}

// One unit in each of three segments; checkpoints that need all but the first of these units, the
// first checkpoint all but two if there are two; and a truncation that would take more.
void LiveByCheckpoints(Life* life, int checkpoints) {
  if (!life->Open()) return;
  auto& log = life->log();
  std::vector<Lsn> ends;
  for (const auto* unit : {"first", "second", "third"}) {
    life->Append(unit, AckLevel::kDurable);
    ends.push_back(log.positions().durable);
    life->Do([&] { return log.Rotate(); });
  }
  while (checkpoints-- > 0) {
    life->Do([&]() -> Status {
      auto done = log.Checkpoint(ends[static_cast<std::size_t>(checkpoints)]);
      return done ? Status() : std::unexpected(std::move(done).error());
    });
  }
  life->Do([&]() -> Status {
    auto done = log.TruncateBefore(log.positions().durable);
    return done ? Status() : std::unexpected(std::move(done).error());
  });
}

Units ReadBack(SimulatedDisk* disk, const char* dir = kDir) {
  Units units;
  const LogReplay keep = [&](const LogUnit& unit) {
    std::string bytes;
    for (const auto& record : unit.records) bytes += record.bytes;
    units[bytes] = unit.lsn;
    return Status();
  };
  const auto log = Log::Open(dir, {}, keep, {}, {.files = disk});
  EXPECT_TRUE(log) << log.error().message();
  return units;
}

void ExpectFates(const Life& life, SimulatedDisk* disk) {
  EXPECT_EQ(life.callbacks_left, 0);
  const auto units = ReadBack(disk);
  for (const auto& [unit, fate] : life.fates) {
    const auto kept = units.find(unit);
    const auto name = unit.substr(0, 20);
    if (fate.kind == Fate::kNotKept) {
      EXPECT_EQ(kept, units.end()) << name;
    } else if (fate.kind == Fate::kDurable && fate.lsn >= life.fence) {
      ASSERT_NE(kept, units.end()) << name;
      EXPECT_EQ(kept->second, fate.lsn) << name;
    }
  }
}

// Replay from the newest checkpoint finds what that needs.
void ExpectReplay(const Life& life, SimulatedDisk* disk) {
  bool second = false;
  const LogReplay look = [&second](const LogUnit& unit) {
    second = second || unit.records.front().bytes == "second";
    return Status();
  };
  const auto log = Log::Open(kDir, {}, look, {.from_checkpoint = true}, {.files = disk});
  ASSERT_TRUE(log) << log.error().message();
  const auto fate = life.fates.find("second");
  if (fate == life.fates.end() || fate->second.kind != Fate::kDurable) return;
  const auto& newest = (*log)->recovery().checkpoint;
  EXPECT_TRUE(second || !newest || newest->replay_from > fate->second.lsn);
}

Status Restore(LogArchive* archive, Files* files) {
  auto report = RestoreLog(archive, kRestored, {}, {.files = files});
  return report ? Status() : std::unexpected(std::move(report).error());
}

// Files, but the lock.
std::size_t LeftIn(SimulatedDisk* disk, const char* dir) {
  const auto entries = disk->List(dir);
  if (!entries) return 0;
  return static_cast<std::size_t>(
      std::ranges::count_if(*entries, [](const auto& entry) { return entry.name != "LOCK"; }));
}

bool OpensIn(SimulatedDisk* disk, const char* dir) {
  return Log::Open(dir, {.create_if_missing = false}, {}, {}, {.files = disk}).has_value();
}

class LogMemoryTest : public ::testing::Test {
 protected:
  LogMemoryTest() {
    options_.segment_bytes_max = kSegmentBytesMin;
    options_.sync_method = LogSyncMethod::kDsync;
  }
  ~LogMemoryTest() override { ::alarm(0); }

  // Calls `live` with the n-th request refused, alone and with all that follow, for every n there
  // is; then `check`.
  void ForEachRequest(const std::function<void()>& live, const std::function<void()>& check) {
    for (const auto more : {std::uint64_t{0}, kAllThatFollow}) {
      for (std::uint64_t n = 1;; ++n) {
        SCOPED_TRACE(fmt::format("request {} refused{}", n, more == 0 ? "" : ", and all others"));
        alone_ = more == 0;
        ::alarm(kHangSeconds);
        RefuseMemory(n, more);
        live();
        const auto requests = GrantMemory();
        check();
        if (HasFailure()) return;
        if (requests < n) {  // nobody made it
          std::printf("%llu requests\n", static_cast<unsigned long long>(requests));
          break;
        }
      }
    }
  }
  void LiveShortOfMemory(const std::function<void(Life*)>& live = [](Life* life) { Live(life); }) {
    std::unique_ptr<SimulatedDisk> disk;
    std::unique_ptr<Life> life;
    ForEachRequest(
        [&] {
          life.reset();
          disk = std::make_unique<SimulatedDisk>();
          life = std::make_unique<Life>(disk.get(), options_);
          InNewThread([&] {
            live(life.get());
            life->End();
          });
        },
        [&] {
          SeededRandom random(1);
          disk->Crash(Survival::kAllLost, &random);
          ExpectFates(*life, disk.get());
        });
  }
  void RecoverShortOfMemory();
  void ArchiveALife(SimulatedDisk* disk) {
    Life life(disk, options_);
    Live(&life, Ends::kKilled);
    const auto archive = NewFolderArchive(kArchive, {.files = disk});
    const auto archiver = LogArchiver::Open(&life.log(), kDir, archive.get(), {}, {.files = disk});
    ASSERT_TRUE(archiver && (*archiver)->ArchiveNow());
  }

  // 0, and the events of LiveByCheckpoints in which the file CHECKPOINT, or its name, is written or
  // synced.
  std::vector<std::uint64_t> EventsOfTheFile(int checkpoints) {
    SimulatedDisk disk;
    Life life(&disk, options_);
    LiveByCheckpoints(&life, checkpoints);
    const auto trace = disk.trace();
    std::vector<std::uint64_t> events = {0};
    for (std::size_t i = 1; i < trace.size(); ++i) {
      const bool of_name = trace[i].operation == "syncdir";
      if (trace[of_name ? i - 1 : i].path.ends_with("CHECKPOINT")) events.push_back(i + 1);
    }
    return events;
  }
  void CheckpointsShortOfMemory(int checkpoints, std::uint64_t failing_event) {
    const Error failure(ErrorKind::kUnavailable, "the device is out of memory", ErrorReason::kIo);
    std::unique_ptr<SimulatedDisk> disk;
    std::unique_ptr<Life> life;
    ForEachRequest(
        [&] {
          life.reset();
          disk = std::make_unique<SimulatedDisk>();
          if (failing_event > 0) disk->FailEvent(failing_event, failure);
          life = std::make_unique<Life>(disk.get(), options_);
          LiveByCheckpoints(life.get(), checkpoints);
          life->End();
        },
        [&] {
          if (disk->events() < failing_event) return;  // it would fail the look at what is left
          for (const auto survival : {Survival::kAllLost, Survival::kAllKept}) {
            const auto left = disk->Clone();
            SeededRandom random(1);
            left->Crash(survival, &random);
            ExpectReplay(*life, left.get());
          }
        });
  }

  LogOptions options_;
  bool alone_ = true;  // the request that is refused
};

TEST_F(LogMemoryTest, ALifeShortOfMemoryKeepsWhatItAcknowledged) { LiveShortOfMemory(); }

TEST_F(LogMemoryTest, ASegmentIsNotBegunForAUnitThatIsRefused) {
  options_.segment_bytes_max = 4 << 20;
  for (const bool by_hand : {true, false}) {
    LiveShortOfMemory([&](Life* life) { LiveAcrossSegments(life, by_hand); });
  }
}

TEST_F(LogMemoryTest, SoDoesOneThatCompressesInOneThread) {
  options_.compression = LogCompression::kZstd;
  options_.encode_mode = LogEncodeMode::kSerial;
  options_.recycled_segments_max = 0;
  LiveShortOfMemory();
}

TEST_F(LogMemoryTest, SoDoesOneThatCompressesAndComparesWithItsShadow) {
  options_.compression = LogCompression::kZstd;
  options_.encode_mode = LogEncodeMode::kShadow;
  options_.shadow_per_mille = 1000;
  LiveShortOfMemory();
}

TEST_F(LogMemoryTest, SoDoesOneThatLingersAndComparesWithItsShadow) {
  options_.linger_us = 10;
  options_.encode_mode = LogEncodeMode::kShadow;
  options_.sync_policy = LogSyncPolicy::kInterval;
  options_.sync_method = LogSyncMethod::kAuto;
  LiveShortOfMemory();
}

void LogMemoryTest::RecoverShortOfMemory() {
  SimulatedDisk lived;
  {
    Life life(&lived, options_);
    Live(&life, Ends::kKilled);
  }
  lived.KillProcess();
  const auto whole = ReadBack(lived.Clone().get());
  EXPECT_GE(whole.size(), 3u);
  for (const auto mode : {RecoveryMode::kStrict, RecoveryMode::kTolerateTail,
                          RecoveryMode::kPointInTime}) {
    std::unique_ptr<SimulatedDisk> disk;
    ForEachRequest(
        [&] {
          disk = lived.Clone();
          Life life(disk.get(), options_);
          InNewThread([&] { life.Do([&] { return life.Open({.mode = mode}); }); });
        },
        [&] { EXPECT_EQ(ReadBack(disk.get()), whole); });
  }
}

TEST_F(LogMemoryTest, RecoveryShortOfMemoryCutsNothing) { RecoverShortOfMemory(); }

TEST_F(LogMemoryTest, NorDoesThatOfACompressedLog) {
  options_.compression = LogCompression::kZstd;
  RecoverShortOfMemory();
}

TEST_F(LogMemoryTest, CheckpointsShortOfMemoryHoldTruncationBack) {
  for (const int checkpoints : {1, 2}) {
    for (const auto failing : EventsOfTheFile(checkpoints)) {
      SCOPED_TRACE(fmt::format("{} checkpoints, event {} fails", checkpoints, failing));
      CheckpointsShortOfMemory(checkpoints, failing);
    }
  }
}

// What cannot be removed either, for want of memory, is no log, or the whole one.
TEST_F(LogMemoryTest, ARestoreShortOfMemoryIsTakenBack) {
  SimulatedDisk lived;
  ArchiveALife(&lived);
  const auto whole = ReadBack(lived.Clone().get());
  std::unique_ptr<SimulatedDisk> disk;
  Status restored;
  const auto restore = [&] {
    disk = lived.Clone();
    HungryFiles files(disk.get());
    const auto archive = NewFolderArchive(kArchive, {.files = &files});
    InNewThread([&] { restored = Ration([&] { return Restore(archive.get(), &files); }); });
  };
  ForEachRequest(restore, [&] {
    if (restored) return;
    EXPECT_NE(restored.error().message().find(kWhy), std::string::npos);
    EXPECT_TRUE(!alone_ || LeftIn(disk.get(), kRestored) == 0);
    EXPECT_TRUE(!OpensIn(disk.get(), kRestored) || ReadBack(disk.get(), kRestored) == whole);
  });
  ASSERT_TRUE(restored);
  EXPECT_EQ(ReadBack(disk.get(), kRestored), whole);
}

// Frames are as large as what may come into them, or few of them are many bytes.
TEST_F(LogMemoryTest, TheQueueCountsTheMemoryOfItsFrames) {
  constexpr std::uint64_t kQueue = 8u << 20;
  options_.segment_bytes_max = 64u << 20;
  options_.queue_bytes_max = kQueue;
  options_.group_units_max = 1;
  options_.sync_policy = LogSyncPolicy::kNever;
  SimulatedDisk disk;
  Life life(&disk, options_);
  ASSERT_TRUE(life.Open());
  RefuseMemory(0, 0);
  for (int i = 0; i < 1000; ++i) life.Enqueue("small");
  GrantMemory();
  EXPECT_LT(LargeBytesGranted(), 2 * kQueue);
}

TEST(ThreadPoolTest, GoesOnWithTheThreadsThatCouldBeMade) {
  LimitThreads(1);
  std::atomic<int> ran = 0;
  {
    ThreadPool pool(3);
    for (int i = 0; i < 10; ++i) pool.Submit([&ran] { ++ran; });
  }
  GrantThreads();
  EXPECT_EQ(ran, 10);
}

TEST_F(LogMemoryTest, ALogThatCanMakeNoThreadSaysSo) {
  SimulatedDisk disk;
  LimitThreads(0);
  const auto refused = Log::Open(kDir, options_, {}, {}, {.files = &disk});
  GrantThreads();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind(), ErrorKind::kUnavailable);
  EXPECT_NE(refused.error().message().find("thread"), std::string::npos);
  EXPECT_TRUE(Log::Open(kDir, options_, {}, {}, {.files = &disk}));
}

TEST_F(LogMemoryTest, AnArchiverThatCanMakeNoThreadSaysSo) {
  SimulatedDisk disk;
  Life life(&disk, options_);
  ASSERT_TRUE(life.Open());
  const auto archive = NewFolderArchive(kArchive, {.files = &disk});
  LimitThreads(0);
  const auto refused = LogArchiver::Open(&life.log(), kDir, archive.get(), {}, {.files = &disk});
  GrantThreads();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind(), ErrorKind::kUnavailable);
  EXPECT_NE(refused.error().message().find("thread"), std::string::npos);
  EXPECT_TRUE(LogArchiver::Open(&life.log(), kDir, archive.get(), {}, {.files = &disk}));
}

}  // namespace
}  // namespace varve::testing
