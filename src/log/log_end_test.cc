// SPDX-License-Identifier: Apache-2.0
// Where a log ends, and what may stand there: a log that opens can go on.
#include <gtest/gtest.h>

#include <cstddef>
#include <string>

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

}  // namespace
}  // namespace varve
