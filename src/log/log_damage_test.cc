// SPDX-License-Identifier: Apache-2.0
// Damage is refused with its place, or shown not to matter; never read, never taken for the end.
// Every byte, length, sector and segment is tried in test/log_crash/damage_sweep_test.cc.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "log/log_fixture.h"
#include "log/log_format.h"
#include "varve/log_reader.h"

namespace varve {
namespace {

using testing::kLogDir;
using testing::LogTest;
using testing::SeenUnit;

class LogDamageTest : public LogTest {
 protected:
  // Three segments, two units each; all of it acknowledged.
  void MakeThreeSegments() {
    Open();
    for (int segment = 0; segment < 3; ++segment) {
      if (segment > 0) {
        ASSERT_TRUE(log_->Rotate());
      }
      Append({"unit", std::string(40, 'x')});
      Append("and another");
    }
  }
  // An empty folder.
  void StartAnew() {
    for (const auto& name : Names()) ASSERT_TRUE(files_->Remove(JoinPath(kLogDir, name)));
    appended_.clear();
  }
  void Flip(const std::string& path, std::uint64_t offset, unsigned mask) {
    const auto byte = static_cast<char>(Bytes(path)[offset] ^ mask);
    Overwrite(path, offset, {&byte, 1});
  }
  void ExpectUnits(std::size_t count) {
    EXPECT_EQ(replayed_, std::vector(appended_.begin(), appended_.begin() + count));
  }
  static std::uint64_t Nonzero(const std::string& bytes, std::uint64_t from) {
    return bytes.size() - from - std::count(bytes.begin() + from, bytes.end(), '\0');
  }
  // Offsets of the three frames of a segment of MakeThreeSegments.
  static constexpr std::uint64_t kFirstGroup = kFirstGroupOffset;
  static constexpr std::uint64_t kSecondGroup = kFirstGroupOffset + kLogBlock;
};

// Open made the first link durable before anybody could append: no crash leaves this.
TEST_F(LogDamageTest, ADamagedFirstLinkWithAUnitBehindItIsRefused) {
  Open();
  Append("acknowledged");
  Kill();
  Flip(PathOf(1), kLinkOffset + 8, 1);
  ExpectCorruption(TryOpen());
}

// Whoever closes a log seals it, even if all that it holds is of a process that was killed.
TEST_F(LogDamageTest, DamageOfALogThatWasClosedWithoutAnAppendIsRefused) {
  for (const bool truncates : {false, true}) {
    StartAnew();
    Open();
    Append("first");
    Append("last");
    Kill();
    Open();
    if (truncates) {
      ASSERT_TRUE(log_->TruncateBefore({0}));
    } else {
      ASSERT_TRUE(log_->Rotate());
    }
    Close();
    const auto closed = Picture();
    Open();
    ExpectEverythingBack();
    Close();
    EXPECT_TRUE(Picture() == closed) << "a log that is sealed is not sealed again";
    Flip(PathOf(1), kFirstGroup + kLogBlock + 70, 1);
    ExpectCorruption(TryOpen());
    Flip(PathOf(1), kFirstGroup + kLogBlock + 70, 1);
    Open();
    Append("more");
    Kill();
    Open();
    ExpectEverythingBack();
    Close();
  }
}

// A segment has its name only when its bytes are durable: one that is empty was emptied.
TEST_F(LogDamageTest, AnEmptiedOnlySegmentIsNoNewLog) {
  Open();
  Append("acknowledged");
  Close();
  const auto sound = Bytes(PathOf(1));
  for (const auto& emptied : {std::string(), std::string(sound.size(), '\0')}) {
    Put(PathOf(1), emptied);
    const auto before = Picture();
    ExpectCorruption(TryOpen());
    EXPECT_TRUE(Picture() == before);
    const auto verified = VerifyLog(kLogDir, World());
    ASSERT_TRUE(verified);
    EXPECT_FALSE(verified->damages.empty());
  }
}

TEST_F(LogDamageTest, SalvageGoesOnBehindAMissingSegment) {
  MakeThreeSegments();
  Close();
  ASSERT_TRUE(files_->Remove(PathOf(2)));
  options_.read_only = true;
  Open({.mode = RecoveryMode::kSalvage});
  auto expected = appended_;
  expected.erase(expected.begin() + 2, expected.begin() + 4);
  EXPECT_EQ(replayed_, expected);
}

// What the salvage keeps is of one log, that to which most of the segments belong, and in order.
TEST_F(LogDamageTest, SalvageLeavesOutTheSegmentsOfAnotherLog) {
  MakeThreeSegments();
  Close();
  const auto mine = Picture();
  const auto ours = appended_;
  StartAnew();
  MakeThreeSegments();
  Close();
  const auto theirs = Picture();
  options_.read_only = true;
  for (std::size_t stranger = 1; stranger <= 3; ++stranger) {
    StartAnew();
    for (const auto& [name, bytes] : mine) Put(JoinPath(kLogDir, name), bytes);
    for (const auto& [name, bytes] : theirs) {
      if (JoinPath(kLogDir, name) == PathOf(stranger)) Put(PathOf(stranger), bytes);
    }
    Open({.mode = RecoveryMode::kSalvage});
    auto expected = ours;
    const auto gone = expected.begin() + static_cast<std::ptrdiff_t>(2 * (stranger - 1));
    expected.erase(gone, gone + 2);
    EXPECT_EQ(replayed_, expected) << "segment " << stranger << " is another log's";
    Kill();
  }
}

TEST_F(LogDamageTest, ATornLastGroupIsCutAndReported) {
  MakeThreeSegments();
  const auto end = appended_.back().lsn;
  Kill();
  Flip(PathOf(3), kSecondGroup + 70, 1);
  Open();
  ExpectUnits(5);
  EXPECT_GT(log_->recovery().torn_bytes, 30u);
  EXPECT_LT(log_->recovery().end, end);
}

TEST_F(LogDamageTest, ATornLastGroupIsDamageWhenTheCallerKnowsItWasDurable) {
  MakeThreeSegments();
  const auto durable = log_->positions().durable;
  Kill();
  Flip(PathOf(3), kSecondGroup + 70, 1);
  ExpectCorruption(TryOpen({.known_durable = durable}), "the caller knows");
}

TEST_F(LogDamageTest, AfterACleanCloseNoAcknowledgedByteCanBeTakenForATornTail) {
  MakeThreeSegments();
  Close();
  Flip(PathOf(3), kSecondGroup + 70, 1);
  ExpectCorruption(TryOpen(), "was durable");
}

TEST_F(LogDamageTest, L8_T4_R19_DamageInTheMiddleIsNotTheEnd) {
  MakeThreeSegments();
  Kill();
  Flip(PathOf(2), kFirstGroup + 70, 1);
  ExpectCorruption(TryOpen(), "0000000000000002.log, offset 8192");
}

TEST_F(LogDamageTest, L8_F9_AMissingSegmentIsNamed) {
  MakeThreeSegments();
  Kill();
  const auto second = Bytes(PathOf(2));
  ASSERT_TRUE(files_->Remove(PathOf(2)));
  ExpectCorruption(TryOpen(), "0000000000000002.log is missing");
  Put(PathOf(2), second);
  ASSERT_TRUE(files_->Remove(PathOf(1)));
  Open();
  EXPECT_EQ(replayed_.size(), 4u) << "as after a truncation";
  log_.reset();
  ExpectCorruption(TryOpen({.replay_from = appended_[0].lsn}), "an older segment is missing");
}

TEST_F(LogDamageTest, R3_ALogThatEndsBeforeTheCallersFloorIsRefused) {
  MakeThreeSegments();
  const auto floor = log_->positions().durable;
  Close();
  for (std::uint64_t segment = 1; segment <= 3; ++segment) {
    ASSERT_TRUE(files_->Remove(PathOf(segment)));
  }
  const auto opened = TryOpen({.replay_from = floor});
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().kind(), ErrorKind::kCorruption);
}

TEST_F(LogDamageTest, AMissingLastSegmentIsDamageWhenASealPromisesIt) {
  options_.segment_bytes_max = kSegmentBytesMin;
  Open();
  for (int i = 0; i < 8; ++i) Append(std::string(5'000, 'r'));
  const auto last = log_->stats().segments.back().sequence;
  ASSERT_GT(last, 2u);
  Kill();
  ASSERT_TRUE(files_->Remove(PathOf(last)));
  ExpectCorruption(TryOpen(), "it is missing");
  Put(PathOf(last), "");
  ExpectCorruption(TryOpen(), "does not validate");
}

TEST_F(LogDamageTest, TheNewestSegmentIsMissedHoweverTheOneBeforeItEnded) {
  for (const bool close_before : {true, false}) {
    for (const bool close_after : {true, false}) {
      SCOPED_TRACE(close_before * 2 + close_after);
      Open();
      Append("first");
      close_before ? Close() : Kill();
      Open();
      Append("second, in the next segment");
      const auto newest = log_->stats().segments.back().sequence;
      close_after ? Close() : Kill();
      const auto whole = Bytes(PathOf(newest));
      ASSERT_TRUE(files_->Remove(PathOf(newest)));
      ExpectCorruption(TryOpen(), "it is missing");
      Put(PathOf(newest), "");
      ExpectCorruption(TryOpen(), "does not validate");
      Put(PathOf(newest), std::string(whole.size(), '\0'));
      ExpectCorruption(TryOpen(), "does not validate");
      Put(PathOf(newest), whole);
      Open();
      ExpectEverythingBack();
      Kill();
    }
  }
}

TEST_F(LogDamageTest, AClosedLogIsNeverTornHoweverFullItsSegmentIs) {
  options_.segment_bytes_max = kSegmentBytesMin;
  for (int units = 1; units <= 8; ++units) {
    SCOPED_TRACE(units);
    for (const auto& name : Names()) ASSERT_TRUE(files_->Remove(JoinPath(kLogDir, name)));
    Open();
    for (int i = 0; i < units; ++i) Append("a unit in a block of its own");
    const auto last = PathOf(log_->stats().segments.back().sequence);
    Close();
    const auto whole = Bytes(last);
    Overwrite(last, kFirstGroupOffset, std::string(whole.size() - kFirstGroupOffset, '\0'));
    ExpectCorruption(TryOpen());
  }
}

TEST_F(LogDamageTest, AFolderWhoseSegmentsAreGoneIsNoLog) {
  Open();
  const auto id = log_->stats().id;
  Close();
  Open();
  EXPECT_EQ(log_->stats().id, id);
  Kill();
  for (const auto& name : Names()) ASSERT_TRUE(files_->Remove(JoinPath(kLogDir, name)));
  options_.create_if_missing = false;
  EXPECT_EQ(TryOpen().error().kind(), ErrorKind::kNotFound);
}

TEST_F(LogDamageTest, TheLogOfAnotherIsRefusedByItsId) {
  options_.id = "000102030405060708090a0b0c0d0e0f";
  Open();
  Append("ours");
  EXPECT_EQ(log_->stats().id, options_.id);
  Close();
  Open();
  ExpectEverythingBack();
  Close();
  options_.id = "ff0102030405060708090a0b0c0d0e0f";
  const auto before = Picture();
  ExpectCorruption(TryOpen(), "expected log id ff");
  options_.read_only = true;
  ExpectCorruption(TryOpen(), "expected log id ff");
  EXPECT_EQ(Picture(), before);
  options_.id = "ff";
  EXPECT_EQ(TryOpen().error().kind(), ErrorKind::kInvalid);
}

TEST_F(LogDamageTest, SwappedSegmentsAreRefused) {
  MakeThreeSegments();
  Close();
  const auto second = Bytes(PathOf(2)), third = Bytes(PathOf(3));
  Put(PathOf(2), third);
  Put(PathOf(3), second);
  ExpectCorruption(TryOpen(), "expected sequence");
}

TEST_F(LogDamageTest, ASegmentOfAnotherLogIsRefused) {
  MakeThreeSegments();
  Close();
  const auto ours = Picture();
  for (const auto& [name, bytes] : ours) ASSERT_TRUE(files_->Remove(JoinPath(kLogDir, name)));
  MakeThreeSegments();
  Close();
  Put(PathOf(2), ours[1].second);
  ExpectCorruption(TryOpen(), "another log");
}

TEST_F(LogDamageTest, AStaleCopyOfASegmentIsRefused) {
  Open();
  Append("first life");
  Kill();
  Open();
  Append("second life");
  Kill();
  const auto stale = Bytes(PathOf(2));
  Flip(PathOf(2), kLinkOffset + 8, 1);  // the segment looks unused and is replaced
  Flip(PathOf(2), kFirstGroup + 8, 1);
  Open();
  Append("second life, again");
  ASSERT_TRUE(log_->Rotate());
  Append("third");
  Kill();
  Put(PathOf(2), stale);
  ExpectCorruption(TryOpen(), "stale copy");
}

TEST_F(LogDamageTest, AForgedFrameIsFoundByTheChain) {
  MakeThreeSegments();
  Close();
  const auto path = PathOf(2);
  auto bytes = Bytes(path);
  const auto segment = *DecodeSegmentHeader(std::string_view(bytes).substr(0, kLogBlock));
  auto header = *DecodeFrameHeader(segment, segment.LsnAt(kFirstGroup),
                                   std::string_view(bytes).substr(kFirstGroup, kLogBlock));
  auto frame = bytes.substr(kFirstGroup, kFrameHeaderBytes + header.payload_bytes);
  frame.back() = '!';
  // The unit's own checksum agrees too: only the chain can tell.
  StoreLittle(frame.data() + kFrameHeaderBytes,
              Crc32c(std::string_view(frame).substr(kFrameHeaderBytes + 4)));
  Overwrite(path, kFirstGroup, testing::FinishedFrame(segment, header, frame));
  ExpectCorruption(TryOpen(), "chain");
}

TEST_F(LogDamageTest, AFrameMovedToAnotherPlaceNeverValidates) {
  MakeThreeSegments();
  Kill();
  const auto bytes = Bytes(PathOf(3));
  Overwrite(PathOf(3), kSecondGroup + kLogBlock, bytes.substr(kSecondGroup, kLogBlock));
  Open();
  ExpectEverythingBack();
  EXPECT_GT(log_->recovery().torn_bytes, 0u);
}

TEST_F(LogDamageTest, R9_WhatWasCutNeverRevives) {
  Open();
  Append("A"), Append("B"), Append("C");
  Kill();
  const auto path = PathOf(1);
  const auto b = kFirstGroup + kLogBlock;
  const auto whole = Bytes(path);
  // B and C were one unsynced write each; B was lost, C was not, and says nothing of B.
  Overwrite(path, b, std::string(kLogBlock, '\0'));
  ExpectCorruption(TryOpen(), "was durable");
  Overwrite(path, b + kLogBlock, std::string(kLogBlock, '\0'));
  Open();
  ExpectUnits(1);
  appended_.resize(1);
  Append("B'");
  Kill();
  Overwrite(path, b + kLogBlock, whole.substr(b + kLogBlock, kLogBlock));  // C again
  Open();
  ExpectEverythingBack();
  Kill();
  Overwrite(path, b, whole.substr(b, kLogBlock));  // B where the log says since that it ended
  ExpectCorruption(TryOpen(), "the next segment's link");
}

TEST_F(LogDamageTest, L3_AReadErrorIsNeitherATornTailNorDamage) {
  SimulatedDisk disk;
  files_ = &disk;
  MakeThreeSegments();
  Kill();
  const auto before = Picture();
  disk.FailReads(PathOf(3), Error(ErrorKind::kUnavailable, "injected", ErrorReason::kIo));
  const auto opened = TryOpen();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().reason(), ErrorReason::kIo);
  disk.FailReads(PathOf(3), {});
  EXPECT_EQ(Picture(), before);
  Open();
  ExpectEverythingBack();
  log_.reset();
}

TEST_F(LogDamageTest, L3_ANewerVersionIsNeitherATornTailNorDamage) {
  MakeThreeSegments();
  Kill();
  const auto path = PathOf(3);
  const auto bytes = Bytes(path);
  const auto segment = *DecodeSegmentHeader(std::string_view(bytes).substr(0, kLogBlock));
  FrameHeader header = *DecodeFrameHeader(segment, segment.LsnAt(kSecondGroup),
                                          std::string_view(bytes).substr(kSecondGroup));
  auto frame = bytes.substr(kSecondGroup, kFrameHeaderBytes + header.payload_bytes);
  header.kind = static_cast<FrameKind>(9);
  Overwrite(path, kSecondGroup, testing::FinishedFrame(segment, header, frame));
  EXPECT_EQ(TryOpen().error().reason(), ErrorReason::kUnsupportedFormat);
  auto newer = segment;
  newer.version = 2;
  Overwrite(path, 0, EncodeSegmentHeader(newer));
  EXPECT_EQ(TryOpen().error().reason(), ErrorReason::kUnsupportedFormat);
}

TEST_F(LogDamageTest, F10_L2_AnEmptyNewestFileIsReplaced) {
  Open();
  Append("kept");
  Kill();
  for (const auto& junk : {std::string(), std::string(kLogBlock, '\0')}) {
    Put(PathOf(2), junk);
    Open();
    EXPECT_EQ(replayed_.size(), 1u);
    log_.reset();
  }
  Put(PathOf(2), "junk");
  ExpectCorruption(TryOpen());
  Put(PathOf(2), "");
  Put(JoinPath(kLogDir, "0000000000000002.tmp"), "half made");
  Open();
  Append("next");
  Kill();
  Open();
  ExpectEverythingBack();
}

TEST_F(LogDamageTest, L14_OnlyNamesThatTheLogGivesAreSegments) {
  MakeThreeSegments();
  Close();
  for (const char* name : {"1.log", "000000000000001A.log", "0000000000000000.log", "notes.txt"}) {
    Put(JoinPath(kLogDir, name), "not ours");
  }
  Open();
  ExpectEverythingBack();
}

// Else the first append that needs the name would stop the log.
TEST_F(LogDamageTest, AFolderInTheWayOfASegmentIsNamed) {
  MakeThreeSegments();
  Close();
  ASSERT_TRUE(files_->CreateDirectories(PathOf(4)));
  ExpectCorruption(TryOpen(), "found a folder");
  ExpectCorruption(TryOpen({.mode = RecoveryMode::kPointInTime}), PathOf(4));
  const auto verified = VerifyLog(kLogDir, World());
  ASSERT_FALSE(verified);
  EXPECT_EQ(verified.error().kind(), ErrorKind::kCorruption);
  ASSERT_TRUE(files_->Rename(PathOf(4), "elsewhere"));
  ASSERT_TRUE(files_->CreateDirectories(JoinPath(kLogDir, "0000000000000009.free")));
  Open();
  ExpectEverythingBack();
  Append("a folder of another name is in nobody's way");
}

TEST_F(LogDamageTest, T8_TolerateTailCutsTheLastSegmentOnly) {
  MakeThreeSegments();
  Close();
  Flip(PathOf(3), kFirstGroup + 70, 1);
  ExpectCorruption(TryOpen());
  Open({.mode = RecoveryMode::kTolerateTail});
  ExpectUnits(4);
  log_.reset();
  Open();
  ExpectUnits(4);
  appended_.resize(4);
  Append("goes on");
  Close();
  Open();
  ExpectEverythingBack();
  log_.reset();
  Flip(PathOf(2), kFirstGroup + 70, 1);
  ExpectCorruption(TryOpen({.mode = RecoveryMode::kTolerateTail}));
}

TEST_F(LogDamageTest, T8_PointInTimeStopsBeforeTheDamageAndSetsTheRestAside) {
  MakeThreeSegments();
  const auto last = log_->positions().durable;
  Close();
  const auto third = Bytes(PathOf(3));
  Flip(PathOf(2), kSecondGroup + 70, 1);
  Open({.mode = RecoveryMode::kPointInTime});
  ExpectUnits(3);
  appended_.resize(3);
  EXPECT_GT(Append("goes on").lsn, last) << "positions of what was set aside are not used again";
  Close();
  std::vector<std::string> aside;
  for (const auto& name : Names()) {
    if (name.ends_with(".set-aside")) aside.push_back(Bytes(JoinPath(kLogDir, name)));
  }
  EXPECT_EQ(aside, std::vector{third});
  Open();
  ExpectEverythingBack();
}

// Whatever was lost of the last segment, and however often.
TEST_F(LogDamageTest, NoPositionIsGivenOutTwiceWhenALostSegmentDoesNotTellItsOwn) {
  const std::pair<RecoveryMode, std::function<void()>> losses[] = {
      {RecoveryMode::kPointInTime, [this] { Flip(PathOf(3), 100, 1); }},
      {RecoveryMode::kPointInTime, [this] { ASSERT_TRUE(files_->Remove(PathOf(3))); }},
      {RecoveryMode::kTolerateTail, [this] { ASSERT_TRUE(files_->Remove(PathOf(3))); }},
      {RecoveryMode::kPointInTime, [this] { Put(PathOf(3), Bytes(PathOf(1))); }}};
  for (std::size_t i = 0; i < std::size(losses); ++i) {
    SCOPED_TRACE(i);
    const auto& [mode, lose] = losses[i];
    Kill();
    StartAnew();
    MakeThreeSegments();
    std::vector<std::pair<Lsn, Lsn>> given{{appended_[4].lsn, log_->positions().appended}};
    for (int times = 0; times < 3; ++times) {
      Kill();
      lose();
      Open({.mode = mode});
      const auto ack = Append("in the place of what was lost");
      for (const auto& [from, to] : given) {
        EXPECT_TRUE(ack.end <= from || ack.lsn >= to) << ack.lsn.value << " is not new";
      }
      EXPECT_GT(ack.lsn, given.front().second);
      given.push_back({ack.lsn, ack.end});
    }
  }
}

// Else a replay that starts at the checkpoint would be refused, and later pass over new units.
TEST_F(LogDamageTest, AReplayFromACheckpointThatWasCutOffGivesWhatCameAfterTheCut) {
  MakeThreeSegments();
  ASSERT_TRUE(log_->Checkpoint(appended_.back().lsn));
  Kill();
  Flip(PathOf(3), 100, 1);
  Open({.mode = RecoveryMode::kPointInTime});
  appended_.resize(4);
  ExpectEverythingBack();
  Append("after the cut");
  Kill();
  Open({.from_checkpoint = true});
  ASSERT_FALSE(replayed_.empty());
  EXPECT_EQ(replayed_.back(), appended_.back());
}

// The folder was put back to an earlier day, but for one file.
TEST_F(LogDamageTest, NoPositionBeforeACheckpointIsGivenOutAgain) {
  Open();
  Append("one");
  const auto earlier = Bytes(PathOf(1));
  ASSERT_TRUE(log_->Rotate());
  Append("two");
  const auto checkpoint = log_->Checkpoint(appended_.back().lsn);
  ASSERT_TRUE(checkpoint);
  Kill();
  ASSERT_TRUE(files_->Remove(PathOf(2)));
  Put(PathOf(1), earlier);
  Open();
  EXPECT_EQ(replayed_.size(), 1u);
  EXPECT_GE(Append("three").lsn, checkpoint->end);
  Kill();
  Open({.from_checkpoint = true});
  EXPECT_EQ(replayed_.back(), appended_.back());
}

TEST_F(LogDamageTest, TheReportTellsWhatWasCutAndSetAside) {
  MakeThreeSegments();
  Close();
  Flip(PathOf(2), kSecondGroup + 70, 1);
  const auto cut = Nonzero(Bytes(PathOf(2)), kSecondGroup) + Bytes(PathOf(3)).size();
  Open({.mode = RecoveryMode::kPointInTime});
  EXPECT_EQ(log_->recovery().cut_bytes, cut);
  std::vector<std::string> aside;
  for (const auto& name : Names()) {
    if (name.ends_with(".set-aside")) aside.push_back(name);
  }
  EXPECT_EQ(log_->recovery().set_aside, aside);
  EXPECT_EQ(aside.size(), 1u);
  Close();
  Open();
  EXPECT_EQ(log_->recovery().cut_bytes, 0u) << "once";
  EXPECT_TRUE(log_->recovery().set_aside.empty());
}

TEST_F(LogDamageTest, TheReportTellsWhatWasCutInsideTheLastSegment) {
  MakeThreeSegments();
  Close();
  Flip(PathOf(3), kFirstGroup + 70, 1);
  const auto cut = Nonzero(Bytes(PathOf(3)), kFirstGroup);
  Open({.mode = RecoveryMode::kTolerateTail});
  EXPECT_EQ(log_->recovery().cut_bytes, cut);
  EXPECT_TRUE(log_->recovery().set_aside.empty()) << "it stays in the segment";
}

TEST_F(LogDamageTest, PointInTimeStopsBeforeAMissingSegment) {
  MakeThreeSegments();
  Close();
  ASSERT_TRUE(files_->Remove(PathOf(2)));
  Open({.mode = RecoveryMode::kPointInTime});
  ExpectUnits(2);
  log_.reset();
  Open();
  ExpectUnits(2);
}

// What is appended after it would be lost at the next opening.
TEST_F(LogDamageTest, T8_ALogThatWasCutBeforeAFileOfAnotherLogKeepsItsOwnId) {
  Open();
  Append("one");
  ASSERT_TRUE(log_->Rotate());
  Append("lost");
  Kill();
  auto header = *DecodeSegmentHeader(Bytes(PathOf(2)));
  header.log_id[0] ^= 1;
  Overwrite(PathOf(2), 0, EncodeSegmentHeader(header));
  Open({.mode = RecoveryMode::kPointInTime});
  appended_.pop_back();
  ExpectEverythingBack();
  Append("two");
  Kill();
  Open();
  ExpectEverythingBack();
}

// The link and the frame behind it made anew, with all checksums and the chain: no damage shows.
TEST_F(LogDamageTest, ALinkThatSaysThatNothingLiesBeforeIsNotBelieved) {
  Open();
  Append("one");
  ASSERT_TRUE(log_->Rotate());
  Append("two");
  Kill();
  const auto bytes = Bytes(PathOf(2));
  const auto segment = *DecodeSegmentHeader(bytes);
  auto link = bytes.substr(kLinkOffset, kFrameHeaderBytes + sizeof(LinkPayload));
  auto header = *DecodeFrameHeader(segment, segment.LsnAt(kLinkOffset), link);
  StoreLittle(link.data() + kFrameHeaderBytes + offsetof(LinkPayload, unit_end), std::uint64_t{0});
  Overwrite(PathOf(2), kLinkOffset, testing::FinishedFrame(segment, header, link));
  header = *DecodeFrameHeader(segment, segment.LsnAt(kLinkOffset), Bytes(PathOf(2)).substr(4096));
  auto group = bytes.substr(kFirstGroupOffset);
  auto next = *DecodeFrameHeader(segment, segment.LsnAt(kFirstGroupOffset), group);
  next.chain = header.crc;
  group.resize(kFrameHeaderBytes + next.payload_bytes);
  Overwrite(PathOf(2), kFirstGroupOffset, testing::FinishedFrame(segment, next, group));
  ExpectCorruption(TryOpen(), "last unit end");
}

// Written again by a reopening whose next segment was lost to a crash.
TEST_F(LogDamageTest, ASecondSealThatDisagreesWithTheFirstIsDamage) {
  Open();
  Append("one");
  Close();
  Open();
  Append("two");
  Kill();
  Overwrite(PathOf(2), kLinkOffset, std::string(Bytes(PathOf(2)).size() - kLinkOffset, '\0'));
  Open();
  ExpectUnits(1);
  Kill();
  const auto bytes = Bytes(PathOf(1));
  const auto segment = *DecodeSegmentHeader(bytes);
  const auto at = bytes.size() - kLogBlock;
  auto seal = bytes.substr(at, kFrameHeaderBytes + sizeof(SealPayload));
  const auto header = *DecodeFrameHeader(segment, segment.LsnAt(at), seal);
  ASSERT_EQ(header.flags & kSuccessor, kSuccessor);
  StoreLittle(seal.data() + kFrameHeaderBytes, appended_[0].lsn.value);
  Overwrite(PathOf(1), at, testing::FinishedFrame(segment, header, seal));
  ExpectCorruption(TryOpen(), "seal: expected last unit end");
}

TEST_F(LogDamageTest, T8_SalvageReadsWhatValidatesAndChangesNothing) {
  MakeThreeSegments();
  Close();
  Flip(PathOf(2), kFirstGroup + 70, 1);
  Flip(PathOf(3), kLinkOffset + 70, 1);
  const auto before = Picture();
  options_.read_only = true;
  Open({.mode = RecoveryMode::kSalvage});
  auto expected = appended_;
  expected.erase(expected.begin() + 2);
  EXPECT_EQ(replayed_, expected);
  log_.reset();
  EXPECT_EQ(Picture(), before);
}

TEST_F(LogDamageTest, VerifyTellsWhatTheFilesShowToBeDurable) {
  options_.sync_policy = LogSyncPolicy::kNever;
  Open();
  const auto durable = Append("durable").end;
  const auto written = Append("written", AckLevel::kWritten).end;
  Kill();
  auto found = *VerifyLog(kLogDir, World());
  EXPECT_EQ(found.report.end, written);
  EXPECT_EQ(found.durable, durable);
  Open();
  const auto last = Append("last").end;
  Close();
  found = *VerifyLog(kLogDir, World());
  EXPECT_EQ(found.report.end, last);
  EXPECT_EQ(found.durable, last) << "a closed log says all";
}

TEST_F(LogDamageTest, VerifyListsEachDamageWithoutALockAndChangesNothing) {
  MakeThreeSegments();
  const auto sound = VerifyLog(kLogDir, World());
  ASSERT_TRUE(sound) << sound.error().message();
  EXPECT_TRUE(sound->damages.empty());
  EXPECT_EQ(sound->report.units, 6u);
  Close();
  Flip(PathOf(1), kSecondGroup + 70, 1);
  Flip(PathOf(2), kFirstGroup + 70, 1);
  const auto before = Picture();
  const auto damaged = *VerifyLog(kLogDir, World());
  ASSERT_EQ(damaged.damages.size(), 2u);
  EXPECT_EQ(damaged.damages[0].file, "0000000000000001.log");
  EXPECT_EQ(damaged.damages[0].offset, kSecondGroup);
  EXPECT_EQ(damaged.damages[1].offset, kFirstGroup);
  EXPECT_EQ(damaged.report.units, 4u);
  EXPECT_EQ(Picture(), before);
}

TEST_F(LogDamageTest, DumpNamesEveryFrameAndTheFirstDamage) {
  MakeThreeSegments();
  Close();
  const auto dump = [this] {
    std::vector<std::string> lines;
    EXPECT_TRUE(DumpLogSegment(
        PathOf(2), [&](std::string_view line) { lines.emplace_back(line); }, World()));
    return lines;
  };
  auto lines = dump();
  ASSERT_EQ(lines.size(), 5u) << "header, link, two groups, seal";
  EXPECT_NE(lines[1].find("link: segment 1"), std::string::npos);
  EXPECT_NE(lines[4].find("seal: 2 units, 3 records"), std::string::npos);
  Flip(PathOf(2), kSecondGroup + 70, 1);
  lines = dump();
  EXPECT_NE(lines.back().find("offset 12288"), std::string::npos) << lines.back();
}

}  // namespace
}  // namespace varve
