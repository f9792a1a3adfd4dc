// SPDX-License-Identifier: Apache-2.0
// Cursors over logs that stand still: where they begin, what they give, what they refuse.
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "log/log_reader_fixture.h"
#include "test/support/failing_memory.h"
#include "log/segment_cipher.h"

namespace varve {
namespace {

using testing::kLogDir;
using testing::LogReaderTest;
using testing::SeenUnit;

class LogCursorTest : public LogReaderTest {
 protected:
  // Three segments of eight frames, some of many units, and one unit over several segments.
  void MakeLog() {
    options_.segment_bytes_max = 16 * kLogBlock;
    Open();
    for (int i = 0; i < 20; ++i) Append({"unit " + std::to_string(i), std::string(i * 37, 'a')});
    for (int i = 0; i < 9; ++i) Append("in one group " + std::to_string(i), AckLevel::kBuffered);
    Append("with this one");
    std::string large(200'000, '\0');  // in several segments, compressed or not
    for (auto& byte : large) byte = static_cast<char>(random_.Next());
    Append(large);
    for (int i = 0; i < 5; ++i) Append("after " + std::to_string(i));
    ASSERT_GT(log_->stats().segments.size(), 4u);
  }
  // The frame of the last unit that was appended, alone in it and in the first segment.
  void ForgeLastFrame(void (*forge)(FrameHeader*, char* payload)) {
    const auto bytes = Bytes(PathOf(1));
    const auto segment = *DecodeSegmentHeader(bytes);
    const Lsn lsn{last_ack_.lsn.value - kFrameHeaderBytes};
    const auto offset = segment.OffsetOf(lsn);
    auto frame = bytes.substr(offset);
    auto header = *DecodeFrameHeader(segment, lsn, frame);
    frame.resize(kFrameHeaderBytes + header.payload_bytes);
    forge(&header, frame.data() + kFrameHeaderBytes);
    Overwrite(PathOf(1), offset, testing::FinishedFrame(segment, header, frame));
  }
  std::vector<SeenUnit> From(Lsn lsn) const {
    std::vector<SeenUnit> units;
    for (const auto& unit : appended_) {
      if (unit.lsn >= lsn) units.push_back(unit);
    }
    return units;
  }
};

TEST_F(LogCursorTest, GivesWhatWasAppendedAndThenNothing) {
  MakeLog();
  OpenReader({});
  EXPECT_EQ(ReadAll(), appended_);
  EXPECT_EQ(cursor_->position(), last_ack_.end);
  ExpectEnd();
}

TEST_F(LogCursorTest, R21_EachPositionBeginsWithTheFirstUnitAtOrAfterIt) {
  MakeLog();
  Close();
  for (const auto& unit : appended_) {
    for (const auto delta : {-1, 0, 1}) {
      const Lsn from{unit.lsn.value + delta};
      if (from < appended_.front().lsn) continue;
      SCOPED_TRACE(from.value);
      OpenReader({.from = from});
      ASSERT_EQ(ReadAll(), From(from));
    }
  }
}

TEST_F(LogCursorTest, R21_PositionsBetweenUnitsFramesAndSegmentsAreAllGood) {
  MakeLog();
  const auto end = last_ack_.end.value;
  Kill();
  for (std::uint64_t from = appended_.front().lsn.value; from <= end; from += 997) {
    SCOPED_TRACE(from);
    OpenReader({.from = {from}});
    ASSERT_EQ(ReadAll(), From({from}));
  }
}

TEST_F(LogCursorTest, R21_APositionBeyondTheEndIsInvalid) {
  MakeLog();
  Kill();
  const auto opened = TryOpenReader({.from = {last_ack_.end.value + kLogBlock}});
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().kind(), ErrorKind::kInvalid);
  OpenReader({.from = last_ack_.end});
  ExpectEnd();
}

TEST_F(LogCursorTest, ATruncatedPositionIsNotFoundAndNamesTheOldest) {
  MakeLog();
  ASSERT_TRUE(log_->TruncateBefore(last_ack_.lsn));
  const auto oldest = log_->stats().first;
  ASSERT_GT(oldest, appended_.front().lsn);
  const auto opened = TryOpenReader({.from = appended_.front().lsn});
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().kind(), ErrorKind::kNotFound);
  EXPECT_NE(opened.error().message().find(std::to_string(oldest.value)), std::string::npos);
  OpenReader({.from = oldest});
  EXPECT_EQ(ReadAll(), From(oldest));
  OpenReader({});
  EXPECT_EQ(ReadAll(), From(oldest));
}

TEST_F(LogCursorTest, AFolderWithoutALogIsNotFound) {
  ASSERT_TRUE(files_->CreateDirectories(kLogDir));
  EXPECT_EQ(TryOpenReader({}).error().kind(), ErrorKind::kNotFound);
}

TEST_F(LogCursorTest, ADamagedFirstLinkDoesNotMakeItNoLog) {
  Open();
  Append("the only unit");
  Kill();
  FlipByte(PathOf(1), kLinkOffset + 70);
  EXPECT_EQ(TryOpenReader({}).error().kind(), ErrorKind::kCorruption);
}

TEST_F(LogCursorTest, ChangesNothing) {
  MakeLog();
  Kill();
  const auto names = Names();
  const auto before = Picture();
  OpenReader({});
  (void)ReadAll();
  EXPECT_EQ(Picture(), before);
  EXPECT_EQ(Names(), names);
}

TEST_F(LogCursorTest, SeekReadsHeadersAlone) {
  options_.segment_bytes_max = 8 << 20;
  Open();
  for (int i = 0; i < 30; ++i) Append(std::string(200'000, 'p'));
  Close();
  reads_.Watch(files_);
  OpenReader({.from = appended_.back().lsn}, &reads_);
  EXPECT_LT(reads_.bytes(), 300'000u) << "6 MB of payloads lie before it";
  EXPECT_EQ(ReadAll(), From(appended_.back().lsn));
}

TEST_F(LogCursorTest, L12_MemoryIsThatOfAFrameHoweverLongTheLog) {
  options_.segment_bytes_max = 1 << 20;
  Open();
  for (int i = 0; i < 80; ++i) Append(std::string(100'000, 'm'));
  Close();
  reads_.Watch(files_);
  OpenReader({}, &reads_);
  EXPECT_EQ(ReadAll(), appended_);
  EXPECT_LE(reads_.largest(), 1u << 20) << "8 MB are in the log";
}

TEST_F(LogCursorTest, CompressedAndEncryptedLogsAreRead) {
  testing::TestKeys keys;
  for (const auto compression : {LogCompression::kLz4, LogCompression::kZstd}) {
    SCOPED_TRACE(static_cast<int>(compression));
    ASSERT_NO_FATAL_FAILURE(NewWorld());
    options_.keys = &keys;
    options_.compression = compression;
    MakeLog();
    ASSERT_FALSE(HasFailure());
    Kill();
    OpenReader({.keys = &keys});
    EXPECT_EQ(ReadAll(), appended_);
    OpenReader({.from = appended_[30].lsn, .keys = &keys});
    EXPECT_EQ(ReadAll(), From(appended_[30].lsn)) << "the unit that spans segments";
  }
}

TEST_F(LogCursorTest, MissingAndWrongKeysAreNoDamage) {
  testing::TestKeys keys;
  options_.keys = &keys;
  MakeLog();
  Kill();
  EXPECT_EQ(TryOpenReader({}).error().reason(), ErrorReason::kMissingKey);
  keys.key[0] = 'x';
  EXPECT_EQ(TryOpenReader({.keys = &keys}).error().reason(), ErrorReason::kWrongKey);
  EXPECT_FALSE(VerifyLog(kLogDir, World(), &keys));
  keys.key[0] = 'k';
  EXPECT_TRUE(VerifyLog(kLogDir, World(), &keys)->damages.empty());
  EXPECT_TRUE(VerifyLog(kLogDir, World())->damages.empty());
}

TEST_F(LogCursorTest, R19_T4_DamageInAnySegmentIsNamedAndNeverPassed) {
  MakeLog();
  Kill();
  const auto count = Names().size() - 1;  // without LOCK
  for (std::uint64_t segment = 1; segment + 2 < count; ++segment) {
    SCOPED_TRACE(segment);
    FlipByte(PathOf(segment), kFirstGroupOffset + 70);
    OpenReader({});
    const auto damage = ReadToError();
    EXPECT_EQ(damage.kind(), ErrorKind::kCorruption) << damage.message();
    EXPECT_NE(damage.message().find(PathOf(segment) + ", offset 8192"), std::string::npos)
        << damage.message();
    ExpectPrefix();
    FlipByte(PathOf(segment), kFirstGroupOffset + 70);
  }
}

TEST_F(LogCursorTest, L8_AMissingSegmentIsDamage) {
  MakeLog();
  Kill();
  for (const bool follow : {false, true}) {
    SCOPED_TRACE(follow);
    const auto third = Bytes(PathOf(3));
    ASSERT_TRUE(files_->Remove(PathOf(3)));
    OpenReader({.follow = follow});
    EXPECT_EQ(ReadToError().kind(), ErrorKind::kCorruption);
    ExpectPrefix();
    Put(PathOf(3), third);
  }
}

// With all checksums and the chain, in a place where recovery refuses it.
TEST_F(LogCursorTest, AFrameThatCannotStandThereIsRefusedAsRecoveryDoes) {
  const auto expect = [&](const char* part, void (*forge)(FrameHeader*, char*)) {
    SCOPED_TRACE(part);
    NewWorld();
    Open();
    Append("one");
    Append("two");
    Kill();
    ForgeLastFrame(forge);
    OpenReader({});
    const auto error = ReadToError();
    EXPECT_EQ(error.kind(), ErrorKind::kCorruption);
    EXPECT_NE(error.message().find(part), std::string::npos) << error.message();
    ExpectPrefix();
    ExpectCorruption(TryOpen(), part);
  };
  expect("expected epoch", [](FrameHeader* header, char*) { header->epoch += 2; });
  expect("lies beyond it", [](FrameHeader* header, char*) {
    header->durable = header->lsn + 1;
  });
  expect("a link stands only", [](FrameHeader* header, char*) {
    header->kind = FrameKind::kLink;
    header->units = header->records = 0;
  });
}

TEST_F(LogCursorTest, AFrameBehindTheSealOfAClosedLogIsRefusedAsRecoveryDoes) {
  Open();
  Append("one");
  Close();
  const auto bytes = Bytes(PathOf(1));
  const auto segment = *DecodeSegmentHeader(bytes);
  const auto header_at = [&](std::uint64_t offset) {
    return *DecodeFrameHeader(segment, segment.LsnAt(offset), bytes.substr(offset));
  };
  const auto end = bytes.size() - kLogBlock;  // a block of zeros
  const auto seal = header_at(end - kLogBlock);
  ASSERT_EQ(seal.kind, FrameKind::kSeal);
  auto again = header_at(kFirstGroupOffset);
  const auto frame = bytes.substr(kFirstGroupOffset, kFrameHeaderBytes + again.payload_bytes);
  again.lsn = segment.LsnAt(end).value;
  again.epoch = seal.epoch;
  again.chain = seal.crc;
  Overwrite(PathOf(1), end, testing::FinishedFrame(segment, again, frame));
  OpenReader({});
  EXPECT_NE(ReadToError().message().find("behind the seal"), std::string::npos);
  ExpectPrefix();
  ExpectCorruption(TryOpen(), "behind the seal");
}

TEST_F(LogCursorTest, AUnitThatSaysToBeLargeTakesNoMemoryBeforeItIsThere) {
  Open();
  Append("one");
  Append("two");
  Kill();
  ForgeLastFrame([](FrameHeader* header, char* unit) {
    header->flags = kEndsInside;
    header->units = header->records = 0;
    StoreLittle(unit + 4, std::uint32_t{0x7fff'0000});
  });
  const testing::LargestAllocation largest;
  OpenReader({});
  EXPECT_EQ(ReadAll().size(), 1u);
  EXPECT_LE(largest.bytes(), 2 * kFrameBytesMax);
  EXPECT_GT(largest.bytes(), kFrameBytesMax / 2) << "of one frame: the unit was begun";
}

// What is buffered is in no file: only a flush can give it.
TEST_F(LogCursorTest, ALiveCursorThatWaitsForWhatIsBufferedFlushesIt) {
  options_.sync_policy = LogSyncPolicy::kNever;
  Open();
  Append("written");
  OpenLiveReader({.level = AckLevel::kBuffered, .follow = true});
  EXPECT_EQ(ReadAll().size(), 1u);
  Append("buffered", AckLevel::kBuffered);
  const auto more = cursor_->WaitForMore(1000);
  ASSERT_TRUE(more) << more.error().message();
  EXPECT_TRUE(*more);
  EXPECT_EQ(ReadAll(), appended_);
}

// Its link went with its end, so it looks like one that was never used.
TEST_F(LogCursorTest, R19_ALastSegmentThatWasCutToItsHeaderIsDamage) {
  MakeLog();
  const auto last = PathOf(log_->stats().segments.back().sequence);
  Kill();
  for (const std::uint64_t size : {2 * kLogBlock, 2 * kLogBlock - 1, kLogBlock}) {
    SCOPED_TRACE(size);
    Cut(last, size);
    for (const bool follow : {false, true}) {
      OpenReader({.follow = follow});
      EXPECT_EQ(ReadToError().kind(), ErrorKind::kCorruption);
      ExpectPrefix();
    }
  }
}

TEST_F(LogCursorTest, ATornTailIsTheEnd) {
  MakeLog();
  const auto last = log_->stats().segments.back();
  const auto offset = last_ack_.lsn.value - last.base.value + kLogBlock;
  Kill();
  FlipByte(PathOf(last.sequence), offset + 8);
  OpenReader({});
  const auto units = ReadAll();
  EXPECT_EQ(units.size(), appended_.size() - 1);
  ExpectPrefix();
}

TEST_F(LogCursorTest, EveryByteFlippedIsRefusedOrTheEndButNeverGiven) {
  options_.segment_bytes_max = kSegmentBytesMin;
  Open();
  for (int i = 0; i < 9; ++i) Append({"unit", std::string(40, 'x')});
  const auto segments = log_->stats().segments.size();
  Kill();
  for (std::uint64_t segment = 1; segment <= segments; ++segment) {
    const auto size = Bytes(PathOf(segment)).size();
    for (std::uint64_t offset = 0; offset < size; ++offset) {
      if (const auto in = offset % kLogBlock; in >= 160 && in < kLogBlock - 20) continue;
      SCOPED_TRACE(PathOf(segment) + " offset " + std::to_string(offset));
      FlipByte(PathOf(segment), offset);
      if (TryOpenReader({})) {
        const auto end = ReadToEnd();
        ExpectPrefix();
        const bool whole = read_.size() + 1 >= appended_.size();
        EXPECT_TRUE(end || whole) << "silently short";
        EXPECT_TRUE(!end || end->kind() == ErrorKind::kCorruption) << end->message();
      }
      FlipByte(PathOf(segment), offset);
      if (HasFailure()) return;
    }
  }
}

TEST_F(LogCursorTest, DumpCountsUnitsByCodecAndRecordsByKind) {
  options_.compression = LogCompression::kLz4;
  Open();
  Append("short", AckLevel::kBuffered);
  Append({std::string(1000, 'z'), std::string(1000, 'y')});
  Close();
  std::string text;
  ASSERT_TRUE(DumpLogSegment(
      PathOf(1), [&](std::string_view line) { text.append(line) += '\n'; }, World()));
  EXPECT_NE(text.find("1 lz4 (2 data)"), std::string::npos) << text;
  EXPECT_NE(text.find("1 plain (1 data)"), std::string::npos) << text;
}

}  // namespace
}  // namespace varve
