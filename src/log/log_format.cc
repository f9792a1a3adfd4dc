// SPDX-License-Identifier: Apache-2.0
#include "log/log_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/bytes.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "base/result.h"

namespace varve {
namespace {

constexpr std::uint64_t kSegmentCrcOffset = kLogBlock - 4;
constexpr std::uint64_t kFrameCrcOffset = kFrameHeaderBytes - 4;

std::unexpected<Error> Bad(std::string message) {
  return Fail(ErrorKind::kCorruption, std::move(message));
}

std::unexpected<Error> Newer(std::string_view what, unsigned found) {
  return Fail(ErrorKind::kInvalid,
              fmt::format("{} {} is not known to this version of varve, which knows up to {}; "
                          "open the log with the version that wrote it",
                          what, found, kLogFormatVersion),
              ErrorReason::kUnsupportedFormat);
}

Status CheckSegmentFields(const SegmentHeader& header) {
  if (header.block_bytes != kLogBlock) {
    return Bad(fmt::format("segment header: expected block size {}, found {}", kLogBlock,
                           header.block_bytes));
  }
  const bool sound = header.sequence > 0 && header.base >= kFirstBase &&
                     header.base % kLogBlock == 0 && header.capacity % kLogBlock == 0 &&
                     header.capacity >= kSegmentBytesMin && header.capacity <= kSegmentBytesMost &&
                     header.base < UINT64_MAX - kSegmentBytesMost;
  if (sound) return {};
  return Bad(fmt::format("segment header: sequence {}, base {} and capacity {} cannot be",
                         header.sequence, header.base, header.capacity));
}

std::uint16_t KnownFlags(FrameKind kind) {
  switch (kind) {
    case FrameKind::kGroup: return kContinues | kContinued;
    case FrameKind::kLink: return kDropsOpen;
    case FrameKind::kSeal: return kSuccessor;
  }
  return 0;
}

}  // namespace

std::uint64_t FrameHeader::FrameBytes() const {
  return RoundUp(kFrameHeaderBytes + payload_bytes, kLogBlock);
}

std::string EncodeSegmentHeader(const SegmentHeader& header) {
  std::string block(kLogBlock, '\0');
  std::memcpy(block.data(), &header, sizeof header);
  const auto crc = Crc32c(std::string_view(block).substr(0, kSegmentCrcOffset));
  StoreLittle(block.data() + kSegmentCrcOffset, crc);
  return block;
}

Result<SegmentHeader> DecodeSegmentHeader(std::string_view block) {
  const SegmentHeader expected;
  if (block.size() < kLogBlock) {
    return Bad(fmt::format("segment header: expected {} bytes, found {}", kLogBlock, block.size()));
  }
  if (std::memcmp(block.data(), expected.magic, sizeof expected.magic) != 0) {
    return Bad(fmt::format("segment header: expected magic \"VARVELOG\", found hex {}",
                           ToHex(block.substr(0, sizeof expected.magic))));
  }
  const auto found = LoadLittle<std::uint32_t>(block.data() + kSegmentCrcOffset);
  const auto computed = Crc32c(block.substr(0, kSegmentCrcOffset));
  if (found != computed) {
    return Bad(fmt::format("segment header: expected checksum {:08x}, found {:08x}", computed,
                           found));
  }
  SegmentHeader header;
  std::memcpy(&header, block.data(), sizeof header);
  if (header.version != kLogFormatVersion) return Newer("log format", header.version);
  VARVE_TRY(CheckSegmentFields(header));
  return header;
}

std::uint32_t FrameSeed(const SegmentHeader& segment, std::uint64_t lsn) {
  char identity[32];
  std::memcpy(identity, segment.log_id.data(), 16);
  StoreLittle(identity + 16, segment.generation);
  StoreLittle(identity + 24, lsn);
  return Crc32c({identity, sizeof identity});
}

std::uint32_t FinishFrame(const SegmentHeader& segment, FrameHeader header, std::string* frame) {
  VARVE_CHECK(frame->size() >= kFrameHeaderBytes && frame->size() <= kFrameBytesMax);
  VARVE_CHECK(header.lsn % kLogBlock == 0);
  header.payload_bytes = static_cast<std::uint32_t>(frame->size() - kFrameHeaderBytes);
  frame->resize(header.FrameBytes(), '\0');
  const auto seed = FrameSeed(segment, header.lsn);
  header.payload_crc = Crc32c(std::string_view(*frame).substr(kFrameHeaderBytes), seed);
  std::memcpy(frame->data(), &header, sizeof header);
  header.crc = Crc32c(std::string_view(*frame).substr(0, kFrameCrcOffset), seed);
  StoreLittle(frame->data() + kFrameCrcOffset, header.crc);
  return header.crc;
}

Result<FrameHeader> DecodeFrameHeader(const SegmentHeader& segment, Lsn lsn,
                                      std::string_view bytes) {
  FrameHeader header;
  if (bytes.size() < sizeof header) {
    return Bad(fmt::format("frame header: expected {} bytes, found {}", sizeof header,
                           bytes.size()));
  }
  std::memcpy(&header, bytes.data(), sizeof header);
  if (header.magic != kFrameMagic) {
    return Bad(fmt::format("frame header: expected magic {:08x}, found {:08x}", kFrameMagic,
                           header.magic));
  }
  const auto computed = Crc32c(bytes.substr(0, kFrameCrcOffset), FrameSeed(segment, lsn.value));
  if (header.crc != computed) {
    return Bad(fmt::format("frame header: expected checksum {:08x}, found {:08x}", computed,
                           header.crc));
  }
  if (header.version != kLogFormatVersion) return Newer("frame version", header.version);
  const auto kind = static_cast<unsigned>(header.kind);
  if (kind < 1 || kind > 3) return Newer("frame kind", kind);
  if ((header.flags & ~KnownFlags(header.kind)) != 0) return Newer("frame flags", header.flags);
  if (header.lsn != lsn.value) {
    return Bad(fmt::format("frame header: expected LSN {}, found {}", lsn.value, header.lsn));
  }
  const auto room = segment.EndOfRange() - lsn.value;
  if (header.payload_bytes > kFramePayloadMax || header.FrameBytes() > room) {
    return Bad(fmt::format("frame header: a payload of {} bytes does not fit the {} that are left",
                           header.payload_bytes, room));
  }
  return header;
}

Status CheckPayload(const SegmentHeader& segment, const FrameHeader& header,
                    std::string_view padded) {
  const auto computed = Crc32c(padded, FrameSeed(segment, header.lsn));
  if (computed == header.payload_crc) return {};
  return Bad(fmt::format("frame payload: expected checksum {:08x}, found {:08x}",
                         header.payload_crc, computed));
}

std::uint64_t EncodedUnitBytes(std::span<const std::string_view> records) {
  std::uint64_t bytes = kUnitHeaderBytes + kRecordHeaderBytes * records.size();
  for (const auto record : records) bytes += record.size();
  return bytes;
}

UnitEncoder::UnitEncoder(std::span<const std::string_view> records, std::uint64_t bytes)
    : records_(records), left_(bytes), header_is_next_(true) {
  VARVE_CHECK(!records.empty() && bytes <= kUnitBytesMax);
  StoreLittle(small_, static_cast<std::uint32_t>(bytes));
  StoreLittle(small_ + 4, static_cast<std::uint32_t>(records.size()));
  piece_ = {small_, kUnitHeaderBytes};
}

std::string_view UnitEncoder::NextPiece() {
  const auto record = records_[next_record_];
  if (header_is_next_) {
    StoreLittle(small_, static_cast<std::uint32_t>(record.size()));
    header_is_next_ = false;
    return {small_, kRecordHeaderBytes};
  }
  header_is_next_ = true;
  ++next_record_;
  return record;
}

void UnitEncoder::Append(std::uint64_t room, std::string* to) {
  auto want = std::min(room, left_);
  left_ -= want;
  while (want > 0) {
    if (piece_.empty()) {
      piece_ = NextPiece();
      continue;
    }
    const auto part = piece_.substr(0, want);
    to->append(part);
    piece_.remove_prefix(part.size());
    want -= part.size();
  }
}

Result<std::uint64_t> UnitBytesAt(std::string_view bytes) {
  const std::uint64_t size =
      bytes.size() < kUnitHeaderBytes ? 0 : LoadLittle<std::uint32_t>(bytes.data());
  if (size >= kUnitHeaderBytes + kRecordHeaderBytes && size <= kUnitBytesMax) return size;
  return Bad(fmt::format("unit: a size of {} cannot be, with {} bytes left in the frame", size,
                         bytes.size()));
}

Status DecodeUnit(std::string_view unit, std::vector<std::string_view>* records) {
  VARVE_ASSIGN(const auto size, UnitBytesAt(unit));
  if (size != unit.size()) {
    return Bad(fmt::format("unit: expected {} bytes, found {}", size, unit.size()));
  }
  const auto count = LoadLittle<std::uint32_t>(unit.data() + 4);
  unit.remove_prefix(kUnitHeaderBytes);
  if (count == 0 || count > unit.size() / kRecordHeaderBytes) {
    return Bad(fmt::format("unit: {} records cannot be in {} bytes", count, unit.size()));
  }
  for (std::uint32_t i = 0; i < count; ++i) {
    if (unit.size() < kRecordHeaderBytes) return Bad("unit: ends inside the size of a record");
    const auto bytes = LoadLittle<std::uint32_t>(unit.data());
    unit.remove_prefix(kRecordHeaderBytes);
    if (bytes > unit.size()) {
      return Bad(fmt::format("unit: record {} of {} bytes, with {} bytes left", i, bytes,
                             unit.size()));
    }
    records->push_back(unit.substr(0, bytes));
    unit.remove_prefix(bytes);
  }
  if (!unit.empty()) return Bad(fmt::format("unit: {} bytes after its last record", unit.size()));
  return {};
}

}  // namespace varve
