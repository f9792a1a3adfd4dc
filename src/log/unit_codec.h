// SPDX-License-Identifier: Apache-2.0
// A unit as bytes: the only thing in the log that producers compute themselves.
//
// A stored unit:
//    0  4  CRC-32C of all that follows
//    4  4  size of the unit, these included: at least 21, at most 2^31 - 1
//    8  4  records, at least 1
//   12  1  codec: 0 plain, 1 LZ4 block, 2 Zstandard frame
//   13  1  flags: 1 encrypted
//   14  2  zeros
//   16     body
// The plain body is the records one after the other: 4 bytes size, 1 byte kind, the bytes.
// A compressed body is 4 bytes size of the plain body, then the compressed one.
// An encrypted body is the AES-256-GCM ciphertext of one of those, then its tag of 16 bytes; see
// segment_cipher.h. The checksum is of the ciphertext, so that whoever has no key can still tell a
// torn or damaged unit.
//
// The CRC carries no position: frames bind units to their place (log_format.h).
#pragma once

#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "varve/error.h"
#include "varve/log.h"
#include "varve/types.h"

namespace varve {

class SegmentCipher;

inline constexpr std::uint64_t kUnitHeaderBytes = 16;
inline constexpr std::uint64_t kRecordHeaderBytes = 5;
inline constexpr std::uint64_t kUnitBytesMax = 0x7fff'ffff;  // for the writer and the reader

// Size of the plain stored form.
inline std::uint64_t PlainUnitBytes(LogRecords records) {
  std::uint64_t bytes = kUnitHeaderBytes + kRecordHeaderBytes * records.size();
  for (const auto& record : records) bytes += record.bytes.size();
  return bytes;
}
// Puts the plain stored form, of `bytes` bytes, there. Of at least one record.
void WritePlainUnit(LogRecords records, std::uint64_t bytes, char* to);

// One unit on its way into the log. Compresses when it is made, so that its size is known before it
// has a place; Write puts it there. Lends the records. To make one may throw std::bad_alloc: were
// the compression left out instead, whoever encodes the unit again could get other bytes.
class UnitEncoder {
 public:
  UnitEncoder(LogRecords records, LogCompression compression, bool encrypt);
  // Not when there is no record, or more than a unit may hold: then Refusal says so (Invalid), and
  // nothing else may be asked.
  bool is_valid() const { return !records_.empty() && bytes_ <= kUnitBytesMax; }
  Error Refusal() const;

  std::uint64_t bytes() const { return bytes_; }
  std::uint32_t records() const { return static_cast<std::uint32_t>(records_.size()); }
  // Puts the unit, whose LSN is `lsn`, into the bytes() bytes at `to`. `cipher` is that of the
  // segment in which the unit begins; null when it is not encrypted.
  Status Write(Lsn lsn, const SegmentCipher* cipher, char* to) const;
  // The same of a unit that is neither compressed nor encrypted, part by part, for one that has no
  // place in one piece.
  void GivePlain(const std::function<void(std::string_view)>& give) const;

 private:
  void Compress(LogCompression compression);
  void WriteBody(char* to) const;

  LogRecords records_;
  std::uint64_t plain_bytes_;  // of the body
  std::uint64_t bytes_;        // of the stored unit
  bool encrypt_;
  LogCompression codec_ = LogCompression::kNone;
  std::unique_ptr<const std::string> compressed_;  // the body, when codec_ is not kNone
};

// For the tests of the shadow mode: the next Write puts a wrong byte into the first record.
void BreakNextParallelUnit();

// For the tests of refused memory: the next unit to be compressed or decompressed needs some.
void ForgetIdleContexts();

// The same bytes, made in the plainest way: the oracle that the shadow mode and the tests compare
// with, and the encoder of the serial mode.
Result<std::string> EncodeUnitSerially(LogRecords records, LogCompression compression, Lsn lsn,
                                       const SegmentCipher* cipher);

// The header of a stored unit.
struct UnitHeader {
  std::uint32_t crc = 0;
  std::uint32_t size = 0;
  std::uint32_t records = 0;
  std::uint8_t codec = 0;
  std::uint8_t flags = 0;
  std::uint16_t reserved = 0;
};
static_assert(sizeof(UnitHeader) == kUnitHeaderBytes);
inline constexpr std::uint8_t kUnitEncrypted = 1;

// The header at the front of `bytes`, if there can be one; DecodeUnitHeader says why not.
inline std::optional<UnitHeader> PeekUnitHeader(std::string_view bytes) {
  UnitHeader header;
  if (bytes.size() < sizeof header) return {};
  std::memcpy(&header, bytes.data(), sizeof header);
  if (header.size <= kUnitHeaderBytes || header.size > kUnitBytesMax || header.records == 0) {
    return {};
  }
  return header;
}
// The header at the front of `bytes`. Corruption when it cannot be one; Invalid/kUnsupportedFormat
// for a codec or flag of a later version (its checksum is not looked at here).
Result<UnitHeader> DecodeUnitHeader(std::string_view bytes);
// Whether the checksum of a whole unit agrees.
bool UnitIsSound(const UnitHeader& header, std::string_view unit);

// A unit of several, and how many of their records are its own.
struct FoundUnit {
  Lsn lsn;
  Lsn end;
  std::uint32_t records;
};

// Takes apart whole units whose checksum agrees. Keeps the memory of what it decompressed and
// decrypted: the records are valid until the next Clear.
class UnitDecoder {
 public:
  // Appends the unit's records. Errors: Corruption; NotFound/kMissingKey when it is encrypted and
  // `cipher` is null.
  Status Decode(std::string_view unit, Lsn lsn, const SegmentCipher* cipher);
  // The same for the plain units, which nearly all are. False, and nothing happened, when this one
  // is not or is damaged: then Decode knows more.
  bool TakePlain(const UnitHeader& header, std::string_view unit);
  std::span<const LogRecord> records() const { return records_; }
  void Clear();

  // Takes memory for so many records at once.
  void Reserve(std::uint64_t records) { records_.reserve(records); }
  // From now on Decode fails (Unavailable) rather than decompress or decrypt what would bring
  // memory() above `bytes_max`; and Clear keeps all memory for the next units, not only a little.
  void LimitMemory(std::uint64_t bytes_max) { memory_max_ = bytes_max; }
  std::uint64_t memory() const {  // bytes held
    return records_.capacity() * sizeof(LogRecord) + chunk_bytes_;
  }

 private:
  Result<char*> Keep(std::uint64_t bytes);
  Result<std::string_view> Decrypt(const UnitHeader& header, std::string_view unit, Lsn lsn,
                                   const SegmentCipher* cipher);
  Result<std::string_view> Decompress(std::uint8_t codec, std::string_view body);
  bool TakeRecords(std::string_view body, std::uint32_t count);

  std::vector<LogRecord> records_;

  // Memory for plain bodies that the records borrow from, given out front to back.
  struct Chunk {
    std::unique_ptr<char[]> bytes;
    std::uint64_t size;
  };
  std::vector<Chunk> chunks_;
  std::size_t chunk_ = 0;           // chunks before it are full
  std::uint64_t chunk_used_ = 0;    // of that one
  std::uint64_t chunk_bytes_ = 0;   // of all
  std::uint64_t memory_max_ = UINT64_MAX;
};

}  // namespace varve
