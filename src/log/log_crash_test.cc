// SPDX-License-Identifier: Apache-2.0
// A scripted life of a log, cut at every event of the disk, with every way that a power cut may
// leave what was not synced.
//
// The oracle: what comes back is a prefix of the order of appends, by units, with the positions and
// bytes that were given out; it holds every unit that was acknowledged as durable; recovering again
// gives the same; and no position is ever given out twice.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/executor.h"
#include "base/random.h"
#include "files/simulated_disk.h"
#include "log/log_fixture.h"
#include "test/support/seed.h"
#include "varve/log.h"
#include "varve/log_reader.h"

namespace varve {
namespace {

using testing::SeenUnit;

struct Promise {
  SeenUnit unit;
  bool durable = false;  // acknowledged as such
};

// What the world may expect of the log. Copied, to try many crashes from one moment.
struct Oracle {
  std::vector<Promise> order;
  Lsn fence;    // everything before it may be gone
  Lsn highest;  // ever given out

  // Gives what is wrong.
  std::string Judge(const std::vector<SeenUnit>& seen) const {
    std::size_t at = 0;
    if (!seen.empty()) {
      while (at < order.size() && order[at].unit.lsn < seen[0].lsn) ++at;
      for (std::size_t i = 0; i < at; ++i) {
        if (order[i].unit.lsn >= fence) return "a unit after the fence is missing at the start";
      }
    }
    for (const auto& unit : seen) {
      if (at >= order.size()) return "a unit that was never appended";
      if (!(order[at].unit == unit)) {
        return "unit " + std::to_string(at) + " differs: expected LSN " +
               std::to_string(order[at].unit.lsn.value) + ", found " +
               std::to_string(unit.lsn.value);
      }
      ++at;
    }
    for (; at < order.size(); ++at) {
      if (order[at].durable && order[at].unit.lsn >= fence) {
        return "the durable unit at LSN " + std::to_string(order[at].unit.lsn.value) + " is lost";
      }
    }
    return "";
  }

  // From now on exactly these are promised, for good.
  void Adopt(const std::vector<SeenUnit>& seen) {
    order.clear();
    for (const auto& unit : seen) order.push_back({unit, true});
  }
};

// One process after another working with one log on one disk.
class Life {
 public:
  Life(SimulatedDisk* disk, Oracle oracle, std::uint64_t seed)
      : disk_(disk), oracle_(std::move(oracle)), random_(seed) {}

  // Each gives false when the disk failed; then the life is over.
  bool Open() {
    log_.reset();
    std::vector<SeenUnit> seen;
    const auto replay = [&seen](const LogUnit& unit) {
      std::vector<std::string> records;
      for (const auto& record : unit.records) records.emplace_back(record.bytes);
      seen.push_back({unit.lsn, std::move(records)});
      return Status();
    };
    auto log = Log::Open("wal", {.segment_bytes_max = 64 << 10}, replay, {},
                         {disk_, &clock_, &random_, &executor_});
    if (!log) {
      error_ = log.error();
      return false;
    }
    log_ = *std::move(log);
    if (auto wrong = oracle_.Judge(seen); !wrong.empty()) ADD_FAILURE() << wrong;
    oracle_.Adopt(seen);
    return true;
  }
  std::optional<LogTicket> Enqueue(std::vector<std::string> records) {
    const auto ticket = log_->Enqueue(testing::RecordsOf(records));
    if (!ticket) {
      error_ = ticket.error();
      return {};
    }
    EXPECT_GE(ticket->lsn, oracle_.highest) << "a position was given out twice";
    oracle_.highest = ticket->end;
    oracle_.order.push_back({{ticket->lsn, std::move(records)}});
    return *ticket;
  }
  bool Append(std::vector<std::string> records, AckLevel level = AckLevel::kDurable) {
    const auto ticket = Enqueue(std::move(records));
    return ticket && Wait(*ticket, level);
  }
  bool Wait(const LogTicket& ticket, AckLevel level = AckLevel::kDurable) {
    const auto ack = log_->Wait(ticket, level);
    if (!ack) {
      error_ = ack.error();
      return false;
    }
    NoteDurable();
    return true;
  }
  bool Background() {
    executor_.RunAll();
    NoteDurable();
    return !disk_->crashed();
  }
  bool Rotate() { return Did(log_->Rotate()); }
  // Keeps the last `units` at least.
  bool TruncateAllBut(std::size_t units) {
    oracle_.fence = std::max(oracle_.fence, oracle_.order[oracle_.order.size() - units].unit.lsn);
    const auto truncated = log_->TruncateBefore(oracle_.fence);
    return Did(truncated ? Status() : std::unexpected(truncated.error()));
  }
  bool Close() {
    const bool closed = Did(log_->Close());
    if (closed) {
      for (auto& promise : oracle_.order) promise.durable = true;
    }
    log_.reset();
    return closed;
  }
  bool Kill() {
    log_.reset();
    executor_.RunAll();
    return true;
  }
  void NoteDurable() {
    const auto durable = log_->positions().durable;
    for (auto& promise : oracle_.order) promise.durable |= promise.unit.lsn < durable;
  }

  const Oracle& oracle() const { return oracle_; }
  const std::optional<Error>& error() const { return error_; }

 private:
  bool Did(const Status& status) {
    if (!status) error_ = status.error();
    return status.has_value();
  }

  SimulatedDisk* const disk_;
  Oracle oracle_;
  ManualClock clock_;
  SeededRandom random_;
  ManualExecutor executor_;
  std::unique_ptr<Log> log_;
  std::optional<Error> error_;
};

std::string Text(char letter, std::size_t size) {
  std::string text(size, letter);
  for (std::size_t i = 0; i < size; i += 7) text[i] = static_cast<char>(i);
  return text;
}

// First process: small and shared groups, all ack levels, a unit over several segments, segments
// made ahead.
bool FirstProcess(Life* life) {
  if (!life->Open() || !life->Append({"first"}) || !life->Append({"a", "", "b"})) return false;
  const auto one = life->Enqueue({"shared 1"});
  const auto two = life->Enqueue({Text('s', 5'000)});
  if (!one || !two || !life->Wait(*one) || !life->Wait(*two)) return false;
  if (!life->Append({"buffered"}, AckLevel::kBuffered) || !life->Background()) return false;
  if (!life->Append({"written"}, AckLevel::kWritten)) return false;
  if (!life->Append({Text('w', 9'000)}, AckLevel::kWritten) || !life->Append({"on top"})) {
    return false;
  }
  for (int i = 0; i < 4; ++i) {
    if (!life->Append({Text('f', 9'000)}) || !life->Background()) return false;
  }
  if (!life->Append({Text('B', 100'000), Text('C', 20'000)}) || !life->Background()) return false;
  return life->Append({"lost with the process"}, AckLevel::kBuffered) && life->Kill();
}

// Second: rotation, truncation, a clean close. Third: a unit that is cut in its middle by the end.
bool LaterProcesses(Life* life) {
  if (!life->Open() || !life->Append({"second"}) || !life->Rotate()) return false;
  if (!life->Append({"after rotate"}) || !life->TruncateAllBut(2)) return false;
  if (!life->Append({Text('t', 30'000)}, AckLevel::kWritten) || !life->Close()) return false;
  if (!life->Open() || !life->Append({"third"}, AckLevel::kWritten)) return false;
  if (!life->Append({Text('D', 150'000)}, AckLevel::kWritten)) return false;
  if (!life->Append({"end"}, AckLevel::kWritten) || !life->Kill()) return false;
  return life->Open() && life->Append({"last"}) && life->Close();
}

bool WholeLife(Life* life) { return FirstProcess(life) && LaterProcesses(life); }

// Opens twice and appends: everything the oracle asks for, and a log that works on.
void ExpectSoundAndUsable(SimulatedDisk* disk, const Oracle& oracle) {
  Life life(disk, oracle, 77);
  ASSERT_TRUE(life.Open()) << life.error()->message();
  ASSERT_TRUE(life.Kill() && life.Open()) << life.error()->message();
  ASSERT_TRUE(life.Append({"new"}) && life.Append({Text('N', 70'000)})) << life.error()->message();
  SeededRandom random(3);
  disk->Crash(Survival::kAllLost, &random);
  life.Kill();
  ASSERT_TRUE(life.Open() && life.Close()) << life.error()->message();
  const auto verified = VerifyLog("wal", {disk});
  ASSERT_TRUE(verified) << verified.error().message();
  for (const auto& damage : verified->damages) {
    ADD_FAILURE() << damage.file << " " << damage.offset << " " << damage.message;
  }
}

std::uint64_t EventsOfAWholeLife() {
  SimulatedDisk disk;
  Life life(&disk, {}, 5);
  EXPECT_TRUE(WholeLife(&life)) << (life.error() ? life.error()->message() : "");
  return disk.events();
}

std::string TraceOf(SimulatedDisk* disk, std::uint64_t event, Survival survival) {
  const auto trace = disk->trace();
  const auto& at = trace[std::min<std::size_t>(event, trace.size()) - 1];
  return "event " + std::to_string(event) + " (" + at.operation + " " + at.path + "), " +
         std::string(ToString(survival));
}

TEST(LogCrash, L1_L2_R4_F10_F11_EveryEventOfALifeAndEveryWayToLoseBytes) {
  const auto seed = testing::TestSeed(5);
  SCOPED_TRACE(testing::SeedTrace(seed));
  const auto events = EventsOfAWholeLife();
  ASSERT_GT(events, 100u);
  for (std::uint64_t event = 1; event <= events; ++event) {
    SimulatedDisk disk;
    disk.CrashAtEvent(event);
    Life life(&disk, {}, 5);
    ASSERT_FALSE(WholeLife(&life));
    for (const auto survival : kAllSurvivals) {
      SCOPED_TRACE(TraceOf(&disk, event, survival));
      const auto copy = disk.Clone();
      SeededRandom random(seed * 1000 + event);
      copy->Crash(survival, &random);
      ExpectSoundAndUsable(copy.get(), life.oracle());
      if (::testing::Test::HasFailure()) return;
    }
  }
}

// The crash of a crash: recovery and the first appends after it are cut too, three deep.
TEST(LogCrash, CrashesDuringRecoveryConverge) {
  const auto seed = testing::TestSeed(9);
  SCOPED_TRACE(testing::SeedTrace(seed));
  const auto events = EventsOfAWholeLife();
  SeededRandom random(seed);
  for (int round = 0; round < 300; ++round) {
    auto disk = std::make_unique<SimulatedDisk>();
    disk->CrashAtEvent(1 + random.Below(events));
    Oracle oracle;
    std::string story;
    for (int depth = 0; depth < 3; ++depth) {
      Life life(disk.get(), oracle, random.Next());
      WholeLife(&life);
      const auto survival = kAllSurvivals[random.Below(std::size(kAllSurvivals))];
      story += TraceOf(disk.get(), disk->events(), survival) + "; ";
      disk->Crash(survival, &random);
      oracle = life.oracle();
      disk->CrashAtEvent(disk->events() + 1 + random.Below(20));
    }
    disk->CrashAtEvent(0);
    SCOPED_TRACE(story);
    ExpectSoundAndUsable(disk.get(), oracle);
    if (::testing::Test::HasFailure()) return;
  }
}

// The sync of a truncation fails, the process ends, the next one truncates more and the power goes:
// the first segment must not be back while the second is gone.
TEST(LogCrash, ATruncationThatWasCutShortLeavesNoHole) {
  SimulatedDisk disk;
  Life life(&disk, {}, 5);
  ASSERT_TRUE(life.Open());
  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE(life.Append({"unit"}) && life.Rotate());
  }
  disk.FailEvent(disk.events() + 2, Error(ErrorKind::kUnavailable, "injected", ErrorReason::kIo));
  EXPECT_FALSE(life.TruncateAllBut(3));
  ASSERT_TRUE(life.Kill() && life.Open());
  disk.CrashAtEvent(disk.events() + 2);
  EXPECT_FALSE(life.TruncateAllBut(1));
  for (int seed = 0; seed < 50; ++seed) {
    const auto copy = disk.Clone();
    SeededRandom random(seed);
    copy->Crash(Survival::kRandomSectors, &random);
    ExpectSoundAndUsable(copy.get(), life.oracle());
    if (::testing::Test::HasFailure()) return;
  }
}

// No room for a segment: that unit is not kept, the log works on, and again when there is room.
TEST(LogFault, L2_AFullDiskRefusesTheUnitAndStopsNothing) {
  SimulatedDisk disk;
  Life life(&disk, {}, 5);
  ASSERT_TRUE(life.Open() && life.Append({"one"}));
  disk.SetCapacity(150'000);
  EXPECT_FALSE(life.Append({Text('b', 300'000)}));
  EXPECT_EQ(life.error()->reason(), ErrorReason::kNoSpace) << life.error()->message();
  ASSERT_TRUE(life.Append({"still room in this segment"})) << life.error()->message();
  disk.SetCapacity(UINT64_MAX);
  ASSERT_TRUE(life.Append({Text('b', 300'000)})) << life.error()->message();
  ASSERT_TRUE(life.Append({"after"}) && life.Kill());
  ExpectSoundAndUsable(&disk, life.oracle());
}

// Each event fails once, without a crash. The log may stop; reopening shows all that was
// acknowledged; and a power cut after that loses nothing of what the reopening showed.
TEST(LogFault, R10_R11_L5_L7_EveryEventFailingOnceLosesNothingThatWasAcknowledged) {
  const auto events = EventsOfAWholeLife();
  for (const auto reason : {ErrorReason::kIo, ErrorReason::kNoSpace}) {
    for (std::uint64_t event = 1; event <= events; ++event) {
      SimulatedDisk disk;
      disk.FailEvent(event, Error(ErrorKind::kUnavailable, "injected", reason));
      Life life(&disk, {}, 5);
      WholeLife(&life);
      life.Kill();
      SCOPED_TRACE(TraceOf(&disk, std::min(event, disk.events()), Survival::kAllKept));
      ExpectSoundAndUsable(&disk, life.oracle());
      if (::testing::Test::HasFailure()) return;
    }
  }
}

// As before, and the power goes after the failure.
TEST(LogFault, R11_AFailedSyncThenAPowerCutLosesNothingThatWasAcknowledged) {
  const auto events = EventsOfAWholeLife();
  for (std::uint64_t event = 1; event <= events; ++event) {
    SimulatedDisk disk;
    disk.FailEvent(event, Error(ErrorKind::kUnavailable, "injected", ErrorReason::kIo));
    Life life(&disk, {}, 5);
    WholeLife(&life);
    for (const auto survival : kAllSurvivals) {
      SCOPED_TRACE(TraceOf(&disk, std::min(event, disk.events()), survival));
      const auto copy = disk.Clone();
      SeededRandom random(event);
      copy->Crash(survival, &random);
      ExpectSoundAndUsable(copy.get(), life.oracle());
      if (::testing::Test::HasFailure()) return;
    }
  }
}

}  // namespace
}  // namespace varve
