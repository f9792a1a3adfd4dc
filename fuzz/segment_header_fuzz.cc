// SPDX-License-Identifier: Apache-2.0
// Input: a byte of options (1: mend the checksum, 2: pad with zeros to a block), then the block.
#include <cstring>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "fuzz/input.h"
#include "fuzz/oracle.h"
#include "fuzz/target.h"
#include "log/log_format.h"

namespace varve::fuzz {
namespace {

constexpr std::uint64_t kCrcOffset = kLogBlock - 4;

void CheckHeader(const SegmentHeader& header, std::string_view block) {
  FUZZ_EXPECT(header.EndOfRange() > header.base, std::to_string(header.base));
  FUZZ_EXPECT(header.OffsetOf(header.LsnAt(header.capacity)) == header.capacity, "another offset");
  FUZZ_EXPECT(header.sequence + 1 > 1, std::to_string(header.sequence));
  FUZZ_EXPECT(header.key_id_bytes <= sizeof header.key_id, std::to_string(header.key_id_bytes));
  const auto again = EncodeSegmentHeader(header);
  FUZZ_EXPECT(again.size() == kLogBlock, std::to_string(again.size()));
  FUZZ_EXPECT(again.substr(0, sizeof header) == block.substr(0, sizeof header), "other bytes");
  const auto decoded = DecodeSegmentHeader(again);
  FUZZ_EXPECT(decoded.has_value(), decoded.error().message());
  FUZZ_EXPECT(std::memcmp(&*decoded, &header, sizeof header) == 0, "another header");
}

}  // namespace

void FuzzOne(Input input) {
  const auto options = input.Take<std::uint8_t>();
  std::string block(input.TakeRest());
  if ((options & 2) != 0) block.resize(kLogBlock, '\0');
  if ((options & 1) != 0 && block.size() >= kLogBlock) {
    const auto crc = Crc32c(std::string_view(block).substr(0, kCrcOffset));
    StoreLittle(block.data() + kCrcOffset, crc);
  }
  const auto header = DecodeSegmentHeader(block);
  if (header) {
    CheckHeader(*header, block);
  } else {
    FUZZ_EXPECT(BlamesBytes(header.error()), header.error().message());
  }
}

std::vector<std::string> FuzzSeeds() {
  SegmentHeader header;
  header.log_id.fill(7);
  header.sequence = 3;
  header.generation = 0x1234;
  header.base = kFirstBase + (1u << 20);
  header.capacity = kSegmentBytesMin;
  std::vector<std::string> seeds;
  for (const bool encrypted : {false, true}) {
    if (encrypted) {
      header.cipher = 1;
      header.flags = kRecycledFile;
      header.key_id_bytes = 4;
      std::memcpy(header.key_id, "key1", 4);
      std::memset(header.wrapped_key, 0x5a, sizeof header.wrapped_key);
    }
    const auto block = EncodeSegmentHeader(header);
    seeds.push_back('\3' + block.substr(0, sizeof header));
    seeds.push_back('\0' + block);
  }
  return seeds;
}

}  // namespace varve::fuzz
