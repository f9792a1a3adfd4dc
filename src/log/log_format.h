// SPDX-License-Identifier: Apache-2.0
// The bytes of a log. A log is a folder:
//
//   LOCK                    held by whoever has the log open
//   <16 hex digits>.log     a segment; the digits are its sequence: 1, 2, 3, ... without a gap
//   <16 hex digits>.tmp     a segment being made; never read
//   <16 hex digits>.free    a file that was a segment and waits to be used again; never read
//   *.set-aside             what a point-in-time recovery moved out of the way; never replayed
//   CHECKPOINT              where replay may start (checkpoint_file.h)
//   SYNC                    which way to make a write durable is the fastest (sync_calibration.h)
//   calibration.tmp         what is written to while that is measured; never read
//
// A segment is a header block of 4096 bytes, then frames, each starting at a multiple of 4096:
//
//   | header | link | group | group | ... | seal | zeros up to the capacity, or end of file |
//
// The file is written full of zeros and synced, under its temporary name, before it gets its name;
// or it is a file that was a segment before, with a new header: what its frames say means nothing
// in the new generation. So its size is its capacity, or (cut after sealing) the end of the seal
// with kSuccessor, or one block behind the end of one without. The header block is never written
// again. All numbers are little-endian.
//
// Segment header:
//    0  8  magic "VARVELOG"                   48  8  base: LSN of the block at offset 4096
//    8  4  format version, 1                  56  8  capacity: bytes of the file, header included
//   12  4  block size, 4096                   64  8  creation time, microseconds since 1970
//   16 16  log id: random, same in each       72  1  cipher: 0 none, 1 AES-256-GCM
//          segment of a log                   73  1  bytes of the key id
//   32  8  sequence                           74  2  flags: 1 the file was used before
//   40  8  generation: random, its own        76  4  zeros
//                                             80 64  id of the key that wraps the data key
//                                            144 64  the data key, wrapped (segment_cipher.h)
//                                           4092  4  CRC-32C of bytes 0..4092
//
// LSN of file offset o = base + (o - 4096). The base of a segment is not below the LSN that follows
// the whole capacity of every segment there was before it. A position is given out only when its
// segment's header is durable, so no crash can make the log give it out again. Behind damage that
// was cut the base is 2^50 or more above what is known. The first base is 4096: LSN 0 means "none".
//
// Frame header:
//    0  4  magic "VFRM"                       36  4  units that end in this frame
//    4  1  version, 1                         40  4  records of those units
//    5  1  kind: 1 group, 2 link, 3 seal      44  4  chain: header CRC of the frame before
//    6  2  flags                              48  4  CRC-32C for the payload, see below
//    8  8  LSN of this frame                  52  8  zeros
//   16  8  durable: every unit that ends at   60  4  CRC-32C of bytes 0..60
//          or before this LSN was synced
//          when the frame was written
//   24  8  epoch: number of the flush
//   32  4  payload bytes, at most 16 MiB - 64
//
// Payload and zeros up to the next multiple of 4096 follow. Both CRCs start from a seed, the
// CRC-32C of log id, generation and LSN: the same bytes do not validate in another log, another
// life of the file, or another place. The payload CRC of a group of whole units is taken over the
// CRCs at the front of its units, in order, so that whoever appends a unit computes its checksum;
// that of every other frame over its payload.
//
// A frame is valid exactly when: magic and header CRC agree; version, kind and flags are known
// (else the log is of a newer version, which is no damage); its LSN is that of its place; payload
// and padding lie inside the capacity and the file; the units of a group fill its payload and their
// CRCs agree; the payload CRC agrees; the padding is zero; the chain is the header CRC of the valid
// frame before it (for a link: the chain its payload names); and its epoch is that of the frame
// before or one more.
//
// A group's payload is units one after the other (unit_codec.h). The LSN of a unit is that of its
// first byte. A unit that no single frame can hold is alone in frames of its own, the first with
// kEndsInside, the last with kBeginsInside, those between with both; they may lie in several
// segments. It exists when its last frame is valid, and its own CRC then covers it whole.
//
// A link is the first frame of each segment. It is written with the first group, by one sync, and
// says where the segment before ended: bytes there beyond that end mean nothing any more.
//   0 8 sequence (0: none)   8 8 generation   16 8 end, LSN after its last valid frame
//  24 8 end of the last whole unit before this segment   32 8 LSN of the unit that is open across
//       the boundary, 0 none   40 4 chain: header CRC of its last valid frame   44 4 zeros
// Flag kDropsOpen: the open unit was cut by a crash and never goes on.
//
// A seal is the last frame of a segment: 0 8 end of the last whole unit, 8 8 units, 16 8 records,
// 24 8 frames before it. Flag kSuccessor: the next segment existed, durably, when it was written.
// Close writes a seal without it. Whoever opens the log again, after Close or a crash, and writes,
// first adds a seal with it to the last segment: every segment but the first is promised by the one
// before it, durably, before its first unit is acknowledged.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "varve/error.h"
#include "varve/types.h"

namespace varve {

inline constexpr std::uint64_t kLogBlock = 4096;
inline constexpr std::uint64_t kFrameBytesMax = 16u << 20;  // header, payload and padding
inline constexpr std::uint64_t kFrameHeaderBytes = 64;
inline constexpr std::uint64_t kFramePayloadMax = kFrameBytesMax - kFrameHeaderBytes;
inline constexpr std::uint64_t kFirstSegmentBytes = 1u << 20;
inline constexpr std::uint64_t kSegmentBytesMin = 8 * kLogBlock;
inline constexpr std::uint64_t kSegmentBytesMost = 1ull << 40;
inline constexpr std::uint64_t kFirstBase = kLogBlock;
// Kept at the end of a segment: for two seals, and a block so that a file that was cut after its
// seal is always shorter than its capacity, which tells a log that was closed.
inline constexpr std::uint64_t kSealBytes = 3 * kLogBlock;
inline constexpr std::uint64_t kLinkOffset = kLogBlock;
inline constexpr std::uint64_t kFirstGroupOffset = 2 * kLogBlock;
inline constexpr std::uint32_t kLogFormatVersion = 1;

using LogId = std::array<std::uint8_t, 16>;
std::string LogIdText(const LogId& id);  // 32 hex digits

struct SegmentHeader {
  char magic[8] = {'V', 'A', 'R', 'V', 'E', 'L', 'O', 'G'};
  std::uint32_t version = kLogFormatVersion;
  std::uint32_t block_bytes = kLogBlock;
  LogId log_id{};
  std::uint64_t sequence = 0;
  std::uint64_t generation = 0;
  std::uint64_t base = 0;
  std::uint64_t capacity = 0;
  std::int64_t created_micros = 0;
  std::uint8_t cipher = 0;
  std::uint8_t key_id_bytes = 0;
  std::uint16_t flags = 0;
  std::uint32_t reserved = 0;
  char key_id[64] = {};
  char wrapped_key[64] = {};

  Lsn LsnAt(std::uint64_t offset) const { return {base + (offset - kLogBlock)}; }
  std::uint64_t OffsetOf(Lsn lsn) const { return lsn.value - base + kLogBlock; }
  // No position of this segment is at or above it.
  std::uint64_t EndOfRange() const { return base + (capacity - kLogBlock); }
};
static_assert(sizeof(SegmentHeader) == 208 && offsetof(SegmentHeader, log_id) == 16 &&
              offsetof(SegmentHeader, base) == 48 && offsetof(SegmentHeader, cipher) == 72 &&
              offsetof(SegmentHeader, wrapped_key) == 144);
inline constexpr std::uint16_t kRecycledFile = 1;  // SegmentHeader::flags
inline constexpr std::uint8_t kCipherLast = 1;     // the last one known

enum class FrameKind : std::uint8_t { kGroup = 1, kLink = 2, kSeal = 3 };
inline constexpr std::uint16_t kBeginsInside = 1;  // group: begins inside a unit
inline constexpr std::uint16_t kEndsInside = 2;    // group: ends inside a unit
inline constexpr std::uint16_t kDropsOpen = 4;     // link
inline constexpr std::uint16_t kSuccessor = 8;     // seal
inline constexpr std::uint32_t kFrameMagic = 0x4d524656;  // "VFRM"

struct FrameHeader {
  std::uint32_t magic = kFrameMagic;
  std::uint8_t version = kLogFormatVersion;
  FrameKind kind = FrameKind::kGroup;
  std::uint16_t flags = 0;
  std::uint64_t lsn = 0;
  std::uint64_t durable = 0;
  std::uint64_t epoch = 0;
  std::uint32_t payload_bytes = 0;
  std::uint32_t units = 0;
  std::uint32_t records = 0;
  std::uint32_t chain = 0;
  std::uint32_t payload_crc = 0;
  std::uint32_t reserved[2] = {0, 0};
  std::uint32_t crc = 0;

  std::uint64_t FrameBytes() const;  // with header and padding
};
// Whether the payload is units one after the other, none of which another frame has a part of.
bool HoldsWholeUnits(const FrameHeader& header);
static_assert(sizeof(FrameHeader) == kFrameHeaderBytes && offsetof(FrameHeader, durable) == 16 &&
              offsetof(FrameHeader, payload_bytes) == 32 && offsetof(FrameHeader, crc) == 60);

struct LinkPayload {
  std::uint64_t sequence = 0;
  std::uint64_t generation = 0;
  std::uint64_t end = 0;
  std::uint64_t unit_end = 0;
  std::uint64_t open_unit = 0;
  std::uint32_t chain = 0;
  std::uint32_t reserved = 0;
};
static_assert(sizeof(LinkPayload) == 48);

struct SealPayload {
  std::uint64_t unit_end = 0;
  std::uint64_t units = 0;
  std::uint64_t records = 0;
  std::uint64_t frames = 0;
};
static_assert(sizeof(SealPayload) == 32);

// The header block of a segment.
std::string EncodeSegmentHeader(const SegmentHeader& header);
// Errors: Corruption (says which field), Invalid/kUnsupportedFormat. They do not name the file.
Result<SegmentHeader> DecodeSegmentHeader(std::string_view block);

// Where both CRCs of the frame at `lsn` start.
std::uint32_t FrameSeed(const SegmentHeader& segment, std::uint64_t lsn);

// `frame` is 64 bytes of room and the payload, `bytes` together, then zeros up to the end of a
// block. Fills in sizes and CRCs, writes the header into the room, and gives it; its crc is the
// chain of the next frame.
FrameHeader FinishFrame(const SegmentHeader& segment, FrameHeader header, char* frame,
                        std::uint64_t bytes);

// Checks everything about a frame that its first 64 bytes tell. Errors as DecodeSegmentHeader.
Result<FrameHeader> DecodeFrameHeader(const SegmentHeader& segment, Lsn lsn,
                                      std::string_view bytes);
// `padded` is payload and padding of a frame whose header is valid.
Status CheckPayload(const SegmentHeader& segment, const FrameHeader& header,
                    std::string_view padded);

}  // namespace varve
