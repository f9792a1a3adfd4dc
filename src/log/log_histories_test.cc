// SPDX-License-Identifier: Apache-2.0
// Logs whose beginning or end was chosen: the oldest objects of the archive are gone, it is
// restored up to a position, damage is cut off, replay starts late. Whatever the beginning and the
// end, the log goes on, and opens again.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "log/archive_fixture.h"
#include "varve/log_reader.h"

namespace varve {
namespace {

using testing::kArchiveDir;
using testing::kLogDir;
using testing::LogArchiveTest;
using testing::SeenUnit;

class LogHistoriesTest : public LogArchiveTest {
 protected:
  // A unit, one that spans several segments, and one more.
  void MakeLongUnit() {
    OpenLogAndArchiver();
    Append("before");
    long_ = Append(std::string(200'000, 'L'));
    Append("after");
    ASSERT_GE(log_->stats().segments.size(), 4u);
  }
  // The segments from `first` on, in a folder of their own, as a log that was truncated.
  std::string CopyFrom(std::uint64_t first) {
    const auto dir = "copy" + std::to_string(++copies_);
    EXPECT_TRUE(files_->CreateDirectories(dir));
    for (const auto& name : Names()) {
      const auto sequence = std::strtoull(name.c_str(), nullptr, 16);
      if (name.ends_with(".log") && sequence >= first) {
        Put(JoinPath(dir, name), Bytes(JoinPath(kLogDir, name)));
      }
    }
    return dir;
  }
  std::vector<SeenUnit> ReadByCursor(const std::string& dir) {
    std::vector<SeenUnit> units;
    const auto cursor = LogCursor::Open(dir, {.keys = options_.keys}, World());
    if (!cursor) {
      ADD_FAILURE() << cursor.error().message();
      return units;
    }
    while (true) {
      const auto unit = (*cursor)->Next();
      if (!unit) ADD_FAILURE() << unit.error().message();
      if (!unit || !*unit) return units;
      SeenUnit seen{(*unit)->lsn, {}};
      for (const auto& record : (*unit)->records) seen.records.emplace_back(record.bytes);
      units.push_back(std::move(seen));
    }
  }
  // It holds `units`, takes more, is killed, and holds them all; and again.
  void ExpectGoesOn(const std::string& dir, std::vector<SeenUnit> units,
                    const RecoveryOptions& at_first = {}) {
    for (int life = 0; life < 3; ++life) {
      std::vector<SeenUnit> seen;
      std::swap(seen, replayed_);
      auto log = Log::Open(dir, options_, Remember(), life == 0 ? at_first : RecoveryOptions(),
                           World());
      std::swap(seen, replayed_);
      ASSERT_TRUE(log) << "life " << life << ": " << log.error().message();
      ASSERT_EQ(seen, units) << "life " << life;
      const auto ack = (*log)->Append({"goes on"});
      ASSERT_TRUE(ack) << ack.error().message();
      units.push_back({ack->lsn, {"goes on"}});
    }
    ASSERT_EQ(Read(dir), units);
    ASSERT_EQ(ReadByCursor(dir), units);
    const auto verified = VerifyLog(dir, World(), options_.keys);
    ASSERT_TRUE(verified) << verified.error().message();
    for (const auto& damage : verified->damages) ADD_FAILURE() << damage.message;
  }

  LogAck long_;
  int copies_ = 0;
};

TEST_F(LogHistoriesTest, AnArchiveWithoutItsOldestObjectsThatEndsInsideAUnitIsRestoredAndGoesOn) {
  MakeLongUnit();
  Archive(LogArchiveExtent::kSealed);
  const auto whole = ObjectsLike(".log");
  for (std::size_t i = 0; i + 1 < whole.size(); ++i) {
    ASSERT_TRUE(files_->Remove(JoinPath(kArchiveDir, whole[i])));
    SCOPED_TRACE(i);
    ASSERT_TRUE(Restore().empty());
    ExpectGoesOn(restored_, {});
  }
}

TEST_F(LogHistoriesTest, ARestoreUpToAPositionInsideTheFirstUnitGoesOn) {
  MakeLongUnit();
  Archive();
  ASSERT_TRUE(files_->Remove(JoinPath(kArchiveDir, ObjectsLike(".log").front())));
  const auto base = log_->stats().segments[1].base;
  for (Lsn until = base; until < long_.end; until.value += 8 * kLogBlock) {
    SCOPED_TRACE(until.value);
    ASSERT_TRUE(Restore(until).empty());
    ExpectGoesOn(restored_, {});
  }
  ASSERT_TRUE(Restore(long_.end).empty());
  ExpectGoesOn(restored_, {});
  ASSERT_EQ(Restore().size(), 1u);
  ExpectGoesOn(restored_, {appended_.back()});
}

TEST_F(LogHistoriesTest, APointInTimeCutInsideTheFirstUnitGoesOn) {
  MakeLongUnit();
  const auto segments = log_->stats().segments;
  KillAll();
  for (std::uint64_t first = 2; first <= segments.size(); ++first) {
    for (auto damaged = first; damaged <= segments.size(); ++damaged) {
      SCOPED_TRACE(std::to_string(first) + ", cut in " + std::to_string(damaged));
      const auto dir = CopyFrom(first);
      Overwrite(JoinPath(dir, segments[damaged - 1].name), kFirstGroupOffset + 70, "flip");
      ExpectGoesOn(dir, {}, {.mode = RecoveryMode::kPointInTime});
    }
  }
}

// The log ends inside a unit, and replay begins inside the same one.
TEST_F(LogHistoriesTest, AReplayFromInsideAUnitThatNeverEndsGoesOn) {
  MakeLongUnit();
  const auto segments = log_->stats().segments;
  ASSERT_LT(segments.back().base, long_.end) << "the unit ends in the last segment";
  KillAll();
  Overwrite(PathOf(segments.size()), kFirstGroupOffset + 70, "flip");
  for (std::size_t i = 1; i < segments.size(); ++i) {
    SCOPED_TRACE(i);
    const auto dir = CopyFrom(1);
    const RecoveryOptions late{.mode = RecoveryMode::kPointInTime, .replay_from = segments[i].base};
    auto log = Log::Open(dir, options_, {}, late, World());
    ASSERT_TRUE(log) << log.error().message();
    log->reset();
    ExpectGoesOn(dir, {appended_.front()});
  }
}

}  // namespace
}  // namespace varve
