// SPDX-License-Identifier: Apache-2.0
#include "fuzz/mend.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "log/unit_codec.h"

namespace varve::fuzz {
namespace {

constexpr std::size_t kCrcBytes = 4;
constexpr std::size_t kNonceBytes = 12;
constexpr std::size_t kHeaderCrcOffset = kLogBlock - 4;

template <typename T>
T Load(const char* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

// Pieces of a unit, wherever they lie.
struct OpenUnit {
  std::uint64_t lsn = 0;
  std::vector<std::pair<char*, std::size_t>> pieces;
};

void LimitPlainBytes(std::string* unit) {
  if (unit->size() < kUnitHeaderBytes + 4 || (*unit)[12] == 0) return;
  char* const claim = unit->data() + kUnitHeaderBytes;
  const auto bytes = std::min(Load<std::uint32_t>(claim), kPlainBytesMost);
  std::memcpy(claim, &bytes, sizeof bytes);
}

void MendPieces(bool encrypt, OpenUnit* open) {
  std::string unit;
  for (const auto& [at, size] : open->pieces) unit.append(at, size);
  LimitPlainBytes(&unit);
  MendUnit(open->lsn, encrypt, &unit);
  std::size_t done = 0;
  for (const auto& [at, size] : open->pieces) {
    std::memcpy(at, unit.data() + done, size);
    done += size;
  }
  open->pieces.clear();
}

// The size of the unit at the front of `rest`; 0 when none can begin there.
std::size_t UnitBytes(std::string_view rest) {
  if (rest.size() < kUnitHeaderBytes) return 0;
  const auto size = Load<std::uint32_t>(rest.data() + 4);
  return size > kUnitHeaderBytes && size <= rest.size() ? size : 0;
}

void MendUnitsOf(std::uint64_t lsn, bool encrypt, char* payload, std::size_t bytes) {
  for (std::size_t at = 0; at < bytes;) {
    const auto size = UnitBytes({payload + at, bytes - at});
    if (size == 0) return;
    std::string unit(payload + at, size);
    LimitPlainBytes(&unit);
    MendUnit(lsn + kFrameHeaderBytes + at, encrypt, &unit);
    std::memcpy(payload + at, unit.data(), size);
    at += size;
  }
}

std::uint32_t CrcOfPayload(const FrameHeader& header, std::string_view payload,
                           std::uint32_t seed) {
  if (header.kind != FrameKind::kGroup || (header.flags & (kBeginsInside | kEndsInside)) != 0) {
    return Crc32c(payload, seed);
  }
  std::string crcs;
  for (std::size_t at = 0; at < payload.size();) {
    const auto size = UnitBytes(payload.substr(at));
    if (size == 0) break;
    crcs += payload.substr(at, kCrcBytes);
    at += size;
  }
  return Crc32c(crcs, seed);
}

// Gives the header as it now is; its payload lies in [frame + 64, ...).
FrameHeader MendFrameHeader(const SegmentHeader& segment, FrameHeader header, char* frame,
                            std::size_t room) {
  const auto seed = FrameSeed(segment, header.lsn);
  const auto payload_room = room - kFrameHeaderBytes;
  const std::string_view payload(frame + kFrameHeaderBytes,
                                 std::min<std::size_t>(header.payload_bytes, payload_room));
  header.payload_crc = CrcOfPayload(header, payload, seed);
  std::memcpy(frame, &header, sizeof header);
  header.crc = Crc32c({frame, kFrameHeaderBytes - kCrcBytes}, seed);
  std::memcpy(frame, &header, sizeof header);
  return header;
}

class LogMender {
 public:
  LogMender(std::uint8_t mend, std::map<std::uint64_t, std::string>* segments)
      : mend_(mend), segments_(segments) {}

  void Run() {
    if ((mend_ & kMendChecksums) == 0) return;
    for (auto& [sequence, bytes] : *segments_) MendHeader(sequence, &bytes);
    ForEachFrame([this](const SegmentHeader&, std::uint64_t lsn, char* frame, std::size_t room) {
      MendContent(lsn, frame, room);
    });
    ForEachFrame([this](const SegmentHeader& segment, std::uint64_t lsn, char* frame,
                        std::size_t room) { MendChecksumsOf(segment, lsn, frame, room); });
  }

 private:
  // Calls for everything that looks like a frame.
  template <typename Call>
  void ForEachFrame(const Call& call) {
    for (auto& [sequence, bytes] : *segments_) {
      if (bytes.size() < kLogBlock) continue;
      const auto segment = Load<SegmentHeader>(bytes.data());
      for (std::size_t at = kLogBlock; at + kFrameHeaderBytes <= bytes.size();) {
        char* const frame = bytes.data() + at;
        const auto header = Load<FrameHeader>(frame);
        const auto room = bytes.size() - at;
        if (header.magic == kFrameMagic) call(segment, segment.base + at - kLogBlock, frame, room);
        const bool steps = header.magic == kFrameMagic && header.FrameBytes() <= room;
        at += steps ? header.FrameBytes() : kLogBlock;
      }
    }
  }

  void MendHeader(std::uint64_t sequence, std::string* bytes) {
    if (bytes->size() < kLogBlock) return;
    auto header = Load<SegmentHeader>(bytes->data());
    if ((mend_ & kMendIdentity) != 0) {
      header.sequence = sequence;
      if (first_) header.log_id = first_->log_id;
      if (!first_) first_ = header;
    }
    if ((mend_ & kEncrypt) != 0 && header.cipher == 1) WrapKey(&header);
    std::memcpy(bytes->data(), &header, sizeof header);
    const auto crc = Crc32c({bytes->data(), kHeaderCrcOffset});
    std::memcpy(bytes->data() + kHeaderCrcOffset, &crc, sizeof crc);
  }

  // SegmentCipher's nonces are 8 bytes of a number and 4 of zeros: so one of those wraps the key.
  static void WrapKey(SegmentHeader* header) {
    const std::uint64_t nonce = 1;
    std::memset(header->wrapped_key, 0, kNonceBytes);
    std::memcpy(header->wrapped_key, &nonce, sizeof nonce);
    const std::string_view identity(reinterpret_cast<const char*>(header) + 16, 40);
    const SegmentCipher wrapping(std::string(32, 'k'));
    (void)wrapping.Encrypt({nonce}, identity, std::string(32, 'd'),
                           header->wrapped_key + kNonceBytes);
  }

  bool encrypts() const { return (mend_ & kEncrypt) != 0; }

  // First pass: places, and units, which may span frames.
  void MendContent(std::uint64_t lsn, char* frame, std::size_t room) {
    auto header = Load<FrameHeader>(frame);
    if ((mend_ & kMendPlaces) != 0) header.lsn = lsn;
    std::memcpy(frame, &header, sizeof header);
    const auto bytes =
        std::min<std::size_t>(header.payload_bytes, room - kFrameHeaderBytes);
    char* const payload = frame + kFrameHeaderBytes;
    if (header.kind != FrameKind::kGroup) return;
    const bool continues = (header.flags & kBeginsInside) != 0;
    const bool continued = (header.flags & kEndsInside) != 0;
    if (!continues && !continued) return MendUnitsOf(header.lsn, encrypts(), payload, bytes);
    if (!continues) open_ = {header.lsn + kFrameHeaderBytes, {}};
    open_.pieces.emplace_back(payload, bytes);
    if (!continued) MendPieces(encrypts(), &open_);
  }

  // Second pass: links, the chain, checksums.
  void MendChecksumsOf(const SegmentHeader& segment, std::uint64_t lsn, char* frame,
                       std::size_t room) {
    auto header = Load<FrameHeader>(frame);
    const bool link = header.kind == FrameKind::kLink &&
                      room >= kFrameHeaderBytes + sizeof(LinkPayload) &&
                      header.payload_bytes == sizeof(LinkPayload);
    if (link && (mend_ & kMendLinks) != 0 && segment.sequence > 1) MendLink(frame);
    const bool chained = !link || (mend_ & kMendLinks) != 0;
    if ((mend_ & kMendChain) != 0 && chained) header.chain = chain_;
    header = MendFrameHeader(segment, header, frame, room);
    chain_ = header.crc;
    before_ = segment;
    end_ = lsn + header.FrameBytes();
  }

  void MendLink(char* frame) {
    auto payload = Load<LinkPayload>(frame + kFrameHeaderBytes);
    payload.sequence = before_.sequence;
    payload.generation = before_.generation;
    payload.end = end_;
    payload.chain = chain_;
    std::memcpy(frame + kFrameHeaderBytes, &payload, sizeof payload);
  }

  const std::uint8_t mend_;
  std::map<std::uint64_t, std::string>* const segments_;
  std::optional<SegmentHeader> first_;
  OpenUnit open_;
  std::uint32_t chain_ = 0;  // of the frame before
  SegmentHeader before_;     // the segment of the frame before
  std::uint64_t end_ = 0;    // of the frame before
};

}  // namespace

std::shared_ptr<const SegmentCipher> FixedCipher() {
  return std::make_shared<const SegmentCipher>(std::string(32, 'd'));
}

void MendUnit(std::uint64_t lsn, bool encrypt, std::string* unit) {
  if (unit->size() < kUnitHeaderBytes) return;
  const bool encrypted = ((*unit)[13] & kUnitEncrypted) != 0;
  if (encrypt && encrypted && unit->size() >= kUnitHeaderBytes + kCipherTagBytes) {
    static const auto cipher = FixedCipher();
    const std::string plain =
        unit->substr(kUnitHeaderBytes, unit->size() - kUnitHeaderBytes - kCipherTagBytes);
    const std::string header = unit->substr(kCrcBytes, kUnitHeaderBytes - kCrcBytes);
    (void)cipher->Encrypt({lsn}, header, plain, unit->data() + kUnitHeaderBytes);
  }
  const auto crc = Crc32c(std::string_view(*unit).substr(kCrcBytes));
  std::memcpy(unit->data(), &crc, sizeof crc);
}

void MendFrame(const SegmentHeader& segment, std::uint64_t lsn, std::uint8_t mend, char* frame,
               std::size_t room) {
  if ((mend & kMendChecksums) == 0 || room < kFrameHeaderBytes) return;
  auto header = Load<FrameHeader>(frame);
  if ((mend & kMendPlaces) != 0) header.lsn = lsn;
  const auto bytes = std::min<std::size_t>(header.payload_bytes, room - kFrameHeaderBytes);
  const bool whole = header.kind == FrameKind::kGroup && header.flags == 0;
  if (whole) MendUnitsOf(header.lsn, (mend & kEncrypt) != 0, frame + kFrameHeaderBytes, bytes);
  MendFrameHeader(segment, header, frame, room);
}

void MendSegments(std::uint8_t mend, std::map<std::uint64_t, std::string>* segments) {
  LogMender(mend, segments).Run();
}

}  // namespace varve::fuzz
