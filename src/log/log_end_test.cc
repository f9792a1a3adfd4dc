// SPDX-License-Identifier: Apache-2.0
// Where a log ends, and what may stand there: nothing that recovery refused comes back, and a log
// that opens can go on.
#include <gtest/gtest.h>

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "log/log_fixture.h"
#include "log/log_format.h"
#include "log/segment_file.h"
#include "log/unit_codec.h"
#include "varve/log_reader.h"

namespace varve {
namespace {

using testing::LogTest;

class LogEndTest : public LogTest {
 protected:
  void StartAnew() {
    Kill();
    for (const auto& name : Names()) ASSERT_TRUE(files_->Remove(JoinPath(testing::kLogDir, name)));
    appended_.clear();
  }
  // A killed log of one segment of 32 KiB with one unit; gives the frame that holds it.
  FrameHeader MakeOneUnit() {
    StartAnew();
    options_.segment_bytes_max = kSegmentBytesMin;
    Open();
    Append("one");
    Kill();
    const auto segment = *DecodeSegmentHeader(Bytes(PathOf(1)));
    return *DecodeFrameHeader(segment, segment.LsnAt(kFirstGroupOffset),
                              Bytes(PathOf(1)).substr(kFirstGroupOffset));
  }
  // Writes the frame that may follow `before` in segment 1, with all checksums.
  FrameHeader Forge(const FrameHeader& before, FrameKind kind, const std::string& payload) {
    const auto segment = *DecodeSegmentHeader(Bytes(PathOf(1)));
    FrameHeader header;
    header.kind = kind;
    header.lsn = before.lsn + before.FrameBytes();
    header.epoch = before.epoch;
    header.chain = before.crc;
    header.units = header.records = kind == FrameKind::kGroup ? 1 : 0;
    const auto frame =
        testing::FinishedFrame(segment, header, std::string(kFrameHeaderBytes, '\0') + payload);
    Overwrite(PathOf(1), segment.OffsetOf({header.lsn}), frame);
    return *DecodeFrameHeader(segment, {header.lsn}, frame);
  }
  // A group of one unit behind `before`, that ends at offset `end`. In segment 1 an LSN is an
  // offset.
  FrameHeader ForgeGroup(const FrameHeader& before, std::uint64_t end) {
    const auto begin = before.lsn + before.FrameBytes();
    const std::string text(end - begin - kFrameHeaderBytes - kUnitHeaderBytes - kRecordHeaderBytes,
                           'f');
    const LogRecord records[] = {text};
    appended_.push_back({{begin + kFrameHeaderBytes}, {text}});
    return Forge(before, FrameKind::kGroup,
                 *EncodeUnitSerially(records, LogCompression::kNone, {}, nullptr));
  }
  void ForgeSeal(const FrameHeader& before) {
    SealPayload seal;
    seal.unit_end = before.lsn + kFrameHeaderBytes + before.payload_bytes;
    Forge(before, FrameKind::kSeal, {reinterpret_cast<const char*>(&seal), sizeof seal});
  }
};

// No writer makes such a frame; whoever went on from it would have no place for the seal.
TEST_F(LogEndTest, AFrameThatLeavesNoRoomForSealsIsNamed) {
  for (const auto blocks : {0, 1}) {
    ForgeGroup(MakeOneUnit(), kSegmentBytesMin - blocks * kLogBlock);
    ExpectCorruption(TryOpen(), "no room");
    const auto verified = VerifyLog(testing::kLogDir, World());
    ASSERT_TRUE(verified);
    EXPECT_EQ(verified->damages.size(), 1u);
    Open({.mode = RecoveryMode::kPointInTime});
    ExpectEverythingBack();
    Append("goes on");
    Close();
    Open();
    ExpectEverythingBack();
  }
  ForgeSeal(ForgeGroup(MakeOneUnit(), kSegmentBytesMin - kLogBlock));
  ExpectCorruption(TryOpen(), "no room");
}

TEST_F(LogEndTest, ALogWithRoomForTwoSealsGoesOnAndIsClosed) {
  for (const bool sealed : {false, true}) {
    const auto last = ForgeGroup(MakeOneUnit(), kSegmentBytesMin - 2 * kLogBlock);
    if (sealed) ForgeSeal(last);
    for (int life = 0; life < 3; ++life) {
      Open();
      ExpectEverythingBack();
      Close();
    }
    Open();
    Append("goes on");
    Kill();
    Open();
    ExpectEverythingBack();
  }
}

// What is acknowledged there could not be read: no name follows.
TEST_F(LogEndTest, BehindTheLastSequenceNothingIsAcknowledged) {
  Open();
  Kill();
  const auto file_bytes = Bytes(PathOf(1)).size();
  auto segment = *DecodeSegmentHeader(Bytes(PathOf(1)));
  ASSERT_TRUE(files_->Remove(PathOf(1)));
  segment.sequence = UINT64_MAX - 1;
  LinkPayload link;
  link.sequence = segment.sequence - 1;
  FrameHeader header;
  header.kind = FrameKind::kLink;
  header.lsn = segment.LsnAt(kLinkOffset).value;
  std::string frame(kFrameHeaderBytes, '\0');
  frame.append(reinterpret_cast<const char*>(&link), sizeof link);
  auto bytes = EncodeSegmentHeader(segment) + testing::FinishedFrame(segment, header, frame);
  bytes.resize(file_bytes);
  Put(PathOf(segment.sequence), bytes);
  Open();
  const LogRecord records[] = {std::string_view("one too many")};
  const auto refused = log_->Append(records);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason(), ErrorReason::kNoSpace) << refused.error().message();
  Close();
  Open();
  ExpectEverythingBack();
}

// A power cut: of the block of the last unit, in a file used before, its first sector is on the
// device. Recovery refuses the unit, for the rest is old bytes. A second cut, anywhere in what
// the log does next, must not complete it.
class TornUnitTest : public LogEndTest {
 protected:
  TornUnitTest() {
    files_ = &disk_;
    options_.segment_bytes_max = kSegmentBytesMin;
    options_.recycled_segments_max = 1;
  }
  ~TornUnitTest() override { Kill(); }
  void MakeTornUnitInAUsedFile() {
    Open();
    Append(std::string(12'000, 'o'));
    ASSERT_TRUE(log_->Rotate());
    Append("second");
    ASSERT_TRUE(log_->TruncateBefore(log_->positions().durable));
    ASSERT_TRUE(log_->Rotate());
    Append("kept");
    appended_.erase(appended_.begin());
    for (const auto& path : {PathOf(2), JoinPath(testing::kLogDir, "LOCK")}) {
      ASSERT_TRUE((*files_->Open(path, OpenMode::kReadWrite))->Sync());
    }
    disk_.CrashAtEvent(disk_.events() + 1);
    const LogRecord torn[] = {std::string_view("torn")};
    ASSERT_FALSE(log_->Append(torn));
    Kill();
    std::vector<bool> kept(disk_.PendingParts(kSector), false);
    ASSERT_EQ(kept.size(), kLogBlock / kSector) << "no sector is as it was";
    kept[0] = true;
    disk_.CrashKeeping(kSector, kept);
    Open();
    ExpectEverythingBack();
    Kill();
  }
  // Cuts the power at each event of `next`, in each way; opens what is left.
  void ExpectGoneWhereverThePowerGoes(const std::function<void()>& next) {
    for (std::uint64_t event = 1;; ++event) {
      const auto second = disk_.Clone();
      files_ = second.get();
      Open();
      second->CrashAtEvent(second->events() + event);
      next();
      Kill();
      if (!second->crashed()) break;
      const auto parts = second->PendingParts(kSector);
      for (unsigned subset = 0; parts <= kPartsMost && subset < 1u << parts; ++subset) {
        SCOPED_TRACE("event " + std::to_string(event) + ", subset " + std::to_string(subset));
        const auto left = second->Clone();
        std::vector<bool> kept(parts);
        for (std::size_t i = 0; i < parts; ++i) kept[i] = (subset >> i & 1) != 0;
        left->CrashKeeping(kSector, kept);
        files_ = left.get();
        Open();
        ASSERT_GE(replayed_.size(), appended_.size());
        for (const auto& unit : replayed_) ASSERT_NE(unit.records[0], "torn");
        Kill();
        states_ += 1;
      }
    }
    files_ = &disk_;
  }

  static constexpr std::uint64_t kSector = 512;
  static constexpr std::size_t kPartsMost = 10;
  SimulatedDisk disk_;
  int states_ = 0;
};

TEST_F(TornUnitTest, AUnitThatRecoveryRefusedIsNotCompletedByTheSealOfAnAppend) {
  MakeTornUnitInAUsedFile();
  ExpectGoneWhereverThePowerGoes([this] { (void)log_->Append({"more"}); });
  EXPECT_GT(states_, 256);
}

TEST_F(TornUnitTest, AUnitThatRecoveryRefusedIsNotCompletedByTheSealOfAClose) {
  MakeTornUnitInAUsedFile();
  ExpectGoneWhereverThePowerGoes([this] { (void)log_->Close(); });
  EXPECT_GT(states_, 256);
}

}  // namespace
}  // namespace varve
