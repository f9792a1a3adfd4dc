// SPDX-License-Identifier: Apache-2.0
// The bytes themselves: pinned, and checked one by one.
#include "log/log_format.h"

#include <gtest/gtest.h>

#include <cstring>

#include "base/bytes.h"
#include "log/log_fixture.h"
#include "log/open_frame.h"
#include "log/segment_file.h"
#include "log/unit_codec.h"

namespace varve {
namespace {

SegmentHeader Segment() {
  SegmentHeader segment;
  for (std::size_t i = 0; i < segment.log_id.size(); ++i) {
    segment.log_id[i] = static_cast<std::uint8_t>(i);
  }
  segment.sequence = 3;
  segment.generation = 0x1122334455667788;
  segment.base = 1 << 20;
  segment.capacity = 1 << 20;
  segment.created_micros = 1'700'000'000'000'000;
  return segment;
}

std::string Unit(std::string_view record) {
  const LogRecord records[] = {record};
  return *EncodeUnitSerially(records, LogCompression::kNone, {}, nullptr);
}

// A group of one unit.
std::string Frame(std::string_view record, std::uint64_t lsn = (1 << 20) + 4096) {
  FrameHeader header;
  header.lsn = lsn;
  header.durable = 77;
  header.epoch = 5;
  header.units = header.records = 1;
  header.chain = 0xabcdef01;
  std::string frame(kFrameHeaderBytes, '\0');
  frame += Unit(record);
  return testing::FinishedFrame(Segment(), header, std::move(frame));
}

// A change of these bytes is a new format version.
TEST(LogFormat, TheBytesOfAHeaderAndAFrameArePinned) {
  const auto block = EncodeSegmentHeader(Segment());
  EXPECT_EQ(ToHex(std::string_view(block).substr(0, 72)),
            "56415256454c4f470100000000100000000102030405060708090a0b0c0d0e0f"
            "0300000000000000887766554433221100001000000000000000100000000000"
            "00401e18240a0600");
  EXPECT_EQ(block.size(), kLogBlock);
  const auto frame = Frame("payload");
  EXPECT_EQ(frame.size(), kLogBlock);
  EXPECT_EQ(ToHex(std::string_view(frame).substr(0, 48)),
            "5646524d0101000000101000000000004d000000000000000500000000000000"
            "1c00000001000000" "0100000001efcdab");
}

TEST(LogFormat, R6_ZerosNeverValidate) {
  const std::string zeros(kLogBlock, '\0');
  EXPECT_FALSE(DecodeSegmentHeader(zeros));
  EXPECT_FALSE(DecodeFrameHeader(Segment(), {1 << 20}, zeros));
}

TEST(LogFormat, NoHeaderIsAtTheEndOfNumbers) {
  auto segment = Segment();
  segment.sequence = UINT64_MAX;  // what would the next one be called?
  EXPECT_EQ(DecodeSegmentHeader(EncodeSegmentHeader(segment)).error().kind(),
            ErrorKind::kCorruption);
  segment.sequence = UINT64_MAX - 1;
  EXPECT_TRUE(DecodeSegmentHeader(EncodeSegmentHeader(segment)));
  segment.base = (UINT64_MAX - kSegmentBytesMost) / kLogBlock * kLogBlock + kLogBlock;
  EXPECT_EQ(DecodeSegmentHeader(EncodeSegmentHeader(segment)).error().kind(),
            ErrorKind::kCorruption);
}

TEST(LogFormat, EveryBitOfAHeaderBlockCounts) {
  auto block = EncodeSegmentHeader(Segment());
  ASSERT_TRUE(DecodeSegmentHeader(block));
  for (auto& byte : block) {
    byte ^= 0x10;
    EXPECT_FALSE(DecodeSegmentHeader(block));
    byte ^= 0x10;
  }
}

TEST(LogFormat, AFrameIsValidInItsLogItsFileAndItsPlaceOnly) {
  const auto frame = Frame("payload");
  const auto lsn = Segment().LsnAt(kFirstGroupOffset);
  const auto valid = [&](const SegmentHeader& segment, Lsn at) {
    return DecodeFrameHeader(segment, at, frame).has_value();
  };
  EXPECT_TRUE(valid(Segment(), lsn));
  EXPECT_FALSE(valid(Segment(), {lsn.value + kLogBlock}));
  auto other = Segment();
  other.generation ^= 1;
  EXPECT_FALSE(valid(other, lsn));
  other = Segment();
  other.log_id[15] ^= 1;
  EXPECT_FALSE(valid(other, lsn));
}

TEST(LogFormat, ThePayloadChecksumCoversThePadding) {
  auto frame = Frame("payload");
  const auto header = *DecodeFrameHeader(Segment(), Segment().LsnAt(kFirstGroupOffset), frame);
  const auto padded = [&] { return std::string_view(frame).substr(kFrameHeaderBytes); };
  EXPECT_TRUE(CheckPayload(Segment(), header, padded()));
  frame.back() = 1;
  EXPECT_FALSE(CheckPayload(Segment(), header, padded()));
}

TEST(LogFormat, L14_NamesAreExact) {
  EXPECT_EQ(SegmentName(26), "000000000000001a.log");
  EXPECT_EQ(SequenceOfName("000000000000001a.log"), 26u);
  for (const char* name : {"1a.log", "000000000000001A.log", "000000000000001a.tmp",
                           "0000000000000000.log", "+00000000000001a.log", ""}) {
    EXPECT_FALSE(SequenceOfName(name)) << name;
  }
}

// Recovery refuses a frame whose padding is not zero, and a frame is used again for units of any
// size.
TEST(OpenFrameTest, WhateverAFrameHeldBeforeItIsPaddedWithZeros) {
  SeededRandom random(testing::TestSeed());
  SCOPED_TRACE(testing::SeedTrace(testing::TestSeed()));
  const auto segment = std::make_shared<OpenSegment>(Segment(), "segment", nullptr);
  OpenFrame frame;
  for (int life = 0; life < 3'000; ++life) {
    const std::uint64_t most = life % 100 == 99 ? 6u << 20 : 4'096u << random.Below(4);
    const auto room = 1 + random.Below(most);
    auto place = frame.Begin(segment, kFirstGroupOffset, 1 + random.Below(room), room, 3);
    auto bytes = frame.payload_bytes();
    while (true) {
      std::memset(place.to, 0xff, bytes);
      frame.Complete(bytes, 1);
      bytes = 1 + random.Below(most);
      const auto next = frame.Reserve(bytes);
      if (!next) break;
      place = *next;
    }
    frame.Close();
    EXPECT_GE(frame.AwaitComplete(), 1u);
    frame.Pad();
    const auto end = kFrameHeaderBytes + frame.payload_bytes();
    const std::string_view block(frame.data(), frame.FileBytes());
    ASSERT_EQ(block.find_first_not_of('\xff', kFrameHeaderBytes), end == block.size() ? block.npos
                                                                                    : end);
    ASSERT_EQ(block.find_first_not_of('\0', end), block.npos) << "in life " << life;
    frame.Release();
  }
}

}  // namespace
}  // namespace varve
