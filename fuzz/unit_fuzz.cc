// SPDX-License-Identifier: Apache-2.0
// Units and their records, of every codec, plain and encrypted. Input: a byte of options, 4 bytes
// LSN, then for kFromRecords records (2 bytes size, 1 byte kind, the bytes), else a stored unit.
#include "base/bytes.h"
#include "fuzz/allocation_meter.h"
#include "fuzz/input.h"
#include "fuzz/mend.h"
#include "fuzz/oracle.h"
#include "fuzz/target.h"
#include "log/unit_codec.h"

namespace varve::fuzz {
namespace {

constexpr std::uint8_t kFromRecords = 1;
constexpr std::uint8_t kMendCrc = 2;
constexpr std::uint8_t kMendSize = 4;
constexpr std::uint8_t kEncryptUnit = 8;
constexpr std::uint8_t kWithoutKey = 16;
constexpr int kCodecShift = 5;  // for kFromRecords

constexpr std::uint64_t kSizeOffset = 4;
constexpr std::uint64_t kCodecOffset = 12;
constexpr std::uint64_t kFlagsOffset = 13;

// docs/format.md: what so many bytes of a codec can hold.
std::uint64_t PlainBytesMost(std::string_view unit) {
  const auto codec = unit.size() > kCodecOffset ? unit[kCodecOffset] : '\0';
  if (codec == 1) return 255 * (unit.size() + 16);
  if (codec == 2) return (unit.size() / 4 + 1) * (128u << 10);
  return unit.size();
}

bool SameRecords(LogRecords a, LogRecords b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) {
    return x.bytes == y.bytes && x.kind == y.kind;
  });
}

const SegmentCipher* Cipher() {
  static const auto cipher = FixedCipher();
  return cipher.get();
}

// What was decoded is a value: it survives being stored again, in any form.
void CheckStoredAgain(LogRecords records, Lsn lsn, LogCompression codec, bool encrypt) {
  const auto* const cipher = encrypt ? Cipher() : nullptr;
  const UnitEncoder encoder(records, codec, encrypt);
  FUZZ_EXPECT(encoder.is_valid() == !records.empty(), "a unit without records, or none with");
  if (!encoder.is_valid()) return;
  std::string parallel(encoder.bytes(), '\0');
  const auto written = encoder.Write(lsn, cipher, parallel.data());
  FUZZ_EXPECT(written.has_value(), written.error().message());
  const auto serial = EncodeUnitSerially(records, codec, lsn, cipher);
  FUZZ_EXPECT(serial.has_value() && *serial == parallel, "two encoders, two results");
  const auto header = DecodeUnitHeader(parallel);
  FUZZ_EXPECT(header && UnitIsSound(*header, parallel), "an unsound unit");
  FUZZ_EXPECT(header->records == records.size(), std::to_string(header->records));
  UnitDecoder decoder;
  const auto decoded = decoder.Decode(parallel, lsn, cipher);
  FUZZ_EXPECT(decoded.has_value(), decoded.error().message());
  FUZZ_EXPECT(SameRecords(decoder.records(), records), "other records");
  if (!encrypt) return;
  const auto moved = decoder.Decode(parallel, {lsn.value + 1}, cipher);
  FUZZ_EXPECT(!moved && moved.error().kind() == ErrorKind::kCorruption, "valid elsewhere");
}

void CheckRefusal(const Error& error, bool has_key) {
  const bool locked = error.reason() == ErrorReason::kMissingKey && !has_key;
  FUZZ_EXPECT(BlamesBytes(error) || locked, error.message());
}

void CheckDecoded(std::string_view unit, Lsn lsn, const SegmentCipher* cipher) {
  UnitDecoder decoder;
  AllocationMeter meter;
  const auto decoded = decoder.Decode(unit, lsn, cipher);
  // The plain body, a copy of an encrypted one, and 24 bytes for each record of 5 or more, in a
  // vector that doubles.
  const auto most = PlainBytesMost(unit);
  const auto bound = most + unit.size() + (most / kRecordHeaderBytes + 1) * 72 + 8192;
  FUZZ_EXPECT(meter.peak_bytes() <= bound, std::to_string(meter.peak_bytes()));
  if (!decoded) return CheckRefusal(decoded.error(), cipher != nullptr);
  const auto records = decoder.records();
  const auto header = DecodeUnitHeader(unit);
  FUZZ_EXPECT(header && header->records == records.size(), "another number of records");
  const bool encrypted = (header->flags & kUnitEncrypted) != 0;
  const auto codec = static_cast<LogCompression>(header->codec);
  if (codec == LogCompression::kNone) {  // there is one form only
    const auto again = EncodeUnitSerially(records, codec, lsn, encrypted ? cipher : nullptr);
    FUZZ_EXPECT(again && again->substr(4) == unit.substr(4), "other bytes");
  }
  CheckStoredAgain(records, lsn, codec, encrypted);
}

void TestStored(std::uint8_t options, Lsn lsn, std::string unit) {
  if ((options & kMendSize) != 0 && unit.size() >= kUnitHeaderBytes) {
    StoreLittle(unit.data() + kSizeOffset, static_cast<std::uint32_t>(unit.size()));
  }
  if ((options & kEncryptUnit) != 0 && unit.size() >= kUnitHeaderBytes) {
    unit[kFlagsOffset] = static_cast<char>(unit[kFlagsOffset] | kUnitEncrypted);
    unit.append(kCipherTagBytes, '\0');
    StoreLittle(unit.data() + kSizeOffset, static_cast<std::uint32_t>(unit.size()));
  }
  if ((options & kMendCrc) != 0) MendUnit(lsn.value, (options & kEncryptUnit) != 0, &unit);
  const auto header = DecodeUnitHeader(unit);
  if (!header) FUZZ_EXPECT(BlamesBytes(header.error()), header.error().message());
  if (header) (void)UnitIsSound(*header, unit);
  CheckDecoded(unit, lsn, (options & kWithoutKey) != 0 ? nullptr : Cipher());
}

void TestRecords(std::uint8_t options, Lsn lsn, Input input) {
  std::vector<LogRecord> records;
  while (!input.empty()) {
    const auto size = input.Take<std::uint16_t>();
    const auto kind = static_cast<LogKind>(input.Take<std::uint8_t>());
    records.emplace_back(input.TakeBytes(size), kind);
  }
  const auto codec = static_cast<LogCompression>((options >> kCodecShift) % 3);
  CheckStoredAgain(records, lsn, codec, (options & kEncryptUnit) != 0);
}

}  // namespace

void FuzzOne(Input input) {
  const auto options = input.Take<std::uint8_t>();
  const Lsn lsn{input.Take<std::uint32_t>()};
  if ((options & kFromRecords) != 0) {
    TestRecords(options, lsn, input);
  } else {
    TestStored(options, lsn, std::string(input.TakeRest()));
  }
}

std::vector<std::string> FuzzSeeds() {
  const std::string start{'\0', '\100', '\0', '\0', '\0'};
  const auto options = [&](int bits) {
    auto bytes = start;
    bytes[0] = static_cast<char>(bits);
    return bytes;
  };
  const std::string repetitive(300, 'r');
  const std::vector<LogRecord> records = {LogRecord("small"), LogRecord(repetitive),
                                          LogRecord("", LogKind::kCheckpoint)};
  std::vector<std::string> seeds;
  for (const auto codec : {LogCompression::kNone, LogCompression::kLz4, LogCompression::kZstd}) {
    const auto unit = *EncodeUnitSerially(records, codec, {64}, nullptr);
    seeds.push_back(options(kMendCrc | kMendSize) + unit);
    seeds.push_back(options(kMendCrc | kEncryptUnit) + unit);
    const auto shift = static_cast<int>(codec) << kCodecShift;
    const std::string as_input = std::string("\5\0\0small", 8) + std::string("\54\1\0", 3) +
                                 repetitive + std::string("\0\0\360", 3);
    seeds.push_back(options(kFromRecords | shift) + as_input);
    seeds.push_back(options(kFromRecords | kEncryptUnit | shift) + as_input);
  }
  seeds.push_back(start + *EncodeUnitSerially(records, LogCompression::kNone, {64},
                                              Cipher()));
  return seeds;
}

}  // namespace varve::fuzz
