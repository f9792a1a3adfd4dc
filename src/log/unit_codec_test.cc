// SPDX-License-Identifier: Apache-2.0
// Units as bytes: the parallel encoder against the serial one, and back.
#include "log/unit_codec.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/random.h"
#include "log/segment_cipher.h"
#include "test/support/seed.h"

namespace varve {
namespace {

constexpr Lsn kAt{123456};

std::vector<std::string> SomeRecords(Random* random) {
  std::vector<std::string> records(1 + random->Below(5));
  for (auto& record : records) {
    record.resize(random->Below(random->Below(4) == 0 ? 100'000 : 100));
    const bool plain = random->Below(2) == 0;
    for (auto& byte : record) byte = static_cast<char>(plain ? 'a' : random->Below(256));
  }
  return records;
}

std::vector<LogRecord> Views(const std::vector<std::string>& records) {
  std::vector<LogRecord> views;
  std::uint8_t kind = 0;
  for (const auto& record : records) views.emplace_back(record, LogKind{kind++});
  return views;
}

std::string Encode(LogRecords records, LogCompression compression, const SegmentCipher* cipher) {
  const UnitEncoder unit(records, compression, cipher != nullptr);
  EXPECT_TRUE(unit.is_valid());
  std::string bytes(unit.bytes(), '\0');
  EXPECT_TRUE(unit.Write(kAt, cipher, bytes.data()));
  return bytes;
}

class UnitCodecTest : public ::testing::TestWithParam<std::pair<LogCompression, bool>> {
 protected:
  const SegmentCipher* cipher() const { return GetParam().second ? &cipher_ : nullptr; }
  LogCompression compression() const { return GetParam().first; }

  const SegmentCipher cipher_{std::string(kCipherKeyBytes, 'k')};
};

TEST_P(UnitCodecTest, BothEncodersGiveTheSameBytesAndTheyComeBack) {
  SeededRandom random(testing::TestSeed());
  for (int i = 0; i < 300; ++i) {
    const auto records = SomeRecords(&random);
    const auto views = Views(records);
    const auto unit = Encode(views, compression(), cipher());
    ASSERT_EQ(unit, *EncodeUnitSerially(views, compression(), kAt, cipher()));
    if (compression() == LogCompression::kNone && cipher() == nullptr) {
      std::string parts;
      UnitEncoder(views, compression(), false).GivePlain([&](auto part) { parts += part; });
      ASSERT_EQ(unit, parts);
    }
    ASSERT_TRUE(UnitIsSound(*DecodeUnitHeader(unit), unit));
    UnitDecoder decoder;
    ASSERT_TRUE(decoder.Decode(unit, kAt, cipher()));
    ASSERT_EQ(decoder.records().size(), views.size());
    for (std::size_t r = 0; r < views.size(); ++r) {
      EXPECT_EQ(decoder.records()[r].bytes, views[r].bytes);
      EXPECT_EQ(decoder.records()[r].kind, views[r].kind);
    }
  }
}

TEST_P(UnitCodecTest, EveryFlippedByteIsNoticedByTheChecksum) {
  const LogRecord records[] = {std::string_view("one"), LogRecord("two", LogKind{7})};
  auto unit = Encode(records, compression(), cipher());
  for (std::size_t at = 0; at < unit.size(); ++at) {
    unit[at] = static_cast<char>(unit[at] ^ 0x20);
    const auto header = DecodeUnitHeader(unit);
    EXPECT_FALSE(header && UnitIsSound(*header, unit)) << at;
    unit[at] = static_cast<char>(unit[at] ^ 0x20);
  }
}

// Bytes whose checksum was made to agree: nothing may crash, and a cipher lets none pass.
TEST_P(UnitCodecTest, HostileBytesAreRefusedOrDecodedButNeverCrash) {
  SeededRandom random(testing::TestSeed());
  const auto records = std::vector<std::string>{std::string(300, 'x'), "y", ""};
  const auto good = Encode(Views(records), compression(), cipher());
  for (int i = 0; i < 3000; ++i) {
    auto unit = good;
    for (std::uint64_t flips = 1 + random.Below(4); flips > 0; --flips) {
      unit[8 + random.Below(unit.size() - 8)] = static_cast<char>(random.Below(256));
    }
    if (unit == good) continue;
    StoreLittle(unit.data(), Crc32c(std::string_view(unit).substr(4)));
    UnitDecoder decoder;
    const auto decoded = decoder.Decode(unit, kAt, cipher());
    const bool sealed = (unit[13] & kUnitEncrypted) != 0 && unit[12] <= 2 && unit[14] == 0;
    if (cipher() != nullptr && sealed) {
      EXPECT_FALSE(decoded);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, UnitCodecTest,
    ::testing::Values(std::pair(LogCompression::kNone, false),
                      std::pair(LogCompression::kLz4, false),
                      std::pair(LogCompression::kZstd, false),
                      std::pair(LogCompression::kNone, true), std::pair(LogCompression::kLz4, true),
                      std::pair(LogCompression::kZstd, true)));

TEST(UnitCodec, CompressionIsKeptOnlyWhereItIsSmaller) {
  SeededRandom random(testing::TestSeed());
  std::string noise(1000, '\0');
  for (auto& byte : noise) byte = static_cast<char>(random.Below(256));
  const LogRecord incompressible[] = {noise};
  EXPECT_EQ(Encode(incompressible, LogCompression::kLz4, nullptr).size(),
            PlainUnitBytes(incompressible));
  const std::string same(1000, 's');
  const LogRecord compressible[] = {same};
  EXPECT_LT(Encode(compressible, LogCompression::kLz4, nullptr).size(), 100u);
  EXPECT_LT(Encode(compressible, LogCompression::kZstd, nullptr).size(), 100u);
}

TEST(UnitCodec, AnEmptyUnitIsRefused) {
  const UnitEncoder unit({}, LogCompression::kNone, false);
  EXPECT_FALSE(unit.is_valid());
  EXPECT_EQ(unit.Refusal().kind(), ErrorKind::kInvalid);
}

TEST(UnitCodec, AnUnknownCodecIsANewerVersionAndNoDamage) {
  const LogRecord records[] = {std::string_view("one")};
  auto unit = Encode(records, LogCompression::kNone, nullptr);
  for (const std::size_t at : {12, 13, 14}) {
    auto newer = unit;
    newer[at] = 8;
    UnitDecoder decoder;
    EXPECT_EQ(decoder.Decode(newer, kAt, nullptr).error().reason(),
              ErrorReason::kUnsupportedFormat);
  }
}

TEST(UnitCodec, R16_CiphertextsCannotBeMovedToAnotherPosition) {
  const SegmentCipher cipher{std::string(kCipherKeyBytes, 'k')};
  const LogRecord records[] = {std::string_view("pay 100 to alice")};
  const auto unit = Encode(records, LogCompression::kNone, &cipher);
  UnitDecoder decoder;
  EXPECT_TRUE(decoder.Decode(unit, kAt, &cipher));
  EXPECT_EQ(decoder.Decode(unit, {kAt.value + 1}, &cipher).error().kind(), ErrorKind::kCorruption);
  EXPECT_EQ(unit.find("alice"), std::string::npos);
}

class MapKeys final : public KeyProvider {
 public:
  std::map<std::string, std::string, std::less<>> keys;
  std::string current;
  Result<std::string> CurrentKeyId() override { return current; }
  Result<std::string> Key(std::string_view id) override {
    const auto key = keys.find(id);
    if (key != keys.end()) return key->second;
    return std::unexpected(Error(ErrorKind::kNotFound, "no such key"));
  }
};

TEST(SegmentCipher, MissingAndWrongKeysAreToldApart) {
  MapKeys keys;
  keys.current = "2026";
  keys.keys["2026"] = std::string(kCipherKeyBytes, 'k');
  SegmentHeader header;
  header.sequence = 1;
  ASSERT_TRUE(MakeSegmentCipher(&keys, &header));
  EXPECT_TRUE(OpenSegmentCipher(&keys, header));
  EXPECT_EQ(OpenSegmentCipher(nullptr, header).error().reason(), ErrorReason::kMissingKey);
  keys.keys["2026"][0] = 'x';
  EXPECT_EQ(OpenSegmentCipher(&keys, header).error().reason(), ErrorReason::kWrongKey);
  keys.keys.clear();
  EXPECT_EQ(OpenSegmentCipher(&keys, header).error().reason(), ErrorReason::kMissingKey);
}

TEST(SegmentCipher, AKeyOfAnotherSegmentDoesNotUnwrap) {
  MapKeys keys;
  keys.current = "a";
  keys.keys["a"] = std::string(kCipherKeyBytes, 'k');
  SegmentHeader header;
  header.sequence = 1;
  ASSERT_TRUE(MakeSegmentCipher(&keys, &header));
  header.sequence = 2;
  EXPECT_EQ(OpenSegmentCipher(&keys, header).error().reason(), ErrorReason::kWrongKey);
}

TEST(SegmentCipher, AKeyOfAWrongSizeIsRefused) {
  MapKeys keys;
  keys.current = "a";
  keys.keys["a"] = "short";
  SegmentHeader header;
  EXPECT_EQ(MakeSegmentCipher(&keys, &header).error().kind(), ErrorKind::kInvalid);
}

}  // namespace
}  // namespace varve
