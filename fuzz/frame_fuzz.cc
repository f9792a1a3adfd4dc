// SPDX-License-Identifier: Apache-2.0
// A frame: its header, then its payload and padding. Input: what to mend (mend.h), the block number
// of the frame in its segment, then its bytes, to be padded with zeros.
#include <cstring>

#include "base/bytes.h"
#include "fuzz/allocation_meter.h"
#include "fuzz/input.h"
#include "fuzz/mend.h"
#include "fuzz/oracle.h"
#include "fuzz/target.h"
#include "log/unit_codec.h"

namespace varve::fuzz {
namespace {

constexpr std::uint64_t kMessageBytesMost = 4096;  // what an error's text may take

SegmentHeader Segment() {
  SegmentHeader segment;
  segment.log_id.fill(7);
  segment.sequence = 2;
  segment.generation = 0x1234;
  segment.base = 1u << 20;
  segment.capacity = kSegmentBytesMin;
  return segment;
}

// FinishFrame makes the same bytes of what a valid frame says.
void CheckSame(const SegmentHeader& segment, const FrameHeader& header, std::string_view frame) {
  std::string again(frame);
  const auto finished = FinishFrame(segment, header, again.data(),
                                    kFrameHeaderBytes + header.payload_bytes);
  FUZZ_EXPECT(again == frame, "other bytes");
  FUZZ_EXPECT(std::memcmp(&finished, &header, sizeof header) == 0, "another header");
}

// It means nothing in another place, another life of the file, or another log.
void CheckBound(const SegmentHeader& segment, Lsn lsn, std::string_view frame) {
  auto other = segment;
  ++other.generation;
  FUZZ_EXPECT(!DecodeFrameHeader(other, lsn, frame), "valid in another generation");
  other = segment;
  other.log_id[3] ^= 1;
  FUZZ_EXPECT(!DecodeFrameHeader(other, lsn, frame), "valid in another log");
  FUZZ_EXPECT(!DecodeFrameHeader(segment, {lsn.value ^ kLogBlock}, frame), "valid elsewhere");
}

void CheckFrame(const SegmentHeader& segment, Lsn lsn, std::string_view bytes) {
  AllocationMeter meter;
  const auto header = DecodeFrameHeader(segment, lsn, bytes);
  FUZZ_EXPECT(meter.peak_bytes() <= kMessageBytesMost, std::to_string(meter.peak_bytes()));
  if (!header) {
    FUZZ_EXPECT(BlamesBytes(header.error()), header.error().message());
    return;
  }
  FUZZ_EXPECT(header->lsn == lsn.value, std::to_string(header->lsn));
  FUZZ_EXPECT(lsn.value + header->FrameBytes() <= segment.EndOfRange(), "beyond the segment");
  CheckBound(segment, lsn, bytes);
  if (bytes.size() < header->FrameBytes()) return;
  const auto frame = bytes.substr(0, header->FrameBytes());
  const auto checked = CheckPayload(segment, *header, frame.substr(kFrameHeaderBytes));
  FUZZ_EXPECT(meter.peak_bytes() <= kMessageBytesMost, std::to_string(meter.peak_bytes()));
  if (checked) return CheckSame(segment, *header, frame);
  FUZZ_EXPECT(BlamesBytes(checked.error()), checked.error().message());
}

std::string GroupFrame(const std::vector<std::string>& units, std::uint16_t flags) {
  std::string frame(kFrameHeaderBytes, '\0');
  for (const auto& unit : units) frame += unit;
  FrameHeader header;
  header.flags = flags;
  header.lsn = 1u << 20;
  header.units = static_cast<std::uint32_t>(units.size());
  header.records = header.units;
  const auto bytes = frame.size();
  frame.resize(RoundUp(bytes, kLogBlock));
  FinishFrame(Segment(), header, frame.data(), bytes);
  frame.resize(bytes);
  return frame;
}

}  // namespace

void FuzzOne(Input input) {
  const auto mend = input.Take<std::uint8_t>();
  const auto block = input.Take<std::uint8_t>();
  const auto segment = Segment();
  const auto blocks = segment.capacity / kLogBlock - 1;
  const Lsn lsn = segment.LsnAt(kLogBlock * (1 + block % blocks));
  std::string bytes(input.TakeRest());
  if (bytes.size() >= kFrameHeaderBytes) bytes.resize(RoundUp(bytes.size(), kLogBlock), '\0');
  MendFrame(segment, lsn.value, mend, bytes.data(), bytes.size());
  CheckFrame(segment, lsn, bytes);
}

std::vector<std::string> FuzzSeeds() {
  const std::string text(100, 'x');
  std::vector<std::string> units;
  for (const auto codec : {LogCompression::kNone, LogCompression::kLz4, LogCompression::kZstd}) {
    const LogRecord record(text);
    units.push_back(*EncodeUnitSerially({&record, 1}, codec, {64}, nullptr));
  }
  const std::string start{'\3', '\0'};
  std::vector<std::string> seeds = {start + GroupFrame(units, 0),
                                    start + GroupFrame({units[0]}, 0),
                                    start + GroupFrame({units[1]}, kEndsInside),
                                    start + GroupFrame({}, 0)};
  seeds.push_back(std::string(2, '\0') + GroupFrame(units, 0));
  return seeds;
}

}  // namespace varve::fuzz
