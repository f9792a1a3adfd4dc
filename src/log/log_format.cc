// SPDX-License-Identifier: Apache-2.0
#include "log/log_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/bytes.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "base/result.h"
#include "log/unit_codec.h"

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
  const bool sound = header.sequence > 0 && header.sequence < UINT64_MAX &&
                     header.base >= kFirstBase && header.base < UINT64_MAX - kSegmentBytesMost &&
                     header.base % kLogBlock == 0 && header.capacity % kLogBlock == 0 &&
                     header.capacity >= kSegmentBytesMin && header.capacity <= kSegmentBytesMost &&
                     header.key_id_bytes <= sizeof header.key_id;
  if (sound) return {};
  return Bad(fmt::format("segment header: sequence {}, base {} and capacity {} cannot be",
                         header.sequence, header.base, header.capacity));
}

std::uint16_t KnownFlags(FrameKind kind) {
  switch (kind) {
    case FrameKind::kGroup: return kBeginsInside | kEndsInside;
    case FrameKind::kLink: return kDropsOpen;
    case FrameKind::kSeal: return kSuccessor;
  }
  return 0;
}

}  // namespace

std::uint64_t FrameHeader::FrameBytes() const {
  return RoundUp(kFrameHeaderBytes + payload_bytes, kLogBlock);
}

std::string LogIdText(const LogId& id) {
  return ToHex({reinterpret_cast<const char*>(id.data()), id.size()});
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
  if (header.cipher > kCipherLast) return Newer("cipher", header.cipher);
  if ((header.flags & ~kRecycledFile) != 0) return Newer("segment flags", header.flags);
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

bool HoldsWholeUnits(const FrameHeader& header) {
  return header.kind == FrameKind::kGroup && (header.flags & (kBeginsInside | kEndsInside)) == 0;
}

namespace {

// The CRC over the CRCs of all units in a frame, some at a time.
class CrcOfCrcs {
 public:
  explicit CrcOfCrcs(std::uint32_t seed) : crc_(seed) {}
  void Add(std::uint32_t crc) {
    crcs_[count_++] = crc;
    if (count_ == std::size(crcs_)) Fold();
  }
  std::uint32_t Finish() {
    Fold();
    return crc_;
  }

 private:
  void Fold() {
    crc_ = Crc32c({reinterpret_cast<const char*>(crcs_), count_ * sizeof crcs_[0]}, crc_);
    count_ = 0;
  }
  std::uint32_t crc_;
  std::uint32_t crcs_[256];
  std::size_t count_ = 0;
};

// Of frames that FinishFrame makes: what it trusts was just encoded.
std::uint32_t CrcOfUnits(std::string_view payload, std::uint32_t seed) {
  CrcOfCrcs crcs(seed);
  while (!payload.empty()) {
    crcs.Add(LoadLittle<std::uint32_t>(payload.data()));
    payload.remove_prefix(LoadLittle<std::uint32_t>(payload.data() + 4));
  }
  return crcs.Finish();
}

// The payload CRC of units whose own CRCs agree; says what does not.
Result<std::uint32_t> CheckUnits(std::string_view payload, std::uint32_t seed) {
  CrcOfCrcs crcs(seed);
  for (auto rest = payload; !rest.empty();) {
    const auto header = PeekUnitHeader(rest);
    const auto at = payload.size() - rest.size();
    if (!header || header->size > rest.size()) {
      return Bad(fmt::format("frame payload: no unit can begin at its byte {}, with {} left", at,
                             rest.size()));
    }
    if (!UnitIsSound(*header, rest.substr(0, header->size))) {
      return Bad(fmt::format("frame payload: the checksum of the unit at its byte {} does not "
                             "agree",
                             at));
    }
    crcs.Add(header->crc);
    rest.remove_prefix(header->size);
  }
  return crcs.Finish();
}

}  // namespace

FrameHeader FinishFrame(const SegmentHeader& segment, FrameHeader header, char* frame,
                        std::uint64_t bytes) {
  VARVE_CHECK(bytes >= kFrameHeaderBytes && bytes <= kFrameBytesMax);
  VARVE_CHECK(header.lsn % kLogBlock == 0);
  header.payload_bytes = static_cast<std::uint32_t>(bytes - kFrameHeaderBytes);
  const auto seed = FrameSeed(segment, header.lsn);
  const std::string_view payload(frame + kFrameHeaderBytes, header.payload_bytes);
  header.payload_crc = HoldsWholeUnits(header) ? CrcOfUnits(payload, seed) : Crc32c(payload, seed);
  std::memcpy(frame, &header, sizeof header);
  header.crc = Crc32c({frame, kFrameCrcOffset}, seed);
  StoreLittle(frame + kFrameCrcOffset, header.crc);
  return header;
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
  const auto payload = padded.substr(0, header.payload_bytes);
  const auto padding = padded.substr(payload.size());
  const auto seed = FrameSeed(segment, header.lsn);
  auto computed = Crc32c({}, seed);
  if (HoldsWholeUnits(header)) {
    VARVE_ASSIGN(computed, CheckUnits(payload, seed));
  } else {
    computed = Crc32c(payload, seed);
  }
  if (computed != header.payload_crc) {
    return Bad(fmt::format("frame payload: expected checksum {:08x}, found {:08x}",
                           header.payload_crc, computed));
  }
  static constexpr char kZeros[kLogBlock] = {};
  if (padding == std::string_view(kZeros, std::min(padding.size(), kLogBlock))) return {};
  const auto stray = padding.find_first_not_of('\0');
  if (stray == std::string_view::npos) return {};
  return Bad(fmt::format("frame padding: expected zeros, found {:02x} at its byte {}",
                         static_cast<unsigned char>(padding[stray]), stray));
}

}  // namespace varve
