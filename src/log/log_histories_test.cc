// SPDX-License-Identifier: Apache-2.0
// Logs whose beginning or end was chosen: the oldest objects of the archive are gone, it is
// restored up to a position, damage is cut off, replay starts late. Whatever the beginning and the
// end, the log goes on, and opens again.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
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

// Another key for each segment.
class ManyKeys final : public KeyProvider {
 public:
  Result<std::string> CurrentKeyId() override { return "key " + std::to_string(++count_); }
  Result<std::string> Key(std::string_view id) override {
    return std::string(32, static_cast<char>('A' + id.back() % 32));
  }

 private:
  int count_ = 0;
};

class LogHistoriesTest : public LogArchiveTest {
 protected:
  void TearDown() override { KillAll(); }  // the log uses the keys
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
  std::vector<SeenUnit> ReadByCursor(const std::string& dir, Lsn from = {}) {
    std::vector<SeenUnit> units;
    const auto cursor = LogCursor::Open(dir, {.from = from, .keys = options_.keys}, World());
    if (!cursor) {
      ADD_FAILURE() << cursor.error().message();
      return units;
    }
    while (true) {
      const auto unit = (*cursor)->Next();
      if (!unit) ADD_FAILURE() << unit.error().message();
      if (!unit || !*unit) return units;
      units.push_back(Seen(**unit));
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

  std::string Noise(std::size_t bytes) {
    std::string noise(bytes, '\0');
    for (auto& byte : noise) byte = static_cast<char>(random_.Next());
    return noise;
  }
  void Reopen() {
    KillAll();
    OpenLogAndArchiver();
  }
  std::unique_ptr<LogCursor> NewFollower(AckLevel level = AckLevel::kWritten) {
    auto cursor = LogCursor::Open(
        kLogDir, {.level = level, .follow = true, .keys = options_.keys}, World());
    if (!cursor) ADD_FAILURE() << cursor.error().message();
    return cursor ? *std::move(cursor) : nullptr;
  }
  // Up to `count` units, or to the end.
  std::vector<SeenUnit> ReadOn(LogCursor* cursor, int count) {
    std::vector<SeenUnit> units;
    while (count-- > 0) {
      const auto unit = cursor->Next();
      if (!unit) ADD_FAILURE() << unit.error().message();
      if (!unit || !*unit) break;
      units.push_back(Seen(**unit));
    }
    return units;
  }
  static SeenUnit Seen(const LogUnit& unit) {
    SeenUnit seen{unit.lsn, {}};
    for (const auto& record : unit.records) seen.records.emplace_back(record.bytes);
    return seen;
  }
  // The log in `dir` opens, takes units, and an archiver ships it, or refuses it.
  std::vector<SeenUnit> GoOnAndArchive(const std::string& dir, int count, bool taken) {
    {
      auto log = Log::Open(dir, options_, {}, {}, World());
      EXPECT_TRUE(log) << log.error().message();
      for (int i = 0; i < count; ++i) EXPECT_TRUE((*log)->Append({dir + std::string(5'000, 'x')}));
      const auto archiver = LogArchiver::Open(log->get(), dir, archive_.get(), {}, World());
      EXPECT_TRUE(archiver);
      const auto done = (*archiver)->ArchiveNow();
      EXPECT_EQ(done.has_value(), taken) << (done ? "" : done.error().message());
      EXPECT_TRUE(done || done.error().kind() == ErrorKind::kCorruption) << done.error().message();
    }
    return Read(dir);
  }
  void ExpectArchivedAndRestored(const std::string& dir) {
    NewArchive(dir + ".archive");
    const auto units = GoOnAndArchive(dir, 1, true);
    ASSERT_EQ(Restore(), units);
    ExpectGoesOn(restored_, units);
  }

  LogAck long_;
  int copies_ = 0;
  ManyKeys keys_;
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

TEST_F(LogHistoriesTest, EachSegmentWithAKeyOfItsOwnIsRestoredUpToEachUnit) {
  options_.keys = &keys_;
  for (const auto compression : {LogCompression::kNone, LogCompression::kZstd}) {
    NewWorld();
    options_.compression = compression;
    OpenLogAndArchiver();
    std::vector<Lsn> ends;
    for (int i = 0; i < 4; ++i) {
      ends.push_back(Append("small " + std::to_string(i)).end);
      ends.push_back(Append(Noise(i % 2 == 0 ? 150'000 : 30'000)).end);
      if (i % 2 == 0) Reopen();
    }
    Archive();
    for (std::size_t i = 0; i < ends.size(); ++i) {
      SCOPED_TRACE(i);
      const auto count = static_cast<std::ptrdiff_t>(i) + 1;
      const std::vector<SeenUnit> wanted(appended_.begin(), appended_.begin() + count);
      ASSERT_EQ(Restore(ends[i]), wanted);
      ExpectGoesOn(restored_, wanted);
    }
  }
}

TEST_F(LogHistoriesTest, ACursorOverALogThatBeginsInsideAUnitGivesWhatFollowsIt) {
  MakeLongUnit();
  const auto segments = log_->stats().segments;
  KillAll();
  const std::vector<SeenUnit> after{appended_.back()};
  for (std::size_t first = 2; first <= segments.size(); ++first) {
    const auto dir = CopyFrom(first);
    EXPECT_EQ(ReadByCursor(dir), after);
    for (auto from = long_.lsn.value + 1; from <= appended_.back().lsn.value; from += 4'001) {
      SCOPED_TRACE(std::to_string(first) + ", from LSN " + std::to_string(from));
      ASSERT_EQ(ReadByCursor(dir, {from}), after);
    }
    EXPECT_EQ(LogCursor::Open(dir, {.from = long_.lsn}, World()).error().kind(),
              ErrorKind::kNotFound);
  }
}

// The archive ends with a segment that a recovery cut inside a unit; so the restore leaves it out.
TEST_F(LogHistoriesTest, PositionsOfSegmentsThatARestoreLeavesOutAreNotGivenOutAgain) {
  MakeLongUnit();
  const auto last = Append("cut off").end;
  KillAll();
  Overwrite(PathOf(3), kFirstGroupOffset + 70, "flip");
  Open({.mode = RecoveryMode::kPointInTime});
  OpenArchiver();
  Archive(LogArchiveExtent::kSealed);
  ASSERT_EQ(ObjectsLike(".log").size(), 3u);
  const auto end = log_->stats().segments[2].end;
  ASSERT_EQ(Restore(), std::vector<SeenUnit>{appended_.front()});
  const auto log = Log::Open(restored_, options_, {}, {}, World());
  ASSERT_TRUE(log) << log.error().message();
  const auto more = (*log)->Append({"goes on"});
  ASSERT_TRUE(more);
  EXPECT_GE(more->lsn, end);
  EXPECT_GT(last, end);
}

// As a crash leaves it: everything behind a block is zeros, or was never written.
TEST_F(LogHistoriesTest, ALogThatEndsAnywhereInAUnitOfManySegmentsGoesOnAndIsArchived) {
  MakeLongUnit();
  const auto segments = log_->stats().segments;
  KillAll();
  const std::vector<SeenUnit> before{appended_.front()};
  for (std::size_t last = 1; last + 1 < segments.size(); ++last) {
    const auto name = segments[last].name;
    for (auto at = kFirstGroupOffset; at < segments[last].file_bytes; at += 5 * kLogBlock) {
      SCOPED_TRACE(name + ", zeros from " + std::to_string(at));
      const auto dir = CopyFrom(1);
      for (auto i = last + 1; i < segments.size(); ++i) {
        ASSERT_TRUE(files_->Remove(JoinPath(dir, segments[i].name)));
      }
      auto bytes = Bytes(JoinPath(dir, name)).substr(0, at);
      bytes.resize(64 << 10);
      Put(JoinPath(dir, name), bytes);
      ExpectGoesOn(dir, before);
      ExpectArchivedAndRestored(dir);
    }
  }
}

TEST_F(LogHistoriesTest, AFollowerIsToldOfACutAndOneBehindItGoesOn) {
  for (std::uint64_t damaged = 1; damaged <= 4; ++damaged) {
    SCOPED_TRACE(damaged);
    NewWorld();
    MakeLongUnit();
    for (int i = 0; i < 3; ++i) Append("more " + std::to_string(i));
    auto beyond = NewFollower();
    auto behind = NewFollower();
    ASSERT_EQ(ReadOn(beyond.get(), 100), appended_);
    ASSERT_EQ(ReadOn(behind.get(), 1).size(), 1u);
    KillAll();
    Overwrite(PathOf(damaged), (damaged == 1 ? 12'288 : kFirstGroupOffset) + 70, "flip");
    Open({.mode = RecoveryMode::kPointInTime});
    appended_.resize(1);
    ExpectEverythingBack();
    for (int i = 0; i < 20; ++i) Append("after the cut " + std::string(9'000, 'a'));
    EXPECT_EQ(beyond->Next().error().kind(), ErrorKind::kConflict);
    EXPECT_EQ(ReadOn(behind.get(), 100),
              std::vector<SeenUnit>(appended_.begin() + 1, appended_.end()));
    Append("and one more");
    EXPECT_EQ(ReadOn(behind.get(), 100), std::vector<SeenUnit>{appended_.back()});
  }
}

// Both go on from the same point; the archive takes one of them.
TEST_F(LogHistoriesTest, OfTwoRestoredLogsTheArchiveTakesTheFirstThatGoesOn) {
  for (const auto extent : {LogArchiveExtent::kSealed, LogArchiveExtent::kTail}) {
    for (const bool partly : {false, true}) {
      SCOPED_TRACE(partly);
      NewWorld();
      OpenLogAndArchiver();
      Fill(10);
      if (partly) {
        ASSERT_TRUE(log_->Rotate());
      }
      Archive(extent);
      KillAll();
      const auto common = Restore();
      const auto first = restored_;
      ASSERT_EQ(Restore(), common);
      const auto units = GoOnAndArchive(first, 3, true);
      const auto objects = Objects();
      (void)GoOnAndArchive(restored_, 3, false);
      (void)GoOnAndArchive(restored_, 20, false);
      EXPECT_EQ(Objects(), objects);
      EXPECT_EQ(Restore(), units);
      const auto more = GoOnAndArchive(first, 20, true);
      EXPECT_EQ(Restore(), more);
    }
  }
}

// A random life of a log, its archive and a follower.
class LogHistoriesWalk : public LogHistoriesTest {
 protected:
  std::uint64_t Below(std::uint64_t limit) { return random_.Next() % limit; }
  void Begin() {
    NewWorld();
    ends_.clear();
    options_.keys = Below(2) == 0 ? &keys_ : nullptr;
    options_.recycled_segments_max = Below(3);
    OpenLogAndArchiver();
    Follow();
  }
  void Add(std::size_t bytes) { ends_.push_back(Append(Noise(bytes)).end); }
  // A follower from the oldest unit on.
  void Follow() {
    follower_ = NewFollower();
    gave_ = false;
    const auto first = log_->stats().first;
    next_ = 0;
    while (next_ < ends_.size() && appended_[next_].lsn < first) ++next_;
  }
  // It gives what follows, or is told that this is gone.
  void ReadOn() {
    while (true) {
      const auto unit = follower_->Next();
      if (!unit) {
        const bool truncated = unit.error().kind() == ErrorKind::kNotFound &&
                               next_ < ends_.size() &&
                               appended_[next_].lsn < log_->stats().first;
        const bool lost = unit.error().kind() == ErrorKind::kConflict && lost_;
        ASSERT_TRUE(truncated || lost) << unit.error().message();
        lost_ = false;
        Follow();
        continue;
      }
      if (!*unit) break;
      ASSERT_FALSE(lost_) << "units were lost, and it goes on";
      ASSERT_LT(next_, appended_.size());
      ASSERT_EQ(Seen(**unit), appended_[next_]);
      ++next_;
      gave_ = true;
    }
    ASSERT_FALSE(lost_) << "units were lost, and it waits";
    ASSERT_EQ(next_, appended_.size());
  }
  void ReopenLog(bool closed) {
    const auto expected = appended_;
    closed ? CloseAll() : KillAll();
    OpenLogAndArchiver();
    ASSERT_EQ(replayed_, Last(expected, replayed_.size(), expected.size()));
    ASSERT_TRUE(ends_.empty() || log_->recovery().end == ends_.back());
  }
  // `count` units before the one at `end`.
  static std::vector<SeenUnit> Last(const std::vector<SeenUnit>& units, std::size_t count,
                                    std::size_t end) {
    const auto to = units.begin() + static_cast<std::ptrdiff_t>(end);
    return {to - static_cast<std::ptrdiff_t>(std::min(count, end)), to};
  }
  void RestoreAside() {
    if (ends_.empty()) return;
    const auto last = Below(ends_.size());
    const bool there = ends_[last] <= archived_;
    const auto report = TryRestore(ends_[last]);
    const bool gone = !report && report.error().kind() == ErrorKind::kNotFound;
    if (gone && (!there || deleted_)) return;
    ASSERT_TRUE(report) << report.error().message();
    const auto units = Read(restored_);
    ASSERT_EQ(units, Last(appended_, units.size(), last + 1));
    ASSERT_TRUE(deleted_ || units.size() == last + 1);
    if (Below(4) == 0) ExpectGoesOn(restored_, units);
  }
  // The log is gone, and what the archive has takes its place.
  void Disaster() {
    if (ObjectsLike(".log").empty() && ObjectsLike(".tail").empty()) return;
    ASSERT_NO_FATAL_FAILURE(ReadOn());
    const auto read = next_;
    KillAll();
    for (const auto& name : Names()) ASSERT_TRUE(files_->Remove(JoinPath(kLogDir, name)));
    const auto report = RestoreLog(archive_.get(), kLogDir, {}, World());
    ASSERT_TRUE(report) << report.error().message();
    OpenLogAndArchiver();
    while (!ends_.empty() && ends_.back() > report->end) {
      ASSERT_GT(ends_.back(), archived_) << "archived, and lost";
      ends_.pop_back();
      appended_.pop_back();
    }
    ASSERT_EQ(replayed_, Last(appended_, replayed_.size(), appended_.size()));
    lost_ = gave_ && read > appended_.size();
    next_ = std::min(next_, appended_.size());
  }
  void DeleteOldestObject() {
    const auto whole = ObjectsLike(".log");
    if (whole.size() < 3) return;
    ASSERT_TRUE(files_->Remove(JoinPath(kArchiveDir, whole.front())));
    deleted_ = true;
  }
  void ArchiveTo(LogArchiveExtent extent) {
    ASSERT_NO_FATAL_FAILURE(Archive(extent));
    archived_ = std::max(archived_, archiver_->status().archived);
  }
  void Truncate() {
    if (ends_.empty()) return;
    ASSERT_TRUE(log_->TruncateBefore(ends_[Below(ends_.size())]));
  }
  void Step() {
    switch (Below(16)) {
      case 0: case 1: case 2: return Add(Below(3'000));
      case 3: return Add(40'000 + Below(30'000));
      case 4: return Add(Below(250'000));
      case 5: return static_cast<void>(log_->Rotate());
      case 6: case 7: return ArchiveTo(LogArchiveExtent::kTail);
      case 8: return ArchiveTo(LogArchiveExtent::kSealed);
      case 9: case 10: return Truncate();
      case 11: return ReopenLog(Below(2) == 0);
      case 12: return RestoreAside();
      case 13: return Below(4) == 0 ? Disaster() : executor_.RunAll();
      case 14: return Below(8) == 0 ? DeleteOldestObject() : ReadOn();
      default: return ReadOn();
    }
  }

  ManyKeys keys_;
  std::vector<Lsn> ends_;
  std::unique_ptr<LogCursor> follower_;
  std::size_t next_ = 0;  // unit that it gives next
  bool gave_ = false;     // it gave a unit
  bool lost_ = false;     // units that it gave
  Lsn archived_;
  bool deleted_ = false;  // objects of the archive
};

TEST_F(LogHistoriesWalk, WhateverHappensNothingIsGivenThatWasNotAppendedAndNothingArchivedIsLost) {
  SCOPED_TRACE(testing::SeedTrace(testing::TestSeed()));
  for (int life = 0; life < 30; ++life) {
    SCOPED_TRACE("life " + std::to_string(life));
    Begin();
    deleted_ = lost_ = false;
    archived_ = {};
    for (int step = 0; step < 60; ++step) {
      SCOPED_TRACE("step " + std::to_string(step));
      Step();
      if (HasFailure()) return;
    }
    Archive();
    if (!deleted_) {
      ASSERT_EQ(Restore(), appended_);
    }
    ReopenLog(false);
    if (HasFailure()) return;
    follower_.reset();
  }
}

}  // namespace
}  // namespace varve
